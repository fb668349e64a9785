//! Sets.

use super::{
    super::{random::Random, value::Set},
    Call, Fault, Outcome, Value, number, refuse,
};
use std::collections::HashSet;

pub(crate) fn sadd(call: &mut Call<'_>) -> Outcome {
    let (key, words) = (call.word(1), call.words);
    let added = call.keys.change_or_make(call.client.db, key, |set: &mut Set| {
        words.from(2).map(|member| i64::from(set.add(member))).sum::<i64>()
    })?;
    if added > 0 {
        call.touched(key);
    }
    call.out.int(added);
    Ok(())
}

pub(crate) fn srem(call: &mut Call<'_>) -> Outcome {
    call.remove_words(|set: &mut Set, member| set.remove(member))
}

pub(crate) fn smembers(call: &mut Call<'_>) -> Outcome {
    let Some(set) = call.keys.collection::<Set>(call.client.db, call.word(1))? else {
        call.out.set(0);
        return Ok(());
    };
    call.out.set(set.len());
    set.iter().for_each(|member| call.out.bulk(&member));
    Ok(())
}

pub(crate) fn sismember(call: &mut Call<'_>) -> Outcome {
    let set: Option<&Set> = call.keys.collection(call.client.db, call.word(1))?;
    let has = set.is_some_and(|set| set.has(call.words.at(2)));
    call.out.int(i64::from(has));
    Ok(())
}

pub(crate) fn smismember(call: &mut Call<'_>) -> Outcome {
    let set: Option<&Set> = call.keys.collection(call.client.db, call.word(1))?;
    call.out.array(call.words.len() - 2);
    for member in call.words.from(2) {
        call.out.int(i64::from(set.is_some_and(|set| set.has(member))));
    }
    Ok(())
}

pub(crate) fn scard(call: &mut Call<'_>) -> Outcome {
    let len = call.collection::<Set>(call.word(1))?.map_or(0, Set::len);
    call.out.len(len);
    Ok(())
}

pub(crate) fn smove(call: &mut Call<'_>) -> Outcome {
    let (db, from, to, member) = (call.db(), call.word(1), call.word(2), call.word(3));
    if !call.check::<Set>(from)? {
        call.out.int(0);
        return Ok(());
    }
    call.check::<Set>(to)?;
    if from == to {
        let has = call.collection::<Set>(from)?.is_some_and(|set| set.has(member));
        call.out.int(i64::from(has));
        return Ok(());
    }
    let moved = call.keys.change_if(db, from, |set: &mut Set| set.remove(member))? == Some(true);
    if moved {
        call.touched(from);
        // A set that has it already is no other than before.
        if call.keys.change_or_make(db, to, |set: &mut Set| set.add(member))? {
            call.touched(to);
        }
    }
    call.out.int(i64::from(moved));
    Ok(())
}

/// A place of so many, by chance.
pub(crate) fn scaled(chance: u64, len: usize) -> usize {
    usize::try_from((u128::from(chance) * len as u128) >> 64).unwrap_or_default()
}

/// How many elements are asked for by chance; below zero: with repetitions. `None`: one, without a list.
pub(crate) fn random_count(call: &Call<'_>, with: &str) -> Outcome<Option<(i64, bool)>> {
    if call.words.len() == 2 {
        return Ok(None);
    }
    let count = call.integer(2)?;
    if count == i64::MIN {
        return refuse("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
    }
    let with_values = call.words.len() == 4 && call.words.is(3, with);
    if call.words.len() > 3 && !with_values {
        return Err(Fault::Syntax);
    }
    // Twice as many have to be told.
    if with_values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(Fault::OutOfRange);
    }
    Ok(Some((count, with_values)))
}

/// Elements that one command tells by chance at most: a number of a few digits must not cost all memory.
const MOST_RANDOM: usize = 10_000_000;

/// Places by chance, of `len`: different ones, or with repetitions if the count is below zero.
pub(crate) fn places(random: &mut Random, len: usize, count: i64) -> Vec<usize> {
    if len == 0 || count == 0 {
        return Vec::new();
    }
    let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        return (0..most.min(MOST_RANDOM)).map(|_| random.below(len)).collect();
    }
    if most >= len {
        return (0..len).collect();
    }
    if most * 3 > len {
        let mut all: Vec<usize> = (0..len).collect();
        for place in 0..most {
            let other = place + random.below(len - place);
            all.swap(place, other);
        }
        all.truncate(most);
        return all;
    }
    let (mut seen, mut found) = (HashSet::new(), Vec::with_capacity(most));
    while found.len() < most {
        let place = random.below(len);
        if seen.insert(place) {
            found.push(place);
        }
    }
    found
}

pub(crate) fn srandmember(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    if call.words.len() > 3 {
        return Err(Fault::Syntax);
    }
    let Some((count, _)) = random_count(call, "")? else {
        let chance = call.keys.random.next();
        let set = call.collection::<Set>(key)?;
        let member = set.and_then(|set| set.nth(scaled(chance, set.len())).map(std::borrow::Cow::into_owned));
        call.out.bulk_or_null(member.as_deref());
        return Ok(());
    };
    let Some(len) = call.collection::<Set>(key)?.map(Set::len) else {
        call.out.array(0);
        return Ok(());
    };
    let places = places(&mut call.keys.random, len, count);
    call.out.array(places.len());
    let Some(set) = call.keys.collection::<Set>(call.client.db, key)? else { return Ok(()) };
    places.into_iter().filter_map(|place| set.nth(place)).for_each(|member| call.out.bulk(&member));
    Ok(())
}

pub(crate) fn spop(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    if call.words.len() > 3 {
        return Err(Fault::Syntax);
    }
    let count = match call.words.len() {
        3 => Some(call.positive(2, "ERR value is out of range, must be positive")?),
        _ => None,
    };
    let Some(len) = call.collection::<Set>(key)?.map(Set::len) else {
        if count.is_some() {
            call.out.set(0)
        } else {
            call.out.null()
        }
        return Ok(());
    };
    let most = i64::try_from(count.unwrap_or(1)).unwrap_or(i64::MAX);
    let places = places(&mut call.keys.random, len, most);
    let taken = call.keys.change_if(db, key, |set: &mut Set| {
        let members: Vec<Vec<u8>> =
            places.iter().filter_map(|place| set.nth(*place)).map(std::borrow::Cow::into_owned).collect();
        members.iter().for_each(|member| {
            set.remove(member);
        });
        members
    })?;
    let taken = taken.unwrap_or_default();
    if count.is_some() {
        call.out.set(taken.len());
    }
    taken.iter().for_each(|member| call.out.bulk(member));
    call.record_nothing();
    if !taken.is_empty() {
        call.touched(key);
        let words: Vec<&[u8]> = [&b"SREM"[..], key].into_iter().chain(taken.iter().map(Vec::as_slice)).collect();
        call.record(&words);
    }
    Ok(())
}

/// How sets are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Combine {
    Inter,
    Union,
    Diff,
}

/// The members of several sets put together, at most so many.
fn combine(call: &mut Call<'_>, keys: &[&[u8]], how: Combine, most: usize) -> Outcome<Set> {
    let mut sets: Vec<Set> = Vec::new();
    let mut is_empty = false;
    for (index, key) in keys.iter().enumerate() {
        // A copy of each: simple, and no more work than to look at each member once. An intersection copies the smallest.
        match call.collection::<Set>(key)? {
            Some(_) if is_empty => {}
            Some(set) if how == Combine::Inter => match sets.first() {
                Some(first) if set.len() >= first.len() => {}
                _ => sets = vec![set.clone()],
            },
            Some(set) if how == Combine::Union && index > 0 => {
                let members: Vec<Vec<u8>> = set.iter().map(std::borrow::Cow::into_owned).collect();
                let Some(all) = sets.first_mut() else { continue };
                members.iter().for_each(|member| {
                    all.add(member);
                });
            }
            Some(set) if index == 0 => sets.push(set.clone()),
            Some(set) => {
                let members: Vec<Vec<u8>> = set.iter().map(std::borrow::Cow::into_owned).collect();
                let Some(all) = sets.first_mut() else { continue };
                members.iter().for_each(|member| {
                    all.remove(member);
                });
            }
            None if how == Combine::Inter => is_empty = true,
            None if index == 0 => sets.push(Set::default()),
            None => {}
        }
    }
    let mut result = if is_empty { Set::default() } else { sets.pop().unwrap_or_default() };
    if how == Combine::Inter && !is_empty {
        let mut found = Set::default();
        for member in result.iter() {
            if found.len() >= most {
                break;
            }
            let mut in_all = true;
            for key in keys {
                in_all =
                    in_all && call.keys.collection::<Set>(call.client.db, key)?.is_some_and(|set| set.has(&member));
            }
            if in_all {
                found.add(&member);
            }
        }
        result = found;
    }
    Ok(result)
}

fn tell(call: &mut Call<'_>, how: Combine) -> Outcome {
    let keys: Vec<&[u8]> = call.words.from(1).collect();
    let set = combine(call, &keys, how, usize::MAX)?;
    call.out.set(set.len());
    set.iter().for_each(|member| call.out.bulk(&member));
    Ok(())
}

fn store(call: &mut Call<'_>, how: Combine) -> Outcome {
    let (db, to) = (call.db(), call.word(1));
    let keys: Vec<&[u8]> = call.words.from(2).collect();
    let set = combine(call, &keys, how, usize::MAX)?;
    call.out.len(set.len());
    if set.len() == 0 {
        call.keys.delete(db, to);
    } else {
        call.keys.put(db, to, Value::Set(Box::new(set)), 0);
        call.touched(to);
    }
    Ok(())
}

pub(crate) fn sinter(call: &mut Call<'_>) -> Outcome {
    tell(call, Combine::Inter)
}

pub(crate) fn sunion(call: &mut Call<'_>) -> Outcome {
    tell(call, Combine::Union)
}

pub(crate) fn sdiff(call: &mut Call<'_>) -> Outcome {
    tell(call, Combine::Diff)
}

pub(crate) fn sinterstore(call: &mut Call<'_>) -> Outcome {
    store(call, Combine::Inter)
}

pub(crate) fn sunionstore(call: &mut Call<'_>) -> Outcome {
    store(call, Combine::Union)
}

pub(crate) fn sdiffstore(call: &mut Call<'_>) -> Outcome {
    store(call, Combine::Diff)
}

/// The number of keys at `place`, and the keys behind it.
pub(crate) fn numbered_keys<'a>(call: &Call<'a>, place: usize, text: &'static str) -> Outcome<Vec<&'a [u8]>> {
    let count = match number::integer(call.word(place)) {
        Some(count) if count > 0 => usize::try_from(count).unwrap_or(usize::MAX),
        _ => return refuse(text),
    };
    if count > call.words.len() - place - 1 {
        return refuse("ERR Number of keys can't be greater than number of args");
    }
    Ok(call.words.from(place + 1).take(count).collect())
}

/// The word LIMIT with a number, behind the keys. No limit is 0.
pub(crate) fn card_limit(call: &Call<'_>, mut at: usize) -> Outcome<usize> {
    let mut limit = 0;
    while at < call.words.len() {
        if !call.words.is(at, "limit") || at + 1 >= call.words.len() {
            return Err(Fault::Syntax);
        }
        limit = call.positive(at + 1, "ERR LIMIT can't be negative")?;
        at += 2;
    }
    Ok(if limit == 0 { usize::MAX } else { limit })
}

pub(crate) fn sintercard(call: &mut Call<'_>) -> Outcome {
    let keys = numbered_keys(call, 1, "ERR numkeys should be greater than 0")?;
    let limit = card_limit(call, 2 + keys.len())?;
    let set = combine(call, &keys, Combine::Inter, limit)?;
    call.out.len(set.len());
    Ok(())
}
