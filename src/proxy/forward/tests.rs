//! From a request's head to a server, with a resolver that answers when the test says so.

use super::*;
use crate::http::Method;
use std::{net::Ipv4Addr, time::Duration};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Questions that are not answered yet.
#[derive(Default)]
struct Asked(Mutex<Vec<(String, Done)>>);

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

impl Resolver for Asked {
    fn ask(&self, name: &str, done: Done) {
        self.0.lock().unwrap().push((name.to_owned(), done));
    }
}

struct World {
    forward: Arc<Forward>,
    asked: Arc<Asked>,
    now: Instant,
}

impl World {
    fn new(guard: Guard) -> Self {
        let asked = Arc::new(Asked::default());
        let mail = Mail::new(1, Arc::new(|_| {}));
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        Self { forward: Arc::new(Forward::new(guard, 8, asked.clone(), mail)), asked, now }
    }

    /// The result of a look for `target`: `name @ addresses`, the rule against it, or that it has to wait.
    fn find(&self, who: u32, target: &str) -> String {
        let method = if target.contains("://") { Method::Get } else { Method::Connect };
        let head = RequestHead::new(method, target).unwrap();
        match self.forward.find(&head, CLIENT, Ticket { worker: 0, who }, self.now) {
            Found::Origin(origin) => format!("{} @ {}", origin.name, origin.addresses),
            Found::Asked => "asked".to_owned(),
            Found::Denied(denied) => denied.as_str().to_owned(),
        }
    }

    /// Answers the only question.
    fn answer(&self, name: &str, answer: Result<&[&str], Denied>) {
        let mut asked = std::mem::take(&mut *self.asked.0.lock().unwrap());
        assert_eq!(asked.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [name]);
        let addresses = answer.map(|texts| texts.iter().map(|text| text.parse().unwrap()).collect());
        asked.pop().unwrap().1(addresses);
    }
}

#[test]
fn a_name_is_resolved_once_for_all_its_ports_and_spellings() {
    let mut world = World::new(Guard::default());
    for (who, target) in [(1, "http://A.example/x"), (2, "http://a.example.:80/y"), (3, "a.EXAMPLE:443")] {
        assert_eq!(world.find(who, target), "asked", "{target}");
    }
    assert_eq!(world.forward.mail.take(0), [0; 0]);
    world.answer("a.example", Ok(&["203.0.113.1", "2606:4700::1"]));
    assert_eq!(world.forward.mail.take(0), [1, 2, 3]);
    let both = |port| format!("a.example:{port} @ 203.0.113.1:{port}, [2606:4700::1]:{port}");
    assert_eq!(world.find(1, "http://A.example/x"), both(80));
    assert_eq!(world.find(2, "http://a.example:8080/"), both(8080));
    assert_eq!(world.find(3, "a.example:443"), both(443));
    // Tunnels have no place of their own.
    assert_eq!(world.forward.list().len(), 2);
    world.now += names::KEPT;
    assert_eq!(world.find(1, "http://a.example/"), "asked");
    world.answer("a.example", Ok(&["203.0.113.1"]));
    assert_eq!(world.find(1, "http://a.example/"), "a.example:80 @ 203.0.113.1:80");
}

#[test]
fn the_addresses_of_a_name_are_judged_and_only_those_in_bounds_are_connected_to() {
    for (addresses, found) in [
        (Ok(&["127.0.0.1"][..]), "loopback address"),
        (Ok(&["::ffff:10.0.0.1"]), "private address"),
        (Ok(&["0.0.0.0", "8.8.8.8", "::1"]), "a.example:80 @ 8.8.8.8:80"),
        (Ok(&[]), "name not resolved"),
        (Err(Denied::Unresolved), "name not resolved"),
        (Err(Denied::ManyNames), "too many names at once"),
    ] {
        let world = World::new(Guard::default());
        assert_eq!(world.find(1, "http://a.example/"), "asked");
        world.answer("a.example", addresses);
        assert_eq!(world.find(1, "http://a.example/"), found);
        assert_eq!(world.find(1, "a.example:443").replace("443", "80"), found);
    }
}

#[test]
fn numbers_need_no_resolver_and_no_way_around_the_guard() {
    let world = World::new(Guard::default());
    for (target, found) in [
        ("http://8.8.8.8/", "8.8.8.8:80 @ 8.8.8.8:80"),
        ("[2606:4700::1]:443", "[2606:4700::1]:443 @ [2606:4700::1]:443"),
        ("http://[::ffff:8.8.8.8]/", "8.8.8.8:80 @ 8.8.8.8:80"),
        ("http://127.0.0.1/", "loopback address"),
        ("http://[::]/", "address of this host"),
        ("http://[::ffff:7f00:1]:8080/", "loopback address"),
        ("[64:ff9b::a9fe:a9fe]:443", "link-local address"),
        ("http://2130706433/", "no host for a forward proxy"),
        ("http://0x7f.1/", "no host for a forward proxy"),
        ("http://%31%32%37.0.0.1/", "no host for a forward proxy"),
    ] {
        assert_eq!(world.find(1, target), found, "{target}");
    }
    let allowed = World::new(Guard { allow: vec!["127.0.0.1".parse().unwrap()], ..Guard::default() });
    assert_eq!(allowed.find(1, "http://127.0.0.1:3000/"), "127.0.0.1:3000 @ 127.0.0.1:3000");
    assert_eq!(allowed.find(1, "http://127.0.0.2:3000/"), "loopback address");
}

#[test]
fn a_failure_is_asked_for_again_soon() {
    let mut world = World::new(Guard::default());
    assert_eq!(world.find(1, "http://a.example/"), "asked");
    world.answer("a.example", Err(Denied::Unresolved));
    assert_eq!(world.find(1, "http://a.example/"), "name not resolved");
    world.now += names::FAILURE_KEPT - Duration::from_nanos(1);
    assert_eq!(world.find(1, "http://a.example/"), "name not resolved");
    world.now += Duration::from_nanos(1);
    assert_eq!(world.find(1, "http://a.example/"), "asked");
}
