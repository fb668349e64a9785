//! The ways in which programs read one path.
//!
//! A request is forwarded with its path as it came. If the backend reads that path in another way than the proxy, a request
//! that was let through for one part of a site reaches another one: `/public/..%2fadmin` is below `/public/` for one program, and
//! `/admin` for the next. Nothing can be known of the backend, so all usual readings are tried, and only a path
//! that leads to the same route in each of them is forwarded.

/// Whether there is but one reading: no escapes, no dots after a slash, no empty segments, no backslashes, no parameters.
pub(super) fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    path.iter().all(|byte| {
        let plain = match byte {
            b'%' | b'\\' | b';' => false,
            b'/' | b'.' => !after_slash,
            _ => true,
        };
        after_slash = *byte == b'/';
        plain
    })
}

/// The other readings of a path that is not plain.
pub(super) fn others(path: &[u8]) -> [Vec<u8>; 4] {
    // RFC 3986 §6.2.2: escapes are decoded, `.` and `..` are resolved.
    let decoded = decoded(path);
    let resolved = resolved(&decoded);
    // Common servers on top of that: backslashes are slashes, several slashes are one.
    let merged = self::resolved(&merged(&decoded));
    // Servlet containers: what follows a semicolon is no part of its segment.
    let bare = self::resolved(&merged_without_parameters(&decoded));
    [decoded, resolved, merged, bare]
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

/// Without `.` and `..` as segments (RFC 3986 §5.2.4).
fn resolved(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    kept.pop();
                }
                // The directory, not the file before it.
                if is_last {
                    kept.push(b"");
                }
            }
            _ => kept.push(segment),
        }
    }
    kept.iter().flat_map(|segment| [b"/", *segment].concat()).collect()
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

fn merged_without_parameters(path: &[u8]) -> Vec<u8> {
    let mut skipping = false;
    let bare = path.iter().copied().filter(|byte| {
        skipping = match byte {
            b';' => true,
            b'/' | b'\\' => false,
            _ => skipping,
        };
        !skipping
    });
    merged(&bare.collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_path_has_one_reading() {
        for path in ["/", "/a", "/a/b/", "/a.html", "/a..b/c.d", "/favicon.ico", "/@user/~x!$&'()*+,=:"] {
            assert!(is_plain(path.as_bytes()), "{path}");
        }
        for path in ["//", "/a//b", "/.", "/a/.", "/a/..", "/./a", "/../a", "/.well-known/x", "/%61", "/a\\b", "/a;b"] {
            assert!(!is_plain(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn readings() {
        for (path, expected) in [
            ("/.well-known/x", ["/.well-known/x"; 4]),
            ("/%61pi/", ["/api/"; 4]),
            ("/a/../b", ["/a/../b", "/b", "/b", "/b"]),
            ("/a/..", ["/a/..", "/", "/", "/"]),
            ("/a/b/.", ["/a/b/.", "/a/b/", "/a/b/", "/a/b/"]),
            ("/../../b", ["/../../b", "/b", "/b", "/b"]),
            ("/a/%2e%2E/b", ["/a/../b", "/b", "/b", "/b"]),
            ("/a/..%2fb", ["/a/../b", "/b", "/b", "/b"]),
            ("/a/..%5cb", ["/a/..\\b", "/a/..\\b", "/b", "/b"]),
            ("//a", ["//a", "//a", "/a", "/a"]),
            ("/a/..;x=1/b", ["/a/..;x=1/b", "/a/..;x=1/b", "/a/..;x=1/b", "/b"]),
            ("/a%3bx/b", ["/a;x/b", "/a;x/b", "/a;x/b", "/a/b"]),
            // One decoding, as the standard says.
            ("/%2561", ["/%61"; 4]),
            ("/%", ["/%"; 4]),
            ("/%zz%4", ["/%zz%4"; 4]),
        ] {
            let readings = others(path.as_bytes()).map(|reading| String::from_utf8(reading).unwrap());
            assert_eq!(readings, expected, "{path}");
        }
    }
}
