//! The states of a stream (RFC 9113 §5.1), and what may come in each.
//!
//! ```text
//!              HEADERS              its END_STREAM
//!        idle ─────────▶ open ──────────────────────▶ half-closed (remote)
//!                         │ our END_STREAM                  │ our END_STREAM
//!                         ▼                                 ▼
//!               half-closed (local) ───────────────────▶ closed ◀──── RST_STREAM from any
//!                                    its END_STREAM
//! ```
//!
//! RST_STREAM closes a stream in any state: it leaves the table, and is remembered for a while ([`Remembered`]). There are no
//! promises here (`PUSH_PROMISE`), and so no reserved streams.

use super::{
    cause::{Cause, Fault},
    frame::Kind,
    limits,
    priority::Priority,
    window::{ReceiveWindow, SendWindow},
};
use crate::{buf::Output, http::Fields, time::Instant};
use std::collections::VecDeque;

/// Where a stream is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Open,
    /// We have ended our side.
    HalfClosedLocal,
    /// The peer has ended its side.
    HalfClosedRemote,
    Closed,
}

/// A frame, or its `END_STREAM`, that moves a stream on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// HEADERS, from either side.
    Begin,
    /// Our `END_STREAM`.
    SendEnd,
    /// Its `END_STREAM`.
    ReceiveEnd,
}

impl State {
    /// All transitions. A move that means nothing in a state is not made: [`State::receives`] tells which may be.
    pub(super) fn after(self, step: Move) -> Self {
        use Move::*;
        use State::*;
        match (self, step) {
            (Idle, Begin) => Open,
            (Idle, SendEnd | ReceiveEnd) => Idle,
            (Open, SendEnd) => HalfClosedLocal,
            (Open, ReceiveEnd) => HalfClosedRemote,
            (HalfClosedLocal, ReceiveEnd) | (HalfClosedRemote, SendEnd) => Closed,
            (Open, Begin) => Open,
            (HalfClosedLocal, Begin | SendEnd) => HalfClosedLocal,
            (HalfClosedRemote, Begin | ReceiveEnd) => HalfClosedRemote,
            (Closed, Begin | SendEnd | ReceiveEnd) => Closed,
        }
    }

    /// Whether a frame of that type may come. On a closed stream that depends on who closed it: [`Closed::receives`].
    pub(super) fn receives(self, kind: Kind) -> Result<(), Fault> {
        let is_about_streams = matches!(kind, Kind::WindowUpdate | Kind::Priority | Kind::Reset);
        match self {
            Self::Idle if matches!(kind, Kind::Headers | Kind::Priority) => Ok(()),
            Self::Idle => Err(Fault::Connection(Cause::Idle)),
            Self::Open | Self::HalfClosedLocal => Ok(()),
            Self::HalfClosedRemote | Self::Closed if is_about_streams => Ok(()),
            Self::HalfClosedRemote | Self::Closed => Err(Fault::Stream(Cause::StreamClosed)),
        }
    }

    /// Whether the peer may still send content.
    pub(super) fn is_receiving(self) -> bool {
        matches!(self, Self::Open | Self::HalfClosedLocal)
    }

    /// Whether we may still send content.
    pub(super) fn is_sending(self) -> bool {
        matches!(self, Self::Open | Self::HalfClosedRemote)
    }
}

/// How a stream came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// Both sides have ended, or the peer has reset it.
    Ended,
    /// We have reset it. A frame that comes was perhaps on its way.
    ByUs,
    /// Long ago, or its number was passed over.
    Unknown,
}

impl Closed {
    /// Whether a frame may come. `false`: it is read and thrown away.
    pub(super) fn receives(self, kind: Kind) -> Result<bool, Fault> {
        match (self, kind) {
            (Self::ByUs, _) | (_, Kind::WindowUpdate | Kind::Priority | Kind::Reset) => Ok(false),
            // A number below that of a later stream cannot begin one (§5.1.1).
            (Self::Unknown, Kind::Headers) => Err(Fault::Connection(Cause::StreamNumber)),
            (Self::Ended, Kind::Headers) => Err(Fault::Connection(Cause::StreamClosed)),
            _ => Err(Fault::Stream(Cause::StreamClosed)),
        }
    }
}

/// The streams that were closed last.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    by_us: VecDeque<u32>,
    ended: VecDeque<u32>,
}

impl Remembered {
    pub(super) fn note(&mut self, stream: u32, closed: Closed) {
        let (list, most) = match closed {
            Closed::ByUs => (&mut self.by_us, limits::REMEMBERED_RESETS),
            Closed::Ended | Closed::Unknown => (&mut self.ended, limits::REMEMBERED_ENDS),
        };
        if list.len() == most {
            list.pop_front();
        }
        list.push_back(stream);
    }

    pub(super) fn find(&self, stream: u32) -> Closed {
        if self.by_us.contains(&stream) {
            Closed::ByUs
        } else if self.ended.contains(&stream) {
            Closed::Ended
        } else {
            Closed::Unknown
        }
    }
}

/// The meaning of a peer's next field section on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// A response, perhaps an interim one: we have asked.
    Response {
        /// The request was `HEAD`: what the response says about its content is about another one.
        bodiless: bool,
    },
    /// Trailers.
    Trailers,
    /// Nothing: the stream is a tunnel (RFC 9113 §8.5).
    Nothing,
}

/// The end of our side, while content waits before it.
#[derive(Debug)]
pub(super) enum Finish {
    Not,
    Plain,
    Trailers(Box<Fields>),
}

/// A stream that is not closed.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) state: State,
    pub(super) expect: Expect,
    pub(super) send: SendWindow,
    pub(super) receive: ReceiveWindow,
    /// Content that the message still has to have; `None`: as much as it likes.
    pub(super) expected: Option<u64>,
    /// Content that came.
    pub(super) received: u64,
    pub(super) priority: Priority,
    /// Content that has not been sent.
    pub(super) queue: Output,
    pub(super) finish: Finish,
    /// Where the flags of its last frame are, in the output that was begun as that number.
    pub(super) last: Option<(u32, usize)>,
    /// It stands in the line of those that have something to send.
    pub(super) is_ready: bool,
    /// It has something to send and no window, since then.
    pub(super) blocked: Option<Instant>,
    /// More was unsent than the application should go on with.
    pub(super) is_full: bool,
    /// The rest of the peer's message is thrown away.
    pub(super) ignores: bool,
    /// The message is malformed: the stream is reset instead of ended (RFC 9113 §8.1.1).
    pub(super) malformed: Option<Cause>,
}

impl Stream {
    pub(super) fn new(id: u32, expect: Expect, send_window: u32, receive_window: u32) -> Self {
        Self {
            id,
            state: State::Idle.after(Move::Begin),
            expect,
            send: SendWindow::new(send_window),
            receive: ReceiveWindow::new(receive_window),
            expected: None,
            received: 0,
            priority: Priority::default(),
            queue: Output::new(),
            finish: Finish::Not,
            last: None,
            is_ready: false,
            blocked: None,
            is_full: false,
            ignores: false,
            malformed: None,
        }
    }

    /// Whether our side waits for the window, or for its turn.
    pub(super) fn has_unsent(&self) -> bool {
        !self.queue.is_empty() || !matches!(self.finish, Finish::Not)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transition() {
        use Move::*;
        use State::*;
        for (state, [begin, send_end, receive_end]) in [
            (Idle, [Open, Idle, Idle]),
            (Open, [Open, HalfClosedLocal, HalfClosedRemote]),
            (HalfClosedLocal, [HalfClosedLocal, HalfClosedLocal, Closed]),
            (HalfClosedRemote, [HalfClosedRemote, Closed, HalfClosedRemote]),
            (Closed, [Closed; 3]),
        ] {
            for (step, after) in [(Begin, begin), (SendEnd, send_end), (ReceiveEnd, receive_end)] {
                assert_eq!(state.after(step), after, "{state:?} {step:?}");
            }
        }
    }

    #[test]
    fn every_frame_in_every_state() {
        use Kind::*;
        let idle = Err(Fault::Connection(Cause::Idle));
        let closed = Err(Fault::Stream(Cause::StreamClosed));
        for (state, data, headers, priority, reset, window) in [
            (State::Idle, idle, Ok(()), Ok(()), idle, idle),
            (State::Open, Ok(()), Ok(()), Ok(()), Ok(()), Ok(())),
            (State::HalfClosedLocal, Ok(()), Ok(()), Ok(()), Ok(()), Ok(())),
            (State::HalfClosedRemote, closed, closed, Ok(()), Ok(()), Ok(())),
            (State::Closed, closed, closed, Ok(()), Ok(()), Ok(())),
        ] {
            for (kind, expected) in
                [(Data, data), (Headers, headers), (Priority, priority), (Reset, reset), (WindowUpdate, window)]
            {
                assert_eq!(state.receives(kind), expected, "{state:?} {kind:?}");
            }
        }
    }

    #[test]
    fn the_way_a_stream_was_closed_decides_what_may_follow() {
        use Kind::*;
        let stream = Err(Fault::Stream(Cause::StreamClosed));
        let connection = |cause| Err(Fault::Connection(cause));
        for (closed, data, headers) in [
            (Closed::ByUs, Ok(false), Ok(false)),
            (Closed::Ended, stream, connection(Cause::StreamClosed)),
            (Closed::Unknown, stream, connection(Cause::StreamNumber)),
        ] {
            assert_eq!((closed.receives(Data), closed.receives(Headers)), (data, headers), "{closed:?}");
            for kind in [Priority, Reset, WindowUpdate] {
                assert_eq!(closed.receives(kind), Ok(false), "{closed:?} {kind:?}");
            }
        }
    }

    #[test]
    fn only_the_last_ends_are_remembered() {
        let mut remembered = Remembered::default();
        let (resets, ends) = (limits::REMEMBERED_RESETS as u32, limits::REMEMBERED_ENDS as u32);
        (1..=resets).for_each(|stream| remembered.note(stream, Closed::ByUs));
        (1001..=1000 + ends).for_each(|stream| remembered.note(stream, Closed::Ended));
        assert_eq!((remembered.find(1), remembered.find(1001)), (Closed::ByUs, Closed::Ended));
        remembered.note(resets + 1, Closed::ByUs);
        remembered.note(1001 + ends, Closed::Ended);
        assert_eq!((remembered.find(1), remembered.find(1001)), (Closed::Unknown, Closed::Unknown));
        assert_eq!((remembered.find(2), remembered.find(1002)), (Closed::ByUs, Closed::Ended));
    }
}
