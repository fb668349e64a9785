//! Channels: messages go to the clients that listen at the moment, and are kept by no one.

use super::{
    super::{
        client::{Client, Name},
        glob,
        reply::Reply,
        world::{Effect, Kind, Message},
    },
    Call, Outcome, subcommands,
};
use indexmap::IndexSet;

fn names(client: &mut Client, kind: Kind) -> &mut IndexSet<Name> {
    match kind {
        Kind::Channel => &mut client.subscribed.channels,
        Kind::Pattern => &mut client.subscribed.patterns,
        Kind::Shard => &mut client.subscribed.shards,
    }
}

/// The number that a reply tells: shards are counted by themselves.
fn count(client: &Client, kind: Kind) -> usize {
    match kind {
        Kind::Shard => client.subscribed.shards.len(),
        Kind::Channel | Kind::Pattern => client.subscribed.channels.len() + client.subscribed.patterns.len(),
    }
}

fn told(call: &mut Call<'_>, word: &str, name: Option<&[u8]>, kind: Kind) {
    let count = count(call.client, kind);
    call.out.aside(|out| {
        out.push(3);
        out.bulk(word.as_bytes());
        out.bulk_or_null(name);
        out.len(count);
    });
}

fn join(call: &mut Call<'_>, kind: Kind, word: &str) -> Outcome {
    for name in call.words.from(1) {
        let name: Name = name.into();
        if names(call.client, kind).insert(name.clone()) {
            call.world.channels.of(kind).entry(name.clone()).or_default().insert(call.client.id);
        }
        told(call, word, Some(&name), kind);
    }
    Ok(())
}

fn leave(call: &mut Call<'_>, kind: Kind, word: &str) -> Outcome {
    let all: Vec<Name> = match call.words.len() {
        1 => names(call.client, kind).iter().cloned().collect(),
        _ => call.words.from(1).map(Into::into).collect(),
    };
    if all.is_empty() {
        told(call, word, None, kind);
    }
    for name in all {
        if names(call.client, kind).shift_remove(&name) {
            call.world.channels.leave(kind, &name, call.client.id);
        }
        told(call, word, Some(&name), kind);
    }
    Ok(())
}

pub(crate) fn subscribe(call: &mut Call<'_>) -> Outcome {
    join(call, Kind::Channel, "subscribe")
}

pub(crate) fn psubscribe(call: &mut Call<'_>) -> Outcome {
    join(call, Kind::Pattern, "psubscribe")
}

pub(crate) fn ssubscribe(call: &mut Call<'_>) -> Outcome {
    join(call, Kind::Shard, "ssubscribe")
}

pub(crate) fn unsubscribe(call: &mut Call<'_>) -> Outcome {
    leave(call, Kind::Channel, "unsubscribe")
}

pub(crate) fn punsubscribe(call: &mut Call<'_>) -> Outcome {
    leave(call, Kind::Pattern, "punsubscribe")
}

pub(crate) fn sunsubscribe(call: &mut Call<'_>) -> Outcome {
    leave(call, Kind::Shard, "sunsubscribe")
}

/// Sends a message to some clients. It is written once for each protocol, whatever their number.
fn deliver(call: &mut Call<'_>, ids: &[u64], write: impl Fn(&mut Reply)) {
    let mut message = Message::default();
    for id in ids {
        if *id == call.client.id {
            // Before the reply to the command itself.
            call.out.aside(&write);
        } else if let Some(client) = call.world.clients.by_id(*id)
            && !client.is_closing
        {
            let (slot, resp3) = (client.slot, client.resp3);
            call.world.effects.push(Effect::Send(slot, message.bytes(resp3, &write)));
        }
    }
}

fn ids(listeners: Option<&IndexSet<u64>>) -> Vec<u64> {
    listeners.map(|ids| ids.iter().copied().collect()).unwrap_or_default()
}

pub(crate) fn publish(call: &mut Call<'_>) -> Outcome {
    let (channel, text) = (call.word(1), call.word(2));
    let listeners = ids(call.world.channels.channels.get(channel));
    deliver(call, &listeners, |reply| {
        reply.push(3);
        reply.bulk(b"message");
        reply.bulk(channel);
        reply.bulk(text);
    });
    let mut count = listeners.len();
    let patterns = call.world.channels.patterns.iter().filter(|(pattern, _)| glob::matches(pattern, channel));
    let patterns: Vec<(Name, Vec<u64>)> =
        patterns.map(|(pattern, found)| (pattern.clone(), ids(Some(found)))).collect();
    for (pattern, listeners) in patterns {
        count += listeners.len();
        deliver(call, &listeners, |reply| {
            reply.push(4);
            reply.bulk(b"pmessage");
            reply.bulk(&pattern);
            reply.bulk(channel);
            reply.bulk(text);
        });
    }
    call.out.len(count);
    Ok(())
}

pub(crate) fn spublish(call: &mut Call<'_>) -> Outcome {
    let (channel, text) = (call.word(1), call.word(2));
    let listeners = ids(call.world.channels.shards.get(channel));
    deliver(call, &listeners, |reply| {
        reply.push(3);
        reply.bulk(b"smessage");
        reply.bulk(channel);
        reply.bulk(text);
    });
    call.out.len(listeners.len());
    Ok(())
}

pub(crate) fn pubsub(call: &mut Call<'_>) -> Outcome {
    let kind = |word: &[u8]| if word.starts_with(b"shard") { Kind::Shard } else { Kind::Channel };
    let word = call.word(1).to_ascii_lowercase();
    match &*word {
        b"channels" | b"shardchannels" => {
            let pattern = call.words.from(2).next();
            let all = call.world.channels.of(kind(&word)).keys();
            let found: Vec<Name> =
                all.filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name))).cloned().collect();
            call.out.bulks(found.iter());
        }
        b"numsub" | b"shardnumsub" => {
            call.out.array((call.words.len() - 2) * 2);
            for name in call.words.from(2) {
                let count = call.world.channels.of(kind(&word)).get(name).map_or(0, IndexSet::len);
                call.out.bulk(name);
                call.out.len(count);
            }
        }
        b"numpat" => {
            call.out.len(call.world.channels.patterns.len());
        }
        b"help" => call.out.help(&[
            "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ]),
        _ => return subcommands::unknown(call.words),
    }
    Ok(())
}
