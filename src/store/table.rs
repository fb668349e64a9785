//! The table of commands: names, arities, flags and places of keys, as the original's COMMAND tells them.
//!
//! Letters of flags: Write, Read-only, M (uses memory: refused when there is none left), Admin, Pubsub, S (not in scripts), Blocking, Loading,
//! T (stale data will do), Fast, N (before a password), Y (while a script runs), K (keys are not at fixed places), X (not in transactions).

use super::command::{
    Call, Command, Commands, Outcome, bitfield, bits, blocking, clients, connection, expiry, hashes, info, introspect,
    keys, lcs, lists, monitor, pubsub, scan, scripts, server, sets, sort, strings, transactions, zrange, zsets, zunion,
};
use std::{collections::HashMap, sync::LazyLock};

/// The longest name, with room.
const LONGEST: usize = 32;

/// The table that is used everywhere.
pub(crate) struct Table;

static NAMES: LazyLock<HashMap<&'static [u8], usize, Plain>> =
    LazyLock::new(|| ROWS.iter().enumerate().map(|(index, row)| (row.name.as_bytes(), index)).collect());

/// A hash for names that are known beforehand, which no client can choose.
#[derive(Clone, Copy, Default)]
struct Plain;

struct Fnv(u64);

impl std::hash::BuildHasher for Plain {
    type Hasher = Fnv;

    fn build_hasher(&self) -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Commands for Table {
    fn find(&self, name: &[u8]) -> Option<&'static Command> {
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        NAMES.get(&*lower).map(|index| &ROWS[*index])
    }

    fn all(&self) -> &'static [Command] {
        ROWS
    }
}

type Run = fn(&mut Call<'_>) -> Outcome;

#[allow(clippy::too_many_arguments)] // A row is read as a row.
const fn row(
    name: &'static str,
    arity: i32,
    letters: &'static str,
    keys: (i32, i32, i32),
    run: Run,
    group: &'static str,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command { name, arity, flags: flags(letters), keys, run, group, since, summary }
}

/// Letters in the order of [`super::command::FLAGS`].
const LETTERS: &[u8] = b"WRMAPSBLTFNYKX";

const fn flags(letters: &str) -> u32 {
    let (letters, mut flags, mut at) = (letters.as_bytes(), 0, 0);
    while at < letters.len() {
        let mut bit = 0;
        while LETTERS[bit] != letters[at] {
            bit += 1;
        }
        flags |= 1 << bit;
        at += 1;
    }
    flags
}

#[rustfmt::skip] // A table.
static ROWS: &[Command] = &[
    row("append", 3, "WMF", (1, 1, 1), strings::append, "string", "2.0.0", "Append a value to a key"),
    row("decr", 2, "WMF", (1, 1, 1), strings::decr, "string", "1.0.0", "Decrement the integer value of a key by one"),
    row("decrby", 3, "WMF", (1, 1, 1), strings::decrby, "string", "1.0.0", "Decrement the integer value of a key by the given number"),
    row("get", 2, "RF", (1, 1, 1), strings::get, "string", "1.0.0", "Get the value of a key"),
    row("getdel", 2, "WF", (1, 1, 1), strings::getdel, "string", "6.2.0", "Get the value of a key and delete the key"),
    row("getex", -2, "WF", (1, 1, 1), strings::getex, "string", "6.2.0", "Get the value of a key and optionally set its expiration"),
    row("getrange", 4, "R", (1, 1, 1), strings::getrange, "string", "2.4.0", "Get a substring of the string stored at a key"),
    row("getset", 3, "WMF", (1, 1, 1), strings::getset, "string", "1.0.0", "Set the string value of a key and return its old value"),
    row("incr", 2, "WMF", (1, 1, 1), strings::incr, "string", "1.0.0", "Increment the integer value of a key by one"),
    row("incrby", 3, "WMF", (1, 1, 1), strings::incrby, "string", "1.0.0", "Increment the integer value of a key by the given amount"),
    row("incrbyfloat", 3, "WMF", (1, 1, 1), strings::incrbyfloat, "string", "2.6.0", "Increment the float value of a key by the given amount"),
    row("lcs", -3, "R", (1, 2, 1), lcs::lcs, "string", "7.0.0", "Find longest common substring"),
    row("mget", -2, "RF", (1, -1, 1), strings::mget, "string", "1.0.0", "Get the values of all the given keys"),
    row("mset", -3, "WM", (1, -1, 2), strings::mset, "string", "1.0.1", "Set multiple keys to multiple values"),
    row("msetnx", -3, "WM", (1, -1, 2), strings::msetnx, "string", "1.0.1", "Set multiple keys to multiple values, only if none of the keys exist"),
    row("psetex", 4, "WM", (1, 1, 1), strings::psetex, "string", "2.6.0", "Set the value and expiration in milliseconds of a key"),
    row("set", -3, "WM", (1, 1, 1), strings::set, "string", "1.0.0", "Set the string value of a key"),
    row("setex", 4, "WM", (1, 1, 1), strings::setex, "string", "2.0.0", "Set the value and expiration of a key"),
    row("setnx", 3, "WMF", (1, 1, 1), strings::setnx, "string", "1.0.0", "Set the value of a key, only if the key does not exist"),
    row("setrange", 4, "WM", (1, 1, 1), strings::setrange, "string", "2.2.0", "Overwrite part of a string at key starting at the specified offset"),
    row("strlen", 2, "RF", (1, 1, 1), strings::strlen, "string", "2.2.0", "Get the length of the value stored in a key"),
    row("substr", 4, "R", (1, 1, 1), strings::substr, "string", "1.0.0", "Get a substring of the string stored at a key"),
    row("auth", -2, "SLTFNY", (0, 0, 0), connection::auth, "connection", "1.0.0", "Authenticate to the server"),
    row("client", -2, "", (0, 0, 0), clients::client, "connection", "2.4.0", "A container for client connection commands"),
    row("echo", 2, "LTF", (0, 0, 0), connection::echo, "connection", "1.0.0", "Echo the given string"),
    row("hello", -1, "SLTFNY", (0, 0, 0), connection::hello, "connection", "6.0.0", "Handshake with Redis"),
    row("ping", -1, "F", (0, 0, 0), connection::ping, "connection", "1.0.0", "Ping the server"),
    row("quit", -1, "SLTFNY", (0, 0, 0), connection::quit, "connection", "1.0.0", "Close the connection"),
    row("reset", 1, "SLTFNY", (0, 0, 0), connection::reset, "connection", "6.2.0", "Reset the connection"),
    row("select", 2, "LTF", (0, 0, 0), connection::select, "connection", "1.0.0", "Change the selected database for the current connection"),
    row("bgrewriteaof", 1, "AS", (0, 0, 0), server::bgrewriteaof, "server", "1.0.0", "Asynchronously rewrite the append-only file"),
    row("command", -1, "LT", (0, 0, 0), introspect::command, "server", "2.8.13", "Get array of Redis command details"),
    row("config", -2, "", (0, 0, 0), server::config, "server", "2.0.0", "A container for server configuration commands"),
    row("dbsize", 1, "RF", (0, 0, 0), keys::dbsize, "server", "1.0.0", "Return the number of keys in the selected database"),
    row("debug", -2, "ASLT", (0, 0, 0), server::debug, "server", "1.0.0", "A container for debugging commands"),
    row("flushall", -1, "W", (0, 0, 0), keys::flushall, "server", "1.0.0", "Remove all keys from all databases"),
    row("flushdb", -1, "W", (0, 0, 0), keys::flushdb, "server", "1.0.0", "Remove all keys from the current database"),
    row("info", -1, "LT", (0, 0, 0), info::info, "server", "1.0.0", "Get information and statistics about the server"),
    row("lastsave", 1, "LTF", (0, 0, 0), server::lastsave, "server", "1.0.0", "Get the UNIX time stamp of the last successful save to disk"),
    row("memory", -2, "", (0, 0, 0), keys::memory, "server", "4.0.0", "A container for memory diagnostics commands"),
    row("monitor", 1, "ASLT", (0, 0, 0), monitor::monitor, "server", "1.0.0", "Listen for all requests received by the server in real time"),
    row("role", 1, "SLTF", (0, 0, 0), server::role, "server", "2.8.12", "Return the role of the instance in the context of replication"),
    row("shutdown", -1, "ASLTXY", (0, 0, 0), server::shutdown, "server", "1.0.0", "Synchronously save the dataset to disk and then shut down the server"),
    row("swapdb", 3, "WF", (0, 0, 0), keys::swapdb, "server", "4.0.0", "Swaps two Redis databases"),
    row("time", 1, "LTF", (0, 0, 0), server::time, "server", "2.6.0", "Return the current server time"),
    row("bitcount", -2, "R", (1, 1, 1), bits::bitcount, "bitmap", "2.6.0", "Count set bits in a string"),
    row("bitfield", -2, "WM", (1, 1, 1), bitfield::bitfield, "bitmap", "3.2.0", "Perform arbitrary bitfield integer operations on strings"),
    row("bitfield_ro", -2, "RF", (1, 1, 1), bitfield::bitfield_ro, "bitmap", "6.0.0", "Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD"),
    row("bitop", -4, "WM", (2, -1, 1), bits::bitop, "bitmap", "2.6.0", "Perform bitwise operations between strings"),
    row("bitpos", -3, "R", (1, 1, 1), bits::bitpos, "bitmap", "2.8.7", "Find first bit set or clear in a string"),
    row("getbit", 3, "RF", (1, 1, 1), bits::getbit, "bitmap", "2.2.0", "Returns the bit value at offset in the string value stored at key"),
    row("setbit", 4, "WM", (1, 1, 1), bits::setbit, "bitmap", "2.2.0", "Sets or clears the bit at offset in the string value stored at key"),
    row("blmove", 6, "WMSB", (1, 2, 1), blocking::blmove, "list", "6.2.0", "Pop an element from a list, push it to another list and return it; or block until one is available"),
    row("blmpop", -5, "WBK", (0, 0, 0), blocking::blmpop, "list", "7.0.0", "Pop elements from a list, or block until one is available"),
    row("blpop", -3, "WSB", (1, -2, 1), blocking::blpop, "list", "2.0.0", "Remove and get the first element in a list, or block until one is available"),
    row("brpop", -3, "WSB", (1, -2, 1), blocking::brpop, "list", "2.0.0", "Remove and get the last element in a list, or block until one is available"),
    row("brpoplpush", 4, "WMSB", (1, 2, 1), blocking::brpoplpush, "list", "2.2.0", "Pop an element from a list, push it to another list and return it; or block until one is available"),
    row("lindex", 3, "R", (1, 1, 1), lists::lindex, "list", "1.0.0", "Get an element from a list by its index"),
    row("linsert", 5, "WM", (1, 1, 1), lists::linsert, "list", "2.2.0", "Insert an element before or after another element in a list"),
    row("llen", 2, "RF", (1, 1, 1), lists::llen, "list", "1.0.0", "Get the length of a list"),
    row("lmove", 5, "WM", (1, 2, 1), lists::lmove, "list", "6.2.0", "Pop an element from a list, push it to another list and return it"),
    row("lmpop", -4, "WK", (0, 0, 0), lists::lmpop, "list", "7.0.0", "Pop elements from a list"),
    row("lpop", -2, "WF", (1, 1, 1), lists::lpop, "list", "1.0.0", "Remove and get the first elements in a list"),
    row("lpos", -3, "R", (1, 1, 1), lists::lpos, "list", "6.0.6", "Return the index of matching elements on a list"),
    row("lpush", -3, "WMF", (1, 1, 1), lists::lpush, "list", "1.0.0", "Prepend one or multiple elements to a list"),
    row("lpushx", -3, "WMF", (1, 1, 1), lists::lpushx, "list", "2.2.0", "Prepend an element to a list, only if the list exists"),
    row("lrange", 4, "R", (1, 1, 1), lists::lrange, "list", "1.0.0", "Get a range of elements from a list"),
    row("lrem", 4, "W", (1, 1, 1), lists::lrem, "list", "1.0.0", "Remove elements from a list"),
    row("lset", 4, "WM", (1, 1, 1), lists::lset, "list", "1.0.0", "Set the value of an element in a list by its index"),
    row("ltrim", 4, "W", (1, 1, 1), lists::ltrim, "list", "1.0.0", "Trim a list to the specified range"),
    row("rpop", -2, "WF", (1, 1, 1), lists::rpop, "list", "1.0.0", "Remove and get the last elements in a list"),
    row("rpoplpush", 3, "WM", (1, 2, 1), lists::rpoplpush, "list", "1.2.0", "Remove the last element in a list, prepend it to another list and return it"),
    row("rpush", -3, "WMF", (1, 1, 1), lists::rpush, "list", "1.0.0", "Append one or multiple elements to a list"),
    row("rpushx", -3, "WMF", (1, 1, 1), lists::rpushx, "list", "2.2.0", "Append an element to a list, only if the list exists"),
    row("bzmpop", -5, "WBK", (0, 0, 0), blocking::bzmpop, "sorted-set", "7.0.0", "Remove and return members with scores in a sorted set or block until one is available"),
    row("bzpopmax", -3, "WSBF", (1, -2, 1), blocking::bzpopmax, "sorted-set", "5.0.0", "Remove and return the member with the highest score from one or more sorted sets, or block until one is available"),
    row("bzpopmin", -3, "WSBF", (1, -2, 1), blocking::bzpopmin, "sorted-set", "5.0.0", "Remove and return the member with the lowest score from one or more sorted sets, or block until one is available"),
    row("zadd", -4, "WMF", (1, 1, 1), zsets::zadd, "sorted-set", "1.2.0", "Add one or more members to a sorted set, or update its score if it already exists"),
    row("zcard", 2, "RF", (1, 1, 1), zsets::zcard, "sorted-set", "1.2.0", "Get the number of members in a sorted set"),
    row("zcount", 4, "RF", (1, 1, 1), zrange::zcount, "sorted-set", "2.0.0", "Count the members in a sorted set with scores within the given values"),
    row("zdiff", -3, "RK", (0, 0, 0), zunion::zdiff, "sorted-set", "6.2.0", "Subtract multiple sorted sets"),
    row("zdiffstore", -4, "WMK", (1, 1, 1), zunion::zdiffstore, "sorted-set", "6.2.0", "Subtract multiple sorted sets and store the resulting sorted set in a new key"),
    row("zincrby", 4, "WMF", (1, 1, 1), zsets::zincrby, "sorted-set", "1.2.0", "Increment the score of a member in a sorted set"),
    row("zinter", -3, "RK", (0, 0, 0), zunion::zinter, "sorted-set", "6.2.0", "Intersect multiple sorted sets"),
    row("zintercard", -3, "RK", (0, 0, 0), zunion::zintercard, "sorted-set", "7.0.0", "Intersect multiple sorted sets and return the cardinality of the result"),
    row("zinterstore", -4, "WMK", (1, 1, 1), zunion::zinterstore, "sorted-set", "2.0.0", "Intersect multiple sorted sets and store the resulting sorted set in a new key"),
    row("zlexcount", 4, "RF", (1, 1, 1), zrange::zlexcount, "sorted-set", "2.8.9", "Count the number of members in a sorted set between a given lexicographical range"),
    row("zmpop", -4, "WK", (0, 0, 0), zsets::zmpop, "sorted-set", "7.0.0", "Remove and return members with scores in a sorted set"),
    row("zmscore", -3, "RF", (1, 1, 1), zsets::zmscore, "sorted-set", "6.2.0", "Get the score associated with the given members in a sorted set"),
    row("zpopmax", -2, "WF", (1, 1, 1), zsets::zpopmax, "sorted-set", "5.0.0", "Remove and return members with the highest scores in a sorted set"),
    row("zpopmin", -2, "WF", (1, 1, 1), zsets::zpopmin, "sorted-set", "5.0.0", "Remove and return members with the lowest scores in a sorted set"),
    row("zrandmember", -2, "R", (1, 1, 1), zsets::zrandmember, "sorted-set", "6.2.0", "Get one or multiple random elements from a sorted set"),
    row("zrange", -4, "R", (1, 1, 1), zrange::zrange, "sorted-set", "1.2.0", "Return a range of members in a sorted set"),
    row("zrangebylex", -4, "R", (1, 1, 1), zrange::zrangebylex, "sorted-set", "2.8.9", "Return a range of members in a sorted set, by lexicographical range"),
    row("zrangebyscore", -4, "R", (1, 1, 1), zrange::zrangebyscore, "sorted-set", "1.0.5", "Return a range of members in a sorted set, by score"),
    row("zrangestore", -5, "WM", (1, 2, 1), zrange::zrangestore, "sorted-set", "6.2.0", "Store a range of members from sorted set into another key"),
    row("zrank", 3, "RF", (1, 1, 1), zsets::zrank, "sorted-set", "2.0.0", "Determine the index of a member in a sorted set"),
    row("zrem", -3, "WF", (1, 1, 1), zsets::zrem, "sorted-set", "1.2.0", "Remove one or more members from a sorted set"),
    row("zremrangebylex", 4, "W", (1, 1, 1), zrange::zremrangebylex, "sorted-set", "2.8.9", "Remove all members in a sorted set between the given lexicographical range"),
    row("zremrangebyrank", 4, "W", (1, 1, 1), zrange::zremrangebyrank, "sorted-set", "2.0.0", "Remove all members in a sorted set within the given indexes"),
    row("zremrangebyscore", 4, "W", (1, 1, 1), zrange::zremrangebyscore, "sorted-set", "1.2.0", "Remove all members in a sorted set within the given scores"),
    row("zrevrange", -4, "R", (1, 1, 1), zrange::zrevrange, "sorted-set", "1.2.0", "Return a range of members in a sorted set, by index, with scores ordered from high to low"),
    row("zrevrangebylex", -4, "R", (1, 1, 1), zrange::zrevrangebylex, "sorted-set", "2.8.9", "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings."),
    row("zrevrangebyscore", -4, "R", (1, 1, 1), zrange::zrevrangebyscore, "sorted-set", "2.2.0", "Return a range of members in a sorted set, by score, with scores ordered from high to low"),
    row("zrevrank", 3, "RF", (1, 1, 1), zsets::zrevrank, "sorted-set", "2.0.0", "Determine the index of a member in a sorted set, with scores ordered from high to low"),
    row("zscan", -3, "R", (1, 1, 1), scan::zscan, "sorted-set", "2.8.0", "Incrementally iterate sorted sets elements and associated scores"),
    row("zscore", 3, "RF", (1, 1, 1), zsets::zscore, "sorted-set", "1.2.0", "Get the score associated with the given member in a sorted set"),
    row("zunion", -3, "RK", (0, 0, 0), zunion::zunion, "sorted-set", "6.2.0", "Add multiple sorted sets"),
    row("zunionstore", -4, "WMK", (1, 1, 1), zunion::zunionstore, "sorted-set", "2.0.0", "Add multiple sorted sets and store the resulting sorted set in a new key"),
    row("copy", -3, "WM", (1, 2, 1), keys::copy, "generic", "6.2.0", "Copy a key"),
    row("del", -2, "W", (1, -1, 1), keys::del, "generic", "1.0.0", "Delete a key"),
    row("exists", -2, "RF", (1, -1, 1), keys::exists, "generic", "1.0.0", "Determine if a key exists"),
    row("expire", -3, "WF", (1, 1, 1), expiry::expire, "generic", "1.0.0", "Set a key's time to live in seconds"),
    row("expireat", -3, "WF", (1, 1, 1), expiry::expireat, "generic", "1.2.0", "Set the expiration for a key as a UNIX timestamp"),
    row("expiretime", 2, "RF", (1, 1, 1), expiry::expiretime, "generic", "7.0.0", "Get the expiration Unix timestamp for a key"),
    row("keys", 2, "R", (0, 0, 0), keys::keys, "generic", "1.0.0", "Find all keys matching the given pattern"),
    row("move", 3, "WF", (1, 1, 1), keys::move_key, "generic", "1.0.0", "Move a key to another database"),
    row("object", -2, "", (0, 0, 0), keys::object, "generic", "2.2.3", "A container for object introspection commands"),
    row("persist", 2, "WF", (1, 1, 1), expiry::persist, "generic", "2.2.0", "Remove the expiration from a key"),
    row("pexpire", -3, "WF", (1, 1, 1), expiry::pexpire, "generic", "2.6.0", "Set a key's time to live in milliseconds"),
    row("pexpireat", -3, "WF", (1, 1, 1), expiry::pexpireat, "generic", "2.6.0", "Set the expiration for a key as a UNIX timestamp specified in milliseconds"),
    row("pexpiretime", 2, "RF", (1, 1, 1), expiry::pexpiretime, "generic", "7.0.0", "Get the expiration Unix timestamp for a key in milliseconds"),
    row("pttl", 2, "RF", (1, 1, 1), expiry::pttl, "generic", "2.6.0", "Get the time to live for a key in milliseconds"),
    row("randomkey", 1, "R", (0, 0, 0), keys::randomkey, "generic", "1.0.0", "Return a random key from the keyspace"),
    row("rename", 3, "W", (1, 2, 1), keys::rename, "generic", "1.0.0", "Rename a key"),
    row("renamenx", 3, "WF", (1, 2, 1), keys::renamenx, "generic", "1.0.0", "Rename a key, only if the new key does not exist"),
    row("scan", -2, "R", (0, 0, 0), scan::scan, "generic", "2.8.0", "Incrementally iterate the keys space"),
    row("sort", -2, "WMK", (1, 1, 1), sort::sort, "generic", "1.0.0", "Sort the elements in a list, set or sorted set"),
    row("sort_ro", -2, "RK", (1, 1, 1), sort::sort_ro, "generic", "7.0.0", "Sort the elements in a list, set or sorted set. Read-only variant of SORT."),
    row("touch", -2, "RF", (1, -1, 1), keys::touch, "generic", "3.2.1", "Alters the last access time of a key(s). Returns the number of existing keys specified."),
    row("ttl", 2, "RF", (1, 1, 1), expiry::ttl, "generic", "1.0.0", "Get the time to live for a key in seconds"),
    row("type", 2, "RF", (1, 1, 1), keys::kind, "generic", "1.0.0", "Determine the type stored at key"),
    row("unlink", -2, "WF", (1, -1, 1), keys::unlink, "generic", "4.0.0", "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking."),
    row("discard", 1, "SLTFY", (0, 0, 0), transactions::discard, "transactions", "2.0.0", "Discard all commands issued after MULTI"),
    row("exec", 1, "SLT", (0, 0, 0), transactions::exec, "transactions", "1.2.0", "Execute all commands issued after MULTI"),
    row("multi", 1, "SLTFY", (0, 0, 0), transactions::multi, "transactions", "1.2.0", "Mark the start of a transaction block"),
    row("unwatch", 1, "SLTFY", (0, 0, 0), transactions::unwatch, "transactions", "2.2.0", "Forget about all watched keys"),
    row("watch", -2, "SLTFY", (1, -1, 1), transactions::watch, "transactions", "2.2.0", "Watch the given keys to determine execution of the MULTI/EXEC block"),
    row("hdel", -3, "WF", (1, 1, 1), hashes::hdel, "hash", "2.0.0", "Delete one or more hash fields"),
    row("hexists", 3, "RF", (1, 1, 1), hashes::hexists, "hash", "2.0.0", "Determine if a hash field exists"),
    row("hget", 3, "RF", (1, 1, 1), hashes::hget, "hash", "2.0.0", "Get the value of a hash field"),
    row("hgetall", 2, "R", (1, 1, 1), hashes::hgetall, "hash", "2.0.0", "Get all the fields and values in a hash"),
    row("hincrby", 4, "WMF", (1, 1, 1), hashes::hincrby, "hash", "2.0.0", "Increment the integer value of a hash field by the given number"),
    row("hincrbyfloat", 4, "WMF", (1, 1, 1), hashes::hincrbyfloat, "hash", "2.6.0", "Increment the float value of a hash field by the given amount"),
    row("hkeys", 2, "R", (1, 1, 1), hashes::hkeys, "hash", "2.0.0", "Get all the fields in a hash"),
    row("hlen", 2, "RF", (1, 1, 1), hashes::hlen, "hash", "2.0.0", "Get the number of fields in a hash"),
    row("hmget", -3, "RF", (1, 1, 1), hashes::hmget, "hash", "2.0.0", "Get the values of all the given hash fields"),
    row("hmset", -4, "WMF", (1, 1, 1), hashes::hmset, "hash", "2.0.0", "Set multiple hash fields to multiple values"),
    row("hrandfield", -2, "R", (1, 1, 1), hashes::hrandfield, "hash", "6.2.0", "Get one or multiple random fields from a hash"),
    row("hscan", -3, "R", (1, 1, 1), scan::hscan, "hash", "2.8.0", "Incrementally iterate hash fields and associated values"),
    row("hset", -4, "WMF", (1, 1, 1), hashes::hset, "hash", "2.0.0", "Set the string value of a hash field"),
    row("hsetnx", 4, "WMF", (1, 1, 1), hashes::hsetnx, "hash", "2.0.0", "Set the value of a hash field, only if the field does not exist"),
    row("hstrlen", 3, "RF", (1, 1, 1), hashes::hstrlen, "hash", "3.2.0", "Get the length of the value of a hash field"),
    row("hvals", 2, "R", (1, 1, 1), hashes::hvals, "hash", "2.0.0", "Get all the values in a hash"),
    row("function", -2, "", (0, 0, 0), scripts::function, "scripting", "7.0.0", "A container for function commands"),
    row("script", -2, "", (0, 0, 0), scripts::script, "scripting", "2.6.0", "A container for Lua scripts management commands"),
    row("psubscribe", -2, "PSLT", (0, 0, 0), pubsub::psubscribe, "pubsub", "2.0.0", "Listen for messages published to channels matching the given patterns"),
    row("publish", 3, "PLTF", (0, 0, 0), pubsub::publish, "pubsub", "2.0.0", "Post a message to a channel"),
    row("pubsub", -2, "", (0, 0, 0), pubsub::pubsub, "pubsub", "2.8.0", "A container for Pub/Sub commands"),
    row("punsubscribe", -1, "PSLT", (0, 0, 0), pubsub::punsubscribe, "pubsub", "2.0.0", "Stop listening for messages posted to channels matching the given patterns"),
    row("spublish", 3, "PLTF", (1, 1, 1), pubsub::spublish, "pubsub", "7.0.0", "Post a message to a shard channel"),
    row("ssubscribe", -2, "PSLT", (1, -1, 1), pubsub::ssubscribe, "pubsub", "7.0.0", "Listen for messages published to the given shard channels"),
    row("subscribe", -2, "PSLT", (0, 0, 0), pubsub::subscribe, "pubsub", "2.0.0", "Listen for messages published to the given channels"),
    row("sunsubscribe", -1, "PSLT", (1, -1, 1), pubsub::sunsubscribe, "pubsub", "7.0.0", "Stop listening for messages posted to the given shard channels"),
    row("unsubscribe", -1, "PSLT", (0, 0, 0), pubsub::unsubscribe, "pubsub", "2.0.0", "Stop listening for messages posted to the given channels"),
    row("sadd", -3, "WMF", (1, 1, 1), sets::sadd, "set", "1.0.0", "Add one or more members to a set"),
    row("scard", 2, "RF", (1, 1, 1), sets::scard, "set", "1.0.0", "Get the number of members in a set"),
    row("sdiff", -2, "R", (1, -1, 1), sets::sdiff, "set", "1.0.0", "Subtract multiple sets"),
    row("sdiffstore", -3, "WM", (1, -1, 1), sets::sdiffstore, "set", "1.0.0", "Subtract multiple sets and store the resulting set in a key"),
    row("sinter", -2, "R", (1, -1, 1), sets::sinter, "set", "1.0.0", "Intersect multiple sets"),
    row("sintercard", -3, "RK", (0, 0, 0), sets::sintercard, "set", "7.0.0", "Intersect multiple sets and return the cardinality of the result"),
    row("sinterstore", -3, "WM", (1, -1, 1), sets::sinterstore, "set", "1.0.0", "Intersect multiple sets and store the resulting set in a key"),
    row("sismember", 3, "RF", (1, 1, 1), sets::sismember, "set", "1.0.0", "Determine if a given value is a member of a set"),
    row("smembers", 2, "R", (1, 1, 1), sets::smembers, "set", "1.0.0", "Get all the members in a set"),
    row("smismember", -3, "RF", (1, 1, 1), sets::smismember, "set", "6.2.0", "Returns the membership associated with the given elements for a set"),
    row("smove", 4, "WF", (1, 2, 1), sets::smove, "set", "1.0.0", "Move a member from one set to another"),
    row("spop", -2, "WF", (1, 1, 1), sets::spop, "set", "1.0.0", "Remove and return one or multiple random members from a set"),
    row("srandmember", -2, "R", (1, 1, 1), sets::srandmember, "set", "1.0.0", "Get one or multiple random members from a set"),
    row("srem", -3, "WF", (1, 1, 1), sets::srem, "set", "1.0.0", "Remove one or more members from a set"),
    row("sscan", -3, "R", (1, 1, 1), scan::sscan, "set", "2.8.0", "Incrementally iterate Set elements"),
    row("sunion", -2, "R", (1, -1, 1), sets::sunion, "set", "1.0.0", "Add multiple sets"),
    row("sunionstore", -3, "WM", (1, -1, 1), sets::sunionstore, "set", "1.0.0", "Add multiple sets and store the resulting set in a key"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for row in Table.all() {
            for name in [row.name.to_owned(), row.name.to_uppercase()] {
                assert!(Table.find(name.as_bytes()).is_some_and(|found| std::ptr::eq(found, row)), "{name}");
            }
        }
        assert!(Table.find(b"nothing").is_none() && Table.find(&[b'x'; 100]).is_none() && Table.find(b"").is_none());
    }
}
