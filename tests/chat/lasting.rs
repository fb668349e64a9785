//! Accounts and histories outlive the process, and connections leave nothing behind.

use super::{chat, person::Person};
use crate::support::process::{refusal, wait_until};
use std::fs;

fn with_data<'a>(folder: &'a tempfile::TempDir, more: &[&'a str]) -> Vec<&'a str> {
    [&["--data", folder.path().to_str().unwrap()], more].concat()
}

/// All that was acknowledged is there after kill -9, again and again.
#[test]
fn histories_and_accounts_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    const EACH: u64 = 20;
    for round in 0..4 {
        let chat = chat(&with_data(&folder, &["--burst", "100"]));
        let mut ann = Person::arrive(chat.address());
        if round == 0 {
            ann.say("/nick ann\n/register correct horse\n/join tea");
            ann.wait_for("* ann is yours");
        } else {
            ann.say("/nick ann");
            assert_eq!(ann.wait_for("!"), "! ann is registered: /login ann PASSWORD, or choose another name");
            // The commands behind it wait for the password to be looked at.
            ann.say("/login ann correct horse\n/join tea");
            ann.wait_for("* you are logged in as ann");
        }
        let entered = ann.wait_for("* you are in tea");
        assert_eq!(entered, format!("* you are in tea, the next message is {}; 1 here: ann (owner)", round * EACH + 1));
        for seq in 1..=round * EACH {
            assert_eq!(ann.message(), (seq, format!("ann: {seq}")));
        }
        for number in 1..=EACH {
            ann.say(&format!("/send tea {number} {}", round * EACH + number));
        }
        ann.wait_for(&format!("* {EACH} is [tea"));
        chat.signal("KILL");
    }
    // A crash in the middle of a write: the half record is cut, said, and nothing else is lost.
    let file = folder.path().join("chat.log");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 5]).unwrap();
    let chat = chat(&with_data(&folder, &[]));
    chat.wait_for_stderr("are no whole record, as after a crash: cut off");
    let mut bob = Person::in_room(chat.address(), "bob", "tea");
    for seq in 1..4 * EACH {
        assert_eq!(bob.message(), (seq, format!("ann: {seq}")));
    }
    bob.say("/who");
    assert_eq!(bob.wait_for("* in tea"), "* in tea: 1 here: bob", "a room that has an owner is not a guest's");
}

#[test]
fn damage_is_no_crash_and_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = chat(&with_data(&folder, &[]));
    let mut ann = Person::in_room(server.address(), "ann", "lobby");
    ann.say("/send lobby 1 one\n/send lobby 2 two");
    ann.wait_for("* 2 is");
    server.signal("TERM");
    server.wait();
    let file = folder.path().join("chat.log");
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let args = with_data(&folder, &["--listen", "127.0.0.1:0"]);
    let (code, said) = refusal(env!("CARGO_BIN_EXE_chat"), &args);
    assert!(code == Some(1) && said.contains("damaged at byte 0"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), bytes, "it is left as it is");
}

#[test]
fn a_demo_leaves_nothing_behind_and_a_directory_has_one_server() {
    let mut demo = chat(&[]);
    demo.wait_for_stderr("and go with this process: keep them with --data DIR");
    let log = demo.stderr();
    let folder = log.split("histories are in ").nth(1).unwrap().split(',').next().unwrap();
    assert!(fs::metadata(folder).unwrap().is_dir());
    demo.signal("TERM");
    assert_eq!(demo.wait().code(), Some(0));
    assert!(fs::metadata(folder).is_err());

    let folder = tempfile::tempdir().unwrap();
    let _first = chat(&with_data(&folder, &[]));
    let args = with_data(&folder, &["--listen", "127.0.0.1:0"]);
    let (code, said) = refusal(env!("CARGO_BIN_EXE_chat"), &args);
    assert!(code == Some(1) && said.contains("in use by another server"), "{said}");
}

/// Passwords are looked at; meanwhile, the others on the same event loop talk as always, and the lines behind a password wait.
#[test]
fn passwords_hold_up_no_one() {
    let chat = chat(&["--workers", "1"]);
    let mut ann = Person::in_room(chat.address(), "ann", "lobby");
    let mut bob = Person::in_room(chat.address(), "bob", "lobby");
    ann.say("/register correct horse");
    ann.wait_for("* ann is yours");
    let mut crowd: Vec<Person> = (0..8).map(|_| Person::arrive(chat.address())).collect();
    crowd.iter_mut().for_each(|person| person.say("/login ann wrong horse\n/who nowhere"));
    for n in 1..=20 {
        bob.say(&n.to_string());
        assert_eq!(ann.message(), (n, format!("bob: {n}")));
    }
    for person in &mut crowd {
        assert_eq!(person.wait_for("!"), "! that is not the password");
        assert_eq!(person.wait_for("!"), "! there is no room nowhere");
    }
}

#[test]
fn many_clients_leave_nothing_behind() {
    let chat = chat(&["--log-level", "off", "--resume", "1ms"]);
    let visit = |times: usize| {
        crate::support::raw::in_parallel(8, |number| {
            for turn in 0..times / 8 {
                let mut person = Person::in_room(chat.address(), &format!("p-{number}-{turn}"), "lobby");
                match turn % 3 {
                    0 => person.say("/quit"),
                    1 => person.reset(),
                    _ => drop(person),
                }
            }
        });
    };
    visit(400);
    let (descriptors, memory) = (chat.settled_descriptors(), chat.peak_memory());
    visit(1_600);
    wait_until("descriptors to settle", || chat.descriptors() <= descriptors);
    let more = chat.peak_memory() - memory;
    assert!(more < 6144, "{more} KiB more at the end");
}
