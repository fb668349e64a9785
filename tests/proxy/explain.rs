//! One request explained: marked, sampled, or failed.

use crate::{
    PLAIN, Stage,
    support::raw::{Backend, Conn, refusing_address},
};
use serde_json::Value;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n";

fn config(servers: &str, explain: &str, more: &str) -> String {
    format!(
        "workers = 1\n{PLAIN}{ADMIN}[[site]]\nhosts = [\"a.test\", \"*.a.test\"]\nupstream = \"web\"\n[[site.route]]\npath = \"/api/\"\n\
         upstream = \"web\"\nrequest-headers = {{ set = {{ X-Added = \"yes\" }} }}\nresponse-headers = {{ remove = [\"Server\"] }}\n\
         [upstream.web]\nservers = [{servers}]\nhealth = {{ probes = false }}\n{more}\n[explain]\n{explain}\n"
    )
}

fn marked() -> String {
    format!("token = \"{TOKEN}\"")
}

/// An explanation as JSON, and as text.
fn explanation(stage: &Stage, number: &str) -> (Value, String) {
    let ask = |accept: &str| {
        let request = format!("GET /explain/{number} HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\n\r\n");
        let answer = Conn::open(stage.proxy.admin()).ask(&request);
        assert_eq!(answer.status(), 200, "{answer:?}");
        String::from_utf8(answer.body).unwrap()
    };
    (serde_json::from_str(&ask("application/json")).unwrap(), ask("*/*"))
}

/// The sentences about something.
fn said(explanation: &Value, about: &str) -> String {
    let facts = explanation["facts"][about].as_array().unwrap();
    facts.iter().map(|fact| fact["says"].as_str().unwrap().to_owned() + "\n").collect()
}

#[test]
fn a_marked_request_is_explained_from_its_head_to_its_end() {
    let page = "HTTP/1.1 200 OK\r\nServer: secret/1.0\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\npage";
    let backend = Backend::answering(page);
    let stage = Stage::new(&config(&format!("\"{}\"", backend.name()), &marked(), ""), 1);
    let request = format!("GET /api/x HTTP/1.1\r\nHost: w.a.test\r\nCookie: id=1\r\nExplain: {TOKEN}\r\n\r\n");
    let mut client = Conn::open(stage.proxy.address());
    let answer = client.ask(&request);
    let number = answer.field("explain").expect("the answer names it").to_owned();
    assert_eq!(backend.requests()[0].field("explain"), None, "the token goes no further");
    let (json, text) = explanation(&stage, &number);
    assert_eq!((&json["status"], &json["why"], &json["failure"]), (&200.into(), &"marked".into(), &Value::Null));
    for (about, words) in [
        ("parser", "the head is right: "),
        ("client", "which is not trusted about its clients"),
        (
            "route",
            "site a.test, which has this host by a star; route /api/, the longest that begins the path; upstream web",
        ),
        ("cache", "a server is asked: nothing is stored for the URI (RFC 9111 §4)"),
        ("cache", "the response is being stored (RFC 9111 §3)"),
        ("candidates", "chosen by round-robin (weight 1, 0 in flight)"),
        ("pool", "a new connection to 127.0.0.1:"),
        ("timers", "armed: the server's next step within 5.000 s"),
        ("timers", "armed: the server's next step within 60.000 s"),
        ("heads", "the server answered 200, a body of 4 bytes"),
        ("progress", "the head of the response is here: relay → relay"),
        ("progress", "phase WRITING_RESPONSE"),
    ] {
        assert!(said(&json, about).contains(words), "{about}: {words}\n{text}");
        assert!(text.contains(words), "{words}\n{text}");
    }
    let changes = |name: &str| {
        json[name].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(changes("request_changes").contains(&"+ X-Added: yes".to_owned()), "{text}");
    assert!(changes("response_changes").contains(&"- Server: secret/1.0".to_owned()), "{text}");
    assert!(!text.contains("id=1") && !text.contains(TOKEN), "secrets are not shown: {text}");
    // The next one is answered by the cache.
    let answer = client.ask(&request);
    let (json, text) = explanation(&stage, answer.field("explain").unwrap());
    assert!(said(&json, "cache").contains("a stored response is fresh, and the answer (RFC 9111 §4.2)"), "{text}");
    assert!(text.contains("\npool\n  nothing: it did not come to that\n"), "{text}");
    // A wrong token is no token.
    let answer = client.ask("GET /api/x HTTP/1.1\r\nHost: w.a.test\r\nExplain: 0123456789abcdef\r\n\r\n");
    assert_eq!((answer.status(), answer.field("explain")), (200, None));
}

#[test]
fn a_failure_is_explained_without_being_asked_for() {
    let (dead, other) = (refusing_address(), refusing_address());
    let more = "breaker = { failures = 0 }\nretries = 1\nretry-backoff = \"1ms\"";
    let stage = Stage::new(&config(&format!("\"{dead}\", \"{other}\""), "failures = true", more), 1);
    assert_eq!(stage.get("a.test", "/").status(), 502);
    assert_eq!(stage.get("b.test", "/").status(), 421);
    let mut client = Conn::open(stage.proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: x\r\n\r\n");
    assert_eq!(client.response("GET").status(), 400);
    let list = Conn::open(stage.proxy.admin()).ask("GET /explain HTTP/1.1\r\nHost: test\r\n\r\n");
    let list = String::from_utf8(list.body).unwrap();
    let number = |status: &str| {
        let line = list.lines().find(|line| line.contains(status)).unwrap_or_else(|| panic!("{status} in {list}"));
        line.split(' ').next().unwrap().to_owned()
    };
    let (json, text) = explanation(&stage, &number(" 502 "));
    assert_eq!((&json["why"], &json["upstream"]), (&"failed".into(), &"web".into()), "{text}");
    for (about, words) in [
        ("retry", "sent again after: connection refused"),
        ("retry", "not sent again after: connection refused; because: tried often enough"),
        ("candidates", "has failed this request already"),
        ("timers", "armed: a wait within "),
        ("timers", "fired: a wait"),
        ("heads", "the proxy answered 502 itself, because: connection refused"),
    ] {
        assert!(said(&json, about).contains(words), "{about}: {words}\n{text}");
    }
    let (json, text) = explanation(&stage, &number(" 421 "));
    assert!(said(&json, "route").contains("it goes no further: no site for the host"), "{text}");
    let (json, text) = explanation(&stage, &number(" 400 "));
    assert!(said(&json, "parser").contains("refused by the rule"), "{text}");
    let missing = Conn::open(stage.proxy.admin()).ask("GET /explain/4711 HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(missing.status(), 404);
}

#[test]
fn a_sample_is_explained_and_a_reload_keeps_what_there_is() {
    let backend = Backend::saying("page");
    let server = format!("\"{}\"", backend.name());
    let mut stage = Stage::new(&config(&server, "sample = 1", ""), 1);
    let answer = stage.get("a.test", "/");
    assert_eq!((answer.status(), answer.field("explain")), (200, None), "the client did not ask");
    let (json, _) = explanation(&stage, "1");
    assert_eq!(json["why"], "sampled");
    stage.reload(&config(&server, &marked(), ""));
    assert_eq!(explanation(&stage, "1").0["why"], "sampled");
    assert_eq!(stage.get("a.test", "/").status(), 200);
    let list = Conn::open(stage.proxy.admin()).ask("GET /explain HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(String::from_utf8(list.body).unwrap().lines().count(), 1, "nothing is noted that nobody asks for");
}
