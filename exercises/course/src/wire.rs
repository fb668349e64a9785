//! The recorder: everything that happened on the connections of one check, with times.
//!
//! It keeps facts, in order, and draws no conclusions; `cause.rs` does that. What it prints is the conversation as two columns:
//! the grader's clients on the left, the student's server on the right.

use std::{
    fmt::Write as _,
    io,
    time::{Duration, Instant},
};

/// Something that happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// We opened it.
    Connected,
    /// We could not.
    Refused(io::ErrorKind),
    /// We asked for a connection, and nobody answers.
    Unanswered,
    /// We sent these bytes.
    Sent(Vec<u8>),
    /// The peer's kernel did not take what we sent within our patience.
    Stuck,
    /// We said that we send nothing more (FIN).
    Finished,
    /// We broke the connection off (RST).
    Aborted,
    /// We closed it.
    Closed,
    /// These bytes came.
    Received(Vec<u8>),
    /// The peer said that it sends nothing more (FIN).
    Ended,
    /// The peer broke the connection off (RST).
    Reset,
    /// Nothing came for so long.
    Quiet(Duration),
}

impl Event {
    /// Whether it belongs into the left column: we did it.
    fn is_ours(&self) -> bool {
        use Event::{Aborted, Closed, Connected, Finished, Sent};
        matches!(self, Connected | Sent(_) | Finished | Aborted | Closed)
    }
}

/// One line of the record.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Since the record began.
    pub(crate) at: Duration,
    /// Which of the grader's clients, from 1.
    pub(crate) client: usize,
    /// What happened.
    pub(crate) event: Event,
}

/// The conversation of one check.
#[derive(Debug)]
pub(crate) struct Record {
    begun: Instant,
    entries: Vec<Entry>,
    clients: usize,
    live: bool,
}

/// How many entries of a long conversation are shown: the first few and the last ones, where the failure is.
const SHOWN_FIRST: usize = 4;
const SHOWN_LAST: usize = 14;
/// Width of the left column, with its arrow.
const LEFT: usize = 36;
/// How many bytes of a message are shown.
const SHOWN_BYTES: usize = 26;

impl Record {
    /// An empty record. `live`: it is printed as it is made.
    pub(crate) fn new(live: bool) -> Self {
        Self { begun: Instant::now(), entries: Vec::new(), clients: 0, live }
    }

    /// The number of a new client.
    pub(crate) fn client(&mut self) -> usize {
        self.clients += 1;
        self.clients
    }

    /// The numbers of all clients so far.
    pub(crate) fn clients(&self) -> impl Iterator<Item = usize> {
        1..=self.clients
    }

    /// Notes what happened now.
    pub(crate) fn note(&mut self, client: usize, event: Event) {
        let entry = Entry { at: self.begun.elapsed(), client, event };
        if self.live {
            if self.entries.is_empty() {
                print_line(&heading());
            }
            print_line(&row(&entry, client > 1));
        }
        match (self.entries.last_mut(), &entry.event) {
            // TCP has no messages: pieces that came one right after the other are one stretch of bytes.
            (Some(Entry { client: last, event: Event::Received(before), .. }), Event::Received(more))
                if *last == client =>
            {
                before.extend_from_slice(more);
            }
            _ => self.entries.push(entry),
        }
    }

    /// What happened to `client`, in order.
    pub(crate) fn of(&self, client: usize) -> impl DoubleEndedIterator<Item = &Event> {
        self.entries.iter().filter(move |entry| entry.client == client).map(|entry| &entry.event)
    }

    /// All that `client` has sent, in order.
    pub(crate) fn sent_by(&self, client: usize) -> Vec<u8> {
        let sent =
            self.of(client).filter_map(|event| if let Event::Sent(bytes) = event { Some(&bytes[..]) } else { None });
        sent.flatten().copied().collect()
    }

    /// All that `client` has received, in order.
    pub(crate) fn received_by(&self, client: usize) -> Vec<u8> {
        let received = self
            .of(client)
            .filter_map(|event| if let Event::Received(bytes) = event { Some(&bytes[..]) } else { None });
        received.flatten().copied().collect()
    }

    /// All that was sent by clients other than `client`.
    pub(crate) fn sent_by_others(&self, client: usize) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().filter(move |entry| entry.client != client).filter_map(|entry| match &entry.event {
            Event::Sent(bytes) => Some(&bytes[..]),
            _ => None,
        })
    }

    /// The conversation as text, one line an event, long ones cut in the middle.
    pub(crate) fn text(&self) -> String {
        let rows = self.rows();
        if rows.is_empty() {
            return String::new();
        }
        let mut text = heading() + "\n";
        let cut = rows.len() > SHOWN_FIRST + SHOWN_LAST + 1;
        for (at, line) in rows.iter().enumerate() {
            if cut && at == SHOWN_FIRST {
                let _ = writeln!(text, "             ... {} lines left out", rows.len() - SHOWN_FIRST - SHOWN_LAST);
            }
            if !cut || at < SHOWN_FIRST || at >= rows.len() - SHOWN_LAST {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        let mut rest = &self.entries[..];
        while let [first, ..] = rest {
            let pieces = rest.iter().take_while(|other| is_piece(first, other)).count();
            if pieces > 3 {
                let bytes = rest[..pieces].iter().flat_map(|entry| match &entry.event {
                    Event::Sent(bytes) => bytes.clone(),
                    _ => Vec::new(),
                });
                let sent = Event::Sent(bytes.collect());
                let whole = Entry { at: first.at, client: first.client, event: sent };
                rows.push(row(&whole, self.clients > 1) + &format!(" ({pieces} pieces)"));
                rest = &rest[pieces..];
            } else {
                rows.push(row(first, self.clients > 1));
                rest = &rest[1..];
            }
        }
        rows
    }
}

/// Whether `other` is one more piece of what `first` began to send.
fn is_piece(first: &Entry, other: &Entry) -> bool {
    matches!((&first.event, &other.event), (Event::Sent(_), Event::Sent(_))) && first.client == other.client
}

fn heading() -> String {
    format!("{:>10}    {:<LEFT$}{}", "ms", "client", "your server")
}

fn row(entry: &Entry, numbered: bool) -> String {
    let time = entry.at.as_secs_f64() * 1000.0;
    let name = if numbered { format!("{}: ", entry.client) } else { String::new() };
    let what = describe(&entry.event);
    if entry.event.is_ours() {
        let text = format!("{name}{what} ");
        format!("{time:>10.1}    {text:-<width$}>", width = LEFT - 2)
    } else {
        let no_answer = matches!(entry.event, Event::Quiet(_) | Event::Stuck | Event::Refused(_) | Event::Unanswered);
        let side = if no_answer { "  " } else { "<-" };
        format!("{time:>10.1}    {:<LEFT$}{side} {name}{what}", "")
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Connected => "connect".into(),
        Event::Refused(kind) => format!("(connect failed: {kind})"),
        Event::Unanswered => "(no answer to SYN)".into(),
        Event::Sent(bytes) | Event::Received(bytes) => show(bytes),
        Event::Stuck => "(takes no more bytes)".into(),
        Event::Finished | Event::Ended => "FIN".into(),
        Event::Aborted | Event::Reset => "RST".into(),
        Event::Closed => "close".into(),
        Event::Quiet(time) => format!("(silence, {} ms)", time.as_millis()),
    }
}

/// Bytes as text that fits into a column: escaped, and cut if they are many.
pub(crate) fn show(bytes: &[u8]) -> String {
    let escape = |bytes: &[u8]| bytes.escape_ascii().to_string();
    if bytes.len() <= SHOWN_BYTES {
        return format!("\"{}\"", escape(bytes));
    }
    // A line that is followed by much else is shown, the rest is counted.
    let line = bytes.iter().take(SHOWN_BYTES).position(|byte| *byte == b'\n').map_or(SHOWN_BYTES, |at| at + 1);
    format!("\"{}\" + {} bytes", escape(&bytes[..line]), thousands(bytes.len() - line))
}

/// A number with its thousands set apart.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[allow(clippy::print_stdout)] // A live record is what the student asked to see.
fn print_line(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_so_that_they_fit_into_a_column() {
        assert_eq!(show(b"quit\n"), "\"quit\\n\"");
        assert_eq!(show(&[0, 0xff]), "\"\\x00\\xff\"");
        assert_eq!(show(&[b"quit\n", &[b'x'; 65_536][..]].concat()), "\"quit\\n\" + 65,536 bytes");
        assert_eq!(show(&[b'y'; 1000]), format!("\"{}\" + 974 bytes", "y".repeat(26)));
    }

    #[test]
    fn pieces_that_came_together_are_one_stretch_and_pieces_that_were_sent_are_counted() {
        let mut record = Record::new(false);
        let client = record.client();
        record.note(client, Event::Connected);
        for byte in b"hello\n" {
            record.note(client, Event::Sent(vec![*byte]));
        }
        record.note(client, Event::Received(b"hel".to_vec()));
        record.note(client, Event::Received(b"lo\n".to_vec()));
        record.note(client, Event::Reset);
        let text = record.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[2].contains("\"hello\\n\"") && lines[2].ends_with("(6 pieces)"), "{text}");
        assert!(lines[3].ends_with("<- \"hello\\n\""), "{text}");
        assert!(lines[4].ends_with("<- RST"), "{text}");
        assert!(lines.iter().all(|line| line.len() <= 100), "{text}");
    }

    #[test]
    fn a_long_conversation_shows_its_beginning_and_its_end() {
        let mut record = Record::new(false);
        for _ in 0..100 {
            let client = record.client();
            record.note(client, Event::Connected);
        }
        let text = record.text();
        assert_eq!(text.lines().count(), 1 + SHOWN_FIRST + 1 + SHOWN_LAST);
        assert!(text.contains("... 82 lines left out"), "{text}");
        assert!(text.contains("100: connect"), "{text}");
    }
}
