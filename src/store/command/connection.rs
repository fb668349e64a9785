//! The connection itself: who the client is, and which protocol it speaks.

use super::{super::client::Replies, Call, Fault, Outcome, keys, number, refuse, transactions};

/// The version whose answers these are. Clients choose by it what they may ask.
pub(crate) const VERSION: &str = "7.0.15";

pub(crate) fn ping(call: &mut Call<'_>) -> Outcome {
    if call.words.len() > 2 {
        return Err(Fault::Arity("ping".to_owned()));
    }
    let text = call.words.from(1).next();
    if !call.out.resp3 && call.client.subscribed.count() > 0 {
        call.out.array(2);
        call.out.bulk(b"pong");
        call.out.bulk(text.unwrap_or_default());
    } else {
        match text {
            Some(text) => call.out.bulk(text),
            None => call.out.simple("PONG"),
        }
    }
    Ok(())
}

pub(crate) fn echo(call: &mut Call<'_>) -> Outcome {
    call.out.bulk(call.words.at(1));
    Ok(())
}

pub(crate) fn select(call: &mut Call<'_>) -> Outcome {
    call.client.db = keys::database(call.word(1))?;
    call.out.ok();
    Ok(())
}

pub(crate) fn quit(call: &mut Call<'_>) -> Outcome {
    call.out.ok();
    call.client.is_closing = true;
    Ok(())
}

pub(crate) fn reset(call: &mut Call<'_>) -> Outcome {
    call.client.multi = None;
    transactions::forget(call);
    call.world.channels.leave_all(call.client);
    call.client.is_monitor = false;
    call.world.monitors.swap_remove(&call.client.id);
    call.client.db = 0;
    call.client.resp3 = false;
    call.out.resp3 = false;
    call.client.name.clear();
    if call.client.replies != Replies::Skip {
        call.client.replies = Replies::On;
    }
    call.client.is_known = call.world.config.password.is_empty();
    call.out.simple("RESET");
    Ok(())
}

/// Whether these are the name and the password of the one user there is. Takes as long for each wrong password of one length.
fn is_right(call: &Call<'_>, user: &[u8], password: &[u8]) -> bool {
    let right = call.world.config.password.as_bytes();
    let differs = right.iter().zip(password).fold(right.len() ^ password.len(), |sum, (a, b)| sum | usize::from(a ^ b));
    user == b"default" && (right.is_empty() || differs == 0)
}

const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";

pub(crate) fn auth(call: &mut Call<'_>) -> Outcome {
    let (user, password) = match call.words.len() {
        2 => (&b"default"[..], call.word(1)),
        3 => (call.word(1), call.word(2)),
        _ => return Err(Fault::Syntax),
    };
    if call.words.len() == 2 && call.world.config.password.is_empty() {
        return refuse(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        );
    }
    if !is_right(call, user, password) {
        return refuse(WRONG);
    }
    call.client.is_known = true;
    call.out.ok();
    Ok(())
}

/// A name has no blanks and nothing that cannot be shown.
pub(crate) fn is_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

pub(crate) const BAD_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

pub(crate) fn hello(call: &mut Call<'_>) -> Outcome {
    let version = match call.words.len() {
        1 => None,
        _ => match number::integer(call.word(1)) {
            Some(version @ 2..=3) => Some(version),
            Some(_) => return refuse("NOPROTO unsupported protocol version"),
            None => return refuse("ERR Protocol version is not an integer or out of range"),
        },
    };
    let (mut at, mut name, mut user) = (2, None, None);
    while at < call.words.len() {
        let left = call.words.len() - at - 1;
        if call.words.is(at, "auth") && left >= 2 {
            user = Some((call.word(at + 1), call.word(at + 2)));
            at += 3;
        } else if call.words.is(at, "setname") && left >= 1 {
            name = Some(call.word(at + 1));
            if !is_name(call.word(at + 1)) {
                return refuse(BAD_NAME);
            }
            at += 2;
        } else {
            let word = String::from_utf8_lossy(call.word(at)).into_owned();
            return refuse(format!("ERR Syntax error in HELLO option '{word}'"));
        }
    }
    if let Some((user, password)) = user {
        if !is_right(call, user, password) {
            return refuse(WRONG);
        }
        call.client.is_known = true;
    }
    if !call.client.is_known {
        return refuse(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        );
    }
    if let Some(name) = name {
        call.client.name = name.to_vec();
    }
    if let Some(version) = version {
        call.client.resp3 = version == 3;
        call.out.resp3 = version == 3;
    }
    greet(call);
    Ok(())
}

fn greet(call: &mut Call<'_>) {
    call.out.map(7);
    for (name, value) in [("server", "redis"), ("version", VERSION)] {
        call.out.bulk(name.as_bytes());
        call.out.bulk(value.as_bytes());
    }
    call.out.bulk(b"proto");
    call.out.int(if call.out.resp3 { 3 } else { 2 });
    call.out.bulk(b"id");
    call.out.int(i64::try_from(call.client.id).unwrap_or(i64::MAX));
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        call.out.bulk(name.as_bytes());
        call.out.bulk(value.as_bytes());
    }
    call.out.bulk(b"modules");
    call.out.array(0);
}
