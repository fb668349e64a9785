//! A client's WebSocket, whole and in pieces: the same messages and the same fault. All that is accepted is within its limit, and is
//! accepted again when a client writes it.

use super::pieces::{MOST, pieces};
use socket_patterns::websocket::{CloseCode, Fault, Message, Opcode, Reader, write_frame};

/// Small enough to be passed by what a fuzzer makes.
const LIMIT: usize = 300;

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let wire = &data[..data.len().min(MOST)];
    let whole = read([wire]);
    assert_eq!(read(pieces(wire)), whole, "in pieces");
    assert_eq!(read(wire.chunks(1)), whole, "byte by byte");
    let (messages, fault) = whole;
    if let Some(fault) = fault {
        assert!(fault.code().is_sendable() && !fault.as_str().is_empty());
    }
    let mut again = Vec::new();
    messages.iter().for_each(|message| write(message, &mut again));
    assert_eq!(read([&again[..]]), (messages, None), "written again");
}

fn read<'w>(wire: impl IntoIterator<Item = &'w [u8]>) -> (Vec<Message>, Option<Fault>) {
    let (mut reader, mut messages) = (Reader::new(LIMIT), Vec::new());
    for mut piece in wire {
        loop {
            match reader.next(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(reader.next(&mut &b"\x81\x80\0\0\0\0"[..]), Err(fault), "a fault stays");
                    return (messages, Some(fault));
                }
            }
        }
        assert!(piece.is_empty(), "all is used");
    }
    (messages, None)
}

fn write(message: &Message, out: &mut Vec<u8>) {
    let (opcode, payload) = match message {
        Message::Text(text) => (Opcode::Text, text.as_bytes().to_vec()),
        Message::Binary(bytes) => (Opcode::Binary, bytes.clone()),
        Message::Ping(bytes) => (Opcode::Ping, bytes.clone()),
        Message::Pong(bytes) => (Opcode::Pong, bytes.clone()),
        Message::Close(None) => (Opcode::Close, Vec::new()),
        Message::Close(Some(CloseCode(code))) => (Opcode::Close, code.to_be_bytes().to_vec()),
    };
    let most = if matches!(message, Message::Text(_) | Message::Binary(_)) { LIMIT } else { 125 };
    assert!(payload.len() <= most);
    write_frame(out, true, opcode, Some([0x37, 0xfa, 0x21, 0x3d]), &payload);
}
