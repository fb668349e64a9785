//! An explanation for people and for programs.
//!
//! Heads hold what clients send: cookies, passwords, tokens. An explanation shows which lines were changed, and of the values of fields
//! that are secrets no more than their lengths.

use super::{About, Fact, Record, telling::readable};
use crate::http::Fields;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Fields whose values are shown by their lengths alone.
const SECRET: [&str; 6] = ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token"];

/// A head, line by line: names, and values as they may be shown.
type Lines = Vec<(String, String)>;

impl Record {
    /// For programs.
    pub(in crate::proxy) fn json(&self) -> Value {
        let about = |about: About| {
            let facts = self.about(about).flat_map(|(at, fact)| {
                let tell = move |says: String| json!({"at_seconds": at.as_secs_f64(), "says": says});
                self.known.tell(fact).into_iter().map(tell).collect::<Vec<_>>()
            });
            let facts: Vec<Value> = facts.collect();
            (about.as_str().to_owned(), json!(facts))
        };
        let facts: serde_json::Map<String, Value> = About::ALL.into_iter().map(about).collect();
        let phases =
            self.phases().into_iter().map(|(phase, time)| json!({"phase": phase, "seconds": time.as_secs_f64()}));
        let changes = |changes: Vec<(char, String)>| -> Vec<String> {
            changes.into_iter().map(|(sign, line)| format!("{sign} {line}")).collect()
        };
        json!({
            "id": self.number,
            "why": self.why.as_str(),
            "time": humantime::format_rfc3339_millis(self.at).to_string(),
            "method": self.method,
            "target": self.target,
            "status": self.status,
            "failure": self.outcome.err().map(|failure| failure.as_str()),
            "duration_seconds": self.took.as_secs_f64(),
            "sent_bytes": self.sent,
            "received_bytes": self.received,
            "site": self.known.site,
            "route": self.known.route,
            "upstream": self.known.upstream,
            "phases": phases.collect::<Vec<_>>(),
            "request_changes": changes(self.request_changes()),
            "response_changes": changes(self.response_changes()),
            "facts": facts,
            "facts_left_out": self.left_out,
        })
    }

    /// One line, for a list.
    pub(in crate::proxy) fn line(&self) -> String {
        let outcome = self.outcome.err().map_or_else(String::new, |failure| format!(" \"{}\"", failure.as_str()));
        format!(
            "{} {} {} {} {} {}{outcome}",
            self.number,
            humantime::format_rfc3339_millis(self.at),
            self.why.as_str(),
            self.status,
            self.method,
            printable(&self.target)
        )
    }

    /// For people.
    pub(in crate::proxy) fn text(&self) -> String {
        let mut out = String::new();
        let outcome = self.outcome.err().map_or("answered", |failure| failure.as_str());
        let _ = writeln!(out, "explanation {} ({})", self.number, self.why.as_str());
        let _ = writeln!(out, "{} {}", self.method, printable(&self.target));
        let _ = writeln!(out, "at {}", humantime::format_rfc3339_millis(self.at));
        let _ = writeln!(out, "{} after {}: {outcome}", self.status, readable(self.took));
        let _ = writeln!(out, "{} bytes of content from the client, {} to it", self.received, self.sent);
        for about in About::ALL {
            let _ = writeln!(out, "\n{}", about.as_str());
            let mut empty = true;
            for (at, fact) in self.about(about) {
                for said in self.known.tell(fact) {
                    empty = false;
                    let _ = writeln!(out, "  {:>10}  {}", readable(at), printable(&said));
                }
            }
            if about == About::Heads {
                write_changes(&mut out, "request", &self.request_changes());
                write_changes(&mut out, "response", &self.response_changes());
            }
            if about == About::Progress {
                for (phase, time) in self.phases() {
                    let _ = writeln!(out, "  {:>10}  in {phase}", readable(time));
                }
            }
            if empty {
                let _ = writeln!(out, "  nothing: it did not come to that");
            }
        }
        if self.left_out > 0 {
            let _ = writeln!(out, "\n{} more facts are left out", self.left_out);
        }
        out
    }

    /// The time in each phase.
    fn phases(&self) -> Vec<(&'static str, Duration)> {
        let began = self.facts.iter().filter_map(|(at, fact)| match fact {
            Fact::Phase(phase) => Some((*phase, *at)),
            _ => None,
        });
        let began: Vec<_> = began.collect();
        let ends = began.iter().skip(1).map(|(_, at)| *at).chain([self.took]);
        began.iter().zip(ends).map(|((phase, from), to)| (phase.as_str(), to.saturating_sub(*from))).collect()
    }

    /// The lines of the request's head that did not go on, and those that came to it: of the last time that it was sent.
    fn request_changes(&self) -> Vec<(char, String)> {
        let sent = self
            .facts
            .iter()
            .rev()
            .find_map(|(_, fact)| if let Fact::Sent { head } = fact { Some(head) } else { None });
        let (Some(head), Some(sent)) = (&self.head, sent) else { return Vec::new() };
        let sent: Lines = String::from_utf8_lossy(sent)
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| shown(name, value))
            .collect();
        differences(&lines(&head.fields), &sent)
    }

    fn response_changes(&self) -> Vec<(char, String)> {
        let answered = self.facts.iter().rev().find_map(|(_, fact)| match fact {
            Fact::Answered { head, edited: Some(edited), .. } => Some((head, edited)),
            _ => None,
        });
        answered.map_or_else(Vec::new, |(head, edited)| differences(&lines(&head.fields), &lines(&edited.fields)))
    }
}

fn write_changes(out: &mut String, what: &str, changes: &[(char, String)]) {
    for (sign, line) in changes {
        let _ = writeln!(out, "  {what:>10}  {sign} {}", printable(line));
    }
}

fn lines(fields: &Fields) -> Lines {
    fields.lines().map(|(name, value)| shown(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value))).collect()
}

/// A line as it may be shown.
fn shown(name: &str, value: &str) -> (String, String) {
    let is_secret = SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret));
    let value = if is_secret { format!("({} bytes)", value.len()) } else { value.to_owned() };
    (name.to_owned(), value)
}

/// The lines of one list that the other has not, each way. Names are compared in any case.
fn differences(before: &Lines, after: &Lines) -> Vec<(char, String)> {
    let without = |list: &Lines, other: &Lines, sign: char| -> Vec<(char, String)> {
        let mut rest: Vec<&(String, String)> = other.iter().collect();
        let mut own = Vec::new();
        for (name, value) in list {
            let same = rest.iter().position(|(other, known)| other.eq_ignore_ascii_case(name) && known == value);
            match same {
                Some(at) => drop(rest.swap_remove(at)),
                None => own.push((sign, format!("{name}: {value}"))),
            }
        }
        own
    };
    let mut all = without(before, after, '-');
    all.extend(without(after, before, '+'));
    all
}

/// Nothing in it can end a line, or move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[(&str, &str)]) -> Lines {
        lines.iter().map(|(name, value)| shown(name, value)).collect()
    }

    #[test]
    fn changes_are_lines_and_secrets_are_lengths() {
        let before = list(&[("Host", "a"), ("Cookie", "id=1"), ("X-A", "1"), ("X-A", "1"), ("Connection", "close")]);
        let after = list(&[("host", "a"), ("cookie", "id=2"), ("X-A", "1"), ("Authorization", "Basic Og==")]);
        let told: Vec<String> =
            differences(&before, &after).into_iter().map(|(sign, line)| format!("{sign} {line}")).collect();
        assert_eq!(told, ["- X-A: 1", "- Connection: close", "+ Authorization: (10 bytes)"]);
    }

    #[test]
    fn each_subject_is_there_even_if_nothing_is_to_be_said() {
        let record = Record::empty(1);
        let text = record.text();
        for about in About::ALL {
            assert!(text.contains(&format!("\n{}\n", about.as_str())), "{text}");
            assert_eq!(record.json()["facts"][about.as_str()], json!([]));
        }
        assert!(printable("a\x1b[2J\nb") == "a\u{fffd}[2J\u{fffd}b");
    }
}
