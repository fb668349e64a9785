//! From bytes to heads: start lines here, field lines by `httparse`.
//!
//! Two ways lead to a head. Nearly always all of it is in the input and nothing about it is odd: then one pass makes it.
//! Anything else, also anything that will be refused, goes the careful way: [`super::section`] collects it line by line
//! and names what is wrong.

use super::{
    Error, Fields, Limits, Method, RequestHead, ResponseHead, Status, Target, Version, grammar, section::Section,
};
use httparse::{EMPTY_HEADER, Header};

/// The sender's side of a message. Where the standards tell a proxy something else about responses than about requests,
/// this decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Field lines parsed without asking the allocator. Most heads have fewer.
const USUAL_LINES: usize = 32;

/// The request head that `input` starts with, and its length, if it is whole and nothing is odd.
pub(super) fn whole_request(input: &[u8], limits: &Limits) -> Option<(RequestHead, usize)> {
    let (line, fields, length) = whole(input, limits)?;
    if line.len() > limits.request_line {
        return None;
    }
    let (method, target, version) = request_line(line).ok()?;
    let head = RequestHead::received(method, version, target, fields).ok()?;
    Some((head, length))
}

/// The response head that `input` starts with, and its length, if it is whole and nothing is odd.
pub(super) fn whole_response(input: &[u8], limits: &Limits) -> Option<(ResponseHead, usize)> {
    let (line, fields, length) = whole(input, limits)?;
    let (version, status, reason) = status_line(line).ok()?;
    let head = ResponseHead::received(version, status, reason, fields).ok()?;
    Some((head, length))
}

/// Start line, fields and length of a whole head.
fn whole<'i>(input: &'i [u8], limits: &Limits) -> Option<(&'i [u8], Fields, usize)> {
    let window = &input[..input.len().min(limits.head)];
    let line_end = memchr::memchr(b'\n', window)?;
    let line = window[..line_end].strip_suffix(b"\r")?;
    let rest = &window[line_end + 1..];
    let mut headers = [EMPTY_HEADER; USUAL_LINES];
    let Ok(httparse::Status::Complete((length, headers))) = httparse::parse_headers(rest, &mut headers) else {
        return None;
    };
    let section = &rest[..length];
    if headers.len() > limits.fields || has_bare_lf(section, headers) {
        return None;
    }
    Some((line, fields_at(section, headers), line_end + 1 + length))
}

/// `httparse` takes a bare line feed for a line's end, too. Line feeds are nowhere else: so those before a name are looked at, and
/// the last two.
fn has_bare_lf(section: &[u8], headers: &[Header<'_>]) -> bool {
    let begins_well = |header: &Header<'_>| {
        let place = header.name.as_ptr().addr() - section.as_ptr().addr();
        section[..place].ends_with(b"\r\n")
    };
    let ends_well = if headers.is_empty() { section == b"\r\n" } else { section.ends_with(b"\r\n\r\n") };
    !(ends_well && headers.iter().skip(1).all(begins_well))
}

/// A request's head.
pub(super) fn request(section: &Section<'_>) -> Result<RequestHead, Error> {
    let (line, rest) = section.bytes.split_at(section.first_end);
    let (method, target, version) = request_line(&line[..line.len() - 2])?;
    RequestHead::received(method, version, target, fields(rest, section.lines - 1, Side::Request)?)
}

/// A response's head.
pub(super) fn response(section: &Section<'_>) -> Result<ResponseHead, Error> {
    if section.lines == 0 {
        return Err(Error::BadStatusLine);
    }
    let (line, rest) = section.bytes.split_at(section.first_end);
    let (version, status, reason) = status_line(&line[..line.len() - 2])?;
    let fields = fields(rest, section.lines - 1, Side::Response)?;
    ResponseHead::received(version, status, reason, fields)
}

/// A trailer section.
pub(super) fn trailers(section: &Section<'_>, side: Side) -> Result<Fields, Error> {
    fields(&section.bytes, section.lines, side)
}

/// `method SP request-target SP HTTP-version` (RFC 9112 §3), without its line break.
pub(super) fn request_line(line: &[u8]) -> Result<(Method, Target, Version), Error> {
    request_line_parts(line).map_err(|error| bare_cr_or(error, line))
}

fn request_line_parts(line: &[u8]) -> Result<(Method, Target, Version), Error> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Error::BadRequestLine);
    };
    if method.is_empty() || target.is_empty() {
        return Err(Error::BadRequestLine);
    }
    let method = Method::from_bytes(method)?;
    // Before the target: what looks odd may be right in another version.
    let version = Version::from_bytes(version)?;
    let target = Target::parse(&method, target)?;
    Ok((method, target, version))
}

/// Refuses what cannot become a request line, before it has ended: a TLS or other binary greeting has no line break to
/// wait for.
pub(super) fn check_request_start(start: &[u8]) -> Result<(), Error> {
    /// Longer than any registered method. Each call looks at no more, so that single bytes cost linear time.
    const LOOK: usize = 32;
    let mut method = start.iter().take(LOOK).take_while(|byte| !matches!(byte, b' ' | b'\r'));
    if method.all(|byte| grammar::is_token_byte(*byte)) && start.first() != Some(&b' ') {
        Ok(())
    } else {
        Err(Error::BadMethod)
    }
}

/// `HTTP-version SP status-code [SP reason-phrase]` (RFC 9112 §4), without its line break. The space before a missing
/// reason is required, but often missing too.
pub(super) fn status_line(line: &[u8]) -> Result<(Version, Status, &[u8]), Error> {
    status_line_parts(line).map_err(|error| bare_cr_or(error, line))
}

/// No part of a start line may hold a carriage return. If one does, that is what is wrong.
fn bare_cr_or(error: Error, line: &[u8]) -> Error {
    if line.contains(&b'\r') { Error::BareCr } else { error }
}

fn status_line_parts(line: &[u8]) -> Result<(Version, Status, &[u8]), Error> {
    let (version, rest) = line.split_at_checked(8).ok_or(Error::BadStatusLine)?;
    let version = Version::from_bytes(version).map_err(|error| match error {
        Error::BadVersion => Error::BadStatusLine,
        other => other,
    })?;
    let (code, reason) = match rest {
        [b' ', a, b, c] => ([*a, *b, *c], &b""[..]),
        [b' ', a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
        _ => return Err(Error::BadStatusLine),
    };
    if !code.iter().all(u8::is_ascii_digit) || !grammar::is_text(reason) {
        return Err(Error::BadStatusLine);
    }
    let code = code.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    Ok((version, Status::new(code).ok_or(Error::BadStatusLine)?, reason))
}

/// Parses `lines` field lines and the empty line.
fn fields(section: &[u8], lines: usize, side: Side) -> Result<Fields, Error> {
    let parsed = parse_fields(section, lines);
    let parsed = match (parsed, side) {
        (None, Side::Response) => mended(section).and_then(|section| parse_fields(&section, lines)),
        (parsed, _) => parsed,
    };
    parsed.ok_or_else(|| diagnose(section, side))
}

/// `None`: a line breaks a rule.
fn parse_fields(section: &[u8], lines: usize) -> Option<Fields> {
    match lines {
        0 => Some(Fields::new()),
        1..=USUAL_LINES => parse_into(section, &mut [EMPTY_HEADER; USUAL_LINES][..lines]),
        _ => parse_into(section, &mut vec![EMPTY_HEADER; lines]),
    }
}

fn parse_into<'b>(section: &'b [u8], headers: &mut [Header<'b>]) -> Option<Fields> {
    match httparse::parse_headers(section, headers) {
        Ok(httparse::Status::Complete((_, headers))) => Some(fields_at(section, headers)),
        Ok(httparse::Status::Partial) | Err(_) => None,
    }
}

/// The section without the white space between names and colons, if there is any: a server refuses such a request, a proxy
/// removes it from a response (RFC 9112 §5.1).
#[cold]
fn mended(section: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::with_capacity(section.len());
    for line in section.split_inclusive(|byte| *byte == b'\n') {
        let (name, rest) = line.split_at(memchr::memchr(b':', line).unwrap_or(line.len()));
        mended.extend_from_slice(without_space_behind(name));
        mended.extend_from_slice(rest);
    }
    (mended.len() < section.len()).then_some(mended)
}

fn without_space_behind(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    name
}

/// Keeps the section once, with the places of its parts.
fn fields_at<'b>(section: &'b [u8], headers: &[Header<'b>]) -> Fields {
    Fields::from_section(section, headers.iter().map(|header| (header.name.as_bytes(), header.value)))
}

/// Which rule the section breaks.
fn diagnose(section: &[u8], side: Side) -> Error {
    let lines = section.split_inclusive(|byte| *byte == b'\n');
    let broken = lines.map(|line| check_field_line(line.strip_suffix(b"\r\n").unwrap_or(line), side));
    broken.filter_map(Result::err).next().unwrap_or(Error::BadFieldValue)
}

/// `field-name ":" OWS field-value OWS` (RFC 9112 §5), without its line break. The same rules as `httparse`'s, one line
/// at a time: to name what is wrong, and to check a line before its section is complete. Before the colon of a response's
/// line there may be white space, which [`mended`] removes.
pub(super) fn check_field_line(line: &[u8], side: Side) -> Result<(), Error> {
    if line.is_empty() {
        return Ok(());
    }
    if matches!(line[0], b' ' | b'\t') {
        return Err(Error::ObsFold);
    }
    if line.contains(&b'\r') {
        return Err(Error::BareCr);
    }
    if line.contains(&0) {
        return Err(Error::Nul);
    }
    let colon = memchr::memchr(b':', line).ok_or(Error::NoColon)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let bare = without_space_behind(name);
    if bare != name && side == Side::Request {
        return Err(Error::SpaceBeforeColon);
    }
    if !grammar::is_token(bare) {
        return Err(Error::BadFieldName);
    }
    if grammar::is_text(value) { Ok(()) } else { Err(Error::BadFieldValue) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Our rules for one line and `httparse`'s for all of them are the same rules.
        #[test]
        fn field_lines_are_judged_as_httparse_does(
            lines in proptest::collection::vec("[\\x00-\\xff]{0,3}|[ \tA-z:\\r]{1,6}|[a-z]{1,3}[ \t]{0,2}:[ -~\t\\x7f\\r]{0,5}", 1..4)
        ) {
            let usable = |line: &String| !line.is_empty() && !line.contains('\n') && line != "\r";
            let lines: Vec<Vec<u8>> =
                lines.into_iter().filter(usable).map(|line| line.chars().map(|c| c as u8).collect()).collect();
            let wire = lines.iter().fold(Vec::new(), |wire, line| [&wire[..], line, b"\r\n"].concat());
            for side in [Side::Request, Side::Response] {
                let ours = lines.iter().try_for_each(|line| check_field_line(line, side));
                let theirs = fields(&[&wire[..], b"\r\n"].concat(), lines.len(), side);
                prop_assert_eq!(theirs.map(drop), ours);
            }
        }
    }

    #[test]
    fn bare_line_feeds_are_seen_everywhere() {
        for (section, bare) in [
            ("\r\n", false),
            ("\n", true),
            ("A: b\r\n\r\n", false),
            ("A: b\n\r\n", true),
            ("A: b\r\n\n", true),
            ("A: b\n\n", true),
            ("A:\n\r\n", true),
            ("A: b\r\nC:\r\nD: e \r\n\r\n", false),
            ("A: b\r\nC:\nD: e \r\n\r\n", true),
            ("A: b\nC:\r\nD: e \r\n\r\n", true),
        ] {
            let mut headers = [EMPTY_HEADER; 4];
            let parsed = httparse::parse_headers(section.as_bytes(), &mut headers);
            let Ok(httparse::Status::Complete((_, headers))) = parsed else { panic!("{section:?}: {parsed:?}") };
            assert_eq!(has_bare_lf(section.as_bytes(), headers), bare, "{section:?}");
        }
    }
}
