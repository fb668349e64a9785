//! The same commands for the store and for a real `redis-server`: the same answers, and the same keys afterwards.
//!
//! Commands come from templates whose words are chosen by chance, and every now and then a word is wrong, missing or one too many: errors
//! and the order in which they are found are compared as well. The seed is printed, and `STORE_SEED=N` runs one alone.

use super::{
    redis::Redis,
    resp::{Client, Value},
    store,
};
use crate::support::random::Random;

/// A template, and what may differ in its reply.
type Row = (&'static str, Loose);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loose {
    /// Nothing.
    No,
    /// The order of elements.
    Order,
    /// The order of pairs.
    Pairs,
    /// Numbers above zero, which depend on the time.
    Time,
    /// All but the kind and the length.
    Chance,
}
use Loose::{Chance, No, Order, Pairs, Time};

/// Words: k a key, z a key of a sorted set whose scores are all 0 (names are in no order otherwise), v a value, i an integer, c a count, f a float, m a member, x a bound of scores, l a bound of names, d a database,
/// b a bit, o an offset, t seconds far away, T a point in time, w a field type.
const TEMPLATES: &[Row] = &[
    ("GET $k", No),
    ("SET $k $v", No),
    ("SET $k $v", No),
    ("SET $k $v NX", No),
    ("SET $k $v XX", No),
    ("SET $k $v EX $t", No),
    ("SET $k $v PX $t GET", No),
    ("SET $k $v EXAT $T", No),
    ("SET $k $v PXAT $T NX", No),
    ("SET $k $v KEEPTTL", No),
    ("SET $k $v GET", No),
    ("SET $k $v NX GET", No),
    ("SETNX $k $v", No),
    ("SETEX $k $t $v", No),
    ("PSETEX $k $t $v", No),
    ("GETSET $k $v", No),
    ("GETDEL $k", No),
    ("GETEX $k", No),
    ("GETEX $k EX $t", No),
    ("GETEX $k PERSIST", No),
    ("GETEX $k PXAT $T", No),
    ("MGET $k $k $k", No),
    ("MSET $k $v $k $v", No),
    ("MSETNX $k $v $k $v", No),
    ("APPEND $k $v", No),
    ("STRLEN $k", No),
    ("GETRANGE $k $i $i", No),
    ("SUBSTR $k $i $i", No),
    ("SETRANGE $k $o $v", No),
    ("INCR $k", No),
    ("DECR $k", No),
    ("INCRBY $k $i", No),
    ("DECRBY $k $i", No),
    ("INCRBYFLOAT $k $f", No),
    ("LCS $k $k", No),
    ("LCS $k $k LEN", No),
    ("LCS $k $k IDX WITHMATCHLEN", No),
    ("LCS $k $k IDX MINMATCHLEN $c", No),
    ("SETBIT $k $o $b", No),
    ("GETBIT $k $o", No),
    ("BITCOUNT $k", No),
    ("BITCOUNT $k $i $i", No),
    ("BITCOUNT $k $i $i BIT", No),
    ("BITPOS $k $b", No),
    ("BITPOS $k $b $i", No),
    ("BITPOS $k $b $i $i", No),
    ("BITPOS $k $b $i $i BIT", No),
    ("BITOP AND $k $k $k", No),
    ("BITOP OR $k $k $k", No),
    ("BITOP XOR $k $k $k", No),
    ("BITOP NOT $k $k", No),
    ("BITFIELD $k GET $w $o", No),
    ("BITFIELD $k SET $w $o $i INCRBY $w #$c $i", No),
    ("BITFIELD $k OVERFLOW SAT INCRBY $w $o $i", No),
    ("BITFIELD $k OVERFLOW FAIL INCRBY $w $o $i GET $w $o", No),
    ("BITFIELD_RO $k GET $w $o", No),
    ("HSET $k $m $v", No),
    ("HSET $k $m $v $m $v", No),
    ("HMSET $k $m $v", No),
    ("HSETNX $k $m $v", No),
    ("HGET $k $m", No),
    ("HMGET $k $m $m", No),
    ("HGETALL $k", Pairs),
    ("HDEL $k $m $m", No),
    ("HEXISTS $k $m", No),
    ("HLEN $k", No),
    ("HSTRLEN $k $m", No),
    ("HKEYS $k", Order),
    ("HVALS $k", Order),
    ("HINCRBY $k $m $i", No),
    ("HINCRBYFLOAT $k $m $f", No),
    ("HSCAN $k 0", Chance),
    ("HRANDFIELD $k", Chance),
    ("HRANDFIELD $k $c", Chance),
    ("HRANDFIELD $k $i WITHVALUES", Chance),
    ("LPUSH $k $v", No),
    ("LPUSH $k $v $v", No),
    ("RPUSH $k $v $m", No),
    ("LPUSHX $k $v", No),
    ("RPUSHX $k $v", No),
    ("LPOP $k", No),
    ("RPOP $k", No),
    ("LPOP $k $c", No),
    ("RPOP $k $i", No),
    ("LLEN $k", No),
    ("LINDEX $k $i", No),
    ("LSET $k $i $v", No),
    ("LRANGE $k $i $i", No),
    ("LRANGE $k 0 -1", No),
    ("LTRIM $k $i $i", No),
    ("LREM $k $i $v", No),
    ("LINSERT $k BEFORE $v $m", No),
    ("LINSERT $k AFTER $m $v", No),
    ("LPOS $k $v", No),
    ("LPOS $k $v RANK $i COUNT $c", No),
    ("LPOS $k $m COUNT 0 MAXLEN $c", No),
    ("LMOVE $k $k LEFT RIGHT", No),
    ("LMOVE $k $k RIGHT LEFT", No),
    ("RPOPLPUSH $k $k", No),
    ("LMPOP 2 $k $k LEFT", No),
    ("LMPOP 1 $k RIGHT COUNT $c", No),
    ("SADD $k $m", No),
    ("SADD $k $m $m $i", No),
    ("SADD $k $i $i", No),
    ("SREM $k $m $i", No),
    ("SMEMBERS $k", Order),
    ("SISMEMBER $k $m", No),
    ("SMISMEMBER $k $m $i", No),
    ("SCARD $k", No),
    ("SMOVE $k $k $m", No),
    ("SPOP $k 100", Order),
    ("SPOP $k 0", No),
    ("SRANDMEMBER $k", Chance),
    ("SRANDMEMBER $k $i", Chance),
    ("SINTER $k $k", Order),
    ("SUNION $k $k", Order),
    ("SDIFF $k $k", Order),
    ("SINTERSTORE $k $k $k", No),
    ("SUNIONSTORE $k $k $k", No),
    ("SDIFFSTORE $k $k $k", No),
    ("SINTERCARD 2 $k $k", No),
    ("SINTERCARD 2 $k $k LIMIT $c", No),
    ("SSCAN $k 0", Chance),
    ("ZADD $k $f $m", No),
    ("ZADD $k $f $m $f $m", No),
    ("ZADD $k $f $m $i $m", No),
    ("ZADD $k NX $f $m", No),
    ("ZADD $k XX CH $f $m", No),
    ("ZADD $k GT CH $f $m $f $m", No),
    ("ZADD $k LT $f $m", No),
    ("ZADD $k INCR $f $m", No),
    ("ZADD $k NX GT $f $m", No),
    ("ZINCRBY $k $f $m", No),
    ("ZSCORE $k $m", No),
    ("ZMSCORE $k $m $m", No),
    ("ZCARD $k", No),
    ("ZREM $k $m $m", No),
    ("ZRANK $k $m", No),
    ("ZREVRANK $k $m", No),
    ("ZRANGE $k $i $i", No),
    ("ZRANGE $k 0 -1 WITHSCORES", No),
    ("ZRANGE $k $i $i REV WITHSCORES", No),
    ("ZRANGE $k $x $x BYSCORE", No),
    ("ZRANGE $k $x $x BYSCORE REV LIMIT $i $i WITHSCORES", No),
    ("ZRANGE $z $l $l BYLEX", No),
    ("ZRANGE $z $l $l BYLEX REV LIMIT $c $c", No),
    ("ZREVRANGE $k $i $i WITHSCORES", No),
    ("ZRANGEBYSCORE $k $x $x WITHSCORES LIMIT $i $i", No),
    ("ZREVRANGEBYSCORE $k $x $x", No),
    ("ZRANGEBYLEX $z $l $l", No),
    ("ZREVRANGEBYLEX $z $l $l LIMIT $c $i", No),
    ("ZRANGESTORE $k $k $i $i", No),
    ("ZRANGESTORE $k $k $x $x BYSCORE", No),
    ("ZADD $z 0 $m 0 $m", No),
    ("ZADD $z 0 $m 0 $v", No),
    ("ZCOUNT $k $x $x", No),
    ("ZLEXCOUNT $z $l $l", No),
    ("ZREMRANGEBYRANK $k $i $i", No),
    ("ZREMRANGEBYSCORE $k $x $x", No),
    ("ZREMRANGEBYLEX $z $l $l", No),
    ("ZPOPMIN $k", No),
    ("ZPOPMAX $k $c", No),
    ("ZMPOP 2 $k $k MIN COUNT $c", No),
    ("ZMPOP 1 $k MAX", No),
    ("ZUNION 2 $k $k WITHSCORES", No),
    ("ZUNION 2 $k $k WEIGHTS $f $i AGGREGATE MAX WITHSCORES", No),
    ("ZINTER 2 $k $k WITHSCORES", No),
    ("ZINTER 2 $k $k AGGREGATE MIN", No),
    ("ZDIFF 2 $k $k WITHSCORES", No),
    ("ZUNIONSTORE $k 2 $k $k", No),
    ("ZUNIONSTORE $k 2 $k $k WEIGHTS $f $f", No),
    ("ZINTERSTORE $k 2 $k $k AGGREGATE SUM", No),
    ("ZDIFFSTORE $k 2 $k $k", No),
    ("ZINTERCARD 2 $k $k LIMIT $c", No),
    ("ZSCAN $k 0", Chance),
    ("ZRANDMEMBER $k $c", Chance),
    ("ZRANDMEMBER $k $i WITHSCORES", Chance),
    ("DEL $k", No),
    ("DEL $k $k", No),
    ("UNLINK $k", No),
    ("EXISTS $k $k $k", No),
    ("TOUCH $k", No),
    ("TYPE $k", No),
    ("RENAME $k $k", No),
    ("RENAMENX $k $k", No),
    ("COPY $k $k", No),
    ("COPY $k $k REPLACE", No),
    ("COPY $k $k DB $d REPLACE", No),
    ("MOVE $k $d", No),
    ("KEYS $v", Order),
    ("KEYS *", Order),
    ("DBSIZE", No),
    ("RANDOMKEY", Chance),
    ("SCAN 0 COUNT 1000", Chance),
    ("OBJECT ENCODING $k", No),
    ("OBJECT REFCOUNT $k", Chance),
    ("OBJECT FREQ $k", No),
    ("EXPIRE $k $t", No),
    ("EXPIRE $k $t NX", No),
    ("EXPIRE $k $t XX GT", No),
    ("PEXPIRE $k $t LT", No),
    ("EXPIREAT $k $T", No),
    ("PEXPIREAT $k $T GT", No),
    ("EXPIRE $k $i", No),
    ("PERSIST $k", No),
    ("TTL $k", Time),
    ("PTTL $k", Time),
    ("EXPIRETIME $k", Time),
    ("PEXPIRETIME $k", Time),
    ("SORT $k", No),
    ("SORT $k ALPHA DESC", No),
    ("SORT $k LIMIT $i $i ALPHA", No),
    ("SORT $k BY k* ALPHA GET # GET k*", Chance),
    ("SORT $k ALPHA STORE $k", No),
    ("SORT $k BY nosort GET #", Chance),
    ("SORT_RO $k ALPHA", No),
    ("SORT $k BY $m*->$m GET k*->$m ALPHA", Chance),
    ("SELECT $d", No),
    ("SWAPDB $d $d", No),
    ("ECHO $v", No),
    ("PING", No),
    ("PING $v", No),
    ("FLUSHDB", No),
    ("TIME", Chance),
    ("MULTI", No),
    ("EXEC", No),
    ("EXEC", No),
    ("DISCARD", No),
    ("WATCH $k $k", No),
    ("UNWATCH", No),
    ("BLPOP $k $k 0.001", No),
    ("BRPOP $k 0.001", No),
    ("BLMOVE $k $k LEFT LEFT 0.001", No),
    ("BRPOPLPUSH $k $k 0.001", No),
    ("BLMPOP 0.001 2 $k $k RIGHT", No),
    ("BZPOPMIN $k 0.001", No),
    ("BZPOPMAX $k $k 0.001", No),
    ("BZMPOP 0.001 1 $k MIN COUNT $c", No),
    ("PUBLISH $v $v", No),
    ("PUBSUB CHANNELS", No),
    ("PUBSUB NUMSUB $v", No),
    ("PUBSUB NUMPAT", No),
    ("NOTHING $v", No),
    ("CLIENT GETNAME", No),
    ("CLIENT SETNAME $v", No),
    ("OBJECT $v $k", No),
    ("CONFIG GET maxmemory-policy", No),
    ("CLIENT $v", No),
    ("CONFIG SET maxmemory-samples $i", No),
    ("COMMAND GETKEYS GET $k", No),
    ("COMMAND GETKEYS ZUNIONSTORE $k 2 $k $k", No),
    ("COMMAND GETKEYS $v $k", No),
    ("MEMORY USAGE $k", Chance),
    ("HELLO $i", No),
];

const WRONG: &[&str] = &[
    "",
    "abc",
    "-1",
    "0",
    "99999999999999999999",
    "9223372036854775807",
    "-9223372036854775808",
    "1.5",
    "1e3",
    " 1",
    "nan",
    "inf",
    "-inf",
    "(1",
    "[a",
    "+",
    "-",
    "NX",
    "COUNT",
    "a b",
    "\u{1}",
];

fn word(kind: char, random: &mut Random) -> String {
    let small = |random: &mut Random| random.below(12) as i64 - 5;
    match kind {
        'k' => format!("k{}", random.below(6)),
        'z' => format!("z{}", random.below(2)),
        'v' => match random.below(8) {
            0 => random.below(1000).to_string(),
            1 => "x".repeat(random.below(70)),
            2 => format!("{}.{}", small(random), random.below(100)),
            3 => "1".to_owned(),
            _ => ["a", "b", "ab", "ohmytext", "mynewtext", "k1"][random.below(6)].to_owned(),
        },
        'i' => small(random).to_string(),
        'c' => random.below(4).to_string(),
        'f' => match random.below(6) {
            0 => "inf".to_owned(),
            1 => "-inf".to_owned(),
            2 | 3 => small(random).to_string(),
            _ => format!("{}.{}", small(random), random.below(1000)),
        },
        'm' => ["a", "b", "c", "d", "e", "1", "2"][random.below(7)].to_owned(),
        'x' => match random.below(6) {
            0 => "-inf".to_owned(),
            1 => "+inf".to_owned(),
            2 => format!("({}", small(random)),
            _ => small(random).to_string(),
        },
        'l' => ["-", "+", "[a", "(b", "[c", "(d", "["][random.below(7)].to_owned(),
        'd' => if random.below(4) == 0 { "1" } else { "0" }.to_owned(),
        'b' => random.below(2).to_string(),
        'o' => random.below(60).to_string(),
        't' => (100_000 + random.below(100_000)).to_string(),
        'T' => (3_000_000_000_000 + random.below(1_000_000)).to_string(),
        'w' => ["u8", "i8", "i16", "u5", "i64", "u63", "i1", "u1"][random.below(8)].to_owned(),
        _ => unreachable!("{kind} is no kind of word"),
    }
}

/// A part of a template, with words in place of their kinds.
fn fill(part: &str, random: &mut Random) -> String {
    let mut parts = part.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        let kind = rest.chars().next().expect("a kind");
        text += &word(kind, random);
        text += &rest[kind.len_utf8()..];
    }
    text
}

fn command(random: &mut Random) -> (Vec<String>, Loose) {
    let (template, loose) = TEMPLATES[random.below(TEMPLATES.len())];
    let mut words: Vec<String> = template.split(' ').map(|part| fill(part, random)).collect();
    match random.below(40) {
        0 if words.len() > 1 => drop(words.remove(1 + random.below(words.len() - 1))),
        1 => words.push(WRONG[random.below(WRONG.len())].to_owned()),
        2 | 3 if words.len() > 1 => {
            let place = 1 + random.below(words.len() - 1);
            words[place] = WRONG[random.below(WRONG.len())].to_owned();
        }
        4 => {
            let place = random.below(words.len());
            let copy = words[random.below(words.len())].clone();
            words.insert(place.max(1), copy);
        }
        _ => {}
    }
    let timeout = if words[0].ends_with("MPOP") { words.get(1) } else { words.last() };
    let time = timeout.and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.001);
    if words[0].starts_with('B') && !words[0].starts_with("BIT") && (time == 0.0 || time > 0.01) {
        // A wait without an end.
        words = vec!["PING".to_owned()];
    }
    (words, loose)
}

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
