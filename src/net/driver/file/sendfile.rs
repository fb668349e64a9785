//! Sending from a file without a copy of ours (sendfile(2), Linux).

use std::io::ErrorKind;

/// The result of sending a piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Only one of them happens there.
pub(in crate::net) enum Piece {
    /// This number of bytes is on its way: not all, if the kernel has no room for more.
    Sent(usize),
    /// The kernel has no room.
    Refused,
    /// The file has no more bytes.
    End,
    /// The connection is broken.
    Broken(ErrorKind),
    /// The file is.
    Unreadable(ErrorKind),
    /// This file cannot be sent in this way, or this system has no such way.
    Unsupported,
}

#[cfg(target_os = "linux")]
pub(super) use linux::send;

#[cfg(target_os = "linux")]
mod linux {
    use super::Piece;
    use nix::{errno::Errno, libc, sys::sendfile::sendfile};
    use std::{
        io::Error,
        os::fd::{AsFd, BorrowedFd},
    };

    /// One system call. A socket whose peer is gone raises SIGPIPE here, which Rust's runtime ignores.
    pub(in crate::net::driver::file) fn send(socket: impl AsFd, file: BorrowedFd<'_>, at: u64, most: usize) -> Piece {
        let Ok(mut offset) = libc::off_t::try_from(at) else { return Piece::End };
        loop {
            let error = match sendfile(&socket, file, Some(&mut offset), most) {
                Ok(0) => return Piece::End,
                Ok(len) => return Piece::Sent(len),
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Piece::Refused,
                Err(error) => error,
            };
            let kind = Error::from(error).kind();
            return match error {
                Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP => Piece::Unsupported,
                Errno::EPIPE
                | Errno::ECONNRESET
                | Errno::ECONNABORTED
                | Errno::ENOTCONN
                | Errno::ETIMEDOUT
                | Errno::EHOSTUNREACH
                | Errno::ENETUNREACH
                | Errno::ENETDOWN => Piece::Broken(kind),
                _ => Piece::Unreadable(kind),
            };
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn send(_: impl std::os::fd::AsFd, _: std::os::fd::BorrowedFd<'_>, _: u64, _: usize) -> Piece {
    Piece::Unsupported
}
