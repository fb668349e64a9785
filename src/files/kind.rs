//! The kind of content that a file has, by the end of its name (RFC 9110 §8.3).
//!
//! The table is a library's. Text is said to be UTF-8, which is nearly always true; a browser that is told nothing guesses, and guesses
//! that depend on the content are how an uploaded "picture" becomes a script (`X-Content-Type-Options: nosniff` forbids them).

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    essence: &'static str,
}

/// A file whose name says nothing: only bytes (RFC 9110 §8.3).
const BYTES: &str = "application/octet-stream";

impl Kind {
    /// The kind of a file of that name.
    #[must_use]
    pub(super) fn of(name: &[u8]) -> Self {
        let guess = mime_guess::from_path(Path::new(OsStr::from_bytes(name)));
        Self {
            essence: match guess.first_raw() {
                // The name that it has by now (RFC 9239 §6).
                Some("application/javascript") => "text/javascript",
                Some(essence) => essence,
                None => BYTES,
            },
        }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub(super) fn content_type(self) -> String {
        let charset = if self.essence.starts_with("text/") { "; charset=utf-8" } else { "" };
        format!("{}{charset}", self.essence)
    }

    /// Whether compression is worth its time: text in one form or another. Pictures, films, fonts of today and archives are
    /// compressed already.
    #[must_use]
    pub(super) fn is_compressible(self) -> bool {
        const OTHERS: &[&str] = &[
            "application/json",
            "application/rtf",
            "application/sql",
            "application/wasm",
            "application/x-ndjson",
            "application/x-sh",
            "application/xml",
            "application/yaml",
            "application/toml",
            "font/otf",
            "font/ttf",
            "image/bmp",
            "image/x-icon",
        ];
        self.essence.starts_with("text/")
            || self.essence.ends_with("+xml")
            || self.essence.ends_with("+json")
            || OTHERS.contains(&self.essence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_usual_files() {
        for (name, content_type, compressible) in [
            ("index.html", "text/html; charset=utf-8", true),
            ("A.HTML", "text/html; charset=utf-8", true),
            ("style.css", "text/css; charset=utf-8", true),
            ("app.js", "text/javascript; charset=utf-8", true),
            ("app.mjs", "text/javascript; charset=utf-8", true),
            ("notes.txt", "text/plain; charset=utf-8", true),
            ("README.md", "text/markdown; charset=utf-8", true),
            ("data.json", "application/json", true),
            ("drawing.svg", "image/svg+xml", true),
            ("code.wasm", "application/wasm", true),
            ("photo.jpeg", "image/jpeg", false),
            ("photo.png", "image/png", false),
            ("film.mp4", "video/mp4", false),
            ("book.pdf", "application/pdf", false),
            ("font.woff2", "font/woff2", false),
            ("all.tar.gz", "application/gzip", false),
            ("LICENSE", BYTES, false),
            ("", BYTES, false),
            ("odd.\u{fffd}", BYTES, false),
        ] {
            let kind = Kind::of(name.as_bytes());
            assert_eq!((kind.content_type().as_str(), kind.is_compressible()), (content_type, compressible), "{name}");
        }
        assert_eq!(Kind::of(b"\xff\xfe.txt").content_type(), "text/plain; charset=utf-8");
    }
}
