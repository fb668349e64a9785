//! The ways in which programs read one path.
//!
//! A request is forwarded with its path as it came. If the backend reads that path in another way than the proxy, a request
//! that was let through for one part of a site reaches another one: `/public/..%2fadmin` is below `/public/` for one program, and
//! `/admin` for the next. Nothing can be known of the backend, so all usual readings are tried: a rule for some paths counts only
//! where it counts in each of them.
//!
//! A reading is a choice of three, in this order:
//!
//! | choice | who does so |
//! |---|---|
//! | parameters of segments (`;x=1`) stay, are cut off, or are cut off once escapes are decoded | most; servlet containers; some behind a gateway that decodes |
//! | several slashes stay several, or are one, as is a backslash | most; nginx, Go, servers on Windows |
//! | `..` stays, leads up once escapes are decoded, or before (then `%2e` is a dot, and `%2f` is no slash) | most; RFC 3986 and file servers; the URL class of browsers and Node, Apache with `AllowEncodedSlashes` |

use std::borrow::Cow;

/// Bytes of all readings together that a request may cause to be made. A path of usual length has room for all of them, one with two
/// readings for as long as a request line may be.
const MOST: usize = 16 * 1024;

/// Whether it holds for a path in all its readings, of which the path as it came is the first. If there would be too much to read,
/// it does not.
pub(super) fn all(path: &[u8], mut holds: impl FnMut(&[u8]) -> bool) -> bool {
    if !holds(path) {
        return false;
    }
    if is_plain(path) {
        return true;
    }
    let mut others = others(path);
    others.clone().count() * path.len() <= MOST && others.all(|how| holds(&how.read(path)))
}

/// Whether there is but one reading: no escapes, no `.` and `..`, no empty segments, no backslashes, no parameters.
pub(super) fn is_plain(path: &[u8]) -> bool {
    let mut segment = Segment::Other;
    for byte in path {
        segment = match (byte, segment) {
            (b'%' | b'\\' | b';', _) | (b'/', Segment::Empty | Segment::Dot | Segment::Dots) => return false,
            (b'/', Segment::Other) => Segment::Empty,
            (b'.', Segment::Empty) => Segment::Dot,
            (b'.', Segment::Dot) => Segment::Dots,
            _ => Segment::Other,
        };
    }
    matches!(segment, Segment::Empty | Segment::Other)
}

/// The part of a segment that has come.
#[derive(Debug, Clone, Copy)]
enum Segment {
    Empty,
    Dot,
    Dots,
    Other,
}

/// When something is done that a reading may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Never,
    /// Before escapes are decoded.
    Before,
    After,
}

/// One reading.
#[derive(Debug, Clone, Copy)]
struct How {
    cut: When,
    merge: bool,
    resolve: When,
}

/// The readings of a path that is not plain: those that can differ.
fn others(path: &[u8]) -> impl Iterator<Item = How> + Clone {
    // All that can be seen before escapes are decoded can be seen after.
    let decoded = decoded(path);
    let has_parameters = decoded.contains(&b';');
    let has_slashes = decoded.contains(&b'\\') || decoded.windows(2).any(|pair| pair == b"//");
    // A segment that begins with a dot may be one once its parameters are cut off.
    let has_dots = decoded.windows(2).any(|pair| matches!(pair, b"/." | b"\\."));
    let times = |may: bool| [When::Never, When::Before, When::After].into_iter().take(if may { 3 } else { 1 });
    times(has_parameters).flat_map(move |cut| {
        let merges = [false, true].into_iter().take(if has_slashes { 2 } else { 1 });
        merges.flat_map(move |merge| times(has_dots).map(move |resolve| How { cut, merge, resolve }))
    })
}

impl How {
    fn read(self, path: &[u8]) -> Vec<u8> {
        let mut raw = Cow::Borrowed(path);
        if self.cut == When::Before {
            raw = without_parameters(&raw).into();
        }
        if self.resolve == When::Before {
            if self.merge {
                raw = merged(&raw).into();
            }
            raw = resolved(&raw, true).into();
        }
        let mut path = decoded(&raw);
        if self.cut == When::After {
            path = without_parameters(&path);
        }
        if self.merge {
            path = merged(&path);
        }
        if self.resolve == When::After {
            path = resolved(&path, false);
        }
        path
    }
}

/// With `%41` as `A`. A `%` that begins no escape stays.
fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// Without `.` and `..` as segments (RFC 3986 §5.2.4). `escaped`: a dot may be written as `%2e`.
fn resolved(path: &[u8], escaped: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut segments = path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let dots = dots(segment, escaped);
        if dots == Some(2) {
            let parent = out.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            out.truncate(parent);
        }
        if dots.is_none() {
            out.push(b'/');
            out.extend_from_slice(segment);
        } else if segments.peek().is_none() {
            // The directory, not the file before it.
            out.push(b'/');
        }
    }
    out
}

/// 1 for the segment `.`, 2 for `..`.
fn dots(segment: &[u8], escaped: bool) -> Option<usize> {
    let (mut rest, mut count) = (segment, 0);
    while !rest.is_empty() {
        rest = match rest {
            [b'.', rest @ ..] => rest,
            [b'%', b'2', b'e' | b'E', rest @ ..] if escaped => rest,
            _ => return None,
        };
        count += 1;
    }
    (1..=2).contains(&count).then_some(count)
}

/// With slashes for backslashes, and one slash for several.
fn merged(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    for byte in path {
        let byte = if *byte == b'\\' { b'/' } else { *byte };
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
    out
}

/// Without what follows a semicolon in its segment.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let mut skipping = false;
    let stays = |byte: &u8| {
        skipping = match byte {
            b';' => true,
            b'/' | b'\\' => false,
            _ => skipping,
        };
        !skipping
    };
    path.iter().copied().filter(stays).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_usual_path_has_one_reading() {
        for path in [
            "/",
            "/a",
            "/a/b/",
            "/a.html",
            "/a..b/c.d",
            "/favicon.ico",
            "/@user/~x!$&'()*+,=:",
            "/.well-known/x",
            "/..a",
            "/a/...",
            "/.git",
        ] {
            assert!(is_plain(path.as_bytes()), "{path}");
        }
        for path in ["//", "/a//b", "/.", "/a/.", "/a/..", "/./a", "/../a", "/%61", "/a\\b", "/a;b"] {
            assert!(!is_plain(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn readings() {
        for (path, expected) in [
            ("/%61pi/", &["/api/"][..]),
            ("/a/../b", &["/a/../b", "/b"]),
            ("/a/..", &["/a/..", "/"]),
            ("/a/b/.", &["/a/b/.", "/a/b/"]),
            ("/../../b", &["/../../b", "/b"]),
            ("/a/%2e%2E/b", &["/a/../b", "/b"]),
            ("/a/..%2fb", &["/a/../b", "/b"]),
            ("/a/..%5cb", &["/a/..\\b", "/a/../b", "/b"]),
            ("//a", &["//a", "/a"]),
            ("/a/..;x=1/b", &["/a/..;x=1/b", "/a/../b", "/b"]),
            ("/a%3bx/b", &["/a;x/b", "/a/b"]),
            // A slash in an escape is no slash for a program that leads up first.
            ("/a%2fb/../c", &["/a/b/../c", "/a/c", "/c"]),
            ("/x/a%2fb/%2e%2e/%2e%2e/c", &["/x/a/b/../../c", "/x/c", "/c"]),
            ("/x//a%2fb/../../c", &["/x//a/b/../../c", "/x/a/b/../../c", "/x//c", "/x/c", "/c"]),
            // A parameter may have one, too.
            ("/x;a%2fb/../c", &["/x;a/b/../c", "/x;a/c", "/x/b/../c", "/x/c", "/x/../c", "/c"]),
            // One decoding, as the standard says.
            ("/%2561", &["/%61"]),
            ("/%", &["/%"]),
            ("/%zz%4", &["/%zz%4"]),
        ] {
            let readings: BTreeSet<String> =
                others(path.as_bytes()).map(|how| String::from_utf8(how.read(path.as_bytes())).unwrap()).collect();
            assert_eq!(readings, expected.iter().map(|reading| (*reading).to_owned()).collect(), "{path}");
        }
    }

    #[test]
    fn it_holds_for_all_or_it_does_not_hold() {
        let below = |path: &str| all(path.as_bytes(), |reading| reading.starts_with(b"/a/"));
        for path in ["/a/b", "/a/%62", "/a/b/../c", "/a//b", "/a/b;c=%2f"] {
            assert!(below(path), "{path}");
        }
        for path in ["/b", "/a/../b", "/a/b%2f../../c", "/%61/b", "//a/b", "/b/../a/c"] {
            assert!(!below(path), "{path}");
        }
    }

    /// The path of two readings may be long; one with all of them must not make much work.
    #[test]
    fn a_rule_does_not_hold_for_a_path_that_would_be_too_much_to_read() {
        let long = |piece: &str, length: usize| format!("/a/{}", piece.repeat(length / piece.len()));
        for (path, holds) in [
            (long("b", 16_000), true),
            (long("b/%62", 16_000), true),
            (long("b//c", 8_000), true),
            (long("b;//./%62", 900), true),
            (long("b;//./%62", 1_000), false),
        ] {
            assert_eq!(all(path.as_bytes(), |_| true), holds, "{} of {}", path.len(), &path[..12]);
        }
    }
}
