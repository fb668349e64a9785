//! Sending: how what one call asked for leaves in one system call, and what happens to the rest.
//!
//! Bytes are written before anything waits. Only what the kernel refuses is queued, and only then does the kernel's next
//! word about room matter: it comes by itself, once, because it refused.

use super::{
    connection::{Connection, NONE, Phase},
    io::Io,
    scratch::Scratch,
};
use crate::{
    app::Action,
    net::driver::{CONFIRMED, Finish, Pipes, SLICES, Socket as _},
};
use mio::net::TcpStream;
use std::{
    io::{self, ErrorKind, IoSlice, Write},
    mem,
    net::Shutdown,
    time::Instant,
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
        let Self { common, scratch, chain, .. } = self;
        let Some(socket) = common.table.get_mut(key) else { return };
        let (first, _) = mem::replace(&mut socket.staged, (NONE, NONE));
        if first != NONE && socket.broken.is_none() {
            let direct = socket.writable && socket.unsent() == 0;
            let staged = Staged { actions, chain, scratch, next: first };
            match if direct { write_staged(socket, staged) } else { Ok(0) } {
                Ok(taken) => {
                    socket.written += taken as u64;
                    if !direct || !socket.writable {
                        keep(socket, taken, actions, chain, scratch, first);
                    }
                    socket.unreported |= taken >= CONFIRMED || socket.unsent() > 0;
                }
                Err(error) => socket.broke(error.kind()),
            }
        }
        finish_if_sent(socket);
        self.common.recount(key);
        self.common.enqueue(key);
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
            match drain_pipe(socket, &mut self.common.pipes, self.common.now)
                .and_then(|piped| Ok(piped + write_output(socket)?))
            {
                Ok(taken) => {
                    socket.written += taken as u64;
                    socket.unreported |= taken > 0;
                }
                Err(error) => socket.broke(error.kind()),
            }
        }
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
            Action::Send(_, bytes) if skip < len => socket.output.push(bytes.slice(skip..)),
            Action::Forward(_, range) if scratch.is_worth_sharing(len - skip) => {
                socket.output.push(scratch.share(range.start + skip..range.end));
            }
            Action::Forward(_, range) => socket.output.extend(scratch.heard(range.start + skip..range.end)),
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

/// Writes from the queue until it is empty or the kernel refuses.
fn write_output(socket: &mut Connection) -> io::Result<usize> {
    let mut total = 0;
    while socket.writable && !socket.output.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = socket.output.io_slices(&mut slices);
        let asked: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        let taken = write(&socket.stream, &slices[..filled])?;
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

/// Ends our stream once everything is sent. A socket that is already gone says so elsewhere.
fn finish_if_sent(socket: &mut Connection) {
    if socket.finish == Finish::Asked && socket.unsent() == 0 && socket.phase != Phase::Connecting {
        let _ = socket.stream.shutdown(Shutdown::Write);
        socket.finish = Finish::Done;
    }
}
