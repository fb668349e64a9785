//! How much an event loop takes on.

use crate::app::Reads;
use std::time::Duration;

/// As long as a lost link needs to be noticed by a few retransmissions.
const STALL: Duration = Duration::from_secs(30);

/// Threads that read files for an event loop. A disk does a few things at once better than one; each costs a stack while it is needed.
const DISK_THREADS: usize = 4;

/// A disk that has to spin up answers in ten seconds; one that takes much longer is broken, or a network file system is.
const DISK_PATIENCE: Duration = Duration::from_secs(30);

/// How much an event loop takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverConfig {
    /// Accepted connections open at once, those that are closing included. At the limit, new ones wait in the backlog.
    pub max_connections: usize,
    /// Descriptors that are kept for so many of them, so that they are accepted even if the process has none left.
    pub spare: usize,
    /// Whether an application hears to which of our addresses a client has connected. It costs a system call for each of them.
    pub tells_local: bool,
    /// Bytes of one read. As long as the longest head that is accepted, so that a head is one read.
    pub read_size: usize,
    /// Bytes of one read of a connection with [`Reads::Large`]. Measured with a plain relay, CPU seconds per GiB: 16 KiB 0.92,
    /// 64 KiB 0.28, 256 KiB 0.24, 512 KiB 0.21.
    pub bulk_read_size: usize,
    /// Bytes of one read of a connection with [`Reads::Medium`].
    pub medium_read_size: usize,
    /// Pipes through which splices pass their bytes at once; 0: all are copied. Linux only.
    pub pipes: usize,
    /// How long the peer of a closed connection may take nothing of what is left for it. Then it is reset.
    pub stall: Duration,
    /// Threads that read what is not in the kernel's memory of the files to be sent, so that the event loop does not; at least one. They are
    /// started when they are needed.
    pub disk_threads: usize,
    /// How long such a read may take, the wait for a thread included. Then the connection is reset.
    pub disk_patience: Duration,
}

impl Default for DriverConfig {
    /// Ten thousand connections, no descriptor kept, reads of 16, 64 and 512 KiB, 64 pipes, 30 seconds, 4 threads, 30 seconds.
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            spare: 0,
            tells_local: false,
            read_size: 16 * 1024,
            bulk_read_size: 512 * 1024,
            medium_read_size: 64 * 1024,
            pipes: 64,
            stall: STALL,
            disk_threads: DISK_THREADS,
            disk_patience: DISK_PATIENCE,
        }
    }
}

impl DriverConfig {
    /// Bytes of the largest read.
    pub(in crate::net) fn largest_read(&self) -> usize {
        self.read_size.max(self.medium_read_size).max(self.bulk_read_size)
    }

    /// Bytes of one read.
    pub(in crate::net) fn size_of(&self, reads: Reads) -> usize {
        match reads {
            Reads::Small => self.read_size,
            Reads::Medium => self.medium_read_size,
            Reads::Large => self.bulk_read_size,
        }
    }
}
