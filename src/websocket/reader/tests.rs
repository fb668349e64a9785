//! The rules of RFC 6455, one row each. Every stream is read whole, byte by byte, cut at each place, and with bytes behind it.

use super::{super::write_frame, *};

const MOST: usize = 1000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of a client: the first byte of its head, and its payload.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(&mut out, true, Opcode::Text, Some(MASK), payload);
    out[0] = first;
    out
}

/// A head alone, with this second byte and what follows it.
fn head(first: u8, second: u8, rest: &[u8]) -> Vec<u8> {
    [&[first, second][..], rest, &MASK].concat()
}

fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

fn read<'i>(pieces: impl IntoIterator<Item = &'i [u8]>) -> (Vec<Message>, Option<Fault>) {
    let (mut reader, mut messages) = (Reader::new(MOST), Vec::new());
    for mut piece in pieces {
        loop {
            match reader.next(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(fault) => return (messages, Some(fault)),
            }
        }
        assert!(piece.is_empty());
    }
    (messages, None)
}

type Row = (&'static str, Vec<Vec<u8>>, Vec<Message>, Option<Fault>);

fn good() -> Vec<Row> {
    let bytes = |len: usize| "x".repeat(len);
    vec![
        ("text", vec![masked(0x81, b"Hello")], vec![text("Hello")], None),
        ("nothing", vec![masked(0x81, b"")], vec![text("")], None),
        ("binary", vec![masked(0x82, b"\xff\x00")], vec![Message::Binary(b"\xff\x00".to_vec())], None),
        ("125 bytes", vec![masked(0x81, bytes(125).as_bytes())], vec![text(&bytes(125))], None),
        ("126 bytes", vec![masked(0x81, bytes(126).as_bytes())], vec![text(&bytes(126))], None),
        ("the longest", vec![masked(0x81, bytes(MOST).as_bytes())], vec![text(&bytes(MOST))], None),
        ("fragments", vec![masked(0x01, b"Hel"), masked(0x00, b""), masked(0x80, b"lo")], vec![text("Hello")], None),
        (
            "control frames between fragments",
            vec![masked(0x01, b"Hel"), masked(0x89, b"p"), masked(0x00, b"l"), masked(0x8a, b""), masked(0x80, b"o")],
            vec![Message::Ping(b"p".to_vec()), Message::Pong(vec![]), text("Hello")],
            None,
        ),
        (
            "a character in two fragments",
            vec![masked(0x01, b"\xf0\x9f"), masked(0x80, b"\x91\x8b!")],
            vec![text("👋!")],
            None,
        ),
        ("ping of 125 bytes", vec![masked(0x89, &[7; 125])], vec![Message::Ping(vec![7; 125])], None),
        ("close without a code", vec![masked(0x88, b"")], vec![Message::Close(None)], None),
        ("close", vec![masked(0x88, b"\x03\xe8bye")], vec![Message::Close(Some(CloseCode::NORMAL))], None),
        ("two", vec![masked(0x81, b"a"), masked(0x81, b"b")], vec![text("a"), text("b")], None),
    ]
}

fn bad() -> Vec<Row> {
    let row = |name, frames, fault| (name, frames, vec![], Some(fault));
    let mut rows = vec![
        row("RSV1", vec![masked(0xc1, b"x")], Fault::ReservedBit),
        row("RSV2", vec![masked(0xa1, b"x")], Fault::ReservedBit),
        row("RSV3 in control", vec![masked(0x99, b"x")], Fault::ReservedBit),
        row("not masked", vec![b"\x81\x05Hello".to_vec()], Fault::NotMasked),
        row("126 for 125", vec![head(0x81, 0xfe, &[0, 125])], Fault::LongLength),
        row("127 for 65535", vec![head(0x81, 0xff, &65535_u64.to_be_bytes())], Fault::LongLength),
        row("64 bits", vec![head(0x81, 0xff, &[0x80, 0, 0, 0, 0, 0, 0, 0])], Fault::HugeLength),
        row("63 bits", vec![head(0x81, 0xff, &[0x7f, 255, 255, 255, 255, 255, 255, 255])], Fault::TooBig),
        row("ping in fragments", vec![masked(0x09, b"x")], Fault::FragmentedControl),
        row("ping of 126 bytes", vec![masked(0x89, &[7; 126])], Fault::LongControl),
        row("continuation of nothing", vec![masked(0x80, b"x")], Fault::NothingToContinue),
        row("text in text", vec![masked(0x01, b"x"), masked(0x81, b"y")], Fault::InsideMessage),
        row("binary in text", vec![masked(0x01, b"x"), masked(0x82, b"y")], Fault::InsideMessage),
        row("too long by one", vec![head(0x81, 0xfe, &[0x03, 0xe9])], Fault::TooBig),
        row("too long in fragments", vec![masked(0x01, &[b'x'; MOST]), masked(0x80, b"y")], Fault::TooBig),
        row("close of one byte", vec![masked(0x88, b"\x03")], Fault::BadClose),
        row("reason is no text", vec![masked(0x88, b"\x03\xe8\xff")], Fault::NotUtf8),
        row("Latin-1", vec![masked(0x81, b"gr\xfc\xdfe")], Fault::NotUtf8),
        row("half a character at the end", vec![masked(0x81, b"\xf0\x9f")], Fault::NotUtf8),
        row("a wrong byte in a later fragment", vec![masked(0x01, b"\xf0\x9f"), masked(0x00, b"x")], Fault::NotUtf8),
        row("a surrogate", vec![masked(0x01, b"\xed\xa0\x80")], Fault::NotUtf8),
        row("above U+10FFFF", vec![masked(0x01, b"\xf4\x90")], Fault::NotUtf8),
        row("overlong", vec![masked(0x01, b"\xc0\xaf")], Fault::NotUtf8),
    ];
    rows.extend(
        (0..=15_u8)
            .filter(|opcode| Opcode::of(*opcode).is_none())
            .map(|opcode| row("opcode", vec![masked(0x80 | opcode, b"x")], Fault::UnknownOpcode)),
    );
    rows
}

#[test]
fn each_rule_of_the_standard_holds_however_the_bytes_are_cut() {
    for (name, frames, messages, fault) in good().into_iter().chain(bad()) {
        let wire = frames.concat();
        let expected = (messages, fault);
        assert_eq!(read([&wire[..]]), expected, "{name}");
        assert_eq!(read(wire.chunks(1)), expected, "{name} byte by byte");
        for cut in 0..=wire.len() {
            assert_eq!(read([&wire[..cut], &wire[cut..]]), expected, "{name} cut at {cut}");
        }
        let (mut with_more, more) = (expected.0.clone(), [wire, masked(0x81, b"more")].concat());
        with_more.extend(fault.is_none().then(|| text("more")));
        assert_eq!(read([&more[..]]), (with_more, fault), "{name} with more behind it");
    }
}

/// A mistake is answered when it is here, not when its frame or its message is complete.
#[test]
fn a_mistake_is_found_with_its_first_byte() {
    for (wire, fault) in [
        (&b"\xc1"[..], Fault::ReservedBit),
        (b"\x83", Fault::UnknownOpcode),
        (b"\x09", Fault::FragmentedControl),
        (b"\x81\x05", Fault::NotMasked),
        (b"\x89\xfe", Fault::LongControl),
        (&masked(0x01, b"ok\xff and much more")[..9], Fault::NotUtf8),
    ] {
        assert_eq!(read([wire]), (vec![], Some(fault)), "{wire:?}");
    }
}

#[test]
fn codes_that_may_be_sent_may_be_received() {
    for code in 0..=u16::MAX {
        let expected = match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => (vec![Message::Close(Some(CloseCode(code)))], None),
            _ => (vec![], Some(Fault::BadClose)),
        };
        assert_eq!(read([&masked(0x88, &code.to_be_bytes())[..]]), expected, "{code}");
    }
}

#[test]
fn the_first_fault_stays() {
    let mut reader = Reader::new(MOST);
    assert_eq!(reader.next(&mut &b"\xc1"[..]), Err(Fault::ReservedBit));
    assert_eq!(reader.next(&mut &masked(0x81, b"x")[..]), Err(Fault::ReservedBit));
    for (fault, code) in [(Fault::ReservedBit, 1002), (Fault::NotUtf8, 1007), (Fault::TooBig, 1009)] {
        assert_eq!((fault.code().0, fault.as_str().is_empty()), (code, false));
    }
}
