//! Commands that wait until there is an element.
//!
//! A command that finds nothing says for which keys it waits, and until when ([`Call::wait`]). It is run again as a whole when one of them
//! has something; the client that has waited longest is the first.

use super::{
    super::{
        client::Wait,
        value::{List, ZSet, list::End},
    },
    Call, Outcome, Why, lists, number, refuse, zsets,
};
use std::time::Duration;

/// The longest time to wait in seconds, so that no sum overflows.
const LONGEST: f64 = 1e9;

/// A time to wait in seconds; `None`: for ever.
fn timeout(word: &[u8]) -> Outcome<Option<Duration>> {
    let Some(seconds) = number::float(word) else { return refuse("ERR timeout is not a float or out of range") };
    if seconds < 0.0 {
        return refuse("ERR timeout is negative");
    }
    if seconds > i64::MAX as f64 / 1000.0 {
        return refuse("ERR timeout is out of range");
    }
    // Less than a millisecond is one.
    let wait = Duration::from_secs_f64(seconds.min(LONGEST)).max(Duration::from_millis(1));
    Ok((seconds > 0.0).then_some(wait))
}

impl Call<'_> {
    /// Those of the keys that the command may take from: for a client that waits, the one that was written to.
    fn open<'k>(&self, keys: &[&'k [u8]]) -> Vec<&'k [u8]> {
        let is_open = |key: &&&[u8]| if let Why::Ready(ready) = self.why { **key == ready } else { true };
        keys.iter().filter(is_open).copied().collect()
    }

    /// Nothing is there: waits for these keys, or tells so at once within a transaction. `has_arrays`: the command answers with arrays.
    fn wait(&mut self, keys: &[&[u8]], timeout: Option<Duration>, has_arrays: bool) {
        if matches!(self.why, Why::Queued) {
            if has_arrays {
                self.out.null_array()
            } else {
                self.out.null()
            }
            return;
        }
        let db = self.db();
        let until = timeout.map(|timeout| self.world.now.instant + timeout);
        let mut places: Vec<_> = Vec::with_capacity(keys.len());
        for key in keys {
            let place = (db, (*key).into());
            if !places.contains(&place) {
                places.push(place);
            }
        }
        self.client.wait = Some(Box::new(Wait { words: self.words.keep(), keys: places, until }));
    }
}

pub(crate) fn blpop(call: &mut Call<'_>) -> Outcome {
    pop(call, End::Left)
}

pub(crate) fn brpop(call: &mut Call<'_>) -> Outcome {
    pop(call, End::Right)
}

fn pop(call: &mut Call<'_>, end: End) -> Outcome {
    let last = call.words.len() - 1;
    let timeout = timeout(call.word(last))?;
    let keys: Vec<&[u8]> = call.words.from(1).take(last - 1).collect();
    for key in &call.open(&keys) {
        if !call.check::<List>(key)? {
            continue;
        }
        let taken = lists::take(call, key, end, 1)?;
        call.out.array(2);
        call.out.bulk(key);
        taken.iter().for_each(|item| call.out.bulk(item));
        call.record(&[if end == End::Left { b"LPOP" } else { b"RPOP" }, key]);
        return Ok(());
    }
    call.wait(&keys, timeout, true);
    Ok(())
}

pub(crate) fn bzpopmin(call: &mut Call<'_>) -> Outcome {
    zpop(call, false)
}

pub(crate) fn bzpopmax(call: &mut Call<'_>) -> Outcome {
    zpop(call, true)
}

fn zpop(call: &mut Call<'_>, highest: bool) -> Outcome {
    let last = call.words.len() - 1;
    let timeout = timeout(call.word(last))?;
    let keys: Vec<&[u8]> = call.words.from(1).take(last - 1).collect();
    for key in &call.open(&keys) {
        if !call.check::<ZSet>(key)? {
            continue;
        }
        let taken = zsets::take(call, key, highest, 1)?;
        call.out.array(3);
        call.out.bulk(key);
        for (member, score) in taken {
            call.out.bulk(&member);
            call.out.double(score);
        }
        call.record(&[if highest { b"ZPOPMAX" } else { b"ZPOPMIN" }, key]);
        return Ok(());
    }
    call.wait(&keys, timeout, true);
    Ok(())
}

pub(crate) fn blmove(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (lists::end(call.word(3))?, lists::end(call.word(4))?);
    shift(call, from, to, 5)
}

pub(crate) fn brpoplpush(call: &mut Call<'_>) -> Outcome {
    shift(call, End::Right, End::Left, 3)
}

fn shift(call: &mut Call<'_>, from: End, to: End, place: usize) -> Outcome {
    let timeout = timeout(call.word(place))?;
    if !lists::shift(call, from, to)? {
        call.wait(&[call.word(1)], timeout, false);
    }
    Ok(())
}

pub(crate) fn blmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, end, most) = lists::several(call, 2)?;
    let timeout = timeout(call.word(1))?;
    if !lists::take_several(call, &call.open(&keys), end, most)? {
        call.wait(&keys, timeout, true);
    }
    Ok(())
}

pub(crate) fn bzmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, highest, most) = zsets::several(call, 2)?;
    let timeout = timeout(call.word(1))?;
    if !zsets::take_several(call, &call.open(&keys), highest, most)? {
        call.wait(&keys, timeout, true);
    }
    Ok(())
}
