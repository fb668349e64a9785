//! All configuration files have in common how a mistake is told. It has a file, a line and a column, and says what to write
//! instead; a name that is nearly one of those that there are is taken for a slip.

use std::{ops::Range, path::Path};

/// How alike an unknown name has to be to a known one to be taken for a slip: 1 is the same.
const ALIKE: f64 = 0.8;

/// A message with its place: lines and columns count from 1, columns in characters. `at`: the place in `text`, in bytes.
#[must_use]
pub fn located(file: &Path, text: &str, at: Option<usize>, problem: &str) -> String {
    let file = file.display();
    let Some((line, column)) = at.and_then(|at| line_and_column(text, at)) else { return format!("{file}: {problem}") };
    format!("{file}:{line}:{column}: {problem}")
}

/// Where `at` is, in lines and columns.
#[must_use]
pub fn line_and_column(text: &str, at: usize) -> Option<(usize, usize)> {
    let before = text.get(..at)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some((line, column))
}

/// The text of a file.
///
/// # Errors
///
/// A line for the user: where it stops being UTF-8, by which byte, and what that may be.
pub fn text(file: &Path, bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let before = String::from_utf8_lossy(&bytes[..at]);
        let problem = match bytes[at] {
            0xff | 0xfe if at == 0 => "this file is UTF-16: save it as UTF-8".to_owned(),
            // From here on, Latin-1 and Windows-1252 have the same characters, and all can be seen.
            byte @ 0xa1.. => {
                let likely = char::from(byte);
                format!("the byte 0x{byte:02x} is no UTF-8 (in Latin-1 it is {likely:?}): save the file as UTF-8")
            }
            byte => format!("the byte 0x{byte:02x} is no UTF-8: save the file as UTF-8"),
        };
        located(file, &before, Some(at), &problem)
    })
}

/// The known name that was meant, if one is near enough.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(unknown, name);
    let near = known.into_iter().filter(|name| likeness(name) >= ALIKE);
    near.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// The words of the library about text that is no TOML, or about wrong values: the place, and one line.
#[must_use]
pub fn of_toml(error: &toml::de::Error) -> (Option<Range<usize>>, String) {
    (error.span(), error.message().trim().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_has_a_line_and_a_column_in_characters() {
        let (file, text) = (Path::new("a.toml"), "ä = 1\nbü = 2\n");
        for (at, expected) in [(0, "a.toml:1:1: no"), (7, "a.toml:2:1: no"), (10, "a.toml:2:3: no"), (99, "a.toml: no")]
        {
            assert_eq!(located(file, text, Some(at), "no"), expected);
        }
        assert_eq!(located(file, text, None, "no"), "a.toml: no");
    }

    #[test]
    fn a_file_that_is_not_utf8_is_told_by_its_first_wrong_byte() {
        let read = |bytes: &[u8]| text(Path::new("a.toml"), bytes.to_vec());
        assert_eq!(read("ä = 1".as_bytes()).unwrap(), "ä = 1");
        for (bytes, problem) in [
            (
                &b"a = 1\n\xc3\xa4 = \"\xe4\"\n"[..],
                "2:6: the byte 0xe4 is no UTF-8 (in Latin-1 it is 'ä'): save the file as UTF-8",
            ),
            (b"a\x80", "1:2: the byte 0x80 is no UTF-8: save the file as UTF-8"),
            (b"\xff\xfea\0", "1:1: this file is UTF-16: save it as UTF-8"),
            // The end of the file comes before that of a character.
            (b"a\n\xe2\x82", "2:1: the byte 0xe2 is no UTF-8 (in Latin-1 it is 'â'): save the file as UTF-8"),
        ] {
            assert_eq!(read(bytes).unwrap_err(), format!("a.toml:{problem}"));
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["listen", "backlog", "max-clients"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("max_clients", known), Some("max-clients"));
        assert_eq!(nearest("certificate", known), None);
    }
}
