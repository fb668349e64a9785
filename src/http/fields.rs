//! A section of field lines (RFC 9110 §5): in the order and the spelling they came in, looked up without regard to case.
//!
//! ```text
//! bytes  "Host: a.example\r\nAccept: */*\r\n"        one buffer, as received
//!         ╰─┬╯  ╰───┬───╯    ╰──┬─╯  ╰┬╯
//! lines  [(0..4, 6..15),     (17..23, 25..28)]      one entry a line
//! ```

use super::{Error, grammar, list::members, name::is_same};
use std::{fmt, ops::Range};

/// A field section: two allocations however many lines, none when empty.
#[derive(Clone, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    lines: Vec<Line>,
    /// Which names there may be: see [`sign`]. Nearly every look-up is for a name that is not there, and ends here.
    signs: u64,
}

/// The bit that stands for a name in either case. Names with different bits are different.
#[inline]
fn sign(name: &[u8]) -> u64 {
    // The low five bits of a letter are its place in the alphabet. The factors were searched for: names that nearly every message has
    // (`accept`) share no bit with those that each message is asked for (`connection`).
    let letter = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or_default() & 31);
    1 << ((name.len() * 4 + letter(name.first()) * 5 + letter(name.last()) * 37) & 63)
}

/// Where a line's parts are in the buffer.
#[derive(Debug, Clone, Copy)]
struct Line {
    name: u32,
    name_len: u32,
    value: u32,
    value_len: u32,
}

impl Line {
    fn name<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.name as usize..][..self.name_len as usize]
    }

    fn value<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.value as usize..][..self.value_len as usize]
    }

    /// Where the whole line is, if it stands there in the form in which we write it.
    fn as_written(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let (start, value) = (self.name as usize, self.value as usize);
        let (colon, end) = (start + self.name_len as usize, value + self.value_len as usize);
        let is_so = value == colon + 2 && &bytes[colon..value] == b": " && bytes.get(end..end + 2)? == b"\r\n";
        is_so.then_some(start..end + 2)
    }
}

impl Fields {
    /// No lines, no heap.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines of `section`, of which names and values are parts.
    pub(super) fn from_section<'s>(
        section: &'s [u8],
        lines: impl ExactSizeIterator<Item = (&'s [u8], &'s [u8])>,
    ) -> Self {
        let mut signs = 0;
        let place = |part: &[u8]| match part {
            // It may be a part of anything.
            [] => 0,
            _ => offset(part.as_ptr().addr() - section.as_ptr().addr()),
        };
        let line = |(name, value): (&[u8], &[u8])| {
            signs |= sign(name);
            Line {
                name: place(name),
                name_len: offset(name.len()),
                value: place(value),
                value_len: offset(value.len()),
            }
        };
        Self { lines: lines.map(line).collect(), bytes: section.to_vec(), signs }
    }

    /// How many lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines in order, names as they were spelled.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.iter().map(|line| {
            // Names are tokens, so this never fails; an empty name would be written as a line that no recipient
            // accepts.
            let name = std::str::from_utf8(line.name(&self.bytes)).unwrap_or_default();
            (name, line.value(&self.bytes))
        })
    }

    /// As [`Self::iter`], with names as bytes: for the path that every message takes.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| (line.name(&self.bytes), line.value(&self.bytes)))
    }

    /// The first line's value of that name.
    #[inline]
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        if self.may_contain(name) { self.first(name) } else { None }
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// Whether there can be a line of that name. For a name that is known to the compiler, one comparison.
    #[inline]
    fn may_contain(&self, name: &str) -> bool {
        self.signs & sign(name.as_bytes()) != 0
    }

    /// The values of all lines of that name, in order.
    pub fn get_all(&self, name: &str) -> impl DoubleEndedIterator<Item = &[u8]> {
        let lines = if self.may_contain(name) { &*self.lines } else { &[] };
        lines
            .iter()
            .filter(move |line| is_same(line.name(&self.bytes), name.as_bytes()))
            .map(|line| line.value(&self.bytes))
    }

    /// Whether there is a line of that name.
    #[inline]
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The members of a comma-separated list, over all lines of that name: white space around them removed, empty ones
    /// skipped, commas in quoted strings respected (RFC 9110 §5.6.1).
    pub fn tokens(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.get_all(name).flat_map(members)
    }

    /// Whether `token` is a member of that list, without regard to ASCII case.
    #[inline]
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.may_contain(name) && self.lists_token(name, token)
    }

    fn lists_token(&self, name: &str, token: &str) -> bool {
        let is_it = |member: &[u8]| is_same(member, token.as_bytes());
        // Nearly every list is one word. A list without a comma is its only member.
        let has_it = |list: &[u8]| {
            is_it(list)
                || match memchr::memchr(b',', list) {
                    None => is_it(grammar::trim(list)),
                    Some(_) => members(list).any(is_it),
                }
        };
        self.get_all(name).any(has_it)
    }

    /// Appends a line. A control character in the value is replaced with a space, so that no value can end its line
    /// (RFC 9110 §5.5). `name` must be a token: debug builds check.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        debug_assert!(grammar::is_token(name.as_bytes()), "field name {name:?}");
        let value = grammar::trim(value.as_ref());
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        if !grammar::is_text(value) {
            for byte in self.bytes[middle..].iter_mut().filter(|byte| !grammar::is_text(&[**byte])) {
                *byte = b' ';
            }
        }
        self.enter(name.as_bytes(), start, middle, value.len());
    }

    /// No lines, and room for some: for a section whose lines come one by one.
    pub(crate) fn with_room(lines: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), lines: Vec::with_capacity(lines), signs: 0 }
    }

    /// Appends a line that a peer sent in another form than text, under the same rules as for text. It is kept in the form in
    /// which we write it.
    pub(crate) fn append(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        if !grammar::is_token(name) {
            return Err(Error::BadFieldName);
        }
        if !grammar::is_text(value) {
            return Err(if value.contains(&0) { Error::Nul } else { Error::BadFieldValue });
        }
        let start = self.bytes.len();
        write_line(&mut self.bytes, name, value);
        self.enter(name, start, start + name.len() + 2, value.len());
        Ok(())
    }

    /// Enters a line whose bytes are there: its name from `start` on, its value from `middle` on.
    fn enter(&mut self, name: &[u8], start: usize, middle: usize, value_len: usize) {
        self.signs |= sign(name);
        self.lines.push(Line {
            name: offset(start),
            name_len: offset(name.len()),
            value: offset(middle),
            value_len: offset(value_len),
        });
    }

    /// Keeps the lines that `keep` likes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &[u8]) -> bool) {
        let bytes = &self.bytes;
        self.lines.retain(|line| keep(std::str::from_utf8(line.name(bytes)).unwrap_or_default(), line.value(bytes)));
    }

    /// Removes all lines of that name.
    pub fn remove(&mut self, name: &str) {
        self.retain(|other, _| !is_same(other.as_bytes(), name.as_bytes()));
    }

    /// How many bytes of heap it holds.
    #[must_use]
    pub fn heap(&self) -> usize {
        self.bytes.capacity() + self.lines.capacity() * size_of::<Line>()
    }

    /// Gives back the heap that is not in use: for a section that is kept for long.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.lines.shrink_to_fit();
    }

    /// Appends `Name: value` and a line break for every line; not the empty line that ends a section.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.write_some(out, |_, _| true);
    }

    /// Appends the lines that `goes` likes, in the same form.
    ///
    /// Lines that came in this form, one behind the other, are copied together: nearly always that is all of them, in a few
    /// pieces.
    pub fn write_some(&self, out: &mut Vec<u8>, mut goes: impl FnMut(&[u8], &[u8]) -> bool) {
        let mut piece = 0..0;
        for line in &self.lines {
            let (name, value) = (line.name(&self.bytes), line.value(&self.bytes));
            if !goes(name, value) {
                continue;
            }
            match line.as_written(&self.bytes) {
                Some(whole) if whole.start == piece.end => piece.end = whole.end,
                other => {
                    out.extend_from_slice(&self.bytes[piece]);
                    piece = other.clone().unwrap_or_default();
                    if other.is_none() {
                        write_line(out, name, value);
                    }
                }
            }
        }
        out.extend_from_slice(&self.bytes[piece]);
    }
}

/// Appends one field line.
pub fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A place in a section. A section longer than 4 GiB exceeds every limit that fits a machine.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))).finish()
    }
}

/// Same lines in the same order and spelling.
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl<'a, V: AsRef<[u8]>> FromIterator<(&'a str, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a str, V)>>(lines: I) -> Self {
        let mut fields = Self::new();
        for (name, value) in lines {
            fields.push(name, value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        [("Host", "a"), ("accept", "x, \"y,\\\"z\" ,, w"), ("X-Empty", ""), ("ACCEPT", "v")].into_iter().collect()
    }

    #[test]
    fn look_ups_ignore_case_and_keep_order() {
        let fields = fields();
        assert_eq!(fields.get("host"), Some(&b"a"[..]));
        assert_eq!(fields.get("hos"), None);
        assert_eq!(fields.get("x-empty"), Some(&b""[..]));
        assert_eq!(fields.get_all("Accept").last(), Some(&b"v"[..]));
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["Host", "accept", "X-Empty", "ACCEPT"]);
        assert_eq!((fields.len(), fields.is_empty()), (4, false));
    }

    #[test]
    fn lists_run_over_all_lines_and_respect_quotes() {
        let fields = fields();
        let members: Vec<_> = fields.tokens("accept").collect();
        assert_eq!(members, [&b"x"[..], b"\"y,\\\"z\"", b"w", b"v"]);
        assert!(fields.has_token("Accept", "V") && !fields.has_token("Accept", "y"));
        assert_eq!(fields.tokens("x-empty").count(), 0);
    }

    #[test]
    fn a_value_cannot_end_its_line() {
        let mut fields = Fields::new();
        fields.push("X", " a\r\nEvil: b\0c\u{e9}\t ");
        let mut out = Vec::new();
        fields.write_to(&mut out);
        assert_eq!(out, "X: a  Evil: b c\u{e9}\r\n".as_bytes());
    }

    /// Lines as they came are copied together; others are written in our form; what is left out leaves no trace.
    #[test]
    fn some_lines_can_be_written() {
        let wire = "A: 1\r\nB:2\r\nC:\t3\r\nD: 4 \r\nE: \r\nF: 6\r\nG: 7\r\n\r\n";
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let parsed = httparse::parse_headers(wire.as_bytes(), &mut headers).unwrap();
        let httparse::Status::Complete((_, headers)) = parsed else { panic!("{parsed:?}") };
        let lines = headers.iter().map(|header| (header.name.as_bytes(), header.value));
        let mut fields = Fields::from_section(wire.as_bytes(), lines);
        fields.push("H", "8");
        fields.push("I", "9");
        let each =
            ["A: 1\r\n", "B: 2\r\n", "C: 3\r\n", "D: 4\r\n", "E: \r\n", "F: 6\r\n", "G: 7\r\n", "H: 8\r\n", "I: 9\r\n"];
        for chosen in 0..1 << each.len() {
            let is_chosen = |at: usize| chosen >> at & 1 == 1;
            let mut out = Vec::new();
            fields.write_some(&mut out, |name, _| is_chosen(usize::from(name[0] - b'A')));
            let wanted: String = (0..each.len()).filter(|at| is_chosen(*at)).map(|at| each[at]).collect();
            assert_eq!(String::from_utf8_lossy(&out), wanted);
        }
    }

    /// As if they had come as text: the same rules, and written without a copy of each.
    #[test]
    fn lines_of_another_form_are_kept_as_text() {
        let mut fields = Fields::with_room(2, 64);
        for (name, value, outcome) in [
            ("host", "a", Ok(())),
            ("x-empty", "", Ok(())),
            ("", "a", Err(Error::BadFieldName)),
            ("a b", "a", Err(Error::BadFieldName)),
            (":path", "a", Err(Error::BadFieldName)),
            ("x", "a\r\nb: c", Err(Error::BadFieldValue)),
            ("x", "a\0", Err(Error::Nul)),
            ("x", "caf\u{e9}\t!", Ok(())),
        ] {
            assert_eq!(fields.append(name.as_bytes(), value.as_bytes()), outcome, "{name}: {value}");
        }
        assert_eq!(fields, [("host", "a"), ("x-empty", ""), ("x", "caf\u{e9}\t!")].into_iter().collect());
        assert!(fields.lines.iter().all(|line| line.as_written(&fields.bytes).is_some()));
        assert_eq!(fields.get("X-Empty"), Some(&b""[..]));
    }

    #[test]
    fn lines_can_be_removed() {
        let mut fields = fields();
        fields.remove("accept");
        let mut out = Vec::new();
        fields.write_to(&mut out);
        assert_eq!(out, b"Host: a\r\nX-Empty: \r\n");
        assert_eq!(fields, [("Host", "a"), ("X-Empty", "")].into_iter().collect());
        assert_ne!(fields, [("host", "a"), ("X-Empty", "")].into_iter().collect());
    }

    /// Else each message would be searched for each of them.
    #[test]
    fn usual_names_have_other_signs_than_names_that_are_asked_for() {
        let usual = [
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "accept-language",
            "cookie",
            "referer",
            "date",
            "server",
        ];
        for asked in [
            "connection",
            "te",
            "expect",
            "upgrade",
            "transfer-encoding",
            "content-length",
            "via",
            "max-forwards",
            "range",
        ] {
            assert!(usual.iter().all(|name| sign(name.as_bytes()) != sign(asked.as_bytes())), "{asked}");
        }
    }

    /// Every name that is there has to be found, in whatever case it is asked for.
    #[test]
    fn a_name_has_one_sign_in_either_case() {
        for name in ["te", "TE", "X", "a-B", "Content-Length", "x_1", "9", "!#$%&'*+-.^_`|~", "sec-ch-ua-platform"] {
            let (upper, lower) = (name.to_ascii_uppercase(), name.to_ascii_lowercase());
            assert_eq!(sign(upper.as_bytes()), sign(lower.as_bytes()), "{name}");
            let fields: Fields = [(name, "v")].into_iter().collect();
            assert!(fields.contains(name) && fields.contains(&upper) && fields.contains(&lower), "{name}");
        }
        let mut fields = fields();
        fields.remove("host");
        assert!(!fields.contains("host") && fields.contains("accept"));
        assert_eq!(Fields::new().get("host"), None);
    }

    #[test]
    fn nothing_on_the_heap_while_empty() {
        let fields = Fields::new();
        assert_eq!((fields.bytes.capacity(), fields.lines.capacity(), fields.heap()), (0, 0, 0));
    }

    #[test]
    fn fields_that_are_kept_for_long_are_no_larger_than_they_have_to_be() {
        let mut fields: Fields = (0..9).map(|_| ("Accept", &b"x"[..])).collect();
        let before = fields.heap();
        fields.shrink();
        assert!(fields.heap() <= before);
        assert_eq!(fields.heap(), 9 * ("Accept".len() + 1 + size_of::<Line>()));
    }
}
