//! Chunked decoding (RFC 9112 §7.1) against a second decoder: one that has all bytes in its hands and no limits, and is
//! written from the grammar, rule by rule.

use super::{pieces::MOST, requests};
use socket_patterns::http::Limits;

/// Makes a request whose body is whatever follows.
const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let body = &data[..data.len().min(MOST)];
    let wire = [HEAD, body].concat();
    requests::judge(&wire);
    let heard = requests::hear([&wire[..]], &Limits::default());
    let ours = heard.messages.first().filter(|first| first.trailers.is_some()).map(|first| &first.content);
    match (ours, decode(body)) {
        (Some(ours), Some(content)) => assert_eq!(*ours, content),
        (Some(_), None) => panic!("accepted, and is not by the grammar"),
        // Ours has limits, and refuses some trailers that look like fields.
        (None, Some(_)) if heard.outcome.is_ok() => panic!("not accepted, and there is no error"),
        (None, _) => {}
    }
}

/// The content, if `body` begins with a chunked body.
fn decode(body: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut rest = body;
    loop {
        let line = line(&mut rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
        extensions(&line[digits..])?;
        if size == 0 {
            break;
        }
        let (data, after) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        content.extend_from_slice(data);
        rest = after.strip_prefix(b"\r\n")?;
    }
    while !line(&mut rest)?.is_empty() {}
    Some(content)
}

/// Takes one line off `rest`; without its CRLF.
fn line<'r>(rest: &mut &'r [u8]) -> Option<&'r [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    (!line.contains(&b'\n') && !line.contains(&b'\r')).then_some(line)
}

/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`
fn extensions(mut line: &[u8]) -> Option<()> {
    while !line.is_empty() {
        line = space(line).strip_prefix(b";")?;
        line = token(space(line))?;
        if let Some(value) = space(line).strip_prefix(b"=") {
            let value = space(value);
            line = if value.starts_with(b"\"") { quoted(&value[1..])? } else { token(value)? };
        }
    }
    Some(())
}

fn space(line: &[u8]) -> &[u8] {
    let len = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &line[len..]
}

/// The rest after a token.
fn token(line: &[u8]) -> Option<&[u8]> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let len = line.iter().take_while(|byte| is_token(byte)).count();
    (len > 0).then(|| &line[len..])
}

/// The rest after the closing quote.
fn quoted(mut line: &[u8]) -> Option<&[u8]> {
    loop {
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        line = match line {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte, rest @ ..] if is_text(byte) => rest,
            [byte, rest @ ..] if *byte != b'\\' && is_text(byte) => rest,
            _ => return None,
        };
    }
}
