//! The events of a socket that the application hears, and their order.

use super::{Proactor, closing::is_passing, complete::kind_of, connection::Phase, heard::Heard, io::Arrival};
use crate::{
    app::{App, ConnId},
    net::{connect, driver::Socket as _},
};
use std::{io::Error, mem};

impl<A: App> Proactor<A> {
    /// Bytes that have arrived, in the order of their arrival.
    pub(super) fn hear_arrivals(&mut self) {
        // Arrivals that are noted meanwhile are for the next turn.
        let mut left = self.io.arrivals.len();
        while left > 0
            && let Some(arrival) = self.io.arrivals.pop_front()
        {
            left -= 1;
            self.io.common.visited += 1;
            self.hear_arrival(arrival);
        }
    }

    pub(super) fn visit_socket(&mut self, key: usize) {
        let Some(socket) = self.io.common.table.get_mut(key) else { return };
        socket.queued = false;
        let conn = socket.conn;
        if socket.phase != Phase::Open {
            return;
        }
        if mem::take(&mut socket.unreported) {
            let unsent = socket.unsent();
            self.app.sent(&mut self.cx, conn, unsent);
            self.settle();
        }
        self.hear_stash(key, conn);
        self.hear_spliced(key, conn);
        self.hear_broken(key, conn);
    }

    fn hear_arrival(&mut self, arrival: Arrival) {
        let key = arrival.key;
        // It was noted for this socket, which stays until that is heard.
        let Some(socket) = self.io.common.table.get_mut(key) else { return self.io.recycle(arrival) };
        socket.arriving -= 1;
        let conn = socket.conn;
        match socket.phase {
            Phase::Gone => {
                self.io.recycle(arrival);
                self.io.bury(key);
            }
            Phase::Flushing(_) | Phase::Lingering(_) => self.io.discard(arrival),
            Phase::Connecting => self.establish(key, conn, arrival.result),
            Phase::Open => {
                self.hear_input(arrival, conn);
                self.io.receive_again(arrival);
                if !is_passing(arrival.result) {
                    self.hear_broken(key, conn);
                }
            }
        }
    }

    /// A connection that we asked for: how did it go?
    fn establish(&mut self, key: usize, conn: ConnId, result: i32) {
        if result < 0 {
            return self.fail(conn, connect::kind_of(&Error::from_raw_os_error(-result)));
        }
        if let Some(socket) = self.io.common.table.get_mut(key) {
            socket.address = None;
            socket.phase = Phase::Open;
            self.io.touch(key);
            self.app.connected(&mut self.cx, conn);
            self.settle();
        }
    }

    fn hear_input(&mut self, arrival: Arrival, conn: ConnId) {
        let Some(socket) = self.io.common.table.get_mut(arrival.key) else { return };
        let full = socket.had_its_share(self.io.turn);
        let unwanted = socket.is_unwanted() || socket.stash.is_some() || full;
        match usize::try_from(arrival.result) {
            // An end after a failed send may be a reset that the send has used up: it must not pass for a clean one.
            Ok(0) if socket.broken.is_some() => {
                socket.ended = true;
                self.io.recycle(arrival);
            }
            Ok(0) => {
                socket.ended = true;
                if unwanted {
                    socket.stash.get_or_insert_default().end = true;
                    self.io.common.enqueue_later(arrival.key);
                }
                self.io.recycle(arrival);
                if !unwanted {
                    self.app.ended(&mut self.cx, conn);
                    self.settle();
                }
            }
            Ok(len) if unwanted => self.stash(arrival, len, full),
            Ok(len) => self.hear_buffer(arrival, conn, len),
            Err(_) if is_passing(arrival.result) => self.io.recycle(arrival),
            Err(_) => {
                let kind = socket.broken.unwrap_or(kind_of(arrival.result));
                self.io.recycle(arrival);
                self.fail(conn, kind);
            }
        }
    }

    /// Lets the application hear a buffer, and gives it back.
    fn hear_buffer(&mut self, arrival: Arrival, conn: ConnId, len: usize) {
        let Some(number) = arrival.buffer else { return };
        let buffers = self.io.buffers(arrival.group);
        let (buffer, size) = (buffers.take(number), buffers.size());
        let done = self.hear(arrival.key, conn, Heard::Own(buffer), len, size);
        let mut heard = mem::replace(&mut self.io.heard, Heard::nothing());
        // A splice ended in the middle of it.
        if done < len
            && let Some(socket) = self.io.common.table.tenant(arrival.key, conn)
        {
            socket.keep(heard.keep(done..len, size));
        }
        self.io.buffers(arrival.group).return_heard(number, heard);
        if done < len {
            self.hear_stash(arrival.key, conn);
        }
    }

    /// Lets the application hear the first `len` bytes of a buffer, or as many of them as a splice still has to pass on;
    /// tells how many that were.
    fn hear(&mut self, key: usize, conn: ConnId, heard: Heard, len: usize, size: usize) -> usize {
        let splice = self.io.count_spliced(conn, len);
        let len = splice.map_or(len, |(_, moved)| moved);
        if let Some(socket) = self.io.common.table.tenant(key, conn) {
            socket.count(self.io.turn, len);
        }
        self.io.heard = heard;
        self.io.heard_in = size;
        let input = self.io.heard.part(0..len);
        self.cx.hear(input);
        if let Some((to, moved)) = splice {
            self.cx.forward(to, input);
            self.cx.hear(&[]);
            self.app.spliced(&mut self.cx, conn, moved as u64);
        } else {
            self.app.received(&mut self.cx, conn, input);
            self.cx.hear(&[]);
        }
        self.settle();
        len
    }

    /// Keeps what arrived for who does not want it now: it is out of the kernel already.
    fn stash(&mut self, arrival: Arrival, len: usize, soon: bool) {
        let Some(number) = arrival.buffer else { return };
        let buffers = self.io.buffers(arrival.group);
        let (buffer, size) = (buffers.take(number), buffers.size());
        let mut heard = Heard::Own(buffer);
        let kept = heard.keep(0..len, size);
        buffers.return_heard(number, heard);
        if let Some(socket) = self.io.common.table.get_mut(arrival.key) {
            socket.keep(kept);
        }
        if soon {
            self.io.common.enqueue_later(arrival.key);
        }
    }

    /// Lets the application hear the input that was kept, as far as it wants it by now.
    fn hear_stash(&mut self, key: usize, conn: ConnId) {
        while let Some(socket) = self.io.common.table.tenant(key, conn)
            && socket.phase == Phase::Open
            && !socket.is_unwanted()
        {
            let full = socket.had_its_share(self.io.turn);
            let Some(stash) = &mut socket.stash else { return };
            if full {
                return self.io.common.enqueue_later(key);
            }
            if let Some(bytes) = stash.input.pop_front() {
                let len = bytes.len();
                let done = self.hear(key, conn, Heard::Shared(bytes), len, len);
                let mut heard = mem::replace(&mut self.io.heard, Heard::nothing());
                if done < len
                    && let Some(socket) = self.io.common.table.tenant(key, conn)
                {
                    socket.keep_first(heard.share(done..len));
                }
                continue;
            }
            let end = stash.end;
            socket.stash = None;
            self.io.touch(key);
            if end {
                self.app.ended(&mut self.cx, conn);
                self.settle();
            }
        }
    }

    /// The failure of a connection, once everything before it was heard.
    fn hear_broken(&mut self, key: usize, conn: ConnId) {
        if let Some(socket) = self.io.common.table.tenant(key, conn)
            && let Some(kind) = socket.broken
            && socket.is_heard_out()
        {
            self.fail(conn, kind);
        }
    }
}
