//! The engine for a judge of any bytes at all (`fuzz/src/store.rs`): one client, a clock that stands still, and no socket.

use super::{
    client::{Client, Replies},
    config::Config,
    dump::dump,
    engine::Engine,
    world::Effect,
};
use crate::time::{Instant, Now};
use std::time::{Duration, UNIX_EPOCH};

/// A store and its one client.
#[derive(Debug)]
pub struct Trial {
    engine: Engine,
    record: Vec<u8>,
}

impl Default for Trial {
    fn default() -> Self {
        Self::new()
    }
}

impl Trial {
    /// An empty store, always the same.
    #[must_use]
    pub fn new() -> Self {
        // Any instant will do: nothing here reads the clock again.
        #[allow(clippy::disallowed_methods)]
        let now = Now { instant: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(2_000_000_000) };
        let mut engine = Engine::new(Config::default(), 1, "0".repeat(40), now);
        engine.keys.log.is_on = true;
        engine.connect(0, "127.0.0.1:1".to_owned());
        Self { engine, record: Vec::new() }
    }

    /// Everything that the client hears when it sends these bytes, piece by piece.
    pub fn hear<'w>(&mut self, wire: impl IntoIterator<Item = &'w [u8]>) -> Vec<u8> {
        let mut heard = Vec::new();
        for piece in wire {
            self.engine.receive(0, piece);
            loop {
                for effect in std::mem::take(&mut self.engine.world.effects) {
                    if let Effect::Send(_, bytes) = effect {
                        heard.extend_from_slice(&bytes);
                    }
                }
                // All of it was read: commands that waited for that have their turn.
                self.engine.sent(0, 0);
                if self.engine.world.effects.is_empty() {
                    break;
                }
            }
            self.record.append(&mut self.engine.keys.log.bytes);
        }
        heard
    }

    /// The record of all changes.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        self.record.clone()
    }

    /// Runs what was recorded.
    pub fn replay(&mut self, record: &[u8]) {
        let mut client = Client::new(0, 0, String::new(), true, 0);
        client.replies = Replies::Off;
        self.engine.replay(&mut client, record);
    }

    /// All keys, each as the commands that make it.
    #[must_use]
    pub fn keys(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for (number, db) in self.engine.keys.dbs.iter().enumerate() {
            for (key, entry) in &db.keys {
                let mut bytes = format!("{number} ").into_bytes();
                dump(&mut bytes, key, &entry.value, entry.expires);
                // Members of tables have no order.
                bytes.sort_unstable();
                all.push(bytes);
            }
        }
        all.sort_unstable();
        all
    }

    /// Bytes that are left in the account when all keys have gone.
    pub fn memory_without_keys(&mut self) -> usize {
        for db in 0..self.engine.keys.dbs.len() {
            self.engine.keys.flush(db);
        }
        self.engine.keys.used
    }
}
