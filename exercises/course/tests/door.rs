//! The exercises as tests, for those who like it that way: `cargo test -p course e06` runs what `cargo course check e06` runs, and
//! shows its report. An exercise that is not done yet fails here, so these tests are no part of `make check`.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;

/// Runs the checks of `exercise`; fails with their report.
fn check(exercise: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_course")).args(["check", exercise]).output().unwrap();
    let (report, words) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "\n{report}{words}");
}

#[test]
fn e01_lifecycle() {
    check("e01");
}

#[test]
fn e02_backlog() {
    check("e02");
}

#[test]
fn e03_accept() {
    check("e03");
}

#[test]
fn e04_accept_patterns() {
    check("e04");
}

#[test]
fn e05_partial_io() {
    check("e05");
}

#[test]
fn e06_echo_server() {
    check("e06");
}

#[test]
fn e07_process_per_client() {
    check("e07");
}

#[test]
fn e08_thread_per_client() {
    check("e08");
}

#[test]
fn e09_thread_pool() {
    check("e09");
}

#[test]
fn e10_chat() {
    check("e10");
}

#[test]
fn e11_chat_advanced() {
    check("e11");
}

#[test]
fn e12_event_loop() {
    check("e12");
}

#[test]
fn e13_hybrid() {
    check("e13");
}

#[test]
fn e14_dispatcher() {
    check("e14");
}

#[test]
fn e16_command_protocol() {
    check("e16");
}

#[test]
fn e17_command_server() {
    check("e17");
}

#[test]
fn e18_shutdown() {
    check("e18");
}

#[test]
fn e20_incremental_parser() {
    check("e20");
}

#[test]
fn e21_file_server() {
    check("e21");
}

#[test]
fn e22_http11() {
    check("e22");
}

#[test]
fn e23_missing_features() {
    check("e23");
}

#[test]
fn e48_load_tester() {
    check("e48");
}

#[test]
fn c1_review() {
    check("c1");
}

#[test]
fn c2_broken_server() {
    check("c2");
}

#[test]
fn c3_rebind() {
    check("c3");
}

#[test]
fn c4_deadlock() {
    check("c4");
}

#[test]
fn c5_leaks() {
    check("c5");
}

#[test]
fn c6_stall() {
    check("c6");
}
