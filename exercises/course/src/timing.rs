//! How long the grader waits, on this machine, now.
//!
//! A verdict never depends on a clock alone: a deadline says only when we stop waiting for something that does not come. So it
//! is a base times a scale, and the scale is measured: a busy machine gets more patience.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// An answer that does not come within this time, on a machine at rest, does not come.
const PATIENCE: Duration = Duration::from_secs(2);
/// A check takes less, whatever the program does. Most take less than one second.
const CHECK: Duration = Duration::from_secs(40);
/// So long nothing must come where nothing may. Too short a time lets a mistake pass, and never blames anyone wrongly.
const QUIET: Duration = Duration::from_millis(120);
/// The number of exchanges of a byte over the loopback that are timed, and the time that they take on a machine at rest.
const ROUNDS: u32 = 200;
const AT_REST: Duration = Duration::from_millis(10);
/// A machine slower than this is not one to wait for.
const LARGEST: f64 = 8.0;

/// The two times that checks wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    scale: f64,
    /// Beyond this moment nothing is waited for any more.
    end: Option<Instant>,
}

impl Timing {
    /// Measures the machine, which takes some milliseconds. `COURSE_SCALE` overrides what is found.
    pub(crate) fn calibrated() -> Self {
        let said = std::env::var("COURSE_SCALE").ok().and_then(|text| text.parse().ok());
        let measured = || measure().map_or(LARGEST, |took| took.as_secs_f64() / AT_REST.as_secs_f64());
        let scale = said.unwrap_or_else(|| measured().max(crowd()));
        Self { scale: scale.clamp(1.0, LARGEST), end: None }
    }

    /// The same for one check that begins now: its waiting has an end, however many steps it has.
    pub(crate) fn for_one_check(self) -> Self {
        Self { end: Some(Instant::now() + CHECK.mul_f64(self.scale)), ..self }
    }

    /// How much slower this machine is than one at rest.
    pub(crate) fn scale(self) -> f64 {
        self.scale
    }

    /// How long to wait for something that should come.
    pub(crate) fn patience(self) -> Duration {
        let left = self.end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        // Zero would mean to wait for ever, to some calls.
        PATIENCE.mul_f64(self.scale).min(left).max(Duration::from_millis(1))
    }

    /// Whether the time for this check is up.
    pub(crate) fn is_up(self) -> bool {
        self.end.is_some_and(|end| end <= Instant::now())
    }

    /// How long to watch that nothing comes.
    pub(crate) fn quiet(self) -> Duration {
        QUIET.mul_f64(self.scale)
    }
}

/// The programs that want a processor, for each one that there is, halved: one exchange of bytes may find a gap between them
/// and the next may not. 0, if the system does not tell.
fn crowd() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load: Option<f64> = load.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let processors = thread::available_parallelism().map_or(1, usize::from);
    load.unwrap_or(0.0) / (2 * processors) as f64
}

fn measure() -> std::io::Result<Duration> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut here = TcpStream::connect(listener.local_addr()?)?;
    let (mut there, _) = listener.accept()?;
    here.set_nodelay(true)?;
    there.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut byte = [0];
        while there.read_exact(&mut byte).and_then(|()| there.write_all(&byte)).is_ok() {}
    });
    let begun = Instant::now();
    let mut byte = [0];
    for _ in 0..ROUNDS {
        here.write_all(&byte)?;
        here.read_exact(&mut byte)?;
    }
    let took = begun.elapsed();
    drop(here);
    let _ = echo.join();
    Ok(took)
}
