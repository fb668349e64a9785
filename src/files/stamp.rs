//! Whether an open file is still the version that was looked at. An event loop asks before it sends a file that was found a moment ago:
//! one that was overwritten in place would go out with the strong tag of its old bytes (RFC 9110 §8.8.1).
//!
//! A descriptor leads to the file without a path, and on Linux the question is put so that no file system goes to its disk or its server
//! for the answer (`AT_STATX_DONT_SYNC`): it costs 0.4 µs, and it never waits. So a change by another machine shows when the file is
//! looked at again, as it does with the local cache of that file system.

use std::fs::File;

/// The stamp of an open file now. `None`: the system does not tell, so nothing is known about it any more.
#[cfg(target_os = "linux")]
pub(super) fn stamp_of(file: &File) -> Option<u64> {
    use super::version::{stamp, time};
    use rustix::fs::{AtFlags, StatxFlags, StatxTimestamp, statx};
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let status = statx(file, c"", flags, StatxFlags::SIZE | StatxFlags::MTIME | StatxFlags::CTIME).ok()?;
    let at = |stamp: StatxTimestamp| time(stamp.tv_sec, stamp.tv_nsec.into());
    Some(stamp(status.stx_size, at(status.stx_mtime), at(status.stx_ctime)))
}

/// The stamp of an open file now. `None`: the system does not tell, so nothing is known about it any more.
#[cfg(not(target_os = "linux"))]
pub(super) fn stamp_of(file: &File) -> Option<u64> {
    let facts = super::version::Facts::of(&file.metadata().ok()?);
    Some(facts.stamp())
}

#[cfg(test)]
mod tests {
    use super::{super::version::Facts, *};
    use std::{fs, os::unix::fs::FileExt, time::SystemTime};

    /// As the file system gives it by both calls, and another one after each change.
    #[test]
    fn a_stamp_is_that_of_the_facts_until_the_file_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let facts = || Facts::of(&file.metadata().unwrap()).stamp();
        let mut seen = vec![facts()];
        assert_eq!(stamp_of(&file), seen.first().copied());
        let changes: [&dyn Fn(); 4] = [
            &|| file.write_all_at(b"new", 0).unwrap(),
            &|| file.set_len(2).unwrap(),
            &|| file.set_modified(SystemTime::UNIX_EPOCH).unwrap(),
            &|| fs::remove_file(&path).unwrap(),
        ];
        for change in changes {
            // The clock of the file system moves in steps: the change is made until it has another time.
            let deadline = crate::net::clock::now().instant + std::time::Duration::from_secs(20);
            change();
            while stamp_of(&file) == seen.last().copied() && crate::net::clock::now().instant < deadline {
                file.set_modified(crate::net::clock::now().wall).unwrap();
            }
            let now = stamp_of(&file).unwrap();
            assert_eq!(now, facts());
            assert!(!seen.contains(&now));
            seen.push(now);
        }
    }
}
