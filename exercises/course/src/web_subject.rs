//! The mistakes of HTTP servers that the subject of a step gives away.

use crate::{
    cause::{Cause, Diagnosis, waiting},
    problem::{Problem, Resource, Seen},
    stage::Stage,
    transcript::show,
    web,
};

/// The subject of a step of a check of an HTTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Web {
    /// The lines of the answer's head.
    Form,
    /// The answer's Content-Length.
    Length,
    /// It is the number of characters.
    Characters,
    /// The answer has two lengths.
    TwoLengths,
    /// The answer has no length at all.
    NoLength,
    /// The answer's chunks.
    Chunks,
    /// A request that is right.
    Good,
    /// The content is no UTF-8.
    Binary,
    /// The name of a field in another case.
    NameCase,
    /// A request that came in pieces.
    Cut,
    /// Requests that came together.
    Pipelined,
    /// The request's body came in chunks.
    ChunkSize,
    /// A bad request: its body could be read in two ways,
    TwoReadings,
    /// a line ends with CR or LF alone,
    LineEnd,
    /// the head breaks another rule,
    Syntax,
    /// it has no Host, or two,
    Host,
    /// its chunks break a rule,
    BadChunk,
    /// a part of it is one byte longer than allowed,
    OverLimit,
    /// a part of it is far longer than allowed,
    FarOver,
    /// it has no end.
    Endless,
    /// A part of a request is as long as allowed.
    AtLimit,
    /// The request before this was bad.
    AfterRefusal,
    /// The stream ended within a request.
    HalfARequest,
    /// The request has a long body.
    LongBody,
    /// The answer is complete.
    AfterAnswer,
    /// The answer to HEAD is complete.
    AfterHead,
    /// The answer to HEAD has other fields than that to GET.
    HeadDiffers,
    /// The type of the content.
    Type,
    /// The path names something that is no plain file.
    NotPlain,
    /// The path is spelled in an unusual way.
    Name,
    /// The path cannot be decoded.
    BadEscape,
    /// The path leads out of the root.
    Traversal,
    /// The method is not one of the server's.
    Method,
    /// The answer 405 names the methods.
    Allow,
    /// A long file is sent.
    FileInMemory,
    /// There are fewer clients than there may be.
    Room,
    /// Clients before this one broke off.
    AfterBroken,
    /// The connection has answered before, and stays.
    Kept,
    /// As many requests as this may come on a connection.
    UnderHundred,
    /// More than as many.
    OverHundred,
    /// An answer that never has a content.
    NoContent,
    /// It is complete.
    AfterNoContent,
    /// The request before this had a body that no page wants.
    AfterBody,
    /// The client speaks HTTP/1.0.
    OldClient,
    /// The client waits before it sends its body.
    Continue,
    /// It does, and its body would be too long.
    ContinueAnyway,
    /// The site that Host names.
    Site,
    /// A site that is not there.
    NoSite,
    /// The last answer of a connection,
    CloseTold,
    /// or one that is not the last, tells so.
    KeepTold,
    /// The last answer has come.
    AfterLast,
    /// The client has been silent for longer than it may.
    Idle,
    /// The client has sent a part of a head, and nothing since,
    HalfHead,
    /// or a byte now and then.
    SlowHead,
    /// The client is not idle, or not for long.
    NotIdle,
    /// There are as many clients as there may be.
    TooMany,
    /// The same, and their number was said on the command line.
    MoreThanSaid,
    /// The refusal says when to come again.
    RetryAfter,
    /// There are fewer.
    NotFull,
    /// There were as many, and one has left.
    RoomAgain,
    /// The numbers of the health page.
    Health,
    /// The client tried to write into the log.
    Forged,
}

/// The answer that came in place of the wanted one.
enum Came {
    /// One with this status.
    Status(u16),
    /// Something else.
    Bytes,
    /// None, and the connection stays.
    Nothing,
    /// None, and the end.
    End,
    /// Something beside the answer.
    Other,
}

impl Came {
    fn of(problem: &Problem) -> Self {
        match &problem.seen {
            Seen::Wrong(got) | Seen::Extra(got) => web::status(got).map_or(Self::Bytes, Self::Status),
            Seen::Silence(got) if got.is_empty() => Self::Nothing,
            Seen::EarlyEnd(got) if got.is_empty() => Self::End,
            _ => Self::Other,
        }
    }
}

/// The cause, if the subject of the step is enough to tell it.
pub(crate) fn diagnose(web: Web, problem: &Problem, stage: &Stage) -> Option<Diagnosis> {
    if let Some(diagnosis) = panicked(problem, stage).or_else(|| reset_without_answer(web, problem, stage)) {
        return Some(diagnosis);
    }
    let cause = by_rest(web, problem).or_else(|| by_form(problem)).or_else(|| by_subject(web, problem))?;
    let told = waiting(stage, cause);
    let facts = match &problem.seen {
        Seen::Wrong(got) | Seen::Extra(got) => vec![came(problem, got)],
        Seen::Silence(got) | Seen::EarlyEnd(got) if !got.is_empty() => vec![came(problem, got)],
        Seen::Grew { what: Resource::Memory, from, to } => {
            vec![format!("its memory grew from {from} KiB to {to} KiB")]
        }
        // A loop that does not look at an error may well be what goes round.
        _ if told.cause != cause => return Some(told),
        _ => told.facts,
    };
    Some(Diagnosis { cause, facts })
}

/// The answer that came, and the one that was wanted.
fn came(problem: &Problem, got: &[u8]) -> String {
    let expected = &problem.expected[..];
    if !expected.contains(&b'\n') && !got.contains(&b'\n') {
        return format!("wanted {}, got {}", show(expected), show(got));
    }
    if !got.starts_with(b"HTTP/") && !expected.is_empty() && !got.is_empty() {
        return difference(expected, got);
    }
    let wanted = if expected.is_empty() { String::new() } else { format!("wanted {}, ", show(expected)) };
    let content = got.windows(4).position(|end| end == b"\r\n\r\n").map_or(&[][..], |at| &got[at + 4..]);
    let content = if content.is_empty() { String::new() } else { format!(", and its content {}", show(content)) };
    format!("{wanted}what came is {}{content}", show(got))
}

/// The lines in which two contents differ first.
fn difference(expected: &[u8], got: &[u8]) -> String {
    let at = expected.iter().zip(got).take_while(|(one, other)| one == other).count();
    let begin = expected[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = |bytes: &[u8]| {
        let rest = bytes.get(begin..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        if rest.is_empty() { "the end".to_owned() } else { show(&rest[..end]) }
    };
    format!("the content differs from byte {at} on: wanted {}, got {}", line(expected), line(got))
}

/// A thread that panicked: this client's, or those of clients before it, if nobody is left to serve it.
fn panicked(problem: &Problem, stage: &Stage) -> Option<Diagnosis> {
    /// Its words may come a moment after the end of the connection.
    const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(100);
    let cause = match &problem.seen {
        Seen::EarlyEnd(_) | Seen::Reset => Cause::HandlerPanicked,
        Seen::Silence(got) if got.is_empty() => Cause::WorkerLost,
        _ => return None,
    };
    let says = |line: &str| line.contains("panicked at");
    let student = stage.student.as_ref().filter(|student| student.logs(says, LAST_WORDS))?;
    let words = student.last_words(8);
    let at = words.iter().rposition(|line| says(line))?;
    Some(Diagnosis { cause, facts: words[at..].iter().take(2).cloned().collect() })
}

/// A connection that was reset before any answer came: an answer would have come before the reset.
fn reset_without_answer(web: Web, problem: &Problem, stage: &Stage) -> Option<Diagnosis> {
    let wants_refusal = refusal(web).is_some() || matches!(web, Web::Endless | Web::TooMany);
    let heard = problem.client.map(|client| stage.record.lock().received_by(client)).unwrap_or_default();
    let unheard = wants_refusal && matches!(problem.seen, Seen::Reset) && heard.is_empty();
    let facts = vec!["it was closed with bytes unread, which resets it".to_owned()];
    unheard.then_some(Diagnosis { cause: Cause::RefusedWithoutAnswer, facts })
}

/// Whether the check waited for the head of an answer.
fn waits_for_head(problem: &Problem) -> bool {
    problem.expected.starts_with(b"HTTP/1.1 ")
}

/// Bytes in place of an answer that are the rest of the answer before it.
fn by_rest(web: Web, problem: &Problem) -> Option<Cause> {
    let is_rest = waits_for_head(problem)
        && matches!(&problem.seen, Seen::Wrong(got) | Seen::Silence(got) if !got.is_empty() && !got.starts_with(b"HTTP/"));
    match web {
        Web::AfterHead if is_rest => Some(Cause::BodyToHead),
        Web::AfterNoContent if is_rest => Some(Cause::ContentWhereNone),
        _ => None,
    }
}

/// An answer that is none, whatever was asked.
fn by_form(problem: &Problem) -> Option<Cause> {
    if !waits_for_head(problem) {
        return None;
    }
    match &problem.seen {
        Seen::Wrong(got) if web::status(got).is_none() => Some(Cause::NotHttp),
        Seen::Silence(got) | Seen::EarlyEnd(got) | Seen::Extra(got) if !got.is_empty() => {
            Some(if got.starts_with(b"HTTP/") { Cause::HeadWithoutEnd } else { Cause::NotHttp })
        }
        _ => None,
    }
}

/// The cause, by what the step was about.
fn by_subject(web: Web, problem: &Problem) -> Option<Cause> {
    let came = Came::of(problem);
    if let Some(cause) = refusal(web) {
        return match came {
            Came::Status(..400) | Came::Nothing => Some(cause),
            // It was decoded to something else, which was not found.
            Came::Status(_) if web == Web::BadEscape => Some(cause),
            Came::Status(_) => Some(Cause::WrongStatus),
            Came::End => Some(Cause::RefusedWithoutAnswer),
            Came::Bytes | Came::Other => None,
        };
    }
    Some(match (web, came) {
        (Web::Form, _) => Cause::HeadWithoutEnd,
        (Web::Length, _) => Cause::WrongLength,
        (Web::Characters, _) => Cause::LengthInCharacters,
        (Web::TwoLengths, _) => Cause::TwoLengths,
        (Web::NoLength, _) => Cause::AnswerWithoutLength,
        (Web::Chunks, _) => Cause::BadChunks,
        (Web::Endless, Came::Status(..400)) => Cause::HeadWithoutLimit,
        (Web::Endless, _) if grows(problem) => Cause::HeadWithoutLimit,
        (Web::Endless, Came::End) => Cause::RefusedWithoutAnswer,
        (Web::AtLimit, Came::Status(400..)) => Cause::LimitOffByOne,
        (Web::AfterRefusal, Came::Status(_) | Came::Bytes) => Cause::GoesOnAfterError,
        (Web::AfterRefusal, Came::Other) if matches!(problem.seen, Seen::StillOpen) => Cause::GoesOnAfterError,
        (Web::HalfARequest, Came::Status(_) | Came::Bytes) => Cause::HalfARequestTaken,
        (Web::LongBody, Came::Other) if matches!(problem.seen, Seen::Grew { .. }) => Cause::BodyCollected,
        (Web::ChunkSize, Came::Bytes | Came::Status(_) | Came::Nothing) => Cause::ChunkSizeMisread,
        (Web::NameCase, Came::Status(_) | Came::Bytes | Came::Nothing) => Cause::FieldNameCase,
        (Web::Cut, Came::Status(_) | Came::Bytes | Came::Nothing | Came::End) => Cause::ReadTakenForRequest,
        (Web::Pipelined, Came::Status(_) | Came::Bytes | Came::Nothing | Came::End) => Cause::NextRequestLost,
        (Web::AfterHead, Came::Status(_) | Came::Bytes) => Cause::BodyToHead,
        (Web::AfterAnswer, Came::Status(_) | Came::Bytes) => Cause::WrongLength,
        (Web::AfterHead | Web::AfterAnswer, Came::Other) if matches!(problem.seen, Seen::StillOpen) => {
            Cause::KeptTooLong
        }
        (Web::HeadDiffers, _) => Cause::HeadDiffers,
        (Web::Type, _) => Cause::WrongType,
        (Web::NotPlain, Came::Status(_) | Came::Nothing | Came::End) => Cause::NotAPlainFile,
        (Web::Name, Came::Status(_) | Came::Bytes) => Cause::EscapesInPaths,
        (Web::Traversal, Came::Status(..400)) => Cause::PathEscapes,
        (Web::Traversal, Came::Status(_)) => Cause::WrongStatus,
        (Web::Method, Came::Status(..400 | 404) | Came::Nothing) => Cause::MethodNotChecked,
        (Web::Method, Came::Status(_)) => Cause::WrongStatus,
        (Web::Allow, _) => Cause::NoAllow,
        (Web::FileInMemory, _) => Cause::FileInMemory,
        (Web::Room, Came::Nothing) => Cause::TooFewAtOnce,
        (Web::AfterBroken, Came::Nothing | Came::End) => Cause::WorkersGone,
        (Web::Binary, Came::Status(400..)) => Cause::Utf8Required,
        (Web::Good, Came::Status(400..)) => Cause::GoodRequestRefused,
        (_, came) => return by_connection(web, problem, &came).or_else(|| in_production(web, problem, &came)),
    })
}

/// The cause, if the step was about a connection that stays or ends.
fn by_connection(web: Web, problem: &Problem, came: &Came) -> Option<Cause> {
    Some(match (web, came) {
        (Web::Kept, Came::Status(..400) | Came::End | Came::Nothing) => Cause::NotKeptAlive,
        (Web::Kept | Web::AfterBody, _) if matches!(problem.seen, Seen::Reset) => Cause::NotKeptAlive,
        (Web::Kept, Came::Status(_)) => Cause::NextRequestLost,
        (Web::UnderHundred, Came::Status(..400) | Came::End) => Cause::LimitOffByOne,
        (Web::OverHundred, _) => Cause::RequestsWithoutLimit,
        (Web::NoContent | Web::AfterNoContent, Came::Status(_) | Came::Bytes) => Cause::ContentWhereNone,
        (Web::AfterBody, Came::Status(_) | Came::Bytes | Came::Nothing) => Cause::BodyTakenForRequest,
        (Web::AfterBody, Came::End) => Cause::NotKeptAlive,
        (Web::OldClient, Came::Status(..400) | Came::Bytes) => Cause::ChunksToOldClient,
        (Web::Continue, Came::Status(_) | Came::Nothing | Came::End) => Cause::ContinueNotSent,
        (Web::ContinueAnyway, Came::Status(..400) | Came::Nothing) => Cause::HeadWithoutLimit,
        (Web::Site, Came::Status(400..) | Came::Bytes) => Cause::WrongSite,
        (Web::NoSite, Came::Status(..400)) => Cause::WrongSite,
        (Web::NoSite, Came::Status(_)) => Cause::WrongStatus,
        (Web::CloseTold | Web::KeepTold, _) => Cause::ConnectionNotTold,
        (Web::AfterLast, Came::Status(_) | Came::Bytes) => Cause::KeptTooLong,
        (Web::AfterLast, Came::Other) if matches!(problem.seen, Seen::StillOpen) => Cause::KeptTooLong,
        _ => return None,
    })
}

/// The cause, if the step was about limits, timeouts, logs or numbers.
fn in_production(web: Web, problem: &Problem, came: &Came) -> Option<Cause> {
    let open = matches!(problem.seen, Seen::StillOpen);
    let broken = matches!(problem.seen, Seen::Reset);
    Some(match (web, came) {
        (Web::Idle, _) if open => Cause::NoIdleTimeout,
        (Web::Idle, Came::Status(408)) => Cause::WordsToSilentClient,
        (Web::HalfHead, Came::Nothing) => Cause::NoIdleTimeout,
        (Web::SlowHead, _) if open => Cause::DeadlineRenewed,
        (Web::SlowHead, Came::Nothing) => Cause::DeadlineRenewed,
        (Web::HalfHead | Web::SlowHead, Came::End) => Cause::RefusedWithoutAnswer,
        (Web::NotIdle, Came::Status(408) | Came::End) => Cause::TimeoutTooEarly,
        (Web::NotIdle, _) if broken => Cause::TimeoutTooEarly,
        (Web::TooMany, Came::Status(..500)) => Cause::NoLimit,
        // With the number that is not said, the limit was kept.
        (Web::MoreThanSaid, Came::Status(..500)) => Cause::FlagIgnored,
        (Web::TooMany, Came::Nothing) => Cause::BusyNotTold,
        (Web::TooMany, Came::End) => Cause::RefusedWithoutAnswer,
        (Web::TooMany, Came::Status(_)) => Cause::WrongStatus,
        (Web::RetryAfter, _) => Cause::NoRetryAfter,
        (Web::NotFull, Came::Status(503)) => Cause::RefusedTooEarly,
        (Web::RoomAgain, Came::Status(503)) => Cause::PlaceNotGivenBack,
        (Web::Health, Came::Status(_) | Came::Bytes) => Cause::WrongNumbers,
        (Web::Forged, _) => Cause::LogNotEscaped,
        _ => return None,
    })
}

/// The mistake of a server that does not refuse, if the step was about a refusal.
fn refusal(web: Web) -> Option<Cause> {
    Some(match web {
        Web::TwoReadings => Cause::TwoReadings,
        Web::LineEnd => Cause::BareLineEnd,
        Web::Syntax => Cause::HeadNotChecked,
        Web::Host => Cause::HostNotChecked,
        Web::BadChunk => Cause::ChunkNotChecked,
        Web::BadEscape => Cause::EscapesInPaths,
        Web::FarOver => Cause::HeadWithoutLimit,
        Web::OverLimit => Cause::LimitOffByOne,
        _ => return None,
    })
}

/// Whether something without end is waited for, or kept.
fn grows(problem: &Problem) -> bool {
    matches!(problem.seen, Seen::Grew { .. } | Seen::NotRead | Seen::StillOpen | Seen::Silence(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(web: Web, expected: &[u8], seen: Seen) -> Option<Cause> {
        let problem = Problem { expected: expected.to_vec(), ..Problem::new("", seen) };
        by_form(&problem).or_else(|| by_subject(web, &problem))
    }

    fn head(text: &str) -> Seen {
        Seen::Wrong(text.as_bytes().to_vec())
    }

    #[test]
    fn an_answer_that_is_none_is_told_from_a_wrong_one() {
        let wanted = b"HTTP/1.1 200";
        assert_eq!(cause(Web::Good, wanted, head("hello\n")), Some(Cause::NotHttp));
        assert_eq!(cause(Web::Good, wanted, head("HTTP/1.1 400 Bad\r\n\r\n")), Some(Cause::GoodRequestRefused));
        assert_eq!(
            cause(Web::Good, wanted, Seen::Silence(b"HTTP/1.1 200 OK\n\n".to_vec())),
            Some(Cause::HeadWithoutEnd)
        );
        assert_eq!(cause(Web::Good, wanted, Seen::Reset), None);
    }

    #[test]
    fn a_refusal_that_does_not_come_is_told_from_another_refusal() {
        let wanted = b"HTTP/1.1 400";
        assert_eq!(cause(Web::Host, wanted, head("HTTP/1.1 200 OK\r\n\r\n")), Some(Cause::HostNotChecked));
        assert_eq!(cause(Web::Host, wanted, head("HTTP/1.1 404 Not Found\r\n\r\n")), Some(Cause::WrongStatus));
        assert_eq!(cause(Web::Host, wanted, Seen::EarlyEnd(Vec::new())), Some(Cause::RefusedWithoutAnswer));
        assert_eq!(cause(Web::Host, wanted, Seen::Silence(Vec::new())), Some(Cause::HostNotChecked));
    }
}
