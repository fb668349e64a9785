//! A value that is a list: where a member ends (RFC 9110 §5.6.1). A comma within a quoted string (§5.6.4) ends none.

use super::grammar;

/// The members of one value that is a comma-separated list.
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = member_end(whole);
        rest = whole.get(end + 1..);
        Some(grammar::trim(&whole[..end]))
    })
    .filter(|member| !member.is_empty())
}

/// Whether a quoted string begins in this line and does not end: what follows the quote cannot be told from its content.
pub fn is_unterminated(line: &[u8]) -> bool {
    let Some(first) = memchr::memchr(b'"', line) else { return false };
    let mut quotes = Quotes::default();
    line[first..].iter().fold(false, |_, byte| quotes.are_open_after(*byte))
}

/// Where the first comma outside a quoted string is, or the end.
fn member_end(value: &[u8]) -> usize {
    /// Nearly every member ends within so many bytes; beyond, a search of many bytes at once is faster.
    const SHORT: usize = 16;
    let mut at = 0;
    let first = loop {
        match value.get(at) {
            Some(b',') => return at,
            Some(b'"') => break Some(at),
            Some(_) if at < SHORT => at += 1,
            Some(_) => break memchr::memchr2(b',', b'"', &value[at..]).map(|found| at + found),
            None => break None,
        }
    };
    let Some(first) = first else { return value.len() };
    let mut quotes = Quotes::default();
    let comma = value[first..].iter().position(|byte| !quotes.are_open_after(*byte) && *byte == b',');
    comma.map_or(value.len(), |comma| first + comma)
}

/// Follows quoted strings (RFC 9110 §5.6.4), byte by byte.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn are_open_after(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.open => self.escaped = true,
            b'"' => self.open = !self.open,
            _ => {}
        }
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_end_at_commas_outside_of_quotes() {
        for (value, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("a", &["a"]),
            ("a, b\t,c", &["a", "b", "c"]),
            ("\"a,b\", c", &["\"a,b\"", "c"]),
            ("\"a\\\",b\",c", &["\"a\\\",b\"", "c"]),
            // Outside of quotes, a backslash is a byte like others.
            ("a\\,b", &["a\\", "b"]),
            ("\"never closed, b", &["\"never closed, b"]),
        ] {
            let found: Vec<_> = members(value.as_bytes()).collect();
            assert_eq!(found, expected.iter().map(|member| member.as_bytes()).collect::<Vec<_>>(), "{value}");
            // The same beyond the bytes that are looked at one by one.
            let long = format!("{}, {value}", "x".repeat(40));
            assert_eq!(members(long.as_bytes()).skip(1).collect::<Vec<_>>(), found, "{long}");
        }
    }

    #[test]
    fn a_quote_that_never_closes_is_seen() {
        for (line, expected) in
            [("a", false), ("\"a\"", false), ("\"a", true), ("a \"b\\\"", true), ("\"a\" \"", true), ("\\\"", true)]
        {
            assert_eq!(is_unterminated(line.as_bytes()), expected, "{line}");
        }
    }
}
