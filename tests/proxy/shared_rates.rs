//! Limits that several proxies share, in a real Redis: how many pass, and what happens without it.

use crate::{
    PLAIN, Stage,
    support::{
        process::{now, wait_until},
        raw::Conn,
        redis::RedisServer,
    },
};
use std::{thread, time::Duration};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn proxy(redis: &RedisServer, limit: &str) -> Stage {
    let config = format!(
        "workers = 2\naccess-log = false\nstore = \"{}\"\n{PLAIN}[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n\
         [[site]]\nhosts = [\"a.test\"]\nrespond = {{ status = 200, body = \"x\" }}\nrate-limit = {limit}\n",
        redis.url()
    );
    let stage = Stage::new(&config, 1);
    stage.wait_for(" answers", 1);
    // The first request has the time asked for.
    wait_until("the store to count", || {
        Conn::open(stage.proxy.address()).ask(REQUEST);
        stage.proxy.stats()["limits"]["store"] == "up"
    });
    stage
}

/// Requests a second that pass, and that come: each proxy gets as many as it can answer, up to 500.
fn passed(proxies: &[Stage], time: Duration) -> (f64, f64) {
    let begun = now();
    let count = |stage: &Stage| {
        let mut conn = Conn::open(stage.proxy.address());
        let (mut passed, mut sent) = (0_u32, 0_u32);
        while begun.elapsed() < time {
            passed += u32::from(conn.ask(REQUEST).status() == 200);
            sent += 1;
            let due = begun + Duration::from_micros(2000) * sent;
            thread::park_timeout(due.saturating_duration_since(now()));
        }
        (passed, sent)
    };
    let all: Vec<(u32, u32)> = thread::scope(|scope| {
        let clients: Vec<_> = proxies.iter().map(|stage| scope.spawn(move || count(stage))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let a_second = |number: u32| f64::from(number) / begun.elapsed().as_secs_f64();
    (a_second(all.iter().map(|(passed, _)| passed).sum()), a_second(all.iter().map(|(_, sent)| sent).sum()))
}

/// Over 1 and over 3 proxies, as many pass.
fn hold(time: Duration) {
    let Some(redis) = RedisServer::start(&[]) else { return };
    for number in [1, 3] {
        // Another name is another limit.
        let limit = format!("{{ rate = \"100/s\", burst = 10, key = \"site\", name = \"n{number}\" }}");
        let proxies: Vec<Stage> = (0..number).map(|_| proxy(&redis, &limit)).collect();
        let (rate, came) = passed(&proxies, time);
        #[allow(clippy::print_stdout)] // For the one who measures.
        {
            println!("{number} proxies: {rate:.1} a second of 100, {came:.0} came");
        }
        assert!(rate <= 105.0, "{number} proxies let in {rate} a second");
        // A machine that is so busy that hardly more came shows nothing.
        assert!(rate >= 95.0 || came < 200.0, "{number} proxies let in {rate} a second");
        let keys = redis.ask("KEYS rate:*");
        for key in keys.split("\r\n").filter(|line| line.starts_with("rate:")) {
            assert!(!redis.ask(&format!("PTTL {key}")).starts_with(":-1"), "{key} stays for ever");
        }
    }
}

#[test]
fn a_limit_holds_over_one_and_over_three_proxies() {
    hold(Duration::from_secs(4));
}

/// For as long as one likes: `make rates`.
#[test]
#[ignore = "takes two minutes: `make rates`"]
fn a_limit_holds_for_long() {
    let seconds = std::env::var("RATES_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    hold(Duration::from_secs(seconds));
}

/// The answer to a client with that key, and how long it took.
fn ask(stage: &Stage, key: &str) -> (u16, Duration) {
    let begun = now();
    let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX-Key: {key}\r\n\r\n");
    let status = Conn::open(stage.proxy.address()).ask(&request).status();
    (status, begun.elapsed())
}

fn until_refused(stage: &Stage, key: &str) -> usize {
    (0..50).take_while(|_| ask(stage, key).0 == 200).count()
}

fn wait_for_each_other(proxies: &[Stage; 2]) {
    wait_until("the proxies to know of each other", || {
        // Each says that it is there when it is asked for something.
        for stage in proxies {
            ask(stage, "x");
        }
        proxies.iter().all(|stage| stage.proxy.stats()["limits"]["proxies"] == 2)
    });
}

/// Few requests, so that a window lasts for hours.
const FEW: &str = "{ rate = \"1/h\", burst = 20, key = \"header:X-Key\" }";

#[test]
fn two_proxies_have_one_limit_together() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let proxies = [proxy(&redis, FEW), proxy(&redis, FEW)];
    // On a busy machine, some pass on credit before the store has answered.
    let first = until_refused(&proxies[0], "a");
    assert!((20..50).contains(&first), "{first}");
    wait_until("the other proxy to hear of it", || ask(&proxies[1], "a").0 == 429);
    assert_eq!(ask(&proxies[1], "b").0, 200, "each key has a limit of its own");
}

/// A store that is killed, or that stands still: the answer comes at once, by the proxy's own part of the limit, and the log says it once.
#[test]
fn without_the_store_each_proxy_has_its_part_of_the_limit() {
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    let proxies = [proxy(&redis, FEW), proxy(&redis, FEW)];
    wait_for_each_other(&proxies);
    for stop in ["KILL", "STOP"] {
        match stop {
            "KILL" => redis.kill(),
            _ => redis.signal(stop),
        }
        for stage in &proxies {
            let mut took: Vec<Duration> = (0..20).map(|n| ask(stage, &format!("{stop}-{n}")).1).collect();
            took.sort_unstable();
            // Not the slowest ones: other programs run on this machine, too.
            assert!(took[14] <= Duration::from_millis(50), "{took:?}");
        }
        for stage in &proxies {
            wait_until("the proxy to go on alone", || {
                ask(stage, "y");
                stage.proxy.stats()["limits"]["store"] == "down"
            });
            let key = format!("after-{stop}");
            assert_eq!(until_refused(stage, &key), 10, "half of it each");
        }
        match stop {
            "KILL" => redis.start_again(),
            _ => redis.signal("CONT"),
        }
        for stage in &proxies {
            wait_until("the store to count again", || {
                ask(stage, "z");
                stage.proxy.stats()["limits"]["store"] == "up"
            });
        }
        wait_for_each_other(&proxies);
    }
    for stage in &proxies {
        let page = Conn::open(stage.proxy.admin()).ask("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
        let page = String::from_utf8(page.body).unwrap();
        for line in ["proxy_limits_store_up 1", "proxy_limits_proxies 2"] {
            assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
        }
        let log = stage.proxy.stderr();
        // Once each time; on a busy machine, the store may have been late another time.
        let said = log.lines().filter(|line| line.contains("redis://")).map(|line| line.contains(" WARN "));
        let said: Vec<bool> = said.collect();
        assert!(said.len() >= 5 && said.iter().enumerate().all(|(at, warns)| *warns == (at % 2 == 1)), "{log}");
    }
}
