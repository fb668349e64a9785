//! Replies of a Redis, whole and in pieces: the same values, and the same again when they are written and read once more.

use super::pieces::{MOST, pieces};
use socket_patterns::resp::{Malformed, Replies, Value};

/// A reply that is longer is refused.
const LIMIT: usize = 16 * 1024;

/// All replies, and the rule that ends them.
fn read<'w>(wire: impl IntoIterator<Item = &'w [u8]>) -> (Vec<Value>, Option<Malformed>) {
    let (mut replies, mut values) = (Replies::new(LIMIT), Vec::new());
    for piece in wire {
        replies.receive(piece);
        loop {
            match replies.next_reply() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(why) => return (values, Some(why)),
            }
        }
    }
    (values, None)
}

fn write(value: &Value, out: &mut Vec<u8>) {
    let mut head = |kind: char, rest: &str| out.extend_from_slice(format!("{kind}{rest}\r\n").as_bytes());
    match value {
        Value::Text(text) => {
            head('$', &text.len().to_string());
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        Value::Error(text) => {
            head('!', &text.len().to_string());
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Value::Int(number) => head(':', &number.to_string()),
        Value::Bool(yes) => head('#', if *yes { "t" } else { "f" }),
        Value::Null => head('_', ""),
        Value::List(items) | Value::Push(items) => {
            let is_push = matches!(value, Value::Push(_));
            head(if is_push { '>' } else { '*' }, &items.len().to_string());
            items.iter().for_each(|item| write(item, out));
        }
    }
}

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let wire = &data[..data.len().min(MOST)];
    let whole = read([wire]);
    assert_eq!(read(pieces(wire)), whole, "in pieces");
    assert_eq!(read(wire.chunks(1)), whole, "byte by byte");
    for value in whole.0 {
        let mut again = Vec::new();
        write(&value, &mut again);
        // An error that is not UTF-8 becomes longer when it is made text.
        if again.len() <= LIMIT {
            assert_eq!(read([&again[..]]), (vec![value], None), "written and read again");
        }
    }
}
