//! Decides which name in the directory a request's path stands for (RFC 3986 §3.3, RFC 9110 §4.2.3).
//!
//! ```text
//! /caf%C3%A9/menu.txt   ──▶ "caf\xc3\xa9" / "menu.txt"       percent-decoded once, name by name; the bytes need not be UTF-8
//! /docs/                ──▶ "docs", and it has to be a directory
//! /a/%2e%2e/b           ──▶ nothing: a name that begins with a dot
//! /a%2Fb                ──▶ nothing: no name contains a slash
//! ```
//!
//! | a name that | stands for |
//! |---|---|
//! | begins with a dot, encoded or not | nothing; so `.` and `..` lead nowhere, and hidden files are not served |
//! | is `.well-known`, at the beginning of the path | that directory (RFC 8615) |
//! | is empty, as in `//` | nothing: two spellings of one path are two entries in each cache, and `//host` is another server's name |
//! | contains an encoded slash | nothing |
//! | contains an encoded NUL, or a `%` that begins no escape | 400: the reader of requests refuses it |
//! | contains a backslash, or `%25` and so on | itself: this is a byte like others here, and nothing is decoded twice |

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt, path::Path};

/// The one hidden directory that is for others: certificates are issued by files in it, among other things.
const WELL_KNOWN: &[u8] = b".well-known";

/// A path below the directory that is served. It has no empty name, none that begins with a dot except for `.well-known`, and none
/// with a slash or a NUL inside.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// Names separated by slashes; empty for the directory itself.
    names: Box<[u8]>,
    /// The path ends with a slash: it stands for a directory.
    slash: bool,
}

/// Why a path stands for nothing. The client hears 404 in each case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// A name begins with a dot.
    Hidden,
    /// Two slashes without a name between them.
    EmptyName,
    /// A name would contain a slash or a NUL.
    BadName,
    /// The target is no path: `*`.
    NoPath,
}

impl NoPlace {
    /// A few words for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hidden => "a name begins with a dot",
            Self::EmptyName => "an empty name",
            Self::BadName => "a name with a slash or a NUL",
            Self::NoPath => "no path",
        }
    }
}

impl Place {
    /// The place that a path stands for, as it came in a request's target.
    ///
    /// # Errors
    ///
    /// It stands for nothing.
    pub fn of(path: &str) -> Result<Self, NoPlace> {
        let path = path.as_bytes().strip_prefix(b"/").ok_or(NoPlace::NoPath)?;
        let (path, slash) = match path {
            [] => return Ok(Self { names: Box::default(), slash: true }),
            [path @ .., b'/'] => (path, true),
            path => (path, false),
        };
        let mut names = Vec::with_capacity(path.len());
        for (depth, name) in path.split(|byte| *byte == b'/').enumerate() {
            if depth > 0 {
                names.push(b'/');
            }
            let start = names.len();
            decode(name, &mut names);
            match &names[start..] {
                [] => return Err(NoPlace::EmptyName),
                name if name.contains(&b'/') || name.contains(&0) => return Err(NoPlace::BadName),
                WELL_KNOWN if depth == 0 => {}
                [b'.', ..] => return Err(NoPlace::Hidden),
                _ => {}
            }
        }
        Ok(Self { names: names.into(), slash })
    }

    /// Relative to the directory that is served; empty for that directory.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.names))
    }

    /// The last name; empty for the directory that is served.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.names.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The names from the directory that is served on.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
    }

    /// Whether it stands for a directory: its path ended with a slash.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.slash
    }

    /// The path as a client would write it: one spelling for each place. It begins with one slash and never with two, so that a
    /// client takes it for a path and not for another server's name.
    #[must_use]
    pub fn to_url(&self) -> String {
        let mut url = String::from("/");
        for name in self.names() {
            encode(name, &mut url);
            url.push('/');
        }
        if !self.slash {
            url.pop();
        }
        url
    }

    /// The first name of the path; empty for the directory itself.
    #[must_use]
    pub fn first_name(&self) -> &[u8] {
        self.names.split(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The same place as a directory.
    #[must_use]
    pub fn with_slash(mut self) -> Self {
        self.slash = true;
        self
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.names.escape_ascii(), if self.slash { "/" } else { "" })
    }
}

/// Appends `name` percent-decoded. A `%` that begins no escape stands for itself; the reader of requests lets none pass.
fn decode(name: &[u8], into: &mut Vec<u8>) {
    let mut rest = name;
    while let [byte, after @ ..] = rest {
        rest = after;
        let escaped = match after {
            [high, low, after @ ..] if *byte == b'%' => hex(*high).zip(hex(*low)).map(|digits| (digits, after)),
            _ => None,
        };
        match escaped {
            Some(((high, low), after)) => {
                into.push(high << 4 | low);
                rest = after;
            }
            None => into.push(*byte),
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Appends one name percent-encoded: everything but the unreserved characters (RFC 3986 §2.3). So no name is read as a scheme
/// (`javascript:`), a query or a path, wherever it stands in a reference.
pub(super) fn encode(name: &[u8], into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            into.push(char::from(*byte));
        } else {
            into.push('%');
            into.push(char::from(DIGITS[usize::from(byte >> 4)]));
            into.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_and_the_names_that_they_stand_for() {
        for (path, names, is_directory) in [
            ("/", &b""[..], true),
            ("/a", b"a", false),
            ("/a/", b"a", true),
            ("/a/b.txt", b"a/b.txt", false),
            ("/caf%C3%A9", b"caf\xc3\xa9", false),
            ("/%ff%FE", b"\xff\xfe", false),
            // Overlong forms of a dot and a slash are bytes like others: only UTF-8 readers would decode them.
            ("/%c0%ae%c0%ae/%c0%af", b"\xc0\xae\xc0\xae/\xc0\xaf", false),
            // Nothing is decoded twice.
            ("/%252e%252e/a", b"%2e%2e/a", false),
            ("/%252fetc", b"%2fetc", false),
            ("/..%5c..%5cetc", b"", false),
            ("/a%5cb", b"a\\b", false),
            ("/a%20b+c", b"a b+c", false),
            ("/a..b/c..", b"a..b/c..", false),
            ("/.well-known/x", b".well-known/x", false),
            ("/.well-known/", b".well-known", true),
            ("/%2ewell-known/x", b".well-known/x", false),
        ] {
            if path.starts_with("/..%5c") {
                assert_eq!(Place::of(path), Err(NoPlace::Hidden));
                continue;
            }
            let place = Place::of(path).unwrap();
            assert_eq!((&*place.names, place.is_directory()), (names, is_directory), "{path}");
        }
    }

    #[test]
    fn paths_that_stand_for_nothing() {
        for (path, why) in [
            ("", NoPlace::NoPath),
            ("*", NoPlace::NoPath),
            ("a", NoPlace::NoPath),
            ("//", NoPlace::EmptyName),
            ("//host/a", NoPlace::EmptyName),
            ("/a//b", NoPlace::EmptyName),
            ("/a//", NoPlace::EmptyName),
            ("/.", NoPlace::Hidden),
            ("/..", NoPlace::Hidden),
            ("/../etc/passwd", NoPlace::Hidden),
            ("/a/../../etc/passwd", NoPlace::Hidden),
            ("/a/%2e%2e/b", NoPlace::Hidden),
            ("/a/.%2e/b", NoPlace::Hidden),
            ("/a/%2E./b", NoPlace::Hidden),
            ("/a/./b", NoPlace::Hidden),
            ("/.git/config", NoPlace::Hidden),
            ("/a/.htaccess", NoPlace::Hidden),
            ("/...", NoPlace::Hidden),
            ("/a/.well-known/b", NoPlace::Hidden),
            ("/.well-known/.hidden", NoPlace::Hidden),
            ("/.well-known/../a", NoPlace::Hidden),
            ("/..%2f..%2fetc/passwd", NoPlace::BadName),
            ("/a%2fb", NoPlace::BadName),
            ("/%2Fetc/passwd", NoPlace::BadName),
            ("/%2f", NoPlace::BadName),
            ("/a%00.txt", NoPlace::BadName),
        ] {
            assert_eq!(Place::of(path), Err(why), "{path}");
        }
    }

    #[test]
    fn a_place_has_one_spelling() {
        for (path, url) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/%61", "/a"),
            ("/javascript:alert(1)", "/javascript%3Aalert%281%29"),
            ("/a?b", "/a%3Fb"),
            ("/%5c%5chost/", "/%5C%5Chost/"),
            ("/%ff\"'<>&", "/%FF%22%27%3C%3E%26"),
        ] {
            assert_eq!(Place::of(path).unwrap().to_url(), url, "{path}");
        }
    }

    proptest! {
        /// For any path: its place is below the directory, and its spelling leads to the same place.
        #[test]
        fn no_path_leads_out(path in "/[-a-c./%25ef0\\\\]{0,24}") {
            if let Ok(place) = Place::of(&path) {
                let components = || place.as_path().components();
                prop_assert!(components().all(|part| matches!(part, std::path::Component::Normal(_))), "{:?}", place);
                prop_assert_eq!(components().count(), place.names().count());
                prop_assert_eq!(Place::of(&place.to_url()).unwrap(), place);
            }
        }
    }
}
