//! A request has one id, and its place in a trace: for the server, for the client and in the log.

use crate::{
    PLAIN, Stage,
    support::{
        http2::Client,
        process::wait_until,
        raw::{Backend, Conn},
    },
    upstream,
};
use serde_json::Value;
use std::fs;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn stage(keys: &str, backend: &Backend) -> Stage {
    let server = upstream("web", &backend.name());
    Stage::new(
        &format!(
            "{PLAIN}[forwarding]\n{keys}\n[log]\naccess-to = \"./a.log\"\naccess-format = \"json\"\n\
             [[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\n[[site.route]]\npath = \"/own\"\nrespond = 404\n{server}"
        ),
        1,
    )
}

/// The line of the log about the request for that target.
fn told(stage: &Stage, target: &str) -> Value {
    let read = || fs::read_to_string(stage.folder.path().join("a.log")).unwrap();
    let found = || {
        read().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|line| line["target"] == target)
    };
    wait_until("the line to be there", || found().is_some());
    found().unwrap()
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

#[test]
fn the_id_of_a_request_is_told_to_all_and_taken_from_none_but_trusted_proxies() {
    // A server that says an id of its own: that of another request, as far as the client knows.
    let answer =
        "HTTP/1.1 200 OK\r\nX-Request-Id: of-the-server\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx";
    let backend = Backend::answering(answer);
    for (trust, taken) in [("", false), ("trusted-proxies = \"127.0.0.1\"", true)] {
        let stage = stage(&format!("request-id = true\n{trust}"), &backend);
        let mut conn = Conn::open(stage.proxy.address());
        let mut ids = Vec::new();
        for (number, target) in ["/a", "/a", "/own", "/b"].into_iter().enumerate() {
            // A field that `Connection` names would not go on.
            let listed = if taken { "" } else { "Connection: X-Request-ID\r\n" };
            let answer = conn.ask(&get(target, &format!("{listed}X-Request-ID: given-{number}\r\n")));
            let head = answer.head.as_ref().unwrap();
            let all: Vec<&str> = head.all("x-request-id").collect();
            assert_eq!((all.len(), all[0] == format!("given-{number}")), (1, taken), "{target} {answer:?}");
            ids.push(all[0].to_owned());
        }
        ids.dedup();
        assert_eq!(ids.len(), 4, "each request has its own, also if its answer is a stored one");
        let asked = backend.requests();
        let last = asked.last().unwrap().head.as_ref().unwrap();
        assert_eq!((last.target(), last.all("x-request-id").collect::<Vec<_>>()), ("/b", vec![ids[3].as_str()]));
        assert_eq!(told(&stage, "/b")["request_id"], ids[3].as_str());
    }
}

#[test]
fn a_stream_is_marked_as_a_connection_is() {
    let backend = Backend::saying("x");
    let stage = stage("request-id = true\nrequest-id-field = \"X-Correlation-ID\"\ntrace-context = \"make\"", &backend);
    let mut client = Client::plain(stage.proxy.address());
    let fields = [("x-correlation-id", "mine"), ("traceparent", PARENT), ("tracestate", "a=1")];
    let stream = client.begin_at("a.test", "GET", "/h2", &fields, true);
    let answer = client.answer(stream);
    let id = answer.field("x-correlation-id").unwrap().to_owned();
    assert!(id.len() == 32 && id != "mine", "{id}");
    let asked = backend.wait_for_request(1);
    assert_eq!((asked.field("x-correlation-id"), asked.field("tracestate")), (Some(&*id), Some("a=1")));
    let parent = asked.field("traceparent").unwrap();
    assert!(parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && parent.ends_with("-01") && parent != PARENT);
    let line = told(&stage, "/h2");
    assert_eq!(line["request_id"], id.as_str());
    assert_eq!(
        (&line["trace_id"], &line["span_id"]),
        (&"0af7651916cd43dd8448eb211c80319c".into(), &parent[36..52].into())
    );
}

#[test]
fn a_trace_is_passed_on_or_begun_as_the_file_says() {
    let backend = Backend::saying("x");
    for (mode, given, passed) in [
        ("off", Some("nonsense"), Some("nonsense")),
        ("pass", None, None),
        ("pass", Some("nonsense"), None),
        ("pass", Some(PARENT), Some("00-0af7651916cd43dd8448eb211c80319c-")),
        ("make", None, Some("00-")),
        ("make", Some("nonsense"), Some("00-")),
    ] {
        let stage = stage(&format!("trace-context = \"{mode}\""), &backend);
        let fields = given.map_or_else(String::new, |given| format!("traceparent: {given}\r\ntracestate: a=1\r\n"));
        let before = backend.requests().len();
        let answer = Conn::open(stage.proxy.address()).ask(&get("/", &fields));
        assert_eq!((answer.status(), answer.field("traceparent"), answer.field("x-request-id")), (200, None, None));
        let asked = backend.wait_for_request(before + 1);
        let written = asked.field("traceparent");
        assert_eq!(written.is_some(), passed.is_some(), "{mode} {given:?}: {written:?}");
        assert!(written.is_none_or(|written| written.starts_with(passed.unwrap())), "{mode} {given:?}: {written:?}");
        let keeps_state = mode == "off" || given == Some(PARENT);
        assert_eq!(asked.field("tracestate"), keeps_state.then_some("a=1"), "{mode} {given:?}");
        assert_eq!(told(&stage, "/").get("trace_id").is_some(), mode != "off" && passed.is_some());
    }
}
