//! Helpers for the tests of all services: a fixed time, a driver without a socket, transcripts cut everywhere.

use crate::{
    buf::Output,
    session::{CloseReason, Session, Wants},
    time::{Instant, Now},
};
use std::time::{Duration, SystemTime};

/// The time at which every test starts: noon of 29 July 2026 by the wall clock.
// Any instant will do: the tests only add to it.
#[allow(clippy::disallowed_methods)]
pub(crate) fn now() -> Now {
    Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_785_326_400) }
}

/// Takes all output, as a peer that reads at once.
pub(crate) fn drain(session: &mut impl Session) -> Vec<u8> {
    let mut taken = Vec::new();
    while !session.output().is_empty() {
        taken.extend(take(session.output()));
    }
    taken
}

/// Takes what waits now.
pub(crate) fn take(output: &mut Output) -> Vec<u8> {
    let mut taken = Vec::new();
    while let Some(piece) = output.pop() {
        taken.extend_from_slice(&piece);
    }
    taken
}

/// Lets a new session hear `input` in pieces that end at `cuts`, then the end; returns what it said and why it ended.
///
/// After it asked to close, it hears nothing more, as under a real driver.
pub(crate) fn talk<S: Session>(mut session: S, input: &[u8], cuts: &[usize], now: Now) -> (String, CloseReason) {
    let mut said = drain(&mut session);
    let mut start = 0;
    for &end in cuts.iter().chain([&input.len()]) {
        session.receive(&input[start..end], now);
        said.extend(drain(&mut session));
        if let Wants::Close(reason) = session.wants() {
            return (String::from_utf8_lossy(&said).into_owned(), reason);
        }
        assert_eq!(session.wants(), Wants::Input, "everything is sent");
        start = end;
    }
    session.receive_end(now);
    said.extend(drain(&mut session));
    let Wants::Close(reason) = session.wants() else { panic!("still open after the end: {:?}", session.wants()) };
    (String::from_utf8_lossy(&said).into_owned(), reason)
}

/// Asserts a transcript: whole, byte by byte, and cut in two everywhere.
pub(crate) fn assert_transcript<S: Session>(
    open: impl Fn(Now) -> S,
    input: &[u8],
    expected: &str,
    reason: CloseReason,
) {
    let now = now();
    let every: Vec<usize> = (0..input.len()).collect();
    let whole = talk(open(now), input, &[], now);
    assert_eq!(whole, (expected.to_owned(), reason), "whole");
    assert_eq!(talk(open(now), input, &every, now), whole, "byte by byte");
    for cut in every {
        assert_eq!(talk(open(now), input, &[cut], now), whole, "cut at {cut}");
    }
}
