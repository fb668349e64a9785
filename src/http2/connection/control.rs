//! Frames about streams and the connection: resets, settings, pings, windows, priorities.

use super::{Connection, Event, Found, Reset};
use crate::{
    http2::{
        cause::{Cause, ErrorCode, Fault},
        frame::{ACK, HEAD, Head, Kind, MAX_31, first_word},
        limits::{EARLY_PRIORITIES, Meter, SETTINGS_IN_FRAME},
        priority::Priority,
        settings::Role,
        stream::{Closed, State},
    },
    time::Instant,
};

impl Connection {
    pub(super) fn reset_by_peer(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<'static>>, Fault> {
        let slot = match self.find(head.stream) {
            Found::Open(slot) => slot,
            Found::Closed(_) => return Ok(None),
            Found::Idle => return State::Idle.receives(Kind::Reset).map(|()| None),
        };
        let code = ErrorCode(first_word(payload));
        let why = match (self.role, self.streams[slot].state.is_sending()) {
            // A response that is complete was worth its cost.
            (Role::Server, false) => Reset::Answered(code),
            (Role::Server, true) => {
                self.meters.count(Meter::Resets, 1, now).map_err(Fault::Connection)?;
                Reset::Peer(code)
            }
            (Role::Client, _) => Reset::Peer(code),
        };
        self.remove(slot, Closed::Ended);
        Ok(Some(Event::Reset { stream: head.stream, why }))
    }

    pub(super) fn settings(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<'static>>, Cause> {
        let many = 1 + payload.len() / 6 / SETTINGS_IN_FRAME;
        self.meters.count(Meter::Settings, many as u32, now)?;
        if head.has(ACK) {
            return if payload.is_empty() { Ok(None) } else { Err(Cause::FrameLength) };
        }
        let before = self.peer.initial_window;
        self.peer.apply(payload, self.role)?;
        let by = i64::from(self.peer.initial_window) - i64::from(before);
        if by != 0 {
            self.change_windows(by)?;
        }
        self.encoder.offer(self.peer.header_table as usize);
        self.unread += HEAD;
        self.write_frame(Kind::Settings, ACK, 0, &[]);
        Ok(None)
    }

    /// The window of every stream changes by as much as the setting did (RFC 9113 §6.9.2).
    fn change_windows(&mut self, by: i64) -> Result<(), Cause> {
        let slots: Vec<usize> = self.streams.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.streams[slot].send.change(by).map_err(|_| Cause::SettingOverflow)?;
            self.unblock(slot);
        }
        Ok(())
    }

    /// A stream whose window was shut may have room again.
    fn unblock(&mut self, slot: usize) {
        let stream = &mut self.streams[slot];
        if stream.blocked.is_some() && stream.send.room() > 0 {
            stream.blocked = None;
            self.wake(slot);
        }
    }

    pub(super) fn ping(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<Option<Event<'static>>, Cause> {
        if head.has(ACK) && self.hear_answer(payload) {
            return Ok(None);
        }
        self.meters.count(Meter::Pings, 1, now)?;
        if !head.has(ACK) {
            self.unread += HEAD + payload.len();
            self.write_frame(Kind::Ping, ACK, 0, payload);
        }
        Ok(None)
    }

    pub(super) fn window_update(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<'static>>, Fault> {
        self.meters.count(Meter::WindowUpdates, 1, now).map_err(Fault::Connection)?;
        let increment = i64::from(first_word(payload) & MAX_31);
        if head.stream == 0 {
            if increment == 0 {
                return Err(Fault::Connection(Cause::ZeroIncrement));
            }
            self.send.change(increment).map_err(Fault::Connection)?;
            self.blocked = self.blocked.filter(|_| self.send.room() == 0);
            return Ok(None);
        }
        match self.find(head.stream) {
            Found::Idle => State::Idle.receives(Kind::WindowUpdate).map(|()| None),
            // It was on its way when the stream ended.
            Found::Closed(_) => Ok(None),
            Found::Open(_) if increment == 0 => Err(Fault::Stream(Cause::ZeroIncrement)),
            Found::Open(slot) => {
                self.streams[slot].send.change(increment).map_err(Fault::Stream)?;
                self.unblock(slot);
                Ok(None)
            }
        }
    }

    /// RFC 9218 §7.1.
    pub(super) fn priority_update(&mut self, payload: &[u8], now: Instant) -> Result<Option<Event<'static>>, Cause> {
        self.meters.count(Meter::Priorities, 1, now)?;
        let stream = first_word(payload) & MAX_31;
        if self.role == Role::Client || stream.is_multiple_of(2) {
            return Err(Cause::PriorityOfNothing);
        }
        let priority = Priority::of(payload.get(4..).unwrap_or_default());
        match self.find(stream) {
            Found::Open(slot) => {
                self.streams[slot].priority = priority;
                if self.streams[slot].is_ready {
                    self.turns.remove(slot);
                    self.turns.push(slot, priority);
                }
            }
            Found::Closed(_) => {}
            Found::Idle => {
                self.early.retain(|(other, _)| *other != stream);
                if self.early.len() == EARLY_PRIORITIES {
                    self.early.remove(0);
                }
                self.early.push((stream, priority));
            }
        }
        Ok(None)
    }

    /// The priority that was said of a stream before it began.
    pub(super) fn take_early(&mut self, stream: u32) -> Option<Priority> {
        if self.early.is_empty() {
            return None;
        }
        let early = self.early.iter().find(|(other, _)| *other == stream).map(|(_, priority)| *priority);
        // Lower ones will not begin any more.
        self.early.retain(|(other, _)| *other > stream);
        early
    }
}
