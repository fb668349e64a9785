//! Tests that the log, the counters and `Cache-Status` tell the truth about a request: one row for each way through the
//! cache.

use crate::{
    get, get_with,
    origin::{World, body, field, response},
    support::{
        milestones::{Milestone, from_milestone4},
        process::{Process, wait_until},
        raw::{Backend, Conn},
    },
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

from_milestone4! {
    in_plain "the log is looked up by the client's port, which is another one behind a tunnel" {
        those_who_wait_have_theirs,
        a_leaders_client_that_leaves_is_in_the_log_with_its_reason,
    }
    for_reverse_proxies "the log has the target as it came, with the server's name" {
        over_http2 {
            each_way_through_the_cache_has_its_words,
        }
    }
}

/// One way through the cache: the response that is stored when it begins, and how the backend answers then.
struct Row {
    what: &'static str,
    /// The fields of the backend's first response; empty: nothing is stored.
    stored: &'static str,
    /// Its next responses, one after the other: status, lines. Status 0: it breaks the connection.
    now: &'static [(u16, &'static str)],
    method: &'static str,
    target: &'static str,
    lines: &'static str,
    /// The status that the client gets.
    status: u16,
    /// The word in the log.
    word: &'static str,
    /// How `Cache-Status` begins; `-`: it is not there.
    says: &'static str,
    /// Counters that grow by one. All others stay.
    counts: &'static [&'static str],
}

const ROW: Row = Row {
    what: "",
    stored: "",
    now: &[],
    method: "GET",
    target: "",
    lines: "",
    status: 200,
    word: "",
    says: "",
    counts: &[],
};

const FRESH: &str = "Cache-Control: max-age=100\r\nETag: \"a\"\r\n";
const STALE: &str = "Cache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\n";
const NEVER_FRESH: &str = "Cache-Control: max-age=0\r\nETag: \"a\"\r\n";
const LENIENT: &str = "Cache-Control: max-age=5, stale-if-error=100\r\nAge: 5\r\nETag: \"a\"\r\n";
const MINE: &str = "Cache-Control: private\r\n";
const DOWN: &[(u16, &str)] = &[(0, "")];

const ROWS: &[Row] = &[
    Row { what: "fresh", stored: FRESH, word: "hit", says: "hit; ttl=", counts: &["hits"], ..ROW },
    Row {
        what: "fresh, its head",
        stored: FRESH,
        method: "HEAD",
        word: "hit",
        says: "hit; ttl=",
        counts: &["hits"],
        ..ROW
    },
    Row {
        what: "fresh, and the client has it",
        stored: FRESH,
        lines: "If-None-Match: \"a\"\r\n",
        status: 304,
        word: "hit",
        says: "hit; ttl=",
        counts: &["hits"],
        ..ROW
    },
    Row {
        what: "fresh, a part",
        stored: FRESH,
        lines: "Range: bytes=0-0\r\n",
        status: 206,
        word: "hit",
        says: "hit; ttl=",
        counts: &["hits"],
        ..ROW
    },
    Row {
        what: "stale, and the client does not mind",
        stored: STALE,
        lines: "Cache-Control: max-stale\r\n",
        word: "hit-stale",
        says: "hit; ttl=",
        counts: &["hits", "stale_served"],
        ..ROW
    },
    Row {
        what: "stale, and renewed behind the answer",
        stored: "Cache-Control: max-age=5, stale-while-revalidate=100\r\nAge: 5\r\n",
        now: &[(200, FRESH)],
        word: "hit-stale",
        says: "hit; ttl=",
        counts: &["hits", "stale_served", "revalidations_in_background"],
        ..ROW
    },
    Row {
        what: "stale, confirmed",
        stored: STALE,
        now: &[(304, FRESH)],
        word: "validated",
        says: "fwd=stale; fwd-status=304; ttl=100",
        counts: &["forwarded/stale", "revalidated"],
        ..ROW
    },
    Row {
        what: "never fresh, confirmed",
        stored: NEVER_FRESH,
        now: &[(304, NEVER_FRESH)],
        word: "validated",
        says: "fwd=stale; fwd-status=304; ttl=0",
        counts: &["forwarded/stale", "revalidated"],
        ..ROW
    },
    Row {
        what: "fresh, and the client wants it confirmed",
        stored: FRESH,
        now: &[(304, FRESH)],
        lines: "Cache-Control: no-cache\r\n",
        word: "validated",
        says: "fwd=request; fwd-status=304; ttl=100",
        counts: &["forwarded/request", "revalidated"],
        ..ROW
    },
    Row {
        what: "confirmed by the way",
        stored: FRESH,
        now: &[(304, FRESH)],
        lines: "Cache-Control: no-cache\r\nIf-None-Match: \"a\"\r\nIf-Match: \"a\"\r\n",
        status: 304,
        word: "request",
        says: "fwd=request; fwd-status=304",
        counts: &["forwarded/request", "revalidated"],
        ..ROW
    },
    Row {
        what: "stale, changed",
        stored: STALE,
        now: &[(200, MINE)],
        word: "stale",
        says: "fwd=stale; fwd-status=200",
        counts: &["forwarded/stale"],
        ..ROW
    },
    Row {
        what: "a 304 about something else",
        stored: STALE,
        now: &[(304, "ETag: \"x\"\r\n"), (200, MINE)],
        word: "stale",
        says: "fwd=stale; fwd-status=200",
        counts: &["forwarded/stale"],
        ..ROW
    },
    Row {
        what: "stale, in place of a 503",
        stored: LENIENT,
        now: &[(503, MINE)],
        word: "if-error",
        says: "fwd=stale; fwd-status=503; ttl=",
        counts: &["forwarded/stale", "stood_in", "stale_served"],
        ..ROW
    },
    Row {
        what: "stale, in place of no answer",
        stored: LENIENT,
        now: DOWN,
        word: "if-error",
        says: "hit; ttl=",
        counts: &["forwarded/stale", "stood_in", "stale_served"],
        ..ROW
    },
    Row {
        what: "fresh, too old for the client, in place of no answer",
        stored: "Cache-Control: max-age=100, stale-if-error=100\r\nAge: 50\r\nETag: \"a\"\r\n",
        now: DOWN,
        lines: "Cache-Control: max-age=1\r\n",
        word: "if-error",
        says: "hit; ttl=",
        counts: &["forwarded/request", "stood_in"],
        ..ROW
    },
    Row {
        what: "nothing stored",
        now: &[(200, FRESH)],
        word: "uri-miss",
        says: "fwd=uri-miss; fwd-status=200; stored",
        counts: &["forwarded/uri-miss"],
        ..ROW
    },
    Row {
        what: "nothing stored, and not for others",
        now: &[(200, MINE)],
        word: "uri-miss",
        says: "fwd=uri-miss; fwd-status=200",
        counts: &["forwarded/uri-miss"],
        ..ROW
    },
    Row {
        what: "nothing stored, and no answer",
        now: DOWN,
        status: 502,
        word: "uri-miss",
        says: "-",
        counts: &["forwarded/uri-miss"],
        ..ROW
    },
    Row {
        what: "another variant",
        stored: "Cache-Control: max-age=100\r\nVary: X\r\n",
        now: &[(200, MINE)],
        lines: "X: 1\r\n",
        word: "vary-miss",
        says: "fwd=vary-miss; fwd-status=200",
        counts: &["forwarded/vary-miss"],
        ..ROW
    },
    Row {
        what: "not cached",
        now: &[(200, FRESH)],
        target: "/not",
        word: "bypass",
        says: "fwd=bypass; fwd-status=200",
        counts: &["forwarded/bypass"],
        ..ROW
    },
    Row {
        what: "another method",
        now: &[(200, FRESH)],
        method: "OPTIONS",
        word: "method",
        says: "fwd=method; fwd-status=200",
        counts: &["forwarded/method"],
        ..ROW
    },
    Row {
        what: "nothing stored, and nobody may be asked",
        lines: "Cache-Control: only-if-cached\r\n",
        status: 504,
        word: "-",
        says: "-",
        ..ROW
    },
];

/// The counters of the cache that tell what was done for clients.
fn counts(world: &World) -> Vec<(String, u64)> {
    let stats = world.proxy.stats();
    let names = ["hits", "collapsed", "revalidated", "revalidations_in_background", "stale_served", "stood_in"];
    let forwarded = stats["cache"]["forwarded"].as_object().expect("reasons");
    let reasons = forwarded.iter().map(|(why, count)| (format!("forwarded/{why}"), count.as_u64().unwrap()));
    let number = |name: &str| stats["cache"][name].as_u64().unwrap_or_else(|| panic!("no number {name}"));
    names.iter().map(|name| ((*name).to_owned(), number(name))).chain(reasons).collect()
}

fn world(milestone: &Milestone) -> World {
    World::new(milestone, &["--workers", "1", "--admin", "127.0.0.1:0", "--cache-exclude", "/not/*"])
}

fn each_way_through_the_cache_has_its_words(milestone: &Milestone) {
    let world = world(milestone);
    let mut wrong = Vec::new();
    for (n, row) in ROWS.iter().enumerate() {
        let target = format!("{}/{n}", row.target);
        if !row.stored.is_empty() {
            world.say(&target, response(200, row.stored, "stored"));
            assert_eq!(body(&world.get(&target)), "stored", "{}", row.what);
        }
        for (status, lines) in row.now {
            let answer = if *status == 0 { String::new() } else { response(*status, lines, "new") };
            // A connection that was used before may be tried once more.
            let times = if *status == 0 { 2 } else { 1 };
            (0..times).for_each(|_| world.say(&target, answer.clone()));
        }
        let before = counts(&world);
        let got = world.ask(row.method, &target, row.lines);
        // An answer of our own says nothing of the cache (RFC 9211 §2).
        let says = field(&got, "cache-status").trim_start_matches("socket-patterns; ").to_owned();
        // The log is written by another thread: what came first may be there later than its answer.
        let line = || {
            let log = world.proxy.stderr();
            let mut lines = log.lines().filter(|line| line.contains(&format!(" {target} ")));
            lines.nth(usize::from(!row.stored.is_empty())).map(str::to_owned)
        };
        wait_until("its line in the log", || line().is_some());
        let word = line().unwrap().split_once("cache=\"").map(|(_, rest)| rest.split('"').next().unwrap().to_owned());
        let expected: Vec<(String, u64)> = before
            .into_iter()
            .map(|(name, count)| (name.clone(), count + u64::from(row.counts.contains(&name.as_str()))))
            .collect();
        let counted: Vec<_> = counts(&world).into_iter().filter(|count| !expected.contains(count)).collect();
        let found = (got.status(), word.as_deref(), says.starts_with(row.says), counted.is_empty());
        if found != (row.status, Some(row.word), true, true) {
            wrong.push(format!("{}: {} {word:?} {says:?}, counted otherwise: {counted:?}", row.what, got.status()));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A client that waited for another one's request: what it got, and why.
fn those_who_wait_have_theirs(milestone: &Milestone) {
    for (what, stored, answers, word, says) in [
        ("what the other one gets", "", &[FRESH][..], "collapsed", "fwd=uri-miss; collapsed; ttl="),
        ("not for others", "", &[MINE, MINE], "uri-miss", "fwd=uri-miss; fwd-status=200; collapsed=?0"),
        ("the leader fails", "", &["", MINE], "uri-miss", "fwd=uri-miss; fwd-status=200; collapsed=?0"),
        // Twice, as a connection that was used before may be tried once more.
        ("it fails, and something may stand in", LENIENT, &["", ""], "if-error", "hit; ttl="),
    ] {
        let (script, gate) = (Arc::new(Mutex::new(VecDeque::new())), Arc::new(AtomicBool::new(true)));
        let (said, open) = (script.clone(), gate.clone());
        let backend = Backend::start(move |mut served| {
            while served.request().is_some() {
                wait_until("all to be heard", || open.load(SeqCst));
                let lines: &str = said.lock().unwrap().pop_front().unwrap_or(MINE);
                if lines.is_empty() {
                    return;
                }
                served.conn.send(crate::ok(lines, "x"));
            }
        });
        let flags = [milestone.forgiving(), &["--workers", "1", "--cache-wait", "1m"]].concat();
        let proxy = milestone.start(&[&backend], &flags);
        let mut leader = Conn::open(proxy.address());
        if !stored.is_empty() {
            script.lock().unwrap().push_back(stored);
            assert_eq!(leader.ask(&get("/a")).body, b"x");
        }
        script.lock().unwrap().extend(answers);
        gate.store(false, SeqCst);
        let before = backend.requests().len();
        leader.send(get("/a"));
        backend.wait_for_request(before + 1);
        let mut follower = Conn::open(proxy.address());
        follower.send(get("/a"));
        hear(&proxy);
        gate.store(true, SeqCst);
        let got = follower.response("GET");
        let told = field(&got, "cache-status").trim_start_matches("socket-patterns; ");
        assert!(told.starts_with(says), "{what}: {told}");
        let line = line_of(&proxy, &follower.address().to_string());
        assert!(line.contains(&format!("cache=\"{word}\"")), "{what}: {line}");
    }
}

/// Others want the response: it goes on, and the log says why this client did not get it, and how much of it.
fn a_leaders_client_that_leaves_is_in_the_log_with_its_reason(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut leader = Conn::open(proxy.address());
    leader.send(get("/a"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: 6\r\n\r\nabc");
    leader.read_until("abc");
    let mut follower = Conn::open(proxy.address());
    follower.send(get("/a"));
    follower.read_until("abc");
    let address = leader.address().to_string();
    leader.reset();
    hear(&proxy);
    upstream.send("def");
    follower.read_until("def");
    let line = line_of(&proxy, &address);
    for part in ["sent=3 ", "failure=\"client gone\"", "close=\"aborted\"", "cache=\"uri-miss\""] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

/// Returns when the only worker has heard everything that was sent to it before.
fn hear(proxy: &Process) {
    let only = get_with("/b", "Cache-Control: only-if-cached\r\n");
    (0..2).for_each(|_| assert_eq!(Conn::open(proxy.address()).ask(&only).status(), 504));
}

/// The last line of the log about a client.
fn line_of(proxy: &Process, client: &str) -> String {
    let line = || proxy.stderr().lines().rev().find(|line| line.contains(client)).map(str::to_owned);
    wait_until("its line in the log", || line().is_some());
    line().unwrap()
}
