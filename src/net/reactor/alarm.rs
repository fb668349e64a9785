//! Waking up on time.
//!
//! `epoll_wait` counts whole milliseconds, and a request that should leave after 0.2 ms would leave 0.8 ms late: more than
//! what is to be measured. A timer descriptor (timerfd_create(2)) counts nanoseconds. Other systems' waits are fine enough
//! (kqueue's is a `timespec`), and there the reactor's own patience is all there is.

use crate::time::Instant;
use mio::Registry;
use std::io;

/// The kernel's timer for [`crate::app::TimerKey::ALARM`]. No descriptor until the first alarm.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: Option<nix::sys::timerfd::TimerFd>,
    /// The time that the timer is set to.
    #[cfg(target_os = "linux")]
    armed: Option<Instant>,
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // As on Linux, where it has something to do.
    pub(super) fn arm(&mut self, _: Option<Instant>, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
impl Alarm {
    /// Has the poll end at `at`. A system call only if that is news; none to call an alarm off, for a wake-up too many is
    /// cheaper than the calls that it would take to avoid it.
    pub(super) fn arm(&mut self, at: Option<Instant>, registry: &Registry) -> io::Result<()> {
        use crate::net::{clock, driver::out_of_descriptors};
        use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
        use std::time::Duration;

        let Some(at) = at.filter(|at| self.armed != Some(*at)) else { return Ok(()) };
        // Zero would disarm it; one that has passed is seen by the reactor's patience.
        let left = at.saturating_duration_since(clock::now().instant).max(Duration::from_nanos(1));
        let timer = match self.timer(registry) {
            Ok(timer) => timer,
            // No descriptor is left. The reactor's patience wakes it as well, a millisecond late: no reason to end.
            Err(error) if out_of_descriptors(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        timer.set(Expiration::OneShot(left.into()), TimerSetTimeFlags::empty())?;
        self.armed = Some(at);
        Ok(())
    }

    /// Edge-triggered, so that it need not be read: setting it again forgets what it counted.
    fn timer(&mut self, registry: &Registry) -> io::Result<&nix::sys::timerfd::TimerFd> {
        use mio::{Interest, unix::SourceFd};
        use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
        use std::os::fd::{AsFd as _, AsRawFd as _};

        if self.timer.is_none() {
            let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            registry.register(&mut SourceFd(&timer.as_fd().as_raw_fd()), super::ALARM, Interest::READABLE)?;
            self.timer = Some(timer);
        }
        Ok(self.timer.as_ref().expect("was made above"))
    }
}
