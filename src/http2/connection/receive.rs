//! From bytes to frames. A frame that is whole is used where it lies; only one that is cut is copied, and never content.

use super::{Connection, Event};
use crate::{
    http2::{
        cause::{Cause, Fault},
        connection::PREFACE,
        frame::{ACK, HEAD, Head, Kind},
        limits::Meter,
        settings::Role,
    },
    time::Instant,
};

/// The part of the input that comes next.
#[derive(Debug)]
pub(super) enum Reading {
    /// The preface of a client, of which so many bytes were there.
    Preface(usize),
    /// The peer's settings, which come first.
    First,
    /// A frame.
    Frame,
    /// The rest of a DATA frame.
    Data(Data),
    /// The rest of a frame that nobody wants.
    Skip(u32),
    /// Nothing is read any more.
    Failed,
}

/// A DATA frame of which some is not here yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data {
    pub(super) stream: u32,
    /// Bytes of content that are to come; with the padding, until its length is known.
    pub(super) content: u32,
    pub(super) padding: Padding,
    pub(super) ends: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// Its length is the next byte.
    Unknown,
    /// The number of bytes that are to come.
    Bytes(u32),
}

/// A field block in several frames.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    pub(super) ends: bool,
    pub(super) continuations: u32,
    pub(super) bytes: Vec<u8>,
}

/// The outcome of one step.
pub(super) enum Step<'i> {
    Event(Event<'i>),
    /// Something was used, and there is nothing to tell.
    Quiet,
    /// All of the input was used.
    Starved,
}

impl Reading {
    pub(super) fn first(role: Role) -> Self {
        match role {
            Role::Server => Self::Preface(0),
            Role::Client => Self::First,
        }
    }
}

impl Connection {
    /// Takes the next event; `input` is advanced past what was used. `None`: all of it was used, and more is needed.
    ///
    /// The application may stop before that and keep the rest: for as long, the peer's windows are not heard of.
    pub fn next<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Option<Event<'i>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            match self.step(input, now) {
                Ok(Step::Event(event)) => return Some(event),
                Ok(Step::Quiet) => {}
                Ok(Step::Starved) => return None,
                Err(cause) => return Some(self.fail(cause)),
            }
        }
    }

    fn step<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Result<Step<'i>, Cause> {
        match self.reading {
            Reading::Preface(seen) => self.preface(seen, input),
            Reading::First | Reading::Frame => self.frame(input, now),
            Reading::Data(data) => self.data(data, input, now),
            Reading::Skip(0) => {
                self.reading = Reading::Frame;
                Ok(Step::Quiet)
            }
            Reading::Skip(left) => {
                let length = left.min(u32::try_from(input.len()).unwrap_or(u32::MAX));
                *input = &input[length as usize..];
                self.reading = Reading::Skip(left - length);
                Ok(if left == length { Step::Quiet } else { Step::Starved })
            }
            Reading::Failed => {
                *input = &[];
                Ok(Step::Starved)
            }
        }
    }

    fn preface<'i>(&mut self, seen: usize, input: &mut &'i [u8]) -> Result<Step<'i>, Cause> {
        let length = input.len().min(PREFACE.len() - seen);
        let (start, rest) = input.split_at(length);
        if start != &PREFACE[seen..seen + length] {
            return Err(Cause::BadPreface);
        }
        *input = rest;
        if seen + length == PREFACE.len() {
            self.reading = Reading::First;
            return Ok(Step::Quiet);
        }
        self.reading = Reading::Preface(seen + length);
        Ok(Step::Starved)
    }

    /// The next frame, if it is all here; of DATA, the head.
    fn frame<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Result<Step<'i>, Cause> {
        if !self.partial.is_empty() {
            return self.partial_frame(input, now);
        }
        let Some((bytes, rest)) = input.split_first_chunk() else {
            self.partial.extend_from_slice(input);
            *input = &[];
            return Ok(Step::Starved);
        };
        let head = Head::of(bytes);
        if let Some(step) = self.by_head(head, now)? {
            *input = rest;
            return Ok(step);
        }
        let Some((payload, after)) = rest.split_at_checked(head.length as usize) else {
            self.partial.extend_from_slice(input);
            *input = &[];
            return Ok(Step::Starved);
        };
        *input = after;
        self.whole(head, payload, now)
    }

    /// As [`Connection::frame`], for one whose beginning came before.
    fn partial_frame<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Result<Step<'i>, Cause> {
        let mut complete = |partial: &mut Vec<u8>, length: usize| {
            let missing = length.saturating_sub(partial.len()).min(input.len());
            partial.extend_from_slice(&input[..missing]);
            *input = &input[missing..];
            partial.len() >= length
        };
        let is_new = self.partial.len() < HEAD;
        if !complete(&mut self.partial, HEAD) {
            return Ok(Step::Starved);
        }
        let head = Head::of(self.partial.first_chunk().unwrap_or(&[0; HEAD]));
        if is_new && let Some(step) = self.by_head(head, now)? {
            self.partial.clear();
            return Ok(step);
        }
        if !complete(&mut self.partial, HEAD + head.length as usize) {
            return Ok(Step::Starved);
        }
        let frame = std::mem::take(&mut self.partial);
        self.whole(head, &frame[HEAD..], now)
    }

    /// Whether the beginning of a frame with a field block is here.
    pub(super) fn begins_with_block(&self) -> bool {
        /// The type of a frame stands behind its length.
        const KIND: usize = 3;
        let kind = self.partial.get(KIND).map(|byte| Kind::of(*byte));
        matches!(kind, Some(Kind::Headers | Kind::Continuation))
    }

    /// The rules that need no payload; DATA, and frames whose payload nobody wants. `None`: the payload is needed.
    fn by_head(&mut self, head: Head, now: Instant) -> Result<Option<Step<'static>>, Cause> {
        if matches!(self.reading, Reading::First) && (head.kind != Kind::Settings || head.has(ACK)) {
            return Err(Cause::NoSettings);
        }
        if let Some(block) = &self.block
            && (head.kind, head.stream) != (Kind::Continuation, block.stream)
        {
            return Err(Cause::BlockInterrupted);
        }
        let checked = head.check();
        let quiet = match (checked, head.kind) {
            (Err(Fault::Connection(cause)), _) => return Err(cause),
            (checked, Kind::Data) => return self.begin_data(head, checked, now).map(Some),
            (Err(Fault::Stream(cause)), _) => {
                self.reading = Reading::Skip(head.length);
                return self.settle(head.stream, Err(Fault::Stream(cause)), now).map(Some);
            }
            (Ok(()), Kind::Priority) => self.meters.count(Meter::Priorities, 1, now),
            (Ok(()), Kind::Unknown) => self.meters.count(Meter::Unknown, 1, now),
            (Ok(()), Kind::PushPromise) => Err(Cause::Push),
            (Ok(()), Kind::Continuation) if self.block.is_none() => Err(Cause::NoBlock),
            (Ok(()), _) => return Ok(None),
        };
        quiet?;
        self.reading = Reading::Skip(head.length);
        Ok(Some(Step::Quiet))
    }

    /// A frame whose payload is here.
    fn whole<'i>(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<Step<'i>, Cause> {
        self.reading = Reading::Frame;
        let outcome = match head.kind {
            Kind::Headers => self.headers(head, payload, now),
            Kind::Continuation => self.continuation(head, payload, now),
            Kind::Reset => self.reset_by_peer(head, payload, now),
            Kind::Settings => self.settings(head, payload, now).map_err(Fault::Connection),
            Kind::Ping => self.ping(head, payload, now).map_err(Fault::Connection),
            Kind::GoAway => self.go_away_by_peer(payload, now),
            Kind::WindowUpdate => self.window_update(head, payload, now),
            Kind::PriorityUpdate => self.priority_update(payload, now).map_err(Fault::Connection),
            // These end with their head.
            Kind::Data | Kind::Priority | Kind::PushPromise | Kind::Unknown => Ok(None),
        };
        self.settle(head.stream, outcome, now)
    }

    /// The consequence of a frame: an event, the end of its stream, or that of the connection.
    pub(super) fn settle<'i>(
        &mut self,
        stream: u32,
        outcome: Result<Option<Event<'static>>, Fault>,
        now: Instant,
    ) -> Result<Step<'i>, Cause> {
        let event = match outcome {
            Ok(event) => event,
            Err(Fault::Stream(cause)) => self.stream_fault(stream, cause, now)?,
            Err(Fault::Connection(cause)) => return Err(cause),
        };
        if self.unread > crate::http2::limits::MAX_UNREAD {
            return Err(Cause::Unread);
        }
        Ok(event.map_or(Step::Quiet, Step::Event))
    }
}
