//! A directory with files to serve, and files beside it that must never be served.

use crate::{
    problem::{Problem, Seen},
    stage::Stage,
};
use nix::{sys::stat::Mode, unistd::mkfifo};
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

/// The directory; it goes with this.
#[derive(Debug)]
pub(super) struct Site {
    directory: PathBuf,
    root: String,
    hello: Vec<u8>,
    secret: String,
}

fn failed(error: io::Error) -> Problem {
    Problem::new("a directory with files", Seen::Grader(error))
}

impl Site {
    /// A new one, with words from the seed.
    pub(super) fn new(stage: &mut Stage) -> Result<Self, Problem> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("course-site-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let root = directory.join("www");
        fs::create_dir_all(&root).map_err(failed)?;
        let directory = directory.canonicalize().map_err(failed)?;
        let root = directory.join("www").to_string_lossy().into_owned();
        let hello = format!("hello, {:>6}\n", stage.below(1_000_000)).into_bytes();
        let secret = format!("secret {}\n", stage.text());
        let site = Self { directory, root, hello, secret };
        site.fill().map_err(failed)?;
        Ok(site)
    }

    fn fill(&self) -> io::Result<()> {
        let inside = self.directory.join("www");
        for directory in ["www/deep/er", "www/empty", "www/index.d/index.html", "www/a.b", "www-private"] {
            fs::create_dir_all(self.directory.join(directory))?;
        }
        fs::write(inside.join("hello.txt"), &self.hello)?;
        for path in ["/", "/deep/"] {
            fs::write(inside.join(format!(".{path}index.html")), format!("<p>{path}</p>\n"))?;
        }
        fs::write(inside.join("deep/er/page.html"), "<p>/deep/er/page.html</p>\n")?;
        fs::write(self.directory.join("secret.txt"), &self.secret)?;
        fs::write(self.directory.join("www-private/key.txt"), &self.secret)?;
        symlink(self.directory.join("secret.txt"), inside.join("way-out.txt"))?;
        symlink(&self.directory, inside.join("up"))
    }

    /// The argument of `--root`.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The directory above the root.
    pub(super) fn above(&self) -> String {
        self.directory.to_string_lossy().into_owned()
    }

    /// The content of hello.txt.
    pub(super) fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Writes a file below the root.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Problem> {
        fs::write(self.directory.join("www").join(name), content).map_err(failed)
    }

    /// Makes a named pipe.
    pub(super) fn pipe(&self, name: &str) -> Result<(), Problem> {
        mkfifo(&self.directory.join("www").join(name), Mode::S_IRWXU).map_err(|error| failed(error.into()))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
