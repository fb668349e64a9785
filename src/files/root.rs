//! Opens files below one directory and nothing else, whatever their names are and whoever changes them meanwhile.
//!
//! | how | symbolic links | where |
//! |---|---|---|
//! | `openat2` with `RESOLVE_BENEATH`: the kernel refuses a path that leaves the directory at any step | followed, as long as they stay within; never absolute ones, never those of `/proc` | Linux from 5.6 on |
//! | name by name, each with `O_NOFOLLOW` below the one before | refused | elsewhere, and where a sandbox forbids `openat2` |
//!
//! A check of the path before it is opened could not do this: between the check and the opening, a directory may be replaced by a link.
//!
//! The thing that is opened may be a FIFO, for which `open` would wait for a writer, or a terminal: `O_NONBLOCK` and `O_NOCTTY`. The opened file
//! says what it is, and only regular files and directories are given out.

use super::stamp::stamp_of;
use crate::buf::Readable;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open, openat},
    sys::stat::Mode,
};
use std::{
    fs::{File, Metadata},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::FileExt, fs::MetadataExt},
    },
    path::{Component, Path, PathBuf},
};

const FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// How often a path is tried again while others rename directories on it: the kernel cannot say then whether it leaves the directory.
const TRIES: u32 = 16;

/// The directory that is served.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    way: Way,
}

/// How paths are kept within the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the kernel, all at once.
    #[cfg(target_os = "linux")]
    Beneath,
    /// Name by name.
    Steps,
}

/// The thing that a name stood for when it was opened.
#[derive(Debug)]
pub(super) enum Opened {
    /// A regular file.
    File(OnDisk, Metadata),
    /// A directory.
    Directory(OwnedFd),
}

/// Why nothing was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoFile {
    /// There is nothing, or something that is not served: a socket, a device, a link that leads out.
    Missing,
    /// The server has no right to read it.
    Forbidden,
    /// No descriptors or no memory are left.
    Busy,
    /// Anything else.
    Broken(Errno),
}

/// An open regular file.
#[derive(Debug)]
pub(super) struct OnDisk {
    file: File,
    identity: u64,
}

impl Readable for OnDisk {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.file, buf, offset)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn stamp(&self) -> Option<u64> {
        stamp_of(&self.file)
    }

    fn identity(&self) -> Option<u64> {
        Some(self.identity)
    }
}

impl OnDisk {
    /// The file system's word about it now.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }
}

impl Root {
    /// The directory at `path`, in the best way that this system has.
    ///
    /// # Errors
    ///
    /// It is not there, is no directory, or may not be read.
    pub fn new(path: &Path) -> io::Result<Self> {
        let directory = open_root(path)?;
        // To be read, and not only to be passed through: an index may be missing.
        openat(&directory, ".", FLAGS | OFlag::O_DIRECTORY, Mode::empty())?;
        Ok(Self { path: path.to_owned(), way: Way::best(&directory) })
    }

    /// The same in another way: for tests, and for systems that claim to have what they do not have.
    #[must_use]
    pub fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }

    /// How paths are kept within the directory.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// The directory that is at its path now, for one question: a site that is built anew is often another directory at the same place.
    pub(super) fn enter(&self) -> Result<Inside, NoFile> {
        Ok(Inside { directory: open_root(&self.path)?, way: self.way })
    }
}

/// The directory, open.
#[derive(Debug)]
pub(super) struct Inside {
    directory: OwnedFd,
    way: Way,
}

impl Inside {
    /// Opens what is at `path`, which is relative to the directory; the directory itself if `path` is empty.
    ///
    /// # Errors
    ///
    /// There is nothing that could be served.
    pub(super) fn open(&self, path: &Path) -> Result<Opened, NoFile> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let opened = match self.way {
            #[cfg(target_os = "linux")]
            Way::Beneath => beneath(&self.directory, path)?,
            Way::Steps => by_steps(&self.directory, path)?,
        };
        Opened::of(opened)
    }
}

impl Way {
    #[cfg(target_os = "linux")]
    fn best(directory: &OwnedFd) -> Self {
        // Old kernels do not know the call, and sandboxes refuse what they do not know.
        match beneath(directory, Path::new(".")) {
            Ok(_) => Self::Beneath,
            Err(_) => Self::Steps,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn best(_: &OwnedFd) -> Self {
        Self::Steps
    }
}

impl Opened {
    fn of(opened: OwnedFd) -> Result<Self, NoFile> {
        let file = File::from(opened);
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Ok(Self::Directory(file.into()));
        }
        if !metadata.is_file() {
            return Err(NoFile::Missing);
        }
        // It was for what is no regular file; an io_uring would give up instead of waiting for the disk.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
        let mut identity = DefaultHasher::new();
        (metadata.dev(), metadata.ino()).hash(&mut identity);
        Ok(Self::File(OnDisk { file, identity: identity.finish() }, metadata))
    }
}

/// A directory that is only passed through need not be readable.
#[cfg(target_os = "linux")]
const PASSED: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const PASSED: OFlag = FLAGS.union(OFlag::O_DIRECTORY);

/// The operator's path may have links in it.
fn open_root(path: &Path) -> nix::Result<OwnedFd> {
    open(path, PASSED, Mode::empty())
}

#[cfg(target_os = "linux")]
fn beneath(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};
    let how = OpenHow::new().flags(FLAGS).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let mut result = Err(Errno::EAGAIN);
    for _ in 0..TRIES {
        result = openat2(root, path, how);
        if !matches!(result, Err(Errno::EAGAIN | Errno::EINTR)) {
            break;
        }
    }
    result
}

fn by_steps(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let flags = if names.peek().is_some() { PASSED } else { FLAGS };
        let here = at.as_ref().unwrap_or(root);
        at = Some(match name {
            Component::Normal(name) => openat(here, name.as_bytes(), flags | OFlag::O_NOFOLLOW, Mode::empty())?,
            Component::CurDir => openat(here, ".", flags, Mode::empty())?,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(Errno::EXDEV),
        });
    }
    at.ok_or(Errno::ENOENT)
}

impl From<Errno> for NoFile {
    fn from(error: Errno) -> Self {
        match error {
            // EXDEV: it leads out. ELOOP: a link where none is followed. ENXIO, ENODEV, EOPNOTSUPP: a socket, a device without a driver.
            Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::EXDEV
            | Errno::ELOOP
            | Errno::EMLINK
            | Errno::ENAMETOOLONG
            | Errno::ENXIO
            | Errno::ENODEV
            | Errno::EOPNOTSUPP
            | Errno::EILSEQ => Self::Missing,
            Errno::EACCES | Errno::EPERM => Self::Forbidden,
            Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EAGAIN | Errno::EINTR => Self::Busy,
            other => Self::Broken(other),
        }
    }
}

impl From<io::Error> for NoFile {
    fn from(error: io::Error) -> Self {
        Errno::from_raw(error.raw_os_error().unwrap_or_default()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink, os::unix::net::UnixListener};

    fn ways() -> Vec<Way> {
        vec![
            #[cfg(target_os = "linux")]
            Way::Beneath,
            Way::Steps,
        ]
    }

    /// A directory with files, and a secret beside it.
    fn site() -> (tempfile::TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("site");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "content").unwrap();
        fs::write(above.path().join("secret"), "secret").unwrap();
        symlink("a/b", root.join("within")).unwrap();
        symlink("a/b/file", root.join("within-file")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink(above.path().join("secret"), root.join("absolute")).unwrap();
        symlink("/", root.join("slash")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        symlink("round", root.join("round")).unwrap();
        (above, root)
    }

    fn open(root: &Root, path: &Path) -> Result<Opened, NoFile> {
        root.enter()?.open(path)
    }

    fn kind(opened: Result<Opened, NoFile>) -> Result<&'static str, NoFile> {
        opened.map(|opened| match opened {
            Opened::File(..) => "file",
            Opened::Directory(_) => "directory",
        })
    }

    #[test]
    fn no_path_leaves_the_directory() {
        let (_above, path) = site();
        for way in ways() {
            let root = Root::new(&path).unwrap().by(way);
            let follows = way != Way::Steps;
            let within = |kind: &'static str| if follows { Ok(kind) } else { Err(NoFile::Missing) };
            for (name, expected) in [
                ("", Ok("directory")),
                ("a", Ok("directory")),
                ("a/b/file", Ok("file")),
                ("a/b/file/", if follows { Err(NoFile::Missing) } else { Ok("file") }),
                ("a/c", Err(NoFile::Missing)),
                ("a/b/file/c", Err(NoFile::Missing)),
                ("within", within("directory")),
                ("within/file", within("file")),
                ("within-file", within("file")),
                ("out", Err(NoFile::Missing)),
                ("up", Err(NoFile::Missing)),
                ("up/secret", Err(NoFile::Missing)),
                ("absolute", Err(NoFile::Missing)),
                ("slash/etc/passwd", Err(NoFile::Missing)),
                ("magic/etc/passwd", Err(NoFile::Missing)),
                ("round", Err(NoFile::Missing)),
                ("../secret", Err(NoFile::Missing)),
                ("a/../../secret", Err(NoFile::Missing)),
                ("/etc/passwd", Err(NoFile::Missing)),
            ] {
                assert_eq!(kind(open(&root, Path::new(name))), expected, "{way:?} {name:?}");
            }
            assert_eq!(kind(open(&root, Path::new(&"x".repeat(300)))), Err(NoFile::Missing), "{way:?}");
            assert_eq!(kind(open(&root, Path::new(&"x/".repeat(3000)))), Err(NoFile::Missing), "{way:?}");
        }
    }

    /// Neither waits for a writer, and neither is a file.
    #[test]
    fn things_that_are_no_files_are_not_there() {
        let (_above, path) = site();
        nix::unistd::mkfifo(&path.join("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
        let _socket = UnixListener::bind(path.join("socket")).unwrap();
        for way in ways() {
            let root = Root::new(&path).unwrap().by(way);
            for name in ["fifo", "socket"] {
                assert_eq!(kind(open(&root, Path::new(name))), Err(NoFile::Missing), "{way:?} {name}");
            }
        }
    }

    /// A directory becomes a link that leads out and comes back, thousands of times, while a file in it is opened.
    #[test]
    fn a_directory_that_is_swapped_for_a_link_leads_nowhere() {
        use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
        let (above, path) = site();
        fs::create_dir(above.path().join("elsewhere")).unwrap();
        fs::write(above.path().join("elsewhere/file"), "secret").unwrap();
        fs::create_dir(path.join("real")).unwrap();
        fs::write(path.join("real/file"), "content").unwrap();
        symlink("../elsewhere", path.join("link")).unwrap();
        fs::rename(path.join("real"), path.join("turns")).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    fs::rename(path.join("turns"), path.join("real")).unwrap();
                    fs::rename(path.join("link"), path.join("turns")).unwrap();
                    fs::rename(path.join("turns"), path.join("link")).unwrap();
                    fs::rename(path.join("real"), path.join("turns")).unwrap();
                }
            });
            for way in ways() {
                let root = Root::new(&path).unwrap().by(way);
                let (mut found, mut missed) = (0, 0);
                while found < 300 || missed < 300 {
                    match open(&root, Path::new("turns/file")) {
                        Ok(Opened::File(file, _)) => {
                            let mut content = [0; 7];
                            file.read_at(&mut content, 0).unwrap();
                            assert_eq!(&content, b"content", "{way:?}");
                            found += 1;
                        }
                        Ok(Opened::Directory(_)) => panic!("no directory has this name"),
                        Err(_) => missed += 1,
                    }
                }
            }
            over.store(true, Relaxed);
        });
    }

    #[test]
    fn a_directory_that_cannot_be_served_is_refused_at_the_start() {
        let (_above, path) = site();
        for name in ["a/b/file", "missing"] {
            assert!(Root::new(&path.join(name)).is_err(), "{name}");
        }
    }
}
