//! From bytes to heads: start lines here, field lines by `httparse`.
//!
//! `httparse` accepts a bare line feed as a line's end; [`super::section`] has refused it before.

use super::{Error, Fields, Method, RequestHead, ResponseHead, Status, Target, Version, grammar, section::Section};
use httparse::{EMPTY_HEADER, Header};

/// Field lines parsed without asking the allocator. Most heads have fewer.
const USUAL_LINES: usize = 32;

/// A request's head.
pub(super) fn request(section: &Section<'_>) -> Result<RequestHead, Error> {
    let (line, rest) = section.bytes.split_at(section.first_end);
    let (method, target, version) = request_line(&line[..line.len() - 2])?;
    RequestHead::received(method, version, target, fields(rest, section.lines - 1)?)
}

/// A response's head.
pub(super) fn response(section: &Section<'_>) -> Result<ResponseHead, Error> {
    if section.lines == 0 {
        return Err(Error::BadStatusLine);
    }
    let (line, rest) = section.bytes.split_at(section.first_end);
    let (version, status, reason) = status_line(&line[..line.len() - 2])?;
    Ok(ResponseHead::received(version, status, reason, fields(rest, section.lines - 1)?))
}

/// A trailer section.
pub(super) fn trailers(section: &Section<'_>) -> Result<Fields, Error> {
    fields(&section.bytes, section.lines)
}

/// `method SP request-target SP HTTP-version` (RFC 9112 §3), without its line break.
pub(super) fn request_line(line: &[u8]) -> Result<(Method, Target, Version), Error> {
    if memchr::memchr(b'\r', line).is_some() {
        return Err(Error::BareCr);
    }
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
    if memchr::memchr(b'\r', line).is_some() {
        return Err(Error::BareCr);
    }
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

/// So many field lines and the empty line.
fn fields(section: &[u8], lines: usize) -> Result<Fields, Error> {
    if lines == 0 {
        return Ok(Fields::new());
    }
    if lines <= USUAL_LINES {
        parse_fields(section, &mut [EMPTY_HEADER; USUAL_LINES][..lines])
    } else {
        parse_fields(section, &mut vec![EMPTY_HEADER; lines])
    }
}

fn parse_fields<'b>(section: &'b [u8], headers: &mut [Header<'b>]) -> Result<Fields, Error> {
    match httparse::parse_headers(section, headers) {
        Ok(httparse::Status::Complete((_, headers))) => {
            let place = |part: &[u8]| {
                // An empty value may be a slice of anything.
                let start = if part.is_empty() { 0 } else { part.as_ptr().addr() - section.as_ptr().addr() };
                start..start + part.len()
            };
            let lines = headers.iter().map(|header| (place(header.name.as_bytes()), place(header.value)));
            Ok(Fields::from_section(section, lines))
        }
        Ok(httparse::Status::Partial) | Err(_) => Err(diagnose(section)),
    }
}

/// Which rule the section breaks.
fn diagnose(section: &[u8]) -> Error {
    let lines = section.split_inclusive(|byte| *byte == b'\n');
    let broken = lines.map(|line| check_field_line(line.strip_suffix(b"\r\n").unwrap_or(line)));
    broken.filter_map(Result::err).next().unwrap_or(Error::BadFieldValue)
}

/// `field-name ":" OWS field-value OWS` (RFC 9112 §5), without its line break. The same rules as `httparse`'s, one line
/// at a time: to name what is wrong, and to check a line before its section is complete.
pub(super) fn check_field_line(line: &[u8]) -> Result<(), Error> {
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
    if grammar::trim(name) != name {
        return Err(Error::SpaceBeforeColon);
    }
    if !grammar::is_token(name) {
        return Err(Error::BadFieldName);
    }
    if grammar::is_text(value) { Ok(()) } else { Err(Error::BadFieldValue) }
}
