//! Several servers over a real Redis: they behave as one, go on alone when it dies, and meet again.

use super::{chat, person::Person};
use crate::support::{
    process::{Process, refusal},
    raw::in_parallel,
    redis::RedisServer,
    tls::{Special, text},
};

const ALONE: &str = "* the other servers cannot be reached: for now, only people of this server hear each other";
const BACK: &str = "* the other servers are back: all hear each other again";

/// A server of the cluster, when it has met Redis.
fn member(redis: &RedisServer, more: &[&str]) -> Process {
    let chat = chat(&[&["--cluster", &redis.url(), "--rate", "100000", "--burst", "100000"], more].concat());
    chat.wait_for_stderr("answers");
    chat
}

/// Two servers, when each knows the other.
fn two(redis: &RedisServer) -> [Process; 2] {
    [(); 2].map(|()| member(redis, &["--workers", "2"]))
}

/// In a room of both servers, and seen by all of them.
fn meet(servers: &[Process; 2], names: [&str; 2], room: &str) -> [Person; 2] {
    let mut one = Person::in_room(servers[0].address(), names[0], room);
    let mut two = Person::arrive(servers[1].address());
    // The room belongs to the first one, if that is known.
    see(&mut two, names[0], room);
    two.say(&format!("/nick {}\n/join {room}", names[1]));
    two.wait_for(&format!("* you are in {room}"));
    see(&mut one, names[1], room);
    [one, two]
}

/// Asks until the other one is listed.
fn see(person: &mut Person, other: &str, room: &str) {
    loop {
        person.say(&format!("/who {room}"));
        let listed = loop {
            let line = person.line().unwrap();
            if line.starts_with(&format!("* in {room}")) || line == format!("! there is no room {room}") {
                break line;
            }
        };
        if listed.split(' ').any(|name| name == other) {
            return;
        }
    }
}

/// Asks until the other one is no longer listed.
fn miss(person: &mut Person, other: &str, room: &str) {
    loop {
        person.say(&format!("/who {room}"));
        if !person.wait_for(&format!("* in {room}")).split(' ').any(|name| name == other) {
            return;
        }
    }
}

#[test]
fn two_servers_behave_as_one() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let servers = two(&redis);
    let [mut ann, mut bob] = meet(&servers, ["ann", "bob"], "tea");
    ann.say("hello");
    assert_eq!(bob.message(), (1, "ann: hello".to_owned()));
    bob.say("/send tea 7 hi");
    assert_eq!(bob.wait_for("* 7 is"), "* 7 is [tea 2]");
    assert_eq!(ann.message(), (2, "bob: hi".to_owned()));
    // One person.
    bob.say("/msg ann psst");
    assert_eq!(ann.wait_for("[@"), "[@ 1] bob: psst");
    assert_eq!(bob.wait_for("* to"), "* to ann: psst");
    bob.say("/msg nemo psst");
    assert_eq!(bob.wait_for("!"), "! nemo is not here");
    // Names are taken everywhere, and lists have all.
    bob.say("/nick ANN\n/who\n/rooms");
    assert_eq!(bob.wait_for("!"), "! ANN is taken: choose another name");
    assert_eq!(bob.wait_for("* in tea"), "* in tea: 2 here: bob ann (owner)");
    assert_eq!(bob.wait_for("* tea"), "* tea 2");
    bob.say("/nick rob");
    assert_eq!(ann.wait_for("* bob is"), "* bob is now rob");
    // History is that of all, for a server that comes later, too.
    let later = member(&redis, &[]);
    let mut carol = Person::in_room(later.address(), "carol", "tea");
    assert_eq!(carol.message(), (1, "ann: hello".to_owned()));
    assert_eq!(carol.message(), (2, "bob: hi".to_owned()));
    assert_eq!(ann.wait_for("* carol has"), "* carol has joined tea");
    carol.say("/leave");
    assert_eq!(ann.wait_for("* carol has"), "* carol has left tea");
    drop(later);
    // One that quits, and a server that stops.
    let [_, mut stopping] = servers;
    stopping.signal("TERM");
    stopping.wait();
    assert_eq!(ann.wait_for("* rob has left").split(':').next(), Some("* rob has left tea"));
}

/// People of both servers talk at once: all hear all of it, once, and in one order.
#[test]
fn all_servers_hear_one_order_without_gaps() {
    const TALKERS: usize = 4;
    const WORDS: u64 = 50;
    let Some(redis) = RedisServer::start(&[]) else { return };
    let servers = two(&redis);
    let mut listeners = meet(&servers, ["lis", "ten"], "tea");
    in_parallel(TALKERS, |n| {
        let mut talker = Person::in_room(servers[n % 2].address(), &format!("talker-{n}"), "tea");
        for word in 1..=WORDS {
            talker.say(&format!("/send tea {word} {word}"));
        }
        talker.wait_for(&format!("* {WORDS} is"));
    });
    let all = TALKERS as u64 * WORDS;
    let [first, second] = [0, 1].map(|n| (0..all).map(|_| listeners[n].message()).collect::<Vec<_>>());
    assert_eq!(first, second);
    assert!(first.iter().map(|(seq, _)| *seq).eq(1..=all));
    for n in 0..TALKERS {
        let from = format!("talker-{n}: ");
        let words =
            first.iter().filter_map(|(_, text)| text.strip_prefix(&*from)).map(|word| word.parse::<u64>().unwrap());
        assert!(words.eq(1..=WORDS), "each in the order in which it was said");
    }
}

#[test]
fn moderators_and_accounts_are_those_of_all_servers() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let servers = two(&redis);
    let [mut ann, mut bob] = meet(&servers, ["ann", "bob"], "tea");
    ann.say("/kick bob too loud");
    assert_eq!(bob.wait_for("* you have left"), "* you have left tea: put out by ann: too loud");
    assert_eq!(ann.wait_for("* bob has"), "* bob has left tea: put out by ann: too loud");
    bob.say("/join tea");
    bob.wait_for("* you are in tea");
    ann.wait_for("* bob has joined");
    ann.say("/mute bob 10m");
    assert!(bob.wait_for("* bob may not speak in tea for").ends_with(['m', 's']));
    bob.say("hello?");
    assert!(bob.wait_for("!").starts_with("! you may not speak in tea for "));
    ann.say("/ban bob 10m");
    assert_eq!(bob.wait_for("* you have left"), "* you have left tea: banned");
    bob.say("/nick rob\n/join tea");
    assert!(bob.wait_for("!").starts_with("! you may not enter tea for "), "another name does not help");
    // An account that was made here is known there, and whoever knows its password has the name.
    ann.say("/register correct horse");
    ann.wait_for("* ann is yours");
    let mut again = Person::arrive(servers[1].address());
    loop {
        again.say("/login ann correct horse");
        match again.line().unwrap().as_str() {
            "! ann is not registered" => {}
            "* you are ann now" => break,
            other => panic!("{other}"),
        }
    }
    assert_eq!(ann.rest().last().unwrap(), "* you have logged in elsewhere");
    // Its part in a room, too: the first account has the lobby.
    again.say("/join lobby\n/op ann");
    assert_eq!(again.wait_for("! "), "! lobby belongs to ann");
}

/// The order of things: together, alone, together again.
#[test]
fn servers_go_on_alone_without_redis_and_meet_again() {
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    let servers = two(&redis);
    let [mut ann, mut bob] = meet(&servers, ["ann", "bob"], "tea");
    let mut amy = Person::in_room(servers[0].address(), "amy", "tea");
    let mut ben = Person::in_room(servers[1].address(), "ben", "lobby");
    see(&mut bob, "amy", "tea");
    ann.say("one");
    for person in [&mut amy, &mut bob] {
        assert_eq!(person.message(), (1, "ann: one".to_owned()));
    }
    redis.kill();
    for person in [&mut ann, &mut amy, &mut bob, &mut ben] {
        assert_eq!(person.wait_for("* the other"), ALONE);
    }
    // On one side somebody speaks, on the other nobody does.
    ann.say("alone\nstill alone");
    assert_eq!(amy.message(), (2, "ann: alone".to_owned()));
    assert_eq!(amy.message(), (3, "ann: still alone".to_owned()));
    miss(&mut bob, "ann", "tea");
    let mut late = Person::in_room(servers[1].address(), "late", "tea");
    assert_eq!(late.message(), (1, "ann: one".to_owned()));
    assert_eq!(late.wait_for("* the other"), ALONE, "one that comes is told, too");
    redis.start_again();
    for person in [&mut ann, &mut amy, &mut bob, &mut ben, &mut late] {
        // Nothing in between: it is said once.
        let told = person.wait_for("* the other");
        assert_eq!(told, BACK);
    }
    see(&mut bob, "ann", "tea");
    see(&mut ann, "bob", "tea");
    bob.say("together");
    for person in [&mut ann, &mut amy, &mut late] {
        assert_eq!(person.message(), (4, "bob: together".to_owned()), "what was said alone stays there");
    }
    ann.say("again");
    for person in [&mut amy, &mut bob, &mut late] {
        assert_eq!(person.message(), (5, "ann: again".to_owned()));
    }
    for server in servers {
        let log = server.stderr();
        assert_eq!(log.matches("the chat goes on alone").count(), 1, "{log}");
        assert_eq!(log.matches("is back").count(), 1, "{log}");
    }
}

/// Nothing is lost or doubled by a store that stands still, is cut off, or forgets: all that was acknowledged was heard once, on the server of
/// its speaker at least, and numbers only grow.
#[test]
fn messages_of_a_bad_time_are_heard_once() {
    const WORDS: u64 = 300;
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    let servers = two(&redis);
    let [mut ann, mut bob] = meet(&servers, ["ann", "bob"], "tea");
    ann.say("/echo on");
    for word in 1..=WORDS {
        ann.say(&format!("/send tea {word} {word}"));
        match word {
            100 => redis.kill(),
            200 => redis.start_again(),
            _ => {}
        }
    }
    let heard: Vec<(u64, String)> = (0..WORDS).map(|_| ann.message()).collect();
    assert!(heard.iter().map(|(_, text)| text.strip_prefix("ann: ").unwrap().parse::<u64>().unwrap()).eq(1..=WORDS));
    assert!(heard.is_sorted_by(|(one, _), (next, _)| one < next));
    see(&mut bob, "ann", "tea");
    ann.say("end");
    let mut there = Vec::new();
    loop {
        match bob.message() {
            (_, text) if text == "ann: end" => break,
            (seq, text) => there.push((seq, text)),
        }
    }
    // The other server has a part of it, in the same order and under the same numbers.
    assert!(there.iter().all(|message| heard.contains(message)), "{there:?}");
    assert!(there.is_sorted_by(|(one, _), (next, _)| one < next));
}

/// "Sent" is true: the other server has said that its person has the words. Else it is said that they may be lost.
#[test]
fn words_for_a_person_elsewhere_are_sent_when_they_have_arrived() {
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    let servers = two(&redis);
    let [mut ann, mut bob] = meet(&servers, ["ann", "bob"], "tea");
    ann.say("/msg BOB one");
    assert_eq!(bob.wait_for("[@"), "[@ 1] ann: one");
    assert_eq!(ann.wait_for("* to"), "* to bob: one");
    // A store that stands still takes the words, and hands them to nobody.
    redis.signal("STOP");
    ann.say("/msg bob two\n/help");
    assert!(ann.line().unwrap().starts_with("* "), "nothing is said of it before");
    redis.kill();
    assert_eq!(ann.wait_for("* the other"), ALONE);
    assert_eq!(ann.wait_for("! "), "! bob may not have got this: two");
    ann.say("/msg bob three");
    assert_eq!(ann.wait_for("! "), "! bob is not here");
    redis.start_again();
    see(&mut ann, "bob", "tea");
    // A goodbye right behind them does not come before the answer.
    ann.say("/msg bob four\n/quit");
    assert_eq!(bob.wait_for("[@"), "[@ 2] ann: four");
    let rest = ann.rest();
    assert_eq!(rest[rest.len() - 2..], ["* to bob: four", "* goodbye"]);
}

#[test]
fn servers_meet_over_tls() {
    let Some((redis, secure, site)) = RedisServer::start_secured(&[], Special::default(), "no") else { return };
    let path = |name: &str| text(&site.path(name)).to_owned();
    let url = format!("rediss://{secure}");
    let server = |ca: &str| chat(&["--cluster", &url, "--cluster-ca", &path(ca)]);
    let servers = [(); 2].map(|()| server("ours.pem"));
    servers.iter().for_each(|server| server.wait_for_stderr(&format!("{url} answers")));
    let [mut ann, mut bob] = meet(&servers, ["ann", "bob"], "tea");
    ann.say("hello");
    assert_eq!(bob.message(), (1, "ann: hello".to_owned()));
    bob.say("/msg ann psst");
    assert_eq!(ann.wait_for("[@"), "[@ 1] bob: psst");
    let stranger = server("others.pem");
    stranger.wait_for_stderr("the chat goes on alone, and it is tried again");
    let plain = redis.url();
    for (flags, why) in [
        (["--cluster", &url, "--cluster-ca", "none.pem"], "--cluster-ca none.pem: cannot be read"),
        (["--cluster", &plain, "--cluster-ca", &path("ours.pem")], "which is without TLS (rediss:// is with it)"),
    ] {
        let (code, said) = refusal(env!("CARGO_BIN_EXE_chat"), &flags);
        assert!(code == Some(2) && said.contains(why), "{said}");
    }
}

/// A server begins without Redis, and finds it when it comes.
#[test]
fn a_server_without_redis_is_a_server() {
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    redis.kill();
    let chat = chat(&["--cluster", &redis.url()]);
    chat.wait_for_stderr("the chat goes on alone, and it is tried again");
    let mut ann = Person::in_room(chat.address(), "ann", "tea");
    assert_eq!(ann.wait_for("* the other"), ALONE);
    ann.say("/send tea 1 hello");
    assert_eq!(ann.wait_for("* 1 is"), "* 1 is [tea 1]");
    redis.start_again();
    assert_eq!(ann.wait_for("* the other"), BACK);
    let other = member(&redis, &[]);
    let mut bob = Person::in_room(other.address(), "bob", "tea");
    see(&mut ann, "bob", "tea");
    bob.say("hi");
    assert_eq!(ann.message(), (2, "bob: hi".to_owned()), "numbers go on behind what was said alone");
}

#[test]
fn a_cluster_that_cannot_be_is_refused() {
    let refused = |url: &str| {
        let (code, said) = refusal(env!("CARGO_BIN_EXE_chat"), &["--cluster", url]);
        assert_eq!(code, Some(2));
        said
    };
    assert!(refused("127.0.0.1:6379").contains("write redis://HOST:PORT"));
    let Some(redis) = RedisServer::start(&["--requirepass", "secret"]) else { return };
    let chat = chat(&["--cluster", &redis.url()]);
    chat.wait_for_stderr("NOAUTH");
    let url = redis.url().replace("redis://", "redis://:secret@");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("password"), "secret\nand a remark\n").unwrap();
    std::fs::write(path("nothing"), "\n").unwrap();
    for flags in
        [vec!["--cluster", &url], vec!["--cluster", &redis.url(), "--cluster-password-file", &path("password")]]
    {
        let with_password = super::chat(&flags);
        with_password.wait_for_stderr("answers");
        assert!(!with_password.stderr().contains("secret"));
    }
    for (url, file, why) in [
        (&url, "password", "--cluster has a password already"),
        (&redis.url(), "nothing", "its first line is empty"),
        (&redis.url(), "none", "No such file"),
    ] {
        let flags = ["--cluster", url, "--cluster-password-file", &path(file)];
        let (code, said) = refusal(env!("CARGO_BIN_EXE_chat"), &flags);
        assert!(code == Some(2) && said.contains(why), "{said}");
    }
}
