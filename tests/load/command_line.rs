//! Flags, exit codes, text.

use crate::{
    run,
    support::{
        process::PATIENCE,
        raw::{Backend, refusing_address},
    },
};
use assert_cmd::Command;
use predicates::{prelude::*, str::contains};

#[test]
fn help_shows_defaults_and_examples() {
    let help = run(&["--help"]).code(0);
    ["--clients", "[default: 64]", "--rate", "Examples:", "compare"]
        .into_iter()
        .fold(help, |help, expected| help.stdout(contains(expected)));
    run(&["compare", "--help"]).code(0).stdout(contains("--quick").and(contains("Example")));
}

#[test]
fn wrong_flags_exit_with_2_and_say_so() {
    let url = "http://127.0.0.1:1/";
    let cases: &[(&[&str], &str)] = &[
        (&[], "load compare --quick"),
        (&["--clients", "3"], "no server is named"),
        (&["localhost:8080"], "write http://HOST:PORT/PATH"),
        (
            &["compar"],
            "neither a URL nor a command: write http://HOST:PORT/PATH, https://…, echo://HOST:PORT or command://HOST:PORT, or load compare",
        ),
        (&["compar", "--quick"], "error: \"compar\" is neither a URL nor a command: write http://HOST:PORT/PATH"),
        (&[url, "--insecure"], "--ca, --insecure and --no-resume are for https://"),
        (&["https://127.0.0.1:1/", "--insecure", "--ca", "x"], "cannot be used with"),
        (&["https://127.0.0.1:1/", "--ca", "/nonexistent"], "cannot read /nonexistent"),
        (&["https://127.0.0.1:1/", "--ca", "/dev/null"], "--ca /dev/null: has no certificate in it"),
        (&[url, "--clients", "0"], "--clients"),
        (&[url, "--clients", "1000001"], "--clients"),
        (&[url, "--pipeline", "1001"], "--pipeline"),
        (&[url, "--duration", "10"], "write 30s or 250ms"),
        (&[url, "--duration", "0s"], "longer than zero"),
        (&[url, "--rate", "0"], "--rate"),
        (&[url, "--pipeline", "2", "--no-keep-alive"], "cannot be used with"),
        (&[url, "--streams", "2"], "--http2"),
        (&[url, "--http2", "--streams", "0"], "--streams"),
        (&[url, "--http2", "--streams", "1001"], "--streams"),
        (&[url, "--http2", "--streams", "2", "--no-keep-alive"], "cannot be used with"),
        (&[url, "--http2", "--pipeline", "2"], "cannot be used with"),
        (&[url, "--http2", "--header", "Connection: close"], "Connection is a field of HTTP/1.1 connections"),
        (&["echo://127.0.0.1:1", "--http2"], "--http2 is for http:// and https://"),
        (&[url, "--header", "no colon"], "write Name: value"),
        (&[url, "--header", "a b: c"], "write Name: value"),
        (&[url, "--method", "CONNECT"], "no answer to measure"),
        (&[url, "--line", "x"], "--line is for"),
        (&[url, "--body-file", "/nonexistent"], "cannot read /nonexistent"),
        (&["http://127.0.0.1:1/a b", "-c", "1"], "as %20 for a space"),
        (&[url, "--threads", "0"], "must be at least 1"),
        (&["echo://127.0.0.1:1", "--body", "x"], "a line protocol has --line"),
        (&["echo://127.0.0.1:1", "--line", "quit"], "no answer to measure"),
        (&[url, "--json", "-", "--html", "-"], "only one of them"),
        (&["compare", "--json", "-", "--html", "-"], "only one of them"),
        (&["compare", "--architectures", "magic"], "magic"),
        (&["compare", "--clients", "0"], "--clients"),
        (&[url, "--clients", "3", "--threads", "4"], "--threads 4 would have nothing to do"),
        (
            &["compare", "--quick", "--rounds", "1", "--duration", "1s", "--warm-up", "0s"],
            "--quick means nothing here, because --duration, --warm-up and --rounds are given",
        ),
    ];
    for (args, hint) in cases {
        run(args).code(2).stdout("").stderr(contains(*hint));
    }
}

#[test]
fn an_unreachable_target_exits_with_1_and_one_line() {
    let to = refusing_address();
    for url in [format!("http://{to}/"), format!("echo://{to}")] {
        let line = format!("error: nothing listens on {to}: start the server, or check the port\n");
        run(&[&url]).code(1).stdout("").stderr(line);
    }
    run(&["http://nobody.invalid/"]).code(1).stdout("").stderr(contains("no address for"));
}

#[test]
fn a_lack_of_the_machine_is_said_before_anything_is_measured() {
    let backend = Backend::saying("x");
    let url = format!("http://{}/", backend.name());
    if cfg!(target_os = "linux") {
        // The highest number that there can be is 2^22.
        let args = [&url, "--server-pid", "4194305"];
        run(&args).code(2).stdout("").stderr(contains("there is no process 4194305"));
    }
    let script = "ulimit -n 40; exec \"$0\" \"$@\"";
    let limited = |args: &[&str]| {
        let mut load = Command::new("/bin/sh");
        load.args(["-c", script, env!("CARGO_BIN_EXE_load")]).args(args).timeout(PATIENCE).assert()
    };
    let line =
        "error: 41 open files for 30 clients, and 40 allowed: raise that with `ulimit -n`, or choose fewer --clients\n";
    limited(&[&url, "--clients", "30", "--threads", "1"]).code(1).stdout("").stderr(line);
    limited(&["compare", "--clients", "1,30"]).code(1).stdout("").stderr(line);
    assert!(backend.requests().is_empty());
    let served = limited(&[&url, "--clients", "29", "--threads", "1", "--duration", "1s"]).success();
    served.stdout(contains("29 of 29 served"));
}

#[test]
fn text_says_what_was_done_and_what_became_of_it() {
    let backend = Backend::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let url = format!("http://{}/", backend.name());
    let said = run(&[&url, "--duration", "1s", "--clients", "2", "--rate", "50"]).code(3);
    let said = said.stderr(contains("error: nothing was served: of ").and(contains(" failed: status 4xx")));
    ["2 clients, open loop at 50/s", "failed: status 4xx", "service            –", "2 of 2 clients were never served"]
        .into_iter()
        .fold(said, |said, expected| said.stdout(contains(expected)));
    let backend = Backend::saying("x");
    let url = format!("http://{}/", backend.name());
    let said = run(&[&url, "--duration", "1s", "--clients", "1"]).success();
    said.stdout(contains("closed loop").and(contains("failed").not()).and(contains("1 of 1 served")));
}

#[test]
fn a_result_that_cannot_be_written_exits_with_1() {
    let backend = Backend::saying("x");
    let url = format!("http://{}/", backend.name());
    let args = [&url, "--duration", "1s", "--clients", "1", "--json", "/nonexistent/result.json"];
    run(&args).code(1).stderr(contains("cannot write /nonexistent/result.json"));
    let directory = tempfile::tempdir().unwrap();
    let args = [&args[..4], &["1", "--html", directory.path().to_str().unwrap()]].concat();
    run(&args).code(1).stdout("").stderr(contains("cannot write"));
    run(&["compare", "--quick", "--html", "/nonexistent/page"])
        .code(1)
        .stdout("")
        .stderr(contains("/nonexistent/page"));
    assert!(backend.requests().is_empty(), "that was known before");
    if cfg!(target_os = "linux") {
        // Stands for a full disk: every write to it fails.
        let script = "exec \"$0\" \"$@\" > /dev/full";
        let mut load = Command::new("/bin/sh");
        load.args(["-c", script, env!("CARGO_BIN_EXE_load")]).args(&args[..5]).timeout(PATIENCE);
        load.assert().code(1).stderr(contains("cannot write to stdout"));
    }
}

#[test]
fn a_file_that_is_there_keeps_what_it_has_until_there_is_something_better() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "of yesterday").unwrap();
    let url = format!("http://{}/", refusing_address());
    run(&[&url, "--html", file.path().to_str().unwrap()]).code(1).stdout("");
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "of yesterday");
    let new = file.path().with_extension("new");
    run(&[&url, "--json", new.to_str().unwrap()]).code(1).stdout("");
    assert!(!new.exists());
}
