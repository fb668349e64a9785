//! The end of a socket, after the application let go of it. Why it lingers, and for how long, is told in
//! `net/driver/closing.rs`.
//!
//! The last step is special here: the kernel works with the socket and its buffers until it says that it does not, so
//! everything is cancelled first, and the descriptor is closed when the last completion has come.

use super::{
    buffers::Group,
    connection::{Connection, Phase, Receiving},
    io::{Arrival, Io},
    operations::Kind,
};
use crate::{
    app::Reads,
    net::driver::{ALLOWANCE, Finish, Socket as _},
};
use nix::libc;
use socket2::Socket;
use std::{
    io::ErrorKind,
    mem::{self, MaybeUninit},
    net::Shutdown,
    time::Duration,
};

impl Io {
    /// After what was queued: no more. The socket keeps its key and loses its name.
    pub(super) fn close(&mut self, key: usize, linger: bool) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        socket.linger = linger;
        let conn = socket.conn;
        if socket.phase == Phase::Connecting || socket.broken.is_some() {
            self.bid_farewell(key, false);
        } else if socket.unsent() == 0 {
            self.common.table.unname(conn);
            self.hang_up(key);
        } else {
            socket.phase = Phase::Flushing(ALLOWANCE);
            socket.confirmed = socket.progress().acknowledged;
            self.common.table.unname(conn);
            self.common.begin_closing(key);
            self.touch(key);
            self.clear_the_way(key);
        }
    }

    /// Everything is sent: announces our end, and waits for the peer's.
    pub(super) fn hang_up(&mut self, key: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        // Input that waits would turn closing into a reset, whatever the application expects.
        if socket.ended || !(socket.linger || has_unread(socket)) {
            return self.bid_farewell(key, false);
        }
        if socket.finish != Finish::Done {
            let _ = socket.socket.shutdown(Shutdown::Write);
            socket.finish = Finish::Done;
        }
        let left = if let Phase::Flushing(left) = socket.phase { left } else { ALLOWANCE };
        socket.phase = Phase::Lingering(left);
        socket.stash = None;
        socket.reads = Reads::Small;
        self.common.begin_closing(key);
        self.touch(key);
    }

    /// Now, and so that the peer sees that something broke: the kernel sends a reset instead of an end.
    pub(super) fn abort(&mut self, key: usize) {
        self.bid_farewell(key, true);
    }

    /// Closes a socket whatever it was doing, as soon as the kernel has let go of it.
    pub(super) fn bid_farewell(&mut self, key: usize, reset: bool) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        let before = mem::replace(&mut socket.phase, Phase::Gone);
        let conn = socket.conn;
        if before == Phase::Gone {
            return;
        }
        if reset {
            let _ = socket.socket.set_linger(Some(Duration::ZERO));
        }
        socket.stash = None;
        socket.piped = None;
        socket.files = None;
        let running = [
            (socket.sending, Kind::Send),
            (socket.watched, Kind::Watch),
            (socket.looking, Kind::Readable),
            (socket.crammed, Kind::Writable),
            (before == Phase::Connecting, Kind::Connect),
        ];
        for (_, kind) in running.into_iter().filter(|(running, _)| *running) {
            self.ring.cancel(kind.token(key));
        }
        self.stop_receiving(key);
        if matches!(before, Phase::Flushing(_) | Phase::Lingering(_)) {
            self.common.closing.set(key, None, self.common.now);
        } else {
            self.common.table.unname(conn);
        }
        self.common.recount(key);
        self.clear_the_way(key);
        self.bury(key);
    }

    /// Closes a socket that has not come to its end. If something was still to be sent, with a reset: the peer must not
    /// take what it has for the whole.
    pub(super) fn end(&mut self, key: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        let reset = !matches!(socket.phase, Phase::Lingering(_));
        self.bid_farewell(key, reset);
    }

    /// Throws away what arrived for a socket that is closing.
    pub(super) fn discard(&mut self, arrival: Arrival) {
        self.recycle(arrival);
        let Some(socket) = self.common.table.get_mut(arrival.key) else { return };
        let (Phase::Flushing(left) | Phase::Lingering(left)) = &mut socket.phase else { return };
        match u32::try_from(arrival.result) {
            Ok(0) => socket.ended = true,
            Ok(len) => {
                *left = left.saturating_sub(len);
                // It was said to have nothing more to say, and speaks.
                socket.linger = true;
            }
            Err(_) if is_passing(arrival.result) => {}
            Err(_) => return self.bid_farewell(arrival.key, false),
        }
        if socket.ended && matches!(socket.phase, Phase::Lingering(_)) {
            return self.bid_farewell(arrival.key, false);
        }
        self.receive_again(arrival);
    }

    /// A receive operation was heard. Without a small buffer for it, the socket has to wait for its turn; without a large one, it
    /// takes a small one next ([`Connection::much`]).
    pub(super) fn receive_again(&mut self, arrival: Arrival) {
        if is_starved(arrival.result) && arrival.group == Group::Small {
            self.starved.push_back(arrival.key);
        } else {
            self.touch(arrival.key);
        }
    }
}

/// Whether the peer has said something that the application has not heard, or has broken the connection. While the kernel
/// receives for it, it has taken everything.
pub(super) fn has_unread(socket: &Connection) -> bool {
    let receives = matches!(socket.receiving, Receiving::Many | Receiving::Once(_));
    let noted = socket.stash.is_some() || socket.arriving > 0;
    noted || !(receives || matches!(peek(&socket.socket), Ok(false)))
}

/// Whether a read would find something, an end included.
fn peek(socket: &Socket) -> Result<bool, ErrorKind> {
    loop {
        return match socket.recv_with_flags(&mut [MaybeUninit::uninit()], libc::MSG_PEEK | libc::MSG_DONTWAIT) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.kind()),
        };
    }
}

/// Whether a receive operation ended for a reason that is not the connection's: it is asked for again.
pub(super) fn is_passing(result: i32) -> bool {
    matches!(-result, libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN | libc::ENOMEM)
}

/// Whether there was no buffer to receive into.
pub(super) fn is_starved(result: i32) -> bool {
    result == -libc::ENOBUFS
}
