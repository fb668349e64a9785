//! Words of an operator about servers, while the proxy runs and without a file.

use crate::{
    PLAIN, Stage,
    support::raw::{Backend, Conn},
};
use serde_json::{Value, json};

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n";

/// An upstream of these servers. `one` is what else is said of the first.
fn config(servers: &[&Backend], first: &str, more: &str) -> String {
    let server = |(at, server): (usize, &&Backend)| {
        format!("{{ address = \"{}\"{} }}", server.name(), if at == 0 { first } else { "" })
    };
    let list: Vec<String> = servers.iter().enumerate().map(server).collect();
    format!(
        "workers = 1\n{PLAIN}{ADMIN}[[site]]\nhosts = [\"a\"]\nupstream = \"web\"\n[upstream.web]\nservers = [{}]\n\
         algorithm = \"weighted-round-robin\"\n{more}\n",
        list.join(", ")
    )
}

const UNPROBED: &str = "health = { probes = false }\nslow-start = \"0s\"\n";

fn ask(stage: &Stage, method: &str, path: &str, fields: &str, body: &str) -> (u16, Value) {
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
    let answer = Conn::open(stage.proxy.admin()).ask(&request);
    let text = String::from_utf8(answer.body.clone()).unwrap();
    (answer.status(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Orders something about a server. The row of that server after it.
fn order(stage: &Stage, server: &Backend, order: &Value) -> Value {
    let path = format!("/upstreams/web/servers/{}", server.name());
    let (status, answer) = ask(stage, "POST", &path, "", &order.to_string());
    assert_eq!(status, 200, "{answer}");
    let rows = answer["servers"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == server.name()).cloned().unwrap()
}

/// How many of twelve requests each of them gets.
fn shares(stage: &Stage, servers: &[&Backend]) -> Vec<usize> {
    let before: Vec<usize> = servers.iter().map(|server| server.requests().len()).collect();
    (0..12).for_each(|_| assert_eq!(stage.get("a", "/").status(), 200));
    servers.iter().zip(before).map(|(server, before)| server.requests().len() - before).collect()
}

#[test]
fn a_server_that_is_drained_finishes_what_it_has_and_gets_nothing_new() {
    let (slow, incoming) = Backend::by_hand();
    let other = Backend::saying("other");
    let stage = Stage::new(&config(&[&slow, &other], "", UNPROBED), 1);
    let mut clients: Vec<Conn> = (0..2).map(|_| Conn::open(stage.proxy.address())).collect();
    clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    let mut server = incoming.accept();
    server.read_until("\r\n\r\n");
    let row = order(&stage, &slow, &json!({"state": "drain", "by": "alice"}));
    assert_eq!(
        (&row["state"], &row["health"], &row["reason"]),
        (&json!("drain"), &json!("draining"), &json!("draining"))
    );
    assert_eq!((&row["changed"]["by"], &row["changed"]["from"]), (&json!("alice"), &json!("127.0.0.1")));
    assert!(row["changed"]["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{row}");
    stage.proxy.wait_for_stderr(&format!(
        "order: upstream web: server {}: drain, ordered by alice from 127.0.0.1",
        slow.name()
    ));
    for _ in 0..6 {
        assert_eq!(stage.body("a", "/"), "other");
    }
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    let mut bodies: Vec<Vec<u8>> = clients.iter_mut().map(|client| client.response("GET").body).collect();
    bodies.sort();
    assert_eq!(bodies, [b"other".to_vec(), b"slow".to_vec()]);
    // Its connection is not kept.
    server.expect_end();
    let row = order(&stage, &slow, &json!({"state": "up"}));
    assert_eq!((&row["state"], &row["health"]), (&json!("up"), &json!("up")));
    let mut client = Conn::open(stage.proxy.address());
    let mut second = Conn::open(stage.proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut server = incoming.accept();
    server.read_until("\r\n\r\n");
}

#[test]
fn a_weight_counts_at_once_and_null_is_that_of_the_file() {
    let (one, two) = (Backend::saying("1"), Backend::saying("2"));
    let stage = Stage::new(&config(&[&one, &two], "", UNPROBED), 1);
    assert_eq!(shares(&stage, &[&one, &two]), [6, 6]);
    let row = order(&stage, &one, &json!({"weight": 3}));
    assert_eq!((&row["weight"], &row["changed"]["weight"]), (&json!(3), &json!(3)));
    assert_eq!(shares(&stage, &[&one, &two]), [9, 3]);
    assert_eq!(order(&stage, &two, &json!({"state": "down"}))["reason"], "set down by an operator");
    assert_eq!(shares(&stage, &[&one, &two]), [12, 0]);
    order(&stage, &two, &json!({"state": "up"}));
    assert_eq!(order(&stage, &one, &json!({"weight": null}))["weight"], 1);
    assert_eq!(shares(&stage, &[&one, &two]), [6, 6]);
}

#[test]
fn a_server_that_is_set_down_is_not_probed() {
    let (one, two) = (Backend::saying("1"), Backend::saying("2"));
    let probed = "health = { path = \"/health\", interval = \"10ms\" }\n";
    let stage = Stage::new(&config(&[&one, &two], "", probed), 1);
    one.wait_for_request(2);
    order(&stage, &one, &json!({"state": "down"}));
    // One that was under way may still end.
    let (before, others) = (one.requests().len() + 1, two.requests().len());
    two.wait_for_request(others + 20);
    assert!(one.requests().len() <= before, "{} after {before}", one.requests().len());
    order(&stage, &one, &json!({"state": "drain"}));
    one.wait_for_request(before + 2);
}

#[test]
fn a_reload_says_what_becomes_of_orders() {
    let (one, two) = (Backend::saying("1"), Backend::saying("2"));
    let mut stage = Stage::new(&config(&[&one, &two], "", UNPROBED), 1);
    order(&stage, &one, &json!({"state": "drain", "weight": 5, "by": "alice"}));
    stage.reload(&config(&[&one, &two], "", &format!("{UNPROBED}retries = 1\n")));
    let about = format!("reload: upstream web: server {}: ", one.name());
    stage.proxy.wait_for_stderr(&format!("{about}drain, weight 5 (ordered by alice from 127.0.0.1 at "));
    assert_eq!(shares(&stage, &[&one, &two]), [0, 12], "it is still drained");
    stage.reload(&config(&[&one, &two], ", weight = 2", UNPROBED));
    stage.proxy.wait_for_stderr(&format!("{about}the weight 2 of the file overrides 5"));
    let (_, answer) = ask(&stage, "GET", "/upstreams/web", "", "");
    assert_eq!((&answer["servers"][0]["weight"], &answer["servers"][0]["state"]), (&json!(2), &json!("drain")));
    stage.reload(&config(&[&two], "", UNPROBED));
    stage.proxy.wait_for_stderr("ends: the server is gone");
    stage.reload(&config(&[&one, &two], "", UNPROBED));
    assert_eq!(shares(&stage, &[&one, &two]), [6, 6], "a server that comes anew has no orders");
}

#[test]
fn an_order_that_is_wrong_changes_nothing_and_is_told_why() {
    let (one, two) = (Backend::saying("1"), Backend::saying("2"));
    let round_robin = config(&[&one, &two], "", "health = { probes = false }\n")
        .replace("algorithm = \"weighted-round-robin\"", "algorithm = \"round-robin\"");
    let stage = Stage::new(&round_robin, 1);
    let path = format!("/upstreams/web/servers/{}", one.name());
    for (path, body, status, why) in [
        ("/upstreams/wep/servers/a:1", "{\"state\": \"up\"}", 404, "there is no upstream \"wep\"; there are: web"),
        (
            "/upstreams/web/servers/a:1",
            "{\"state\": \"up\"}",
            404,
            "upstream \"web\" has no server \"a:1\"; it has: 127.0.0.1:",
        ),
        (&path, "{\"state\": \"stop\"}", 400, "write {\"state\": \"drain\"}"),
        (&path, "", 400, "write {\"state\": \"drain\"}"),
        (&path, "{\"weight\": 3}", 422, "means nothing to round-robin"),
    ] {
        let (found, answer) = ask(&stage, "POST", path, "", body);
        assert!(found == status && answer["why"].as_str().is_some_and(|said| said.contains(why)), "{found} {answer}");
    }
    let (status, answer) = ask(&stage, "POST", &path, "", &format!("{{\"by\": \"{}\"}}", "x".repeat(5000)));
    assert_eq!((status, answer), (413, json!("at most 4096 bytes\n")));
    for (method, path) in [("DELETE", &*path), ("POST", "/upstreams/web"), ("PUT", "/upstreams")] {
        assert_eq!(ask(&stage, method, path, "", "").0, 405, "{method} {path}");
    }
    // A page of another origin, in the operator's browser.
    for fields in ["Origin: http://evil.example\r\n", "Origin: null\r\n"] {
        assert_eq!(ask(&stage, "POST", &path, fields, "{\"state\": \"down\"}").0, 403, "{fields}");
    }
    let (status, all) = ask(&stage, "GET", "/upstreams", "", "");
    assert_eq!((status, &all["upstreams"][0]["servers"][0]["changed"]), (200, &Value::Null), "{all}");
    assert_eq!(ask(&stage, "GET", "/upstreams/none", "", "").0, 404);
    assert_eq!(ask(&stage, "GET", &path, "", "").1["servers"][0]["name"], one.name());
    assert_eq!(shares(&stage, &[&one, &two]), [6, 6]);
}
