//! The keys that are there after a crash.

use super::{
    resp::{Client, Value},
    store,
};
use crate::support::{
    process::{Process, refusal, wait_until},
    random::Random,
};
use std::{fs, path::PathBuf};

fn with_data<'a>(folder: &'a tempfile::TempDir, more: &[&'a str]) -> Vec<&'a str> {
    [&["--data", folder.path().to_str().unwrap()], more].concat()
}

/// The last log of a directory.
fn log(folder: &tempfile::TempDir) -> PathBuf {
    let paths = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

fn info(client: &mut Client, field: &str) -> String {
    let (Value::Bulk(text) | Value::Verbatim(text)) = client.say("INFO") else { panic!("INFO is a text") };
    let lines = text.split("\\r\\n").map(str::to_owned);
    lines.filter_map(|line| line.strip_prefix(&format!("{field}:")).map(str::to_owned)).next().unwrap()
}

/// A change that a client chooses by chance; some expire, some are chosen by the server's chance.
fn change(random: &mut Random, client: &mut Client) {
    let key = format!("k{}", random.below(100));
    let number = random.below(50);
    let line = match random.below(16) {
        0 => format!("SET {key} {number}"),
        1 => format!("SET {key} v{number} PX {}", 1 + random.below(2000)),
        2 => format!("INCR {key}"),
        3 => format!("RPUSH {key} a b {number}"),
        4 => format!("LPOP {key}"),
        5 => format!("SADD {key} {number} a{number}"),
        6 => format!("SPOP {key}"),
        7 => format!("HSET {key} f{number} v"),
        8 => format!("HINCRBYFLOAT {key} f 0.1"),
        9 => format!("ZADD {key} {number}.5 m{number}"),
        10 => format!("ZPOPMIN {key}"),
        11 => format!("RENAME {key} k{number}"),
        12 => format!("SUNIONSTORE {key} k{number} k{}", number + 1),
        13 => format!("EXPIRE {key} {}", 1 + random.below(3)),
        14 => format!("SELECT {}", random.below(3)),
        _ => format!("DEL {key}"),
    };
    client.say(&line);
}

/// Everything, in an order of its own.
fn everything(client: &mut Client) -> Vec<String> {
    let mut found = Vec::new();
    for db in 0..3 {
        client.say(&format!("SELECT {db}"));
        for number in 0..100 {
            let key = format!("k{number}");
            let mut members = match client.say(&format!("SMEMBERS {key}")) {
                Value::Array(members) => members.iter().map(|member| format!("{member:?}")).collect(),
                _ => Vec::new(),
            };
            members.sort();
            let mut lines = vec![format!("{db} {key} {members:?}")];
            for command in ["GET", "PEXPIRETIME", "TYPE"] {
                lines.push(format!("{:?}", client.say(&format!("{command} {key}"))));
            }
            lines.push(format!("{:?}", client.say(&format!("LRANGE {key} 0 -1"))));
            lines.push(format!("{:?}", client.say(&format!("ZRANGE {key} 0 -1 WITHSCORES"))));
            let hash = client.say(&format!("HGETALL {key}"));
            lines.push(match hash {
                Value::Array(items) => {
                    let mut pairs: Vec<String> = items.chunks(2).map(|pair| format!("{pair:?}")).collect();
                    pairs.sort();
                    pairs.concat()
                }
                other => format!("{other:?}"),
            });
            found.push(lines.join(" "));
        }
    }
    found
}

fn kill(mut process: Process) {
    process.signal("KILL");
    process.wait();
}

/// With `always`, all that was replied to is there after kill -9, again and again; meanwhile the file is written again and again.
#[test]
fn nothing_that_was_replied_to_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(1);
    let mut before: Option<Vec<String>> = None;
    for round in 0..4 {
        let store = store(&with_data(&folder, &["--appendfsync", "always"]));
        let mut client = Client::tcp(store.address());
        // Time goes on: keys that expire do so in one as in the other.
        if let Some(before) = before.take() {
            for (before, now) in before.iter().zip(everything(&mut client)) {
                assert!(*before == now || before.contains("Int(1"), "round {round}:\n{before}\n{now}");
            }
        }
        for turn in 0..400 {
            change(&mut random, &mut client);
            if turn % 150 == 100 {
                client.say("BGREWRITEAOF");
            }
        }
        before = Some(everything(&mut client));
        kill(store);
    }
    assert!(fs::read_dir(folder.path()).unwrap().count() < 6, "old files are removed");
}

/// Commands that were sent and not replied to may be there or not, but those before them are.
#[test]
fn a_crash_in_the_middle_of_a_burst_keeps_what_was_replied_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut replied = 0;
    for _ in 0..5 {
        let store = store(&with_data(&folder, &["--appendfsync", "always"]));
        let mut client = Client::tcp(store.address());
        let Value::Int(found) = client.say("LLEN list") else { panic!("a list has a length") };
        assert!(found >= replied, "{replied} were replied to, {found} are there");
        for _ in 0..100 {
            client.send(&["RPUSH", "list", "x"]);
        }
        for _ in 0..30 {
            let Value::Int(len) = client.read() else { panic!("a list has a length") };
            replied = len;
        }
        kill(store);
    }
}

#[test]
fn everysec_loses_nothing_once_it_is_written_and_a_torn_end_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let server = store(&with_data(&folder, &[]));
    let mut client = Client::tcp(server.address());
    for number in 0..100 {
        client.say(&format!("SET k{number} {number}"));
    }
    wait_until("changes to be written", || info(&mut client, "aof_buffer_length") == "0");
    client.say("MULTI");
    client.say("SET first 1");
    client.say("SET second 2");
    client.say("EXEC");
    wait_until("changes to be written", || info(&mut client, "aof_buffer_length") == "0");
    kill(server);
    let whole = fs::read(log(&folder)).unwrap();
    for cut in [1, 5, 30, 60] {
        fs::write(log(&folder), &whole[..whole.len() - cut]).unwrap();
        let server = store(&with_data(&folder, &[]));
        server.wait_for_stderr("bytes were being written at a crash: cut off");
        let mut client = Client::tcp(server.address());
        assert_eq!(client.say("DBSIZE"), Value::Int(100), "a transaction is there as a whole, or not at all");
        assert_eq!(client.say("GET k99"), Value::Bulk("99".to_owned()));
        kill(server);
    }
}

#[test]
fn damage_is_no_crash_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = store(&with_data(&folder, &["--appendfsync", "always"]));
    let mut client = Client::tcp(server.address());
    for number in 0..20 {
        client.say(&format!("SET k{number} {number}"));
    }
    kill(server);
    let whole = fs::read(log(&folder)).unwrap();
    // A letter of a value, the length of a word, a checksum.
    let places = ["\r\nk3\r\n", "$2\r\nk3", "#CRC:"].map(|text| {
        whole.windows(text.len()).position(|part| part == text.as_bytes()).unwrap()
            + if text.starts_with('\r') { 3 } else { 1 }
    });
    for place in places {
        let mut bytes = whole.clone();
        bytes[place] = if bytes[place].is_ascii_digit() { b'9' } else { bytes[place] ^ 1 };
        fs::write(log(&folder), &bytes).unwrap();
        let args = with_data(&folder, &["--listen", "127.0.0.1:0"]);
        let (code, said) = refusal(env!("CARGO_BIN_EXE_store"), &args);
        assert!(code == Some(1) && said.contains("is damaged behind byte"), "{place}: {said}");
        assert_eq!(fs::read(log(&folder)).unwrap(), bytes, "it is left as it is");
    }
}

#[test]
fn a_demo_leaves_nothing_behind_and_a_directory_has_one_server() {
    let mut demo = store(&[]);
    demo.wait_for_stderr("and go with this process: keep them with --data DIR");
    let said = demo.stderr();
    let folder = said.split("changes are kept in ").nth(1).unwrap().split(',').next().unwrap();
    assert!(fs::metadata(folder).unwrap().is_dir());
    demo.signal("TERM");
    assert_eq!(demo.wait().code(), Some(0));
    assert!(fs::metadata(folder).is_err());

    let folder = tempfile::tempdir().unwrap();
    let _first = store(&with_data(&folder, &[]));
    let args = with_data(&folder, &["--listen", "127.0.0.1:0"]);
    let (code, said) = refusal(env!("CARGO_BIN_EXE_store"), &args);
    assert!(code == Some(1) && said.contains("in use by another server"), "{said}");
}
