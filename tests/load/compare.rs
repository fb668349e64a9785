//! The comparison: all of it, on the smallest scale.

use crate::{
    background,
    pages::{assert_self_contained, assert_well_formed},
    run,
    support::process::wait_until,
};
use serde_json::Value;
use std::fs;

const SMALL: [&str; 9] = ["compare", "--duration", "200ms", "--warm-up", "50ms", "--rounds", "1", "--timeout", "300ms"];

#[test]
fn architectures_are_compared_and_what_they_cannot_do_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let [json, html] = ["result.json", "report.html"].map(|name| directory.path().join(name));
    let what = ["--architectures", "iterative,fork,event-driven", "--clients", "1,4", "--services", "http"];
    let files = ["--json", json.to_str().unwrap(), "--html", html.to_str().unwrap()];
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
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_that_it_started_is_left() {
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
