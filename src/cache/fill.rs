//! A response while it arrives: appended by one, read by many.
//!
//! ```text
//!                  leader appends ──▼
//!   pieces   [ 16 KiB | 16 KiB | 9 KiB ]
//!               ▲ reader     ▲ reader, has all there is: leaves a ticket
//! ```
//!
//! While it is to be stored, all of it is kept, and its bytes are counted against the cache's size: each piece for as
//! long as there is a reference to it, be it that of a slow client. When that turns out to be too much, it is not
//! stored, but the requests that read it already must get it to the end: then only the part that the slowest of them
//! has not read is kept, and the leader hears when that is a lot ([`Added::Wait`]). `readers.rs` decides how long the
//! others wait for the slowest.

use super::{
    mail::Ticket,
    readers::{BEHIND, LOOK, Readers, WINDOW},
    store::{Entry, Store},
};
use crate::{http::Fields, time::Instant};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A stored body has at most one piece for so many bytes, and one more.
const SPREAD: usize = 128 * 1024;

/// The size of the pieces that are made when there were too many small ones.
const PIECE: usize = 256 * 1024;

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it is there.
    Complete,
    /// Its backend failed: what is there is not all.
    Broken,
    /// This reader was too slow for the others, and gets no more.
    LeftBehind,
}

/// The fate of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It will be stored with the rest.
    Kept,
    /// The response is too large to be stored, as of now: the first time this is said, and the last that it is stored.
    TooLarge,
    /// It is not stored, only passed on.
    NotStored,
    /// As [`Added::NotStored`], and readers are far behind: the leader is told when they have caught up.
    Wait,
    /// Neither stored nor read.
    Unread,
}

/// A response that arrives.
pub struct Fill {
    /// The response without its body.
    opening: Arc<Entry>,
    /// How long the body will be, if that was announced.
    length: Option<u64>,
    store: Arc<Store>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pieces: VecDeque<Bytes>,
    /// Pieces that were dropped before the first of `pieces`.
    dropped: usize,
    /// Bytes in `pieces`.
    kept: usize,
    /// Bytes that have come in all.
    came: u64,
    storing: bool,
    end: Option<End>,
    /// Trailers that followed the body.
    trailers: Fields,
    readers: Readers,
    /// Readers that have everything, and whether their clients have it, too.
    waiting: Vec<(Ticket, bool)>,
    /// The leader waits for readers, and is told here.
    paused: Option<Ticket>,
}

/// The result of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The new pieces.
    pub pieces: Vec<Bytes>,
    /// Whether that was the end.
    pub end: Option<End>,
    /// Trailers that follow the body then.
    pub trailers: Fields,
}

impl Fill {
    /// A response whose head has come. `length`: of its body, if that is known.
    #[must_use]
    pub fn new(store: Arc<Store>, opening: Entry, length: Option<u64>) -> Self {
        let state = State {
            pieces: VecDeque::new(),
            dropped: 0,
            kept: 0,
            came: 0,
            storing: true,
            end: None,
            trailers: Fields::new(),
            readers: Readers::default(),
            waiting: Vec::new(),
            paused: None,
        };
        Self { opening: Arc::new(opening), length, store, state: Mutex::new(state) }
    }

    /// The response without its body.
    #[must_use]
    pub fn opening(&self) -> &Arc<Entry> {
        &self.opening
    }

    /// How long the body will be, if that was announced.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Appends a copy of `data`, which is handed back for its other receivers; `leader` is told when readers have
    /// caught up, if they have to.
    pub fn append(&self, data: &[u8], leader: Ticket, now: Instant) -> (Added, Bytes) {
        // Readers have to get it even if there is no room; what they are behind is bounded by the window.
        let (piece, room) = self.store.piece(data);
        let mut state = self.lock();
        state.pass(now);
        let fits = room && state.kept + piece.len() <= self.store.limits().object;
        let mut added = Added::Kept;
        if state.storing && !fits {
            state.storing = false;
            added = Added::TooLarge;
        } else if !state.storing {
            added = Added::NotStored;
        }
        state.kept += piece.len();
        state.came += piece.len() as u64;
        state.pieces.push_back(piece.clone());
        state.trim();
        if added != Added::Kept && state.readers.is_empty() {
            added = if added == Added::TooLarge { added } else { Added::Unread };
        } else if added == Added::NotStored && state.kept > WINDOW {
            state.paused = Some(leader);
            added = Added::Wait;
        }
        let mut told = std::mem::take(&mut state.waiting);
        drop(state);
        // The leader's own client is a reader like others, but need not be told what the leader does.
        told.retain(|(ticket, _)| *ticket != leader);
        self.tell_all(&told);
        (added, piece)
    }

    /// Leaves the readers behind that the others have waited for longer than `patience`. When to do so again; `None`:
    /// the leader need not wait.
    pub fn let_go(&self, patience: Duration, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        state.pass(now);
        if !state.is_held_up() {
            return state.paused.map(|_| now + patience.max(LOOK));
        }
        let came = state.came;
        let (told, again) = state.readers.let_go(patience, came, now);
        state.trim();
        let goes_on = state.resumed().is_some();
        drop(state);
        self.store.mail().post(&told);
        (!goes_on).then_some(again)
    }

    /// Nothing more comes.
    pub fn finish(&self, end: End, trailers: &Fields) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(end);
            state.trailers = trailers.clone();
        }
        let told = std::mem::take(&mut state.waiting);
        drop(state);
        self.tell_all(&told);
    }

    fn tell_all(&self, waiting: &[(Ticket, bool)]) {
        let told: Vec<Ticket> = waiting.iter().map(|(ticket, _)| *ticket).collect();
        self.store.mail().post(&told);
    }

    /// The whole body, if it is to be stored.
    #[must_use]
    pub fn body(&self) -> Option<Vec<Bytes>> {
        let state = self.lock();
        let pieces: Vec<Bytes> = if state.storing { state.pieces.iter().cloned().collect() } else { return None };
        drop(state);
        compact(pieces, &self.store)
    }

    /// Whether it will be stored, as far as is known.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        self.lock().storing
    }

    /// How many bytes have come, as long as none were given up.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.lock().kept as u64
    }

    /// Tells one of its readers to look again, in a later turn of its worker.
    pub fn tell(&self, reader: Ticket) {
        self.store.mail().post(&[reader]);
    }

    /// Begins to read from the start. `None`: the start is gone, or will be.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.lock();
        if state.dropped > 0 || !state.storing {
            return None;
        }
        let id = state.readers.add(0, 0);
        drop(state);
        Some(Reader { fill: self.clone(), id })
    }

    /// Begins to read the rest, beside others: for the leader's own client, which has got the pieces until now. `None`:
    /// there are no others, and a response that is not stored is the leader's alone.
    #[must_use]
    pub fn reader_beside_others(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.lock();
        if state.readers.is_empty() {
            return None;
        }
        let (piece, came) = (state.dropped + state.pieces.len(), state.came);
        let id = state.readers.add(piece, came);
        drop(state);
        Some(Reader { fill: self.clone(), id })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one is still in order.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops the pieces that all readers have, if it is not to be stored.
    fn trim(&mut self) {
        if self.storing {
            return;
        }
        let read = self.readers.slowest().unwrap_or(usize::MAX);
        while self.dropped < read
            && let Some(piece) = self.pieces.pop_front()
        {
            self.dropped += 1;
            self.kept -= piece.len();
        }
    }

    /// Whether a reader whose client has everything waits for others.
    fn is_held_up(&self) -> bool {
        self.paused.is_some() && self.waiting.iter().any(|(_, idles)| *idles)
    }

    /// Time has passed as it is until now. To be told before anything changes.
    fn pass(&mut self, now: Instant) {
        let held_up = self.is_held_up();
        self.readers.pass(now, held_up);
    }

    /// A leader that has waited and may go on.
    fn resumed(&mut self) -> Option<Ticket> {
        if self.kept as u64 > BEHIND {
            return None;
        }
        self.paused.take()
    }
}

/// A body in few pieces: one that came byte by byte must not cost a reference for each, and a small one is one piece, so
/// that it is sent as one. `None`: there is no room for a copy.
fn compact(pieces: Vec<Bytes>, store: &Store) -> Option<Vec<Bytes>> {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    if pieces.len() <= 1 + length / SPREAD {
        return Some(pieces);
    }
    let mut compact = Vec::with_capacity(1 + length / PIECE);
    let mut piece = Vec::with_capacity(length.min(PIECE));
    let mut end = |piece: &mut Vec<u8>| {
        let (counted, fits) = store.piece(piece);
        compact.push(counted);
        piece.clear();
        fits.then_some(())
    };
    for bytes in pieces {
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - piece.len()));
            piece.extend_from_slice(now);
            bytes = later;
            if piece.len() == PIECE {
                end(&mut piece)?;
            }
        }
    }
    if !piece.is_empty() {
        end(&mut piece)?;
    }
    Some(compact)
}

impl fmt::Debug for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill").field("of", &self.opening.key).field("length", &self.length).finish_non_exhaustive()
    }
}

/// One who reads a response while it arrives.
#[derive(Debug)]
pub struct Reader {
    fill: Arc<Fill>,
    id: usize,
}

impl Reader {
    /// The response that is read.
    #[must_use]
    pub fn fill(&self) -> &Arc<Fill> {
        &self.fill
    }

    /// Whether it gets no more: the others did not want to wait for it any longer.
    #[must_use]
    pub fn is_left_behind(&self) -> bool {
        self.fill.lock().readers.place(self.id).is_none()
    }

    /// Takes what is new, at least a piece if there is one, and not many more than `most` bytes. If there is nothing, `ticket`
    /// is told as soon as there is; and if this reader is left behind.
    #[must_use]
    pub fn read(&self, most: usize, ticket: Ticket, now: Instant) -> Read {
        self.take(most, ticket, now, true)
    }

    /// As [`Reader::read`], for a client that has not yet taken all that it was given: it does not wait for others.
    #[must_use]
    pub fn read_ahead(&self, most: usize, ticket: Ticket, now: Instant) -> Read {
        self.take(most, ticket, now, false)
    }

    fn take(&self, most: usize, ticket: Ticket, now: Instant, idles: bool) -> Read {
        let mut state = self.fill.lock();
        state.pass(now);
        let mut read = Read { pieces: Vec::new(), end: None, trailers: Fields::new() };
        let Some(place) = state.readers.place(self.id) else {
            return Read { end: Some(End::LeftBehind), ..read };
        };
        let mut bytes = 0;
        for piece in state.pieces.iter().skip(place.piece - state.dropped) {
            if bytes >= most {
                break;
            }
            bytes += piece.len();
            read.pieces.push(piece.clone());
        }
        let has_all = place.piece + read.pieces.len() == state.dropped + state.pieces.len();
        state.readers.advance(self.id, read.pieces.len(), bytes, ticket);
        if has_all {
            read.end = state.end;
            read.trailers = state.trailers.clone();
        }
        if read.pieces.is_empty() && read.end.is_none() {
            state.waiting.push((ticket, idles));
        }
        self.let_leader_go_on(state);
        read
    }

    fn let_leader_go_on(&self, mut state: MutexGuard<'_, State>) {
        state.trim();
        let leader = state.resumed();
        drop(state);
        if let Some(leader) = leader {
            self.fill.store.mail().post(&[leader]);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.fill.lock();
        state.readers.remove(self.id);
        self.let_leader_go_on(state);
    }
}

#[cfg(test)]
mod tests;
