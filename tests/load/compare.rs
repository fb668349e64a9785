//! The comparison: all of it, on the smallest scale.

use crate::{
    pages::{assert_self_contained, assert_well_formed},
    run,
    support::{process::PATIENCE, raw::Backend},
};
use assert_cmd::Command;
use predicates::str::contains;
use serde_json::Value;
use std::{fs, path::Path, process};
use tempfile::TempDir;

const SMALL: [&str; 7] = ["compare", "--duration", "500ms", "--warm-up", "50ms", "--timeout", "1s"];

#[test]
fn architectures_are_compared_and_what_they_cannot_do_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let [json, html] = ["result.json", "report.html"].map(|name| directory.path().join(name));
    let what =
        ["--architectures", "iterative,fork,event-driven", "--clients", "1,4", "--services", "http", "--rounds", "1"];
    let pictures = directory.path();
    let files =
        ["--json", json.to_str().unwrap(), "--html", html.to_str().unwrap(), "--svg", pictures.to_str().unwrap()];
    let assert = run(&[&SMALL[..], &what, &files].concat()).success();

    let comparison: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let rows = comparison["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3 * 2 * 2);
    for row in rows {
        assert!(row["requests_per_second"]["median"].as_f64() > Some(0.0), "{row:#}");
        let alone = row["architecture"] == "iterative" && row["connections"] == "kept" && row["clients"] == 4;
        let failures = row["failures"].to_string();
        // One client keeps its connection, and with it the whole server.
        assert_eq!(failures.contains("3 of 4 clients were never served"), alone, "{row:#}");
        if cfg!(target_os = "linux") {
            assert!(row["cpu_us_per_request"]["median"].as_f64() > Some(0.0), "{row:#}");
            assert!(row["memory_bytes"]["median"].as_f64() > Some(1e5), "{row:#}");
        }
        if cfg!(target_os = "linux") && row["architecture"] == "fork" && row["connections"] == "kept" {
            assert_eq!(row["processes"].as_u64(), row["clients"].as_u64().map(|clients| clients + 1), "{row:#}");
        }
    }
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    for expected in
        ["http, kept connections, clients: 4", "http, a new connection each", "3 of 4 clients were never served"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let page = fs::read_to_string(html).unwrap();
    assert_self_contained(&page);
    assert_well_formed(&page);
    assert!(page.matches("<svg").count() >= 2 * 5, "{}", page.matches("<svg").count());
    for name in ["http-kept-throughput.svg", "http-new-throughput.svg", "http-new-p99.svg"] {
        let picture = fs::read_to_string(pictures.join(name)).unwrap();
        assert_well_formed(&picture);
        assert!(picture.contains("iterative") && picture.contains("<polyline"), "{name}: {picture}");
    }
}

#[test]
fn brackets_are_explained_only_where_there_are_some() {
    let one = ["--architectures", "event-driven", "--clients", "1", "--services", "http", "--rounds", "1"];
    let said = run(&[&SMALL[..], &one].concat()).success();
    let text = String::from_utf8_lossy(&said.get_output().stdout).into_owned();
    assert!(text.contains("1 round of 0.5 s a cell\n") && !text.contains("bracket"), "{text}");
    let several = ["--architectures", "hybrid", "--clients", "1", "--services", "http", "--rounds", "2"];
    let said = run(&[&SMALL[..], &several].concat()).success();
    said.stdout(contains("medians of 2 rounds of 0.5 s a cell; in brackets the smallest and the largest\n"))
        .stdout(contains(" processes\n"));
}

#[test]
fn pictures_need_a_directory() {
    let line = "error: --svg /nonexistent: no such directory\n";
    run(&[&SMALL[..], &["--svg", "/nonexistent"]].concat()).code(2).stderr(line);
}

/// The load generator and one server in a directory of their own, and beside them programs that say a line and end.
#[cfg(unix)]
fn beside(ending: &[(&str, &str, u8)]) -> TempDir {
    // Beside the programs that were built: a link works only within a file system.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for program in [env!("CARGO_BIN_EXE_load"), env!("CARGO_BIN_EXE_event-driven")] {
        fs::hard_link(program, directory.path().join(Path::new(program).file_name().unwrap())).unwrap();
    }
    for (name, says, code) in ending {
        // Another process writes it: a process forked while this one has the file open for writing has it open, too,
        // and then it cannot be run.
        let script = format!("printf '#!/bin/sh\\necho \"{says}\" >&2; exit {code}' >'{name}'; chmod +x '{name}'");
        assert!(process::Command::new("sh").args(["-c", &script]).current_dir(&directory).status().unwrap().success());
    }
    directory
}

#[test]
#[cfg(unix)]
fn an_unavailable_architecture_is_a_row_and_the_others_are_measured() {
    let ending = [("io-uring", "error: io_uring is forbidden", 2), ("fork", "error: no process to be had", 1)];
    let directory = beside(&ending);
    let compare = |args: &[&str]| {
        let mut load = Command::new(directory.path().join("load"));
        let what = ["--services", "http", "--connections", "kept", "--rounds", "2"];
        load.args(SMALL).args(what).args(args).timeout(PATIENCE * 2).assert()
    };
    let file = directory.path().join("report.html");
    let assert = compare(&["--clients", "1,2", "--html", file.to_str().unwrap(), "--json", "-"]).success();
    let comparison: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    let rows = comparison["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3 * 2);
    for row in rows {
        let expected = match row["architecture"].as_str().unwrap() {
            "io-uring" => serde_json::json!(["not available here: io_uring is forbidden"]),
            "fork" => serde_json::json!(["did not start: no process to be had"]),
            _ => serde_json::json!([]),
        };
        assert_eq!(row["failures"], expected, "{row:#}");
        for name in ["requests_per_second", "latency_us"] {
            assert_eq!(row[name].is_null(), expected != serde_json::json!([]), "{row:#}");
        }
    }
    let page = fs::read_to_string(file).unwrap();
    assert_well_formed(&page);
    assert!(page.contains("<li>io-uring, clients: 1 and 2: not available here: io_uring is forbidden</li>"));

    let said = compare(&["--clients", "1"]).success();
    said.stdout(contains("└ not available here: io_uring is forbidden").count(1));
    // With no architecture left there is no result.
    let line = "error: nothing was measured: io-uring not available here: io_uring is forbidden\n";
    compare(&["--clients", "1", "--architectures", "io-uring"]).code(1).stderr(line);
}

#[test]
#[cfg(unix)]
fn a_comparison_in_which_nothing_was_served_has_its_own_exit_code() {
    let silent = Backend::start(|mut served| while served.request().is_some() {});
    let directory = beside(&[]);
    // The script looks like a server that listens and says so.
    let script = format!("printf '#!/bin/sh\\necho READY {}; exec sleep 600' >fork; chmod +x fork", silent.name());
    assert!(process::Command::new("sh").args(["-c", &script]).current_dir(&directory).status().unwrap().success());
    let mut load = Command::new(directory.path().join("load"));
    let what =
        ["--services", "http", "--connections", "kept", "--clients", "2", "--architectures", "fork", "--rounds", "1"];
    let ended = load.args(SMALL).args(what).timeout(PATIENCE * 2).assert().code(3);
    ended
        .stdout(contains("2 of 2 clients were never served"))
        .stderr("error: nothing was served: no server answered a single request\n");
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_that_it_started_is_left() {
    use crate::{background, support::process::wait_until};
    let child = background(&["compare", "--duration", "60s", "--architectures", "fork", "--clients", "3"]);
    let mut family = Vec::new();
    wait_until("a server with its children", || {
        let servers = children(child.0.id());
        family = servers.iter().copied().chain(servers.iter().flat_map(|server| children(*server))).collect();
        family.len() == 4
    });
    child.signal("INT");
    assert!(child.output().contains("interrupted"));
    wait_until("all of them to have ended", || family.iter().all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap()));
}

/// Processes whose parent is this one.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent_of = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parent_of == Some(parent)
    };
    pids.filter(is_child).collect()
}
