//! How often clients may ask, and how much at once: over sockets, over all workers.

use crate::{
    PLAIN, Stage,
    support::{
        process::wait_until,
        raw::{Backend, Conn},
        wire::Message,
    },
    upstream,
};
use socket_patterns::time::Instant;
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

fn ask(stage: &Stage, target: &str, more: &str) -> Message {
    Conn::open(stage.proxy.address()).ask(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{more}\r\n"))
}

fn from(client: &str) -> String {
    format!("X-Forwarded-For: {client}\r\n")
}

/// Rates so low that no test is long enough for another request.
fn stage(backend: &Backend) -> Stage {
    let config = format!(
        "workers = 3\n{PLAIN}[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\n\
         rate-limit = {{ rate = \"1/h\", burst = 3, name = \"hourly\" }}\n\
         [[site.route]]\npath = \"/more\"\nupstream = \"web\"\n\
         [[site.route]]\npath = \"/free\"\nupstream = \"web\"\nrate-limit = false\n\
         [[site.route]]\npath = \"/all\"\nupstream = \"web\"\nrate-limit = {{ rate = \"1/h\", burst = 2, key = \"site\" }}\n\
         [[site.route]]\npath = \"/keys\"\nupstream = \"web\"\nrate-limit = {{ rate = \"1/h\", key = \"header:X-Api-Key\" }}\n\
         [[site.route]]\npath = \"/two\"\nupstream = \"web\"\n\
         rate-limit = [\"1000/s\", {{ rate = \"60/m\", burst = 1, name = \"slow\" }}]\n\
         [forwarding]\ntrusted-proxies = [\"127.0.0.0/8\"]\n{}",
        upstream("web", &backend.name())
    );
    Stage::new(&config, 1)
}

#[test]
fn a_client_may_ask_so_often_on_all_workers_and_hears_when_again() {
    let backend = Backend::saying("page");
    let stage = stage(&backend);
    // Routes that have the limit of their site share it.
    for (target, status) in [("/", 200), ("/more", 200), ("/", 200), ("/", 429), ("/more", 429), ("/free", 200)] {
        assert_eq!(ask(&stage, target, &from("192.0.2.1")).status(), status, "{target}");
    }
    let refused = ask(&stage, "/", &from("192.0.2.1"));
    assert_eq!(refused.field("ratelimit-policy"), Some("\"hourly\";q=3;w=10800"));
    let seconds: u32 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&seconds), "{seconds}");
    assert_eq!(refused.field("ratelimit"), Some(&*format!("\"hourly\";r=0;t={seconds}")));
    assert_eq!(refused.field("proxy-status"), Some("socket-patterns; error=http_request_denied"));
    stage.proxy.wait_for_stderr("failure=\"rate limit\"");
    // Another client has a bucket of its own; one IPv6 customer is one client.
    assert_eq!(ask(&stage, "/", &from("192.0.2.2")).status(), 200);
    let statuses = (1..=4).map(|n| ask(&stage, "/", &from(&format!("2001:db8::{n}"))).status());
    assert_eq!(statuses.collect::<Vec<_>>(), [200, 200, 200, 429]);
    assert_eq!(ask(&stage, "/", &from("2001:db8:0:1::1")).status(), 200);
}

#[test]
fn all_answers_say_how_much_is_left_where_that_is_asked_for() {
    let stored = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nRateLimit: \"theirs\";r=5;t=9\r\nContent-Length: 4\r\n\r\npage";
    let backend = Backend::answering(stored);
    let limit = |more: &str| format!("rate-limit = {{ rate = \"1/h\", burst = 9, name = \"hourly\"{more} }}\n");
    let config = format!(
        "workers = 2\n{PLAIN}[cache]\nsize = \"1m\"\n[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\n{}\
         response-headers = {{ set = {{ X-Set = \"1\" }} }}\n\
         [[site.route]]\npath = \"/gone\"\nrespond = 404\n\
         [[site.route]]\npath = \"/moved\"\nredirect = \"https://b.test\"\n\
         [[site.route]]\npath = \"/down\"\nupstream = \"down\"\n\
         [[site.route]]\npath = \"/quiet\"\nupstream = \"web\"\n{}\
         [[site.route]]\npath = \"/two\"\nupstream = \"web\"\nrate-limit = [{{ rate = \"1000/s\", advertise = true, name = \"fast\" }}, \
         {{ rate = \"1/h\", burst = 2, name = \"slow\", advertise = true }}, {{ rate = \"1/h\", name = \"quiet\" }}]\n{}{}",
        limit(", advertise = true"),
        limit(""),
        upstream("web", &backend.name()),
        upstream("down", "127.0.0.1:1"),
    );
    let stage = Stage::new(&config, 1);
    let told = |answer: &Message| {
        let all = |name| answer.head.as_ref().unwrap().all(name).map(str::to_owned).collect::<Vec<_>>();
        (answer.status(), all("ratelimit-policy"), all("ratelimit"))
    };
    let policy = || vec!["\"hourly\";q=9;w=32400".to_owned()];
    // From the server, from the cache, the head alone, what has not changed, a fixed answer, a redirect, and no server.
    for (target, status, left) in
        [("/", 200, 8), ("/", 200, 7), ("/gone", 404, 6), ("/moved", 308, 5), ("/down", 502, 4), ("/", 200, 3)]
    {
        let answer = ask(&stage, target, "");
        let theirs = (target == "/").then(|| "\"theirs\";r=5;t=9".to_owned());
        let ours = format!("\"hourly\";r={left};t={}", left * 3600);
        assert_eq!(told(&answer), (status, policy(), theirs.into_iter().chain([ours]).collect()), "{target}");
        assert_eq!(answer.field("x-set"), Some("1"));
    }
    assert_eq!(told(&ask(&stage, "/quiet", "")), (200, vec![], vec!["\"theirs\";r=5;t=9".to_owned()]));
    let (_, policies, left) = told(&ask(&stage, "/two", ""));
    assert_eq!(policies, ["\"fast\";q=1000;w=1, \"slow\";q=2;w=7200"]);
    assert_eq!(left[1], "\"slow\";r=1;t=3600");
    let refused = ask(&stage, "/two", "");
    assert_eq!((refused.status(), refused.field("ratelimit-policy")), (429, Some("\"quiet\";q=1;w=3600")));
    for left in [2, 1, 0] {
        let answer = ask(&stage, "/", "");
        assert!(told(&answer).2[1].starts_with(&format!("\"hourly\";r={left};t=")), "{:?}", told(&answer));
    }
    assert_eq!(ask(&stage, "/", "").status(), 429);
}

#[test]
fn a_limit_counts_by_site_or_by_a_field() {
    let backend = Backend::saying("page");
    let stage = stage(&backend);
    let of_all = (1..=3).map(|n| ask(&stage, "/all", &from(&format!("192.0.2.{n}"))).status());
    assert_eq!(of_all.collect::<Vec<_>>(), [200, 200, 429]);
    for (key, client, status) in [("a", 1, 200), ("a", 2, 429), ("b", 1, 200), ("", 1, 200), ("", 1, 429), ("", 2, 200)]
    {
        let key = if key.is_empty() { String::new() } else { format!("X-Api-Key: {key}\r\n") };
        let more = format!("{key}{}", from(&format!("192.0.2.{client}")));
        assert_eq!(ask(&stage, "/keys", &more).status(), status, "{more}");
    }
    assert_eq!(ask(&stage, "/two", &from("192.0.2.1")).status(), 200);
    let refused = ask(&stage, "/two", &from("192.0.2.1"));
    assert_eq!((refused.status(), refused.field("ratelimit-policy")), (429, Some("\"slow\";q=1;w=1")));
    assert_eq!(refused.field("retry-after"), Some("1"));
}

#[test]
fn the_rate_holds_over_connections_and_workers() {
    let config = format!(
        "workers = 3\n{PLAIN}[[site]]\nhosts = [\"a.test\"]\nrespond = {{ status = 200, body = \"x\" }}\n\
         rate-limit = {{ rate = \"2000/s\", burst = 1000 }}\n"
    );
    let stage = Stage::new(&config, 1);
    let address = stage.proxy.address();
    // How long it takes is measured, and not chosen: all that matters is how many pass in that time.
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    // All end together: one that is left alone would be slower than the limit.
    let left = AtomicUsize::new(12_000);
    let is_left = || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
    let count = || {
        let mut conn = Conn::open(address);
        let ask = || conn.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status() == 200;
        std::iter::repeat_with(ask).take_while(|_| is_left()).filter(|passed| *passed).count()
    };
    let passed: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    let allowed = (start.elapsed().as_secs_f64() * 2000.0 + 1000.0).min(12_000.0);
    assert!(passed as f64 <= allowed * 1.01, "{passed} of {allowed}");
    // Clients on a machine that is busy may be slower than the limit; the burst lets them catch up after half a second.
    assert!(passed as f64 >= allowed * 0.95 || passed == 12_000, "{passed} of {allowed}");
}

#[test]
fn a_client_has_so_many_requests_at_once() {
    let (backend, incoming) = Backend::by_hand();
    let config = format!(
        "workers = 2\n{PLAIN}[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\nrequests-per-client = 2\n\
         [[site.route]]\npath = \"/free\"\nrespond = {{ status = 200, body = \"x\" }}\nrequests-per-client = 0\n\
         [forwarding]\ntrusted-proxies = [\"127.0.0.0/8\"]\n{}",
        upstream("web", &backend.name())
    );
    let stage = Stage::new(&config, 1);
    let begin = |client: &str| {
        let mut conn = Conn::open(stage.proxy.address());
        conn.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", from(client)));
        conn
    };
    let (mut one, two, mut other) = (begin("192.0.2.1"), begin("192.0.2.1"), begin("192.0.2.2"));
    let mut served: Vec<Conn> = (0..3).map(|_| incoming.accept()).collect();
    for conn in &mut served {
        conn.request().unwrap();
    }
    let refused = ask(&stage, "/", &from("192.0.2.1"));
    assert_eq!((refused.status(), refused.field("retry-after")), (429, Some("1")));
    assert_eq!(ask(&stage, "/free", &from("192.0.2.1")).status(), 200);
    stage.proxy.wait_for_stderr("failure=\"too many requests at once\"");
    // A request that ends makes room, however it ends.
    for conn in &mut served {
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    assert_eq!((one.response("GET").status(), other.response("GET").status()), (200, 200));
    drop(two);
    let mut more = begin("192.0.2.1");
    wait_until("the backend to be asked again", || {
        served.extend(incoming.try_accept());
        served.iter_mut().any(|conn| !conn.is_quiet())
    });
    let mut asked = served.into_iter().find(|conn| !conn.is_quiet()).unwrap();
    asked.request().unwrap();
    asked.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(more.response("GET").status(), 200);
}

/// A client that is refused by its own limit takes nothing from the limit of all, in whichever order they are asked.
#[test]
fn a_request_that_one_limit_refuses_is_counted_by_none() {
    let (backend, incoming) = Backend::by_hand();
    let (all, own) = (
        "{ rate = \"1/h\", burst = 4, key = \"site\", name = \"NAME\" }",
        "{ rate = \"1/h\", burst = 2, name = \"c\" }",
    );
    let all = |name: &str| all.replace("NAME", name);
    let route = |path: &str, limits: &str| {
        format!("[[site.route]]\npath = \"{path}\"\nrespond = 200\nrate-limit = [{limits}]\n")
    };
    let config = format!(
        "workers = 2\n{PLAIN}[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\n{}{}\
         [[site.route]]\npath = \"/one\"\nupstream = \"web\"\nrequests-per-client = 1\nrate-limit = {}\n\
         [forwarding]\ntrusted-proxies = [\"127.0.0.0/8\"]\n{}",
        route("/first", &format!("{}, {own}", all("a"))),
        route("/last", &format!("{own}, {}", all("b"))),
        all("s"),
        upstream("web", &backend.name())
    );
    let stage = Stage::new(&config, 1);
    for path in ["/first", "/last"] {
        let statuses = |client: &str, count: usize| -> Vec<u16> {
            (0..count).map(|_| ask(&stage, path, &from(client)).status()).collect()
        };
        assert_eq!(statuses("192.0.2.1", 10), [&[200; 2][..], &[429; 8]].concat(), "{path}");
        assert_eq!(statuses("192.0.2.2", 3), [200, 200, 429], "{path}");
        assert_eq!(statuses("192.0.2.3", 2), [429, 429], "{path}: all that the site has are used");
    }
    // One that has too many at once is not counted either.
    let begin = |number: u8| {
        let mut client = Conn::open(stage.proxy.address());
        client.send(format!("GET /one HTTP/1.1\r\nHost: a.test\r\n{}\r\n", from(&format!("192.0.2.{number}"))));
        let mut served = incoming.accept();
        served.request().unwrap();
        (client, served)
    };
    let mut under_way = vec![begin(1)];
    for _ in 0..10 {
        assert_eq!(ask(&stage, "/one", &from("192.0.2.1")).status(), 429);
    }
    under_way.extend((2..5).map(begin));
    assert_eq!(ask(&stage, "/one", &from("192.0.2.5")).status(), 429, "the fifth");
}
