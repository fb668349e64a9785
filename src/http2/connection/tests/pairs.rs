//! A client and a server of this code, over a wire that cuts anywhere, with applications that are slow, give up and change their
//! minds. Each stream gets what was meant for it, and in the end nothing is left.

use super::support::{describe, start};
use crate::{
    buf::Output,
    http::{Fields, Status},
    http2::{Connection, ErrorCode, Event, Limits, Role},
    time::Instant,
};
use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::{collections::BTreeMap, sync::Arc};

/// One message of a stream, as far as it came.
#[derive(Debug, Default)]
struct Message {
    content: Vec<u8>,
    ended: bool,
    trailers: bool,
    /// Bytes that the application has not got rid of.
    held: usize,
}

#[derive(Debug, Default)]
struct Side {
    messages: BTreeMap<u32, Message>,
    /// The rest that is to be said on each stream: content, and whether trailers follow.
    unsaid: BTreeMap<u32, (usize, bool)>,
    over: Vec<u32>,
}

struct World {
    random: SmallRng,
    now: Instant,
    ends: [Connection; 2],
    sides: [Side; 2],
    /// Bytes on their way from each.
    wires: [Vec<u8>; 2],
    asked: u32,
    given_up: Vec<u32>,
}

/// The content of a message: each stream has its own, and so has each direction.
fn content(side: usize, stream: u32, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u32 * 7 + stream * 31 + side as u32 * 101) as u8).collect()
}

fn length_of(side: usize, stream: u32) -> usize {
    [0, 1, 500, 3000, 40_000, 100_000][(stream as usize / 2 + side * 3) % 6]
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let now = start();
        let limits = |random: &mut SmallRng| {
            let stream_window = [65_535, 1000, 200_000][random.random_range(0..3)];
            Arc::new(Limits { max_streams: random.random_range(1..12), stream_window, ..Limits::default() })
        };
        let ends = [
            Connection::new(Role::Client, limits(&mut random), now),
            Connection::new(Role::Server, limits(&mut random), now),
        ];
        Self { random, now, ends, sides: Default::default(), wires: Default::default(), asked: 0, given_up: Vec::new() }
    }

    fn step(&mut self) {
        match self.random.random_range(0..12) {
            0..2 => self.ask(),
            2..5 => self.say(),
            5..7 => self.take(),
            7 if self.random.random_range(0..8) == 0 => self.give_up(),
            _ => {}
        }
        let room = self.random.random_range(0..30_000);
        (0..2).for_each(|side| self.write(side, room));
        let most = self.random.random_range(0..5000);
        (0..2).for_each(|side| self.deliver(side, most));
    }

    fn ask(&mut self) {
        let Ok((stream, head)) = self.ends[0].request("POST", "http", "a", &format!("/{}", self.asked)) else { return };
        head.finish(false);
        self.asked += 1;
        self.begin(0, stream);
    }

    fn begin(&mut self, side: usize, stream: u32) {
        self.sides[side].unsaid.insert(stream, (length_of(side, stream), stream.is_multiple_of(3)));
    }

    /// Some more of one message, or its end.
    fn say(&mut self) {
        let side = self.random.random_range(0..2);
        let many = self.sides[side].unsaid.len();
        if many == 0 {
            return;
        }
        let place = self.random.random_range(0..many);
        let (&stream, &(left, trailers)) = self.sides[side].unsaid.iter().nth(place).unwrap();
        // A message of an application that watches how much is unsent.
        if self.ends[side].unsent(stream) > 50_000 {
            return;
        }
        let length = length_of(side, stream);
        let piece = self.random.random_range(0..=left.min(30_000));
        let bytes = content(side, stream, length)[length - left..][..piece].to_vec();
        if self.random.random() {
            self.ends[side].send(stream, Bytes::from(bytes));
        } else {
            self.ends[side].send_copy(stream, &bytes);
        }
        if piece < left {
            self.sides[side].unsaid.insert(stream, (left - piece, trailers));
        } else {
            self.sides[side].unsaid.remove(&stream);
            let trailers = if trailers { [("x-sum", "1")].into_iter().collect() } else { Fields::new() };
            self.ends[side].finish(stream, trailers);
        }
    }

    /// An application gets rid of some content.
    fn take(&mut self) {
        for side in 0..2 {
            for (stream, message) in &mut self.sides[side].messages {
                let length = self.random.random_range(0..=message.held);
                message.held -= length;
                self.ends[side].took(*stream, length);
            }
        }
    }

    fn give_up(&mut self) {
        let side = self.random.random_range(0..2);
        let Some((&stream, _)) = self.sides[side].unsaid.iter().next() else { return };
        self.ends[side].reset(stream, ErrorCode::CANCEL);
        self.sides.iter_mut().for_each(|side| side.forget(stream));
        self.given_up.push(stream);
    }

    fn write(&mut self, side: usize, room: usize) {
        let mut sink = Output::new();
        self.ends[side].write(&mut sink, room, self.now);
        while let Some(piece) = sink.pop() {
            self.wires[side].extend_from_slice(&piece);
        }
        while self.ends[side].relieved().is_some() {}
    }

    fn deliver(&mut self, from: usize, most: usize) {
        let to = 1 - from;
        let length = most.min(self.wires[from].len());
        let bytes: Vec<u8> = self.wires[from].drain(..length).collect();
        let mut input = &bytes[..];
        while let Some(event) = self.ends[to].next(&mut input, self.now) {
            self.sides[to].hear(&event);
            if let Event::Request { stream, .. } = event {
                self.ends[to].respond(stream, Status::OK).unwrap().finish(false);
                self.begin(to, stream);
            }
            if let Event::Reset { stream, .. } = event {
                self.sides.iter_mut().for_each(|side| side.forget(stream));
                self.given_up.push(stream);
            }
        }
        assert!(input.is_empty());
    }

    fn end(&mut self) {
        for _ in 0..3000 {
            (0..2).for_each(|_| self.say());
            (0..2).for_each(|side| self.write(side, 1_000_000));
            (0..2).for_each(|side| self.deliver(side, 1_000_000));
            self.take();
        }
        for side in 0..2 {
            let messages = &mut self.sides[side].messages;
            for (stream, message) in messages {
                self.ends[side].took(*stream, std::mem::take(&mut message.held));
            }
        }
    }

    fn judge(&mut self, seed: u64) {
        for side in 0..2 {
            assert!(!self.ends[side].is_over(), "seed {seed}");
            assert_eq!(self.ends[side].open(), 0, "seed {seed}: {:?}", self.sides[side].unsaid);
            for (&stream, message) in &self.sides[side].messages {
                let sender = 1 - side;
                let whole = content(sender, stream, length_of(sender, stream));
                if self.given_up.contains(&stream) {
                    assert!(whole.starts_with(&message.content), "seed {seed}: stream {stream}");
                } else {
                    assert!(message.content == whole && message.ended, "seed {seed}: stream {stream}");
                    assert_eq!(message.trailers, stream.is_multiple_of(3), "seed {seed}: stream {stream}");
                }
            }
        }
        let given_up = |stream: &&u32| self.given_up.contains(stream);
        let complete = self.sides[1].messages.keys().filter(|stream| !given_up(stream)).count();
        assert!(complete > 0, "seed {seed}: nothing was asked");
    }
}

impl Side {
    fn forget(&mut self, stream: u32) {
        self.unsaid.remove(&stream);
    }

    fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Request { stream, ends, .. } | Event::Response { stream, ends, .. } => {
                let message = Message { ended: *ends, ..Message::default() };
                assert!(self.messages.insert(*stream, message).is_none());
            }
            Event::Data { stream, data } => {
                let message = self.messages.get_mut(stream).unwrap();
                assert!(!message.ended && !self.over.contains(stream));
                message.content.extend_from_slice(data);
                message.held += data.len();
            }
            Event::End { stream, trailers } => {
                let message = self.messages.get_mut(stream).unwrap();
                assert!(!std::mem::replace(&mut message.ended, true));
                message.trailers = !trailers.is_empty();
            }
            Event::Reset { stream, .. } => self.over.push(*stream),
            other => panic!("{}", describe(other)),
        }
    }
}

#[test]
fn each_stream_gets_its_own_content_and_nothing_is_left() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        (0..400).for_each(|_| world.step());
        world.end();
        world.judge(seed);
    }
}
