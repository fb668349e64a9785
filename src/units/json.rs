//! Text in JSON (RFC 8259 §7). Control characters are escaped, also those of Unicode that JSON would let pass: such a text is read on
//! terminals, too.

use std::fmt::{self, Write as _};

/// Writes the inside of a JSON string: without the quotes around it.
pub struct JsonText<'w>(pub &'w mut dyn fmt::Write);

impl fmt::Debug for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonText")
    }
}

impl fmt::Write for JsonText<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        let special =
            |character: char| character.is_control() || matches!(character, '"' | '\\' | '\u{2028}' | '\u{2029}');
        while let Some((at, found)) = rest.char_indices().find(|(_, character)| special(*character)) {
            self.0.write_str(&rest[..at])?;
            match found {
                '"' | '\\' => write!(self.0, "\\{found}")?,
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                other => write!(self.0, "\\u{:04x}", u32::from(other))?,
            }
            rest = &rest[at + found.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Writes a JSON string, with the quotes around it.
///
/// # Errors
///
/// Those of `out`.
pub fn json_text(out: &mut dyn fmt::Write, text: impl fmt::Display) -> fmt::Result {
    out.write_char('"')?;
    write!(JsonText(out), "{text}")?;
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_json_gets_the_text_back_and_no_control_character_passes() {
        for (text, written) in [
            ("", r#""""#),
            ("a/b é", r#""a/b é""#),
            ("say \"no\"\\", r#""say \"no\"\\""#),
            ("a\r\nb\t\0\u{1b}[2J\u{7f}\u{9b}\u{2028}", r#""a\r\nb\t\u0000\u001b[2J\u007f\u009b\u2028""#),
        ] {
            let mut out = String::new();
            json_text(&mut out, text).unwrap();
            assert_eq!(out, written);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
