//! The surroundings of the reader of a configuration: files and variables. Tests and the fuzzer give it others.

use std::{collections::BTreeMap, env, fs, io, path::Path};

/// Files and variables.
pub trait World {
    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names of the files in a folder.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// This machine.
#[derive(Debug)]
pub struct System;

impl World for System {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let files = fs::read_dir(folder)?.filter_map(Result::ok).filter(|entry| entry.path().is_file());
        Ok(files.filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }
}

/// Files and variables in memory.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    /// By their paths.
    pub files: BTreeMap<String, String>,
    /// By their names.
    pub variables: BTreeMap<String, String>,
}

impl World for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = path.to_str().and_then(|path| self.files.get(path));
        text.map(|text| text.clone().into_bytes())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "No such file"))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let paths = self.files.keys().map(Path::new).filter(|path| path.parent() == Some(folder));
        Ok(paths.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}
