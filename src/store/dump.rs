//! A value as the commands that make it: how a rewritten file holds it.

use super::{
    log::command,
    number::{Decimal, score},
    value::Value,
};

/// Elements of one command.
const ELEMENTS: usize = 64;

/// Writes the commands that make `key` what it is. `expires` is a time in milliseconds, or 0.
pub(crate) fn dump(out: &mut Vec<u8>, key: &[u8], value: &Value, expires: i64) {
    match value {
        Value::Text(text) => text.with(|bytes| command(out, [&b"SET"[..], key, bytes].into_iter())),
        Value::List(list) => elements(out, b"RPUSH", key, 1, list.range(0, list.len()).map(<[u8]>::to_vec)),
        Value::Set(set) => elements(out, b"SADD", key, 1, set.iter().map(std::borrow::Cow::into_owned)),
        Value::Hash(hash) => {
            elements(out, b"HSET", key, 2, hash.iter().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]));
        }
        Value::ZSet(zset) => {
            let pairs = zset.iter().flat_map(|(member, value)| [score(value).into_bytes(), member.to_vec()]);
            elements(out, b"ZADD", key, 2, pairs);
        }
    }
    if expires != 0 {
        command(out, [&b"PEXPIREAT"[..], key, Decimal::new(expires).bytes()].into_iter());
    }
}

fn elements(out: &mut Vec<u8>, name: &[u8], key: &[u8], each: usize, items: impl Iterator<Item = Vec<u8>>) {
    let mut items = items.peekable();
    while items.peek().is_some() {
        let part: Vec<Vec<u8>> = items.by_ref().take(ELEMENTS * each).collect();
        let words: Vec<&[u8]> = [name, key].into_iter().chain(part.iter().map(Vec::as_slice)).collect();
        command(out, words.into_iter());
    }
}
