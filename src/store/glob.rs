//! Patterns of KEYS, SCAN and PSUBSCRIBE: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a character that stands for itself.

/// How often a `*` may be tried anew for one text: a pattern of many stars would cost time without end.
const MOST_TRIES: usize = 100_000;

/// Whether the whole text is as the pattern says.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star, mut tries) = (0, 0, None, 0);
    loop {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            Some(_) if t < text.len() => {
                if let Some(len) = one(&pattern[p..], text[t]) {
                    p += len;
                    t += 1;
                    continue;
                }
            }
            None if t == text.len() => return true,
            _ => {}
        }
        // The last star takes one more byte, and the rest is tried again.
        match star {
            Some((after, begin)) if begin < text.len() && tries < MOST_TRIES => {
                tries += 1;
                star = Some((after, begin + 1));
                (p, t) = (after, begin + 1);
            }
            _ => return false,
        }
    }
}

/// How long the first element of the pattern is, if the byte fits.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => class(rest, byte).map(|len| len + 1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// A class, behind its bracket.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let inverted = pattern.first() == Some(&b'^');
    let (mut at, mut found) = (usize::from(inverted), false);
    loop {
        match &pattern[at.min(pattern.len())..] {
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            // A class that does not end goes to the end of the pattern.
            [] => break,
            [low, b'-', high, ..] => {
                found |= (*low.min(high)..=*low.max(high)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= *literal == byte;
                at += 1;
            }
        }
    }
    (found != inverted).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_or_do_not() {
        const CASES: &[(&str, &str, bool)] = &[
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"[\]]", "]", true),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxbxxb", false),
            ("[a", "a", true),
            ("*[0-9]", "key:7", true),
        ];
        for (pattern, text, expected) in CASES {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), *expected, "{pattern} {text}");
        }
        assert!(!matches(&b"*a".repeat(500), &[b'a'; 499]), "a pattern of many stars ends");
    }
}
