//! How many files the process may have open: every connection is one.

use super::Error;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{fs, io};

/// Raises the limit as far as it may be raised without privileges, and tells it.
///
/// The usual limit of 1024 is from a time when `select` could not name more; the one above it is meant to be used.
///
/// # Errors
///
/// [`Error::Descriptors`].
pub fn raise_limit() -> Result<u64, Error> {
    let failed = |errno: nix::errno::Errno| Error::Descriptors(errno.into());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    // macOS says "unlimited" and refuses more than this (OPEN_MAX).
    let limit = if cfg!(target_os = "macos") { hard.min(10_240) } else { hard };
    if soft < limit {
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard).map_err(failed)?;
    }
    Ok(limit.max(soft))
}

/// The same for a program that goes on without: says what failed, and takes it that there is no limit.
pub fn raise_limit_or_warn() -> u64 {
    raise_limit().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of descriptors could not be raised");
        u64::MAX
    })
}

/// How many descriptors are open now. For tests that look for leaks, and for statistics: Linux knows the number since 6.2, and elsewhere
/// they are counted.
///
/// # Errors
///
/// The system does not tell.
pub fn count_open() -> io::Result<usize> {
    if cfg!(target_os = "linux")
        && let Ok(known) = fs::metadata("/proc/self/fd")
        && known.len() > 0
    {
        return Ok(usize::try_from(known.len()).unwrap_or(usize::MAX));
    }
    // One of them is for looking.
    Ok(fs::read_dir("/dev/fd")?.count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_once_and_for_all() {
        let limit = raise_limit().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, limit);
        assert_eq!(raise_limit().unwrap(), limit);
    }

    #[test]
    fn open_descriptors_are_counted() {
        raise_limit().unwrap();
        // Other tests open and close theirs meanwhile: more than they could close.
        let files: Vec<_> = (0..500).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(count_open().unwrap() >= files.len());
    }
}
