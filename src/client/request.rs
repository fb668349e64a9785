//! Requests, answers, and the commands that may be executed twice.

use super::Error;
use std::{collections::BTreeSet, str::FromStr};

/// Bytes of a request: what the command service takes in a line, and room for an id before it.
pub const MAX_REQUEST: usize = 8 * 1024 - "#18446744073709551615 ".len();

/// The error of a longer request.
pub(super) const TOO_LONG: &str = "a command is at most 8170 bytes long";

/// One command, not yet numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    text: String,
    idempotent: bool,
}

impl Request {
    /// A command that must not be executed twice, unless [`Self::idempotent`] says otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: it is not one line, empty, numbered already, or longer than [`MAX_REQUEST`].
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        match text.trim() {
            // It would be two requests, of which we wait for one.
            _ if text.contains(['\n', '\r']) => Err(Error::Invalid("a command is one line")),
            // It would not be answered.
            "" => Err(Error::Invalid("no command in the line")),
            trimmed if trimmed.starts_with('#') => Err(Error::Invalid("the client itself numbers the commands")),
            _ if text.len() > MAX_REQUEST => Err(Error::Invalid(TOO_LONG)),
            _ => Ok(Self { text, idempotent: false }),
        }
    }

    /// Executing it twice is the same as executing it once: it may be sent again when its answer is missing.
    #[must_use]
    pub fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// Idempotent if its name is one of those.
    #[must_use]
    pub fn idempotent_if(self, names: &Names) -> Self {
        let idempotent = names.contains(self.name());
        Self { idempotent, ..self }
    }

    /// The command and what follows it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The command.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or_default()
    }

    /// Whether it may be executed twice.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }
}

/// The server's own answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its line, without id and line end. Bytes that are not UTF-8 are replaced.
    pub text: String,
    /// How often the request left before it came: 1 unless it was repeated.
    pub tries: u32,
}

/// Names of commands, in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// Whether `name` is one of them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        // Most names are written in capitals already.
        self.0.contains(name) || self.0.contains(&name.to_ascii_uppercase())
    }
}

impl Default for Names {
    /// The commands of the command service that may be executed twice: all but `QUIT`.
    fn default() -> Self {
        Self(["PING", "ECHO", "TIME", "STATS", "HELP", "HEARTBEAT", "DELAY"].map(str::to_owned).into())
    }
}

impl FromStr for Names {
    type Err = String;

    /// `PING,ECHO,TIME`; nothing at all: none.
    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: BTreeSet<String> = names.map(str::to_ascii_uppercase).collect();
        match names.iter().find(|name| name.contains(char::is_whitespace)) {
            Some(name) => Err(format!("{name:?} is more than a name: write PING,ECHO,TIME")),
            None => Ok(Self(names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line_with_something_in_it() {
        let longest = "x".repeat(MAX_REQUEST);
        for text in ["PING", " ping ", "ECHO #1", "ECHO ü", &longest] {
            assert_eq!(Request::new(text).unwrap().text(), text);
        }
        let Err(Error::Invalid(rule)) = Request::new(format!("{longest}x")) else { panic!() };
        assert!(rule.contains(&format!(" {MAX_REQUEST} bytes")), "{rule}");
        for text in ["", "  ", "PING\n", "PING\nPING", "PING\r", "#1 PING", " #1 PING", &format!("{longest}x")] {
            assert!(matches!(Request::new(text), Err(Error::Invalid(_))), "{text:?}");
        }
    }

    #[test]
    fn commands_are_repeated_by_name_only() {
        let names: Names = "get, Ping,".parse().unwrap();
        for (text, expected) in [("GET x", true), ("get", true), (" pInG x", true), ("SET x", false), ("GETS", false)] {
            let request = Request::new(text).unwrap();
            assert!(!request.is_idempotent(), "unless told");
            assert_eq!(request.idempotent_if(&names).is_idempotent(), expected, "{text}");
        }
        assert!(Names::default().contains("echo") && !Names::default().contains("QUIT"));
        assert!(!"".parse::<Names>().unwrap().contains(""));
        assert!("PING ECHO".parse::<Names>().is_err());
    }
}
