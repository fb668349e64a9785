//! As much HTTP/1.1 (RFC 9112) as checks of servers and proxies need: requests and answers as bytes, and a reader of answers.

use crate::{
    client::Client,
    problem::{Problem, Seen, Topic},
    web_subject::Web,
};

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

/// An answer as a check wants it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Any of these; the first is the one that the task names.
    pub(crate) statuses: &'a [u16],
    /// The content, if it must be this.
    pub(crate) body: Option<&'a [u8]>,
    /// It answers HEAD: its fields are those of a content that does not come.
    pub(crate) to_head: bool,
    /// In words.
    pub(crate) text: &'a str,
}

impl<'a> Wanted<'a> {
    /// 200 with this content.
    pub(crate) fn ok(body: &'a [u8], text: &'a str) -> Self {
        Self { statuses: &[200], body: Some(body), to_head: false, text }
    }

    /// Any of these statuses, whatever the content says.
    pub(crate) fn status(statuses: &'a [u16], text: &'a str) -> Self {
        Self { statuses, body: None, to_head: false, text }
    }
}

/// The status of an answer that begins so.
pub(crate) fn status(answer: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(answer.get(..12)?).ok()?;
    line.strip_prefix("HTTP/1.1 ").or(line.strip_prefix("HTTP/1.0 "))?.parse().ok()
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

    /// Waits for a whole answer, and takes it apart with care: this answer is a student's.
    pub(crate) fn expect_reply(&mut self, wanted: &Wanted<'_>) -> Result<Answer, Problem> {
        let first = wanted.statuses.first().copied().unwrap_or(200);
        let begins = format!("HTTP/1.1 {first}").into_bytes();
        let expected = |problem| Problem { expected: begins.clone(), ..problem };
        let mut head = self.expect_head(wanted.text).map_err(expected)?;
        // An interim answer may come before any other (RFC 9110, section 15.2).
        while matches!(status(&head), Some(100..200)) {
            head = self.expect_head(wanted.text).map_err(expected)?;
        }
        let complaint = |client: &Self, expected: &[u8]| client.complaint(wanted.text, expected, &head);
        let status = match status(&head) {
            Some(status) if wanted.statuses.contains(&status) => status,
            _ => {
                // Its content may say why.
                let got = [&head[..], &self.heard_so_far()].concat();
                return Err(self.complaint(wanted.text, &begins, &got));
            }
        };
        if !is_well_formed(&head) {
            return Err(complaint(self, b"Name: value\r\n").about(Topic::Web(Web::Form)));
        }
        let body = if wanted.to_head || matches!(status, 100..200 | 204 | 304) {
            Vec::new()
        } else {
            self.reply_body(&head, wanted)?
        };
        Ok(Answer { status, head, body })
    }

    /// Waits for `100 Continue`, which is a head and nothing more.
    pub(crate) fn expect_interim(&mut self, wanted: &str) -> Result<(), Problem> {
        let begins = b"HTTP/1.1 100".to_vec();
        let head = self.expect_head(wanted).map_err(|problem| Problem { expected: begins.clone(), ..problem })?;
        if status(&head) == Some(100) { Ok(()) } else { Err(self.complaint(wanted, &begins, &head)) }
    }

    /// The content behind a head, as RFC 9112, section 6.3 says.
    fn reply_body(&mut self, head: &[u8], wanted: &Wanted<'_>) -> Result<Vec<u8>, Problem> {
        let (coding, length) = (field(head, "Transfer-Encoding"), field(head, "Content-Length"));
        let about = |topic: Web| move |problem: Problem| problem.or_about(Topic::Web(topic));
        let got = match (coding, length) {
            (Some(_), Some(_)) => {
                return Err(self.complaint(wanted.text, b"one length", head).about(Topic::Web(Web::TwoLengths)));
            }
            (Some(_), None) => self.chunks(wanted.text).map_err(about(Web::Chunks))?,
            (None, Some(length)) => {
                let said = length.parse::<usize>().ok();
                let right = wanted.body.map_or(said, |body| Some(body.len()));
                let Some(count) = said.filter(|said| Some(*said) == right) else {
                    return Err(self.other_length(head, wanted, said));
                };
                match wanted.body {
                    // A difference is seen before the rest has come.
                    Some(body) => {
                        self.expect(body, wanted.text)?;
                        return Ok(body.to_vec());
                    }
                    None => self.expect_count(count, wanted.text).map_err(about(Web::Length))?,
                }
            }
            (None, None) => {
                let got = self.hear_all();
                if !self.has_ended() {
                    return Err(self.problem(wanted.text, Seen::StillOpen).about(Topic::Web(Web::NoLength)));
                }
                got
            }
        };
        match wanted.body {
            Some(body) if body != got => Err(self.complaint(wanted.text, body, &got)),
            _ => Ok(got),
        }
    }

    /// The complaint about a length that is not that of the wanted content: is the length wrong, or the content?
    fn other_length(&mut self, head: &[u8], wanted: &Wanted<'_>, said: Option<usize>) -> Problem {
        let body = wanted.body.unwrap_or_default();
        let heard = self.heard_so_far();
        let common = heard.len().min(body.len());
        let is_whole = said.is_some_and(|said| heard.len() == said && said < body.len());
        let topic = length_topic(wanted.body, said);
        let is_other = heard[..common] != body[..common] || is_whole || (heard.is_empty() && said == Some(0));
        if topic == Web::Length && said.is_some() && is_other {
            return self.complaint(wanted.text, body, &heard);
        }
        let expected = format!("Content-Length: {}\r\n", body.len());
        self.complaint(wanted.text, expected.as_bytes(), head).about(Topic::Web(topic))
    }

    /// A content in chunks, put together.
    fn chunks(&mut self, wanted: &str) -> Result<Vec<u8>, Problem> {
        let mut content = Vec::new();
        loop {
            let line = self.expect_until(b"\r\n", LONGEST_HEAD, wanted)?;
            let digits = line.strip_suffix(b"\r\n").and_then(|line| line.split(|byte| *byte == b';').next());
            let text = digits.and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
            let Ok(size) = usize::from_str_radix(text, 16) else {
                return Err(self.complaint(wanted, b"the size of a chunk in hexadecimal", &line));
            };
            if size == 0 {
                // No trailers are asked for.
                self.expect(b"\r\n", wanted)?;
                return Ok(content);
            }
            content.extend(self.expect_count(size, wanted)?);
            self.expect(b"\r\n", wanted)?;
        }
    }
}

/// The mistake of a length that is not that of the content.
fn length_topic(body: Option<&[u8]>, said: Option<usize>) -> Web {
    let characters = body.and_then(|body| std::str::from_utf8(body).ok()).map(|text| text.chars().count());
    if characters.is_some() && characters == said { Web::Characters } else { Web::Length }
}

/// Whether each line has its end, and each field its colon.
fn is_well_formed(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let is_plain = |line: &str| !line.contains(['\r', '\n']);
    let is_field =
        |line: &str| line.split_once(':').is_some_and(|(name, _)| !name.is_empty() && !name.contains([' ', '\t']));
    lines.next().is_some_and(is_plain) && lines.all(|line| is_plain(line) && is_field(line))
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

    #[test]
    fn answers_are_looked_at_with_care() {
        assert_eq!(status(b"HTTP/1.1 404 Not Found\r\n"), Some(404));
        assert_eq!((status(b"HTTP/2 404 Not Found"), status(b"hello, world"), status(b"HTTP")), (None, None, None));
        assert!(is_well_formed(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"));
        assert!(!is_well_formed(b"HTTP/1.1 200 OK\nA: b\r\n\r\n"));
        assert!(!is_well_formed(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"));
        assert_eq!(length_topic(Some("caf\u{e9}".as_bytes()), Some(4)), Web::Characters);
        assert_eq!(length_topic(Some(b"cafe"), Some(5)), Web::Length);
    }
}
