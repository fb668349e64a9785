//! Programs that others have written: redis-cli, redis-benchmark, redis-py.

use super::{
    drivers,
    resp::{Client, Value},
    store,
};
use crate::support::{process::refusal, redis::is_installed};
use std::{
    fs,
    process::{Command, Stdio},
};

/// The output of a program that has to succeed.
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {said}{complained}");
    said.into_owned()
}

#[test]
fn redis_cli_works() {
    if !is_installed("redis-cli") {
        return;
    }
    for driver in drivers() {
        let store = store(&driver);
        let port = store.address().port().to_string();
        let cli = |words: &str| run("redis-cli", &[&["-p", &port], &words.split(' ').collect::<Vec<_>>()[..]].concat());
        assert_eq!(cli("set greeting hello"), "OK\n");
        assert_eq!(cli("get greeting"), "hello\n");
        assert_eq!(cli("-3 hset h a 1 b 2"), "2\n");
        assert_eq!(cli("-3 hgetall h"), "a 1\nb 2\n");
        assert_eq!(cli("eval return 0"), "ERR unknown command 'eval', with args beginning with: 'return' '0' \n\n");
        assert!(cli("info").contains("redis_version:7."));
        assert!(cli("--scan").lines().count() == 2);
        assert!(cli("--bigkeys").contains("Biggest"));
        assert!(cli("command docs get").contains("summary"));
    }
}

#[test]
fn redis_benchmark_works() {
    if !is_installed("redis-benchmark") {
        return;
    }
    for driver in drivers() {
        let store = store(&driver);
        let port = store.address().port().to_string();
        let said = run("redis-benchmark", &["-p", &port, "-n", "1000", "-c", "10", "-P", "4", "-q"]);
        assert!(said.contains("MSET (10 keys)") && !said.to_lowercase().contains("error"), "{said}");
    }
}

const PYTHON: &str = r#"
import sys, threading
sys.path.insert(0, "/usr/lib/python3/dist-packages")
import redis
r = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
assert r.ping() and r.set("k", "v", ex=100) and r.get("k") == "v" and 98 < r.ttl("k") <= 100
with r.pipeline() as p:
    p.incr("n"); p.incr("n"); p.lpush("l", 1, 2, 3); p.lrange("l", 0, -1)
    assert p.execute() == [1, 2, 3, ["3", "2", "1"]]
assert r.transaction(lambda p: (p.multi(), p.incr("n")), "n") == [3]
r.zadd("z", {"a": 1, "b": 2.5})
assert r.zrange("z", 0, -1, withscores=True) == [("a", 1.0), ("b", 2.5)]
r.hset("h", mapping={"x": 1, "y": 2})
assert r.hgetall("h") == {"x": "1", "y": "2"}
assert sorted(r.scan_iter(count=2)) == ["h", "k", "l", "n", "z"]
p = r.pubsub(); p.subscribe("c"); assert p.get_message(timeout=5)["type"] == "subscribe"
r.publish("c", "hello"); assert p.get_message(timeout=5)["data"] == "hello"
threading.Timer(0.05, lambda: redis.Redis(port=int(sys.argv[1])).rpush("queue", "job")).start()
assert r.blpop("queue", timeout=10) == ("queue", "job")
with r.pipeline() as p:
    p.set("large", "x" * 1000000)
    for _ in range(50): p.get("large")
    assert len(p.execute()) == 51
assert r.info()["redis_mode"] == "standalone" and r.config_get("maxmemory") == {"maxmemory": "0"}
try: r.lpush("k", 1)
except redis.ResponseError as e: assert "WRONGTYPE" in str(e)
else: raise SystemExit("no error")
print("done")
"#;

#[test]
fn redis_py_works() {
    let python = "/usr/bin/python3";
    let has_redis = Command::new(python)
        .args(["-c", "import sys; sys.path.insert(0, '/usr/lib/python3/dist-packages'); import redis"])
        .stderr(Stdio::null())
        .status();
    if !has_redis.is_ok_and(|status| status.success()) {
        assert!(!super::support::process::programs_are_required(), "python3-redis is not installed");
        return;
    }
    let store = store(&[]);
    assert_eq!(run(python, &["-c", PYTHON, &store.address().port().to_string()]), "done\n");
}

#[test]
fn lines_are_understood_and_passwords_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "correct horse\n").unwrap();
    let store = store(&["--password-file", file.to_str().unwrap()]);
    let mut client = Client::tcp(store.address());
    client.send_raw(b"PING\r\nAUTH wrong\r\nAUTH \"correct horse\"\r\nset a 'b c'\r\n\r\nGET a\n");
    let denied = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(client.read(), Value::Error("NOAUTH Authentication required.".to_owned()));
    assert_eq!(client.read(), Value::Error(denied.to_owned()));
    assert_eq!([client.read(), client.read()], [Value::Simple("OK".to_owned()), Value::Simple("OK".to_owned())]);
    assert_eq!(client.read(), Value::Bulk("b c".to_owned()));
    let mut page = Client::tcp(store.address());
    page.send_raw(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nFLUSHALL\r\n");
    assert_eq!(page.try_read(), None, "a request of a web page is not heard");
    let (code, said) = refusal(env!("CARGO_BIN_EXE_store"), &["--listen", "0.0.0.0:0"]);
    assert!(code == Some(2) && said.contains("can be reached by other machines"), "{said}");
}

#[test]
fn a_stop_ends_all_and_tells_what_was_done() {
    let mut store = store(&[]);
    let mut client = Client::tcp(store.address());
    client.say("SET a 1");
    client.send(&["BLPOP", "nothing", "0"]);
    store.signal("USR1");
    store.wait_for_stderr("1 clients, 1 keys in ");
    store.signal("TERM");
    assert_eq!(client.try_read(), None);
    assert_eq!(store.wait().code(), Some(0));
}
