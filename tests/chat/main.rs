//! The chat between real clients on real sockets: many of them, slow ones, and ones whose connection breaks.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod crowd;
mod lasting;
mod page;
mod person;
mod socket;

use person::Person;
use support::process::{Process, start};

fn chat(args: &[&str]) -> Process {
    start(env!("CARGO_BIN_EXE_chat"), args)
}

/// The drivers to try, as flags.
fn drivers() -> Vec<[&'static str; 2]> {
    let others: &[&str] = if cfg!(target_os = "linux") { &["epoll", "io-uring"] } else { &["auto"] };
    others.iter().map(|driver| ["--driver", driver]).collect()
}

#[test]
fn it_works_without_arguments() {
    let chat = chat(&[]);
    let mut ann = Person::in_room(chat.address(), "ann", "lobby");
    let mut bob = Person::in_room(chat.address(), "bob", "lobby");
    assert_eq!(ann.wait_for("* bob"), "* bob has joined lobby");
    ann.say("hello\n/who");
    assert_eq!(bob.message(), (1, "ann: hello".to_owned()));
    assert_eq!(ann.wait_for("* in lobby"), "* in lobby: 2 here: ann bob");
    bob.say("/msg ann psst\n/quit");
    assert_eq!(ann.wait_for("[@"), "[@ 1] bob: psst");
    assert_eq!(ann.wait_for("* bob"), "* bob has left lobby");
    assert_eq!(bob.rest(), ["* to ann: psst", "* goodbye"]);
    chat.wait_for_stderr("try: nc 127.0.0.1 ");
    chat.wait_for_stderr("in a browser");
}

/// The worst of lines: none of them ends the conversation.
#[test]
fn garbage_is_answered() {
    let chat = chat(&["--max-line", "100", "--burst", "100"]);
    let mut ann = Person::in_room(chat.address(), "ann", "lobby");
    let mut raw = Person::connect(chat.address(), None);
    raw.send(b"\xff\xfe\n");
    raw.send(&[b'x'; 1000]);
    raw.send(b"\n/join lobby\nstill here\n");
    assert_eq!(ann.message().1.split_once(": ").unwrap().1, "still here");
    assert_eq!(raw.wait_for("!"), "! that line is not UTF-8");
    assert_eq!(raw.wait_for("!"), "! that line is too long");
    ann.say(&"y".repeat(100));
    assert_eq!(raw.wait_for("[lobby 2]").len(), "[lobby 2] ann: ".len() + 100);
    ann.say(&"y".repeat(101));
    assert_eq!(ann.wait_for("!"), "! that line is too long");
}

/// A client that talks too fast is read more slowly, and nothing of what it says is lost.
#[test]
fn a_fast_talker_is_slowed_down() {
    let chat = chat(&["--rate", "50", "--burst", "5"]);
    let mut ann = Person::in_room(chat.address(), "ann", "lobby");
    let mut bob = Person::in_room(chat.address(), "bob", "lobby");
    let begun = support::process::now();
    let lines: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
    ann.say(&lines.join("\n"));
    for n in 1..=40 {
        assert_eq!(bob.message(), (n, format!("ann: {n}")));
    }
    // At most 5 at once and 50 a second.
    assert!(begun.elapsed().as_millis() >= 600, "40 lines in {:?}", begun.elapsed());
}

#[test]
fn a_stop_is_told_and_ends_all() {
    let mut chat = chat(&[]);
    let mut ann = Person::in_room(chat.address(), "ann", "lobby");
    chat.signal("USR1");
    chat.wait_for_stderr("1 client here and 0 away, 1 room, 0 messages said");
    chat.signal("TERM");
    assert_eq!(ann.rest(), ["* the server is stopping"]);
    assert_eq!(chat.wait().code(), Some(0));
}
