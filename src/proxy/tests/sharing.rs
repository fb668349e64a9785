//! Several read one response while it arrives, and not all are equally fast.

use super::{SECOND, World};
use crate::{app::ConnId, proxy::Census};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";
const KIB: usize = 1024;

/// As much as the proxy reads at once.
const PIECE: usize = 64 * KIB;

/// More unsent than a client may have before it gets no more.
const MUCH: usize = 129 * KIB;

/// A leader and followers of a response that is too large to be stored from its first piece on.
struct Shared {
    world: World,
    backend: ConnId,
    leader: ConnId,
    followers: Vec<ConnId>,
}

impl Shared {
    fn new(followers: usize) -> Self {
        let mut world = World::caching(&["--cache-max-object", "1k", "--cache-wait", "5s", "--write-timeout", "10m"]);
        let (leader, backend) = world.exchange(GET);
        let followers: Vec<ConnId> = (0..followers).map(|_| world.client(GET)).collect();
        assert!(world.opened_none(), "they follow");
        world.say(backend, HEAD);
        world.wake();
        let mut shared = Self { world, backend, leader, followers };
        shared.arrive();
        shared
    }

    /// A piece arrives, unless the proxy does not read.
    fn arrive(&mut self) -> bool {
        if self.world.paused.contains(&self.backend) {
            return false;
        }
        self.world.say(self.backend, &format!("{PIECE:x}\r\n{}\r\n", "z".repeat(PIECE)));
        self.world.wake();
        true
    }

    /// How many bytes of content a client was given since the last look.
    fn given(&mut self, client: ConnId) -> usize {
        self.world.sent(client).bytes().filter(|byte| *byte == b'z').count()
    }

    /// Pieces come until the proxy reads no more, a window and a piece at most. How many bytes.
    fn fill(&mut self) -> usize {
        let pieces = (0..100).take_while(|_| self.arrive()).count();
        assert!(pieces < 100, "what nobody takes is read without end");
        // Those who have everything have looked once more whether their clients have it, too.
        (0..2).for_each(|_| self.world.wake());
        pieces * PIECE
    }
}

/// As slow as one of them is, the others get what there is, and after `--cache-wait` all of it: be the slow one a follower, or
/// the client for which it is fetched.
#[test]
fn a_slow_client_holds_up_the_others_for_a_while_and_no_longer() {
    for slow_one in ["leader", "follower"] {
        let mut shared = Shared::new(2);
        let (slow, fast) = match slow_one {
            "leader" => (shared.leader, shared.followers.clone()),
            _ => (shared.followers[0], vec![shared.leader, shared.followers[1]]),
        };
        let first = shared.given(slow);
        assert_eq!(first, PIECE, "{slow_one}");
        fast.iter().for_each(|client| assert_eq!(shared.given(*client), PIECE, "{slow_one}"));
        shared.world.unsent(slow, MUCH);
        let came = shared.fill();
        assert!((1024 * KIB..1024 * KIB + 2 * PIECE).contains(&came), "{slow_one}: {came}");
        fast.iter().for_each(|client| assert_eq!(shared.given(*client), came, "{slow_one}"));
        assert_eq!(shared.given(slow), 0, "{slow_one}");
        shared.world.pass(4 * SECOND);
        shared.world.wake();
        assert_eq!((shared.world.ended(slow), shared.arrive()), ("-", false), "{slow_one}: there is time left");
        shared.world.pass(2 * SECOND);
        shared.world.wake();
        assert_eq!(shared.world.ended(slow), "abort", "{slow_one}: it must see that something is missing");
        for _ in 0..40 {
            assert!(shared.arrive(), "{slow_one}: nobody is waited for");
        }
        fast.iter().for_each(|client| assert_eq!(shared.given(*client), 40 * PIECE, "{slow_one}"));
        shared.world.say(shared.backend, "0\r\n\r\n");
        shared.world.wake();
        assert_eq!(shared.world.proxy.census().exchanges, 0, "{slow_one}");
        fast.iter().for_each(|client| assert_eq!(shared.world.ended(*client), "-", "{slow_one}"));
    }
}

/// Slow together is no reason: a fetch is as fast as the fastest, and then no reader waits for another.
#[test]
fn those_who_are_equally_slow_are_not_let_go() {
    let mut shared = Shared::new(1);
    let all = [shared.leader, shared.followers[0]];
    all.iter().for_each(|client| shared.world.unsent(*client, MUCH));
    shared.fill();
    shared.world.pass(60 * SECOND);
    shared.world.wake();
    all.iter().for_each(|client| assert_eq!(shared.world.ended(*client), "-"));
    let before = all.map(|client| shared.given(client));
    // They take it after all.
    for _ in 0..20 {
        all.iter().for_each(|client| shared.world.unsent(*client, 0));
        shared.world.wake();
    }
    let after = all.map(|client| shared.given(client));
    assert!(after.iter().all(|given| *given >= 1024 * KIB), "{before:?} {after:?}");
    assert!(shared.arrive());
}

/// A client that reads more than half as fast as the others costs them time, and is not let go for it.
#[test]
fn a_client_that_is_a_little_slower_is_not_let_go() {
    let mut shared = Shared::new(1);
    let (slow, fast) = (shared.leader, shared.followers[0]);
    for _ in 0..10 {
        shared.world.unsent(slow, MUCH);
        shared.fill();
        // The other one waits for three seconds, and gets something for another three.
        shared.world.pass(3 * SECOND);
        shared.world.wake();
        for _ in 0..20 {
            shared.world.unsent(slow, 0);
            shared.world.wake();
        }
        shared.world.pass(3 * SECOND);
        assert_eq!((shared.world.ended(slow), shared.world.ended(fast)), ("-", "-"));
    }
    let (slow, fast) = (shared.given(slow), shared.given(fast));
    assert_eq!(slow, fast);
}

/// The response is complete, and the leader's client has not taken it: its backend is free, and it reads on.
#[test]
fn a_slow_leaders_client_gets_the_rest_from_what_is_here() {
    let mut shared = Shared::new(1);
    let slow = shared.leader;
    shared.world.unsent(slow, MUCH);
    (0..8).for_each(|_| assert!(shared.arrive()));
    shared.world.say(shared.backend, "0\r\n\r\n");
    shared.world.wake();
    let census = shared.world.proxy.census();
    assert_eq!((census.exchanges, census.busy, census.idle), (1, 0, 1));
    for _ in 0..10 {
        shared.world.unsent(slow, 0);
        shared.world.wake();
    }
    let sent = shared.world.sent(slow);
    assert!(sent.ends_with("\r\n0\r\n\r\n"), "its end");
    assert_eq!(sent.bytes().filter(|byte| *byte == b'z').count(), 9 * PIECE);
    assert_eq!((shared.world.proxy.census().exchanges, shared.world.ended(slow)), (0, "-"));
    assert_eq!(shared.world.proxy.empty_cache(), 0, "nothing is kept");
}

/// `--request-timeout` of the client that came first is not that of clients that came later.
#[test]
fn the_leaders_deadline_is_its_own() {
    let mut world = World::caching(&["--request-timeout", "5s"]);
    let (leader, backend) = world.exchange(GET);
    world.pass(2 * SECOND);
    let follower = world.client(GET);
    world.say(backend, HEAD);
    world.wake();
    world.pass(4 * SECOND);
    world.wake();
    assert_eq!((world.ended(leader), world.ended(follower)), ("abort", "-"));
    world.say(backend, "1\r\nx\r\n0\r\n\r\n");
    world.wake();
    assert!(world.sent(follower).ends_with("1\r\nx\r\n0\r\n\r\n"));
}

/// A request of our own, for the sake of the cache, ends when its answer is not for the cache: even if that never ends.
#[test]
fn a_background_response_that_is_not_stored_is_not_fetched_to_its_end() {
    for too_large in [false, true] {
        let mut world = World::caching(&["--cache-max-object", "100k"]);
        let (client, backend) = world.exchange(GET);
        let lines = "Cache-Control: max-age=1, stale-while-revalidate=60\r\nContent-Length: 2";
        world.say(backend, &format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nok"));
        world.pass(2 * SECOND);
        world.sent(backend);
        world.say(client, GET);
        assert!(world.sent(client).ends_with("ok"), "the stale one");
        assert!(world.sent(backend).starts_with("GET / "), "and a newer one is asked for");
        let said = if too_large { "max-age=60" } else { "no-store" };
        world.say(backend, &HEAD.replace("max-age=60", said));
        for _ in 0..3 {
            world.say(backend, &format!("{PIECE:x}\r\n{}\r\n", "z".repeat(PIECE)));
            world.wake();
        }
        assert_eq!((world.ended(backend), world.proxy.census().exchanges), ("abort", 0), "too large: {too_large}");
        assert_eq!(world.proxy.empty_cache(), 0);
    }
}

/// The leader leaves, its backend fails, and the last follower leaves while another try is made: no client is left to
/// ask for.
#[test]
fn a_fetch_that_no_client_waits_for_any_more_is_not_tried_again() {
    let mut world = World::caching(&["--retries", "2"]);
    let (leader, backend) = world.exchange(GET);
    let follower = world.client(GET);
    world.fail(leader);
    assert_eq!(world.ended(backend), "-", "the follower waits for it");
    world.fail(backend);
    world.fail(follower);
    world.wake();
    world.pass(5 * SECOND);
    assert!(world.opened_none(), "it would be asked for nobody");
    assert_eq!(world.proxy.census(), Census { idle: world.proxy.census().idle, ..Census::default() });
}

/// A part is stored with its date; the backend confirms it by its tag and says another date, so that the client's condition does
/// not hold any more: it gets all of the new response.
#[test]
fn a_part_that_no_longer_answers_after_it_was_confirmed_is_asked_for_again() {
    const FIRST: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
    let mut world = World::caching(&[]);
    let (client, backend) = world.exchange("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3\r\n\r\n");
    let fields = format!(
        "ETag: \"a\"\r\nLast-Modified: {FIRST}\r\nDate: Tue, 02 Jan 2024 00:00:00 GMT\r\nCache-Control: max-age=1"
    );
    world.say(
        backend,
        &format!("HTTP/1.1 206 P\r\n{fields}\r\nContent-Range: bytes 0-3/10\r\nContent-Length: 4\r\n\r\n0123"),
    );
    assert!(world.sent(client).ends_with("0123"));
    world.pass(2 * SECOND);
    let client = world.client(&format!("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3\r\nIf-Range: {FIRST}\r\n\r\n"));
    let asked = world.sent(backend);
    assert!(asked.contains("If-None-Match") || asked.contains("Range"), "{asked}");
    world.say(backend, "HTTP/1.1 304 N\r\nETag: \"a\"\r\nLast-Modified: Tue, 02 Jan 2024 00:00:00 GMT\r\n\r\n");
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    let answer = world.sent(client);
    assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 206"), "{answer}");
}
