//! Going through keys, members and fields in parts.
//!
//! A cursor is a place, and a scan goes from the last place down to the first. New elements are put behind the last one, and the last one
//! takes the place of one that is removed. So all elements that are there from the beginning to the end of a scan are told at least once,
//! and the server keeps nothing between two parts.

use super::{
    super::{
        glob,
        value::{Hash, Set, ZSet},
    },
    Call, Fault, Outcome, refuse,
};
use std::borrow::Cow;

/// Elements that are looked at unless another number is asked for.
const COUNT: usize = 10;

struct Query<'a> {
    cursor: usize,
    pattern: Option<&'a [u8]>,
    count: usize,
    kind: Option<&'a [u8]>,
}

/// The cursor at `place`.
fn cursor(call: &Call<'_>, place: usize) -> Outcome<usize> {
    // As C reads numbers: nothing is zero, and a number below zero counts from the largest.
    let word = call.word(place);
    let (negative, digits) = word.strip_prefix(b"-").map_or((false, word), |rest| (true, rest));
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
    let number = if word.is_empty() { Some(0) } else { number };
    match number.map(|number| if negative { number.wrapping_neg() } else { number }) {
        Some(cursor) => Ok(usize::try_from(cursor).unwrap_or(usize::MAX)),
        None => refuse("ERR invalid cursor"),
    }
}

/// The words behind the cursor.
fn query<'a>(call: &Call<'a>, cursor: usize, first: usize, is_keys: bool) -> Outcome<Query<'a>> {
    let mut query = Query { cursor, pattern: None, count: COUNT, kind: None };
    let mut at = first;
    while at < call.words.len() {
        let has_next = at + 1 < call.words.len();
        match &*call.word(at).to_ascii_lowercase() {
            b"count" if has_next => {
                let count = call.integer(at + 1)?;
                if count < 1 {
                    return Err(Fault::Syntax);
                }
                query.count = usize::try_from(count).unwrap_or(usize::MAX);
            }
            b"match" if has_next => query.pattern = Some(call.word(at + 1)),
            b"type" if has_next && is_keys => query.kind = Some(call.word(at + 1)),
            _ => return Err(Fault::Syntax),
        }
        at += 2;
    }
    Ok(query)
}

impl Query<'_> {
    /// The places that are looked at now, of so many, and the cursor for those that are left.
    fn part(&self, len: usize, is_small: bool) -> (std::ops::Range<usize>, usize) {
        if is_small {
            return (0..len, 0);
        }
        let end = if self.cursor == 0 { len } else { self.cursor.min(len) };
        let start = end.saturating_sub(self.count);
        (start..end, start)
    }

    fn fits(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }
}

fn head(call: &mut Call<'_>, next: usize) {
    call.out.array(2);
    call.out.bulk(next.to_string().as_bytes());
}

pub(crate) fn scan(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    let query = query(call, cursor(call, 1)?, 2, true)?;
    let (places, next) = query.part(call.keys.dbs[db].keys.len(), false);
    let names: Vec<_> =
        places.filter_map(|place| call.keys.dbs[db].keys.get_index(place)).map(|(key, _)| key.clone()).collect();
    let wanted = |call: &mut Call<'_>, key: &[u8]| {
        let kind = call.keys.peek(db, key).map(|entry| entry.value.kind());
        kind.is_some_and(|kind| query.kind.is_none_or(|asked| asked.eq_ignore_ascii_case(kind.as_bytes())))
    };
    let found: Vec<_> = names.into_iter().filter(|key| query.fits(key) && wanted(call, key)).collect();
    head(call, next);
    call.out.bulks(found.iter());
    Ok(())
}

pub(crate) fn sscan(call: &mut Call<'_>) -> Outcome {
    let cursor = cursor(call, 2)?;
    if !call.check::<Set>(call.word(1))? {
        return empty(call);
    }
    let query = query(call, cursor, 3, false)?;
    let Some(set) = call.keys.collection::<Set>(call.client.db, call.word(1))? else { return empty(call) };
    let (places, next) = query.part(set.len(), set.is_small());
    let found: Vec<Vec<u8>> =
        places.filter_map(|place| set.nth(place)).filter(|member| query.fits(member)).map(Cow::into_owned).collect();
    head(call, next);
    call.out.bulks(found.iter());
    Ok(())
}

fn empty(call: &mut Call<'_>) -> Outcome {
    head(call, 0);
    call.out.array(0);
    Ok(())
}

pub(crate) fn hscan(call: &mut Call<'_>) -> Outcome {
    let cursor = cursor(call, 2)?;
    if !call.check::<Hash>(call.word(1))? {
        return empty(call);
    }
    let query = query(call, cursor, 3, false)?;
    let Some(hash) = call.keys.collection::<Hash>(call.client.db, call.word(1))? else { return empty(call) };
    let (places, next) = query.part(hash.len(), hash.is_small());
    let found: Vec<&[u8]> = places
        .filter_map(|place| hash.nth(place))
        .filter(|(field, _)| query.fits(field))
        .flat_map(|(field, value)| [field, value])
        .collect();
    call.out.array(2);
    call.out.bulk(next.to_string().as_bytes());
    call.out.bulks(found.iter());
    Ok(())
}

pub(crate) fn zscan(call: &mut Call<'_>) -> Outcome {
    let cursor = cursor(call, 2)?;
    if !call.check::<ZSet>(call.word(1))? {
        return empty(call);
    }
    let query = query(call, cursor, 3, false)?;
    let Some(zset) = call.keys.collection::<ZSet>(call.client.db, call.word(1))? else { return empty(call) };
    let (places, next) = query.part(zset.len(), zset.is_small());
    let text = |value: f64| super::number::score(value).into_bytes();
    let pairs: Vec<(&[u8], f64)> =
        if zset.is_small() { zset.iter().collect() } else { places.filter_map(|place| zset.nth(place)).collect() };
    let found: Vec<Vec<u8>> = pairs
        .into_iter()
        .filter(|(member, _)| query.fits(member))
        .flat_map(|(member, value)| [member.to_vec(), text(value)])
        .collect();
    head(call, next);
    call.out.bulks(found.iter());
    Ok(())
}
