//! A cache that several proxies share, in a real Redis and in the store of this project: what is found there, how old it is, what is taken
//! out, and what happens without it.

use crate::{
    PLAIN, Stage,
    support::{
        process::{Process, now, start_listening, wait_until},
        raw::{Backend, Conn, in_parallel},
        redis::RedisServer,
        wire::Message,
    },
    upstream,
};
use serde_json::Value;
use std::time::Duration;

/// Where the second level is.
enum Store {
    Redis(RedisServer),
    Ours(Process),
}

impl Store {
    /// All that can be started here.
    fn each() -> impl Iterator<Item = Self> {
        let ours = start_listening(env!("CARGO_BIN_EXE_store"), &["--listen", "127.0.0.1:0", "--in-memory"], 1);
        RedisServer::start(&[]).map(Self::Redis).into_iter().chain([Self::Ours(ours)])
    }

    fn url(&self) -> String {
        match self {
            Self::Redis(redis) => redis.url(),
            Self::Ours(store) => format!("redis://{}", store.address()),
        }
    }
}

/// A proxy for that backend, which shares what it stores.
fn proxy(store: &str, backend: &Backend) -> Stage {
    // On a busy machine, the store takes its time.
    waiting("10s", store, backend)
}

/// The same with requests that wait so long for the store.
fn waiting(timeout: &str, store: &str, backend: &Backend) -> Stage {
    let config = format!(
        "workers = 2\n{PLAIN}[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n[cache]\nstore = \"{store}\"\nstore-timeout = \"{timeout}\"\n\
         [explain]\ntoken = \"0123456789abcdef\"\n\
         [[site]]\nhosts = [\"a.test\"]\nupstream = \"b\"\n{}",
        upstream("b", &backend.name())
    );
    let stage = Stage::new(&config, 1);
    wait_until("the store to answer", || second(&stage)["up"] == true);
    stage
}

fn second(stage: &Stage) -> Value {
    stage.proxy.stats()["cache"]["second_level"].clone()
}

fn ask(stage: &Stage, path: &str, fields: &str) -> Message {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
    Conn::open(stage.proxy.address()).ask(&request)
}

/// The work of the cache, as it says itself, without the time that is left.
fn did(answer: &Message) -> String {
    let status = answer.field("cache-status").unwrap().split("; ").filter(|part| !part.starts_with("ttl="));
    status.collect::<Vec<_>>().join("; ").split_once("; ").map(|(_, did)| did.to_owned()).unwrap()
}

const HIT: &str = "hit";
const FOUND: &str = "hit; detail=second-level";
const MISSED: &str = "fwd=uri-miss; fwd-status=200; stored";

/// Asks for something that is not stored, and waits until it is in the store.
fn fill(stage: &Stage, path: &str, fields: &str) -> Message {
    let done = |stage: &Stage| second(stage)["writes"]["done"].as_u64().unwrap();
    let before = done(stage);
    let answer = ask(stage, path, fields);
    wait_until("it to be in the store", || done(stage) > before);
    answer
}

/// A backend that numbers its answers. The path says what it says of them: `/max-age=60,public/…`.
fn numbering() -> Backend {
    Backend::start(|mut served| {
        while let Some(request) = served.request() {
            if request.field("if-none-match") == Some("\"v\"") {
                served.conn.send("HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\nCache-Control: max-age=60\r\n\r\n");
                continue;
            }
            let target = request.head.as_ref().map(|head| head.target().to_owned()).unwrap_or_default();
            let said = target.split('/').nth(1).unwrap_or_default().to_owned();
            let language = request.field("accept-language").unwrap_or("none");
            let vary = if target.contains("varies") { "Vary: Accept-Language\r\n" } else { "" };
            let body = format!("{target} {language} {}", served.number);
            let etag = if language == "none" { "v".to_owned() } else { format!("v-{language}") };
            let expires = if said.contains("max-age") { "Expires: Thu, 01 Jan 2099 00:00:00 GMT\r\n" } else { "" };
            let tag = target.rsplit('/').next().unwrap_or_default();
            served.conn.send(format!(
                "HTTP/1.1 200 Fine\r\nCache-Control: {said}\r\nETag: \"{etag}\"\r\nAge: 7\r\nX-Twice: a\r\nX-Twice: b\r\n\
                 Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nCache-Tag: {tag}\r\n{expires}\
                 {vary}Content-Length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
    })
}

/// Fresh for all of the time since the date that the backend gives.
const FRESH: &str = "/max-age=2000000000";

#[test]
fn one_proxy_finds_the_responses_of_another() {
    for store in Store::each() {
        let backend = numbering();
        let [one, other] = [proxy(&store.url(), &backend), proxy(&store.url(), &backend)];
        let (path, asked) = (format!("{FRESH}/x"), |n: usize| assert_eq!(backend.requests().len(), n));
        let first = fill(&one, &path, "");
        let found = ask(&other, &path, "Explain: 0123456789abcdef\r\n");
        assert_eq!((did(&first).as_str(), did(&found).as_str()), (MISSED, FOUND));
        assert_eq!(found.body, first.body);
        for name in ["etag", "date", "cache-control", "expires", "content-length"] {
            assert_eq!(found.field(name), first.field(name), "{name}");
        }
        assert_eq!(found.head.as_ref().unwrap().all("x-twice").collect::<Vec<_>>(), ["a", "b"]);
        // Its date is that of the backend, and its age counts from there.
        let age = |answer: &Message| answer.field("age").unwrap().parse::<u64>().unwrap();
        let born = 784_111_777;
        let today = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(age(&found).abs_diff(today - born) <= 5, "{} {}", age(&found), today - born);
        assert_eq!(did(&ask(&other, &path, "")), "hit", "it is in the first level now");
        asked(1);
        other.wait_for("cache=\"hit-second\"", 1);
        let number = found.field("explain").unwrap().to_owned();
        let told =
            Conn::open(other.proxy.admin()).ask(&format!("GET /explain/{number} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let told = String::from_utf8(told.body).unwrap();
        assert!(told.contains("the second level has a response"), "{told}");
        // A part, and whether a copy is good still.
        let part = ask(&proxy(&store.url(), &backend), &path, "Range: bytes=1-3\r\n");
        assert_eq!((part.status(), &part.body[..]), (206, &b"max"[..]));
        let same = ask(&proxy(&store.url(), &backend), &path, "If-None-Match: \"v\"\r\n");
        assert_eq!((same.status(), did(&same).as_str()), (304, FOUND));
        asked(1);
        // A client that wants it asked about: the backend confirms what only the store had.
        let third = proxy(&store.url(), &backend);
        let confirmed = ask(&third, &path, "Cache-Control: max-age=0\r\n");
        assert_eq!((did(&confirmed).as_str(), confirmed.body), ("fwd=request; fwd-status=304", first.body));
        asked(2);
        // And one that takes what is stored or nothing.
        let stored = proxy(&store.url(), &backend);
        let only = |path: &str| ask(&stored, path, "Cache-Control: only-if-cached\r\n").status();
        assert_eq!((only(&path), only(&format!("{FRESH}/y"))), (200, 504));
        asked(2);
        assert_eq!(second(&stored)["lookups"]["miss"], 1);
    }
}

#[test]
fn variants_do_not_take_each_others_place() {
    for store in Store::each() {
        let backend = numbering();
        let [one, other] = [proxy(&store.url(), &backend), proxy(&store.url(), &backend)];
        let path = format!("{FRESH}/varies/x");
        let language = |language: &str| format!("Accept-Language: {language}\r\n");
        for stored in ["en", "de"] {
            fill(&one, &path, &language(stored));
        }
        for asked in ["de", "en", "EN"] {
            let answer = ask(&other, &path, &language(asked));
            let body = String::from_utf8(answer.body.clone()).unwrap();
            assert!(body.contains(&format!(" {} ", asked.to_ascii_lowercase())), "{body}");
            assert_eq!(did(&answer), if asked == "EN" { "hit" } else { FOUND });
        }
        assert_eq!(backend.requests().len(), 2);
        let french = fill(&other, &path, &language("fr"));
        assert!(did(&french).starts_with("fwd=vary-miss"), "{}", did(&french));
        assert_eq!(did(&ask(&one, &path, &language("fr"))), FOUND, "and back");
        assert_eq!(backend.requests().len(), 3);
    }
}

#[test]
fn only_what_is_for_all_and_fresh_is_shared() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let backend = numbering();
    let [one, other] = [proxy(&redis.url(), &backend), proxy(&redis.url(), &backend)];
    let keys = || redis.ask("DBSIZE").trim().to_owned();
    for (said, fields) in [
        ("private,max-age=2000000000", ""),
        ("no-store", ""),
        ("no-cache", ""),
        ("max-age=5", ""),
        // For the one who has asked, and for nobody else.
        ("max-age=2000000000", "Authorization: Basic x\r\n"),
        ("foo", "Cookie: a=b\r\n"),
    ] {
        let path = format!("/{said}/secret");
        assert_eq!(ask(&one, &path, fields).status(), 200);
        ask(&other, &path, fields);
    }
    assert_eq!((keys().as_str(), second(&one)["writes"]["done"].as_u64()), (":0", Some(0)));
    // A cookie changes nothing where the response is for all; a password where it says so.
    for (said, fields) in
        [("max-age=2000000000", "Cookie: a=b\r\n"), ("public,max-age=2000000000", "Authorization: Basic x\r\n")]
    {
        let path = format!("/{said}/public");
        fill(&one, &path, fields);
        assert_eq!(did(&ask(&other, &path, fields)), FOUND);
    }
    for key in redis.ask("KEYS *").split("\r\n").filter(|line| line.starts_with("cache:")) {
        assert!(!redis.ask(&format!("PTTL {key}")).starts_with(":-"), "{key} stays for ever");
    }
}

fn purge(stage: &Stage, what: &str) {
    let request = format!("POST /purge?{what} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(Conn::open(stage.proxy.admin()).ask(&request).status(), 200);
    wait_until("the store to be purged", || second(stage)["purges_waiting"] == 0);
}

#[test]
fn a_purge_reaches_both_levels() {
    for store in Store::each() {
        let backend = numbering();
        let one = proxy(&store.url(), &backend);
        let paths = ["x/a", "x/b", "varies/c", "z/d"].map(|path| format!("{FRESH}/{path}"));
        for (what, gone) in [
            (format!("url=http://a.test{}", paths[0]), [true, false, false, false]),
            (format!("url=http://a.test{}", paths[2]), [false, false, true, false]),
            (format!("url={}", paths[3]), [false, false, false, true]),
            (format!("prefix={FRESH}/x/"), [true, true, false, false]),
            ("tag=c".to_owned(), [false, false, true, false]),
            ("all".to_owned(), [true; 4]),
        ] {
            purge(&one, "all");
            for path in &paths {
                fill(&one, path, "Accept-Language: en\r\n");
            }
            purge(&one, &what);
            let other = proxy(&store.url(), &backend);
            let misses = paths.each_ref().map(|path| did(&ask(&other, path, "Accept-Language: en\r\n")) != FOUND);
            assert_eq!(misses, gone, "{what}");
        }
        // A request that changes something does the same.
        let path = &paths[0];
        purge(&one, "all");
        fill(&one, path, "");
        Conn::open(one.proxy.address())
            .ask(&format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n"));
        wait_until("the store to be told", || second(&one)["purges_waiting"] == 0);
        assert_eq!(did(&ask(&proxy(&store.url(), &backend), path, "")), MISSED);
    }
}

/// Two proxies have the same responses in their first levels.
#[test]
fn a_purge_reaches_the_first_level_of_the_other_proxies() {
    for store in Store::each() {
        let backend = numbering();
        let (one, other) = (proxy(&store.url(), &backend), proxy(&store.url(), &backend));
        let paths = ["x/a", "x/b", "varies/c", "z/d"].map(|path| format!("{FRESH}/{path}"));
        let mut heard = 0;
        for (what, gone) in [
            (format!("url=http://a.test{}", paths[0]), [true, false, false, false]),
            (format!("url={}", paths[3]), [false, false, false, true]),
            (format!("prefix={FRESH}/x/"), [true, true, false, false]),
            ("tag=c".to_owned(), [false, false, true, false]),
            ("all".to_owned(), [true; 4]),
        ] {
            let has = |path: &String| did(&ask(&other, path, "Accept-Language: en\r\n")) == HIT;
            for path in &paths {
                ask(&one, path, "Accept-Language: en\r\n");
                wait_until("the other one to have it", || has(path));
            }
            purge(&one, &what);
            heard += 1;
            wait_until("the purge to be heard of", || second(&other)["purges_heard"] == heard);
            for (path, gone) in paths.iter().zip(gone) {
                let only = "Accept-Language: en\r\nCache-Control: only-if-cached\r\n";
                wait_until("the walk to be over", || (ask(&other, path, only).status() == 504) == gone);
            }
        }
        assert_eq!(second(&one)["purges_heard"], 0, "its own");
        // A request that changes something does the same.
        let path = &paths[0];
        wait_until("the other one to have it", || did(&ask(&other, path, "")) == HIT);
        Conn::open(one.proxy.address())
            .ask(&format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n"));
        wait_until("the change to be heard of", || second(&other)["purges_heard"] == heard + 1);
        assert_eq!(ask(&other, path, "Cache-Control: only-if-cached\r\n").status(), 504);
    }
}

/// A proxy that was cut off when another one has purged something takes everything out, and keeps it if nothing was purged.
#[test]
fn a_purge_that_was_missed_is_made_up_for() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let backend = numbering();
    let (one, other) = (proxy(&redis.url(), &backend), proxy(&redis.url(), &backend));
    let path = format!("{FRESH}/x");
    fill(&other, &path, "");
    for (missed, times) in [(false, 1), (true, 2)] {
        if missed {
            // As another proxy does it, whose message nobody hears.
            redis.ask("SET cache:purged:1 of-another");
        }
        redis.ask("CLIENT KILL TYPE pubsub");
        other.wait_for(" is back", times);
        if missed {
            wait_until("the first level to be empty", || did(&ask(&other, &path, "")) == FOUND);
        } else {
            // Its message comes behind the answer about what was missed.
            purge(&one, "tag=none");
            wait_until("the purge to be heard of", || second(&other)["purges_heard"] == 1);
            assert_eq!(did(&ask(&other, &path, "")), HIT);
        }
    }
}

/// A store that is killed, or that stands still: the answer comes from a backend, and the log says it once.
#[test]
fn without_the_store_each_proxy_goes_on_by_itself() {
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    let backend = numbering();
    let one = waiting("50ms", &redis.url(), &backend);
    for stop in ["KILL", "STOP"] {
        fill(&one, &format!("{FRESH}/{stop}/kept"), "");
        match stop {
            "KILL" => redis.kill(),
            _ => redis.signal(stop),
        }
        let mut took: Vec<Duration> = (0..20)
            .map(|n| {
                let begun = now();
                assert_eq!(did(&ask(&one, &format!("{FRESH}/{stop}/{n}"), "")), MISSED);
                begun.elapsed()
            })
            .collect();
        took.sort_unstable();
        // Not the slowest ones: other programs run on this machine, too.
        assert!(took[14] <= Duration::from_millis(100), "{took:?}");
        wait_until("the proxy to go on alone", || {
            ask(&one, &format!("{FRESH}/{stop}/again"), "");
            second(&one)["up"] == false
        });
        // A purge meanwhile is carried out when it is back.
        let purge = "POST /purge?tag=kept HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(Conn::open(one.proxy.admin()).ask(purge).status(), 200);
        assert_eq!(second(&one)["purges_waiting"], 1);
        match stop {
            "KILL" => redis.start_again(),
            _ => redis.signal("CONT"),
        }
        wait_until("the store to be back", || second(&one)["up"] == true && second(&one)["purges_waiting"] == 0);
        let other = proxy(&redis.url(), &backend);
        assert_eq!(did(&ask(&other, &format!("{FRESH}/{stop}/kept"), "")), MISSED);
    }
    let log = one.proxy.stderr();
    // Once each time; on a busy machine, the store may have been late another time.
    let said: Vec<bool> =
        log.lines().filter(|line| line.contains("redis://")).map(|line| line.contains(" WARN ")).collect();
    assert!(said.len() >= 5 && said.iter().enumerate().all(|(at, warns)| *warns == (at % 2 == 1)), "{log}");
    let page = Conn::open(one.proxy.admin()).ask("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.lines().any(|line| line == "proxy_cache_store_up 1"), "{page}");
    let unavailable = "proxy_cache_store_lookups_total{result=\"unavailable\"} ";
    assert!(page.lines().any(|line| line.strip_prefix(unavailable).is_some_and(|number| number != "0")), "{page}");
}

#[test]
fn requests_for_the_same_wait_for_one_look_up() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let backend = numbering();
    let [one, other] = [proxy(&redis.url(), &backend), proxy(&redis.url(), &backend)];
    let path = format!("{FRESH}/x");
    fill(&one, &path, "");
    in_parallel(20, |_| assert_eq!(ask(&other, &path, "").status(), 200));
    assert_eq!((second(&other)["lookups"]["hit"].as_u64(), backend.requests().len()), (Some(1), 1));
    let hasty = waiting("50ms", &redis.url(), &backend);
    // It does not answer: one of them asks the backend, for all.
    redis.signal("STOP");
    let path = format!("{FRESH}/y");
    in_parallel(20, |_| assert_eq!(ask(&hasty, &path, "").status(), 200));
    redis.signal("CONT");
    assert_eq!(backend.requests().len(), 2);
}

/// Sets a key by its name to what another one has, or to something that nobody wrote so.
#[test]
fn garbage_in_the_store_is_no_response() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let backend = numbering();
    let one = proxy(&redis.url(), &backend);
    let keys = || -> Vec<String> {
        let all = redis.ask("KEYS cache:1:*");
        all.split("\r\n").filter(|line| line.starts_with("cache:1:")).map(str::to_owned).collect()
    };
    let path = |name: &str| format!("{FRESH}/{name}");
    fill(&one, &path("x"), "");
    let x = keys().pop().unwrap();
    fill(&one, &path("longer-than-x"), "");
    let y = keys().into_iter().find(|key| *key != x).unwrap();
    for spoil in [
        "SET @x garbage PX 100000",
        "SETRANGE @x 100 #",
        "APPEND @x #",
        "SETRANGE @x 20000000 #",
        "COPY @y @x REPLACE",
        "PERSIST @x",
        "DEL @x|LPUSH @x a b",
        "DEL @x|HSET @x a b",
    ] {
        purge(&one, "all");
        fill(&one, &path("x"), "");
        fill(&one, &path("longer-than-x"), "");
        for command in spoil.split('|') {
            let reply = redis.ask(&command.replace("@x", &x).replace("@y", &y));
            assert!(!reply.starts_with('-'), "{command}: {reply}");
        }
        let other = proxy(&redis.url(), &backend);
        let answer = ask(&other, &path("x"), "");
        assert_eq!((answer.status(), did(&answer).as_str()), (200, MISSED), "{spoil}");
        assert!(answer.body.starts_with(path("x").as_bytes()), "{spoil}");
        let lookups = &second(&other)["lookups"];
        assert_eq!((lookups["unreadable"].as_u64(), lookups["unavailable"].as_u64()), (Some(1), Some(0)), "{spoil}");
        assert_eq!(second(&other)["up"], true, "{spoil}");
        // A purge clears it away.
        purge(&other, "prefix=/");
        assert_eq!(keys(), Vec::<String>::new(), "{spoil}");
    }
}

/// A store without room: the proxy says so once, and serves.
#[test]
fn a_store_that_takes_nothing_is_said_once() {
    let Some(redis) = RedisServer::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]) else { return };
    let backend = numbering();
    let one = proxy(&redis.url(), &backend);
    for n in 0..5 {
        assert_eq!(did(&ask(&one, &format!("{FRESH}/{n}"), "")), MISSED);
    }
    wait_until("it to be refused", || second(&one)["writes"]["refused"] == 5);
    assert_eq!(one.proxy.stderr().matches("the store of the cache takes nothing").count(), 1);
}
