//! Many people at once, some of whom do not read, and some whose connection breaks.

use super::{
    chat, drivers,
    person::{Person, parse},
};
use crate::support::{
    process::{allow_descriptors, wait_until},
    random::Random,
    raw::in_parallel,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// People in the test with many of them, in 20 rooms: 2,000 with `CHAT_CLIENTS=2000`.
fn clients() -> usize {
    std::env::var("CHAT_CLIENTS").ok().and_then(|number| number.parse().ok()).unwrap_or(400)
}

const ROOMS: usize = 20;
const WORDS: u64 = 25;

/// Two people talk at once in each of 20 rooms: all others hear all of it, once, in order, and all of them in the same order.
#[test]
fn each_line_comes_once_and_in_order() {
    allow_descriptors();
    for driver in drivers() {
        let chat = chat(&[&driver[..], &["--workers", "2", "--log-level", "warn"]].concat());
        let address = chat.address();
        let each = clients() / ROOMS;
        in_parallel(ROOMS, |number| {
            let room = format!("room-{number}");
            let mut people: Vec<Person> =
                (0..each).map(|n| Person::in_room(address, &format!("p-{number}-{n}"), &room)).collect();
            let mut talkers = [0, 1].map(|n| Person::in_room(address, &format!("talker-{number}-{n}"), &room));
            for word in 0..WORDS {
                talkers.iter_mut().for_each(|talker| talker.say(&format!("word {word}")));
            }
            let mut first: Option<Vec<(u64, String)>> = None;
            for person in &mut people {
                let heard: Vec<_> = (0..2 * WORDS).map(|_| person.message()).collect();
                assert!(heard.iter().map(|(seq, _)| *seq).eq(1..=2 * WORDS), "{heard:?}");
                for n in [0, 1] {
                    let from = format!("talker-{number}-{n}: ");
                    let words = heard.iter().filter_map(|(_, text)| text.strip_prefix(&*from));
                    assert!(words.eq((0..WORDS).map(|word| format!("word {word}"))), "{heard:?}");
                }
                assert_eq!(first.get_or_insert_with(|| heard.clone()), &heard, "the same order for all");
            }
            // The speaker hears the other one, and not itself.
            let other: Vec<_> = (0..WORDS).map(|_| talkers[0].message().1).collect();
            assert!(other.iter().all(|text| text.starts_with(&format!("talker-{number}-1"))), "{other:?}");
        });
    }
}

/// One of the room does not read. It is told and dropped, and no one else waits for it.
#[test]
fn a_reader_that_stalls_is_dropped_with_a_word() {
    for driver in drivers() {
        let chat = chat(&[&driver[..], &["--queue", "64k", "--rate", "100000", "--burst", "100000"]].concat());
        let mut lazy = Person::connect(chat.address(), Some(4096));
        lazy.say("/nick lazy\n/join lobby");
        let mut ann = Person::in_room(chat.address(), "ann", "lobby");
        let mut bob = Person::in_room(chat.address(), "bob", "lobby");
        let text = "x".repeat(1000);
        // Each round trip shows that nobody waits, and so does the word that the server has for its log.
        let (mut said, slow) = (0, || chat.stderr().contains(" 1 client too slow"));
        while !slow() {
            for _ in 0..100 {
                ann.say(&text);
                said += 1;
                assert_eq!(bob.message().0, said);
            }
            chat.signal("USR1");
            assert!(said < 50_000, "the queue of a client that does not read has no end");
        }
        let rest = lazy.rest();
        assert!(rest.last().unwrap().starts_with("! you read too slowly"), "{:?}", rest.last());
        // All that came is a beginning without gaps.
        let seqs: Vec<u64> = rest.iter().filter_map(|line| parse(line)).map(|(seq, _)| seq).collect();
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64) && (seqs.len() as u64) < said);
    }
}

/// Connections are cut at random, and come back with the number of the last message that they have seen.
#[test]
fn cut_connections_lose_nothing_and_hear_nothing_twice() {
    const MESSAGES: u64 = 300;
    for driver in drivers() {
        let chat = chat(&[&driver[..], &["--history", "1000", "--rate", "2000", "--burst", "50"]].concat());
        let (address, ready, done) = (chat.address(), AtomicUsize::new(0), AtomicBool::new(false));
        let cuts = AtomicUsize::new(0);
        in_parallel(5, |number| {
            let mut random = Random::new(number as u64);
            let mut person = Person::in_room(address, &format!("p{number}"), "lobby");
            ready.fetch_add(1, Relaxed);
            if number == 0 {
                wait_until("all to be there", || ready.load(Relaxed) == 5);
                talk(person, address, MESSAGES, &mut random);
                return done.store(true, Relaxed);
            }
            let (mut seen, mut heard) = (0, Vec::new());
            while seen < MESSAGES {
                let (seq, text) = person.message();
                heard.push(text);
                assert_eq!(seq, seen + 1);
                seen = seq;
                if random.below(20) == 0 {
                    cuts.fetch_add(1, Relaxed);
                    person = back(person, address, &format!("lobby:{seen}"));
                }
            }
            assert!(heard.into_iter().eq((1..=MESSAGES).map(|n| format!("p0: {n}"))));
        });
        assert!(done.load(Relaxed) && cuts.load(Relaxed) > 10, "{cuts:?} cuts prove little");
    }
}

/// Says so many messages over a connection that is cut, and repeats those that may not have arrived.
fn talk(mut person: Person, address: std::net::SocketAddr, messages: u64, random: &mut Random) {
    let mut next = 1;
    while next <= messages {
        let _ = person.try_say(&format!("/send lobby {next} {next}"));
        next += 1;
        if random.below(10) == 0 {
            person = back(person, address, "");
            // The answer tells which was the last that arrived: of the last of all, there is no other then.
            next = person.last_id + 1;
        } else if next > messages {
            person.wait_for(&format!("* {messages} is [lobby"));
        }
    }
}

/// A new connection for a person whose old one is cut.
fn back(person: Person, address: std::net::SocketAddr, seen: &str) -> Person {
    let token = person.token.clone();
    person.reset();
    let mut person = Person::arrive(address);
    person.say(&format!("/resume {token} {seen}"));
    let welcome = person.wait_for("* welcome back");
    person.token = token;
    person.last_id = welcome.rsplit(' ').next().unwrap().parse().unwrap();
    person
}

/// Ten thousand people come, twenty to a room, say something and go, every other one without a word: `make sessions`.
#[test]
#[ignore = "10,000 people"]
fn ten_thousand_people_come_and_go() {
    let chat = chat(&["--resume", "1s", "--history", "10"]);
    let mut warm = Person::in_room(chat.address(), "warm", "room-0");
    warm.say("/quit");
    drop(warm);
    let (empty, mut full) = (chat.settled_descriptors(), 0);
    for round in 0..10 {
        let arrive = |n: u32| Person::in_room(chat.address(), &format!("p{round}-{n}"), &format!("room-{}", n / 20));
        let mut people: Vec<Person> = (0..1000).map(arrive).collect();
        for (n, person) in people.iter_mut().enumerate() {
            person.say("hello");
            if n % 2 == 0 {
                person.say("/quit");
                person.wait_for("* goodbye");
            }
        }
        drop(people);
        wait_until("all to be gone", || chat.descriptors() <= empty);
        let none = || chat.stderr().matches("0 clients here and 0 away").count();
        let before = none();
        wait_until("places that are kept to be given up", || {
            chat.signal("USR1");
            none() > before
        });
        if round == 0 {
            full = chat.memory();
        }
    }
    let grown = chat.memory().saturating_sub(full);
    assert!(grown < 4096, "{grown} KiB more than after the first thousand");
}
