//! The names of responses in the store: digests, so that no client can choose two that collide, and the store has no URIs in its keys.

use crate::cache::{Selecting, Uri, encoding::Variants};
use aws_lc_rs::digest::{Context, SHA256};
use std::fmt::Write as _;

/// In front of all names. The number is that of the format: proxies of two versions do not overwrite each other's.
pub(super) const PREFIX: &str = "cache:1:";

/// Bytes of a digest.
const DIGEST: usize = 16;

/// Where a response without `Vary` is, or the names of the fields that tell responses apart.
pub(super) fn of_uri(uri: Uri<'_>) -> String {
    name(&[uri.to_key().as_str().as_bytes()])
}

/// Where the response is for requests that are selected so.
pub(super) fn of_variant(uri: Uri<'_>, variants: &Variants, selecting: &Selecting) -> String {
    let generation = variants.generation.to_be_bytes();
    name(&[uri.to_key().as_str().as_bytes(), b"\n", &generation, &selecting.spelling()])
}

fn name(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut name = PREFIX.to_owned();
    for byte in &context.finish().as_ref()[..DIGEST] {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}
