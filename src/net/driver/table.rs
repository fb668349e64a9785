//! Which socket has which name.
//!
//! Sockets have keys of their own, which the kernel's events carry; names lead to keys. So a name can be given away while
//! its old socket is still closing, and closing needs no system call to change what events say.

use super::{Closing, file::Files};
use crate::{
    app::{ConnId, Progress},
    buf::Output,
};
use slab::Slab;

/// The name of no place in a table.
const NONE: u32 = u32::MAX;

/// The facts that every event loop has to know of a socket.
pub trait Socket {
    /// The connection that it is, or was: it outlives the name while it is closing.
    fn conn(&self) -> ConnId;
    /// Whether it came in by a listener: then it counts against the limit of connections.
    fn accepted(&self) -> bool;
    /// Whether the application let go of it, and how far it has come since.
    fn closing(&self) -> Option<Closing>;
    /// Whether a visit would do anything.
    fn has_work(&self) -> bool;
    /// Whether it waits in the ready queue.
    fn queued(&mut self) -> &mut bool;
    /// Bytes that wait to be sent, and can still be.
    fn unsent(&self) -> usize;
    /// Of these, how many are in memory: the rest lies in files.
    fn in_memory(&self) -> usize;
    /// The bytes that wait, and the parts of files behind them.
    fn outgoing(&mut self) -> (&mut Output, &mut Option<Box<Files>>);
    /// How many of them are counted in `Common::waiting`.
    fn counted(&mut self) -> &mut u32;
    /// How far the peer is with what was sent to it.
    fn progress(&self) -> Progress;
    /// How far it was when the socket was looked at last while it was closing.
    fn confirmed(&mut self) -> &mut u64;
}

/// All sockets, by key and by name.
#[derive(Debug)]
pub(in crate::net) struct Table<S> {
    sockets: Slab<S>,
    /// Key of each name's socket, by slot.
    names: Vec<u32>,
    /// How many came in by a listener.
    accepted: usize,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self { sockets: Slab::new(), names: Vec::new(), accepted: 0 }
    }
}

impl<S: Socket> Table<S> {
    /// The key that the next socket will have.
    pub(in crate::net) fn next_key(&self) -> usize {
        self.sockets.vacant_key()
    }

    /// Files a socket under its name and under [`Table::next_key`].
    pub(in crate::net) fn insert(&mut self, socket: S) -> usize {
        let slot = socket.conn().index();
        if self.names.len() <= slot {
            self.names.resize(slot + 1, NONE);
        }
        self.accepted += usize::from(socket.accepted());
        let key = self.sockets.insert(socket);
        self.names[slot] =
            u32::try_from(key).expect("a key is less than the number of descriptors, and that than 2^31");
        key
    }

    /// The socket that a name stands for, and its key; `None` if the name is stale.
    pub(in crate::net) fn find_mut(&mut self, conn: ConnId) -> Option<(usize, &mut S)> {
        let key = *self.names.get(conn.index())? as usize;
        let socket = self.sockets.get_mut(key).filter(|socket| socket.conn() == conn)?;
        Some((key, socket))
    }

    /// The socket with a key. The caller may hold an old key: then this is a later socket, or `None`.
    pub(in crate::net) fn get_mut(&mut self, key: usize) -> Option<&mut S> {
        self.sockets.get_mut(key)
    }

    /// The socket with a key if it still is what `conn` stands for: a call to the application may have ended it.
    pub(in crate::net) fn tenant(&mut self, key: usize, conn: ConnId) -> Option<&mut S> {
        self.find_mut(conn).filter(|(found, _)| *found == key).map(|(_, socket)| socket)
    }

    /// Takes the name from a socket, which stays.
    pub(in crate::net) fn unname(&mut self, conn: ConnId) {
        if let Some(key) = self.names.get_mut(conn.index()) {
            *key = NONE;
        }
    }

    /// Takes a socket out; dropping it closes it, and so the kernel forgets to report on it.
    pub(in crate::net) fn remove(&mut self, key: usize) -> Option<S> {
        let socket = self.sockets.try_remove(key)?;
        self.accepted -= usize::from(socket.accepted());
        if let Some(name) = self.names.get_mut(socket.conn().index())
            && *name as usize == key
        {
            *name = NONE;
        }
        Some(socket)
    }

    /// The keys of all sockets.
    pub(in crate::net) fn keys(&self) -> Vec<usize> {
        self.sockets.iter().map(|(key, _)| key).collect()
    }

    /// How many sockets came in by a listener, closing ones included.
    pub(in crate::net) fn accepted(&self) -> usize {
        self.accepted
    }

    /// Whether every socket is closed.
    pub(in crate::net) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }
}
