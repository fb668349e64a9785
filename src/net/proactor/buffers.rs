//! Where bytes arrive: buffers that wait in a queue of the kernel's, and belong to no connection until they are filled.
//!
//! ```text
//!   offered ──kernel fills one──▶ heard ──▶ offered again
//!                                   └─ given away by reference ──▶ spare, when nobody refers to it any more
//! ```
//!
//! With readiness, one buffer serves all connections, because it is needed only when there is something to read. With
//! completions the kernel writes whenever bytes arrive: a buffer that is offered is the kernel's, and must not be
//! moved, read or freed. A buffer for each connection would cost 16 KiB per idle client, so they are offered together.

#![allow(unsafe_code)] // Each block carries its argument.

use super::{heard::Heard, ring::Ring};
use bytes::{Bytes, BytesMut};
use io_uring::types::BufRingEntry;
use std::{
    alloc::{self, Layout},
    collections::VecDeque,
    io, mem,
    ptr::NonNull,
    sync::atomic::{AtomicU16, Ordering},
};

/// How many buffers that were given away are remembered, to be used again when the last reference to them goes. More at
/// once means that many slow peers hold one each; those are freed when they are sent.
const MAX_LENT: usize = 16;

/// One buffer in so many is offered at first, and one more each time there was none. The kernel takes them in turn: few
/// stay in the processor's cache, where many would all have to be fetched again, and all be resident.
const FIRST: u16 = 16;

/// The kernel wants the queue to begin on a page.
const PAGE: usize = 4096;

/// Which buffers an operation receives into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Group {
    /// For heads and lines.
    Small,
    /// For long bodies.
    Bulk,
}

/// A group of buffers of one size.
pub(super) struct Buffers {
    queue: NonNull<BufRingEntry>,
    layout: Layout,
    /// How many there are, a power of two.
    count: u16,
    /// Those with a number below this were offered or are in use. The others are memory that was never touched.
    in_use: u16,
    /// Receives that found none since the last look.
    missed: u16,
    /// How many were ever offered, wrapping; the kernel knows of those before `published`.
    tail: u16,
    published: u16,
    size: usize,
    /// By number. Empty while it is in [`super::heard`].
    memory: Vec<BytesMut>,
    /// Given away.
    lent: VecDeque<Bytes>,
}

// SAFETY: the queue is ours alone on this side; no thread but the one that runs the loop touches it.
unsafe impl Send for Buffers {}

impl Buffers {
    /// Offers up to `count` buffers of `size` bytes. Memory that is never filled is never resident.
    pub(super) fn new(ring: &Ring, group: Group, count: u16, size: usize) -> io::Result<Self> {
        let bytes = usize::from(count) * mem::size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(bytes, PAGE).expect("a few KiB, aligned to a power of two");
        // SAFETY: the size is not zero, as there is at least one buffer.
        let queue = unsafe { alloc::alloc_zeroed(layout) };
        let queue = NonNull::new(queue.cast()).unwrap_or_else(|| alloc::handle_alloc_error(layout));
        let memory = (0..count).map(|_| BytesMut::new()).collect();
        let lent = VecDeque::new();
        let mut buffers =
            Self { queue, layout, count, in_use: 0, missed: 0, tail: 0, published: 0, size, memory, lent };
        // SAFETY: the queue has `count` entries. It and the buffers are freed by `Buffers::drop`, and `Io` drops its ring
        // before, when no operation is left that could use them; else it drops neither.
        unsafe { ring.register_buffers(queue.as_ptr(), count, group as u16)? };
        buffers.offer_more((count / FIRST).max(1));
        buffers.publish();
        Ok(buffers)
    }

    /// There was no buffer to receive into: from the next turn on there is one more, as far as there are any.
    pub(super) fn miss(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    fn offer_more(&mut self, more: u16) {
        let until = self.in_use.saturating_add(more).min(self.count);
        let added = mem::replace(&mut self.in_use, until)..until;
        // In one piece, which comes from the system as zeros that exist only when they are touched.
        let mut whole = BytesMut::zeroed(added.len() * self.size);
        for number in added {
            self.memory[usize::from(number)] = whole.split_to(self.size);
            self.offer(number);
        }
    }

    /// How many there are, at most, to receive into.
    pub(super) fn in_use(&self) -> usize {
        usize::from(self.in_use)
    }

    /// Bytes of one buffer.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Takes a buffer that the kernel has filled. It has to be [given back](Self::give_back).
    pub(super) fn take(&mut self, number: u16) -> BytesMut {
        mem::take(&mut self.memory[usize::from(number)])
    }

    /// A buffer was heard: it comes back, or another takes its place.
    pub(super) fn return_heard(&mut self, number: u16, heard: Heard) {
        match heard {
            Heard::Own(buffer) => self.give_back(number, buffer),
            Heard::Shared(lent) => self.replace(number, lent),
        }
    }

    /// A buffer comes back as it was taken.
    pub(super) fn give_back(&mut self, number: u16, buffer: BytesMut) {
        debug_assert_eq!(buffer.len(), self.size);
        self.memory[usize::from(number)] = buffer;
        self.offer(number);
    }

    /// Parts of a buffer were given away: another takes its place.
    fn replace(&mut self, number: u16, lent: Bytes) {
        self.lent.push_back(lent);
        let returned = self.lent.iter().position(Bytes::is_unique).and_then(|at| self.lent.remove(at));
        if self.lent.len() > MAX_LENT {
            self.lent.pop_front();
        }
        let buffer = returned.and_then(|bytes| bytes.try_into_mut().ok());
        self.give_back(number, buffer.unwrap_or_else(|| BytesMut::zeroed(self.size)));
    }

    fn offer(&mut self, number: u16) {
        let buffer = &mut self.memory[usize::from(number)];
        let len = u32::try_from(buffer.len()).expect("a buffer is shorter than 4 GiB");
        let at = usize::from(self.tail & (self.count - 1));
        // SAFETY: `at` is less than the number of entries. The kernel reads an entry only after `publish`, and has read what
        // was there before, as it had to fill that buffer for `number` to come back. The reserved field of the first entry,
        // which is the tail, is not written.
        let entry = unsafe { &mut *self.queue.as_ptr().add(at) };
        entry.set_addr(buffer.as_mut_ptr().addr() as u64);
        entry.set_len(len);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was offered.
    pub(super) fn publish(&mut self) {
        match mem::take(&mut self.missed) {
            0 => {}
            missed => self.offer_more(missed),
        }
        if self.published == self.tail {
            return;
        }
        // SAFETY: the tail is a field of the first entry, aligned; the kernel reads it at any time, so it is written in one
        // piece, and after the entries (release).
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.queue.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
        self.published = self.tail;
    }
}

impl Buffers {
    /// The kernel may still write into them: they must never be freed.
    pub(super) fn forget(&mut self) {
        mem::forget(mem::take(&mut self.memory));
        self.layout = Layout::new::<()>();
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        if self.layout.size() == 0 {
            return;
        }
        // SAFETY: allocated in `new` with this layout. The ring is closed, so the kernel looks there no more.
        unsafe { alloc::dealloc(self.queue.as_ptr().cast(), self.layout) };
    }
}
