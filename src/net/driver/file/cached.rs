//! Which bytes of a file can be had without waiting for a disk.
//!
//! The kernel keeps what was read from a file in memory, its page cache, as long as there is room. A plain read or a
//! sendfile(2) of other bytes waits for the disk, and `O_NONBLOCK` changes nothing for files. A read with `RWF_NOWAIT`
//! (preadv2(2)) does not wait: it says `EAGAIN`. mincore(2) and cachestat(2) ask the same without a read, but the
//! kernel answers them truly only for files that the caller may write.

use std::os::fd::BorrowedFd;

/// One byte is looked at in this many, and the last one. The kernel fills its memory by reading ahead, 128 KiB at once as a rule, and gives up
/// together what was read together. A page that misses between two looks is read by the event loop itself, which waits for that one
/// page. A look costs a microsecond, and to send 128 KiB twenty: looking at each page would cost more than sending.
pub(super) const RUN: u64 = 128 * 1024;

/// The state of the next bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Nothing is known there.
pub(super) enum Cached {
    /// This number of them is in memory.
    Bytes(usize),
    /// The first of them is not.
    No,
    /// This file cannot tell: its file system has no such memory, or is not the kernel's own; or this system does not tell.
    Untold,
    /// The file ends here.
    End,
}

/// How many of the `len` bytes from `at` on are in memory. Reads a byte here and there.
pub(super) fn look(file: BorrowedFd<'_>, at: u64, len: usize) -> Cached {
    let end = at.saturating_add(len as u64);
    let mut next = at;
    while next < end {
        match sys::read_cached(file, &mut [0], next) {
            Cached::Bytes(_) => {}
            other if next == at => return other,
            // Of the run that it is in, nothing is taken for granted.
            _ => match usize::try_from((next / RUN * RUN).saturating_sub(at)) {
                Ok(0) | Err(_) => return Cached::No,
                Ok(len) => return Cached::Bytes(len),
            },
        }
        // The first byte of each run, and the very last one.
        let run = (next / RUN + 1) * RUN;
        next = if run < end || next == end - 1 { run } else { end - 1 };
    }
    Cached::Bytes(len)
}

/// Reads the bytes that are in memory, without waiting: fewer than the buffer takes if others are not.
pub(super) fn read(file: BorrowedFd<'_>, buf: &mut [u8], at: u64) -> Cached {
    sys::read_cached(file, buf, at)
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)] // The block carries its argument.
mod sys {
    use super::Cached;
    use nix::{errno::Errno, libc};
    use std::os::fd::{AsRawFd, BorrowedFd};

    pub(super) fn read_cached(file: BorrowedFd<'_>, buf: &mut [u8], at: u64) -> Cached {
        let slice = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        // An offset that is too large for the system is behind the end of every file.
        let Ok(offset) = libc::off_t::try_from(at) else { return Cached::End };
        loop {
            // SAFETY: the descriptor is open as long as it is borrowed; the kernel writes at most `iov_len` bytes to `buf`, which is
            // borrowed for that, and reads one `iovec`.
            let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const slice, 1, offset, libc::RWF_NOWAIT) };
            return match (usize::try_from(read), Errno::last()) {
                (Ok(0), _) => Cached::End,
                (Ok(len), _) => Cached::Bytes(len),
                (Err(_), Errno::EINTR) => continue,
                (Err(_), Errno::EAGAIN) => Cached::No,
                // A read that may wait says what is wrong.
                (Err(_), Errno::EIO) => Cached::No,
                (Err(_), _) => Cached::Untold,
            };
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use super::Cached;
    use std::os::fd::BorrowedFd;

    pub(super) fn read_cached(_: BorrowedFd<'_>, _: &mut [u8], _: u64) -> Cached {
        Cached::Untold
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::{
        fs::File,
        io::Write,
        os::{fd::AsFd, unix::fs::FileExt},
    };

    const LEN: usize = 4 * RUN as usize + 100;

    fn file() -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; LEN]).unwrap();
        file
    }

    #[test]
    fn bytes_that_were_just_written_are_cached_up_to_the_end_of_the_file() {
        let file = file();
        let look = |at, len| look(file.as_fd(), at, len);
        for (at, len) in [(0, 1), (0, LEN), (7, LEN - 7), (RUN - 1, 2), (RUN, RUN as usize), (LEN as u64 - 1, 1)] {
            assert_eq!(look(at, len), Cached::Bytes(len), "{at} {len}");
        }
        assert_eq!([look(LEN as u64, 1), look(LEN as u64 + 5, 5), look(1 << 63, 1)], [Cached::End; 3]);
        // The run with the end in it is left to a look of its own.
        assert_eq!(look(0, LEN + 1), Cached::Bytes(4 * RUN as usize));
    }

    #[test]
    fn a_run_that_is_not_cached_ends_what_is() {
        let file = file();
        file.sync_all().unwrap();
        // The kernel may keep some of it; then there is nothing to see.
        let drop_from = |at: u64| {
            let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
            nix::fcntl::posix_fadvise(&file, at as i64, 0, advice).unwrap();
        };
        drop_from(0);
        if read(file.as_fd(), &mut [0], 2 * RUN) != Cached::No {
            return;
        }
        file.read_exact_at(&mut vec![0; RUN as usize], 0).unwrap();
        drop_from(RUN);
        let found = look(file.as_fd(), 0, LEN);
        assert!(matches!(found, Cached::Bytes(len) if len % RUN as usize == 0 && len < LEN), "{found:?}");
    }

    #[test]
    fn a_file_without_offsets_cannot_tell() {
        let (pipe, _write) = std::io::pipe().unwrap();
        assert_eq!(look(pipe.as_fd(), 0, 10), Cached::Untold);
    }
}
