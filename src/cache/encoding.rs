//! A stored response as bytes, for a second level of the cache that several proxies share, and that outlives them.
//!
//! ```text
//!   "SPC1" │ crc32 │ kind │ URI, tags │ ─┬─ variants: generation, names of fields
//!                           ▲            ╰─ response: times, terms, status, selecting fields, lines, content
//!                           ╰ a purge reads no further
//! ```
//!
//! Numbers are big-endian, and a length stands in front of each string. The sum is over all that follows it. A value is
//! read to the last byte, as it was written, or it is nothing: others write to that store, too, and it may cut, mix up or forget.
//!
//! # Trust
//!
//! The sum tells damage, not malice. A response that is read goes to clients without another look, so it is held to what the first level
//! would have stored: no field of one hop, no content where a status has none, no head longer than any that is written.
//!
//! # Time
//!
//! A process has a monotonic clock of its own, and two machines never have the same time. So the age of a response is the larger one of two
//! estimates, as in RFC 9111 §4.2.3: by the calendar, and by the time that the store has left for it, of the time that it was given.

use super::{
    Body, Freshness, Selecting, Stored,
    key::{Key, Uri},
    purge::MAX_TAGS,
    stored::is_end_to_end,
    vary::{Restored, are_selecting},
};
use crate::{
    http::{Fields, ResponseHead, Status, Version, is_token},
    time::Now,
};
use bytes::Bytes;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The format and its version: another one is not read, but written anew.
const MAGIC: [u8; 4] = *b"SPC1";

/// Where the bytes begin that the sum is over.
const SUMMED: usize = 8;

/// The most bytes of a value besides the content of its response. A backend's head is limited to an eighth, unless a flag says otherwise;
/// each line of it costs work whenever the response is used.
pub const MOST_BESIDES_CONTENT: usize = 128 * 1024;

const RESPONSE: u8 = 1;
const VARIANTS: u8 = 2;

/// A value of the second level.
#[derive(Debug, Clone)]
pub enum Saved {
    /// A response.
    Response(Box<Stored>),
    /// The responses of the URI differ by the request: each is under a name of its own.
    Variants(Variants),
}

/// The fields by which the responses of a URI differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variants {
    /// A part of the names of its responses: they are out of reach as soon as this is gone.
    pub generation: u64,
    /// The names of the fields, in lower case and in order.
    pub names: Box<[Box<str>]>,
}

impl Variants {
    /// Those of a response that was selected so.
    #[must_use]
    pub fn of(selecting: &Selecting, generation: u64) -> Self {
        Self { generation, names: selecting.fields().map(|(name, _)| name.into()).collect() }
    }

    /// Whether a response that was selected so is one of them.
    #[must_use]
    pub fn have(&self, selecting: &Selecting) -> bool {
        selecting.fields().map(|(name, _)| name).eq(self.names.iter().map(|name| &**name))
    }
}

/// The value is not one of ours, not whole, or about something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// The beginning of a value: what a purge wants to know.
#[derive(Debug)]
pub struct Label<'a> {
    /// The URI, as [`Key::as_str`] has it.
    pub uri: &'a str,
    /// The tags of the response.
    pub tags: Vec<&'a [u8]>,
}

/// A whole response, which the store forgets after `life`.
#[must_use]
pub fn response(key: &Key, stored: &Stored, life: Duration, now: Now) -> Vec<u8> {
    let fields = &stored.head.fields;
    let mut out =
        Writer::new(RESPONSE, key, &stored.tags, fields.heap() + usize::try_from(stored.body.len()).unwrap_or(0));
    out.number(millis(since_1970(now.wall)));
    out.number(millis(life));
    out.number(millis(stored.freshness.age(now.instant)));
    out.number(millis(since_1970(stored.date)));
    out.string(&stored.freshness.terms());
    out.0.extend(stored.head.status.code().to_be_bytes());
    out.string(stored.head.reason());
    let selectors: Vec<_> = stored.selecting.restorable().collect();
    out.length(selectors.len());
    for Restored { name, value, normal } in selectors {
        out.string(name.as_bytes());
        out.option(value);
        out.option(normal);
    }
    out.length(fields.len());
    for (name, value) in fields.iter() {
        out.string(name.as_bytes());
        out.string(value);
    }
    out.length(usize::try_from(stored.body.len()).unwrap_or(usize::MAX));
    stored.body.pieces().iter().for_each(|piece| out.0.extend_from_slice(piece));
    out.end()
}

/// The fields by which the responses of a URI differ.
#[must_use]
pub fn variants(key: &Key, variants: &Variants) -> Vec<u8> {
    let mut out = Writer::new(VARIANTS, key, &[], 0);
    out.number(variants.generation);
    out.length(variants.names.len());
    variants.names.iter().for_each(|name| out.string(name.as_bytes()));
    out.end()
}

/// Reads what should be about `uri`, and is forgotten after the time that is `left`.
///
/// # Errors
///
/// It is not what was written, to the last byte, or it is about another URI.
pub fn read(bytes: &[u8], uri: Uri<'_>, left: Duration, now: Now) -> Result<Saved, Unreadable> {
    saved(bytes, uri, left, now).ok_or(Unreadable)
}

fn saved(bytes: &[u8], uri: Uri<'_>, left: Duration, now: Now) -> Option<Saved> {
    let sum = u32::from_be_bytes(bytes.get(4..SUMMED)?.try_into().ok()?);
    if crc32fast::hash(bytes.get(SUMMED..)?) != sum {
        return None;
    }
    let (kind, label, mut rest) = labelled(bytes)?;
    if *uri.to_key().as_str() != *label.uri {
        return None;
    }
    let saved = match kind {
        RESPONSE => {
            let tags = label.tags.into_iter().map(Box::from).collect();
            Saved::Response(Box::new(read_response(&mut rest, tags, left, now, bytes.len())?))
        }
        VARIANTS => Saved::Variants(read_variants(&mut rest)?),
        _ => return None,
    };
    rest.0.is_empty().then_some(saved)
}

/// Reads the beginning. `None`: it is none of ours, or longer than `bytes`.
#[must_use]
pub fn label(bytes: &[u8]) -> Option<Label<'_>> {
    labelled(bytes).map(|(_, label, _)| label)
}

fn labelled(bytes: &[u8]) -> Option<(u8, Label<'_>, Reader<'_>)> {
    if !bytes.starts_with(&MAGIC) {
        return None;
    }
    let mut rest = Reader(bytes.get(SUMMED..)?);
    let kind = rest.byte()?;
    let uri = std::str::from_utf8(rest.string()?).ok()?;
    let count = rest.length().filter(|count| *count <= MAX_TAGS)?;
    let mut tags = Vec::with_capacity(count);
    for _ in 0..count {
        tags.push(rest.string()?);
    }
    Some((kind, Label { uri, tags }, rest))
}

fn read_variants(rest: &mut Reader<'_>) -> Option<Variants> {
    let generation = rest.number()?;
    let mut names: Vec<Box<str>> = Vec::new();
    for _ in 0..rest.length()? {
        names.push(rest.name()?.into());
    }
    if !are_selecting(names.iter().map(AsRef::as_ref)) {
        return None;
    }
    Some(Variants { generation, names: names.into() })
}

/// `whole`: the bytes of the value.
fn read_response(
    rest: &mut Reader<'_>,
    tags: Box<[Box<[u8]>]>,
    left: Duration,
    now: Now,
    whole: usize,
) -> Option<Stored> {
    let (written, life, age) = (rest.time()?, rest.time()?, rest.time()?);
    let date = UNIX_EPOCH.checked_add(rest.time()?)?;
    let terms = rest.string()?;
    let by_calendar = since_1970(now.wall).saturating_sub(written);
    let age = age.checked_add(by_calendar.max(life.saturating_sub(left)))?;
    let status = Status::new(u16::from_be_bytes(rest.take(2)?.try_into().ok()?)).filter(|status| is_whole(*status))?;
    let reason = rest.string()?;
    if reason.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return None;
    }
    let mut selectors = Vec::new();
    for _ in 0..rest.length()? {
        selectors.push(Restored { name: rest.name()?, value: rest.option()?, normal: rest.option()? });
    }
    let mut fields = Fields::new();
    for _ in 0..rest.length()? {
        let name = rest.string()?;
        let value = rest.string()?;
        if !is_end_to_end(name) || value.trim_ascii() != value {
            return None;
        }
        fields.append(name, value).ok()?;
    }
    fields.shrink();
    let head = ResponseHead::received(Version::Http11, status, reason, fields).ok()?;
    let body = rest.string()?;
    // Content behind a head that has none would be read as the next response on the client's connection.
    if status.is_bodiless() && !body.is_empty() || whole.saturating_sub(body.len()) > MOST_BESIDES_CONTENT {
        return None;
    }
    // A copy of just this length: what it was read into is larger.
    let body = Bytes::copy_from_slice(body);
    let pieces = if body.is_empty() { Vec::new() } else { vec![body] };
    Some(Stored {
        head,
        selecting: Selecting::restored(&selectors)?,
        freshness: Freshness::resumed(terms, age, now.instant)?,
        date,
        body: Body::whole(pieces),
        tags,
    })
}

/// Whether a whole response may be stored with it. A part is stored with 200.
fn is_whole(status: Status) -> bool {
    !(status.is_interim() || matches!(status, Status::PARTIAL_CONTENT | Status::NOT_MODIFIED))
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A value in the making.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u8, key: &Key, tags: &[Box<[u8]>], room: usize) -> Self {
        let mut out = Self(Vec::with_capacity(room + 512));
        out.0.extend(MAGIC);
        out.0.extend([0; SUMMED - MAGIC.len()]);
        out.0.push(kind);
        out.string(key.as_str().as_bytes());
        out.length(tags.len());
        tags.iter().for_each(|tag| out.string(tag));
        out
    }

    fn number(&mut self, number: u64) {
        self.0.extend(number.to_be_bytes());
    }

    /// Beyond 4 GiB the value is too long for any store, and refused there.
    fn length(&mut self, length: usize) {
        self.0.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }

    fn string(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn option(&mut self, bytes: Option<&[u8]>) {
        self.0.push(u8::from(bytes.is_some()));
        bytes.into_iter().for_each(|bytes| self.string(bytes));
    }

    fn end(mut self) -> Vec<u8> {
        let sum = crc32fast::hash(&self.0[SUMMED..]);
        self.0[MAGIC.len()..SUMMED].copy_from_slice(&sum.to_be_bytes());
        self.0
    }
}

/// The rest of a value. `None`: it ends too soon, or says something that cannot be.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn time(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_millis)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.take(4)?.try_into().ok()?)).ok()
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn option(&mut self) -> Option<Option<&'a [u8]>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.string().map(Some),
            _ => None,
        }
    }

    /// The name of a field, in lower case.
    fn name(&mut self) -> Option<&'a str> {
        let name = self.string()?;
        let is_name = is_token(name) && !name.iter().any(u8::is_ascii_uppercase);
        std::str::from_utf8(name).ok().filter(|_| is_name)
    }
}

#[cfg(test)]
mod tests;
