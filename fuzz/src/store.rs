//! Commands for the store, whole and in pieces: the same replies. Nothing panics, memory comes back to nothing when all keys go, and what was
//! recorded makes the same keys again.

use super::pieces::{MOST, pieces};
use socket_patterns::store::trial::Trial;

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let wire = &data[..data.len().min(MOST)];
    let mut whole = Trial::new();
    let replies = whole.hear([wire]);
    assert_eq!(Trial::new().hear(pieces(wire)), replies, "in pieces");
    assert_eq!(Trial::new().hear(wire.chunks(1)), replies, "byte by byte");
    let mut again = Trial::new();
    again.replay(&whole.record());
    assert_eq!(again.keys(), whole.keys(), "made again from the record");
    assert_eq!(whole.memory_without_keys(), 0, "all memory is accounted for");
}
