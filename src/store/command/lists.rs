//! Lists.

use super::{
    super::value::{List, list::End},
    Call, Fault, Outcome, refuse, span,
};

pub(crate) fn lpush(call: &mut Call<'_>) -> Outcome {
    push(call, End::Left, false)
}

pub(crate) fn rpush(call: &mut Call<'_>) -> Outcome {
    push(call, End::Right, false)
}

pub(crate) fn lpushx(call: &mut Call<'_>) -> Outcome {
    push(call, End::Left, true)
}

pub(crate) fn rpushx(call: &mut Call<'_>) -> Outcome {
    push(call, End::Right, true)
}

fn push(call: &mut Call<'_>, end: End, only_existing: bool) -> Outcome {
    let (db, key, words) = (call.db(), call.word(1), call.words);
    if only_existing && !call.check::<List>(key)? {
        call.out.int(0);
        return Ok(());
    }
    let len = call.keys.change_or_make(db, key, |list: &mut List| {
        words.from(2).for_each(|item| list.push(end, item));
        list.len()
    })?;
    call.touched(key);
    call.out.len(len);
    Ok(())
}

pub(crate) fn lpop(call: &mut Call<'_>) -> Outcome {
    pop(call, End::Left, "lpop")
}

pub(crate) fn rpop(call: &mut Call<'_>) -> Outcome {
    pop(call, End::Right, "rpop")
}

/// Takes up to so many elements off the end of a list.
pub(crate) fn take(call: &mut Call<'_>, key: &[u8], end: End, most: usize) -> Outcome<Vec<Box<[u8]>>> {
    let taken = call.keys.change_if(call.client.db, key, |list: &mut List| {
        (0..most.min(list.len())).map_while(|_| list.pop(end)).collect::<Vec<_>>()
    })?;
    let taken = taken.unwrap_or_default();
    if !taken.is_empty() {
        call.touched(key);
    }
    Ok(taken)
}

fn pop(call: &mut Call<'_>, end: End, name: &str) -> Outcome {
    let key = call.word(1);
    if call.words.len() > 3 {
        return Err(Fault::Arity(name.to_owned()));
    }
    let count = match call.words.len() {
        3 => Some(call.positive(2, "ERR value is out of range, must be positive")?),
        _ => None,
    };
    if !call.check::<List>(key)? {
        if count.is_some() {
            call.out.null_array()
        } else {
            call.out.null()
        }
        return Ok(());
    }
    let taken = take(call, key, end, count.unwrap_or(1))?;
    match (count, taken.first()) {
        (Some(_), _) => call.out.bulks(taken.iter()),
        (None, Some(item)) => call.out.bulk(item),
        (None, None) => call.out.null(),
    }
    Ok(())
}

pub(crate) fn llen(call: &mut Call<'_>) -> Outcome {
    let len = call.collection::<List>(call.word(1))?.map_or(0, List::len);
    call.out.len(len);
    Ok(())
}

/// A place that may count from the end.
fn place(index: i64, len: usize) -> Option<usize> {
    let signed = i64::try_from(len).unwrap_or(i64::MAX);
    let index = if index < 0 { index.saturating_add(signed) } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

pub(crate) fn lindex(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    let Some(list) = call.keys.collection::<List>(call.client.db, key)? else {
        call.out.null();
        return Ok(());
    };
    let index = super::number::integer(call.words.at(2)).ok_or(Fault::NotInteger)?;
    call.out.bulk_or_null(place(index, list.len()).and_then(|place| list.at(place)));
    Ok(())
}

pub(crate) fn lset(call: &mut Call<'_>) -> Outcome {
    let (key, item) = (call.word(1), call.word(3));
    let Some(len) = call.collection::<List>(key)?.map(List::len) else { return Err(Fault::NoSuchKey) };
    let index = call.integer(2)?;
    let Some(place) = place(index, len) else { return refuse("ERR index out of range") };
    call.keys.change_if(call.client.db, key, |list: &mut List| list.replace(place, item))?;
    call.touched(key);
    call.out.ok();
    Ok(())
}

pub(crate) fn lrange(call: &mut Call<'_>) -> Outcome {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let Some(list) = call.keys.collection::<List>(call.client.db, call.word(1))? else {
        call.out.array(0);
        return Ok(());
    };
    let span = span(start, stop, list.len());
    call.out.bulks(list.range(span.start, span.end));
    Ok(())
}

pub(crate) fn ltrim(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let trimmed = call.keys.change_if(call.client.db, key, |list: &mut List| {
        let (span, len) = (span(start, stop, list.len()), list.len());
        list.keep(span.start, span.end);
        list.len() < len
    })?;
    match trimmed {
        Some(true) => call.touched(key),
        // As the original has it: a transaction that watches the list fails, and nothing is written.
        Some(false) => call.keys.broke(call.client.db, key),
        None => {}
    }
    call.out.ok();
    Ok(())
}

pub(crate) fn lrem(call: &mut Call<'_>) -> Outcome {
    let (key, item) = (call.word(1), call.word(3));
    let count = call.integer(2)?;
    let end = if count < 0 { End::Right } else { End::Left };
    let most = if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let removed = call.keys.change_if(call.client.db, key, |list: &mut List| list.remove(item, most, end))?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        call.touched(key);
    }
    call.out.len(removed);
    Ok(())
}

pub(crate) fn linsert(call: &mut Call<'_>) -> Outcome {
    let (key, pivot, item) = (call.word(1), call.word(3), call.word(4));
    let behind = match &*call.word(2).to_ascii_lowercase() {
        b"before" => 0,
        b"after" => 1,
        _ => return Err(Fault::Syntax),
    };
    let Some(list) = call.collection::<List>(key)? else {
        call.out.int(0);
        return Ok(());
    };
    let Some(place) = list.range(0, list.len()).position(|other| other == pivot) else {
        call.out.int(-1);
        return Ok(());
    };
    let len = call.keys.change_if(call.client.db, key, |list: &mut List| {
        list.insert(place + behind, item);
        list.len()
    })?;
    call.touched(key);
    call.out.len(len.unwrap_or(0));
    Ok(())
}

/// The words behind an element that is looked for.
struct Position {
    rank: i64,
    count: Option<usize>,
    most: usize,
}

fn position(call: &Call<'_>) -> Outcome<Position> {
    let mut found = Position { rank: 1, count: None, most: usize::MAX };
    let mut at = 3;
    while at < call.words.len() {
        let has_next = at + 1 < call.words.len();
        match &*call.word(at).to_ascii_lowercase() {
            b"rank" if has_next => {
                found.rank = call.integer(at + 1)?;
                if found.rank == i64::MIN {
                    return refuse(
                        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                    );
                }
                if found.rank == 0 {
                    return refuse(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
                    );
                }
            }
            b"count" if has_next => found.count = Some(call.positive(at + 1, "ERR COUNT can't be negative")?),
            b"maxlen" if has_next => found.most = call.positive(at + 1, "ERR MAXLEN can't be negative")?,
            _ => return Err(Fault::Syntax),
        }
        at += 2;
    }
    found.most = if found.most == 0 { usize::MAX } else { found.most };
    Ok(found)
}

pub(crate) fn lpos(call: &mut Call<'_>) -> Outcome {
    let item = call.word(2);
    let Position { rank, count, most } = position(call)?;
    let places: Vec<usize> = match call.collection::<List>(call.word(1))? {
        None => Vec::new(),
        Some(list) => {
            let len = list.len();
            let skip = usize::try_from(rank.unsigned_abs()).unwrap_or(usize::MAX) - 1;
            let wanted = match count {
                None => 1,
                Some(0) => usize::MAX,
                Some(count) => count,
            };
            let equal = |place: &usize| list.at(*place) == Some(item);
            if rank > 0 {
                (0..len).take(most).filter(equal).skip(skip).take(wanted).collect()
            } else {
                (0..len).rev().take(most).filter(equal).skip(skip).take(wanted).collect()
            }
        }
    };
    match (count, places.first()) {
        (Some(_), _) => {
            call.out.array(places.len());
            places.iter().for_each(|place| call.out.len(*place));
        }
        (None, Some(place)) => call.out.len(*place),
        (None, None) => call.out.null(),
    }
    Ok(())
}

/// LEFT or RIGHT.
pub(crate) fn end(word: &[u8]) -> Outcome<End> {
    match &*word.to_ascii_lowercase() {
        b"left" => Ok(End::Left),
        b"right" => Ok(End::Right),
        _ => Err(Fault::Syntax),
    }
}

/// Moves one element. Tells whether there was one; if not, nothing was replied.
pub(crate) fn shift(call: &mut Call<'_>, from: End, to: End) -> Outcome<bool> {
    let (source, target) = (call.word(1), call.word(2));
    if !call.check::<List>(source)? {
        return Ok(false);
    }
    call.check::<List>(target)?;
    let moved = if source == target {
        // In one change: a list whose only element goes and comes back is there all the time, and so is its time to expire.
        let turn = |list: &mut List| list.pop(from).inspect(|item| list.push(to, item));
        call.keys.change_if(call.client.db, source, turn)?.flatten()
    } else {
        let item = take(call, source, from, 1)?.pop();
        if let Some(item) = &item {
            call.keys.change_or_make(call.client.db, target, |list: &mut List| list.push(to, item))?;
        }
        item
    };
    let Some(item) = moved else { return Ok(false) };
    call.keys.signal(call.client.db, target);
    call.touched(target);
    call.out.bulk(&item);
    let word = |end| if end == End::Left { &b"LEFT"[..] } else { b"RIGHT" };
    call.record(&[b"LMOVE", source, target, word(from), word(to)]);
    Ok(true)
}

pub(crate) fn rpoplpush(call: &mut Call<'_>) -> Outcome {
    if !shift(call, End::Right, End::Left)? {
        call.out.null();
    }
    Ok(())
}

pub(crate) fn lmove(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (end(call.word(3))?, end(call.word(4))?);
    if !shift(call, from, to)? {
        call.out.null();
    }
    Ok(())
}

/// The keys, the end and the count of LMPOP and BLMPOP, whose number of keys is at `place`.
pub(crate) fn several<'a>(call: &Call<'a>, place: usize) -> Outcome<(Vec<&'a [u8]>, End, usize)> {
    let (keys, rest) = counted_keys(call, place)?;
    let end = end(call.word(rest))?;
    Ok((keys, end, count_word(call, rest + 1)?))
}

/// The keys behind their number, and where the words behind them begin.
pub(crate) fn counted_keys<'a>(call: &Call<'a>, place: usize) -> Outcome<(Vec<&'a [u8]>, usize)> {
    let count = match super::number::integer(call.word(place)) {
        Some(count) if count > 0 => usize::try_from(count).unwrap_or(usize::MAX),
        _ => return refuse("ERR numkeys should be greater than 0"),
    };
    let rest = place.saturating_add(1).saturating_add(count);
    if rest >= call.words.len() {
        return Err(Fault::Syntax);
    }
    Ok((call.words.from(place + 1).take(count).collect(), rest))
}

/// COUNT and a number, or nothing, which is 1.
pub(crate) fn count_word(call: &Call<'_>, mut at: usize) -> Outcome<usize> {
    let mut count = None;
    while at < call.words.len() {
        if count.is_some() || !call.words.is(at, "count") || at + 1 >= call.words.len() {
            return Err(Fault::Syntax);
        }
        let most = call.positive(at + 1, "ERR count should be greater than 0")?;
        if most == 0 {
            return refuse("ERR count should be greater than 0");
        }
        count = Some(most);
        at += 2;
    }
    Ok(count.unwrap_or(1))
}

/// Takes from the first list that has something. Tells whether there was one; if not, nothing was replied.
pub(crate) fn take_several(call: &mut Call<'_>, keys: &[&[u8]], end: End, most: usize) -> Outcome<bool> {
    for key in keys {
        if !call.check::<List>(key)? {
            continue;
        }
        let taken = take(call, key, end, most)?;
        call.out.array(2);
        call.out.bulk(key);
        call.out.bulks(taken.iter());
        let name = if end == End::Left { &b"LPOP"[..] } else { b"RPOP" };
        call.record(&[name, key, taken.len().to_string().as_bytes()]);
        return Ok(true);
    }
    Ok(false)
}

pub(crate) fn lmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, end, most) = several(call, 1)?;
    if !take_several(call, &keys, end, most)? {
        call.out.null_array();
    }
    Ok(())
}
