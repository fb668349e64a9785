//! The Huffman code of strings (RFC 7541 §5.2, Appendix B): usual characters take 5 to 7 bits, rare ones up to 30.
//!
//! The code is canonical: among codes of one length, the numbers rise with the characters, and a longer code follows the
//! shorter ones. So the lengths say everything, and the codes are counted from them when this is compiled.

use super::Error;

/// The symbol that ends a string. It is never written: a string ends with its length.
const END: usize = 256;

/// The length of each symbol's code, in bits.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// Bits that the first look at a code takes: enough for every letter, digit and usual mark.
const LOOK: u32 = 9;

/// Everything that is counted from the lengths.
struct Code {
    /// The code of each symbol, right-aligned.
    codes: [u32; 257],
    /// The symbols in the order of their codes.
    symbols: [u16; 257],
    /// By length: the first number, left-aligned to 32 bits, that is beyond the codes of this length.
    beyond: [u64; LONGEST + 1],
    /// By length: how many symbols have shorter codes, and the first code of this length.
    first: [(u16, u32); LONGEST + 1],
    /// Symbol and length of the code that some bits begin with; 0 bits for a longer one.
    look: [(u8, u8); 1 << LOOK],
}

static CODE: Code = build();

const fn build() -> Code {
    let mut code = Code {
        codes: [0; 257],
        symbols: [0; 257],
        beyond: [0; LONGEST + 1],
        first: [(0, 0); LONGEST + 1],
        look: [(0, 0); 1 << LOOK],
    };
    let (mut next, mut count, mut length) = (0u32, 0, SHORTEST);
    while length <= LONGEST {
        next <<= 1;
        code.first[length] = (count as u16, next);
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                code.codes[symbol] = next;
                code.symbols[count] = symbol as u16;
                count += 1;
                fill(&mut code.look, next, length as u32, symbol);
                next += 1;
            }
            symbol += 1;
        }
        code.beyond[length] = (next as u64) << (32 - length);
        length += 1;
    }
    code
}

/// Notes a short code for all bits that may follow it.
const fn fill(look: &mut [(u8, u8); 1 << LOOK], code: u32, length: u32, symbol: usize) {
    if length > LOOK {
        return;
    }
    let (mut place, after) = (code << (LOOK - length), (code + 1) << (LOOK - length));
    while place < after {
        look[place as usize] = (symbol as u8, length as u8);
        place += 1;
    }
}

/// Appends the characters that `input` stands for.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    // The bits that are here and not decoded, at the top; below them zeros.
    let (mut bits, mut count) = (0u64, 0u32);
    let mut rest = input;
    loop {
        while count <= 56
            && let [byte, after @ ..] = rest
        {
            bits |= u64::from(*byte) << (56 - count);
            count += 8;
            rest = after;
        }
        let (symbol, length) = match CODE.look[(bits >> (64 - LOOK)) as usize] {
            (_, 0) => long_code((bits >> 32) as u32)?,
            (symbol, length) => (symbol, u32::from(length)),
        };
        if length > count {
            return check_padding(bits, count);
        }
        out.push(symbol);
        bits <<= length;
        count -= length;
    }
}

/// The symbol that `window` begins with, if its code is long, and the code's length.
fn long_code(window: u32) -> Result<(u8, u32), Error> {
    let is_longer = |length: &usize| u64::from(window) >= CODE.beyond[*length];
    let length = (SHORTEST..LONGEST).find(|length| !is_longer(length)).unwrap_or(LONGEST);
    let (before, first) = CODE.first[length];
    let place = usize::from(before) + ((window >> (32 - length)) - first) as usize;
    match CODE.symbols.get(place) {
        Some(symbol) if usize::from(*symbol) != END => Ok((*symbol as u8, length as u32)),
        _ => Err(Error::BadHuffman),
    }
}

/// Less than a byte may be left over, and it has to be the beginning of the code for the end: ones.
fn check_padding(bits: u64, count: u32) -> Result<(), Error> {
    if count < 8 && bits.count_ones() == count { Ok(()) } else { Err(Error::BadHuffman) }
}

/// The number of bytes that `text` takes in this code.
pub(super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|byte| usize::from(LENGTHS[usize::from(*byte)])).sum();
    bits.div_ceil(8)
}

/// Appends `text` in this code.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0u64, 0u32);
    for byte in text {
        let length = u32::from(LENGTHS[usize::from(*byte)]);
        bits = bits << length | u64::from(CODE.codes[usize::from(*byte)]);
        count += length;
        while count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    if count > 0 {
        let padding = 8 - count;
        out.push((bits << padding) as u8 | (0xff >> count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Some of Appendix B: the first and the last code of several lengths.
    #[test]
    fn codes_are_those_of_the_appendix() {
        for (symbol, code) in [
            (usize::from(b'0'), 0),
            (usize::from(b't'), 0x9),
            (usize::from(b' '), 0x14),
            (usize::from(b'u'), 0x2d),
            (usize::from(b':'), 0x5c),
            (usize::from(b'z'), 0x7b),
            (usize::from(b'&'), 0xf8),
            (usize::from(b'Z'), 0xfd),
            (usize::from(b'?'), 0x3fc),
            (usize::from(b'|'), 0x7fc),
            (usize::from(b'>'), 0xffb),
            (0, 0x1ff8),
            (usize::from(b'{'), 0x7ffe),
            (208, 0x7fff2),
            (226, 0xfffed),
            (230, 0x1f_ffe8),
            (233, 0x3f_ffeb),
            (239, 0x7f_fff4),
            (9, 0xff_ffea),
            (235, 0x1ff_ffef),
            (255, 0x3ff_ffee),
            (254, 0x7ff_fff0),
            (249, 0xfff_fffe),
            (10, 0x3fff_fffc),
            (22, 0x3fff_fffe),
            (END, 0x3fff_ffff),
        ] {
            assert_eq!(CODE.codes[symbol], code, "{symbol}");
        }
        // A code that leaves no bits unused, and uses none twice.
        let filled: u64 = LENGTHS.iter().map(|length| 1 << (30 - length)).sum();
        assert_eq!(filled, 1 << 30);
    }

    #[test]
    fn every_character_alone_and_before_others() {
        for (one, other) in (0..=255u8).flat_map(|one| (0..=255u8).step_by(11).map(move |other| (one, other))) {
            for text in [&[one][..], &[one, other]] {
                let (mut coded, mut read) = (Vec::new(), Vec::new());
                encode(text, &mut coded);
                assert_eq!((coded.len(), decode(&coded, &mut read)), (encoded_len(text), Ok(())), "{text:?}");
                assert_eq!(read, text);
            }
        }
    }

    #[test]
    fn padding_and_ends_that_are_wrong() {
        for (bytes, good) in [
            (&[][..], true),
            (&[0b0000_0111], true),        // '0' and three ones.
            (&[0b0000_0110], false),       // Padding with a zero.
            (&[0b0000_0000], false),       // '0' and the beginning of another code.
            (&[0xff], false),              // A whole byte of padding.
            (&[0b0000_0111, 0xff], false), // More than seven bits of it.
            (&[0b1111_1000], true),        // '&', which ends with the byte.
            (&[0b1111_1000, 0xff], false),
            (&[0xff, 0xff, 0xff, 0xff], false), // The symbol for the end, and two ones.
            (&[0xff, 0xff, 0xff, 0xfc], false), // It, and two zeros.
            (&[0xff, 0xff, 0xff, 0xf3], true),  // A line feed, whose code is nearly the same.
            (&[0xff, 0xff, 0xff], false),       // A long code that is cut off.
        ] {
            assert_eq!(decode(bytes, &mut Vec::new()).is_ok(), good, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_read_back(text: Vec<u8>) {
            let (mut coded, mut read) = (Vec::new(), Vec::new());
            encode(&text, &mut coded);
            prop_assert_eq!(decode(&coded, &mut read), Ok(()));
            prop_assert_eq!(read, text);
        }

        /// There is one way to write a text: bytes that can be read are those that we would write.
        #[test]
        fn bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut read = Vec::new();
            if decode(&bytes, &mut read).is_ok() {
                let mut coded = Vec::new();
                encode(&read, &mut coded);
                prop_assert_eq!(coded, bytes);
            }
        }
    }
}
