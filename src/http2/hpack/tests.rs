//! The examples of RFC 7541 Appendix C, blocks that are wrong, and what an encoder and a decoder say to each other.

use super::*;
use proptest::prelude::*;

type Lines = Vec<(String, String)>;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Lines, Error> {
    let mut lines = Vec::new();
    decoder.decode(block, usize::MAX, |name, value| lines.push((text(name), text(value))))?;
    Ok(lines)
}

/// Hexadecimal digits, with spaces anywhere.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

const AUTHORITY: (&str, &str) = (":authority", "www.example.com");
const NO_CACHE: (&str, &str) = ("cache-control", "no-cache");
const PRIVATE: (&str, &str) = ("cache-control", "private");
const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const DATE: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const LATER: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
const COOKIE: (&str, &str) = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");

/// Block, its lines, the size of the table after it.
type Step = (&'static str, &'static [(&'static str, &'static str)], usize);

/// C.2: one block each. C.3 to C.6: three on one connection; from C.5 on with a table of 256 bytes.
const EXAMPLES: &[&[Step]] = &[
    &[("400a637573746f6d2d6b65790d637573746f6d2d686561646572", &[("custom-key", "custom-header")], 55)],
    &[("040c2f73616d706c652f70617468", &[(":path", "/sample/path")], 0)],
    &[("100870617373776f726406736563726574", &[("password", "secret")], 0)],
    &[("82", &[(":method", "GET")], 0)],
    &[
        (
            "828684410f7777772e6578616d706c652e636f6d",
            &[(":method", "GET"), (":scheme", "http"), (":path", "/"), AUTHORITY],
            57,
        ),
        (
            "828684be58086e6f2d6361636865",
            &[(":method", "GET"), (":scheme", "http"), (":path", "/"), AUTHORITY, NO_CACHE],
            110,
        ),
        (
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/index.html"),
                AUTHORITY,
                ("custom-key", "custom-value"),
            ],
            164,
        ),
    ],
    &[
        (
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            &[(":method", "GET"), (":scheme", "http"), (":path", "/"), AUTHORITY],
            57,
        ),
        (
            "828684be5886a8eb10649cbf",
            &[(":method", "GET"), (":scheme", "http"), (":path", "/"), AUTHORITY, NO_CACHE],
            110,
        ),
        (
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/index.html"),
                AUTHORITY,
                ("custom-key", "custom-value"),
            ],
            164,
        ),
    ],
    &[
        ("3fe101", &[], 0),
        (
            "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17\
             68747470733a2f2f7777772e6578616d706c652e636f6d",
            &[(":status", "302"), PRIVATE, DATE, LOCATION],
            222,
        ),
        ("4803333037c1c0bf", &[(":status", "307"), PRIVATE, DATE, LOCATION], 222),
        (
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d41\
             53444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b207665727369\
             6f6e3d31",
            &[(":status", "200"), PRIVATE, LATER, LOCATION, ("content-encoding", "gzip"), COOKIE],
            215,
        ),
    ],
    &[
        ("3fe101", &[], 0),
        (
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8\
             e9ae82ae43d3",
            &[(":status", "302"), PRIVATE, DATE, LOCATION],
            222,
        ),
        ("4883640effc1c0bf", &[(":status", "307"), PRIVATE, DATE, LOCATION], 222),
        (
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b\
             3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            &[(":status", "200"), PRIVATE, LATER, LOCATION, ("content-encoding", "gzip"), COOKIE],
            215,
        ),
    ],
];

#[test]
fn the_examples_of_the_appendix() {
    for (number, steps) in EXAMPLES.iter().enumerate() {
        let mut decoder = Decoder::new();
        for (block, lines, size) in *steps {
            let expected: Lines = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(decode(&mut decoder, &bytes(block)), Ok(expected), "example {number}");
            assert_eq!(decoder.table_size(), *size, "example {number}");
        }
    }
}

/// Each block on a fresh connection.
#[test]
fn blocks_that_are_wrong() {
    for (block, error) in [
        ("80", Error::BadIndex),
        ("be", Error::BadIndex),           // 62, and the dynamic table is empty.
        ("4001610162bf", Error::BadIndex), // 63 with one line in it.
        ("ff80808010", Error::BadIndex),
        ("7f0000", Error::BadIndex), // A name with the number 63.
        ("ff", Error::Truncated),
        ("ffffffffff7f", Error::IntegerTooLarge),
        ("ff808080808000", Error::IntegerTooLarge),
        ("40", Error::Truncated),
        ("4003", Error::Truncated),
        ("40036162", Error::Truncated),
        ("4001610361", Error::Truncated),
        ("04", Error::Truncated),
        ("0085f1e3c2e5", Error::Truncated), // A Huffman string of five bytes, and four.
        ("0081ff", Error::BadHuffman),
        ("00840ffffffc", Error::BadHuffman), // '1', and more than a byte of padding.
        ("0084fffffffc", Error::BadHuffman), // The symbol for the end.
        ("008107820000", Error::BadHuffman), // A value with padding that is not ones.
        ("8220", Error::LateSizeUpdate),
        ("40016101623f00", Error::LateSizeUpdate),
        ("3fe21f", Error::TableTooLarge), // 4097.
        ("3fffffffff7f", Error::IntegerTooLarge),
        ("203fe21f", Error::TableTooLarge),
    ] {
        let block = bytes(block);
        assert_eq!(decode(&mut Decoder::new(), &block), Err(error), "{block:x?}");
    }
}

#[test]
fn sizes_of_the_table_may_change_before_the_first_line() {
    let mut decoder = Decoder::new();
    decode(&mut decoder, &bytes("400161 0162 4001 630164")).unwrap();
    assert_eq!(decoder.table_size(), 68);
    // Several in one block; as large as it was offered; and what was evicted does not come back.
    assert_eq!(decode(&mut decoder, &bytes("3f22 3fe11f 82")).unwrap().len(), 1);
    assert_eq!(decoder.table_size(), 34);
    decode(&mut decoder, &bytes("20 3fe11f")).unwrap();
    assert_eq!(decode(&mut decoder, &bytes("be")), Err(Error::BadIndex));
}

/// A name that is taken from the line that leaves for the new one (RFC 7541 §4.4).
#[test]
fn a_name_outlives_its_line() {
    let mut decoder = Decoder::new();
    let long = "78".repeat(50);
    let blocks = [format!("3f7d 4003616263 32 {long}"), format!("7e 32 {long}"), "be".to_owned()];
    for block in blocks {
        let lines = decode(&mut decoder, &bytes(&block)).unwrap();
        assert_eq!(lines, [("abc".to_owned(), "x".repeat(50))]);
        assert_eq!(decoder.table_size(), 85);
    }
}

#[test]
fn a_long_line_leaves_no_room_behind() {
    let mut decoder = Decoder::new();
    let mut block = Vec::new();
    let mut encoder = Encoder::new();
    encoder.field(b"cookie", &[b'a'; 16_000], &mut block);
    decoder.decode(&block, usize::MAX, |_, value| assert_eq!(value.len(), 16_000)).unwrap();
    assert!(decoder.room() <= 2 * crate::buf::ROOM, "{} bytes", decoder.room());
}

/// A line of 4,000 bytes costs one byte each time.
#[test]
fn a_bomb_is_not_decoded() {
    let mut decoder = Decoder::new();
    let mut block = bytes("400161 7fa11e");
    block.extend(vec![b'x'; 4000]);
    let line = 1 + 4000 + 32;
    block.extend(vec![0xbe; 15]);
    for (limit, outcome) in [(16 * line, Ok(())), (16 * line - 1, Err(Error::Bomb))] {
        let mut seen = 0;
        assert_eq!(decoder.decode(&block, limit, |_, value| seen += value.len()), outcome);
        assert_eq!(seen, 16 * 4000);
    }
}

fn encode(encoder: &mut Encoder, lines: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    lines.iter().for_each(|(name, value)| encoder.field(name.as_bytes(), value.as_bytes(), &mut out));
    out
}

#[test]
fn lines_are_written_as_shortly_as_they_may_be() {
    let mut encoder = Encoder::new();
    assert_eq!(encode(&mut encoder, &[(":status", "200")]), bytes("3fe107 88"), "the table's size goes first");
    for (lines, block) in [
        (&[(":method", "GET"), (":scheme", "https"), (":path", "/")][..], "828784"),
        (&[(":authority", "www.example.com")], "418cf1e3c2e5f23a6ba0ab90f4ff"),
        (&[(":authority", "www.example.com"), ("Cache-Control", "no-cache")], "be5886a8eb10649cbf"),
        (&[("CACHE-control", "no-cache")], "be"),
        (&[("Content-Length", "7")], "0f0d 0137"),
        (&[("content-length", "7")], "0f0d 0137"),
        (&[("authorization", "~~~")], "1f08 03 7e7e7e"),
        (&[("authorization", "~~~")], "1f08 03 7e7e7e"),
        (&[("custom-key", "custom-value")], "408825a849e95ba97d7f8925a849e95bb8e8b4bf"),
        (&[("custom-key", "~")], "7e017e"),
    ] {
        assert_eq!(encode(&mut encoder, lines), bytes(block), "{lines:?}");
    }
}

#[test]
fn a_peer_may_change_the_size_of_the_table() {
    let mut encoder = Encoder::new();
    encode(&mut encoder, &[("a", "~")]);
    encoder.offer(1024);
    encoder.offer(65536);
    assert_eq!(encode(&mut encoder, &[("a", "~")]), bytes("be"), "no larger table than ours is used");
    // Smaller and larger again: the decoder has to hear of both.
    encoder.offer(0);
    encoder.offer(100);
    assert_eq!(encode(&mut encoder, &[("a", "~")]), bytes("20 3f45 40 01 61 01 7e"));
    encoder.offer(0);
    assert_eq!(encode(&mut encoder, &[("a", "~")]), bytes("20 40 01 61 01 7e"));
    assert_eq!(encode(&mut encoder, &[("a", "~")]), bytes("40 01 61 01 7e"));
}

proptest! {
    /// Any lines, over connections of any length, with tables that change their size.
    #[test]
    fn lines_are_read_back(
        blocks in proptest::collection::vec(
            (proptest::option::of(0usize..2000),
             proptest::collection::vec(("(x|cookie|etag|via|server|[a-c:]{1,3})", "[ -~]{0,40}|a"), 0..12)),
            1..12,
        )
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for (offered, lines) in blocks {
            if let Some(offered) = offered {
                encoder.offer(offered);
            }
            let lines_as_text: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let block = encode(&mut encoder, &lines_as_text);
            prop_assert_eq!(decode(&mut decoder, &block), Ok(lines));
        }
    }

    /// Any bytes are decoded or refused.
    #[test]
    fn any_bytes_are_decoded_or_refused(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..6)) {
        let mut decoder = Decoder::new();
        for block in blocks {
            let mut size = 0;
            let outcome = decoder.decode(&block, 1000, |name, value| size += name.len() + value.len() + 32);
            prop_assert!(outcome.is_err() || size <= 1000);
            prop_assert!(decoder.table_size() <= DEFAULT_TABLE);
        }
    }
}
