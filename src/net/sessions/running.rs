//! One session: what of its output is sent when, when its peer is read, and when it is over.

use super::Workshop;
use crate::{
    app::{ConnId, Cx, TimerKey},
    net::{Traffic, driver::CONFIRMED},
    session::{ANSWERS, CloseReason, Session, Wants},
    time::{Instant, Now},
};
use std::mem;

/// A session and what its driver has to remember.
#[derive(Debug)]
pub(super) struct Running<S> {
    pub(super) session: S,
    pub(super) conn: ConnId,
    /// Bytes that the peer has not taken, as far as we were told.
    pub(super) unsent: usize,
    /// Bytes of a large file among them. They are counted as they leave, for the peer may never take most of them.
    pub(super) uncounted: usize,
    /// Of all that was sent, how much the peer had confirmed when a deadline passed since `unsent` moved last.
    pub(super) acknowledged: Option<u64>,
    pub(super) paused: bool,
    /// Its work is being computed elsewhere.
    pub(super) working: bool,
    /// The session was told that nothing more comes.
    pub(super) ended: bool,
    /// Its entry in [`super::Sessions`]' promises.
    pub(super) promised: Option<Instant>,
    /// More answers are due in the next turn.
    pub(super) put_off: bool,
}

impl<S: Session> Running<S> {
    pub(super) fn new(session: S, conn: ConnId) -> Self {
        Self {
            session,
            conn,
            unsent: 0,
            uncounted: 0,
            acknowledged: None,
            paused: false,
            working: false,
            ended: false,
            promised: None,
            put_off: false,
        }
    }

    /// The session's peer, or we, have nothing more to tell it.
    pub(super) fn end(&mut self, now: Now) {
        if !self.ended {
            self.ended = true;
            self.session.receive_end(now);
        }
    }

    /// Sends what there is to send, then obeys. `Some`: the connection is closed.
    pub(super) fn advance(
        &mut self,
        cx: &mut Cx,
        traffic: &Traffic,
        workshop: &mut impl Workshop,
    ) -> Option<CloseReason> {
        if self.uncounted > 0 {
            let left = self.uncounted.min(self.unsent);
            traffic.sent(mem::replace(&mut self.uncounted, left) - left);
        }
        self.send(cx, traffic);
        if let Wants::Work(work) = self.session.wants()
            && !self.working
        {
            match workshop.begin(self.conn, work) {
                None => self.working = true,
                Some(worked) => {
                    self.session.worked(worked, cx.clock());
                    self.send(cx, traffic);
                }
            }
        }
        let more = !self.session.output().is_empty();
        let wants = self.session.wants();
        // Otherwise nothing is left, or it is sent when the peer has taken what the driver has.
        self.put_off &= (more || wants == Wants::Flush) && self.unsent == 0;
        let reason = match wants {
            // An answer that the peer does not take is not worth the wait. A session that has handed over all its
            // output takes such a peer for a silent one; here we know that it does not read.
            Wants::Close(CloseReason::TooSlow | CloseReason::Idle) if self.unsent > 0 => {
                cx.abort(self.conn);
                return Some(CloseReason::TooSlow);
            }
            Wants::Close(reason) if !more => Some(reason),
            Wants::Input if self.ended && !more => Some(CloseReason::PeerFinished),
            _ => None,
        };
        if let Some(reason) = reason {
            if reason.was_heard_out() {
                cx.hang_up(self.conn);
            } else {
                cx.close(self.conn);
            }
            // Nothing more is heard of it.
            traffic.sent(self.uncounted);
            return Some(reason);
        }
        let pause = more || self.unsent > 0 || wants != Wants::Input;
        if pause != self.paused {
            self.paused = pause;
            cx.set_reading(self.conn, !pause);
        }
        // Work that was asked for behind other work begins in another turn, so that it does not keep the others out as well.
        let postponed = matches!(wants, Wants::Work(_)) && !self.working;
        cx.set_deadline(TimerKey::Conn(self.conn), if postponed { Some(cx.now()) } else { self.session.deadline() });
        None
    }

    /// Moves output to the driver, which tells about so much in any case: then the rest follows.
    fn send(&mut self, cx: &mut Cx, traffic: &Traffic) {
        let (mut queued, mut answers) = (0_usize, 0);
        while self.unsent == 0 && answers < ANSWERS {
            let len = match self.session.output().pop() {
                Some(piece) => {
                    let len = piece.len();
                    cx.send(self.conn, piece);
                    len
                }
                None => match self.session.file() {
                    Some(part) => {
                        let len = usize::try_from(part.length).unwrap_or(usize::MAX);
                        cx.send_file(self.conn, part);
                        if len >= CONFIRMED {
                            self.uncounted = len;
                        }
                        len
                    }
                    None => break,
                },
            };
            queued = queued.saturating_add(len);
            let answered = self.session.answered();
            traffic.answered(answered);
            answers += answered;
            if self.uncounted == 0 {
                traffic.sent(len);
            }
            if queued >= CONFIRMED {
                self.unsent = queued;
            }
        }
        self.put_off = answers >= ANSWERS;
    }
}
