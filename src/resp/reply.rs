//! Replies, as RESP2 or RESP3 writes them.
//!
//! ```text
//!                 RESP2                        RESP3
//!   null          $-1  or  *-1                 _
//!   map           array of twice as many       %n
//!   set           array                        ~n
//!   double        bulk string                  ,1.5
//!   boolean       :1 :0                        #t #f
//!   push          array                        >n
//! ```

use super::number::{Decimal, score};

/// Bytes on their way to one client.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    /// Which of the two protocols.
    pub(crate) resp3: bool,
    /// Parts that a client hears also when it wants no replies.
    asides: Vec<std::ops::Range<usize>>,
}

impl Reply {
    pub(crate) fn new(resp3: bool) -> Self {
        Self { bytes: Vec::new(), resp3, asides: Vec::new() }
    }

    /// Writes what is no reply: the client hears it even if it wants none.
    pub(crate) fn aside(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        write(self);
        self.asides.push(start..self.bytes.len());
    }

    /// A command begins: where in the bytes.
    pub(crate) fn begin(&mut self) -> usize {
        self.asides.clear();
        self.bytes.len()
    }

    /// Leaves out the replies since a command began.
    pub(crate) fn mute(&mut self, start: usize) {
        let kept: Vec<u8> = self.asides.drain(..).filter_map(|part| self.bytes.get(part)).flatten().copied().collect();
        self.bytes.truncate(start);
        self.bytes.extend(kept);
    }

    fn head(&mut self, kind: u8, number: i64) {
        self.bytes.push(kind);
        if let 0..=9 = number {
            self.bytes.push(b'0' + u8::try_from(number).unwrap_or_default());
        } else {
            self.bytes.extend_from_slice(Decimal::new(number).bytes());
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn count(&mut self, kind: u8, len: usize) {
        self.head(kind, i64::try_from(len).unwrap_or(i64::MAX));
    }

    pub(crate) fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.bytes.push(b'+');
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// An error with its code. A line break in it would be the end of it.
    pub(crate) fn error(&mut self, text: &str) {
        self.bytes.push(b'-');
        self.bytes.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn int(&mut self, number: i64) {
        self.head(b':', number);
    }

    pub(crate) fn len(&mut self, number: usize) {
        self.count(b':', number);
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.count(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn bulk_int(&mut self, number: i64) {
        self.bulk(Decimal::new(number).bytes());
    }

    pub(crate) fn null(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    pub(crate) fn null_array(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(crate) fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    pub(crate) fn array(&mut self, len: usize) {
        self.count(b'*', len);
    }

    /// The head of a list of pairs.
    pub(crate) fn map(&mut self, pairs: usize) {
        if self.resp3 { self.count(b'%', pairs) } else { self.count(b'*', pairs * 2) }
    }

    pub(crate) fn set(&mut self, len: usize) {
        self.count(if self.resp3 { b'~' } else { b'*' }, len);
    }

    /// Something that nobody asked for at this moment: a message of a channel.
    pub(crate) fn push(&mut self, len: usize) {
        self.count(if self.resp3 { b'>' } else { b'*' }, len);
    }

    pub(crate) fn double(&mut self, value: f64) {
        if self.resp3 {
            self.bytes.push(b',');
            self.bytes.extend_from_slice(score(value).as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
        } else {
            self.bulk(score(value).as_bytes());
        }
    }

    /// A text for people.
    pub(crate) fn verbatim(&mut self, text: &[u8]) {
        if self.resp3 {
            self.count(b'=', text.len() + 4);
            self.bytes.extend_from_slice(b"txt:");
            self.bytes.extend_from_slice(text);
            self.bytes.extend_from_slice(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    pub(crate) fn bulks<B: AsRef<[u8]>>(&mut self, items: impl ExactSizeIterator<Item = B>) {
        self.array(items.len());
        items.for_each(|item| self.bulk(item.as_ref()));
    }

    /// Lines of a HELP.
    pub(crate) fn help(&mut self, lines: &[&str]) {
        self.array(lines.len() + 2);
        lines.iter().for_each(|line| self.simple(line));
        self.simple("HELP");
        self.simple("    Prints this help.");
    }
}
