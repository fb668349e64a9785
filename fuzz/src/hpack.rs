//! Field blocks of HTTP/2: any bytes are decoded or refused, never beyond the limit; and lines that were decoded are the same when
//! they have been written and read again, whatever both tables hold by then.

use super::pieces::MOST;
use socket_patterns::http2::hpack::{Decoder, Encoder, Error};

/// Bytes of lines that a block may stand for.
const LIMIT: usize = 4096;

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// Panics if a rule is broken. The first byte of each block is its length.
pub fn judge(data: &[u8]) {
    let mut rest = &data[..data.len().min(MOST)];
    let (mut decoder, mut encoder, mut again) = (Decoder::new(), Encoder::new(), Decoder::new());
    while let [length, after @ ..] = rest {
        let (block, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let Ok(lines) = decode(&mut decoder, block) else { return };
        // Some peers change the size of their table.
        if block.len() % 5 == 4 {
            encoder.offer(usize::from(*length) * 16);
        }
        let mut written = Vec::new();
        encoder.begin(&mut written);
        lines.iter().for_each(|(name, value)| encoder.field(name, value, &mut written));
        let lower = |(name, value): &(Vec<u8>, Vec<u8>)| (name.to_ascii_lowercase(), value.clone());
        let expected: Lines = lines.iter().map(lower).collect();
        assert_eq!(decode(&mut again, &written), Ok(expected), "{}", written.escape_ascii());
    }
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Lines, Error> {
    let mut lines = Lines::new();
    let outcome = decoder.decode(block, LIMIT, |name, value| lines.push((name.to_vec(), value.to_vec())));
    let size = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 32;
    let sizes: usize = lines.iter().map(size).sum();
    assert!(outcome.is_err() || sizes <= LIMIT, "{sizes} bytes of lines");
    outcome.map(|()| lines)
}
