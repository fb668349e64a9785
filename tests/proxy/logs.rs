//! The log: its forms hold whatever clients send, its places may be slow, full or renamed, and no request waits for it.

use crate::{
    PLAIN, Stage,
    support::{
        process::{PATIENCE, wait_until},
        raw::Conn,
    },
};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::UdpSocket,
    os::unix::{fs::OpenOptionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A site that answers by itself, an admin listener, and a log as `keys` say.
fn config(keys: &str) -> String {
    format!(
        "{PLAIN}[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n[log]\n{keys}\n[[site]]\nname = \"a\\\"b\"\ndefault = true\n\
         respond = {{ status = 200, body = \"x\" }}\n"
    )
}

/// Waits until the file has so many lines, and gives them.
fn lines_of(path: &Path, lines: usize) -> Vec<String> {
    let read = || fs::read_to_string(path).unwrap_or_default();
    wait_until(&format!("{lines} lines in {}", path.display()), || read().matches('\n').count() >= lines);
    read().lines().map(str::to_owned).collect()
}

/// Heads that would break a log that trusts them, each with the status of its answer.
const HOSTILE: [(&[u8], u16); 8] = [
    (b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\" 200 0 \"-\r\nReferer: \"}\\\",\"status\":1\r\n\r\n", 200),
    (b"GET /\"},{\"status\":1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /%0a%1b?a='b' HTTP/1.1\r\nHost: a\r\nUser-Agent: \xc3\xa9\xff\xc2\x9b\t.\r\n\r\n", 200),
    (b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b[31m\r\n\r\n", 400),
    (b"GET /\x1b[2J\x00\" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"\x16\x03\x01\"} \\\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n", 400),
    (b"GET /\xe2\x80\xa8\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
];

/// Sends each of them, and gives the lines that are written about them.
fn hostile(format: &str) -> Vec<String> {
    let stage = Stage::new(&config(&format!("access-to = \"./a.log\"\naccess-format = \"{format}\"")), 1);
    for (bytes, status) in HOSTILE {
        let mut conn = Conn::open(stage.proxy.address());
        conn.send(bytes);
        conn.finish();
        let answer = conn.response("GET").status();
        assert_eq!(answer, status, "{}", bytes.escape_ascii());
        conn.read_to_end();
    }
    let lines = lines_of(&stage.folder.path().join("a.log"), HOSTILE.len());
    assert!(!stage.proxy.stderr().contains("status="), "lines about requests have a place of their own");
    lines
}

#[test]
fn a_line_of_json_is_an_object_whatever_the_client_sends() {
    let lines = hostile("json");
    assert_eq!(lines.len(), HOSTILE.len());
    for (line, (bytes, status)) in lines.iter().zip(HOSTILE) {
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{2028}'), "{line:?}");
        let told: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(told["status"], status, "{}", bytes.escape_ascii());
        assert!(told["time"].as_str().unwrap().ends_with('Z') && told["duration_seconds"].as_f64().unwrap() >= 0.0);
        assert_eq!(told["client"], "127.0.0.1");
        if status == 200 {
            assert_eq!(
                (&told["method"], &told["version"], &told["site"]),
                (&"GET".into(), &"HTTP/1.1".into(), &"a\"b".into())
            );
            assert_eq!(
                (&told["sent_bytes"], &told["received_bytes"], &told["host"]),
                (&1.into(), &0.into(), &"a".into())
            );
            assert!(told.get("upstream").is_none() && told.get("backend").is_none(), "{line}");
        } else {
            assert!(told["failure"].is_string() && told["close"].is_string(), "{line}");
        }
    }
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&first["user_agent"], &first["referer"]), (&"x\" 200 0 \"-".into(), &"\"}\\\",\"status\":1".into()));
    assert_eq!(serde_json::from_str::<Value>(&lines[1]).unwrap()["request"], r#"GET /\"},{\"status\":1 HTTP/1.1"#);
    let third: Value = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!((&third["target"], &third["user_agent"]), (&"/%0a%1b?a='b'".into(), &"é\u{fffd}\u{9b}\t.".into()));
}

/// The fields of a line of the Common or Combined format: quoted strings are one field.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                fields.push(std::mem::take(&mut field));
                continue;
            }
            _ => {}
        }
        field.push(c);
    }
    assert!(!quoted, "{line}");
    fields.push(field);
    fields
}

#[test]
fn a_line_of_the_common_format_has_its_fields_whatever_the_client_sends() {
    for (format, count) in [("common", 8), ("combined", 10)] {
        let lines = hostile(format);
        assert_eq!(lines.len(), HOSTILE.len());
        for (line, (bytes, status)) in lines.iter().zip(HOSTILE) {
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
            let fields = fields(line);
            assert_eq!(fields.len(), count, "{line}");
            assert_eq!(
                (fields[0].as_str(), fields[6].as_str()),
                ("127.0.0.1", &*status.to_string()),
                "{}",
                bytes.escape_ascii()
            );
            assert!(fields[3].starts_with('[') && fields[4] == "+0000]", "{line}");
            assert!(fields[5].starts_with('"') && fields[5].ends_with('"'), "{line}");
        }
        assert_eq!(fields(&lines[1])[5], r#""GET /\"},{\"status\":1 HTTP/1.1""#);
        if format == "combined" {
            assert_eq!(fields(&lines[0])[9], r#""x\" 200 0 \"-""#);
            assert_eq!(fields(&lines[2])[9], r#""\xc3\xa9\xff\xc2\x9b\x09.""#);
        }
    }
}

#[test]
fn text_in_a_file_and_events_of_json_are_told_apart() {
    let stage = Stage::new(&config("format = \"json\"\naccess-format = \"text\"\naccess-to = \"./a.log\""), 1);
    assert_eq!(stage.body("a", "/page"), "x");
    let lines = lines_of(&stage.folder.path().join("a.log"), 1);
    assert!(lines[0].contains("  INFO client=127.0.0.1 ") && lines[0].contains("\"GET /page HTTP/1.1\""), "{lines:?}");
    stage.proxy.wait_for_stderr("\"message\":");
    // A message for people at the start is none of the log.
    for line in stage.proxy.stderr().lines().filter(|line| line.starts_with('{')) {
        let told: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(told["level"].is_string() && told["time"].is_string() && told.get("status").is_none(), "{line}");
    }
}

/// Sends so many requests, whose lines are long: a queue is full of fewer. None may wait.
fn ask_at_length(stage: &Stage, times: usize) {
    let target = format!("/{}", "x".repeat(7000));
    let mut conn = Conn::open(stage.proxy.address());
    for _ in 0..times {
        assert_eq!(conn.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).status(), 200);
    }
}

/// More than there is room for, with lines of 7 KB.
const TOO_MANY: usize = 1500;

fn lost(stage: &Stage) -> u64 {
    stage.proxy.stats()["log"]["lines_lost"].as_u64().unwrap()
}

fn fifo() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.fifo");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    (folder, path)
}

#[test]
fn a_fifo_that_is_never_read_delays_no_request_and_what_is_lost_is_counted_and_told() {
    let (_folder, path) = fifo();
    // A reader that does not read.
    let mut reader = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path).unwrap();
    let stage = Stage::new(&config(&format!("access-to = \"{}\"\naccess-format = \"json\"", path.display())), 1);
    ask_at_length(&stage, TOO_MANY);
    wait_until("lines to be lost", || lost(&stage) > 0);
    let (mut read, mut buffer, mut lines) = (Vec::new(), vec![0; 1 << 20], 0);
    let told = "log lines were dropped: ";
    wait_until("all to be read", || {
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            lines += memchr::memchr_iter(b'\n', &buffer[..n]).count() as u64;
            read.extend_from_slice(&buffer[..n]);
        }
        stage.proxy.stderr().contains(told) && lines + lost(&stage) >= TOO_MANY as u64
    });
    // No line was torn, and none is missing in the count.
    let lines: Vec<Value> = read
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len() as u64 + lost(&stage), TOO_MANY as u64);
    assert_eq!(stage.proxy.terminate().code(), Some(0));
}

#[test]
fn a_reader_that_stands_still_delays_neither_requests_nor_the_end() {
    let (folder, path) = fifo();
    let copy = folder.path().join("copy");
    // A writer, too, so that no end comes before the proxy writes.
    let mut held = File::options().read(true).write(true).open(&path).unwrap();
    let to = File::create(&copy).unwrap();
    let mut reader = Command::new("cat").arg(&path).stdout(to).stdin(Stdio::null()).spawn().unwrap();
    held.write_all(b"127.0.0.1 - - [\n").unwrap();
    lines_of(&copy, 1);
    let signal = |name: &str| {
        let status = Command::new("kill").arg(format!("-{name}")).arg(reader.id().to_string()).status().unwrap();
        assert!(status.success());
    };
    signal("STOP");
    let stage = Stage::new(&config(&format!("access-to = \"{}\"\naccess-format = \"common\"", path.display())), 1);
    ask_at_length(&stage, TOO_MANY);
    assert_eq!(stage.proxy.terminate().code(), Some(0));
    drop(held);
    signal("CONT");
    reader.wait().unwrap();
    let copied = fs::read_to_string(&copy).unwrap();
    assert!(copied.lines().count() > 1);
    assert!(copied.lines().all(|line| line.starts_with("127.0.0.1 - - [")));
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let stage = Stage::new(&config("access-to = \"/dev/full\"\naccess-format = \"combined\""), 1);
    for _ in 0..50 {
        assert_eq!(stage.body("a", "/"), "x");
    }
    stage.proxy.wait_for_stderr("log lines are being lost: /dev/full: No space left on device");
    wait_until("50 lines to be counted", || lost(&stage) == 50);
    assert_eq!(stage.proxy.stderr().matches("are being lost").count(), 1, "it is said once");
    assert_eq!(stage.proxy.terminate().code(), Some(0));
}

#[test]
fn a_file_that_was_renamed_is_opened_again_and_no_line_is_lost() {
    const ROUNDS: usize = 5;
    const EACH: usize = 200;
    let stage = Stage::new(&config("access-to = \"./a.log\"\naccess-format = \"json\""), 1);
    let path = |name: &str| stage.folder.path().join(name);
    let mut conn = Conn::open(stage.proxy.address());
    for round in 0..ROUNDS {
        for number in 0..EACH {
            conn.ask(&format!("GET /{round}/{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
        }
        fs::rename(path("a.log"), path(&format!("a.log.{round}"))).unwrap();
        stage.proxy.signal("USR1");
        wait_until("the file to be there again", || path("a.log").exists());
    }
    stage.proxy.wait_for_stderr("1 of them open, 1,000 requests, 1,000 answered");
    let log = |round| fs::read_to_string(path(&format!("a.log.{round}"))).unwrap();
    let all = || (0..ROUNDS).map(log).chain([fs::read_to_string(path("a.log")).unwrap()]).collect::<String>();
    wait_until("all lines", || all().matches('\n').count() == ROUNDS * EACH);
    for (at, line) in all().lines().enumerate() {
        let told: Value = serde_json::from_str(line).unwrap();
        assert_eq!(told["target"], format!("/{}/{}", at / EACH, at % EACH));
    }
    // Its folder is gone: all goes on with the old file, and that is said.
    fs::remove_dir_all(stage.folder.path()).unwrap();
    stage.proxy.signal("USR1");
    stage.proxy.wait_for_stderr("a.log again: No such file or directory");
    assert_eq!(conn.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
    assert_eq!(lost(&stage), 0);
}

/// The parts of a line of RFC 5424: priority, time, program, process, text.
fn syslog_parts(line: &str) -> (&str, &str, &str, &str, &str) {
    let parts: Vec<&str> = line.splitn(8, ' ').collect();
    assert_eq!((parts.len(), &parts[5..7]), (8, &["-", "-"][..]), "{line}");
    (parts[0], parts[1], parts[3], parts[4], parts[7])
}

#[test]
fn the_system_log_hears_each_line_and_may_be_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let collector = UnixDatagram::bind(&path).unwrap();
    collector.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = |collector: &UnixDatagram| {
        let mut buffer = vec![0; 65536];
        let n = collector.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    };
    let stage = Stage::new(&config(&format!("to = \"syslog:{}\"", path.display())), 1);
    let process = stage.proxy.id().to_string();
    let mut heard = hear(&collector);
    while !heard.contains("client=") {
        assert_eq!(syslog_parts(&heard).2, "proxy");
        assert_eq!(stage.body("a", "/page"), "x");
        heard = hear(&collector);
    }
    let (priority, time, program, id, text) = syslog_parts(&heard);
    assert_eq!((priority, program, id), ("<30>1", "proxy", process.as_str()), "{heard}");
    assert!(time.ends_with('Z') && text.starts_with("client=127.0.0.1 ") && text.contains("status=200"), "{heard}");
    drop(collector);
    fs::remove_file(&path).unwrap();
    assert_eq!(stage.body("a", "/lost"), "x");
    wait_until("the line to be lost", || {
        let fifty = stage.proxy.stderr();
        fifty.contains("log lines are being lost")
    });
    let collector = UnixDatagram::bind(&path).unwrap();
    collector.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(stage.body("a", "/again"), "x");
    // The first that was lost may have been a line before that of `/lost`.
    let (mut again, mut told) = (false, false);
    while !(again && told) {
        let heard = hear(&collector);
        again |= heard.contains("/again");
        told |= heard.contains("dropped: syslog:");
    }
}

#[test]
fn the_log_of_another_machine_hears_over_udp() {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_read_timeout(Some(PATIENCE)).unwrap();
    let place = collector.local_addr().unwrap();
    let stage = Stage::new(&config(&format!("access-to = \"syslog:{place}\"\naccess-format = \"json\"")), 1);
    assert_eq!(stage.body("a", "/page"), "x");
    let mut buffer = vec![0; 65536];
    let n = collector.recv(&mut buffer).unwrap();
    let heard = String::from_utf8(buffer[..n].to_vec()).unwrap();
    let told: Value = serde_json::from_str(syslog_parts(&heard).4).unwrap();
    assert_eq!(told["target"], "/page");
}

#[test]
fn a_place_that_cannot_be_opened_is_a_mistake_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (fifos, fifo) = fifo();
    let missing = folder.path().join("none/a.log");
    for (keys, line, expected) in [
        (format!("access-to = \"{}\"", missing.display()), 7, "`log.access-to` "),
        ("to = \"./proxy.toml/x\"".to_owned(), 7, "`log.to` "),
        (format!("access-to = \"{}\"", fifo.display()), 7, "No such device or address"),
        ("access-to = \"syslog:/dev/null/none\"".to_owned(), 7, "`log.access-to` syslog:/dev/null/none: "),
    ] {
        let path = folder.path().join("proxy.toml");
        fs::write(&path, config(&keys)).unwrap();
        let output = Command::new(crate::PROXY)
            .args(["--config", path.to_str().unwrap()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let wanted = format!("proxy.toml:{line}:");
        assert!(said.contains(&wanted) && said.contains(expected) && said.lines().count() == 1, "{keys}: {said}");
    }
    drop(fifos);
}

#[test]
fn the_level_of_the_log_counts_for_all_forms() {
    let stage = Stage::new(
        &format!("log-level = \"warn\"\n{}", config("access-to = \"./a.log\"\naccess-format = \"json\"")),
        1,
    );
    assert_eq!(stage.body("a", "/"), "x");
    assert_eq!(fs::read_to_string(stage.folder.path().join("a.log")).unwrap(), "");
    let off =
        Stage::new(&format!("access-log = false\n{}", config("access-to = \"./a.log\"\naccess-format = \"json\"")), 1);
    assert_eq!(off.body("a", "/"), "x");
    assert_eq!(fs::read_to_string(off.folder.path().join("a.log")).unwrap(), "");
}
