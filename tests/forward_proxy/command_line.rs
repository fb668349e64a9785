//! Flags that do not go together, and the first words.

use crate::{
    guarded,
    support::process::{PATIENCE, start_listening},
    users,
};
use assert_cmd::{Command, assert::Assert};
use predicates::str::contains;
use std::io::Write as _;

fn run(args: &[&str]) -> Assert {
    Command::new(env!("CARGO_BIN_EXE_forward-proxy")).args(args).timeout(PATIENCE).assert()
}

#[test]
fn an_open_proxy_has_to_be_wanted() {
    run(&["--listen", "0.0.0.0:0"]).code(2).stderr(contains("--public"));
    run(&["--listen", "[::]:0"]).code(2).stderr(contains("can be reached by others"));
    let program = env!("CARGO_BIN_EXE_forward-proxy");
    let proxy = start_listening(program, &["--listen", "0.0.0.0:0", "--public"], 1);
    proxy.wait_for_stderr("for requests to any server");
    // It is not open to others than its users.
    let users = users::file();
    let users = users.path().to_str().unwrap();
    let proxy = start_listening(program, &["--listen", "0.0.0.0:0", "--users", users], 1);
    proxy.wait_for_stderr("for requests to any server");
}

#[test]
fn a_file_of_users_that_is_wrong_says_where() {
    run(&["--users", "/no/such/file"]).code(2).stderr(contains("cannot read /no/such/file"));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"alice:secret\n").unwrap();
    run(&["--users", file.path().to_str().unwrap()]).code(2).stderr(contains("line 1: the digest is no SHA-256"));
}

#[test]
fn flags_of_a_reverse_proxy_are_refused() {
    run(&["--listen", "127.0.0.1:0", "--backend", "127.0.0.1:1"])
        .code(2)
        .stderr(contains("its clients name the server"));
    run(&["--allow", "10.0.0.0/33"]).code(2).stderr(contains("is not a network"));
    run(&["--deny", "*.*"]).code(2).stderr(contains("*.example.com"));
    run(&["--connect-port", "0"]).code(2);
    run(&["--http-port", "1024"]).code(2);
    run(&["--origins", "65535"]).code(2);
}

#[test]
fn help_shows_its_own_defaults_and_no_backends() {
    let help = run(&["--help"]).success();
    let help = String::from_utf8_lossy(&help.get_output().stdout).into_owned();
    assert!(!help.contains("--backend "), "{help}");
    for (flag, default) in
        [("--pool-max", "20"), ("--pool-idle-timeout", "30s"), ("--cache-size", "0"), ("--connect-port", "443")]
    {
        let (_, after) = help.split_once(&format!("{flag} <")).unwrap();
        let shown = after.split_once("[default: ").unwrap().1.split(']').next().unwrap();
        assert_eq!(shown, default, "{flag}");
    }
    assert!(help.contains("Example: forward-proxy "), "{help}");
}

#[test]
fn lines_to_try_are_shown() {
    let proxy = guarded(&[]);
    proxy.wait_for_stderr(&format!("curl -x {} -i http://example.com/", proxy.address()));
}
