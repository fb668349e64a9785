//! Clients that wait for an element: who is next when there is one, and what they are told when there is none in time.

use super::{
    client::{Client, Place},
    command::{Commands as _, Why},
    engine::Engine,
    table::Table,
    value::Value,
    world::Effect,
};

impl Engine {
    /// Puts a client in the queues of the keys that its command waits for.
    pub(super) fn begin_wait(&mut self, client: &mut Client) {
        let Some(wait) = &client.wait else { return };
        for place in &wait.keys {
            self.keys.waiting.entry(place.clone()).or_default().push_back(client.id);
        }
        self.world.effects.push(Effect::Deadline(client.slot, wait.until));
    }

    /// Lets clients go on that wait for keys that have something now.
    pub(super) fn serve_waiting(&mut self) {
        while !self.keys.ready.is_empty() || !self.world.unblock.is_empty() {
            for place in std::mem::take(&mut self.keys.ready) {
                let waiting: Vec<u64> = self.keys.waiting.get(&place).into_iter().flatten().copied().collect();
                for id in waiting {
                    self.try_again(id, &place);
                }
            }
            for (id, with_error) in std::mem::take(&mut self.world.unblock) {
                if let Some(slot) = self.world.clients.slot(id) {
                    self.end_wait(slot, with_error);
                }
            }
        }
    }

    /// Whether a key holds what the command waits for.
    fn has(&mut self, place: &Place, name: &[u8]) -> bool {
        let is_zset = name.get(1).is_some_and(|letter| letter.eq_ignore_ascii_case(&b'z'));
        match self.keys.peek(place.0, &place.1).map(|entry| &entry.value) {
            Some(Value::ZSet(_)) => is_zset,
            Some(Value::List(_)) => !is_zset,
            _ => false,
        }
    }

    /// Runs the command of a client that waits once more.
    fn try_again(&mut self, id: u64, place: &Place) {
        let Some(slot) = self.world.clients.slot(id) else { return };
        let Some(mut client) = self.world.clients.take(slot) else { return };
        if let Some(wait) = client.wait.take() {
            let words = wait.words.words();
            let command = Table.find(words.at(0)).filter(|_| self.has(place, words.at(0)));
            if let Some(command) = command {
                self.reply.resp3 = client.resp3;
                let start = self.reply.begin();
                self.run(&mut client, command, words, Why::Ready(&place.1));
                self.hush(&mut client, start);
            }
            if command.is_none() || client.wait.is_some() {
                // It keeps its places, and the time that it was given at first.
                client.wait = Some(wait);
            } else {
                self.go_on(&client, &wait.keys);
            }
        }
        self.finish(client);
    }

    /// A client stops waiting.
    fn go_on(&mut self, client: &Client, places: &[Place]) {
        self.leave_queues(client.id, places);
        self.world.effects.push(Effect::Deadline(client.slot, None));
        if !client.held.bytes.is_empty() {
            self.world.served.push_back(client.id);
        }
    }

    /// Runs the commands that clients had sent behind the one that waited. They may serve others in turn: so this is a loop over a list, and no
    /// function that calls itself once for each of ten thousand clients.
    pub(super) fn go_on_with_served(&mut self) {
        while let Some(id) = self.world.served.pop_front() {
            if let Some(slot) = self.world.clients.slot(id) {
                self.resume(slot);
            }
        }
    }

    fn leave_queues(&mut self, id: u64, places: &[Place]) {
        for place in places {
            if let Some(queue) = self.keys.waiting.get_mut(place) {
                queue.retain(|other| *other != id);
                if queue.is_empty() {
                    self.keys.waiting.remove(place);
                }
            }
        }
    }

    /// A client goes.
    pub(super) fn stop_waiting(&mut self, client: &mut Client) {
        if let Some(wait) = client.wait.take() {
            self.leave_queues(client.id, &wait.keys);
        }
    }

    /// The time of a client that waits has passed, if it has.
    pub fn expire(&mut self, slot: usize) {
        let now = self.world.now.instant;
        let wait = self.world.clients.at(slot).and_then(|client| client.wait.as_ref());
        if wait.is_some_and(|wait| wait.until.is_some_and(|until| until <= now)) {
            self.end_wait(slot, false);
            self.go_on_with_served();
        }
    }

    /// A client waits no longer, and is told that there is nothing.
    fn end_wait(&mut self, slot: usize, with_error: bool) {
        let Some(mut client) = self.world.clients.take(slot) else { return };
        if let Some(wait) = client.wait.take() {
            self.reply.resp3 = client.resp3;
            let start = self.reply.begin();
            if with_error {
                self.reply.error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
            } else {
                // So is BLMOVE, whose answer would be no array.
                self.reply.null_array();
            }
            self.hush(&mut client, start);
            self.go_on(&client, &wait.keys);
        }
        self.finish(client);
    }
}
