//! The same commands for the store and for a real `redis-server`: the same answers, and the same keys afterwards.
//!
//! Errors and the order in which they are found are compared as well. The seed is printed, and `STORE_SEED=N` runs one alone.

use super::{
    commands::{
        Loose::{self, Chance, No, Order, Pairs, Time},
        command,
    },
    redis::Redis,
    resp::{Client, Value},
    store,
};
use crate::support::random::Random;

fn sort(values: &mut [Value]) {
    values.sort_by(|a, b| a.partial_cmp(b).expect("there is no NaN"));
}

/// A reply without what may differ.
fn normal(value: Value, loose: Loose) -> Value {
    match (value, loose) {
        (Value::Array(items) | Value::Set(items), Loose::Chance) => Value::Int(items.len() as i64),
        (Value::Bulk(_) | Value::Int(_), Loose::Chance) => Value::Bulk("some".to_owned()),
        (Value::Int(number), Loose::Time) => Value::Int(number.clamp(-2, 1)),
        (Value::Array(mut items), Loose::Order) => {
            sort(&mut items);
            Value::Array(items)
        }
        (Value::Set(mut items), _) => {
            sort(&mut items);
            Value::Set(items)
        }
        (Value::Array(items), Loose::Pairs) => {
            let mut pairs: Vec<Value> = items.chunks(2).map(|pair| Value::Array(pair.to_vec())).collect();
            sort(&mut pairs);
            Value::Array(pairs)
        }
        (Value::Map(mut pairs), _) => {
            // The number of a connection, and the version of the server.
            for (name, value) in &mut pairs {
                if matches!(name, Value::Bulk(name) if name == "id" || name == "version") {
                    *value = Value::Null;
                }
            }
            pairs.sort_by(|a, b| a.partial_cmp(b).expect("there is no NaN"));
            Value::Map(pairs)
        }
        (value, _) => value,
    }
}

/// Within a transaction, replies come at its end: what may differ in them is known by then.
struct Pair {
    store: Client,
    redis: Client,
    /// Others ask how much has changed: these two may be within a transaction.
    store_beside: Client,
    redis_beside: Client,
    changes: [u64; 2],
    queued: Vec<Loose>,
    history: Vec<String>,
}

impl Pair {
    fn ask(&mut self, words: &[String], loose: Loose) {
        self.history.push(words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" "));
        self.store.send(words);
        self.redis.send(words);
        let (Some(ours), Some(theirs)) = (self.store.try_read(), self.redis.try_read()) else {
            panic!("\n{}\nours: or theirs has closed the connection", self.history.join("\n"));
        };
        if ours == Value::Simple("QUEUED".to_owned()) {
            // It tells the number of the connection.
            self.queued.push(if words[0] == "HELLO" { Chance } else { loose });
        }
        let is_exec = words[0] == "EXEC";
        let list = |value: Value, queued: &[Loose]| match value {
            Value::Array(items) if is_exec => {
                Value::Array(items.into_iter().zip(queued).map(|(item, loose)| normal(item, *loose)).collect())
            }
            other => normal(other, loose),
        };
        // HELLO in RESP2 is a list of pairs with the same numbers in it.
        let is_hello = words[0] == "HELLO" && !matches!(theirs, Value::Error(_));
        let (ours, theirs) = (list(ours, &self.queued), list(theirs, &self.queued));
        if is_exec || words[0] == "DISCARD" {
            self.queued.clear();
        }
        if ours != theirs && !is_hello {
            let from = self.history.len().saturating_sub(60);
            panic!("\n{}\nours:   {ours:?}\ntheirs: {theirs:?}\n", self.history[from..].join("\n"));
        }
        self.compare_changes(words);
    }

    /// Whether the last command has changed anything, says each of both: what has not is not written to the disk, and breaks no
    /// transaction.
    fn compare_changes(&mut self, words: &[String]) {
        let before =
            std::mem::replace(&mut self.changes, [&mut self.store_beside, &mut self.redis_beside].map(changes));
        let [ours, theirs] = [0, 1].map(|side| self.changes[side] != before[side]);
        // Counted here and not there: to empty what is empty, and a key that BITFIELD makes or enlarges for a number that does not fit.
        let may_differ = words[0].starts_with("FLUSH") || words[0] == "EXEC" || words.iter().any(|word| word == "FAIL");
        if ours != theirs && !may_differ {
            let from = self.history.len().saturating_sub(60);
            panic!("\n{}\nchanged ours: {ours}, theirs: {theirs}\n", self.history[from..].join("\n"));
        }
    }

    fn say(&mut self, line: &str, loose: Loose) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        self.ask(&words, loose);
    }

    /// All keys, whatever they hold.
    fn state(&mut self) {
        self.say("PING", No);
        for db in 0..2 {
            self.say(&format!("SELECT {db}"), No);
            self.say("KEYS *", Order);
            self.say("DBSIZE", No);
            for number in 0..6 {
                let key = format!("k{number}");
                for command in ["TYPE", "OBJECT ENCODING", "GET", "STRLEN"] {
                    self.say(&format!("{command} {key}"), No);
                }
                self.say(&format!("PEXPIRETIME {key}"), Time);
                self.say(&format!("HGETALL {key}"), Pairs);
                self.say(&format!("LRANGE {key} 0 -1"), No);
                self.say(&format!("SMEMBERS {key}"), Order);
                self.say(&format!("ZRANGE {key} 0 -1 WITHSCORES"), No);
            }
        }
    }
}

/// Changes of keys so far.
fn changes(client: &mut Client) -> u64 {
    let (Value::Bulk(text) | Value::Verbatim(text)) = client.say("INFO persistence") else { panic!("no INFO") };
    let (_, rest) = text.split_once("rdb_changes_since_last_save:").expect("the changes are told");
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().expect("a number")
}

fn run(seed: u64, count: usize, store: std::net::SocketAddr, redis: &Redis) {
    let mut random = Random::new(seed);
    let mut pair = Pair {
        store: Client::tcp(store),
        redis: redis.client(),
        store_beside: Client::tcp(store),
        redis_beside: redis.client(),
        changes: [0; 2],
        queued: Vec::new(),
        history: vec![format!("seed {seed}")],
    };
    pair.say(if seed.is_multiple_of(2) { "HELLO 2" } else { "HELLO 3" }, No);
    pair.say("FLUSHALL", No);
    pair.changes = [&mut pair.store_beside, &mut pair.redis_beside].map(changes);
    for _ in 0..count {
        let (words, loose) = command(&mut random);
        pair.ask(&words, loose);
    }
    // It may be within a transaction.
    pair.say("RESET", No);
    pair.queued.clear();
    pair.state();
}

#[test]
fn random_commands_are_answered_as_by_redis_server() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&["--in-memory"]);
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("STORE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("STORE_SEEDS").unwrap_or(25),
    };
    for seed in seeds {
        run(seed, 500, store.address(), &redis);
    }
}
