//! Each error of one side in the words of the other: the table of the module's documentation.

use crate::{
    client::{Answer, Cause, Error},
    http::Status,
};
use serde::Serialize;
use std::time::Duration;

/// When a client may try again that is told nothing else.
const SOON: Duration = Duration::from_secs(1);

/// The beginning of each error of the command server, and of any text that a client has sent back to it.
pub(super) const ERROR: &str = "ERROR ";

/// The fate of one command, as its client is told. No word of it says how the gateway reaches its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: Status,
    /// The answer, or the error.
    pub(super) text: String,
    pub(super) executed: Executed,
    /// Nothing was executed, and it may work later.
    pub(super) retry_after: Option<Duration>,
}

/// Whether the command server has executed a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Executed {
    Yes,
    No,
    /// It was sent, and no answer came.
    Unknown,
}

impl Outcome {
    /// Whether the command was answered as it was meant to be.
    pub(super) fn is_success(&self) -> bool {
        self.status == Status::OK
    }

    /// The fate of a command that was handed on. `echoed`: the text that it has sent back, where that begins as an error does.
    pub(super) fn of(result: Result<Answer, Error>, echoed: Option<&str>) -> Self {
        match result {
            Ok(answer) => Self::answered(answer.text, echoed),
            Err(error) => Self::from(&error),
        }
    }

    /// A command that cannot be one.
    pub(super) fn invalid(rule: &str) -> Self {
        Self::error(Status::BAD_REQUEST, rule, Executed::No)
    }

    /// The server's answer makes no sense.
    pub(super) fn nonsense(executed: Executed) -> Self {
        Self::error(Status::BAD_GATEWAY, "the command server said what is no answer", executed)
    }

    fn error(status: Status, text: &str, executed: Executed) -> Self {
        Self { status, text: text.to_owned(), executed, retry_after: None }
    }

    fn later(text: &str, after: Duration) -> Self {
        Self { retry_after: Some(after), ..Self::error(Status::SERVICE_UNAVAILABLE, text, Executed::No) }
    }

    /// The answer of a server that has heard the command. `echoed`: this text was to be sent back.
    fn answered(text: String, echoed: Option<&str>) -> Self {
        match text.strip_prefix(ERROR) {
            _ if echoed == Some(&*text) => {
                Self { status: Status::OK, text, executed: Executed::Yes, retry_after: None }
            }
            None => Self { status: Status::OK, text, executed: Executed::Yes, retry_after: None },
            // Its own limit, not the client's mistake.
            Some(error) if error.starts_with("too many") => Self::later(error, SOON),
            Some(error) => Self::invalid(error),
        }
    }

    /// Nothing of the command has left.
    fn not_sent(cause: &Cause) -> Self {
        match cause {
            Cause::TimedOut => Self::error(Status::GATEWAY_TIMEOUT, "no answer in time", Executed::No),
            Cause::Protocol(_) => Self::nonsense(Executed::No),
            Cause::BreakerOpen { retry_in } => {
                Self::later("the command server failed too often lately and is left alone", *retry_in)
            }
            Cause::QueueFull | Cause::NoneFree => Self::later("too many commands wait", SOON),
            Cause::Busy => Self::later("the command server has no room", SOON),
            Cause::Closed => Self::later("the gateway is about to end", SOON),
            Cause::Connect(_)
            | Cause::Unresolved
            | Cause::Ended
            | Cause::Broken(_)
            | Cause::Silent
            | Cause::GaveUp { .. } => Self::later("the command server cannot be reached", SOON),
        }
    }

    /// A part of the command has left, and no answer came. To repeat it is to decide that a second execution does no harm.
    fn unknown(cause: &Cause) -> Self {
        match cause {
            Cause::TimedOut => Self::error(Status::GATEWAY_TIMEOUT, "no answer in time", Executed::Unknown),
            Cause::Protocol(_) => Self::nonsense(Executed::Unknown),
            _ => Self::error(Status::BAD_GATEWAY, "the command server went away before it answered", Executed::Unknown),
        }
    }
}

impl From<&Error> for Outcome {
    fn from(error: &Error) -> Self {
        match error {
            Error::Invalid(rule) => Self::invalid(rule),
            Error::NotSent(cause) => Self::not_sent(cause),
            Error::MaybeExecuted { cause, .. } => Self::unknown(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{PeerError, Written};
    use std::io::ErrorKind;

    fn told(outcome: &Outcome) -> (u16, Executed, Option<u64>) {
        (outcome.status.code(), outcome.executed, outcome.retry_after.map(|after| after.as_secs()))
    }

    /// The table, row by row.
    #[test]
    fn each_error_has_its_status_and_says_whether_the_command_was_executed() {
        use Executed::{No, Unknown};
        let breaker = || Cause::BreakerOpen { retry_in: Duration::from_secs(7) };
        let gave_up = || Cause::GaveUp { tries: 3, last: Box::new(Cause::Connect(ErrorKind::ConnectionRefused)) };
        let not_sent = [
            (Cause::Connect(ErrorKind::ConnectionRefused), (503, No, Some(1))),
            (Cause::Unresolved, (503, No, Some(1))),
            (gave_up(), (503, No, Some(1))),
            (Cause::Ended, (503, No, Some(1))),
            (Cause::Broken(ErrorKind::ConnectionReset), (503, No, Some(1))),
            (Cause::Silent, (503, No, Some(1))),
            (Cause::Busy, (503, No, Some(1))),
            (breaker(), (503, No, Some(7))),
            (Cause::QueueFull, (503, No, Some(1))),
            (Cause::NoneFree, (503, No, Some(1))),
            (Cause::Closed, (503, No, Some(1))),
            (Cause::TimedOut, (504, No, None)),
            (Cause::Protocol(PeerError::NoId), (502, No, None)),
        ];
        for (cause, expected) in not_sent {
            let outcome = Outcome::from(&Error::NotSent(cause.clone()));
            assert_eq!(told(&outcome), expected, "{cause:?}");
        }
        let unknown = [
            (Cause::Ended, 502),
            (Cause::Broken(ErrorKind::ConnectionReset), 502),
            (Cause::Silent, 502),
            (breaker(), 502),
            (gave_up(), 502),
            (Cause::Closed, 502),
            (Cause::Protocol(PeerError::TooLong), 502),
            (Cause::TimedOut, 504),
        ];
        for (cause, status) in unknown {
            for written in [Written::Partly, Written::Wholly] {
                let outcome = Outcome::from(&Error::MaybeExecuted { written, cause: cause.clone() });
                assert_eq!(told(&outcome), (status, Unknown, None), "{cause:?}");
            }
        }
    }

    #[test]
    fn answers_of_the_server() {
        for (text, expected) in [
            ("PONG", (200, Executed::Yes, None)),
            ("ERRORS=0", (200, Executed::Yes, None)),
            ("ERROR unknown command: HELP lists them", (400, Executed::No, None)),
            ("ERROR too many delayed answers: wait for some of the 64", (503, Executed::No, Some(1))),
        ] {
            assert_eq!(told(&Outcome::answered(text.to_owned(), None)), expected, "{text}");
            // The same words are no error where they were asked for, and still one where others were.
            assert_eq!(told(&Outcome::answered(text.to_owned(), Some(text))), (200, Executed::Yes, None), "{text}");
            assert_eq!(told(&Outcome::answered(text.to_owned(), Some("ERROR"))), expected, "{text}");
        }
        assert_eq!(told(&Outcome::from(&Error::Invalid("no"))), (400, Executed::No, None));
    }
}
