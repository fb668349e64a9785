//! Sorted sets: members and their scores.

use super::{
    super::value::{Added, ZSet},
    Call, Fault, Outcome, Value, lists, number, refuse, sets,
};

/// The words before the scores of ZADD.
#[derive(Default)]
struct Options {
    only_new: bool,
    only_existing: bool,
    greater: bool,
    less: bool,
    changed: bool,
    increment: bool,
}

/// The effect on one member.
enum Step {
    Skipped,
    /// The score would be none.
    NotANumber,
    Done(Added, f64),
}

fn step(zset: &mut ZSet, options: &Options, member: &[u8], value: f64) -> Step {
    let before = zset.score(member);
    if (before.is_some() && options.only_new) || (before.is_none() && options.only_existing) {
        return Step::Skipped;
    }
    let value = if options.increment { before.unwrap_or(0.0) + value } else { value };
    if value.is_nan() {
        return Step::NotANumber;
    }
    if let Some(before) = before
        && ((options.greater && value <= before) || (options.less && value >= before))
    {
        return Step::Skipped;
    }
    Step::Done(zset.add(member, value), value)
}

fn options(call: &Call<'_>) -> (Options, usize) {
    let (mut options, mut at) = (Options::default(), 2);
    loop {
        match &*call.word(at).to_ascii_lowercase() {
            b"nx" => options.only_new = true,
            b"xx" => options.only_existing = true,
            b"gt" => options.greater = true,
            b"lt" => options.less = true,
            b"ch" => options.changed = true,
            b"incr" => options.increment = true,
            _ => return (options, at),
        }
        at += 1;
    }
}

fn pairs(call: &Call<'_>, options: &Options, at: usize) -> Outcome<Vec<f64>> {
    let left = call.words.len() - at;
    if left == 0 || left % 2 == 1 {
        return Err(Fault::Syntax);
    }
    if options.only_new && options.only_existing {
        return refuse("ERR XX and NX options at the same time are not compatible");
    }
    if (options.greater && options.less) || (options.only_new && (options.greater || options.less)) {
        return refuse("ERR GT, LT, and/or NX options at the same time are not compatible");
    }
    if options.increment && left > 2 {
        return refuse("ERR INCR option supports a single increment-element pair");
    }
    (at..call.words.len()).step_by(2).map(|place| call.float(place)).collect()
}

pub(crate) fn zadd(call: &mut Call<'_>) -> Outcome {
    let (options, at) = options(call);
    add(call, &options, at)
}

pub(crate) fn zincrby(call: &mut Call<'_>) -> Outcome {
    // As the original reads it, an option may stand before the increment. So the word NX is no increment that is no number.
    let (options, at) = options(call);
    add(call, &Options { increment: true, ..options }, at)
}

fn add(call: &mut Call<'_>, options: &Options, at: usize) -> Outcome {
    let (db, key, words) = (call.db(), call.word(1), call.words);
    let scores = pairs(call, options, at)?;
    let exists = call.check::<ZSet>(key)?;
    let (mut added, mut moved, mut last) = (0, 0, None);
    if exists || !options.only_existing {
        let result = call.keys.change_or_make(db, key, |zset: &mut ZSet| {
            for (index, value) in scores.iter().enumerate() {
                match step(zset, options, words.at(at + index * 2 + 1), *value) {
                    Step::Skipped => {}
                    Step::NotANumber => return refuse("ERR resulting score is not a number (NaN)"),
                    Step::Done(what, score) => {
                        last = Some(score);
                        added += i64::from(what == Added::New);
                        moved += i64::from(what == Added::Moved);
                    }
                }
            }
            Ok(())
        })?;
        if added + moved > 0 {
            call.touched(key);
            call.keys.signal(db, key);
        }
        result?;
    }
    match (options.increment, last) {
        (true, Some(score)) => call.out.double(score),
        (true, None) => call.out.null(),
        (false, _) => call.out.int(added + if options.changed { moved } else { 0 }),
    }
    Ok(())
}

pub(crate) fn zcard(call: &mut Call<'_>) -> Outcome {
    let len = call.collection::<ZSet>(call.word(1))?.map_or(0, ZSet::len);
    call.out.len(len);
    Ok(())
}

fn double_or_null(call: &mut Call<'_>, value: Option<f64>) {
    match value {
        Some(value) => call.out.double(value),
        None => call.out.null(),
    }
}

pub(crate) fn zscore(call: &mut Call<'_>) -> Outcome {
    let member = call.word(2);
    let value = call.collection::<ZSet>(call.word(1))?.and_then(|zset| zset.score(member));
    double_or_null(call, value);
    Ok(())
}

pub(crate) fn zmscore(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let zset = call.collection::<ZSet>(call.word(1))?;
    let scores: Vec<Option<f64>> = words.from(2).map(|member| zset.and_then(|zset| zset.score(member))).collect();
    call.out.array(scores.len());
    scores.into_iter().for_each(|value| double_or_null(call, value));
    Ok(())
}

pub(crate) fn zrem(call: &mut Call<'_>) -> Outcome {
    call.remove_words(|zset: &mut ZSet, member| zset.remove(member).is_some())
}

pub(crate) fn zrank(call: &mut Call<'_>) -> Outcome {
    rank(call, false)
}

pub(crate) fn zrevrank(call: &mut Call<'_>) -> Outcome {
    rank(call, true)
}

fn rank(call: &mut Call<'_>, down: bool) -> Outcome {
    let member = call.word(2);
    let zset = call.collection::<ZSet>(call.word(1))?;
    let rank = zset.and_then(|zset| zset.rank(member).map(|rank| if down { zset.len() - 1 - rank } else { rank }));
    match rank {
        Some(rank) => call.out.len(rank),
        None => call.out.null(),
    }
    Ok(())
}

/// A member and its score.
pub(crate) type Scored = (Vec<u8>, f64);

/// Takes up to so many members, the lowest or the highest first.
pub(crate) fn take(call: &mut Call<'_>, key: &[u8], highest: bool, most: usize) -> Outcome<Vec<Scored>> {
    let taken = call.keys.change_if(call.client.db, key, |zset: &mut ZSet| {
        let owned = |(member, score): (&[u8], f64)| (member.to_vec(), score);
        let taken: Vec<Scored> = if highest {
            zset.by_rank_down(0).take(most).map(owned).collect()
        } else {
            zset.by_rank(0).take(most).map(owned).collect()
        };
        taken.iter().for_each(|(member, _)| {
            zset.remove(member);
        });
        taken
    })?;
    let taken = taken.unwrap_or_default();
    if !taken.is_empty() {
        call.touched(key);
    }
    Ok(taken)
}

pub(crate) fn zpopmin(call: &mut Call<'_>) -> Outcome {
    pop(call, false)
}

pub(crate) fn zpopmax(call: &mut Call<'_>) -> Outcome {
    pop(call, true)
}

fn pop(call: &mut Call<'_>, highest: bool) -> Outcome {
    let key = call.word(1);
    if call.words.len() > 3 {
        return Err(Fault::Syntax);
    }
    let count = match call.words.len() {
        3 => Some(call.positive(2, "ERR value is out of range, must be positive")?),
        _ => None,
    };
    let taken = if call.check::<ZSet>(key)? { take(call, key, highest, count.unwrap_or(1))? } else { Vec::new() };
    // With a count, RESP3 has a list of pairs; without, one pair.
    let nested = call.out.resp3 && count.is_some();
    call.out.array(taken.len() * if nested { 1 } else { 2 });
    for (member, score) in taken {
        if nested {
            call.out.array(2);
        }
        call.out.bulk(&member);
        call.out.double(score);
    }
    Ok(())
}

/// The keys, whether the highest are taken, and the count of ZMPOP and BZMPOP.
pub(crate) fn several<'a>(call: &Call<'a>, place: usize) -> Outcome<(Vec<&'a [u8]>, bool, usize)> {
    let (keys, rest) = lists::counted_keys(call, place)?;
    let highest = match &*call.word(rest).to_ascii_lowercase() {
        b"min" => false,
        b"max" => true,
        _ => return Err(Fault::Syntax),
    };
    Ok((keys, highest, lists::count_word(call, rest + 1)?))
}

/// Takes from the first sorted set that has something. Tells whether there was one; if not, nothing was replied.
pub(crate) fn take_several(call: &mut Call<'_>, keys: &[&[u8]], highest: bool, most: usize) -> Outcome<bool> {
    for key in keys {
        if !call.check::<ZSet>(key)? {
            continue;
        }
        let taken = take(call, key, highest, most)?;
        call.out.array(2);
        call.out.bulk(key);
        call.out.array(taken.len());
        for (member, score) in &taken {
            call.out.array(2);
            call.out.bulk(member);
            call.out.double(*score);
        }
        let name = if highest { &b"ZPOPMAX"[..] } else { b"ZPOPMIN" };
        call.record(&[name, key, taken.len().to_string().as_bytes()]);
        return Ok(true);
    }
    Ok(false)
}

pub(crate) fn zmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, highest, most) = several(call, 1)?;
    if !take_several(call, &keys, highest, most)? {
        call.out.null_array();
    }
    Ok(())
}

pub(crate) fn zrandmember(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    let Some((count, with_scores)) = sets::random_count(call, "withscores")? else {
        let chance = call.keys.random.next();
        let zset = call.collection::<ZSet>(key)?;
        let member = zset.and_then(|zset| zset.nth(sets::scaled(chance, zset.len())).map(|(name, _)| name.to_vec()));
        call.out.bulk_or_null(member.as_deref());
        return Ok(());
    };
    let Some(len) = call.collection::<ZSet>(key)?.map(ZSet::len) else {
        call.out.array(0);
        return Ok(());
    };
    let places = sets::places(&mut call.keys.random, len, count);
    let nested = with_scores && call.out.resp3;
    call.out.array(places.len() * if with_scores && !nested { 2 } else { 1 });
    let Some(zset) = call.keys.collection::<ZSet>(call.client.db, key)? else { return Ok(()) };
    for (member, value) in places.into_iter().filter_map(|place| zset.nth(place)) {
        if nested {
            call.out.array(2);
        }
        call.out.bulk(member);
        if with_scores {
            call.out.double(value);
        }
    }
    Ok(())
}

/// Replies with members, and their scores if they are asked for.
pub(crate) fn reply(call: &mut Call<'_>, members: &[Scored], with_scores: bool) {
    let nested = with_scores && call.out.resp3;
    call.out.array(members.len() * if with_scores && !nested { 2 } else { 1 });
    for (member, value) in members {
        if nested {
            call.out.array(2);
        }
        call.out.bulk(member);
        if with_scores {
            call.out.double(*value);
        }
    }
}

/// Gives a key these members in place of all that it was, and replies with their number.
pub(crate) fn store(call: &mut Call<'_>, key: &[u8], members: &[Scored]) {
    let db = call.db();
    let mut zset = ZSet::default();
    members.iter().for_each(|(member, score)| {
        zset.add(member, *score);
    });
    call.out.len(zset.len());
    if zset.len() == 0 {
        call.keys.delete(db, key);
    } else {
        call.keys.put(db, key, Value::ZSet(Box::new(zset)), 0);
        call.touched(key);
    }
}

/// A weight or a score that may be infinite.
pub(crate) fn weight(word: &[u8]) -> Outcome<f64> {
    number::float(word).ok_or(Fault::Text("ERR weight value is not a float".into()))
}
