//! A number of things: `1 worker`, `2 workers`, `1,000 clients`.

use std::fmt::{self, Display, Formatter};

/// A number of things, written for people: `Counted(1000, "process")` is `1,000 processes`.
#[derive(Debug, Clone, Copy)]
pub struct Counted(pub u64, pub &'static str);

impl Display for Counted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(count, word) = *self;
        write!(f, "{} ", grouped(count))?;
        match word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
            _ if count == 1 => f.write_str(word),
            Some(stem) => write!(f, "{stem}ies"),
            None if word.ends_with('s') => write!(f, "{word}es"),
            None => write!(f, "{word}s"),
        }
    }
}

impl Counted {
    /// The same for a number of type `usize`.
    #[must_use]
    pub fn new(count: usize, word: &'static str) -> Self {
        Self(count as u64, word)
    }
}

/// A number with its digits in groups: `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        for (count, word, text) in [
            (0, "worker", "0 workers"),
            (1, "worker", "1 worker"),
            (2, "worker", "2 workers"),
            (1, "process", "1 process"),
            (2, "process", "2 processes"),
            (1, "try", "1 try"),
            (3, "try", "3 tries"),
            (2, "day", "2 days"),
            (1000, "client", "1,000 clients"),
        ] {
            assert_eq!(Counted(count, word).to_string(), text);
        }
    }

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
