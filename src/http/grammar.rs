//! Character classes of RFC 9110 §5.6 and RFC 3986, as one table: a byte's class is one load and one mask.

/// May stand in a token (RFC 9110 §5.6.2): methods, field names, codings, connection options.
const TOKEN: u8 = 1;
/// May stand in a field value, a reason phrase (RFC 9110 §5.5): tab, space, visible ASCII, obs-text.
const TEXT: u8 = 2;
/// May stand in a path: RFC 3986 `pchar` and `/`, and what browsers leave unencoded there. `%` is checked apart.
const PATH: u8 = 4;
/// May stand in a query, likewise.
const QUERY: u8 = 8;
/// May stand in a registered name (RFC 3986 §3.2.2). `%` is checked apart.
const NAME: u8 = 16;
/// Starts an escape.
const PERCENT: u8 = 32;
/// Letters, digits and the hyphen: what CGI takes as it is in a field name.
const HYPHENATED: u8 = 64;

const UNRESERVED_MARKS: &[u8] = b"-._~";
const SUB_DELIMS: &[u8] = b"!$&'()*+,;=";

const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    mark(&mut table, b"!#$%&'*+-.^_`|~", TOKEN);
    mark(&mut table, UNRESERVED_MARKS, PATH | QUERY | NAME);
    mark(&mut table, SUB_DELIMS, PATH | QUERY | NAME);
    mark(&mut table, b":@/%", PATH | QUERY);
    mark(&mut table, b"%", NAME | PERCENT);
    mark(&mut table, b"-", HYPHENATED);
    mark(&mut table, b"?", QUERY);
    // Not in RFC 3986, but browsers send them as they are (the percent-encode sets of the WHATWG URL standard), and
    // none of them delimits anything for us or for a server behind us.
    mark(&mut table, b"[]|^", PATH | QUERY);
    mark(&mut table, b"\\`{}", QUERY);
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] |= TOKEN | PATH | QUERY | NAME | HYPHENATED;
        }
        if byte == 0x09 || byte >= 0x20 && byte != 0x7f {
            table[byte] |= TEXT;
        }
        byte += 1;
    }
    table
};

const fn mark(table: &mut [u8; 256], bytes: &[u8], class: u8) {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] |= class;
        at += 1;
    }
}

const fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// Whether all bytes are of the class, and whether there is a `%` among them. One pass without a branch: these run on
/// every request, over few bytes.
fn scan(bytes: &[u8], class: u8) -> (bool, bool) {
    let fold = |(all, any): (u8, u8), byte: &u8| (all & CLASSES[*byte as usize], any | CLASSES[*byte as usize]);
    let (all, any) = bytes.iter().fold((u8::MAX, 0), fold);
    (all & class != 0, any & PERCENT != 0)
}

/// `tchar`.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// The bytes up to the first that `like` does not like, and the rest. A loop that costs little even where nothing is optimised: a
/// line may have thousands of such runs.
pub(crate) fn split_run(bytes: &[u8], like: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let mut rest = bytes;
    while let [byte, after @ ..] = rest
        && like(*byte)
    {
        rest = after;
    }
    (&bytes[..bytes.len() - rest.len()], rest)
}

/// `1*tchar`.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is(*byte, TOKEN))
}

/// Whether nothing but letters, digits and hyphens is there.
pub(super) fn is_letters_digits_hyphens(bytes: &[u8]) -> bool {
    scan(bytes, HYPHENATED).0
}

/// Anything that a field value may hold between its ends.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    scan(bytes, TEXT).0
}

/// A path: an odd `%` or an encoded NUL could mean another resource to the server behind us (RFC 3986 §2.1, §7.3).
pub(super) fn is_path(bytes: &[u8]) -> bool {
    let (valid, escaped) = scan(bytes, PATH);
    valid && (!escaped || escapes(bytes).all(|octet| octet.is_some_and(|octet| octet != 0)))
}

/// A query. Browsers send a lone `%` there, and nothing is delimited by it: it may pass.
pub(super) fn is_query(bytes: &[u8]) -> bool {
    scan(bytes, QUERY).0
}

/// A registered name or an IPv4 address: what a `uri-host` is without brackets. Not empty.
pub(super) fn is_registered_name(bytes: &[u8]) -> bool {
    let (valid, escaped) = scan(bytes, NAME);
    !bytes.is_empty() && valid && (!escaped || escapes(bytes).all(|octet| octet.is_some()))
}

/// The octets that `%` escapes stand for; `None` for a `%` without two hexadecimal digits.
fn escapes(bytes: &[u8]) -> impl Iterator<Item = Option<u8>> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').map(|(at, _)| {
        let digit = |at: usize| hex_value(*bytes.get(at)?);
        Some(digit(at + 1)? << 4 | digit(at + 2)?)
    })
}

/// The value of a `HEXDIG`, either case.
pub(super) const fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// `OWS` at both ends removed (RFC 9110 §5.6.3): spaces and tabs only.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_standards() {
        for byte in 0..=255u8 {
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token_byte(byte), token, "{byte:#x}");
            assert_eq!(is_text(&[byte]), byte == 9 || (32..127).contains(&byte) || byte >= 128, "{byte:#x}");
        }
        for refused in b" \"<>#\0\r\n\t\x7f\x80\xff" {
            assert!(!is_path(&[*refused]) && !is_query(&[*refused]), "{refused:#x}");
        }
        for only_in_a_query in b"?\\`{}" {
            assert!(!is_path(&[*only_in_a_query]) && is_query(&[*only_in_a_query]), "{only_in_a_query:#x}");
        }
    }

    #[test]
    fn escapes_need_two_digits() {
        for (path, good) in
            [("/%41", true), ("/%4", false), ("/%", false), ("/%zz", false), ("/%00", false), ("/%0a", true)]
        {
            assert_eq!(is_path(path.as_bytes()), good, "{path}");
        }
        assert!(is_query(b"100%"));
        assert!(is_registered_name(b"a%2db") && !is_registered_name(b"a%2") && !is_registered_name(b""));
    }

    #[test]
    fn only_spaces_and_tabs_are_trimmed() {
        for (whole, trimmed) in [(&b" \ta b\t "[..], &b"a b"[..]), (b" \t ", b""), (b"", b""), (b"\x0ba", b"\x0ba")] {
            assert_eq!(trim(whole), trimmed);
        }
    }
}
