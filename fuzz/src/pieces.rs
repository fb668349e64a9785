//! Where to cut the input: as the input itself says, so that every input is one reproducible case.

use socket_patterns::http::Limits;

/// The most input that is used: it is enough for every case, and cutting more would cost more than reading it.
pub const MOST: usize = 4096;

/// `wire` in pieces of one to a few dozen bytes.
pub fn pieces(wire: &[u8]) -> Vec<&[u8]> {
    // FNV-1a, then xorshift: small changes of the input cut it elsewhere.
    let mut state = wire
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
        | 1;
    let mut rest = wire;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Mostly short: what goes wrong goes wrong where two bytes that belong together come apart.
        let most = if state & 0x300 == 0 { 64 } else { 4 };
        let (piece, after) = rest.split_at((1 + (state >> 32) as usize % most).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Limits that short input reaches.
pub fn tight() -> Limits {
    Limits { head: 160, request_line: 48, fields: 6, body: 40, chunk_line: 12, chunk_extensions: 20, trailers: 48 }
}
