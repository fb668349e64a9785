//! Names of people and rooms, and text that may be shown to others.

use super::limits::MAX_NAME;

/// The rule that [`is_name`] checks, for people.
pub(crate) const RULE: &str = "a name is 1 to 24 letters, digits, - or _, and begins with a letter or digit";

/// Whether `text` may be the name of a person or a room. ASCII only: names that look alike to people are then alike.
#[must_use]
pub(crate) fn is_name(text: &str) -> bool {
    let fits = (1..=MAX_NAME).contains(&text.len());
    fits && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The form by which names are compared: `Ann` and `ann` are one.
#[must_use]
pub(crate) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Text without what acts on a reader's terminal or changes the direction of what stands around it: such characters become U+FFFD. A tab
/// becomes a space.
#[must_use]
pub(crate) fn clean(text: &str) -> String {
    let harmless = |c: char| match c {
        '\t' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "Ann", "guest-7", "0_0", "abcdefghijklmnopqrstuvwx"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "_a", "a b", "a.b", "ä", "#a", "@a", "abcdefghijklmnopqrstuvwxy", "a\u{0430}"] {
            assert!(!is_name(bad), "{bad}");
        }
        assert_eq!(key("AnN-1"), "ann-1");
    }

    #[test]
    fn text_cannot_move_a_cursor() {
        assert_eq!(clean("a\x1b[2Jb\tc\u{7}\u{9b}"), "a\u{fffd}[2Jb c\u{fffd}\u{fffd}");
        assert_eq!(clean("ok \u{202e}evil\u{2069}"), "ok \u{fffd}evil\u{fffd}");
        assert_eq!(clean("grüße 👋 שלום"), "grüße 👋 שלום");
    }
}
