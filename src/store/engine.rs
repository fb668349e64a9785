//! The store without its sockets: bytes of clients come in, bytes for clients and changes for the file go out.
//!
//! ```text
//!   receive ─▶ Parser ─▶ checks ─▶ Command::run ─▶ Reply ──▶ Effect::Send
//!                          │            ╰─ Keyspace ─▶ Log ──▶ the file
//!                          ╰─ MULTI: queued, run by EXEC
//! ```
//!
//! One thread runs it, so each command sees the keys as no other command changes them. A client that does not read is not read from
//! any more once so much waits for it ([`ENOUGH`]): its commands wait as bytes, which it has sent itself, and not as replies, which are longer.

use super::{
    client::{Client, Replies},
    command::{
        self, Call, Command, Commands, DENYOOM, Fault, NO_AUTH, NO_MULTI, Outcome, PUBSUB, READONLY, Record, WRITE,
        Why, keyspec, monitor, subcommands,
    },
    config::Config,
    keyspace::Keyspace,
    reply::Reply,
    request::{Broken, Limits, Parser, Step},
    table::Table,
    words::Words,
    world::{Effect, World},
};
use crate::time::Now;
use bytes::Bytes;
use std::time::UNIX_EPOCH;

/// Bytes that wait for a client, beyond which its next commands are not run.
pub(crate) const ENOUGH: usize = 1024 * 1024;

/// A reply from this length on is handed on without a copy.
const LONG: usize = 16 * 1024;

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// All clients and all keys.
#[derive(Debug)]
pub struct Engine {
    pub(crate) keys: Keyspace,
    pub(crate) world: World,
    /// Used by one client after the other.
    parser: Parser,
    pub(super) reply: Reply,
}

impl Engine {
    /// An empty store. `seed` decides what is left to chance.
    #[must_use]
    pub(crate) fn new(config: Config, seed: u64, run_id: String, now: Now) -> Self {
        let mut keys = Keyspace::new(seed);
        keys.policy = config.policy;
        let mut engine =
            Self { keys, world: World::new(config, now, run_id), parser: Parser::default(), reply: Reply::default() };
        engine.set_clock(now);
        engine
    }

    /// It is so late.
    pub fn set_clock(&mut self, now: Now) {
        self.world.now = now;
        let millis = now.wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.keys.now = i64::try_from(millis).unwrap_or(i64::MAX);
    }

    /// A client has come, and has this place until it goes.
    pub fn connect(&mut self, slot: usize, address: String) {
        let is_known = self.world.config.password.is_empty();
        self.world.connections += 1;
        self.world.clients.add(slot, address, is_known, self.keys.now);
    }

    /// Whether one more client would be too many.
    #[must_use]
    pub fn is_full(&mut self) -> bool {
        let is_full = self.world.clients.len() >= self.world.config.max_clients;
        self.world.refused += u64::from(is_full);
        is_full
    }

    /// Runs what was recorded before this process began.
    pub(crate) fn replay(&mut self, client: &mut Client, commands: &[u8]) {
        self.work(client, commands);
        self.reply.bytes.clear();
        self.world.effects.clear();
    }

    /// A client has gone.
    pub fn disconnect(&mut self, slot: usize) {
        if let Some(mut client) = self.world.clients.take(slot) {
            self.stop_waiting(&mut client);
            self.keys.unwatch(&mut client);
            self.world.channels.leave_all(&mut client);
            self.world.monitors.swap_remove(&client.id);
            self.world.clients.forget(client.id);
        }
    }

    /// Bytes of a client.
    pub fn receive(&mut self, slot: usize, input: &[u8]) {
        let Some(mut client) = self.world.clients.take(slot) else { return };
        if client.held.bytes.is_empty() {
            let used = self.work(&mut client, input);
            if !client.is_closing {
                client.held.bytes.extend_from_slice(&input[used..]);
            }
        } else if !client.is_closing {
            client.held.bytes.extend_from_slice(input);
            self.work_held(&mut client);
        }
        self.finish(client);
        self.go_on_with_served();
    }

    /// Runs the commands that are held.
    pub(super) fn work_held(&mut self, client: &mut Client) {
        let mut held = std::mem::take(&mut client.held);
        client.held.parser = held.parser.take();
        held.start += self.work(client, &held.bytes[held.start..]);
        held.parser = client.held.parser.take();
        if held.start == held.bytes.len() {
            held.bytes = Vec::new();
            held.start = 0;
        } else if held.start > held.bytes.len() / 2 {
            held.bytes.drain(..held.start);
            held.start = 0;
        }
        client.held = held;
    }

    /// After a client had its turn: what it is told, and what others are told for its sake.
    pub(super) fn finish(&mut self, mut client: Box<Client>) {
        let held = client.held.bytes.len() - client.held.start;
        let queued = client.multi.as_ref().map_or(0, |multi| multi.weight);
        let is_over = held + queued > self.world.config.query_limit;
        if is_over {
            client.is_closing = true;
            client.held = super::client::Held::default();
        }
        self.send(&client);
        if is_over {
            self.world.effects.push(Effect::Abort(client.slot));
        } else if client.is_closing {
            self.world.effects.push(Effect::Close(client.slot));
        }
        self.world.clients.put_back(client);
    }

    pub(super) fn send(&mut self, client: &Client) {
        if self.reply.bytes.is_empty() {
            return;
        }
        let bytes = if self.reply.bytes.len() >= LONG {
            Bytes::from(std::mem::take(&mut self.reply.bytes))
        } else {
            let bytes = Bytes::copy_from_slice(&self.reply.bytes);
            self.reply.bytes.clear();
            bytes
        };
        self.world.effects.push(Effect::Send(client.slot, bytes));
    }

    /// Runs the commands in some bytes, as far as they go. Tells how many bytes that were.
    fn work(&mut self, client: &mut Client, input: &[u8]) -> usize {
        let mut at = 0;
        let mut parser = match client.held.parser.take() {
            Some(parser) => *parser,
            None => std::mem::take(&mut self.parser),
        };
        self.reply.resp3 = client.resp3;
        while !client.is_closing && client.wait.is_none() && client.unsent + self.reply.bytes.len() < ENOUGH {
            let limits = Limits { bulk: self.world.config.bulk_limit, known: client.is_known };
            match parser.next(&input[at..], limits) {
                Ok(Step::More) => break,
                Ok(Step::Command(len)) => {
                    let words = parser.words(&input[at..]);
                    client.query = input.len() - at;
                    if words.len() > 0 {
                        self.execute(client, words);
                    } else if client.replies != Replies::Off {
                        // As the original has it: a line without a word is the command whose reply was to be skipped.
                        client.replies = Replies::On;
                    }
                    parser.reset();
                    at += len;
                }
                Err(Broken(why)) => {
                    if client.replies == Replies::On {
                        self.reply.error(&why);
                    }
                    client.is_closing = true;
                }
            }
        }
        client.query = 0;
        client.is_full = client.unsent + self.reply.bytes.len() >= ENOUGH;
        if parser.is_within() {
            client.held.parser = Some(Box::new(parser));
        } else {
            parser.reset();
            self.parser = parser;
        }
        at
    }

    /// One command, in the order of checks of the original.
    fn execute(&mut self, client: &mut Client, words: Words<'_>) {
        let start = self.reply.begin();
        if client.replies == Replies::SkipNext {
            client.replies = Replies::Skip;
        }
        client.used = self.keys.now;
        if let Err(fault) = self.admit(client, words) {
            self.refuse(client, words.at(0), &fault);
        }
        self.hush(client, start);
    }

    /// Leaves out what a command has said since `start`, if its client does not want to hear it.
    pub(super) fn hush(&mut self, client: &mut Client, start: usize) {
        match client.replies {
            Replies::On | Replies::SkipNext => {}
            Replies::Off => self.reply.mute(start),
            Replies::Skip => {
                self.reply.mute(start);
                // A command that waits has yet to be answered.
                if client.wait.is_none() {
                    client.replies = Replies::On;
                }
            }
        }
    }

    /// Refuses a command. A transaction that it belongs to will be refused as well.
    fn refuse(&mut self, client: &mut Client, name: &[u8], fault: &Fault) {
        self.world.errors += 1;
        if name.eq_ignore_ascii_case(b"exec") {
            client.multi = None;
            self.keys.unwatch(client);
            let text = fault.text();
            let why = text.strip_prefix("ERR ").unwrap_or(&text);
            return self.reply.error(&format!("EXECABORT Transaction discarded because of: {why}"));
        }
        if let Some(multi) = &mut client.multi {
            multi.is_refused = true;
        }
        self.reply.error(&fault.text());
    }

    fn admit(&mut self, client: &mut Client, words: Words<'_>) -> Outcome {
        // A web page may have its browser send requests here, and words of their heads must not be heard as commands.
        if words.is(0, "post") || words.is(0, "host:") {
            client.is_closing = true;
            return Ok(());
        }
        let (command, name) = self.look_up(client, words)?;
        let is_control = matches!(command.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset");
        if let Some(multi) = client.multi.as_mut().filter(|_| !is_control) {
            let kept = words.keep();
            multi.weight += kept.weight();
            multi.queue.push(kept);
            self.reply.simple("QUEUED");
            return Ok(());
        }
        client.last = name;
        if command.name == "exec" && client.multi.is_some() {
            self.exec(client, command, words);
        } else {
            self.run(client, command, words, Why::Asked);
            self.begin_wait(client);
        }
        if !self.keys.ready.is_empty() || !self.world.unblock.is_empty() {
            let reply = std::mem::take(&mut self.reply);
            self.serve_waiting();
            self.reply = reply;
        }
        Ok(())
    }

    /// The command, if there is one of this name and its client may run it now; and its name with that of its subcommand.
    fn look_up(&mut self, client: &Client, words: Words<'_>) -> Outcome<(&'static Command, &'static str)> {
        let Some(command) = Table.find(words.at(0)) else { return Err(unknown(words)) };
        let len = i32::try_from(words.len()).unwrap_or(i32::MAX);
        if (command.arity > 0 && command.arity != len) || len < -command.arity {
            return Err(Fault::Arity(command.name.to_owned()));
        }
        let name = subcommands::check(command, words)?;
        if !client.is_known && command.flags & NO_AUTH == 0 {
            return command::refuse("NOAUTH Authentication required.");
        }
        if client.multi.is_some() && command.flags & NO_MULTI != 0 {
            return command::refuse("ERR Command not allowed inside a transaction");
        }
        if client.is_monitor && command.flags & (READONLY | WRITE) != 0 {
            return command::refuse("ERR Replica can't interact with the keyspace");
        }
        if self.world.config.max_memory > 0
            && self.keys.expires
            && !self.keys.make_room(self.world.config.max_memory, self.world.config.samples)
            && self.uses_memory(client, command)
        {
            return command::refuse(OOM);
        }
        if self.world.file.is_stuck && command.flags & WRITE != 0 {
            return command::refuse("MISCONF Errors writing to the AOF file: the disk is full or broken");
        }
        let is_common = matches!(command.name, "ping" | "quit" | "reset");
        if !client.resp3
            && client.subscribed.count() > 0
            && !is_common
            && (command.flags & PUBSUB == 0 || !listens(command))
        {
            return command::refuse(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                name
            ));
        }
        Ok((command, name))
    }

    /// Whether a command may need memory: a transaction does if one of its commands does.
    fn uses_memory(&self, client: &Client, command: &Command) -> bool {
        let queued = client.multi.as_ref().filter(|_| command.name == "exec");
        let mut queue = queued.into_iter().flat_map(|multi| &multi.queue);
        command.flags & DENYOOM != 0
            || queue.any(|kept| Table.find(kept.words().at(0)).is_some_and(|command| command.flags & DENYOOM != 0))
    }

    /// Runs a command, and records it if it has changed something.
    pub(super) fn run(&mut self, client: &mut Client, command: &'static Command, words: Words<'_>, why: Why<'_>) {
        self.world.commands += 1;
        if self.keys.snapshot.is_some() && command.flags & WRITE != 0 {
            self.snapshot_first(client.db, command, words);
        }
        let (changes, db, start) = (self.keys.changes, client.db, self.reply.bytes.len());
        let mut call = Call {
            words,
            out: &mut self.reply,
            client,
            keys: &mut self.keys,
            world: &mut self.world,
            commands: &Table,
            record: Record::AsIs,
            why,
        };
        let outcome = (command.run)(&mut call);
        let record = call.record;
        if !self.world.monitors.is_empty() {
            monitor::show(&mut self.world, client, command, words);
        }
        if let Err(fault) = outcome {
            self.world.errors += 1;
            self.reply.bytes.truncate(start);
            self.reply.error(&fault.text());
        }
        if self.keys.changes != changes && self.keys.log.is_on {
            match record {
                Record::AsIs => self.keys.log.add(db, words.from(0)),
                Record::Instead(list) => list.iter().for_each(|kept| self.keys.log.add(db, kept.words().from(0))),
            }
        }
    }

    /// Has the snapshot take what a command will change, as it is now.
    fn snapshot_first(&mut self, db: usize, command: &Command, words: Words<'_>) {
        let elsewhere = matches!(command.name, "copy" | "move");
        for place in keyspec::keys(command, words) {
            let key = words.at(place);
            match elsewhere {
                true => (0..self.keys.dbs.len()).for_each(|db| self.keys.about_to_change(db, key)),
                false => self.keys.about_to_change(db, key),
            }
        }
    }

    /// The commands of a transaction, one after the other and nothing in between.
    fn exec(&mut self, client: &mut Client, exec: &Command, words: Words<'_>) {
        let multi = client.multi.take().unwrap_or_default();
        let is_broken = self.keys.is_broken(client);
        self.keys.unwatch(client);
        if multi.is_refused {
            self.world.errors += 1;
            return self.reply.error("EXECABORT Transaction discarded because of previous errors.");
        }
        if is_broken {
            return self.reply.null_array();
        }
        self.reply.array(multi.queue.len());
        let before = self.keys.log.bytes.len();
        for kept in &multi.queue {
            let words = kept.words();
            // It was found when it was queued.
            if let Some(command) = Table.find(words.at(0)) {
                client.last = command.name;
                self.run(client, command, words, Why::Queued);
            }
        }
        if self.keys.log.bytes.len() > before {
            // All of it, or nothing, is read again.
            self.keys.log.enclose(before);
        }
        client.last = "exec";
        if !self.world.monitors.is_empty() {
            monitor::show(&mut self.world, client, exec, words);
        }
    }
}

fn listens(command: &Command) -> bool {
    command.name.ends_with("subscribe")
}

/// As the original words it: at most 128 bytes of arguments, and none behind a zero.
fn unknown(words: Words<'_>) -> Fault {
    let shown = |bytes: &[u8], most: usize| {
        let bytes = &bytes[..bytes.len().min(most)];
        String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
    };
    let mut arguments = String::new();
    for word in words.from(1) {
        if arguments.len() >= 128 {
            break;
        }
        arguments += &format!("'{}' ", shown(word, 128 - arguments.len()));
    }
    let name = shown(words.at(0), 128);
    Fault::Text(format!("ERR unknown command '{name}', with args beginning with: {arguments}").into())
}
