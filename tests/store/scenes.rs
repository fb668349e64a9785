//! Scenes of several clients: played on the store and on a real `redis-server`, and all that each client hears is the same.
//!
//! A line is a client's name and a command, or a name and `<` for what it hears without having asked. A command with `&` behind it waits, and
//! one with `~` has no reply.

use super::{
    redis::Redis,
    resp::{Client, Value},
    store,
};
use std::collections::BTreeMap;

const CHANNELS: &str = "\
A SUBSCRIBE news sport
A <
B PUBLISH news hello
A <
C PSUBSCRIBE n*s ?port
C <
B PUBLISH news again
A <
C <
B PUBLISH sport 1
A <
C <
B PUBSUB CHANNELS n*
B PUBSUB NUMSUB news nothing
B PUBSUB NUMPAT
A PING
A GET k
A UNSUBSCRIBE news
B PUBLISH news alone
C <
A UNSUBSCRIBE
A GET k
C PUNSUBSCRIBE
C <
B PUBLISH news nobody
A UNSUBSCRIBE
D SSUBSCRIBE shard
B SPUBLISH shard x
D <
D SUNSUBSCRIBE shard";

const TRANSACTIONS: &str = "\
A MULTI
A SET k 1
A INCR k
A LPUSH k x
A GET k
A EXEC
A WATCH k other
B SET k 5
A MULTI
A GET k
A EXEC
A WATCH other
A MULTI
A SET other 1
A EXEC
A MULTI
A NOTHING
A SET k 6
A EXEC
A GET k
A MULTI
A MULTI
A DISCARD
A DISCARD
A EXEC
A WATCH gone
B SET gone 1
B DEL gone
A MULTI
A PING
A EXEC
A WATCH k
B FLUSHALL
A MULTI
A PING
A EXEC
A MULTI
A SHUTDOWN
A EXEC
A MULTI
A MONITOR
A EXEC
A WATCH k
A UNWATCH
B SET k 9
A MULTI
A BLPOP nothing 0
A SUBSCRIBE in-a-transaction
A EXEC
A UNSUBSCRIBE
A SELECT 3
A MULTI
A SET three 3
A SELECT 4
A SET four 4
A EXEC
B DBSIZE
A DBSIZE";

/// A client that wants no replies hears what is none: that it listens now, and messages.
const SILENT: &str = "\
A CLIENT REPLY OFF ~
A GET k ~
A SUBSCRIBE news ~
A <
B PUBLISH news hello
A <
A NOTHING ~
A UNSUBSCRIBE news sport ~
A <
A <
A CLIENT REPLY ON
A CLIENT REPLY SKIP ~
A CLIENT REPLY SKIP ~
A GET k ~
A PING
A CLIENT REPLY SKIP ~
A PSUBSCRIBE n* ~
A <
A PING
A PUNSUBSCRIBE
A CLIENT REPLY SKIP ~
A RESET ~
A PING
A CLIENT REPLY SKIP ~
A BLPOP q 0 &
B RPUSH q x y z
A PING
A CLIENT REPLY SKIP ~
A BLPOP nothing 0.001 ~
A PING
A CLIENT REPLY OFF ~
A BLPOP nothing 0.001 ~
A BLPOP q 0.001 ~
A CLIENT REPLY ON
B LLEN q
A SUBSCRIBE news
A CLIENT GETNAME
A CLIENT KILL ID 99999
A COMMAND COUNT";

/// A key that has expired and was not removed yet is absent for a transaction: its removal is no change, and that it expired is one.
const STALE: &str = "\
B DEBUG SET-ACTIVE-EXPIRE 0
B SET stale 1 PXAT 1
A WATCH stale
B DEL stale
A MULTI
A PING
A EXEC
B SET stale 1 PXAT 1
A WATCH stale
B GET stale
B SET stale 2
A MULTI
A PING
A EXEC
B SET stale 1 PXAT 1
A WATCH stale
A MULTI
A PING
A EXEC
B SET stale 1 PXAT 1
A WATCH stale
B FLUSHDB
A MULTI
A PING
A EXEC
A WATCH stale
B SET stale 1 PXAT 1
A MULTI
A PING
A EXEC
B SET stale 1 PXAT 1
A WATCH stale
B SWAPDB 0 1
A MULTI
A PING
A EXEC
A WATCH stale
B SWAPDB 0 1
A MULTI
A PING
A EXEC
B SELECT 1
B SET stale 1 PXAT 1
A WATCH stale
B SWAPDB 0 1
A MULTI
A PING
A EXEC
A WATCH stale
B SWAPDB 0 1
B SELECT 0
B SET stale 1
A MULTI
A PING
A EXEC
A WATCH stale
B PEXPIREAT stale 1
A MULTI
A PING
A EXEC
B DEBUG SET-ACTIVE-EXPIRE 1";

/// Commands that leave a key as it was break no transaction, but LTRIM.
const UNCHANGED: &str = "\
B SADD from a b
B SADD to a
A WATCH to
B SMOVE from to a
A MULTI
A PING
A EXEC
B RPUSH list 1 2
A WATCH list
B LTRIM list 0 5
A MULTI
A PING
A EXEC
B SETBIT bits 1 1
A WATCH bits
B SETBIT bits 1 1
B SETBIT bits 0 0
B BITFIELD bits SET u2 0 1 GET u8 0
A MULTI
A PING
A EXEC
A WATCH bits
B BITFIELD bits SET u2 0 2
A MULTI
A PING
A EXEC";

const MONITORED: &str = "\
B PING
M MONITOR
B SET k 1
M <
B HELLO 2 AUTH name secret
M <
B AUTH secret
M <
B AUTH name secret
M <
B MULTI
M <
B INCR k
B LPUSH l a\\b\"c
B EXEC
M <
M <
M <
B CONFIG GET maxmemory
B NOTHING
B GET
B CLIENT SETNAME me
M <
B LPUSH k wrong
M <
B SELECT 2
M <
B GET \u{e9}\t
M <
B BLPOP empty 0.01
M <
M GET k
M RESET
B GET k
M PING";

const WAITING: &str = "\
A BLPOP one two 0 &
B RPUSH two x y
A <
B LLEN two
A BRPOP empty 0 &
C BLPOP empty 0 &
B RPUSH empty 1 2 3
A <
C <
B LRANGE empty 0 -1
B DEL empty
B RPUSH alone x
B EXPIREAT alone 4000000000
B RPOPLPUSH alone alone
B LMOVE alone alone LEFT LEFT
B EXPIRETIME alone
A BLMOVE from to LEFT RIGHT 0 &
C BLPOP to 0 &
B LPUSH from moved
A <
C <
B EXISTS from to
A BZPOPMIN scores 0 &
B ZADD scores 2 b 1 a
A <
A BZMPOP 0 2 none fresh MAX COUNT 5 &
B ZADD fresh 3 c
A <
A BLMPOP 0 1 several LEFT COUNT 2 &
B RPUSH several 1 2 3
A <
A BLMPOP 0 2 one other LEFT COUNT 2 &
C BLPOP one other 0 &
B MULTI
B RPUSH other 1 2 3
B RPUSH one a
B EXEC
A <
C <
B LRANGE one 0 -1
A BZMPOP 0 2 low high MIN COUNT 2 &
C BZPOPMAX low high 0 &
B MULTI
B ZADD high 1 a 2 b 3 c
B ZADD low 1 z
B EXEC
A <
C <
B ZRANGE low 0 -1
A BRPOPLPUSH strings lists 0 &
B SET strings text
B DEL strings
B LPUSH strings item
A <
A BLPOP late 0 &
B MULTI
B RPUSH late 1
B RPUSH late 2
B LPOP late
B EXEC
A <
A BLPOP wrong 0 &
B SET wrong type
B GETDEL wrong
B RPUSH wrong right
A <
A BLMOVE source text LEFT LEFT 0 &
B SET text text
B RPUSH source item
A <
A BLPOP renamed 0 &
B RPUSH before x
B RENAME before renamed
A <
A BLPOP stored 0 &
B RPUSH unsorted 3 1 2
B SORT unsorted STORE stored
A <
A BLPOP nothing 0.01
A BLMOVE nothing nowhere LEFT LEFT 0.01
A BZPOPMAX nothing 0.01";

/// All that the clients of a scene hear.
fn play(scene: &str, resp3: bool, connect: impl Fn() -> Client) -> Vec<String> {
    let mut clients: BTreeMap<&str, Client> = BTreeMap::new();
    let mut heard = Vec::new();
    for line in scene.lines() {
        let (name, words) = line.split_once(' ').unwrap();
        let client = clients.entry(name).or_insert_with(|| {
            let mut client = connect();
            assert!(!matches!(client.say(if resp3 { "HELLO 3" } else { "HELLO 2" }), Value::Error(_)));
            client
        });
        if let Some(words) = words.strip_suffix(" ~") {
            client.send(&words.split(' ').collect::<Vec<_>>());
            continue;
        }
        let reply = match words {
            "<" => client.read(),
            _ => match words.strip_suffix(" &") {
                Some(words) => {
                    client.send(&words.split(' ').collect::<Vec<_>>());
                    wait_for_waiting(&connect, words);
                    continue;
                }
                None => client.say(words),
            },
        };
        heard.push(format!("{line}: {:?}", timeless(reply)));
    }
    heard
}

/// A line that MONITOR shows, without the time and the client's address.
fn timeless(reply: Value) -> Value {
    match reply {
        Value::Simple(text) if text.starts_with(|first: char| first.is_ascii_digit()) && text.contains(" [") => {
            let (time, rest) = text.split_once(" [").unwrap();
            let (client, words) = rest.split_once("] ").unwrap();
            assert_eq!(time.split_once('.').map(|(_, micros)| micros.len()), Some(6), "{text}");
            Value::Simple(format!("{} {words}", client.split(' ').next().unwrap_or_default()))
        }
        other => other,
    }
}

/// The next line is for a server that has a client more that waits.
fn wait_for_waiting(connect: &impl Fn() -> Client, words: &str) {
    let command = format!("cmd={}", words.split(' ').next().unwrap_or_default().to_lowercase());
    let mut other = connect();
    super::support::process::wait_until(&format!("a client to wait with {words}"), || {
        let (Value::Bulk(list) | Value::Verbatim(list)) = other.say("CLIENT LIST") else { return false };
        list.split("\\n").any(|line| line.contains("flags=b") && line.contains(&command))
    });
}

#[test]
fn scenes_of_several_clients_are_played_as_by_redis_server() {
    let Some(redis) = Redis::start() else { return };
    for scene in [CHANNELS, SILENT, TRANSACTIONS, STALE, UNCHANGED, MONITORED, WAITING] {
        for resp3 in [false, true] {
            let store = store(&["--in-memory"]);
            redis.client().say("FLUSHALL");
            let theirs = play(scene, resp3, || redis.client());
            let ours = play(scene, resp3, || Client::tcp(store.address()));
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours, theirs, "RESP3: {resp3}");
            }
        }
    }
}
