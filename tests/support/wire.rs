//! HTTP/1.1 as the tests understand it: small, strict, and written without the library, so that a mistake in the
//! library's parser cannot hide on both sides of a test.
//!
//! It accepts less than the RFC lets a sender do. That is the point: what our proxy writes has to be beyond doubt.

use std::{fmt, mem};

/// A request or response head.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The first line's three parts.
    pub start: [String; 3],
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Every value of a field, in order; the name's case does not matter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The value of a field that may be there once.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a comma list over all lines of that name has the token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|member| member.trim().eq_ignore_ascii_case(token))
    }

    /// Of a response.
    pub fn status(&self) -> u16 {
        self.start[1].parse().expect("a response head was parsed with its status")
    }

    pub fn method(&self) -> &str {
        &self.start[0]
    }

    pub fn target(&self) -> &str {
        &self.start[1]
    }
}

/// A piece of a message that a [`Reader`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// 1xx other than 101: another head follows.
    Interim(Head),
    Head(Head),
    Data(Vec<u8>),
    /// The message is over; its trailer fields.
    End(Vec<(String, String)>),
}

/// Reads one direction of a connection.
#[derive(Debug)]
pub struct Reader {
    side: Side,
    bytes: Vec<u8>,
    state: State,
    /// Methods of the requests whose responses are to come: HEAD changes where a response ends.
    asked: std::collections::VecDeque<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Requests,
    Responses,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Exact(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    /// The body was empty or is over.
    End,
    /// After 101: no longer HTTP.
    Raw,
}

/// Why something is not HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn malformed<T>(why: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(why.into()))
}

impl Reader {
    /// A reader of requests, for a server.
    pub fn of_requests() -> Self {
        Self { side: Side::Requests, bytes: Vec::new(), state: State::Head, asked: Default::default() }
    }

    /// A reader of responses, for a client; see [`Reader::asked`].
    pub fn of_responses() -> Self {
        Self { side: Side::Responses, ..Self::of_requests() }
    }

    /// A request was sent: its response follows those asked for before.
    pub fn asked(&mut self, method: &str) {
        self.asked.push_back(method.to_owned());
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The connection was upgraded: what follows is not HTTP.
    pub fn set_raw(&mut self) {
        self.state = State::Raw;
    }

    /// Bytes that are not understood yet, or not HTTP.
    pub fn rest(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes them.
    pub fn take_rest(&mut self) -> Vec<u8> {
        mem::take(&mut self.bytes)
    }

    /// Between two messages, with nothing left over?
    pub fn is_between(&self) -> bool {
        self.state == State::Head && self.bytes.is_empty()
    }

    /// The next piece, if it is there whole (body data: as much as there is).
    pub fn next(&mut self) -> Result<Option<Piece>, Malformed> {
        loop {
            match self.state {
                State::Head => return self.head(),
                State::Exact(0) => self.state = State::End,
                State::Chunk(0) => self.state = State::ChunkEnd,
                State::Exact(_) | State::Chunk(_) | State::UntilClose => return Ok(self.data()),
                State::ChunkEnd => match self.line()? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.state = State::ChunkSize,
                    Some(line) => return malformed(format!("chunk longer than its size: {line:?}")),
                },
                State::ChunkSize => match self.line()? {
                    None => return Ok(None),
                    Some(line) => self.state = chunk_size(&line)?,
                },
                State::Trailers => return self.trailers(),
                State::End => {
                    self.state = State::Head;
                    return Ok(Some(Piece::End(Vec::new())));
                }
                State::Raw => return Ok(None),
            }
        }
    }

    /// The peer sends nothing more: whether that is a proper place to stop. An until-close body ends here.
    pub fn end(&mut self) -> Result<Option<Piece>, Malformed> {
        match self.state {
            State::Head if self.bytes.is_empty() => Ok(None),
            State::Raw => Ok(None),
            State::UntilClose => {
                self.state = State::Head;
                Ok(Some(Piece::End(Vec::new())))
            }
            _ => malformed(format!("ended in the middle: {:?}", self.state)),
        }
    }

    fn data(&mut self) -> Option<Piece> {
        let here = self.bytes.len() as u64;
        let n = match &mut self.state {
            State::Exact(left) | State::Chunk(left) => {
                let n = here.min(*left);
                *left -= n;
                n
            }
            _ => here,
        };
        (n > 0).then(|| Piece::Data(self.bytes.drain(..n as usize).collect()))
    }

    /// One line without its CRLF.
    fn line(&mut self) -> Result<Option<String>, Malformed> {
        let Some(end) = self.bytes.iter().position(|b| *b == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.bytes.drain(..=end).collect();
        match line.strip_suffix(b"\r\n") {
            Some(line) if line.iter().all(|b| *b == b'\t' || (b' '..=b'~').contains(b)) => {
                Ok(Some(String::from_utf8_lossy(line).into_owned()))
            }
            _ => malformed(format!("bad line {:?}", line.escape_ascii().to_string())),
        }
    }

    fn trailers(&mut self) -> Result<Option<Piece>, Malformed> {
        let whole = self.bytes.starts_with(b"\r\n") || find(&self.bytes, b"\r\n\r\n").is_some();
        if !whole {
            return Ok(None);
        }
        let fields = self.fields()?;
        self.state = State::Head;
        Ok(Some(Piece::End(fields)))
    }

    fn fields(&mut self) -> Result<Vec<(String, String)>, Malformed> {
        let mut fields = Vec::new();
        while let Some(line) = self.line()? {
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { return malformed(format!("no colon: {line:?}")) };
            if name.is_empty() || !name.bytes().all(is_token) {
                return malformed(format!("bad field name {name:?}"));
            }
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(fields)
    }

    fn head(&mut self) -> Result<Option<Piece>, Malformed> {
        let Some(end) = find(&self.bytes, b"\r\n\r\n") else { return Ok(None) };
        debug_assert!(end + 4 <= self.bytes.len());
        let start = self.line()?.unwrap_or_default();
        let mut parts = start.splitn(3, ' ').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let mut head = Head { start: [part(), part(), part()], fields: Vec::new() };
        // `line` took the terminator's first half if there are no fields.
        head.fields = self.fields()?;
        match self.side {
            Side::Requests => self.request(head).map(Some),
            Side::Responses => self.response(head).map(Some),
        }
    }

    fn request(&mut self, head: Head) -> Result<Piece, Malformed> {
        let [method, target, version] = &head.start;
        if method.is_empty() || !method.bytes().all(is_token) {
            return malformed(format!("bad method {method:?}"));
        }
        if target.is_empty() || target.contains([' ', '#']) {
            return malformed(format!("bad target {target:?}"));
        }
        if version != "HTTP/1.1" && version != "HTTP/1.0" {
            return malformed(format!("bad version {version:?}"));
        }
        if version == "HTTP/1.1" && head.all("host").count() != 1 {
            return malformed("not exactly one Host");
        }
        self.state = body(&head)?.unwrap_or(State::End);
        Ok(Piece::Head(head))
    }

    fn response(&mut self, head: Head) -> Result<Piece, Malformed> {
        let [version, status, _] = &head.start;
        if version != "HTTP/1.1" && version != "HTTP/1.0" {
            return malformed(format!("bad version {version:?}"));
        }
        if status.len() != 3 || !status.bytes().all(|b| b.is_ascii_digit()) || status.starts_with('0') {
            return malformed(format!("bad status {status:?}"));
        }
        let status = head.status();
        if (100..200).contains(&status) && status != 101 {
            return Ok(Piece::Interim(head));
        }
        let asked = self.asked.pop_front();
        let length = body(&head)?;
        self.state = match asked.as_deref() {
            None => return malformed("a response without a request"),
            _ if status == 101 => State::Raw,
            Some("HEAD") => State::End,
            _ if status == 204 || status == 304 => State::End,
            _ => length.unwrap_or(State::UntilClose),
        };
        Ok(Piece::Head(head))
    }
}

/// Where the body ends by the head's own fields; none if they do not say.
fn body(head: &Head) -> Result<Option<State>, Malformed> {
    let lengths: Vec<&str> = head.all("content-length").collect();
    let codings: Vec<&str> = head.all("transfer-encoding").collect();
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(None),
        ([], ["chunked"]) if head.start.iter().any(|part| part == "HTTP/1.1") => Ok(Some(State::ChunkSize)),
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().map(|n| Some(State::Exact(n))).or_else(|_| malformed("length overflows"))
        }
        _ => malformed(format!("ambiguous length: Content-Length {lengths:?}, Transfer-Encoding {codings:?}")),
    }
}

fn chunk_size(line: &str) -> Result<State, Malformed> {
    if line.is_empty() || line.len() > 16 || !line.bytes().all(|b| b.is_ascii_hexdigit()) {
        return malformed(format!("bad chunk size {line:?}"));
    }
    match u64::from_str_radix(line, 16) {
        Ok(0) => Ok(State::Trailers),
        Ok(n) => Ok(State::Chunk(n)),
        Err(_) => malformed("chunk size overflows"),
    }
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A whole message, put together from its pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub interim: Vec<Head>,
    pub head: Option<Head>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// Adds a piece; gives the message away when that was its end.
    pub fn add(&mut self, piece: Piece) -> Option<Self> {
        match piece {
            Piece::Interim(head) => self.interim.push(head),
            Piece::Head(head) => self.head = Some(head),
            Piece::Data(data) => self.body.extend(data),
            Piece::End(trailers) => {
                self.trailers = trailers;
                return Some(mem::take(self));
            }
        }
        None
    }

    /// Whether any of it has arrived.
    pub fn has_begun(&self) -> bool {
        self.head.is_some() || !self.interim.is_empty()
    }

    pub fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, Head::status)
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.as_ref()?.field(name)
    }
}

/// Short: for messages of failed assertions.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.head.as_ref().map_or("nothing".to_owned(), |head| head.start.join(" "));
        write!(f, "[{start}, {} bytes of body, {} 1xx]", self.body.len(), self.interim.len())
    }
}

/// A body in chunks of so many bytes, or somewhat more where that would be thousands of chunks.
pub fn chunked(body: &[u8], size: usize, trailers: &str) -> Vec<u8> {
    const MOST: usize = 2000;
    let mut wire = Vec::new();
    for chunk in body.chunks(size.max(body.len() / MOST).max(1)) {
        wire.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        wire.extend(chunk);
        wire.extend(b"\r\n");
    }
    wire.extend(format!("0\r\n{trailers}\r\n").into_bytes());
    wire
}
