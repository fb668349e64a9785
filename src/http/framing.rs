//! Where a message body ends: RFC 9112 §6.3, its rules in its order, the first that applies wins.
//!
//! A mistake here is request smuggling: we and the peer disagree on where the next message starts. So wherever the RFC
//! lets a recipient repair or refuse, this library refuses, and what a status code overrules is checked all the same.

use super::{
    Error, Fields, Method, RequestHead, ResponseHead, Status, Version, grammar, limits::MAX_LENGTH, list::members,
    name::is_same,
};
use bytes::BufMut;

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    Empty,
    /// This number of bytes, at least one.
    Exact(u64),
    /// In chunks, the last of which is empty (RFC 9112 §7.1).
    Chunked,
    /// Responses only: until the peer closes. The connection cannot be used again.
    UntilClose,
}

/// The length of a request's body.
pub fn of_request(head: &RequestHead) -> Result<BodyLength, Error> {
    // Rules 3 to 7: without either field there is no body.
    let length = declared(head.version, &head.fields)?.unwrap_or(BodyLength::Empty);
    if head.method == Method::Trace && length != BodyLength::Empty {
        return Err(Error::ContentInTrace);
    }
    Ok(length)
}

/// The length of a response's body, given the method of its request.
pub fn of_response(head: &ResponseHead, request_method: &Method) -> Result<BodyLength, Error> {
    of_response_to(head, Asked::with(request_method))
}

/// Whether a field says how long a body is. Such fields are written anew ([`write_field`]), not passed on: what one hop
/// read is then what the next one reads.
#[must_use]
pub fn is_framing(name: impl AsRef<[u8]>) -> bool {
    let name = name.as_ref();
    match name.len() {
        14 => is_same(name, b"content-length"),
        17 => is_same(name, b"transfer-encoding"),
        _ => false,
    }
}

/// The length that `Content-Length` says, read as [`of_request`] and [`of_response`] read it: also that of a body that is not
/// there (`HEAD`, 304).
#[must_use]
pub fn announced(fields: &Fields) -> Option<u64> {
    content_length(fields).ok().flatten()
}

/// Appends the field line that declares this length; none for [`BodyLength::UntilClose`]. Where there can be no body
/// (a `GET` without content, 1xx, 204, 304 or a response to `HEAD`) no such line belongs, not even `Content-Length: 0`.
pub fn write_field(length: BodyLength, out: &mut impl BufMut) {
    match length {
        BodyLength::Empty => out.put_slice(b"Content-Length: 0\r\n"),
        BodyLength::Exact(length) => {
            out.put_slice(b"Content-Length: ");
            write_decimal(length, out);
            out.put_slice(b"\r\n");
        }
        BodyLength::Chunked => out.put_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyLength::UntilClose => {}
    }
}

/// Appends a number in decimal digits.
pub fn write_decimal(number: u64, out: &mut impl BufMut) {
    out.put_slice(decimal(number, &mut [0; 20]));
}

/// A number in decimal digits, which take the end of `digits`.
pub fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    &digits[start..]
}

/// The part of a request's method that decides about the body of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Head,
    Connect,
    Other,
}

impl Asked {
    pub(super) fn with(method: &Method) -> Self {
        match method {
            Method::Head => Self::Head,
            Method::Connect => Self::Connect,
            _ => Self::Other,
        }
    }
}

pub(super) fn of_response_to(head: &ResponseHead, asked: Asked) -> Result<BodyLength, Error> {
    // Rule 2: a tunnel follows, and the fields say nothing.
    if switches(head.status, asked) {
        return Ok(BodyLength::Empty);
    }
    let declared = declared(head.version, &head.fields)?;
    // Rule 1. The fields describe what a GET would have got.
    if head.status.is_bodiless() || asked == Asked::Head {
        return Ok(BodyLength::Empty);
    }
    // Rules 3 to 6, and rule 8.
    Ok(declared.unwrap_or(BodyLength::UntilClose))
}

/// Whether what follows the head is not HTTP any more.
pub(super) fn switches(status: Status, asked: Asked) -> bool {
    status == Status::SWITCHING_PROTOCOLS || asked == Asked::Connect && status.is_success()
}

/// The length that the fields declare, if they declare one.
fn declared(version: Version, fields: &Fields) -> Result<Option<BodyLength>, Error> {
    let coded = transfer_coding(fields)?;
    let length = content_length(fields)?;
    match (coded, length) {
        // Rule 3.
        (true, Some(_)) => Err(Error::LengthAndCoding),
        (true, None) if version == Version::Http10 => Err(Error::CodingInHttp10),
        (true, None) => Ok(Some(BodyLength::Chunked)),
        (false, Some(0)) => Ok(Some(BodyLength::Empty)),
        (false, Some(length)) => Ok(Some(BodyLength::Exact(length))),
        (false, None) => Ok(None),
    }
}

/// Whether the body is chunked. We implement no other coding and announce none (`TE`), so any other is refused: passing
/// it on without its `Transfer-Encoding` would damage the content, and passing the field on is not ours to do.
fn transfer_coding(fields: &Fields) -> Result<bool, Error> {
    let mut lines = fields.get_all("transfer-encoding").peekable();
    if lines.peek().is_none() {
        return Ok(false);
    }
    let (mut chunked, mut other) = (0, false);
    let mut last_is_chunked = false;
    for member in lines.flat_map(|line| line.split(|byte| *byte == b',')) {
        let coding = grammar::trim(member);
        // Parameters, quotes, empty members: legal in a list, but some programs read them otherwise.
        if !grammar::is_token(coding) {
            return Err(Error::BadCoding);
        }
        last_is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        if last_is_chunked { chunked += 1 } else { other = true }
    }
    match (chunked, last_is_chunked) {
        (2.., _) => Err(Error::ChunkedTwice),
        (_, false) => Err(Error::NotChunked),
        (_, true) if other => Err(Error::UnknownCoding),
        (_, true) => Ok(true),
    }
}

/// The value of the one `Content-Length`, if there is any.
fn content_length(fields: &Fields) -> Result<Option<u64>, Error> {
    let mut lines = fields.get_all("content-length");
    let Some(value) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Error::SeveralLengths);
    }
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(if members(value).count() > 1 { Error::SeveralLengths } else { Error::BadLength });
    }
    let add = |length: u64, digit: &u8| length.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let length = value.iter().try_fold(0, add).filter(|length| *length <= MAX_LENGTH);
    length.map(Some).ok_or(Error::LengthTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Wire cases are in `tests/`; here is the API for heads that were made by hand.
    #[test]
    fn heads_that_did_not_come_from_the_wire() {
        let mut request = RequestHead::new(Method::Post, "/").unwrap();
        assert_eq!(of_request(&request), Ok(BodyLength::Empty));
        request.fields.push("Content-Length", "7");
        assert_eq!(of_request(&request), Ok(BodyLength::Exact(7)));
        request.fields.push("Transfer-Encoding", "chunked");
        assert_eq!(of_request(&request), Err(Error::LengthAndCoding));
        let mut response = ResponseHead::new(Status::OK);
        assert_eq!(of_response(&response, &Method::Get), Ok(BodyLength::UntilClose));
        assert_eq!(of_response(&response, &Method::Head), Ok(BodyLength::Empty));
        response.fields.push("Content-Length", MAX_LENGTH.to_string());
        assert_eq!(of_response(&response, &Method::Get), Ok(BodyLength::Exact(MAX_LENGTH)));
        assert_eq!(of_response(&response, &Method::Connect), Ok(BodyLength::Empty));
    }

    /// Also where there is no body that it would be of: it is passed on.
    #[test]
    fn a_length_that_others_read_as_negative_is_none() {
        for (length, read) in [
            ("9223372036854775807", Ok(MAX_LENGTH)),
            ("0009223372036854775807", Ok(MAX_LENGTH)),
            ("9223372036854775808", Err(Error::LengthTooLarge)),
            ("18446744073709551615", Err(Error::LengthTooLarge)),
            ("18446744073709551616", Err(Error::LengthTooLarge)),
            ("99999999999999999999999999", Err(Error::LengthTooLarge)),
        ] {
            let mut response = ResponseHead::new(Status::OK);
            response.fields.push("Content-Length", length);
            assert_eq!(of_response(&response, &Method::Get), read.map(BodyLength::Exact), "{length}");
            assert_eq!(of_response(&response, &Method::Head).err(), read.err(), "{length}");
            assert_eq!(announced(&response.fields), read.ok(), "{length}");
        }
    }

    #[test]
    fn a_length_is_read_back_as_it_was_written() {
        for length in [BodyLength::Empty, BodyLength::Exact(9), BodyLength::Exact(MAX_LENGTH), BodyLength::Chunked] {
            let mut wire = b"POST / HTTP/1.1\r\nHost: a\r\n".to_vec();
            write_field(length, &mut wire);
            wire.extend_from_slice(b"\r\n");
            let read = super::super::RequestReader::new().next(&mut &wire[..], &Default::default());
            assert!(matches!(read, Ok(Some(super::super::RequestEvent::Head(_, read))) if read == length), "{read:?}");
        }
        assert!(is_framing("content-LENGTH") && is_framing("Transfer-Encoding") && !is_framing("Content-Type"));
    }
}
