//! A disk that takes nothing: nothing is acknowledged meanwhile, it is said once, and all goes on when there is room.

use super::wire::{CLEAN, NONE, Peer, connect3, connect5, props, publish, subscribe};
use crate::support::process::{Process, start_listening, wait_until};
use std::process::Command;

/// A broker whose files may have so many blocks of 512 bytes: its system refuses to make them longer, as a full disk does.
fn limited(folder: &str, blocks: u32) -> Process {
    let script = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
    let broker = env!("CARGO_BIN_EXE_broker");
    start_listening("/bin/sh", &["-c", &script, broker, "--listen", "127.0.0.1:0", "--data", folder], 1)
}

fn make_room(broker: &Process) {
    let id = broker.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited:"]).status().unwrap();
    assert!(done.success());
}

const SAID: &str = "nothing is acknowledged until it can be written";

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_once_and_nothing_is_acknowledged_before_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let mut broker = limited(folder, 8);
    let to = broker.address();
    let mut ann = Peer::open(to);
    ann.send(&[connect3("ann", 0, 0), subscribe(1, None, &[("a", 1)])].concat());
    ann.packet();
    ann.packet();
    ann.lose();
    let mut publisher = Peer::v3(to, "publisher");
    let message = |n: u16| publish(2, "a", Some(n), None, &format!("{n}{}", "x".repeat(1000)));
    for n in 1..=3 {
        publisher.send(&message(n.into()));
        publisher.expect(&[0x40, 2, 0, n]);
    }
    (4..=8).for_each(|n| publisher.send(&message(n)));
    broker.wait_for_stderr(SAID);
    // A client that needs the disk is told; one that does not is served.
    wait_until("a client to be refused", || {
        let mut kept = Peer::open(to);
        kept.send(&connect5("kept", CLEAN, 0, &props(&[&[17, 0, 0, 0, 60]])));
        kept.packet()[3] == 0x88
    });
    let mut old = Peer::open(to);
    old.send(&connect3("old", 0, 0));
    old.expect(&[0x20, 2, 0, 3]);
    old.closed();
    Peer::v5(to, "guest", CLEAN, NONE).quiet();
    make_room(&broker);
    for n in 4..=8 {
        publisher.expect(&[0x40, 2, 0, n]);
    }
    broker.wait_for_stderr("the log can be written again");
    assert_eq!(broker.stderr().matches(SAID).count(), 1, "{}", broker.stderr());
    broker.signal("KILL");
    broker.wait();
    let broker = limited(folder, 1000);
    let mut ann = Peer::open(broker.address());
    ann.send(&connect3("ann", 0, 0));
    ann.expect(&[0x20, 2, 1, 0]);
    for n in 1..=8 {
        ann.expect(&message(n));
    }
}

/// Messages that need no answer are changes, too: retained ones must not grow the memory of a broker that cannot write them.
#[test]
#[cfg(target_os = "linux")]
fn a_client_is_not_heard_while_too_much_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = limited(folder.path().to_str().unwrap(), 8);
    let mut rude = Peer::v3(broker.address(), "rude");
    // 48 MiB, of which 16 MiB may wait.
    let payload = "x".repeat(100_000);
    let all: Vec<u8> = (0..500).flat_map(|n| publish(1, &format!("r/{n}"), None, None, &payload)).collect();
    let sent = rude.send_some(&all);
    assert!(sent < all.len() * 2 / 3, "{sent} bytes were taken");
    broker.wait_for_stderr(SAID);
    make_room(&broker);
    rude.send(&all[sent..]);
    rude.quiet();
    broker.signal("TERM");
    assert_eq!(broker.wait().code(), Some(0));
}
