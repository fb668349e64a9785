//! Flags that do not go together, and the first words.

use crate::{
    guarded,
    support::process::{PATIENCE, start_listening},
};
use assert_cmd::{Command, assert::Assert};
use predicates::str::contains;

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
}

#[test]
fn flags_of_a_reverse_proxy_are_refused() {
    run(&["--listen", "127.0.0.1:0", "--backend", "127.0.0.1:1"])
        .code(2)
        .stderr(contains("its clients name the server"));
    run(&["--allow", "10.0.0.0/33"]).code(2).stderr(contains("is not a network"));
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
