//! When keys expire.

use super::{Call, Fault, Outcome, number::Decimal, refuse};

/// How a time is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    /// Since 1970.
    SecondsAt,
    MillisecondsAt,
}

/// The word at `place` as milliseconds of calendar time. It has to be above zero.
pub(crate) fn time(call: &Call<'_>, place: usize, unit: Unit, name: &str) -> Outcome<i64> {
    let value = call.integer(place)?;
    let invalid = || Fault::Text(format!("ERR invalid expire time in '{name}' command").into());
    if value <= 0 { Err(invalid()) } else { at(value, unit, call.keys.now).ok_or_else(invalid) }
}

fn at(value: i64, unit: Unit, now: i64) -> Option<i64> {
    match unit {
        Unit::Seconds => value.checked_mul(1000)?.checked_add(now),
        Unit::Milliseconds => value.checked_add(now),
        Unit::SecondsAt => value.checked_mul(1000),
        Unit::MillisecondsAt => Some(value),
    }
}

/// Sets when a key that exists expires, which may have passed.
pub(crate) fn apply(call: &mut Call<'_>, key: &[u8], expires: i64) {
    let db = call.db();
    if expires <= call.keys.now && call.keys.expires {
        call.keys.delete(db, key);
        call.record(&[b"DEL", key]);
    } else {
        // Zero means never, and a time before 1970 has passed.
        call.keys.set_expires(db, key, expires.max(1));
        call.touched(key);
        call.record(&[b"PEXPIREAT", key, Decimal::new(expires).bytes()]);
    }
}

/// Conditions on the time that a key has already.
#[derive(Default)]
struct Conditions {
    only_new: bool,
    only_existing: bool,
    greater: bool,
    less: bool,
}

fn conditions(call: &Call<'_>) -> Outcome<Conditions> {
    let mut found = Conditions::default();
    for word in call.words.from(3) {
        match &*word.to_ascii_lowercase() {
            b"nx" => found.only_new = true,
            b"xx" => found.only_existing = true,
            b"gt" => found.greater = true,
            b"lt" => found.less = true,
            _ => {
                let word = String::from_utf8_lossy(word);
                return refuse(format!("ERR Unsupported option {word}"));
            }
        }
    }
    if found.only_new && (found.only_existing || found.greater || found.less) {
        return refuse("ERR NX and XX, GT or LT options at the same time are not compatible");
    }
    if found.greater && found.less {
        return refuse("ERR GT and LT options at the same time are not compatible");
    }
    Ok(found)
}

fn set(call: &mut Call<'_>, unit: Unit, name: &str) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let conditions = conditions(call)?;
    let value = call.integer(2)?;
    let Some(expires) = at(value, unit, call.keys.now) else {
        return refuse(format!("ERR invalid expire time in '{name}' command"));
    };
    let Some(before) = call.keys.peek(db, key).map(|entry| entry.expires) else {
        call.out.int(0);
        return Ok(());
    };
    let refused = (conditions.only_new && before != 0)
        || (conditions.only_existing && before == 0)
        || (conditions.greater && (before == 0 || expires <= before))
        || (conditions.less && before != 0 && expires >= before);
    if !refused {
        apply(call, key, expires);
    }
    call.out.int(i64::from(!refused));
    Ok(())
}

pub(crate) fn expire(call: &mut Call<'_>) -> Outcome {
    set(call, Unit::Seconds, "expire")
}

pub(crate) fn pexpire(call: &mut Call<'_>) -> Outcome {
    set(call, Unit::Milliseconds, "pexpire")
}

pub(crate) fn expireat(call: &mut Call<'_>) -> Outcome {
    set(call, Unit::SecondsAt, "expireat")
}

pub(crate) fn pexpireat(call: &mut Call<'_>) -> Outcome {
    set(call, Unit::MillisecondsAt, "pexpireat")
}

/// Tells a key's time: -2 without a key, -1 without a time.
fn tell(call: &mut Call<'_>, show: impl FnOnce(i64, i64) -> i64) -> Outcome {
    let now = call.keys.now;
    let shown = match call.keys.look(call.client.db, call.word(1)).map(|entry| entry.expires) {
        None => -2,
        Some(0) => -1,
        Some(expires) => show(expires, now),
    };
    call.out.int(shown);
    Ok(())
}

pub(crate) fn ttl(call: &mut Call<'_>) -> Outcome {
    tell(call, |expires, now| ((expires - now).max(0) + 500) / 1000)
}

pub(crate) fn pttl(call: &mut Call<'_>) -> Outcome {
    tell(call, |expires, now| (expires - now).max(0))
}

pub(crate) fn expiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, |expires, _| (expires + 500) / 1000)
}

pub(crate) fn pexpiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, |expires, _| expires)
}

pub(crate) fn persist(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let had = call.keys.peek(db, key).is_some_and(|entry| entry.expires != 0);
    if had {
        call.keys.set_expires(db, key, 0);
        call.touched(key);
    }
    call.out.int(i64::from(had));
    Ok(())
}
