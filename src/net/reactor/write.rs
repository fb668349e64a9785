//! Sending: how what one call asked for leaves in one system call, and what happens to the rest.
//!
//! Bytes are written before anything waits. Only what the kernel refuses is queued, and only then does the kernel's next
//! word about room matter: it comes by itself, once, because it refused.
//!
//! A call that has a part of a file for some socket queues everything first: what is before a file may have to leave with it.

use super::{
    connection::{Connection, NONE, Phase},
    io::Io,
    scratch::Scratch,
};
use crate::{
    app::Action,
    net::driver::{Behind, CONFIRMED, Files, Finish, Next, Piece, Pipes, SHARE, SLICES, Socket as _},
    time::Instant,
};
use mio::net::TcpStream;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use std::{
    io::{self, ErrorKind, IoSlice, Write},
    mem,
    net::Shutdown,
};

/// The bytes of the present call for one socket, in order.
#[derive(Clone, Copy)]
struct Staged<'a> {
    actions: &'a [Action],
    chain: &'a [u32],
    scratch: &'a Scratch,
    next: u32,
}

impl<'a> Iterator for Staged<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let action = self.actions.get(self.next as usize)?;
        self.next = self.chain[self.next as usize];
        match action {
            Action::Send(_, bytes) => Some(bytes),
            Action::Forward(_, range) => Some(self.scratch.heard(range.clone())),
            _ => None,
        }
    }
}

impl Io {
    /// Sends what the present call staged for a socket, and ends its stream if that was asked for and nothing is left.
    pub(super) fn send_staged(&mut self, key: usize, actions: &[Action]) {
        let Self { common, scratch, chain, with_files, .. } = self;
        let with_files = *with_files;
        let Some(socket) = common.table.get_mut(key) else { return };
        let (first, _) = mem::replace(&mut socket.staged, (NONE, NONE));
        if first != NONE && socket.broken.is_none() {
            let direct = !with_files && socket.writable && socket.unsent() == 0;
            let staged = Staged { actions, chain, scratch, next: first };
            match if direct { write_staged(socket, staged) } else { Ok(0) } {
                Ok(taken) => {
                    socket.written += taken as u64;
                    if !direct || !socket.writable {
                        keep(socket, taken, actions, chain, scratch, first);
                    }
                    // With files, that is known when their turn has come.
                    socket.unreported |= !with_files && (taken >= CONFIRMED || socket.unsent() > 0);
                }
                Err(error) => socket.broke(error.kind()),
            }
        }
        if with_files {
            return self.send_queued(key);
        }
        finish_if_sent(socket);
        self.common.recount(key);
        self.common.enqueue(key);
    }

    /// Sends what a call has queued that has parts of files.
    fn send_queued(&mut self, key: usize) {
        let taken = self.send_files(key);
        let Some(socket) = self.common.table.get_mut(key) else { return };
        // As for bytes: what has left at once is not told.
        socket.unreported |= socket.broken.is_none() && (taken >= CONFIRMED || socket.unsent() > 0);
        finish_if_sent(socket);
        self.common.recount(key);
        self.common.enqueue(key);
    }

    /// Sends what waits, files included: a share of it, as far as the kernel takes it. Tells how many bytes that were.
    fn send_files(&mut self, key: usize) -> usize {
        let mut total = 0;
        while total < SHARE {
            let Some(socket) = self.common.table.get_mut(key) else { return total };
            if !socket.writable || socket.piped.is_some() || socket.broken.is_some() {
                return total;
            }
            let next = self.common.next_to_send(key);
            let Some(socket) = self.common.table.get_mut(key) else { return total };
            let sent = match next {
                Next::Nothing | Next::Wait => return total,
                Next::Output(behind) => write_output(socket, behind == Behind::Part),
                Next::Piece(len) => {
                    let piece = socket.files.as_mut().map_or(Piece::Refused, |files| files.send(&socket.stream, len));
                    socket.writable = piece != Piece::Refused;
                    match piece {
                        Piece::Broken(kind) => Err(kind.into()),
                        piece => Ok(self.common.note_piece(key, piece)),
                    }
                }
            };
            let Some(socket) = self.common.table.get_mut(key) else { return total };
            match sent {
                Ok(taken) => {
                    socket.written += taken as u64;
                    total += taken;
                }
                Err(error) => socket.broke(error.kind()),
            }
        }
        self.common.enqueue_later(key);
        total
    }

    /// Sends what waits, as far as the kernel takes it.
    pub(super) fn flush(&mut self, key: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        if socket.phase == Phase::Connecting {
            return;
        }
        let mut feeder = None;
        if socket.writable && socket.unsent() > 0 {
            feeder = socket.piped.as_ref().map(|piped| piped.from);
            match drain_pipe(socket, &mut self.common.pipes, self.common.now).and_then(|piped| {
                if socket.files.is_some() { Ok(piped) } else { Ok(piped + write_output(socket, false)?) }
            }) {
                Ok(taken) => {
                    socket.written += taken as u64;
                    socket.unreported |= taken > 0;
                }
                Err(error) => socket.broke(error.kind()),
            }
            if socket.files.is_some() {
                let taken = self.send_files(key);
                let socket = self.common.table.get_mut(key);
                socket.into_iter().for_each(|socket| socket.unreported |= taken > 0 && socket.broken.is_none());
            }
        }
        let Some(socket) = self.common.table.get_mut(key) else { return };
        finish_if_sent(socket);
        self.common.recount(key);
        // There is room for what it sends, or there never will be.
        if let Some((key, _)) = feeder.and_then(|conn| self.common.table.find_mut(conn)) {
            self.common.enqueue(key);
        }
    }
}

/// Queues all but the first `taken` bytes.
fn keep(
    socket: &mut Connection,
    mut taken: usize,
    actions: &[Action],
    chain: &[u32],
    scratch: &mut Scratch,
    first: u32,
) {
    let mut at = first;
    while let Some(action) = actions.get(at as usize) {
        at = chain[at as usize];
        let len = match action {
            Action::Send(_, bytes) => bytes.len(),
            Action::Forward(_, range) => range.len(),
            _ => 0,
        };
        let skip = taken.min(len);
        taken -= skip;
        match action {
            Action::Send(_, bytes) if skip < len => socket.queue(bytes.slice(skip..)),
            Action::Forward(_, range) if scratch.is_worth_sharing(len - skip) => {
                socket.queue(scratch.share(range.start + skip..range.end));
            }
            Action::Forward(_, range) => socket.queue_copy(scratch.heard(range.start + skip..range.end)),
            Action::SendFile(_, part) => Files::push(&mut socket.files, part.clone()),
            _ => {}
        }
    }
}

/// Writes straight from where the bytes are. `writable` tells afterwards whether all of them were taken.
fn write_staged(socket: &mut Connection, mut staged: Staged<'_>) -> io::Result<usize> {
    let mut total = 0;
    while socket.writable
        && let Some(first) = staged.next()
    {
        let (asked, taken) = match (staged.next(), staged.next()) {
            // Nearly always it is one piece, or a head and its content: not worth preparing a list for.
            (None, _) => (first.len(), write(&socket.stream, &[IoSlice::new(first)])?),
            (Some(second), None) => {
                (first.len() + second.len(), write(&socket.stream, &[first, second].map(IoSlice::new))?)
            }
            (Some(second), Some(third)) => {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut filled = 0;
                let pieces = [first, second, third].into_iter().chain(staged.by_ref());
                for (slice, piece) in slices.iter_mut().zip(pieces) {
                    *slice = IoSlice::new(piece);
                    filled += 1;
                }
                let asked = slices[..filled].iter().map(|slice| slice.len()).sum();
                (asked, write(&socket.stream, &slices[..filled])?)
            }
        };
        socket.writable = taken == asked;
        total += taken;
    }
    Ok(total)
}

/// Sends what a splice has for a socket: that is before everything queued.
pub(super) fn drain_pipe(socket: &mut Connection, pipes: &mut Pipes, now: Instant) -> io::Result<usize> {
    let Some(piped) = &mut socket.piped else { return Ok(0) };
    let taken = piped.pipe.drain(&socket.stream)?;
    socket.writable = piped.pipe.len() == 0;
    if socket.writable
        && let Some(piped) = socket.piped.take()
    {
        pipes.give_back(piped.pipe, now);
    }
    Ok(taken)
}

/// Writes from the queue until it is empty or the kernel refuses. `more` follows at once.
fn write_output(socket: &mut Connection, more: bool) -> io::Result<usize> {
    let mut total = 0;
    while socket.writable && !socket.output.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = socket.output.io_slices(&mut slices);
        let asked: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        let slices = &slices[..filled];
        let taken = if more { write_ahead(&socket.stream, slices)? } else { write(&socket.stream, slices)? };
        socket.output.consume(taken);
        socket.writable = taken == asked;
        total += taken;
    }
    Ok(total)
}

/// One system call. A refusal is zero bytes.
fn write(mut stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        let result = match slices {
            [only] => stream.write(only),
            several => stream.write_vectored(several),
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            other => return other,
        }
    }
}

/// As [`write`]; but a segment that is not full waits for what follows (`MSG_MORE`), so that a head and the first bytes of a file share one.
#[cfg(target_os = "linux")]
fn write_ahead(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = nix::libc::MSG_MORE | nix::libc::MSG_NOSIGNAL;
    loop {
        match SockRef::from(stream).send_vectored_with_flags(slices, flags) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            other => return other,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn write_ahead(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    write(stream, slices)
}

/// Ends our stream once everything is sent. A socket that is already gone says so elsewhere.
fn finish_if_sent(socket: &mut Connection) {
    if socket.finish == Finish::Asked && socket.unsent() == 0 && socket.phase != Phase::Connecting {
        let _ = socket.stream.shutdown(Shutdown::Write);
        socket.finish = Finish::Done;
    }
}
