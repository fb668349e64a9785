//! The six phases in which the course text describes an exchange, and which may follow which.
//!
//! [`State`](super::exchange::State) owns the data; a phase is only its name, for logs, counters and the reader of the
//! text. [`TRANSITIONS`] is checked on every change in debug builds, and `docs/exchange-states.md` is drawn from it.

/// Where an exchange stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing asked yet, or everything answered.
    Idle,
    /// The head is being read and judged, a backend chosen.
    ReadingRequest,
    /// The request is on its way: waiting for room, connecting, sending.
    Forwarding,
    /// The request is with the backend; nothing has come back.
    ReadingResponse,
    /// The response is on its way to the client (or a tunnel carries both directions).
    WritingResponse,
    /// The client connection ends.
    Closing,
}

impl Phase {
    /// As in the course text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::ReadingRequest => "READING_REQUEST",
            Self::Forwarding => "FORWARDING",
            Self::ReadingResponse => "READING_RESPONSE",
            Self::WritingResponse => "WRITING_RESPONSE",
            Self::Closing => "CLOSING",
        }
    }
}

use Phase::{Closing, Forwarding, Idle, ReadingRequest, ReadingResponse, WritingResponse};

/// Every change of phase that may happen, and what makes it happen.
pub const TRANSITIONS: &[(Phase, Phase, &str)] = &[
    (Idle, ReadingRequest, "a request head is complete"),
    (ReadingRequest, Forwarding, "a backend is chosen, or the request waits for one"),
    (ReadingRequest, Closing, "the client is gone before the beginning of its body is here"),
    (ReadingRequest, WritingResponse, "refused, or cached: the proxy answers itself"),
    (Forwarding, ReadingResponse, "the request is sent completely"),
    (Forwarding, WritingResponse, "the backend answers early, or the proxy answers for it"),
    (Forwarding, Closing, "the client is gone"),
    (ReadingResponse, Forwarding, "retry: the backend failed before its response, or its 304 was about something else"),
    (ReadingResponse, WritingResponse, "the response head is here, or the proxy answers itself"),
    (ReadingResponse, Closing, "the client is gone"),
    (WritingResponse, Idle, "the response is complete and the connection persists"),
    (WritingResponse, Closing, "the response is complete and the connection does not persist, or it broke off"),
];

/// The diagram in `docs/exchange-states.md`.
#[must_use]
pub fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> IDLE: accepted\n");
    for (from, to, why) in TRANSITIONS {
        text.push_str(&format!("    {} --> {}: {why}\n", from.as_str(), to.as_str()));
    }
    text.push_str("    CLOSING --> [*]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_in_the_book_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/exchange-states.md");
        let page = std::fs::read_to_string(path).unwrap();
        let drawn = page.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
        assert_eq!(drawn, diagram(), "{path} is stale: replace its diagram with this one\n{}", diagram());
    }

    #[test]
    fn every_phase_is_entered_and_left() {
        for phase in [Idle, ReadingRequest, Forwarding, ReadingResponse, WritingResponse, Closing] {
            assert!(phase == Idle || TRANSITIONS.iter().any(|(_, to, _)| *to == phase), "{phase:?} is never entered");
            assert!(phase == Closing || TRANSITIONS.iter().any(|(from, _, _)| *from == phase), "{phase:?} never ends");
        }
    }
}
