//! All programs have this in common on their command lines: help, version, exit codes, and how a wrong number is answered.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

use socket_patterns::cli::EXIT_CODES;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

const PROGRAMS: [&str; 23] = [
    env!("CARGO_BIN_EXE_milestone1"),
    env!("CARGO_BIN_EXE_milestone2"),
    env!("CARGO_BIN_EXE_milestone3"),
    env!("CARGO_BIN_EXE_milestone4"),
    env!("CARGO_BIN_EXE_milestone5"),
    env!("CARGO_BIN_EXE_proxy"),
    env!("CARGO_BIN_EXE_forward-proxy"),
    env!("CARGO_BIN_EXE_origin"),
    env!("CARGO_BIN_EXE_iterative"),
    env!("CARGO_BIN_EXE_fork"),
    env!("CARGO_BIN_EXE_thread-per-client"),
    env!("CARGO_BIN_EXE_thread-pool"),
    env!("CARGO_BIN_EXE_event-driven"),
    env!("CARGO_BIN_EXE_hybrid"),
    env!("CARGO_BIN_EXE_io-uring"),
    env!("CARGO_BIN_EXE_load"),
    env!("CARGO_BIN_EXE_client"),
    env!("CARGO_BIN_EXE_gateway"),
    env!("CARGO_BIN_EXE_file-server"),
    env!("CARGO_BIN_EXE_multi"),
    env!("CARGO_BIN_EXE_chat"),
    env!("CARGO_BIN_EXE_broker"),
    env!("CARGO_BIN_EXE_store"),
];

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The arguments of a program and of its subcommands: so many words before the flags.
fn commands() -> Vec<(&'static str, Vec<&'static str>)> {
    let all = PROGRAMS.iter().map(|program| (*program, vec![]));
    all.chain([(env!("CARGO_BIN_EXE_load"), vec!["compare"])]).collect()
}

/// The flags that take a value, with what stands for it in the help.
fn flags(help: &str) -> Vec<(String, String)> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let flag = |line: &str| {
        let (before, after) = line.split_once(" <")?;
        let name = before.split_whitespace().last()?;
        Some((name.to_owned(), after.split('>').next()?.to_owned()))
    };
    lines.filter_map(flag).collect()
}

#[test]
fn all_programs_are_here() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("[[bin]]").count(), PROGRAMS.len());
}

#[test]
fn every_program_tells_its_version_and_its_exit_codes() {
    for (program, words) in commands() {
        let help = run(program, &[&words[..], &["--help"]].concat());
        let said = text(&help.stdout);
        assert!(help.status.success() && said.trim_end().ends_with(EXIT_CODES), "{program}: {said}");
        let name = Path::new(program).file_stem().unwrap().to_str().unwrap();
        let version = run(program, &["--version"]);
        assert_eq!(text(&version.stdout), format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
        assert_eq!(version.status.code(), Some(0));
    }
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(readme.contains(&format!("```text\n{EXIT_CODES}\n```")), "the README has the same table");
}

#[test]
fn every_number_is_refused_in_the_same_words() {
    let mut tried = 0;
    for (program, words) in commands() {
        let help = text(&run(program, &[&words[..], &["--help"]].concat()).stdout);
        for (flag, kind) in flags(&help) {
            let (word, negative) = match kind.as_str() {
                "N" | "PERCENT" | "NUMBERS" | "PID" => ("not a whole number", "must be at least "),
                "X" => ("not a number", "must be at least "),
                "TIME" => ("not a duration: write 30s or 250ms", "must not be negative: write 30s or 250ms"),
                "SIZE" => ("not a size: write 512, 16k, 1m or 2g", "must not be negative: write 512, 16k, 1m or 2g"),
                _ => continue,
            };
            let endless = match kind.as_str() {
                "TIME" => "write 30s or 250ms",
                "SIZE" => "too large",
                _ => "must be at most ",
            };
            for (value, expected) in [("many", word), ("-1", negative), ("99999999999999999999999", endless)] {
                let refused = run(program, &[&words[..], &[&flag, value]].concat());
                let said = text(&refused.stderr);
                assert_eq!(refused.status.code(), Some(2), "{program} {flag} {value}: {said}");
                let first = said.lines().next().unwrap_or_default();
                assert!(first.contains(&format!("'{value}' for '{flag} <")) || first.contains(&flag), "{said}");
                assert!(first.contains(expected), "{program} {flag} {value}: {said}");
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "only {tried} values were tried: does the help look different?");
}

#[test]
fn threads_that_cannot_be_had_are_refused_before_one_is_started() {
    for (program, flag, most) in [
        (env!("CARGO_BIN_EXE_thread-pool"), "--workers", 10_000),
        (env!("CARGO_BIN_EXE_hybrid"), "--cpu-threads", 10_000),
        (env!("CARGO_BIN_EXE_hybrid"), "--workers", 1024),
        (env!("CARGO_BIN_EXE_milestone4"), "--workers", 1024),
        (env!("CARGO_BIN_EXE_client"), "--pool", 10_000),
    ] {
        let refused = run(program, &[flag, &(most + 1).to_string()]);
        let expected = format!("must be at most {most}\n");
        assert!(text(&refused.stderr).contains(&expected), "{}", text(&refused.stderr));
    }
}

#[test]
fn exit_codes_mean_the_same_everywhere() {
    // A port that is taken, because another socket listens on it; and one without a listener.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let nowhere = format!("http://{free}/");
    let cases: &[(&str, &[&str], i32)] = &[
        (env!("CARGO_BIN_EXE_load"), &[&nowhere], 1),
        (env!("CARGO_BIN_EXE_load"), &["http://nobody.invalid/"], 1),
        (env!("CARGO_BIN_EXE_load"), &["--nonsense"], 2),
        (env!("CARGO_BIN_EXE_client"), &["--connect", &free], 1),
        (env!("CARGO_BIN_EXE_client"), &["--connect", "nobody.invalid:1"], 1),
        (env!("CARGO_BIN_EXE_client"), &["--connect", "nobody"], 2),
        (env!("CARGO_BIN_EXE_milestone1"), &["--backend", "nobody.invalid:1", "--listen", "127.0.0.1:0"], 1),
        (env!("CARGO_BIN_EXE_milestone1"), &["--backend", "nobody"], 2),
        (env!("CARGO_BIN_EXE_milestone4"), &["--listen", &taken], 1),
        (env!("CARGO_BIN_EXE_event-driven"), &["--listen", &taken], 1),
        (env!("CARGO_BIN_EXE_thread-pool"), &["--listen", &taken], 1),
        (env!("CARGO_BIN_EXE_hybrid"), &["--listen", &taken], 1),
        (env!("CARGO_BIN_EXE_fork"), &["--listen", "nonsense"], 2),
    ];
    for (program, args, code) in cases {
        let ended = run(program, args);
        assert_eq!(ended.status.code(), Some(*code), "{program} {args:?}: {}", text(&ended.stderr));
        let said = text(&ended.stderr);
        assert!(said.lines().any(|line| line.starts_with("error: ")), "{program} {args:?}: {said}");
        assert!(!said.contains("panicked"), "{program} {args:?}: {said}");
    }
    // A server that does not answer: two programs that ask have the same code for it.
    let mut silent = Command::new(env!("CARGO_BIN_EXE_iterative"));
    silent.args(["--listen", "127.0.0.1:0", "--service", "command", "--log-level", "off"]);
    let mut server = silent.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let ready = BufReader::new(server.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let address = ready.strip_prefix("READY ").unwrap();
    let load = run(
        env!("CARGO_BIN_EXE_load"),
        &[&format!("command://{address}"), "--line", "DELAY 60000 x", "-d200ms", "-c1"],
    );
    assert_eq!(load.status.code(), Some(3), "{}", text(&load.stderr));
    let script =
        format!("echo DELAY 60000 x | '{}' --deadline 200ms --connect {address}", env!("CARGO_BIN_EXE_client"));
    let client = run("/bin/sh", &["-c", &script]);
    assert_eq!(client.status.code(), Some(3), "{}", text(&client.stderr));
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn flags_that_contradict_each_other_or_mean_nothing_are_refused() {
    let (one, two) = (env!("CARGO_BIN_EXE_milestone1"), env!("CARGO_BIN_EXE_milestone2"));
    let (three, four) = (env!("CARGO_BIN_EXE_milestone3"), env!("CARGO_BIN_EXE_milestone4"));
    let client = env!("CARGO_BIN_EXE_client");
    let cases: &[(&str, &str, &str)] = &[
        (
            two,
            "--backend 127.0.0.1:9 --backend 127.0.0.1:9",
            "is given twice: for a double share, write 127.0.0.1:9,weight=2",
        ),
        (two, "--backend localhost:9 --backend LOCALHOST:9", "is given twice"),
        (one, "--backend 127.0.0.1:9,weight=2", "milestone2 balances over several"),
        (one, "--backend 127.0.0.1:9 --backend 127.0.0.1:8", "milestone2 balances over several"),
        (two, "--no-health --health-path /", "cannot be used with"),
        (two, "--health-status 200", "--health-path"),
        (four, "--cache-size 1m --cache-max-object 600k", "at most half of --cache-size"),
        (four, "--no-cache-status --cache-status-key", "cannot be used with"),
        (client, "--heartbeat 1s --no-heartbeat", "cannot be used with"),
        (client, "--pool-idle-timeout 1s", "--pool"),
        (client, "--breaker-open 1s", "--breaker"),
        // Flags that another one's value makes pointless, one of each group of flags.
        (
            one,
            "--drain-timeout 0s --drain-grace 1s",
            "--drain-timeout 0s ends everything at once: leave one of them out",
        ),
        (two, "--retries 0 --retry-backoff 1s", "--retries 0 sends nothing again"),
        (two, "--breaker-failures 0 --breaker-open 1s", "--breaker-failures 0 turns the breaker off"),
        (
            two,
            "--backend 127.0.0.1:9 --slow-start 5s",
            "add --algorithm weighted-round-robin, or leave out --slow-start",
        ),
        (two, "--backend 127.0.0.1:9,weight=2 --algorithm round-robin", "use --algorithm weighted-round-robin"),
        (three, "--pool-max 0 --pool-lifetime 1s", "--pool-max 0 turns the pool off"),
        (four, "--cache-size 0 --cache-wait 1s", "--cache-size 0 turns the cache off"),
        (client, "--reconnects 0 --wait", "--reconnects 0 connects once and never again"),
        (env!("CARGO_BIN_EXE_thread-pool"), "--queue 0 --queue-timeout 1s", "--queue 0 lets no client wait"),
        (env!("CARGO_BIN_EXE_hybrid"), "--cpu-queue 0 --queue-timeout 1s", "--cpu-queue 0 lets no request wait"),
        (one, "--backend 3000", "the host is missing, as in localhost:3000"),
        (one, "--backend [::1]", "the port is missing, as in [::1]:3000"),
        (one, "--backend unix:/x", "not over Unix sockets"),
        (one, "--backend h:3000/path", "write h:3000"),
    ];
    for (program, args, expected) in cases {
        let ended = run(program, &args.split(' ').collect::<Vec<_>>());
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{program} {args}: {said}");
        assert!(said.contains(expected), "{program} {args}: {said}");
    }
}
