//! The lines that both sides know from the start (RFC 7541 Appendix A).

use crate::http::name::is_same;

/// Name and value of each; the first has the number 1.
#[rustfmt::skip]
pub(super) static LINES: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// By the length of a name: the first lines of all names of this length. Zeros fill the row.
static BY_LENGTH: [[u8; 6]; 28] = by_length();

const fn by_length() -> [[u8; 6]; 28] {
    let mut rows = [[0; 6]; 28];
    let mut line = 0;
    while line < LINES.len() {
        let name = LINES[line].0.as_bytes();
        if line == 0 || !is_equal(name, LINES[line - 1].0.as_bytes()) {
            let row = &mut rows[name.len()];
            let mut place = 0;
            while row[place] != 0 {
                place += 1;
            }
            row[place] = line as u8 + 1;
        }
        line += 1;
    }
    rows
}

const fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The first line of that name, in either case.
pub(super) fn of_name(name: &[u8]) -> Option<usize> {
    let same_length = BY_LENGTH.get(name.len())?.iter().take_while(|number| **number != 0);
    let mut numbers = same_length.map(|number| usize::from(*number));
    numbers.find(|number| is_same(LINES[number - 1].0.as_bytes(), name))
}

/// The line of that value, among those of the same name as the line `first`.
pub(super) fn of_value(first: usize, value: &[u8]) -> Option<usize> {
    // Names behind this line have one line each, without a value.
    const LAST: usize = 16;
    if first > LAST {
        return value.is_empty().then_some(first);
    }
    let name = LINES[first - 1].0;
    let same = LINES[first - 1..].iter().take_while(|(other, _)| *other == name);
    same.zip(first..).find(|((_, other), _)| other.as_bytes() == value).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found() {
        for (number, (name, value)) in (1..).zip(LINES) {
            let first = of_name(name.as_bytes()).unwrap();
            assert_eq!(LINES[first - 1].0, name);
            assert!(first == 1 || LINES[first - 2].0 != name, "{name}: {first} is not the first");
            assert_eq!(of_value(first, value.as_bytes()), Some(number), "{name}: {value}");
            assert_eq!(of_value(first, b"another"), None);
        }
        assert_eq!((of_name(b"x-mine"), of_name(b""), of_name(b"Accept")), (None, None, Some(19)));
    }

    /// Lines that the standard counts out.
    #[test]
    fn numbers_are_those_of_the_appendix() {
        for (number, line) in [
            (1, (":authority", "")),
            (8, (":status", "200")),
            (14, (":status", "500")),
            (16, ("accept-encoding", "gzip, deflate")),
            (24, ("cache-control", "")),
            (33, ("date", "")),
            (46, ("location", "")),
            (55, ("set-cookie", "")),
            (61, ("www-authenticate", "")),
        ] {
            assert_eq!(LINES[number - 1], line);
        }
    }
}
