//! How much of one kind of work is done before others have their turn.
//!
//! A read of 16 KiB holds six hundred short requests. If all of them can be answered at once (from the cache, or
//! because they are refused), that is milliseconds of work in one visit to one client, and all others on this worker
//! wait for it. So work is counted in requests as well as in bytes: a part is done now, the rest when the driver has
//! looked at the others ([`Cx::call_again`]).
//!
//! ```text
//!   visit: 16 requests of client A · visit: B · visit: C · turn: 16 more of A · visit: B · …
//! ```
//!
//! | what one event brings | how much now |
//! |---|---|
//! | pipelined requests of one client | [`BEGUN`] |
//! | clients that go on, requests that come up in the queue | [`STEPS`] |
//! | clients whose rest was put off | [`RESUMED`] in one turn, so that many of them are no crowd either |
//! | frames of one client | 64 KiB (`streams/write.rs`), and [`WRITTEN`] clients in one turn |
//! | exchanges that wait for something in the cache | [`STEPS`] in one turn |

use super::{Proxy, table::Role};
use crate::{
    app::{ConnId, Cx},
    proxy::exchange::Event,
};
use std::collections::VecDeque;

/// Requests of one client that are begun in one visit. A cached answer takes some ten microseconds with its log line, so
/// this is less than others notice; and enough for the cost of a turn to disappear among them.
pub(super) const BEGUN: usize = 16;

/// Steps of other exchanges that one event may lead to. As many short steps as fit into a millisecond.
pub(super) const STEPS: usize = 64;

/// Clients whose pipelined requests go on in one turn: at most `RESUMED * BEGUN` requests.
const RESUMED: usize = 8;

/// Connections with streams that go on to write in one turn, each up to 64 KiB.
const WRITTEN: usize = 16;

/// Work that was put off until the driver's next turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Clients with requests that are here already, in the order in which they come up.
    clients: VecDeque<ConnId>,
    /// Exchanges that were told of something in the cache.
    told: VecDeque<u32>,
    /// Connections with streams whose frames go on.
    writers: VecDeque<ConnId>,
    /// Requests that came up in the queue of the pool wait for the next turn, too.
    grants: bool,
}

impl Turns {
    /// Whether requests that come up in the queue have to wait for the next turn.
    pub(super) fn holds_grants(&self) -> bool {
        self.grants
    }

    /// The frames of this client go on when the driver has told what it could not send.
    pub(super) fn write_later(&mut self, cx: &mut Cx, conn: ConnId) {
        self.writers.push_back(conn);
        cx.call_again();
    }

    /// The rest of what this client has sent has to wait.
    pub(super) fn put_off(&mut self, cx: &mut Cx, conn: ConnId) {
        self.clients.push_back(conn);
        cx.call_again();
    }
}

impl Proxy {
    /// Lets the connections go on that were made ready, until none is left, or until other connections have to have
    /// their turn.
    pub(super) fn settle(&mut self, cx: &mut Cx) {
        let mut steps = 0;
        while steps < STEPS && self.step(cx) {
            steps += 1;
        }
        if steps == STEPS {
            let worker = &mut self.worker;
            worker.turns.clients.extend(worker.ready.drain(..));
            worker.pool.hand_on();
            worker.turns.grants = true;
            cx.call_again();
        }
        self.worker.publish();
    }

    /// One of those goes on. `false`: none is ready.
    fn step(&mut self, cx: &mut Cx) -> bool {
        // First those that have waited: the next request of a client must not take what was granted to another.
        if !self.worker.turns.holds_grants()
            && let Some(granted) = self.worker.pool.granted()
        {
            self.on(cx, granted.ticket, Event::Room(granted));
        } else if let Some(conn) = self.worker.ready.pop() {
            self.hear_ready(cx, conn);
        } else if let Some(fetch) = self.worker.fetches.pop() {
            self.fetch(cx, fetch);
        } else if let Some(conn) = self.worker.unwritten.pop() {
            // Last: so the frames of many streams leave together.
            self.write_once_a_turn(cx, conn);
        } else if let Some(conn) = self.worker.silent.pop() {
            self.park(cx, conn);
        } else {
            return false;
        }
        true
    }

    /// A client goes on with what it has said already.
    fn hear_ready(&mut self, cx: &mut Cx, conn: ConnId) {
        match self.worker.table.get(conn) {
            Some(Role::Streams(_)) => self.hear_streams(cx, conn, &[]),
            _ => self.hear_client(cx, conn, &[]),
        }
    }

    /// A new turn of the driver: what was put off goes on, a part of it.
    pub(super) fn go_on(&mut self, cx: &mut Cx) {
        let mail = self.worker.take_mail();
        self.worker.turns.told.extend(mail);
        for _ in 0..STEPS {
            let Some(key) = self.worker.turns.told.pop_front() else { break };
            self.on(cx, key, Event::News);
        }
        let turns = &mut self.worker.turns;
        turns.grants = false;
        for _ in 0..RESUMED {
            let Some(conn) = turns.clients.pop_front() else { break };
            match self.worker.table.get(conn) {
                Some(Role::Downstream(client)) => client.waits_for_turn = false,
                Some(Role::Streams(streams)) => streams.has_turn(),
                _ => continue,
            }
            self.worker.ready.push(conn);
        }
        for _ in 0..WRITTEN {
            let Some(conn) = self.worker.turns.writers.pop_front() else { break };
            if let Some(streams) = self.worker.speak(conn) {
                streams.begin_turn();
            }
        }
        let turns = &self.worker.turns;
        if !(turns.clients.is_empty() && turns.told.is_empty() && turns.writers.is_empty()) {
            cx.call_again();
        }
    }
}
