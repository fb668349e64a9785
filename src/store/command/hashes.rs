//! Hashes.

use super::{
    super::{extended, value::Hash},
    Call, Fault, Outcome, number, refuse, sets,
};

fn write(call: &mut Call<'_>, name: &str) -> Outcome<i64> {
    if call.words.len() % 2 == 1 {
        return Err(Fault::Arity(name.to_owned()));
    }
    let (key, words) = (call.word(1), call.words);
    let added = call.keys.change_or_make(call.client.db, key, |hash: &mut Hash| {
        let pairs = (2..words.len()).step_by(2).map(|place| (words.at(place), words.at(place + 1)));
        pairs.map(|(field, value)| i64::from(hash.set(field, value))).sum::<i64>()
    })?;
    call.touched(key);
    Ok(added)
}

pub(crate) fn hset(call: &mut Call<'_>) -> Outcome {
    let added = write(call, "hset")?;
    call.out.int(added);
    Ok(())
}

pub(crate) fn hmset(call: &mut Call<'_>) -> Outcome {
    write(call, "hmset")?;
    call.out.ok();
    Ok(())
}

pub(crate) fn hsetnx(call: &mut Call<'_>) -> Outcome {
    let (key, field, value) = (call.word(1), call.word(2), call.word(3));
    let added = call
        .keys
        .change_or_make(call.client.db, key, |hash: &mut Hash| hash.at(field).is_none() && hash.set(field, value))?;
    if added {
        call.touched(key);
    }
    call.out.int(i64::from(added));
    Ok(())
}

pub(crate) fn hget(call: &mut Call<'_>) -> Outcome {
    let hash: Option<&Hash> = call.keys.collection(call.client.db, call.word(1))?;
    call.out.bulk_or_null(hash.and_then(|hash| hash.at(call.words.at(2))));
    Ok(())
}

pub(crate) fn hmget(call: &mut Call<'_>) -> Outcome {
    let hash: Option<&Hash> = call.keys.collection(call.client.db, call.word(1))?;
    call.out.array(call.words.len() - 2);
    for field in call.words.from(2) {
        call.out.bulk_or_null(hash.and_then(|hash| hash.at(field)));
    }
    Ok(())
}

pub(crate) fn hgetall(call: &mut Call<'_>) -> Outcome {
    let Some(hash) = call.keys.collection::<Hash>(call.client.db, call.word(1))? else {
        call.out.map(0);
        return Ok(());
    };
    call.out.map(hash.len());
    for (field, value) in hash.iter() {
        call.out.bulk(field);
        call.out.bulk(value);
    }
    Ok(())
}

pub(crate) fn hkeys(call: &mut Call<'_>) -> Outcome {
    let Some(hash) = call.keys.collection::<Hash>(call.client.db, call.word(1))? else {
        call.out.array(0);
        return Ok(());
    };
    call.out.bulks(hash.iter().map(|(field, _)| field));
    Ok(())
}

pub(crate) fn hvals(call: &mut Call<'_>) -> Outcome {
    let Some(hash) = call.keys.collection::<Hash>(call.client.db, call.word(1))? else {
        call.out.array(0);
        return Ok(());
    };
    call.out.bulks(hash.iter().map(|(_, value)| value));
    Ok(())
}

pub(crate) fn hdel(call: &mut Call<'_>) -> Outcome {
    call.remove_words(|hash: &mut Hash, field| hash.remove(field))
}

pub(crate) fn hexists(call: &mut Call<'_>) -> Outcome {
    let hash: Option<&Hash> = call.keys.collection(call.client.db, call.word(1))?;
    let has = hash.is_some_and(|hash| hash.at(call.words.at(2)).is_some());
    call.out.int(i64::from(has));
    Ok(())
}

pub(crate) fn hlen(call: &mut Call<'_>) -> Outcome {
    let len = call.collection::<Hash>(call.word(1))?.map_or(0, Hash::len);
    call.out.len(len);
    Ok(())
}

pub(crate) fn hstrlen(call: &mut Call<'_>) -> Outcome {
    let hash: Option<&Hash> = call.keys.collection(call.client.db, call.word(1))?;
    let len = hash.and_then(|hash| hash.at(call.words.at(2))).map_or(0, <[u8]>::len);
    call.out.len(len);
    Ok(())
}

pub(crate) fn hincrby(call: &mut Call<'_>) -> Outcome {
    let (key, field) = (call.word(1), call.word(2));
    let by = call.integer(3)?;
    let before = match call.collection::<Hash>(key)?.and_then(|hash| hash.at(field)) {
        Some(value) => number::integer(value).ok_or(Fault::Text("ERR hash value is not an integer".into()))?,
        None => 0,
    };
    let Some(sum) = before.checked_add(by) else { return refuse("ERR increment or decrement would overflow") };
    call.keys.change_or_make(call.client.db, key, |hash: &mut Hash| {
        hash.set(field, number::Decimal::new(sum).bytes());
    })?;
    call.touched(key);
    call.out.int(sum);
    Ok(())
}

pub(crate) fn hincrbyfloat(call: &mut Call<'_>) -> Outcome {
    let (key, field) = (call.word(1), call.word(2));
    let by = number::addend(call.word(3)).ok_or(Fault::NotFloat)?;
    if by.is_infinite() {
        return refuse("ERR value is NaN or Infinity");
    }
    let before = call.collection::<Hash>(key)?.and_then(|hash| hash.at(field)).map(<[u8]>::to_vec);
    if before.as_deref().is_some_and(|before| number::addend(before).is_none()) {
        return refuse("ERR hash value is not a float");
    }
    let sum = extended::sum(before.as_deref(), call.word(3))?;
    call.keys.change_or_make(call.client.db, key, |hash: &mut Hash| {
        hash.set(field, sum.as_bytes());
    })?;
    call.touched(key);
    call.record(&[b"HSET", key, field, sum.as_bytes()]);
    call.out.bulk(sum.as_bytes());
    Ok(())
}

pub(crate) fn hrandfield(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    let Some((count, with_values)) = sets::random_count(call, "withvalues")? else {
        let chance = call.keys.random.next();
        let hash = call.collection::<Hash>(key)?;
        let field = hash.and_then(|hash| hash.nth(sets::scaled(chance, hash.len())).map(|(field, _)| field.to_vec()));
        call.out.bulk_or_null(field.as_deref());
        return Ok(());
    };
    let Some(len) = call.collection::<Hash>(key)?.map(Hash::len) else {
        call.out.array(0);
        return Ok(());
    };
    let places = sets::places(&mut call.keys.random, len, count);
    let nested = with_values && call.out.resp3;
    call.out.array(places.len() * if with_values && !nested { 2 } else { 1 });
    let Some(hash) = call.keys.collection::<Hash>(call.client.db, key)? else { return Ok(()) };
    for (field, value) in places.into_iter().filter_map(|place| hash.nth(place)) {
        if nested {
            call.out.array(2);
        }
        call.out.bulk(field);
        if with_values {
            call.out.bulk(value);
        }
    }
    Ok(())
}
