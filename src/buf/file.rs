//! Bytes that are to be sent and lie in a file: named, not read. The code that names them never waits for a disk.

use std::{fmt, io, os::fd::BorrowedFd, sync::Arc};

/// A file whose bytes can be sent. Where its bytes are, and how long a read takes, is the driver's concern.
pub trait Readable: fmt::Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes from `offset` on, as pread(2) does. Fewer is no end; 0 is the end of the file.
    ///
    /// It may take its time: event loops call it on threads that are there for it.
    ///
    /// # Errors
    ///
    /// The bytes cannot be read. The answer that they are part of breaks off.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The descriptor of a regular file, from which the kernel may send by itself. `None`: there is none, or its reads may
    /// hang, so that all bytes have to come by [`Readable::read_at`].
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// A number that is another one once the file has changed. It is told from what the system has in memory, at once. `None`: it is not
    /// known whether the file has changed.
    fn stamp(&self) -> Option<u64> {
        None
    }

    /// A number that two values have in common if they are the same file: a hash of its device and inode. One read of a file runs at
    /// a time, so that a file whose reads hang occupies one thread. `None`: no other value is this file.
    fn identity(&self) -> Option<u64> {
        None
    }
}

/// A part of a file: `length` bytes from offset `at` on.
#[derive(Debug, Clone)]
pub struct FilePart {
    /// The file. It stays open as long as a part of it waits to be sent. The last reference to it may be dropped by the thread of an event loop,
    /// so a type whose closing takes long hands that on.
    pub file: Arc<dyn Readable>,
    /// Where the part begins: an offset in bytes.
    pub at: u64,
    /// How many bytes it has. Exactly these are sent even if the file has grown; if it has shrunk, the connection is reset.
    pub length: u64,
}

/// The same range of the same value.
impl PartialEq for FilePart {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file) && (self.at, self.length) == (other.at, other.length)
    }
}

impl Eq for FilePart {}

/// Why a part of a file could not be sent to its end. Its peer was told a length, so only a reset says that some is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The file ends before the part does: it was cut after it was looked at.
    Truncated,
    /// The system could not read it.
    Failed(io::ErrorKind),
    /// A read took too long, or no thread was free for it in all that time.
    TooSlow,
}

impl Unreadable {
    /// The words for it, for logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "file ended early",
            Self::Failed(_) => "file cannot be read",
            Self::TooSlow => "file read too slow",
        }
    }

    /// As the error of a connection.
    #[must_use]
    pub fn kind(self) -> io::ErrorKind {
        match self {
            Self::Truncated => io::ErrorKind::UnexpectedEof,
            Self::Failed(kind) => kind,
            Self::TooSlow => io::ErrorKind::TimedOut,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(kind) => write!(f, "{}: {kind}", self.as_str()),
            Self::Truncated | Self::TooSlow => f.write_str(self.as_str()),
        }
    }
}
