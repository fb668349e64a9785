//! Kinds of stderr that are not read.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::{
    fs::File,
    io::{ErrorKind, PipeReader, Write as _, pipe},
    process::Stdio,
};

/// The ways in which stderr is not read. Each has its own error, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeafStderr {
    /// A pipe with no room left: a write waits.
    Full,
    /// A pipe without a reader: `EPIPE`.
    Closed,
    /// A device without room: `ENOSPC`.
    NoSpace,
}

impl DeafStderr {
    pub const ALL: [Self; 3] = [Self::Full, Self::Closed, Self::NoSpace];

    /// The stream, and what has to be kept as long as the program runs.
    pub fn open(self) -> (Stdio, Option<PipeReader>) {
        match self {
            Self::Full => {
                let (reader, stdio) = full_pipe();
                (stdio, Some(reader))
            }
            Self::Closed => {
                let (reader, writer) = pipe().expect("descriptors are left");
                drop(reader);
                (writer.into(), None)
            }
            Self::NoSpace => (File::options().write(true).open("/dev/full").expect("Linux has it").into(), None),
        }
    }
}

/// A pipe without room, and the end at which some can be made.
pub fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = pipe().expect("descriptors are left");
    // The flag belongs to the pipe's end and not to the descriptor: the program would inherit it.
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("it is a pipe");
    while let Ok(1..) = writer.write(&[b'.'; 4096]) {}
    assert_eq!(writer.write(b".").map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).expect("it is a pipe");
    (reader, writer.into())
}
