//! Clients that other people have written: curl and wget, going on where they were interrupted.

use crate::{Site, pattern, support::process::programs_are_required};
use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

/// Runs a program in an empty folder; `None`, and a line for the tester, where it is missing.
fn run(folder: &Path, program: &str, args: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).env_clear().env("HOME", folder);
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(!programs_are_required(), "{program}: {error}");
            // `println!` would be shown only after a failure.
            let _ = writeln!(std::io::stderr(), "skipped: no {program}");
            None
        }
    }
}

fn site() -> (Site, Vec<u8>) {
    let content = pattern(3_000_000);
    let site = Site::new(&[("text.txt", &"All work and no play.\n".repeat(1000))]);
    site.write("film", &content);
    (site, content)
}

#[test]
fn curl_goes_on_where_it_was_interrupted() {
    let (site, content) = site();
    let server = site.serve("auto", &[]);
    let folder = tempfile::tempdir().unwrap();
    let url = |path: &str| format!("http://{}{path}", server.address());
    let quiet = ["--silent", "--show-error", "--fail", "--max-time", "20"];
    let curl = |args: &[&str]| run(folder.path(), "curl", &[&quiet, args].concat());
    fs::write(folder.path().join("film"), &content[..1_234_567]).unwrap();
    let Some(done) = curl(&["-C", "-", "-o", "film", &url("/film")]) else { return };
    assert!(done.status.success(), "{done:?}");
    assert!(fs::read(folder.path().join("film")).unwrap() == content);
    let part = curl(&["-r", "10-19", &url("/film")]).unwrap();
    assert_eq!(part.stdout, &content[10..20]);
    let text = fs::read(site.path("text.txt")).unwrap();
    let compressed = ["--compressed", "-w", "%{size_download}", &url("/text.txt")];
    let packed = curl(&compressed).unwrap().stdout;
    assert!(packed.starts_with(&text) && packed.len() < text.len() + 5, "it was sent compressed");
    // A file that it has, asked for again by its date and by its tag.
    let timed = ["--remote-time", "-o", "text", "-z", "text", "-w", "%{http_code}", &url("/text.txt")];
    assert_eq!(curl(&timed).unwrap().stdout, b"200");
    let tagged =
        ["--etag-save", "tag", "--etag-compare", "tag", "-o", "again", "-w", "%{http_code}", &url("/text.txt")];
    assert_eq!(curl(&tagged).unwrap().stdout, b"200");
    assert_eq!(
        curl(&["-w", "%{http_code}", "-o", "-", "--path-as-is", &url("/../secret")]).unwrap().status.code(),
        Some(22)
    );
}

#[test]
fn wget_goes_on_where_it_was_interrupted() {
    let (site, content) = site();
    let server = site.serve("auto", &[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film"), &content[..2_000_000]).unwrap();
    let url = format!("http://{}/film", server.address());
    let args = ["--no-verbose", "--no-proxy", "--tries=1", "--timeout=20", "-c", &url];
    let Some(done) = run(folder.path(), "wget", &args) else { return };
    assert!(done.status.success(), "{done:?}");
    assert!(fs::read(folder.path().join("film")).unwrap() == content);
    server.wait_for_stderr("status=206");
}

#[test]
fn wget_copies_a_directory_by_its_listing() {
    let site = Site::new(&[("a b/c%d.txt", "one"), ("a b/<e>/f", "two"), ("g", "three")]);
    let server = site.serve("auto", &[]);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", server.address());
    let args =
        ["--no-verbose", "--no-proxy", "--tries=1", "-r", "-np", "-nH", "-l", "5", "--reject-regex", "[?]", &url];
    let Some(done) = run(folder.path(), "wget", &args) else { return };
    assert!(done.status.success(), "{done:?}");
    for (name, content) in [("a b/c%d.txt", "one"), ("a b/<e>/f", "two"), ("g", "three")] {
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), content, "{name}");
    }
}
