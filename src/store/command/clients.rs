//! CLIENT: what there is to know about connections, and their end.

use super::{
    super::{client::Replies, world::Effect},
    Call, Fault, Outcome,
    connection::{BAD_NAME, is_name},
    number, refuse, subcommands,
};

const HELP: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are: ADDR, LADDR, ID, USER, TYPE (NORMAL|PUBSUB), SKIPME (YES|NO).",
    "LIST [options ...]",
    "    Return information about client connections. Options: TYPE (NORMAL|PUBSUB), ID <id> [id ...].",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
];

pub(crate) fn client(call: &mut Call<'_>) -> Outcome {
    match &*call.word(1).to_ascii_lowercase() {
        b"id" => {
            call.out.int(i64::try_from(call.client.id).unwrap_or(i64::MAX));
        }
        b"getname" => {
            let name = (!call.client.name.is_empty()).then_some(&*call.client.name);
            call.out.bulk_or_null(name);
        }
        b"setname" => {
            if !is_name(call.word(2)) {
                return refuse(BAD_NAME);
            }
            call.client.name = call.word(2).to_vec();
            call.out.ok();
        }
        b"info" => {
            let line = call.client.describe(&call.world.config.address, call.keys.now);
            call.out.verbatim(format!("{line}\n").as_bytes());
        }
        b"list" => return list(call),
        b"kill" => return kill(call),
        b"reply" => return reply(call),
        b"no-evict" => return on_or_off(call),
        b"getredir" => {
            call.out.int(-1);
        }
        b"unblock" => return unblock(call),
        b"help" => call.out.help(HELP),
        _ => return subcommands::unknown(call.words),
    }
    Ok(())
}

fn on_or_off(call: &mut Call<'_>) -> Outcome {
    if !call.words.is(2, "on") && !call.words.is(2, "off") {
        return Err(Fault::Syntax);
    }
    call.out.ok();
    Ok(())
}

fn reply(call: &mut Call<'_>) -> Outcome {
    match &*call.word(2).to_ascii_lowercase() {
        b"on" => {
            call.client.replies = Replies::On;
            call.out.ok();
        }
        b"off" => call.client.replies = Replies::Off,
        b"skip" => {
            if call.client.replies != Replies::Off {
                call.client.replies = Replies::SkipNext;
            }
        }
        _ => return Err(Fault::Syntax),
    }
    Ok(())
}

/// A kind of client, as TYPE names it.
fn is_pubsub(word: &[u8]) -> Outcome<Option<bool>> {
    match &*word.to_ascii_lowercase() {
        b"normal" => Ok(Some(false)),
        b"pubsub" => Ok(Some(true)),
        b"master" | b"replica" | b"slave" => Ok(None),
        other => refuse(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(other))),
    }
}

fn list(call: &mut Call<'_>) -> Outcome {
    let now = call.keys.now;
    let (mut kind, mut ids) = (None, None);
    if call.words.len() == 4 && call.words.is(2, "type") {
        kind = Some(is_pubsub(call.word(3))?);
    } else if call.words.len() > 3 && call.words.is(2, "id") {
        let mut found = Vec::new();
        for word in call.words.from(3) {
            match number::integer(word).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0) {
                Some(id) => found.push(id),
                None => return refuse("ERR Invalid client ID"),
            }
        }
        ids = Some(found);
    } else if call.words.len() > 2 {
        return Err(Fault::Syntax);
    }
    let all = call.world.clients.iter().chain(std::iter::once(&*call.client));
    let wanted = all.filter(|client| {
        let is_kind = kind.is_none_or(|kind| kind == Some(client.subscribed.count() > 0));
        is_kind && ids.as_ref().is_none_or(|ids| ids.contains(&client.id))
    });
    let mut lines: Vec<(u64, String)> =
        wanted.map(|client| (client.id, client.describe(&call.world.config.address, now))).collect();
    lines.sort_unstable();
    let text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
    call.out.verbatim(text.as_bytes());
    Ok(())
}

/// The clients that are meant.
struct Wanted<'a> {
    address: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    id: Option<u64>,
    kind: Option<Option<bool>>,
    skip_me: bool,
}

fn wanted<'a>(call: &Call<'a>) -> Outcome<Wanted<'a>> {
    let mut wanted = Wanted { address: None, local: None, id: None, kind: None, skip_me: true };
    if call.words.len() == 3 {
        return Ok(Wanted { address: Some(call.word(2)), skip_me: false, ..wanted });
    }
    for at in (2..call.words.len()).step_by(2) {
        if at + 1 >= call.words.len() {
            return Err(Fault::Syntax);
        }
        let value = call.word(at + 1);
        match &*call.word(at).to_ascii_lowercase() {
            b"id" => match number::integer(value).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0) {
                Some(id) => wanted.id = Some(id),
                None => return refuse("ERR client-id should be greater than 0"),
            },
            b"type" => wanted.kind = Some(is_pubsub(value)?),
            b"addr" => wanted.address = Some(value),
            b"laddr" => wanted.local = Some(value),
            b"user" if value == b"default" => {}
            b"user" => return refuse(format!("ERR No such user '{}'", String::from_utf8_lossy(value))),
            b"skipme" => match &*value.to_ascii_lowercase() {
                b"yes" => wanted.skip_me = true,
                b"no" => wanted.skip_me = false,
                _ => return Err(Fault::Syntax),
            },
            _ => return Err(Fault::Syntax),
        }
    }
    Ok(wanted)
}

fn kill(call: &mut Call<'_>) -> Outcome {
    let wanted = wanted(call)?;
    let fits = |client: &super::Client| {
        wanted.address.is_none_or(|address| address == client.address.as_bytes())
            && wanted.local.is_none_or(|local| local == call.world.config.address.as_bytes())
            && wanted.id.is_none_or(|id| id == client.id)
            && wanted.kind.is_none_or(|kind| kind == Some(client.subscribed.count() > 0))
    };
    let mut slots: Vec<usize> =
        call.world.clients.iter().filter(|client| fits(client)).map(|client| client.slot).collect();
    for slot in &slots {
        if let Some(client) = call.world.clients.at(*slot) {
            client.is_closing = true;
        }
        call.world.effects.push(Effect::Close(*slot));
    }
    if fits(call.client) && !wanted.skip_me {
        // It hears so first.
        call.client.is_closing = true;
        slots.push(call.client.slot);
    }
    if call.words.len() > 3 {
        call.out.len(slots.len());
    } else if slots.is_empty() {
        return refuse("ERR No such client");
    } else {
        call.out.ok();
    }
    Ok(())
}

fn unblock(call: &mut Call<'_>) -> Outcome {
    let with_error = match call.words.len() {
        3 => false,
        _ if call.words.is(3, "timeout") => false,
        _ if call.words.is(3, "error") => true,
        _ => return refuse("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
    };
    let id = call.integer(2)?;
    let waits =
        u64::try_from(id).ok().filter(|id| call.world.clients.by_id(*id).is_some_and(|client| client.wait.is_some()));
    if let Some(id) = waits {
        call.world.unblock.push((id, with_error));
    }
    call.out.int(i64::from(waits.is_some()));
    Ok(())
}
