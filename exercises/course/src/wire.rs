//! The recorder: everything that happened on the connections of one check, with times.
//!
//! It keeps facts, in order, and draws no conclusions; `cause.rs` does that, and `transcript.rs` draws the columns.

use crate::transcript::Columns;
use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Something that happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// We opened it.
    Connected,
    /// The student's program opened it.
    Accepted,
    /// We could not.
    Refused(io::ErrorKind),
    /// We asked for a connection, and nobody answers.
    Unanswered,
    /// We sent these bytes.
    Sent(Vec<u8>),
    /// From now on we send lines without a pause, and read all that comes.
    Flood,
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
    /// We sent the program this signal. It belongs to no connection.
    Signal(&'static str),
}

impl Event {
    /// Whether we did it, and not the student's program.
    pub(crate) fn is_ours(&self) -> bool {
        use Event::{Aborted, Closed, Connected, Finished, Flood, Sent, Signal};
        matches!(self, Connected | Flood | Sent(_) | Finished | Aborted | Closed | Signal(_))
    }

    /// Whether it tells that something did not happen.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Quiet(_) | Self::Stuck | Self::Refused(_) | Self::Unanswered)
    }
}

/// On which side of the student's program a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The grader's clients connect to the program.
    Client,
    /// The program connects to the grader's servers.
    Upstream,
}

/// In place of a connection's number.
pub(crate) const NO_CONNECTION: usize = 0;

/// One line of the record.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Since the record began.
    pub(crate) at: Duration,
    /// On which connection, from 1; [`NO_CONNECTION`] for what happens to the program itself.
    pub(crate) connection: usize,
    /// The event.
    pub(crate) event: Event,
}

/// The conversation of one check.
#[derive(Debug)]
pub(crate) struct Record {
    begun: Instant,
    entries: Vec<Entry>,
    /// The side of each connection, and its name.
    connections: Vec<(Side, String)>,
    columns: Columns,
    live: bool,
    passes_on: bool,
}

/// A record that several may write.
#[derive(Debug, Clone)]
pub(crate) struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    /// An empty record. `live`: it is printed as it is made.
    pub(crate) fn new(live: bool) -> Self {
        Self(Arc::new(Mutex::new(Record::new(live))))
    }

    /// The record, for a moment.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many entries of a long conversation are shown: the first few and the last ones, where the failure is.
const SHOWN_FIRST: usize = 4;
const SHOWN_LAST: usize = 14;

impl Record {
    /// An empty record. `live`: it is printed as it is made.
    pub(crate) fn new(live: bool) -> Self {
        Self {
            begun: Instant::now(),
            entries: Vec::new(),
            connections: Vec::new(),
            columns: Columns::Server,
            live,
            passes_on: false,
        }
    }

    /// The number of a new client's connection.
    pub(crate) fn client(&mut self) -> usize {
        if self.columns == Columns::Client {
            // A program that is connected to, and connects itself.
            self.columns = Columns::Proxy;
        }
        let name = (self.clients().count() + 1).to_string();
        self.connections.push((Side::Client, name));
        self.connections.len()
    }

    /// This program passes lines on from client to client: that one hears what another has said is no mistake.
    pub(crate) fn passes_lines_on(&mut self) {
        self.passes_on = true;
    }

    /// Whether it does.
    pub(crate) fn is_passed_on(&self) -> bool {
        self.passes_on
    }

    /// From now on there are servers of ours that the program may connect to.
    pub(crate) fn has_upstreams(&mut self) {
        self.columns = if self.connections.is_empty() { Columns::Client } else { Columns::Proxy };
    }

    /// The number of a new connection to the server of that name.
    pub(crate) fn upstream(&mut self, server: char) -> usize {
        let before = self.connections.iter().filter(|(side, name)| *side == Side::Upstream && name.starts_with(server));
        let name = format!("{server}{}", before.count() + 1);
        self.connections.push((Side::Upstream, name));
        self.connections.len()
    }

    /// The side of a connection.
    pub(crate) fn side(&self, connection: usize) -> Side {
        self.connections.get(connection.wrapping_sub(1)).map_or(Side::Client, |(side, _)| *side)
    }

    /// The connections of all clients so far.
    pub(crate) fn clients(&self) -> impl Iterator<Item = usize> {
        (1..=self.connections.len()).filter(|number| self.side(*number) == Side::Client)
    }

    /// Notes what happened now.
    pub(crate) fn note(&mut self, connection: usize, event: Event) {
        let entry = Entry { at: self.begun.elapsed(), connection, event };
        if self.live {
            if self.entries.is_empty() {
                print_line(&self.columns.heading());
            }
            print_line(&self.row(&entry));
        }
        match (self.entries.last_mut(), &entry.event) {
            // TCP has no messages: pieces that came one right after the other are one stretch of bytes.
            (Some(Entry { connection: last, event: Event::Received(before), .. }), Event::Received(more))
                if *last == connection =>
            {
                before.extend_from_slice(more);
            }
            _ => self.entries.push(entry),
        }
    }

    /// The events of `client`, in order.
    pub(crate) fn of(&self, client: usize) -> impl DoubleEndedIterator<Item = &Event> {
        self.entries.iter().filter(move |entry| entry.connection == client).map(|entry| &entry.event)
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
        let others = move |entry: &&Entry| entry.connection != client && self.side(entry.connection) == Side::Client;
        self.entries.iter().filter(others).filter_map(|entry| match &entry.event {
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
        let mut text = self.columns.heading() + "\n";
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
                let whole = Entry { at: first.at, connection: first.connection, event: sent };
                rows.push(self.row(&whole) + &format!(" ({pieces} pieces)"));
                rest = &rest[pieces..];
            } else {
                rows.push(self.row(first));
                rest = &rest[1..];
            }
        }
        rows
    }

    fn row(&self, entry: &Entry) -> String {
        let side = self.side(entry.connection);
        // One alone needs no name.
        let several = self.connections.iter().filter(|(of, _)| *of == side).count() > 1;
        let name = self.connections.get(entry.connection.wrapping_sub(1)).filter(|_| several);
        self.columns.row(entry, side, &name.map_or_else(String::new, |(_, name)| format!("{name}: ")))
    }
}

/// Whether `other` is one more piece of what `first` began to send.
fn is_piece(first: &Entry, other: &Entry) -> bool {
    matches!((&first.event, &other.event), (Event::Sent(_), Event::Sent(_))) && first.connection == other.connection
}

#[allow(clippy::print_stdout)] // A live record is what the student asked to see.
fn print_line(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_signal_belongs_to_no_connection() {
        let mut record = Record::new(false);
        for _ in 0..2 {
            let client = record.client();
            record.note(client, Event::Connected);
        }
        record.note(NO_CONNECTION, Event::Signal("SIGTERM"));
        let text = record.text();
        let last = text.lines().next_back().unwrap();
        assert!(last.contains("    SIGTERM ---") && last.ends_with('>'), "{text}");
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

    #[test]
    fn a_program_that_connects_is_a_client_and_with_clients_a_proxy() {
        let mut record = Record::new(false);
        record.has_upstreams();
        let upstream = record.upstream('A');
        record.note(upstream, Event::Accepted);
        record.note(upstream, Event::Received(b"PING\n".to_vec()));
        record.note(upstream, Event::Sent(b"PONG\n".to_vec()));
        let text = record.text();
        assert!(
            text.contains("your client") && text.contains("\"PING\\n\" ---") && text.contains("<- \"PONG"),
            "{text}"
        );
        let client = record.client();
        record.note(client, Event::Connected);
        assert!(record.text().contains("your proxy"), "{}", record.text());
        assert_eq!((record.side(upstream), record.side(client)), (Side::Upstream, Side::Client));
        assert_eq!(record.clients().collect::<Vec<_>>(), [client]);
    }
}
