//! One client, what it is told to do, and what all of them share.

use crate::{
    app::ConnId,
    load::{Script, Timeline, talk::Talk},
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{OnceLock, atomic::AtomicU64},
    time::{Duration, Instant},
};

/// State that all threads share with their caller.
#[derive(Debug, Default)]
pub(in crate::load) struct Control {
    /// Set once, before all are woken.
    pub(in crate::load) line: OnceLock<Timeline>,
    /// For the progress bar.
    pub(in crate::load) answered: AtomicU64,
    pub(in crate::load) failed: AtomicU64,
}

/// Orders for the clients of a thread.
#[derive(Debug, Clone)]
pub(in crate::load) struct Orders {
    pub(in crate::load) to: SocketAddr,
    pub(in crate::load) script: Script,
    pub(in crate::load) clients: usize,
    pub(in crate::load) pipeline: u32,
    pub(in crate::load) keep_alive: bool,
    pub(in crate::load) timeout: Duration,
    /// Requests a second of all threads; `None`: closed loop.
    pub(in crate::load) rate: Option<u64>,
    pub(in crate::load) thread: u64,
    pub(in crate::load) threads: u64,
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// When it was meant to start.
    pub(super) intended: Instant,
    /// When it did.
    pub(super) started: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Down,
    Connecting,
    /// The server speaks first and has not.
    Greeting,
    Up,
    /// No further request on this connection; its end is waited for.
    Leaving,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) conn: Option<ConnId>,
    pub(super) phase: Phase,
    pub(super) talk: Talk,
    pub(super) waiting: VecDeque<Asked>,
    /// Slots taken.
    pub(super) busy: u32,
    /// A deadline is set; it may be too early, never too late.
    pub(super) armed: bool,
    /// This connection brought a good answer.
    pub(super) fruitful: bool,
    /// This client got a good answer before the end.
    pub(super) served: bool,
    pub(super) bulk: bool,
}

impl Client {
    pub(super) fn new(orders: &Orders) -> Self {
        Self {
            conn: None,
            phase: Phase::Down,
            talk: orders.script.talk(),
            waiting: VecDeque::with_capacity(orders.pipeline as usize),
            busy: 0,
            armed: false,
            fruitful: false,
            served: false,
            bulk: false,
        }
    }
}
