//! The files of a directory: what they hold, and what a crash may have left of them.
//!
//! ```text
//!   store.000004.base     all keys when the fourth log began
//!   store.000004.log      what has changed since
//!   store.000005.log      what has changed since the next rewrite began, which has not come to its end
//! ```
//!
//! They hold commands as clients send them. Behind each batch that was written at once stands a line `#CRC:` with a checksum of it, which a
//! reader of commands may skip. A batch without its line at the end of the last log was being written at a crash: it is cut off, and said.
//! Anything else that is not whole is damage, which no crash does, and the server does not start.

use super::{
    client::{Client, Replies},
    engine::Engine,
    request::{Limits, Parser, Step},
};
use crate::disk::lock;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The beginning of a checksum's line, and the length of that line.
const MARK: &[u8] = b"#CRC:";
const LINE: usize = MARK.len() + 8 + 2;

/// Bytes that are read at once.
const READ: usize = 1024 * 1024;

/// A directory, held by this process.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The number of the last log.
    pub(crate) number: u64,
    /// The number of the base that is in use; 0: there is none.
    pub(crate) base: u64,
}

/// A sentence about a file that cannot be used.
type Problem = String;

/// The line behind a batch.
pub(crate) fn seal(batch: &[u8]) -> Vec<u8> {
    format!("#CRC:{:08x}\r\n", crc32fast::hash(batch)).into_bytes()
}

impl Folder {
    /// Makes the directory if there is none, and takes hold of it.
    ///
    /// # Errors
    ///
    /// One line: it is another server's, or cannot be used.
    pub(crate) fn open(path: &Path) -> Result<Self, Problem> {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        lock(path).map_err(|_| {
            format!("{} is in use by another server: give this one a --data of its own", path.display())
        })?;
        let (mut logs, mut bases) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix("store.") else { continue };
            let (number, kind) = rest.split_once('.').unwrap_or((rest, ""));
            match (number.parse::<u64>(), kind) {
                (Ok(number), "log") => logs.push(number),
                (Ok(number), "base") => bases.push(number),
                _ => {}
            }
        }
        let base = bases.into_iter().max().unwrap_or(0);
        let number = logs.into_iter().max().unwrap_or(1).max(base);
        Ok(Self { path: path.to_owned(), number, base })
    }

    pub(crate) fn log(&self, number: u64) -> PathBuf {
        self.path.join(format!("store.{number:06}.log"))
    }

    pub(crate) fn base(&self, number: u64) -> PathBuf {
        self.path.join(format!("store.{number:06}.base"))
    }

    pub(crate) fn unfinished(&self) -> PathBuf {
        self.path.join("store.unfinished")
    }

    /// Has the disk keep names as they are now.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Removes files that are not read any more.
    pub(crate) fn tidy(&self) {
        let old = (1..self.base).flat_map(|number| [self.log(number), self.base(number)]);
        for path in old.chain([self.unfinished()]) {
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!("{} could not be removed: {error}", path.display()),
            }
        }
    }

    /// Opens a log to write behind what it has.
    pub(crate) fn append_to(&self, number: u64) -> io::Result<(File, u64)> {
        let path = self.log(number);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let len = file.metadata()?.len();
        Ok((file, len))
    }

    /// Runs all that the files hold. Tells their length.
    ///
    /// # Errors
    ///
    /// One line: a file is damaged.
    pub(crate) fn load(&self, engine: &mut Engine) -> Result<u64, Problem> {
        let mut loader = Loader { client: Client::new(0, 0, String::new(), true, 0), engine };
        loader.client.replies = Replies::Off;
        loader.engine.keys.expires = false;
        let mut total = 0;
        if self.base > 0 {
            total += loader.file(&self.base(self.base), false)?;
        }
        for number in self.base.max(1)..=self.number {
            let path = self.log(number);
            if path.exists() {
                total += loader.file(&path, number == self.number)?;
            }
        }
        loader.engine.keys.expires = true;
        loader.engine.keys.ready.clear();
        Ok(total)
    }
}

struct Loader<'e> {
    client: Client,
    engine: &'e mut Engine,
}

/// The beginning of a buffer.
enum Batch {
    /// Commands, of this many bytes, and their line.
    Whole(usize),
    More,
    /// It is not as it was written.
    Damaged,
}

/// Looks for the end of a batch.
fn batch(bytes: &[u8], parser: &mut Parser, at: &mut usize) -> Batch {
    let limits = Limits { bulk: i64::MAX / 2, known: true };
    loop {
        match bytes.get(*at) {
            None => return Batch::More,
            Some(b'#') => {
                let Some(line) = bytes.get(*at..*at + LINE) else { return Batch::More };
                return if line == seal(&bytes[..*at]) { Batch::Whole(*at) } else { Batch::Damaged };
            }
            Some(b'*') => match parser.next(&bytes[*at..], limits) {
                Ok(Step::More) => return Batch::More,
                Ok(Step::Command(len)) => {
                    *at += len;
                    parser.reset();
                }
                Err(_) => return Batch::Damaged,
            },
            Some(_) => return Batch::Damaged,
        }
    }
}

impl Loader<'_> {
    /// Runs one file. The end of the last one may be torn.
    fn file(&mut self, path: &Path, may_be_torn: bool) -> Result<u64, Problem> {
        let shown = path.display();
        let failed = |error: io::Error| format!("{shown}: {error}");
        let mut file = File::open(path).map_err(failed)?;
        let (mut held, mut good, mut is_end) = (Vec::new(), 0_u64, false);
        let (mut parser, mut at) = (Parser::default(), 0);
        loop {
            match batch(&held, &mut parser, &mut at) {
                Batch::Whole(len) => {
                    self.run(&held[..len]);
                    held.drain(..len + LINE);
                    good += (len + LINE) as u64;
                    (parser, at) = (Parser::default(), 0);
                }
                Batch::More if !is_end => {
                    is_end = (&mut file).take(READ as u64).read_to_end(&mut held).map_err(failed)? == 0;
                }
                Batch::More if held.is_empty() => return Ok(good),
                Batch::More | Batch::Damaged => {
                    file.read_to_end(&mut held).map_err(failed)?;
                    // Whole batches behind it: then it is not the end that is torn.
                    let is_middle = held.windows(LINE + 2).any(is_line);
                    if is_middle || !may_be_torn {
                        return Err(format!(
                            "{shown} is damaged behind byte {good}, which no crash does: restore it from a copy, or give up what follows with `truncate -s {good} {shown}`"
                        ));
                    }
                    tracing::warn!("{shown}: the last {} bytes were being written at a crash: cut off", held.len());
                    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                    file.set_len(good).and_then(|()| file.sync_all()).map_err(failed)?;
                    return Ok(good);
                }
            }
        }
    }

    fn run(&mut self, commands: &[u8]) {
        self.engine.replay(&mut self.client, commands);
    }
}

/// Whether this is the line behind a batch, and the end of the line before it.
fn is_line(bytes: &[u8]) -> bool {
    let inner = bytes
        .strip_prefix(b"\r\n")
        .and_then(|rest| rest.strip_prefix(MARK))
        .and_then(|rest| rest.strip_suffix(b"\r\n"));
    inner.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}
