//! Parts of files that wait to be sent on one connection, each with the bytes that come behind it.
//!
//! ```text
//!   output │ first part │ bytes behind it │ next part │ bytes behind it
//!          └ its turn when the output is empty; when it is sent, the bytes behind it are the output
//! ```
//!
//! The next bytes of the first part go one of three ways:
//!
//! - A few that are in the kernel's memory ([`cached`]) are read and sent with the bytes around them: a head and a small file are one
//!   write. Below [`SMALL`], the copy costs less than a system call of its own.
//! - Many that are in the kernel's memory are sent from there ([`sendfile`]).
//! - Others a thread reads first ([`reads`]), into the kernel's memory if the file has a place there, else for us. Meanwhile the connection
//!   waits, and no other does.

mod cached;
mod reads;
mod sendfile;

pub(super) use reads::Reads;
pub(in crate::net) use sendfile::Piece;

use crate::{
    app::ConnId,
    buf::{FilePart, Output, Unreadable},
    net::options::{AHEAD, FILE_AHEAD, set_ahead},
};
use bytes::Bytes;
use cached::Cached;
use reads::{Ask, Pending, Want};
use std::{collections::VecDeque, mem, os::fd::AsFd};

/// Parts up to this size are read, if they are cached. Measured over loopback, microseconds of CPU for a head and a file by a read and one
/// write, or by a write and a sendfile: 4 KiB 11.7 and 13.6, 16 KiB 16.6 and 18.2, 32 KiB 18.7 and 18.0, 256 KiB 71 and 49.
pub(in crate::net) const SMALL: u64 = 16 * 1024;

/// Small parts are gathered until so many bytes are ready for one write: as many as the kernel takes in one segment of its own (GSO).
pub(super) const GATHERED: usize = 64 * 1024;

/// Bytes that are looked at and sent at once from the kernel's memory. With more, the first of them could be gone again before they are sent;
/// with less, there are more calls. Half of a socket's share of a turn.
const PIECE: u64 = 512 * 1024;

/// A part with more left than this is large: the kernel takes more of it ahead ([`FILE_AHEAD`]).
const LARGE: u64 = PIECE / 2;

/// Bytes that a thread reads for us at once. Each client of a slow file may have them waiting in our memory, so it is no more than a
/// client that reads nothing costs in other ways.
const COPIED: u64 = 64 * 1024;

/// The parts that wait behind the output of a connection: one at least.
#[derive(Debug)]
pub struct Files {
    first: Sending,
    more: VecDeque<Sending>,
    /// Bytes of all parts.
    left: u64,
    /// Bytes behind parts, in our memory.
    held: usize,
    /// The kernel takes [`FILE_AHEAD`] from us.
    far_ahead: bool,
}

/// One part, and what comes after it.
#[derive(Debug)]
struct Sending {
    part: FilePart,
    known: Known,
    /// Its bytes cannot be sent from the kernel's memory: threads read them for us.
    slow: bool,
    after: Output,
}

/// A connection of which a part of a file cannot be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) key: usize,
    pub(super) conn: ConnId,
    pub(super) why: Unreadable,
}

/// The bytes behind the output of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Behind {
    /// None that can be sent at once.
    Nothing,
    /// A part of a file: the last segment of the output waits for it, so that a head and a short body leave together.
    Part,
    /// A large part, which needs no room in a segment of others: a head before it leaves alone. To wait for the part costs more, since then the
    /// pages of the file lie across segments: over loopback, with a server that does nothing else, 118 µs of CPU for 1 MiB, and 91 without. At
    /// 256 KiB both were the same, and of 128 KiB and less, one segment less saved a third.
    LargePart,
}

/// The knowledge about the next bytes of a part.
#[derive(Debug)]
enum Known {
    Nothing,
    /// This number of them is in the kernel's memory.
    Cached(usize),
    /// A thread was asked to read them.
    Asked(Pending),
    /// A thread has read them into the kernel's memory.
    Warmed,
    /// They cannot be read, and that has been said.
    Lost,
}

/// The next step of a part.
#[derive(Debug)]
pub(super) enum Look {
    /// This number of bytes was put into the output.
    Copied(usize),
    /// This number can be sent.
    Cached(usize),
    /// A thread has to read some.
    Ask(Ask),
    /// A thread reads.
    Wait,
    /// Nothing more can be had of it.
    Lost(Unreadable),
}

impl Sending {
    fn new(part: FilePart) -> Self {
        Self { slow: part.file.descriptor().is_none(), part, known: Known::Nothing, after: Output::new() }
    }

    fn ask(&self, want: Want, most: u64) -> Look {
        let len = usize::try_from(self.part.length.min(most)).unwrap_or(usize::MAX);
        Look::Ask(Ask { file: self.part.file.clone(), at: self.part.at, len, want })
    }

    fn look(&mut self, output: &mut Output) -> Look {
        match self.known {
            Known::Cached(len) => return Look::Cached(len),
            Known::Asked(_) | Known::Lost => return Look::Wait,
            Known::Nothing | Known::Warmed => {}
        }
        let small = self.part.length <= SMALL;
        let Some(file) = self.part.file.descriptor().filter(|_| !self.slow) else {
            return self.ask(Want::Bytes, COPIED);
        };
        let found = if small {
            let len = usize::try_from(self.part.length).unwrap_or(usize::MAX);
            let tail = output.tail(len);
            let begin = tail.len();
            tail.resize(begin + len, 0);
            let found = cached::read(file, &mut tail[begin..], self.part.at);
            tail.truncate(begin + if let Cached::Bytes(len) = found { len } else { 0 });
            found
        } else {
            let len = usize::try_from(self.part.length.min(PIECE)).unwrap_or(usize::MAX);
            cached::look(file, self.part.at, len)
        };
        match found {
            Cached::Bytes(len) if small => Look::Copied(len),
            Cached::Bytes(len) => {
                self.known = Known::Cached(len);
                Look::Cached(len)
            }
            // The bytes that were read a moment ago are gone again: memory is short. So they are read for us.
            Cached::No if small || matches!(self.known, Known::Warmed) => self.ask(Want::Bytes, COPIED),
            Cached::No => self.ask(Want::Warm, PIECE),
            Cached::Untold => {
                self.slow = true;
                self.ask(Want::Bytes, COPIED)
            }
            Cached::End => Look::Lost(Unreadable::Truncated),
        }
    }
}

impl Files {
    fn new(part: FilePart) -> Self {
        Self { left: part.length, first: Sending::new(part), more: VecDeque::new(), held: 0, far_ahead: false }
    }

    /// Adds a part behind everything.
    pub(in crate::net) fn push(slot: &mut Option<Box<Self>>, part: FilePart) {
        match slot {
            None => *slot = Some(Box::new(Self::new(part))),
            Some(files) => {
                files.left += part.length;
                files.more.push_back(Sending::new(part));
            }
        }
    }

    /// Adds bytes behind everything.
    pub(in crate::net) fn push_bytes(&mut self, bytes: Bytes) {
        self.held += bytes.len();
        self.last().push(bytes);
    }

    /// Adds a copy of bytes behind everything.
    pub(in crate::net) fn extend(&mut self, bytes: &[u8]) {
        self.held += bytes.len();
        self.last().extend(bytes);
    }

    fn last(&mut self) -> &mut Output {
        &mut self.more.back_mut().unwrap_or(&mut self.first).after
    }

    /// Bytes that wait.
    pub(in crate::net) fn unsent(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX).saturating_add(self.held)
    }

    /// Of these, bytes in our memory.
    pub(in crate::net) fn held(&self) -> usize {
        self.held
    }

    /// Whether a thread reads for it, so that its peer waits for us.
    pub(in crate::net) fn is_held_up(&self) -> bool {
        matches!(self.first.known, Known::Asked(_))
    }

    /// The next step. Few bytes are put into the output at once, behind what is there; that is to be
    /// [counted](Files::advance).
    pub(super) fn look(&mut self, output: &mut Output) -> Look {
        self.first.look(output)
    }

    /// A thread was asked.
    pub(super) fn wait(&mut self, pending: Pending) {
        self.first.known = Known::Asked(pending);
    }

    /// A read has been answered. Tells whether it is the one that is waited for.
    pub(super) fn take(&mut self, ticket: u64) -> bool {
        let awaited = matches!(&self.first.known, Known::Asked(pending) if pending.is(ticket));
        if awaited && let Known::Asked(pending) = mem::replace(&mut self.first.known, Known::Warmed) {
            pending.over();
        }
        awaited
    }

    /// Nothing more can be had of the first part: nothing more is sent.
    pub(super) fn lose(&mut self) {
        self.first.known = Known::Lost;
    }

    /// The first part cannot be sent from the kernel's memory.
    pub(super) fn slow_down(&mut self) {
        (self.first.slow, self.first.known) = (true, Known::Nothing);
    }

    /// The first part, as what follows the output.
    pub(super) fn behind(&self) -> Behind {
        if self.first.part.length > LARGE { Behind::LargePart } else { Behind::Part }
    }

    /// Sends up to `most` bytes of the first part, which are in the kernel's memory.
    pub(in crate::net) fn send(&mut self, socket: &impl AsFd, most: usize) -> Piece {
        // Bytes of ours follow the part, so the end of it is sent as they are.
        let far_ahead = self.first.part.length > LARGE;
        if self.far_ahead != far_ahead && set_ahead(socket, if far_ahead { FILE_AHEAD } else { AHEAD }).is_ok() {
            self.far_ahead = far_ahead;
        }
        match self.first.part.file.descriptor() {
            Some(file) => sendfile::send(socket, file, self.first.part.at, most),
            None => Piece::Unsupported,
        }
    }

    /// The next `len` bytes of the first part are sent, or in the output. Behind the last of them comes what is behind the part.
    pub(super) fn advance(slot: &mut Option<Box<Self>>, output: &mut Output, len: usize) {
        let Some(files) = slot else { return };
        let Self { first, more, left, held, .. } = &mut **files;
        let len = first.part.length.min(len as u64);
        *left -= len;
        first.part.at += len;
        first.part.length -= len;
        first.known = match first.known {
            Known::Cached(known) if known as u64 > len => Known::Cached(known - usize::try_from(len).unwrap_or(known)),
            _ => Known::Nothing,
        };
        if first.part.length > 0 {
            return;
        }
        *held -= first.after.len();
        while let Some(piece) = first.after.pop() {
            output.push(piece);
        }
        match more.pop_front() {
            Some(next) => *first = next,
            None => *slot = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buf::Readable;
    use std::{fs::File, sync::Arc};

    fn file(len: u64) -> Arc<File> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        Arc::new(file)
    }

    fn part(file: &Arc<impl Readable + 'static>, length: u64) -> FilePart {
        FilePart { file: file.clone(), at: 0, length }
    }

    #[test]
    fn bytes_behind_a_part_become_the_output_when_it_is_sent() {
        let file = file(100);
        let (mut slot, mut output) = (None, Output::new());
        Files::push(&mut slot, part(&file, 10));
        slot.as_mut().unwrap().extend(b"one");
        Files::push(&mut slot, part(&file, 20));
        slot.as_mut().unwrap().push_bytes(Bytes::from_static(b"three"));
        let counts = |slot: &Option<Box<Files>>| slot.as_ref().map(|files| (files.unsent(), files.held()));
        assert_eq!(counts(&slot), Some((38, 8)));
        Files::advance(&mut slot, &mut output, 9);
        assert_eq!((counts(&slot), output.len()), (Some((29, 8)), 0));
        Files::advance(&mut slot, &mut output, 1);
        assert_eq!((counts(&slot), output.len()), (Some((25, 5)), 3));
        Files::advance(&mut slot, &mut output, 20);
        assert_eq!((counts(&slot), output.len()), (None, 8));
        assert_eq!(Arc::strong_count(&file), 1, "it is let go of");
    }

    /// Where the system has no sendfile for a file, threads read all of it.
    #[test]
    fn a_file_that_cannot_be_sent_from_the_kernels_memory_is_read() {
        let (mut slot, mut output) = (None, Output::new());
        Files::push(&mut slot, part(&file(1 << 20), 1 << 20));
        let files = slot.as_mut().unwrap();
        files.slow_down();
        let Look::Ask(ask) = files.look(&mut output) else { panic!("it is not read") };
        assert_eq!((ask.at, ask.len as u64, ask.want), (0, COPIED, Want::Bytes));
    }

    /// The bytes behind it, and the next response, are ours again: they take memory of the kernel's.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_takes_more_ahead_of_a_large_file_except_of_its_end() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        #[allow(clippy::disallowed_methods)] // A connection of which only an option is looked at.
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        set_ahead(&socket, AHEAD).unwrap();
        let ahead = || socket2::SockRef::from(&socket).tcp_notsent_lowat().unwrap();
        let (mut slot, mut output) = (None, Output::new());
        let send = |slot: &mut Option<Box<Files>>| {
            assert!(!matches!(slot.as_mut().unwrap().send(&socket, 1), Piece::Broken(_) | Piece::Unreadable(_)));
            ahead()
        };
        Files::push(&mut slot, part(&file(LARGE), LARGE));
        assert_eq!(send(&mut slot), AHEAD, "not large");
        Files::push(&mut slot, part(&file(2 * LARGE), 2 * LARGE));
        Files::advance(&mut slot, &mut output, LARGE as usize);
        assert_eq!(send(&mut slot), FILE_AHEAD);
        Files::advance(&mut slot, &mut output, LARGE as usize);
        assert_eq!(send(&mut slot), AHEAD, "the end of it");
    }

    #[test]
    fn parts_up_to_the_limit_are_read_with_the_bytes_around_them() {
        let file = file(0);
        file.set_len(2 * SMALL).unwrap();
        // Bytes that were read are in the kernel's memory.
        std::os::unix::fs::FileExt::read_exact_at(&*file, &mut vec![0; 2 * SMALL as usize], 0).unwrap();
        for (length, copied) in [(SMALL, SMALL as usize), (SMALL + 1, 0)] {
            let (mut slot, mut output) = (None, Output::new());
            Files::push(&mut slot, part(&file, length));
            let found = slot.as_mut().unwrap().look(&mut output);
            if cfg!(target_os = "linux") {
                assert_eq!(output.len(), copied, "{length}: {found:?}");
            }
        }
    }
}
