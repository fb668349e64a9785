//! A file server: the files of one directory over HTTP.
//!
//! ```text
//!   clients ──▶ event loop ──▶ FileSession (one each) ── found a moment ago? ──▶ head, then the file by sendfile
//!                                  ▲        │ no
//!                       Waker ◀────┘        └──Question──▶ Disk: a few threads that open, stat, list and compress
//!                       inbox ◀── Reply ───────────────────┘
//! ```
//!
//! | question | answered by |
//! |---|---|
//! | which name in the directory is meant? | `path` |
//! | how is it opened, so that no path leaves the directory? | `root` |
//! | which version of the file is it, and how does a client tell? | `version` |
//! | is an open file still that version? | `stamp` |
//! | which coding of it? | `encoding`, `found` |
//! | does the client have it already, and does it want a part? | `condition`, and the code of the cache |
//! | what is in a directory? | `listing` |
//! | what may this connection read, write and wait for? | [`FileSession`] |
//! | which threads do what takes long? | `disk` |
//!
//! No event loop opens, lists or compresses, nor asks a file system for facts: a disk may be slow, or a server far away. Of an open file it
//! asks the kernel's memory whether it has changed (`stamp`).

mod answer;
mod args;
mod condition;
mod disk;
mod encoding;
mod found;
mod kept;
mod kind;
mod line;
mod listing;
mod log;
mod path;

mod respond;
mod root;
mod run;
mod session;
mod stamp;
#[cfg(test)]
mod tests;
mod version;

pub use args::FileArgs;
pub use disk::{Disk, DiskConfig, Rule};
pub use encoding::Coding;
pub use found::Found;
pub use kept::Kept;
pub use listing::{Directory, Entry, Form, Listing, Order};
pub use path::{NoPlace, Place};
pub use root::{Root, Way};
pub use run::run;
pub use session::FileSession;
pub use version::{Content, Facts, Source, Told, Version};

use crate::http::Limits;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// Content of a request for a file, which means nothing and is forgotten. More: 413.
const MAX_CONTENT: u64 = 64 * 1024;

/// Called with the reply, once, on any thread.
pub type Done = Box<dyn FnOnce(Reply) + Send>;

/// The way to the files.
pub trait Files: Send + Sync {
    /// Answers a question, at some time. Must not wait.
    fn ask(&self, question: Question, done: Done);
}

/// Something that only the file system can tell.
#[derive(Debug)]
pub enum Question {
    /// What is there?
    Look {
        /// Where.
        place: Place,
        /// If it is a directory without an index, what of it is wanted; `None`: nothing.
        listing: Option<Listing>,
    },
    /// The path stands for nothing: is there a page that says so?
    Missing,
    /// How is this file compressed?
    Pack {
        /// Where it is.
        place: Place,
        /// The file.
        found: Arc<Found>,
    },
}

/// The reply to a [`Question`].
#[derive(Debug, Clone)]
pub enum Reply {
    /// A file, or the index of a directory.
    Found(Arc<Found>),
    /// A directory, whole.
    Listing(Form, Bytes),
    /// A directory, whose path has to end with a slash.
    NeedsSlash(Place),
    /// Nothing; and a page that says so, if there is one.
    Missing(Option<Arc<Found>>),
    /// It is compressed, or it was found that this is not worth it.
    Packed(Arc<Found>),
    /// There is no time to compress it.
    Busy(Arc<Found>),
    /// It cannot be told.
    Refused(Refusal),
}

/// Why the file system does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The server has no right to read it.
    Forbidden,
    /// Too many questions wait, or no descriptors are left.
    Busy,
    /// The disk has failed.
    Broken,
}

/// The things that the sessions of one event loop share.
#[derive(Debug)]
pub struct Shared<F> {
    /// The settings.
    pub config: Config,
    /// Where files are.
    pub files: Arc<F>,
    /// Files that were found a moment ago.
    pub kept: Arc<Kept>,
}

/// The settings that all sessions share.
#[derive(Debug, Clone)]
pub struct Config {
    /// How much of anything a request may hold.
    pub limits: Limits,
    /// How long a client may say nothing between two requests, and how long it may take nothing of a response.
    pub idle: Duration,
    /// How long a request's head may take, and its content, which is not wanted.
    pub head: Duration,
    /// How long a question to the file system may take; then the client hears 503.
    pub disk: Duration,
    /// Directories without an index are shown.
    pub listing: bool,
    /// A line in the log for each request.
    pub access_log: bool,
    /// A number that no author of a file can guess: it separates the parts of a response.
    pub boundary: fn() -> u128,
}

impl Default for Config {
    /// As the servers of this project: see [`HttpConfig`](crate::service::HttpConfig).
    fn default() -> Self {
        Self {
            limits: Limits { body: MAX_CONTENT, ..Limits::default() },
            idle: Duration::from_secs(75),
            head: Duration::from_secs(10),
            disk: Duration::from_secs(30),
            listing: true,
            access_log: false,
            boundary: || 0,
        }
    }
}
