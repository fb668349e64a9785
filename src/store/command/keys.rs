//! Keys, whatever they hold.

use super::{
    super::{
        config::{DATABASES, seconds, uses},
        glob,
        value::{Text, Value},
    },
    Call, Fault, Outcome, number, refuse, subcommands,
};

pub(crate) fn del(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    let removed = call.words.from(1).filter(|key| call.keys.delete(db, key).is_some()).count();
    call.out.len(removed);
    Ok(())
}

pub(crate) fn unlink(call: &mut Call<'_>) -> Outcome {
    del(call)
}

pub(crate) fn exists(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    let count = call.words.from(1).filter(|key| call.keys.look(db, key).is_some()).count();
    call.out.len(count);
    Ok(())
}

pub(crate) fn touch(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    let count = call.words.from(1).filter(|key| call.keys.read(db, key).is_some()).count();
    call.out.len(count);
    Ok(())
}

pub(crate) fn kind(call: &mut Call<'_>) -> Outcome {
    let kind = call.keys.look(call.client.db, call.word(1)).map_or("none", |entry| entry.value.kind());
    call.out.simple(kind);
    Ok(())
}

pub(crate) fn keys(call: &mut Call<'_>) -> Outcome {
    let (db, pattern, now) = (call.db(), call.word(1), call.keys.now);
    let all = call.keys.dbs[db].keys.iter();
    let alive = all.filter(|(_, entry)| entry.expires == 0 || entry.expires > now);
    let found: Vec<&[u8]> = alive.map(|(key, _)| &**key).filter(|key| glob::matches(pattern, key)).collect();
    call.out.bulks(found.iter());
    Ok(())
}

/// Keys that are tried until one has not expired.
const TRIES: usize = 100;

pub(crate) fn randomkey(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    for _ in 0..TRIES {
        let len = call.keys.dbs[db].keys.len();
        if len == 0 {
            break;
        }
        let place = call.keys.random.below(len);
        let key = call.keys.dbs[db].keys.get_index(place).map(|(key, _)| key.clone());
        if let Some(key) = key.filter(|key| call.keys.exists(db, key)) {
            call.out.bulk(&key);
            return Ok(());
        }
    }
    call.out.null();
    Ok(())
}

fn rename_to(call: &mut Call<'_>, only_new: bool) -> Outcome<bool> {
    let (db, from, to) = (call.db(), call.word(1), call.word(2));
    if !call.keys.exists(db, from) {
        return Err(Fault::NoSuchKey);
    }
    if from == to {
        return Ok(!only_new);
    }
    if only_new && call.keys.exists(db, to) {
        return Ok(false);
    }
    let Some(entry) = call.keys.delete(db, from) else { return Err(Fault::NoSuchKey) };
    call.keys.put(db, to, entry.value, entry.expires);
    call.touched(to);
    Ok(true)
}

pub(crate) fn rename(call: &mut Call<'_>) -> Outcome {
    rename_to(call, false)?;
    call.out.ok();
    Ok(())
}

pub(crate) fn renamenx(call: &mut Call<'_>) -> Outcome {
    let renamed = rename_to(call, true)?;
    call.out.int(i64::from(renamed));
    Ok(())
}

/// The number of a database.
pub(crate) fn database(word: &[u8]) -> Outcome<usize> {
    let number = number::integer(word).ok_or(Fault::NotInteger)?;
    if i32::try_from(number).is_err() {
        return refuse("ERR value is out of range, value must between -2147483648 and 2147483647");
    }
    match usize::try_from(number) {
        Ok(db) if db < DATABASES => Ok(db),
        _ => refuse("ERR DB index is out of range"),
    }
}

pub(crate) fn move_key(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let to = database(call.word(2))?;
    if db == to {
        return refuse("ERR source and destination objects are the same");
    }
    let moved = call.keys.exists(db, key) && !call.keys.exists(to, key);
    if moved && let Some(entry) = call.keys.delete(db, key) {
        call.keys.put(to, key, entry.value, entry.expires);
        call.keys.touched(to, key);
    }
    call.out.int(i64::from(moved));
    Ok(())
}

pub(crate) fn copy(call: &mut Call<'_>) -> Outcome {
    let (db, from, to) = (call.db(), call.word(1), call.word(2));
    let (mut target, mut replace, mut at) = (db, false, 3);
    while at < call.words.len() {
        if call.words.is(at, "replace") {
            replace = true;
        } else if call.words.is(at, "db") && at + 1 < call.words.len() {
            at += 1;
            target = database(call.word(at))?;
        } else {
            return Err(Fault::Syntax);
        }
        at += 1;
    }
    if target == db && from == to {
        return refuse("ERR source and destination objects are the same");
    }
    let source = call.keys.peek(db, from).map(|entry| (entry.value.clone(), entry.expires));
    let is_free = replace || !call.keys.exists(target, to);
    let copied = match source {
        Some((value, expires)) if is_free => {
            call.keys.put(target, to, value, expires);
            call.keys.touched(target, to);
            true
        }
        _ => false,
    };
    call.out.int(i64::from(copied));
    Ok(())
}

pub(crate) fn dbsize(call: &mut Call<'_>) -> Outcome {
    let len = call.keys.dbs[call.client.db].keys.len();
    call.out.len(len);
    Ok(())
}

/// Both words that may follow are for a server that frees memory on another thread.
fn flush_words(call: &Call<'_>) -> Outcome {
    match call.words.len() {
        1 => Ok(()),
        2 if call.words.is(1, "sync") || call.words.is(1, "async") => Ok(()),
        _ => Err(Fault::Syntax),
    }
}

pub(crate) fn flushdb(call: &mut Call<'_>) -> Outcome {
    flush_words(call)?;
    call.keys.flush(call.client.db);
    call.keys.changes += 1;
    call.out.ok();
    Ok(())
}

pub(crate) fn flushall(call: &mut Call<'_>) -> Outcome {
    flush_words(call)?;
    for db in 0..DATABASES {
        call.keys.flush(db);
    }
    call.keys.changes += 1;
    call.out.ok();
    Ok(())
}

pub(crate) fn swapdb(call: &mut Call<'_>) -> Outcome {
    let number = |word: &[u8], text| {
        number::integer(word).and_then(|number| i32::try_from(number).ok()).map_or(refuse(text), Ok)
    };
    number(call.word(1), "ERR invalid first DB index")?;
    number(call.word(2), "ERR invalid second DB index")?;
    let (a, b) = (database(call.word(1))?, database(call.word(2))?);
    call.keys.swap(a, b);
    call.keys.changes += 1;
    call.out.ok();
    Ok(())
}

pub(crate) fn object(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.word(2));
    let what = call.word(1).to_ascii_lowercase();
    match &*what {
        b"help" => {
            call.out.help(&[
                "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                "ENCODING <key>",
                "    Return the kind of internal representation used in order to store the value",
                "    associated with a <key>.",
                "FREQ <key>",
                "    Return the access frequency index of the <key>. The returned integer is",
                "    proportional to the logarithm of the recent access frequency of the key.",
                "IDLETIME <key>",
                "    Return the idle time of the <key>, that is the approximated number of",
                "    seconds elapsed since the last access to the key.",
                "REFCOUNT <key>",
                "    Return the number of references of the value associated with the specified",
                "    <key>.",
            ]);
            return Ok(());
        }
        b"encoding" | b"refcount" | b"idletime" | b"freq" => {}
        _ => return subcommands::unknown(call.words),
    }
    let (now, counts) = (call.keys.now, call.keys.policy.counts());
    let may_share = call.world.config.max_memory == 0 || !call.keys.policy.remembers();
    let Some(entry) = call.keys.peek(db, key) else {
        call.out.null();
        return Ok(());
    };
    match &*what {
        b"encoding" => call.out.bulk(entry.value.encoding().as_bytes()),
        // The original has small integers once, for all keys, unless each value has to keep its own time of use.
        b"refcount" => {
            let is_shared = matches!(entry.value, Value::Text(Text::Int(0..10_000))) && may_share;
            call.out.int(if is_shared { i64::from(i32::MAX) } else { 1 });
        }
        b"freq" if counts => call.out.int(i64::from(uses(entry.access, now))),
        b"freq" => {
            return refuse(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            );
        }
        _ if counts => {
            return refuse(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            );
        }
        _ => call.out.int(i64::from(seconds(now).wrapping_sub(entry.access))),
    }
    Ok(())
}

pub(crate) fn memory(call: &mut Call<'_>) -> Outcome {
    match &*call.word(1).to_ascii_lowercase() {
        b"usage" => {
            match call.words.len() {
                3 => {}
                5 if call.words.is(3, "samples") => {
                    call.positive(4, "ERR value is not an integer or out of range")?;
                }
                _ => return Err(Fault::Syntax),
            }
            let key = call.word(2);
            match call.keys.peek(call.client.db, key).map(|entry| entry.value.weight()) {
                Some(weight) => call.out.len(weight + key.len() + size_of::<super::super::keyspace::Entry>() + 32),
                None => call.out.null(),
            }
        }
        b"doctor" => {
            call.out.verbatim(b"The numbers of memory are in INFO memory: this server has no doctor.\n");
        }
        b"purge" => {
            call.out.ok();
        }
        b"help" => call.out.help(&[
            "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value.",
        ]),
        _ => return subcommands::unknown(call.words),
    }
    Ok(())
}
