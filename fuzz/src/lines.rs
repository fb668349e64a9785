//! Input as field lines: the cache's readers get lines that were read already, and so only what a line can be.

use super::pieces::MOST;
use socket_patterns::http::Fields;

/// The input line by line.
pub fn lines(data: &[u8]) -> Vec<&[u8]> {
    data[..data.len().min(MOST)].split(|byte| *byte == b'\n').collect()
}

/// Each of them as a line of that field.
pub fn named(name: &str, lines: &[&[u8]]) -> Fields {
    lines.iter().map(|line| (name, line)).collect()
}

/// Lines as `name: value`; what has no name is left out.
pub fn fields(lines: &[&[u8]]) -> Fields {
    let is_token = |name: &[u8]| {
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
    };
    let line = |line: &&[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = std::str::from_utf8(&line[..colon]).ok().filter(|name| is_token(name.as_bytes()))?;
        Some((name.to_owned(), line[colon + 1..].to_vec()))
    };
    let mut fields = Fields::new();
    lines.iter().filter_map(line).for_each(|(name, value)| fields.push(&name, value));
    fields
}

/// All lines of that name as one, as they may be sent (RFC 9110 §5.3).
pub fn joined(fields: &Fields, name: &str) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = fields.get_all(name).collect();
    (!lines.is_empty()).then(|| lines.join(&b", "[..]))
}

/// Whether a quoted string begins there and does not end: what follows would belong to it.
pub fn is_open(line: &[u8]) -> bool {
    let mut rest = line;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        rest = &rest[start + 1..];
        loop {
            match rest {
                [] | [b'\\'] => return true,
                [b'\\', _, after @ ..] => rest = after,
                [b'"', after @ ..] => {
                    rest = after;
                    break;
                }
                [_, after @ ..] => rest = after,
            }
        }
    }
    false
}
