//! Strings.

use super::{
    super::{extended, value::Text},
    Call, Fault, Outcome, Value,
    expiry::{self, Unit},
    number, refuse, span,
};

/// The longest string: the original's default.
const LONGEST: usize = 512 << 20;

const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

fn reply(call: &mut Call<'_>, key: &[u8]) -> Outcome {
    match call.keys.text(call.client.db, key)? {
        Some(Text::Int(value)) => call.out.bulk_int(*value),
        Some(text) => text.with(|bytes| call.out.bulk(bytes)),
        None => call.out.null(),
    }
    Ok(())
}

fn bytes(call: &mut Call<'_>, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
    Ok(call.keys.text(call.client.db, key)?.map(|text| text.bytes().into_owned()))
}

pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    reply(call, call.word(1))
}

/// The words behind a key and a value.
#[derive(Default)]
struct SetOptions {
    only_new: bool,
    only_existing: bool,
    get: bool,
    keep: bool,
    persist: bool,
    expires: Option<(usize, Unit)>,
}

/// `is_set`: behind SET; otherwise behind GETEX.
fn options(call: &Call<'_>, first: usize, is_set: bool) -> Outcome<SetOptions> {
    let (mut options, mut at) = (SetOptions::default(), first);
    while at < call.words.len() {
        let has_next = at + 1 < call.words.len();
        let mut unit = None;
        match &*call.word(at).to_ascii_lowercase() {
            b"nx" if is_set && !options.only_existing => options.only_new = true,
            b"xx" if is_set && !options.only_new => options.only_existing = true,
            b"get" if is_set => options.get = true,
            b"keepttl" if is_set && options.expires.is_none() => options.keep = true,
            b"persist" if !is_set && options.expires.is_none() => options.persist = true,
            b"ex" if has_next => unit = Some(Unit::Seconds),
            b"px" if has_next => unit = Some(Unit::Milliseconds),
            b"exat" if has_next => unit = Some(Unit::SecondsAt),
            b"pxat" if has_next => unit = Some(Unit::MillisecondsAt),
            _ => return Err(Fault::Syntax),
        }
        if let Some(unit) = unit {
            // The same word again is allowed, another one is not.
            if options.keep || options.persist || options.expires.is_some_and(|(_, before)| before != unit) {
                return Err(Fault::Syntax);
            }
            at += 1;
            options.expires = Some((at, unit));
        }
        at += 1;
    }
    Ok(options)
}

pub(crate) fn set(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.word(1), call.word(2));
    let options = options(call, 3, true)?;
    let expires = match options.expires {
        Some((place, unit)) => Some(expiry::time(call, place, unit, "set")?),
        None => None,
    };
    let db = call.db();
    if options.get {
        reply(call, key)?;
    }
    if options.only_new || options.only_existing {
        let exists = call.keys.exists(db, key);
        if exists == options.only_new {
            if !options.get {
                call.out.null();
            }
            return Ok(());
        }
    }
    let kept = if options.keep { call.keys.peek(db, key).map_or(0, |entry| entry.expires) } else { 0 };
    call.keys.put(db, key, Value::Text(Text::new(value)), expires.unwrap_or(kept));
    call.touched(key);
    if let Some(expires) = expires {
        call.record(&[b"SET", key, value, b"PXAT", number::Decimal::new(expires).bytes()]);
    }
    if !options.get {
        call.out.ok();
    }
    Ok(())
}

pub(crate) fn setnx(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let is_new = !call.keys.exists(db, key);
    if is_new {
        call.keys.put(db, key, Value::Text(Text::new(call.word(2))), 0);
        call.touched(key);
    }
    call.out.int(i64::from(is_new));
    Ok(())
}

pub(crate) fn setex(call: &mut Call<'_>) -> Outcome {
    set_for(call, Unit::Seconds, "setex")
}

pub(crate) fn psetex(call: &mut Call<'_>) -> Outcome {
    set_for(call, Unit::Milliseconds, "psetex")
}

fn set_for(call: &mut Call<'_>, unit: Unit, name: &str) -> Outcome {
    let (db, key, value) = (call.db(), call.word(1), call.word(3));
    let expires = expiry::time(call, 2, unit, name)?;
    call.keys.put(db, key, Value::Text(Text::new(value)), expires);
    call.touched(key);
    call.record(&[b"SET", key, value, b"PXAT", number::Decimal::new(expires).bytes()]);
    call.out.ok();
    Ok(())
}

pub(crate) fn getset(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    reply(call, key)?;
    call.keys.put(call.client.db, key, Value::Text(Text::new(call.word(2))), 0);
    call.touched(key);
    Ok(())
}

pub(crate) fn getdel(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    reply(call, key)?;
    if call.keys.delete(call.client.db, key).is_some() {
        call.record(&[b"DEL", key]);
    }
    Ok(())
}

pub(crate) fn getex(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let options = options(call, 2, false)?;
    if call.keys.text(db, key)?.is_none() {
        call.out.null();
        return Ok(());
    }
    let expires = match options.expires {
        Some((place, unit)) => Some(expiry::time(call, place, unit, "getex")?),
        None => None,
    };
    reply(call, key)?;
    match expires {
        Some(expires) => expiry::apply(call, key, expires),
        None if options.persist && call.keys.peek(db, key).is_some_and(|entry| entry.expires != 0) => {
            call.keys.set_expires(db, key, 0);
            call.touched(key);
            call.record(&[b"PERSIST", key]);
        }
        None => {}
    }
    Ok(())
}

pub(crate) fn mget(call: &mut Call<'_>) -> Outcome {
    call.out.array(call.words.len() - 1);
    for key in call.words.from(1) {
        match call.keys.read(call.client.db, key) {
            Some(Value::Text(text)) => text.with(|bytes| call.out.bulk(bytes)),
            _ => call.out.null(),
        }
    }
    Ok(())
}

/// Keys and values come in pairs.
fn pairs(call: &Call<'_>, name: &str) -> Outcome {
    if call.words.len().is_multiple_of(2) { Err(Fault::Arity(name.to_owned())) } else { Ok(()) }
}

fn set_all(call: &mut Call<'_>) {
    for place in (1..call.words.len()).step_by(2) {
        let key = call.word(place);
        call.keys.put(call.client.db, key, Value::Text(Text::new(call.word(place + 1))), 0);
        call.touched(key);
    }
}

pub(crate) fn mset(call: &mut Call<'_>) -> Outcome {
    pairs(call, "mset")?;
    set_all(call);
    call.out.ok();
    Ok(())
}

pub(crate) fn msetnx(call: &mut Call<'_>) -> Outcome {
    pairs(call, "msetnx")?;
    let db = call.db();
    let exists = call.words.from(1).step_by(2).any(|key| call.keys.exists(db, key));
    if !exists {
        set_all(call);
    }
    call.out.int(i64::from(!exists));
    Ok(())
}

pub(crate) fn append(call: &mut Call<'_>) -> Outcome {
    let (db, key, more) = (call.db(), call.word(1), call.word(2));
    let Some(len) = call.keys.text(db, key)?.map(Text::len) else {
        call.keys.put(db, key, Value::Text(Text::new(more)), 0);
        call.touched(key);
        call.out.len(more.len());
        return Ok(());
    };
    if len + more.len() > LONGEST {
        return refuse(TOO_LONG);
    }
    change(call, key, |bytes| bytes.extend_from_slice(more));
    call.touched(key);
    call.out.len(len + more.len());
    Ok(())
}

/// Changes a string in place, which exists.
fn change(call: &mut Call<'_>, key: &[u8], act: impl FnOnce(&mut Vec<u8>)) {
    call.keys.change(call.client.db, key, |value| {
        if let Value::Text(text) = value {
            act(text.raw());
        }
    });
}

pub(crate) fn strlen(call: &mut Call<'_>) -> Outcome {
    let len = call.keys.text(call.client.db, call.word(1))?.map_or(0, Text::len);
    call.out.len(len);
    Ok(())
}

pub(crate) fn getrange(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let Some(text) = call.keys.text(call.client.db, call.word(1))? else {
        call.out.bulk(b"");
        return Ok(());
    };
    text.with(|bytes| {
        let both_behind = start < 0 && end < 0 && start > end;
        // An end before the beginning is the beginning: the original's way with strings alone.
        let len = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let end = if end < 0 { (end + len).max(0) } else { end };
        let part = if both_behind { 0..0 } else { span(start, end, bytes.len()) };
        call.out.bulk(&bytes[part]);
    });
    Ok(())
}

pub(crate) fn substr(call: &mut Call<'_>) -> Outcome {
    getrange(call)
}

pub(crate) fn setrange(call: &mut Call<'_>) -> Outcome {
    let (db, key, part) = (call.db(), call.word(1), call.word(3));
    let offset = call.integer(2)?;
    let Ok(offset) = usize::try_from(offset) else { return refuse("ERR offset is out of range") };
    let len = call.keys.text(db, key)?.map(Text::len);
    if part.is_empty() {
        call.out.len(len.unwrap_or(0));
        return Ok(());
    }
    if offset.saturating_add(part.len()) > LONGEST {
        return refuse(TOO_LONG);
    }
    if len.is_none() {
        call.keys.put(db, key, Value::Text(Text::Raw(Vec::new())), 0);
    }
    let end = offset + part.len();
    change(call, key, |bytes| {
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(part);
    });
    call.touched(key);
    call.out.len(len.unwrap_or(0).max(end));
    Ok(())
}

pub(crate) fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1)
}

pub(crate) fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1)
}

pub(crate) fn incrby(call: &mut Call<'_>) -> Outcome {
    add(call, call.integer(2)?)
}

pub(crate) fn decrby(call: &mut Call<'_>) -> Outcome {
    match call.integer(2)?.checked_neg() {
        Some(by) => add(call, by),
        None => refuse("ERR decrement would overflow"),
    }
}

fn add(call: &mut Call<'_>, by: i64) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let changed = call.keys.change(db, key, |value| {
        let Value::Text(text) = value else { return Err(Fault::WrongType) };
        let before = text.integer().ok_or(Fault::NotInteger)?;
        let Some(sum) = before.checked_add(by) else {
            return refuse("ERR increment or decrement would overflow");
        };
        *text = Text::Int(sum);
        Ok(sum)
    });
    let sum = match changed {
        Some(sum) => sum?,
        None => {
            call.keys.put(db, key, Value::Text(Text::Int(by)), 0);
            by
        }
    };
    call.touched(key);
    call.out.int(sum);
    Ok(())
}

pub(crate) fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let before = bytes(call, key)?;
    let sum = extended::sum(before.as_deref(), call.word(2))?;
    let value = Value::Text(Text::Plain(sum.as_bytes().into()));
    let kept = call.keys.peek(db, key).map_or(0, |entry| entry.expires);
    call.keys.put(db, key, value, kept);
    call.touched(key);
    call.record(&[b"SET", key, sum.as_bytes(), b"KEEPTTL"]);
    call.out.bulk(sum.as_bytes());
    Ok(())
}
