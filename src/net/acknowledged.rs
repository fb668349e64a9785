//! How much of what we have sent the peer's system has confirmed.
//!
//! ```text
//!   our memory ──write──▶ [ kernel's queue: not sent yet │ sent, not confirmed ] ──▶ peer's kernel ──read──▶ peer
//!                                                                                 └ confirmed (acknowledged)
//! ```
//!
//! Our kernel takes bytes whether the peer reads or not: its queue may be megabytes, and a full queue takes nothing
//! until a part of it has left. An acknowledgement of the peer's kernel says more: there was room, so the peer has
//! read.

#![allow(unsafe_code)] // Each block carries its argument.

use crate::app::Progress;
use std::os::fd::AsFd;

/// How far the peer is, of `written` bytes that our kernel took and `unsent` that it did not. Where the system does not tell,
/// whatever was written counts as confirmed.
pub(super) fn progress(socket: &impl AsFd, written: u64, unsent: usize) -> Progress {
    let queued = queued(socket).min(written);
    Progress { acknowledged: written - queued, outstanding: queued + unsent as u64 }
}

/// Bytes in the kernel's queue, sent or not (tcp(7), `SIOCOUTQ`). An end that was announced counts as one.
#[cfg(target_os = "linux")]
fn queued(socket: &impl AsFd) -> u64 {
    use nix::libc;
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as it is borrowed, and the kernel writes one integer where `bytes` is.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u64::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Bytes in the kernel's queue, sent or not (`SO_NWRITE`).
#[cfg(target_vendor = "apple")]
fn queued(socket: &impl AsFd) -> u64 {
    use nix::libc;
    use std::{mem, os::fd::AsRawFd};
    let mut bytes: libc::c_int = 0;
    let mut size = mem::size_of_val(&bytes) as libc::socklen_t;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open as long as it is borrowed, and the kernel writes at most `size` bytes where `bytes` is.
    let result = unsafe {
        libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_NWRITE, (&raw mut bytes).cast(), &raw mut size)
    };
    if result == 0 { u64::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// This system does not tell.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn queued(_: &impl AsFd) -> u64 {
    0
}

#[cfg(all(test, any(target_os = "linux", target_vendor = "apple")))]
mod tests {
    use super::*;
    use std::{
        io::{ErrorKind, Read, Write},
        net::TcpListener,
    };

    /// Fills the way to a peer that does not read, then has it read, and watches what is confirmed.
    #[test]
    #[allow(clippy::disallowed_methods)] // A real socket is what this is about.
    fn bytes_that_the_peer_has_no_room_for_are_not_confirmed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut reader = listener.accept().unwrap().0;
        assert_eq!(progress(&sender, 0, 7), Progress { acknowledged: 0, outstanding: 7 });
        sender.set_nonblocking(true).unwrap();
        let mut written = 0;
        loop {
            match sender.write(&[b'x'; 64 * 1024]) {
                Ok(len) => written += len as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let before = progress(&sender, written, 7);
        assert!(before.outstanding > 7, "all of {written} bytes are confirmed, and nobody reads");
        assert_eq!(before.acknowledged + before.outstanding, written + 7);
        reader.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let mut left = usize::try_from(written).unwrap();
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            left -= reader.read(&mut buffer).unwrap();
        }
        // The last confirmation is on its way when the last byte is read.
        while progress(&sender, written, 0).acknowledged < written {
            std::thread::yield_now();
        }
    }
}
