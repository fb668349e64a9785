//! The mistakes that bytes give away: compared with what was wanted, and with what was sent.

use crate::{
    cause::{Cause, Diagnosis},
    problem::{Problem, Seen, Topic},
    transcript::show,
    wire::{Event, Record},
};

/// A shorter run of bytes may be in an answer by chance.
const TELLING: usize = 6;

fn of(cause: Cause, facts: impl IntoIterator<Item = String>) -> Diagnosis {
    Diagnosis { cause, facts: facts.into_iter().collect() }
}

/// Other bytes came than were wanted.
pub(crate) fn wrong(problem: &Problem, got: &[u8], record: &Record) -> Diagnosis {
    let expected = &problem.expected[..];
    let facts = || [difference(expected, got)];
    if let Some((other, line)) = problem.client.and_then(|client| misdirected(client, got, record)) {
        let facts = [format!("client {other} had sent {}, and has no answer", show(&line))];
        return of(Cause::WrongClientAnswered, facts);
    }
    if let Some(foreign) = problem.client.and_then(|client| foreign(client, expected, got, record)) {
        return of(Cause::AnotherClientsBytes, [format!("another client had sent {}", show(&foreign))]);
    }
    if let Some(cause) = counted(problem, got, record).or_else(|| out_of_step(problem, got)) {
        return of(cause, facts());
    }
    if problem.client.is_some_and(|client| answered_again(client, got, record)) {
        return of(Cause::BytesKept, facts());
    }
    match problem.topic {
        Some(Topic::Total) if problem.client.is_some_and(|client| own_total(got, &record.sent_by(client))) => {
            return of(Cause::StoreNotShared, facts());
        }
        Some(Topic::Total) => return of(Cause::LostUpdates, facts()),
        Some(Topic::Sum) => return of(Cause::HalfDone, facts()),
        None if is_other_number(expected, got) => return of(Cause::Miscounted, facts()),
        Some(Topic::Count) if !counts_more(got, expected) => return of(Cause::Miscounted, facts()),
        Some(Topic::Count | Topic::Room) => return of(Cause::PlaceNotGivenBack, facts()),
        Some(Topic::NotFull | Topic::Waiting) if got.starts_with(b"Busy") || got.starts_with(b"ERR busy") => {
            return of(Cause::RefusedTooEarly, facts());
        }
        _ => {}
    }
    let lost_blanks = got.len() < expected.len() && without_blanks(got) == without_blanks(expected);
    let cause = match problem.topic {
        _ if replaced(expected, got) => Cause::Utf8Required,
        _ if cut(expected, got) => Cause::CharacterCut,
        _ if stops_at_nul(expected, got) => Cause::NulTakenForEnd,
        _ if is_goodbye(got) && !is_goodbye(expected) => Cause::CommandByPrefix,
        _ if is_goodbye(expected) && last_sent(problem, record) == Some(got) => Cause::CommandTakenForLine,
        _ if lost_blanks => Cause::WhitespaceTrimmed,
        _ if problem.client.is_some_and(|client| reordered(client, expected, got, record)) => Cause::OrderBroken,
        Some(Topic::HalfALine) if begins_answer_to_piece(problem, got, record) => Cause::ReadTakenForMessage,
        Some(Topic::HalfALine | Topic::SeveralLines) if is_part(expected, got) => Cause::BytesDropped,
        Some(Topic::ShorterLine) if got.starts_with(expected.trim_ascii_end()) => Cause::BytesKept,
        _ => Cause::WrongBytes,
    };
    of(cause, facts())
}

/// Whether a total is no more than this client has added by itself.
fn own_total(got: &[u8], sent: &[u8]) -> bool {
    let number = |line: &[u8], before: &[u8]| -> Option<u64> {
        std::str::from_utf8(line.strip_prefix(before)?).ok()?.trim_end().parse().ok()
    };
    let added: u64 = lines(sent).into_iter().filter_map(|line| number(line, b"add ")).sum();
    number(got, b"total ") == Some(added)
}

/// Whether two lines of statistics differ in their numbers alone.
fn is_other_number(expected: &[u8], got: &[u8]) -> bool {
    let words = |line: &[u8]| -> Vec<u8> { line.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect() };
    expected.starts_with(b"STATS ") && words(expected) == words(got)
}

/// Whether a line tells of more clients than there are. A line of statistics has other numbers behind that one.
fn counts_more(got: &[u8], expected: &[u8]) -> bool {
    let clients = |line: &[u8]| -> u128 {
        let text = String::from_utf8_lossy(line);
        let numbers = text.split_whitespace().filter_map(|word| word.parse::<u128>().ok());
        if text.starts_with("STATS") { numbers.take(1).sum() } else { numbers.sum() }
    };
    clients(got) > clients(expected)
}

/// Bytes came where none may.
pub(crate) fn extra(problem: &Problem, got: &[u8], record: &Record) -> Diagnosis {
    let cause = match problem.topic {
        Some(Topic::HalfALine) => Cause::ReadTakenForMessage,
        Some(Topic::Turn) => Cause::ServedAtOnce,
        Some(Topic::HalfClosed) => Cause::EndTakenForLine,
        Some(Topic::ShorterLine) => Cause::BytesKept,
        Some(Topic::Oversize) if got.starts_with(b"ERR") => Cause::RestOfLineAnswered,
        Some(Topic::OutOfTurn) => Cause::OutOfTurn,
        Some(Topic::Waiting) => Cause::TooManyAtOnce,
        _ if problem.client.is_some_and(|client| unasked(client, got, record)) => Cause::WroteBeforeItRead,
        _ if problem.client.is_some_and(|client| foreign(client, &[], got, record).is_some()) => {
            Cause::AnotherClientsBytes
        }
        _ => Cause::ExtraBytes,
    };
    of(cause, [format!("what came is {}", show(got))])
}

/// The stream ended after a part of what was wanted.
pub(crate) fn early_end(problem: &Problem, got: &[u8], record: &Record) -> Diagnosis {
    let expected = &problem.expected[..];
    if !got.is_empty() {
        return cut_short(problem, got);
    }
    let cause = match problem.topic {
        Some(Topic::HalfClosed) => Cause::AnswersLostAtHalfClose,
        Some(Topic::Pause) => Cause::TimeoutTakenForEnd,
        Some(Topic::AfterOversize) => Cause::BadCommandEndsSession,
        Some(Topic::Full | Topic::QueueFull) if !expected.is_empty() => Cause::BusyNotTold,
        Some(Topic::SlowReader) => Cause::SlowReaderGivenUp,
        _ if std::str::from_utf8(expected).is_err() => Cause::Utf8Required,
        _ if last_sent(problem, record).is_some_and(|sent| std::str::from_utf8(sent).is_err()) => Cause::Utf8Required,
        _ if expected == b"\n" || expected == b"\r\n" => Cause::EmptyLine,
        Some(Topic::HalfALine) => Cause::ReadTakenForMessage,
        _ => Cause::EarlyEnd,
    };
    of(cause, [])
}

/// The beginning of the wanted bytes came, and no more comes.
pub(crate) fn cut_short(problem: &Problem, got: &[u8]) -> Diagnosis {
    let expected = &problem.expected[..];
    let missing = expected.get(got.len()..).unwrap_or_default();
    let cause = match problem.topic {
        _ if missing == b"\n" || missing == b"\r\n" => Cause::NewlineMissing,
        // All that was asked for came, and the check waited for the end of the line.
        _ if got.len() >= expected.len() => Cause::NewlineMissing,
        _ if missing.first() == Some(&0) => Cause::NulTakenForEnd,
        Some(Topic::SeveralLines | Topic::HalfALine) => Cause::BytesDropped,
        Some(Topic::HalfClosed) => Cause::AnswersLostAtHalfClose,
        Some(Topic::SlowReader) if matches!(problem.seen, Seen::EarlyEnd(_)) => Cause::SlowReaderGivenUp,
        _ => Cause::ShortAnswer,
    };
    of(cause, [format!("{} of {} bytes came", got.len(), expected.len())])
}

/// The last bytes that this client sent.
fn last_sent<'a>(problem: &Problem, record: &'a Record) -> Option<&'a [u8]> {
    let sent = |event: &'a Event| if let Event::Sent(bytes) = event { Some(&bytes[..]) } else { None };
    record.of(problem.client?).rev().find_map(sent)
}

/// Answers that tell a length (`got 5`): what a wrong number gives away.
fn counted(problem: &Problem, got: &[u8], record: &Record) -> Option<Cause> {
    let number = |bytes: &[u8]| -> Option<usize> {
        let text = std::str::from_utf8(bytes.strip_prefix(b"got ")?).ok()?;
        text.lines().next()?.parse().ok()
    };
    let refused = |bytes: &[u8]| bytes.starts_with(b"too long\n");
    let (wanted, came) = (number(&problem.expected), number(got));
    match (problem.topic, wanted, came) {
        (Some(Topic::Limit), Some(_), None) if refused(got) => Some(Cause::LimitOffByOne),
        (Some(Topic::Limit), None, Some(_)) if refused(&problem.expected) => Some(Cause::LimitOffByOne),
        (Some(Topic::Oversize), None, Some(_)) if refused(&problem.expected) => Some(Cause::LineWithoutLimit),
        (Some(Topic::AfterOversize), Some(_), came) if came.is_some() || refused(got) => {
            Some(Cause::RestOfLineAnswered)
        }
        (topic, Some(wanted), Some(came)) => Some(match topic {
            None if last_sent(problem, record).is_some_and(|sent| came < wanted && came == characters(sent)) => {
                Cause::LengthInCharacters
            }
            Some(Topic::NextClient) if came > wanted => Cause::AnotherClientsBytes,
            Some(Topic::Pause) if came < wanted => Cause::BytesDropped,
            _ if last_sent(problem, record).is_some_and(|sent| std::str::from_utf8(sent).is_err()) => {
                Cause::Utf8Required
            }
            None if last_sent(problem, record).is_some_and(|sent| came < wanted && came == sent.trim_ascii().len()) => {
                Cause::WhitespaceTrimmed
            }
            None if last_sent(problem, record).is_some_and(|sent| came < wanted && came == without_cr(sent)) => {
                Cause::WhitespaceTrimmed
            }
            _ if came == wanted + 1 || came == wanted + 2 => Cause::LineEndCounted,
            Some(Topic::HalfALine) if came < wanted => Cause::ReadTakenForMessage,
            Some(Topic::SeveralLines) if came < wanted => Cause::BytesDropped,
            Some(Topic::SeveralLines) => Cause::ReadTakenForMessage,
            _ if came > wanted => Cause::BytesKept,
            _ => return None,
        }),
        _ => None,
    }
}

fn without_blanks(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

/// The number of characters of a line, without its end. Zero, if there are as many bytes, or if it is no text.
fn characters(line: &[u8]) -> usize {
    let text = std::str::from_utf8(line).unwrap_or_default().trim_end_matches(['\r', '\n']);
    if text.is_ascii() { 0 } else { text.chars().count() }
}

/// The length of a line without any of its CRs.
fn without_cr(line: &[u8]) -> usize {
    line.iter().filter(|byte| !b"\r\n".contains(byte)).count()
}

/// A long answer of bytes that count up (0 to 250, over and over): from some byte on they count from somewhere else.
fn out_of_step(problem: &Problem, got: &[u8]) -> Option<Cause> {
    let at = problem.expected.iter().zip(got).position(|(one, other)| one != other)?;
    let counts = |bytes: &[u8]| bytes.len() > 8 && bytes.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 251);
    let end = got.len().min(at + 32);
    (problem.topic == Some(Topic::SlowReader) && counts(&got[at..end])).then_some(Cause::SentOutOfStep)
}

/// Bytes that another client sent and that do not belong into this answer.
fn foreign(client: usize, expected: &[u8], got: &[u8], record: &Record) -> Option<Vec<u8>> {
    if record.is_passed_on() {
        return None;
    }
    let ours = record.sent_by(client);
    record
        .sent_by_others(client)
        .map(<[u8]>::trim_ascii)
        .find(|sent| {
            sent.len() >= TELLING && !contains(expected, sent) && !contains(&ours, sent) && contains(got, sent)
        })
        .map(<[u8]>::to_vec)
}

/// A line of another client that begins this answer: that client is still there and has heard nothing of it.
fn misdirected(client: usize, got: &[u8], record: &Record) -> Option<(usize, Vec<u8>)> {
    if record.is_passed_on() {
        return None;
    }
    let gone = |other: usize| record.of(other).any(|event| matches!(event, Event::Closed | Event::Aborted));
    record.clients().filter(|other| *other != client && !gone(*other)).find_map(|other| {
        let (sent, received) = (record.sent_by(other), record.received_by(other));
        let line = lines(&sent).into_iter().find(|line| {
            line.len() >= TELLING && line.ends_with(b"\n") && got.starts_with(line) && !contains(&received, line)
        })?;
        (!contains(&record.sent_by(client), line)).then(|| (other, line.to_vec()))
    })
}

/// Whether these are the right answers in another order.
fn reordered(client: usize, expected: &[u8], got: &[u8], record: &Record) -> bool {
    let (mut wanted, mut came) = (lines(expected), lines(got));
    let first_is_ours = came.first().is_some_and(|first| lines(&record.sent_by(client)).contains(first));
    if came.contains(&expected) && first_is_ours {
        return true;
    }
    wanted.sort_unstable();
    came.sort_unstable();
    wanted.len() > 1 && wanted == came
}

/// Whether all that ever came did so before the client had said anything.
fn unasked(client: usize, got: &[u8], record: &Record) -> bool {
    record.sent_by(client).is_empty() && record.received_by(client) == got
}

/// Whether the answer begins with a line of this client that was answered already: it is still in a buffer.
fn answered_again(client: usize, got: &[u8], record: &Record) -> bool {
    let Some(first) = lines(got).first().copied().filter(|line| line.len() >= TELLING && line.ends_with(b"\n")) else {
        return false;
    };
    let count = |bytes: &[u8]| lines(bytes).iter().filter(|line| **line == first).count();
    let sent = count(&record.sent_by(client));
    sent > 0 && count(&record.received_by(client)) > sent
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}

/// Whether bytes that are no UTF-8 came back as U+FFFD, or did not come back.
fn replaced(expected: &[u8], got: &[u8]) -> bool {
    std::str::from_utf8(expected).is_err() && contains(got, "\u{fffd}".as_bytes())
}

/// Whether a character that came in two pieces became two times U+FFFD.
fn cut(expected: &[u8], got: &[u8]) -> bool {
    let strange = "\u{fffd}".as_bytes();
    std::str::from_utf8(expected).is_ok() && !contains(expected, strange) && contains(got, strange)
}

fn stops_at_nul(expected: &[u8], got: &[u8]) -> bool {
    let before = expected.split(|byte| *byte == 0).next().unwrap_or_default();
    before.len() < expected.len() && (got == before || got.trim_ascii_end() == before.trim_ascii_end())
}

fn is_goodbye(bytes: &[u8]) -> bool {
    bytes.starts_with(b"Goodbye")
}

/// Whether the answer begins as if the first piece that was sent had been a whole line.
fn begins_answer_to_piece(problem: &Problem, got: &[u8], record: &Record) -> bool {
    let common = problem.expected.iter().zip(got).take_while(|(one, other)| one == other).count();
    let sent = |piece: &[u8]| common > 0 && piece.len() <= common;
    problem.client.is_some_and(|client| {
        record.of(client).any(|event| matches!(event, Event::Sent(bytes) if sent(bytes) && !bytes.ends_with(b"\n")))
    })
}

/// Whether what came is what was wanted with something left out.
fn is_part(expected: &[u8], got: &[u8]) -> bool {
    let mut rest = expected.iter();
    !got.is_empty() && got.iter().all(|byte| rest.any(|other| other == byte))
}

/// Where the first difference is, and what stands there.
fn difference(expected: &[u8], got: &[u8]) -> String {
    let at = expected.iter().zip(got).take_while(|(one, other)| one == other).count();
    let hex = |bytes: &[u8]| match bytes.get(at) {
        Some(byte) => format!("{byte:02x} ({})", byte.escape_ascii()),
        None => "the end".into(),
    };
    format!(
        "wanted {}, got {}; they differ at byte {at}: {} and {}",
        show(expected),
        show(got),
        hex(expected),
        hex(got)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(expected: &[u8], got: &[u8]) -> Cause {
        let problem = Problem { expected: expected.to_vec(), ..Problem::new("", Seen::Silence(got.to_vec())) };
        cut_short(&problem, got).cause
    }

    /// The cause that is told for client 1, of two clients that sent these lines; client 2 is still there.
    fn told(expected: &[u8], got: &[u8], one: &[u8], two: &[u8]) -> Cause {
        let mut record = Record::new(false);
        for sent in [one, two] {
            let client = record.client();
            record.note(client, Event::Sent(sent.to_vec()));
        }
        record.note(1, Event::Received(got.to_vec()));
        let problem =
            Problem { expected: expected.to_vec(), client: Some(1), ..Problem::new("", Seen::Wrong(got.to_vec())) };
        wrong(&problem, got, &record).cause
    }

    #[test]
    fn answers_in_another_order_and_for_another_client_are_told_apart() {
        let (both, turned) = (&b"amber 1\nbirch 2\n"[..], &b"birch 2\namber 1\n"[..]);
        assert_eq!(told(both, turned, both, b""), Cause::OrderBroken);
        assert_eq!(told(b"amber 1\n", turned, both, b""), Cause::OrderBroken);
        assert_eq!(told(b"amber 1\n", b"cedar 3\n", b"amber 1\n", b"cedar 3\n"), Cause::WrongClientAnswered);
        assert_eq!(told(b"amber 1\n", b"cedar 3amber 1\n", b"amber 1\n", b"cedar 3"), Cause::AnotherClientsBytes);
        assert_eq!(told(b"amber 1\n", b"nonsense\n", b"amber 1\n", b"cedar 3\n"), Cause::WrongBytes);
    }

    #[test]
    fn clients_that_are_still_counted_are_told_from_other_wrong_numbers() {
        assert!(counts_more(b"STATS active 2 served 0", b"STATS active 1 served 5"));
        assert!(!counts_more(b"STATS active 1 served 9", b"STATS active 1 served 5"));
        assert!(counts_more(b"clients 1 1 2 5", b"clients 1 1 1 5"));
        // It was counted down once too often.
        assert!(!counts_more(b"clients 0 1 1 5", b"clients 1 1 1 5"));
    }

    #[test]
    fn a_server_that_begins_is_told_from_one_that_says_too_much() {
        let mut record = Record::new(false);
        let client = record.client();
        record.note(client, Event::Received(b"hi\n".to_vec()));
        let problem = Problem { client: Some(client), ..Problem::new("", Seen::Extra(b"hi\n".to_vec())) };
        assert_eq!(extra(&problem, b"hi\n", &record).cause, Cause::WroteBeforeItRead);
        assert_eq!(extra(&problem, b"\n", &record).cause, Cause::ExtraBytes);
    }

    #[test]
    fn a_line_is_without_its_end_if_all_that_was_asked_for_came_and_no_more() {
        assert_eq!(cut(b"Welcome", b"Welcome! Nice"), Cause::NewlineMissing);
        assert_eq!(cut(b"Welcome", b"Welcome"), Cause::NewlineMissing);
        assert_eq!(cut(b"Welcome", b"Welc"), Cause::ShortAnswer);
        assert_eq!(cut(b"one two\n", b"one two"), Cause::NewlineMissing);
    }
}
