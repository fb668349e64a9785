//! Where a program keeps what has to outlast it: `--data DIR`, or a place for as long as it runs.

use std::{
    env,
    fmt::{Display, Formatter, Result as Formatted},
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// The directory of a program's data.
#[derive(Debug)]
pub enum DataFolder {
    /// The user's, which stays.
    Given(PathBuf),
    /// Removed at the end, if there is an end to it.
    Temporary(PathBuf),
}

impl DataFolder {
    /// The given one, which need not be there yet; or a new one that nobody else can read, with the program's name in its own.
    ///
    /// # Errors
    ///
    /// It could not be made.
    pub fn open(given: Option<&Path>, program: &str) -> io::Result<Self> {
        if let Some(folder) = given {
            return Ok(Self::Given(folder.to_owned()));
        }
        let folder = env::temp_dir().join(format!("{program}-{:016x}", rand::random::<u64>()));
        // It must not be there: another user may have made it.
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self::Temporary(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        let (Self::Given(folder) | Self::Temporary(folder)) = self;
        folder
    }
}

impl Display for DataFolder {
    fn fmt(&self, f: &mut Formatter<'_>) -> Formatted {
        match self {
            Self::Given(folder) => folder.display().fmt(f),
            Self::Temporary(folder) => {
                write!(f, "{}, and go with this process: keep them with --data DIR", folder.display())
            }
        }
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if let Self::Temporary(folder) = self
            && let Err(error) = fs::remove_dir_all(&*folder)
        {
            tracing::warn!("{} could not be removed: {error}", folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_temporary_folder_is_of_one_user_and_goes_at_the_end() {
        let folder = DataFolder::open(None, "test").unwrap();
        let path = folder.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("file"), "text").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_given_folder_stays() {
        let temporary = DataFolder::open(None, "test").unwrap();
        let given = DataFolder::open(Some(temporary.path()), "test").unwrap();
        assert_eq!(given.to_string(), temporary.path().display().to_string());
        drop(given);
        assert!(temporary.path().exists());
    }
}
