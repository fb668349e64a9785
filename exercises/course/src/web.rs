//! As much HTTP/1.1 (RFC 9112) as checks of servers and proxies need: requests and answers as bytes, and a reader of answers.

use crate::{client::Client, problem::Problem};

/// A longer head is none.
const LONGEST_HEAD: usize = 64 * 1024;

/// An answer that was heard whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Such as 200.
    pub(crate) status: u16,
    /// The status line and the fields, with the empty line.
    pub(crate) head: Vec<u8>,
    /// The content after it, as long as the head says.
    pub(crate) body: Vec<u8>,
}

/// A request without a body.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A complete answer.
pub(crate) fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// The value of a field of a head; names are the same in any case.
pub(crate) fn field(head: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(head).into_owned();
    let fields = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let found = fields.filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned());
    found.last()
}

impl Client {
    /// Waits for a whole head: of a request, or of an answer.
    pub(crate) fn expect_head(&mut self, wanted: &str) -> Result<Vec<u8>, Problem> {
        self.expect_until(b"\r\n\r\n", LONGEST_HEAD, wanted)
    }

    /// Waits for a whole answer with this status, whose length its head tells.
    pub(crate) fn expect_answer(&mut self, status: u16, wanted: &str) -> Result<Answer, Problem> {
        let head = self.expect_head(wanted)?;
        let begins = format!("HTTP/1.1 {status}");
        if !head.starts_with(begins.as_bytes()) {
            return Err(self.complaint(wanted, begins.as_bytes(), &head));
        }
        let length = field(&head, "Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let body = self.expect_count(length, wanted)?;
        Ok(Answer { status, head, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_any_case() {
        let head = answer("200 OK", b"hello");
        assert_eq!(field(&head, "content-length").as_deref(), Some("5"));
        assert_eq!(field(&head, "Server"), None);
        assert!(head.ends_with(b"\r\n\r\nhello"));
    }
}
