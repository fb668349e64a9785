//! The record as a reader sees it: a line an event, in columns, at most 100 wide.
//!
//! ```text
//! a server:           client ----------> | <- your server
//! a client program:   your client -----> | <- server
//! a proxy:            client ----------> | your proxy | ----------> upstream
//! ```

use crate::wire::{Entry, Event, Side};

/// The two sides that talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// The grader's clients and the student's server.
    Server,
    /// The student's client and the grader's server.
    Client,
    /// The grader's clients, the student's proxy, the grader's servers.
    Proxy,
}

/// No line is wider.
const WIDTH: usize = 100;
/// Width of the left of two columns, with its arrow.
const LEFT: usize = 36;
/// The time, and what is between it and the columns.
const BEFORE: usize = 14;
/// Widths of the two sides of a proxy.
const CLIENTS: usize = 38;
const UPSTREAMS: usize = 43;
/// How many bytes of a message are shown, if they are plain; and fewer, if a line would be too wide.
const SHOWN_BYTES: [usize; 3] = [26, 16, 8];

impl Columns {
    /// The line above all others.
    pub(crate) fn heading(self) -> String {
        let (left, right) = match self {
            Self::Server => ("client", "your server"),
            Self::Client => ("your client", "server"),
            Self::Proxy => {
                // The middle name stands over the bar.
                let (before, after) = (CLIENTS + 1 - 4, UPSTREAMS + 2 - 6);
                return format!("{:>10}    {:<before$}your proxy{:>after$}", "ms", "client", "upstream");
            }
        };
        format!("{:>10}    {left:<LEFT$}{right}", "ms")
    }

    /// The line of one event. `name`: which connection, if there are several.
    pub(crate) fn row(self, entry: &Entry, side: Side, name: &str) -> String {
        let row = |shown| {
            let what = format!("{name}{}", describe(&entry.event, shown));
            let body = match self {
                Self::Server => two(entry.event.is_ours(), &entry.event, &what),
                Self::Client => two(!entry.event.is_ours(), &entry.event, &what),
                Self::Proxy => three(side, &entry.event, &what),
            };
            format!("{:>10.1}    {body}", entry.at.as_secs_f64() * 1000.0)
        };
        // On the left of a proxy a line must not run over the bar.
        let left = self == Self::Proxy && side == Side::Client;
        let most = if left { BEFORE + CLIENTS + 2 } else { WIDTH };
        let fits = |row: &String| row.chars().count() <= most;
        SHOWN_BYTES.into_iter().map(row).find(fits).unwrap_or_else(|| row(0).chars().take(WIDTH).collect())
    }
}

/// Two columns: an arrow from the left, or what came from the right.
fn two(from_left: bool, event: &Event, what: &str) -> String {
    match event {
        fact if fact.is_silence() => format!("{:<LEFT$}   {what}", ""),
        _ if from_left => format!("{:-<width$}>", format!("{what} "), width = LEFT - 2),
        _ => format!("{:<LEFT$}<- {what}", ""),
    }
}

/// Three columns: the proxy is the bar in the middle.
fn three(side: Side, event: &Event, what: &str) -> String {
    let ours = event.is_ours();
    match side {
        Side::Client => format!("{} |", arrow(CLIENTS, ours, event, what)),
        Side::Upstream => format!("{:<CLIENTS$} | {}", "", arrow(UPSTREAMS, !ours, event, what)),
    }
}

/// An arrow to the right or to the left, as wide as its column.
fn arrow(width: usize, to_right: bool, event: &Event, what: &str) -> String {
    match event {
        fact if fact.is_silence() => format!("{what:^width$}"),
        _ if to_right => format!("{:-<rest$}>", format!("{what} "), rest = width - 1),
        _ => format!("<{:->rest$}", format!(" {what}"), rest = width - 1),
    }
}

fn describe(event: &Event, shown: usize) -> String {
    match event {
        Event::Connected | Event::Accepted => "connect".into(),
        Event::Refused(kind) => format!("(connect failed: {kind})"),
        Event::Unanswered => "(no answer to SYN)".into(),
        Event::Sent(bytes) | Event::Received(bytes) => show_at_most(bytes, shown),
        Event::Flood => "lines without a pause".into(),
        Event::Stuck => "(takes no more bytes)".into(),
        Event::Finished | Event::Ended => "FIN".into(),
        Event::Aborted | Event::Reset => "RST".into(),
        Event::Closed => "close".into(),
        Event::Signal(name) => (*name).into(),
        Event::Quiet(time) => format!("(silence, {} ms)", time.as_millis()),
    }
}

/// Bytes as text that fits into a column: escaped, and cut if they are many.
pub(crate) fn show(bytes: &[u8]) -> String {
    show_at_most(bytes, SHOWN_BYTES[0])
}

/// Bytes that are not plain take up to four characters each: of them fewer are shown.
fn show_at_most(bytes: &[u8], most: usize) -> String {
    let wide = |count: usize| bytes[..count].escape_ascii().count();
    let mut shown = bytes.len().min(most);
    while wide(shown) > most + most / 2 {
        shown -= 1;
    }
    // A line that is followed by much else is shown, the rest is counted.
    if shown < bytes.len() {
        shown = bytes[..shown].iter().position(|byte| *byte == b'\n').map_or(shown, |at| at + 1);
    }
    let text = bytes[..shown].escape_ascii();
    if shown == bytes.len() {
        return format!("\"{text}\"");
    }
    format!("\"{text}\" + {} bytes", thousands(bytes.len() - shown))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bytes_are_shown_so_that_they_fit_into_a_column() {
        assert_eq!(show(b"quit\n"), "\"quit\\n\"");
        assert_eq!(show(&[0, 0xff]), "\"\\x00\\xff\"");
        assert_eq!(show(&[b"quit\n", &[b'x'; 65_536][..]].concat()), "\"quit\\n\" + 65,536 bytes");
        assert_eq!(show(&[b'y'; 1000]), format!("\"{}\" + 974 bytes", "y".repeat(26)));
        assert_eq!(show(&[0; 1000]), format!("\"{}\" + 991 bytes", "\\x00".repeat(9)));
    }

    #[test]
    fn no_row_is_wider_than_a_hundred_columns() {
        for bytes in
            [vec![0; 8 << 20], vec![b'x'; 8 << 20], vec![0xff; 26], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()]
        {
            for event in
                [Event::Sent(bytes.clone()), Event::Received(bytes), Event::Quiet(Duration::from_millis(16_000))]
            {
                let entry = Entry { at: Duration::from_secs(39), connection: 1, event };
                for columns in [Columns::Server, Columns::Client, Columns::Proxy] {
                    for side in [Side::Client, Side::Upstream] {
                        let row = columns.row(&entry, side, "219: ");
                        assert!(row.chars().count() <= WIDTH, "{} {row}", row.chars().count());
                    }
                }
            }
        }
    }

    #[test]
    fn a_proxy_stands_between_its_two_sides() {
        let at = Duration::from_millis(1);
        let row = |side, event| Columns::Proxy.row(&Entry { at, connection: 1, event }, side, "");
        let bar = BEFORE + CLIENTS + 1;
        for (side, event, begins) in [
            (Side::Client, Event::Connected, "       1.0    connect ---"),
            (Side::Client, Event::Received(b"502".to_vec()), "       1.0    <---"),
        ] {
            let row = row(side, event);
            assert!(row.starts_with(begins) && row.ends_with('|') && row.len() == bar + 1, "{row}");
        }
        let asked = row(Side::Upstream, Event::Received(b"GET".to_vec()));
        assert!(asked[bar..].starts_with("| \"GET\" ---") && asked.ends_with("->"), "{asked}");
        let answered = row(Side::Upstream, Event::Aborted);
        assert!(answered[bar..].starts_with("| <---") && answered.ends_with(" RST"), "{answered}");
        assert_eq!(Columns::Proxy.heading().find("your proxy"), Some(bar - 4));
        assert!(Columns::Proxy.heading().ends_with("upstream"));
    }
}
