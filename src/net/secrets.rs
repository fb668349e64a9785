//! Help of the system in keeping the secrets of this process: who may read its files, and whether its memory is written to disk.

use std::{io, path::Path};

/// Whether users other than the owner may read a file. A file that is not there, or a system that does not say: no.
#[must_use]
pub fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// From now on no core dump of this process is written, and no debugger of the same user can attach to it (`PR_SET_DUMPABLE`): its
/// memory has private keys in it. Linux only; elsewhere nothing happens.
///
/// # Errors
///
/// The kernel refuses.
pub fn keep_out_of_core_dumps() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn a_file_that_others_may_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret").unwrap();
        for (mode, readable) in [(0o600, false), (0o400, false), (0o620, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(others_may_read(&path), readable, "{mode:o}");
        }
        assert!(!others_may_read(&folder.path().join("none")));
    }
}
