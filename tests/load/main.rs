//! The load generator as its users see it: what it counts, what it times, what it writes.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod compare;
mod counts;
mod http2;
mod nginx;
mod pages;
mod stall;
mod tls;

use assert_cmd::{Command, assert::Assert};
use serde_json::Value;
use std::process::{self, Child, Stdio};
use support::process::PATIENCE;

/// Runs it to its end.
fn run(args: &[&str]) -> Assert {
    Command::new(env!("CARGO_BIN_EXE_load")).args(args).timeout(PATIENCE * 2).assert()
}

/// A run of that long shows something for each client as a rule: connections are there before it begins.
const BRIEF: &str = "300ms";
/// On a machine that is too busy for that.
const LONG: &str = "3s";

/// The result of a run as JSON. One that was too brief for its clients is made again, and longer.
fn load(url: &str, args: &[&str]) -> Value {
    let report = load_once(url, args);
    let count = |path: &str| number(&report, path);
    let ended = count("/requests/answered") + count("/requests/failed");
    if ended >= count("/load/clients") || !args.contains(&BRIEF) {
        return report;
    }
    load_once(url, &args.iter().map(|arg| if *arg == BRIEF { LONG } else { arg }).collect::<Vec<_>>())
}

/// As [`load`], whatever came of it. In every case the counts add up, and the exit code says whether anything was served.
fn load_once(url: &str, args: &[&str]) -> Value {
    let assert = run(&[&[url, "--json", "-"], args].concat());
    let report: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    check_sums(&report);
    assert.code(if report["requests"]["answered"].as_u64() > Some(0) { 0 } else { 3 });
    report
}

fn check_sums(report: &Value) {
    let count = |name: &str| report["requests"][name].as_u64().unwrap();
    assert_eq!(count("started"), count("answered") + count("failed") + count("unfinished"), "{report:#}");
    let errors = report["errors"].as_object().unwrap().values().map(|count| count.as_u64().unwrap());
    assert_eq!(count("failed"), errors.sum::<u64>(), "{report:#}");
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {report:#}"))
}

/// A run in the background.
struct Background(Child);

fn background(args: &[&str]) -> Background {
    let mut command = process::Command::new(env!("CARGO_BIN_EXE_load"));
    Background(command.args(args).stdout(Stdio::piped()).spawn().unwrap())
}

impl Background {
    fn signal(&self, name: &str) {
        let status = process::Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// Waits for its end; what it wrote to stdout.
    fn output(self) -> String {
        self.output_and_code(0)
    }

    /// The same of one that ends with this code.
    fn output_and_code(mut self, code: i32) -> String {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.0.stdout.take().unwrap(), &mut text).unwrap();
        assert_eq!(self.0.wait().unwrap().code(), Some(code));
        text
    }

    fn report(self) -> Value {
        let report = serde_json::from_str(&self.output()).unwrap();
        check_sums(&report);
        report
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
