//! Programs that misbehave: each ends within the time of its check, the report says why, and nothing is left running.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The beginning of every server.
const LISTENS: &str = "let listener = std::net::TcpListener::bind(std::env::args().nth(2).unwrap()).unwrap();\n\
                       println!(\"READY {}\", listener.local_addr().unwrap());\n";

/// Grades `main` as e06 and returns the document; fails if that takes too long or leaves something running.
fn graded(name: &str, main: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("exercises/e06-echo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("main.rs"), format!("#![allow(warnings)]\nfn main() {{\n{main}\n}}\n")).unwrap();
    let begun = Instant::now();
    let student = directory.path().to_str().unwrap();
    let args = ["grade", "e06", "--only", "greets", "--seed", "1", "--format", "json", "--student", student];
    let graded: Output = Command::new(env!("CARGO_BIN_EXE_course")).args(args).env("NAMED", name).output().unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(90), "{name} took {took:?}");
    assert_eq!(graded.status.code(), Some(1), "{name}: {graded:?}");
    assert_eq!(left(name), Vec::<String>::new(), "{name} left something running");
    String::from_utf8(graded.stdout).unwrap()
}

/// The processes that still run of a program that was started with this name in its environment.
fn left(name: &str) -> Vec<String> {
    let wanted = format!("NAMED={name}");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ours = |path: &Path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let paths = processes.map(|entry| entry.path()).filter(|path| ours(path));
    paths.map(|path| fs::read_to_string(path.join("stat")).unwrap_or_default()).collect()
}

fn assert_cause(name: &str, cause: &str, main: &str) {
    let document = graded(name, main);
    let read: serde_json::Value = serde_json::from_str(&document).unwrap();
    let check = &read["exercises"][0]["checks"][0];
    assert_eq!(check["cause"], cause, "{name}: {}", check["report"].as_str().unwrap_or_default());
    let report = check["report"].as_str().unwrap();
    assert!(report.lines().all(|line| line.chars().count() <= 100), "{name} is wider than 100 columns:\n{report}");
}

#[test]
fn a_program_that_hangs() {
    assert_cause("hangs-before", "not-ready", "loop { std::thread::park(); }");
    assert_cause(
        "hangs-after",
        "silence",
        &format!(
            "{LISTENS} let s = listener.accept(); let m = std::sync::Mutex::new(()); let a = m.lock(); let b = m.lock();"
        ),
    );
}

#[test]
fn a_program_that_spins() {
    assert_cause(
        "spins",
        "spinning",
        &format!("{LISTENS} let s = listener.accept(); loop {{ std::hint::spin_loop(); }}"),
    );
}

#[test]
fn a_program_that_prints_without_end() {
    assert_cause(
        "prints",
        "prints-without-end",
        &format!("{LISTENS} loop {{ eprintln!(\"{{}}\", \"waiting \".repeat(2000)); }}"),
    );
    assert_cause("prints-ready", "prints-without-end", "loop { print!(\"{}\", \"not ready \".repeat(2000)); }");
}

#[test]
fn a_program_that_forks_without_end() {
    // Each child is the program once more; a session of its own does not help it.
    let fork = "use std::os::unix::process::CommandExt as _; \
                let me = || std::process::Command::new(std::env::current_exe().unwrap()).process_group(0).spawn();\n\
                if std::env::args().nth(2).is_some() { loop { me(); std::thread::sleep(std::time::Duration::from_millis(2)); } }\n\
                std::thread::sleep(std::time::Duration::from_secs(3600));";
    assert_cause("forks", "forks-without-end", fork);
}

#[test]
fn a_program_that_eats_memory() {
    let eat = "let mut all = Vec::new(); loop { all.push(vec![1u8; 16 << 20]); std::thread::sleep(std::time::Duration::from_millis(5)); }";
    assert_cause("eats", "eats-memory", &format!("{LISTENS} let s = listener.accept(); {eat}"));
}

#[test]
fn a_program_that_binds_another_port() {
    assert_cause(
        "elsewhere",
        "port-ignored",
        "let l = std::net::TcpListener::bind(\"127.0.0.1:0\").unwrap(); println!(\"READY 127.0.0.2:80\"); loop { l.accept(); }",
    );
}

#[test]
fn a_program_that_leaves_children_behind() {
    let child = "std::process::Command::new(\"setsid\").args([\"-f\", \"sleep\", \"3600\"]).status();";
    assert_cause("leaves", "exited", &format!("{LISTENS} {child} listener.accept();"));
}

#[test]
fn a_program_that_is_no_server_at_all() {
    assert_cause("ends", "exited", "");
    assert_cause("panics", "panicked", "None::<u8>.unwrap();");
    assert_cause("chats", "bad-ready", "println!(\"Listening...\"); loop { std::thread::park(); }");
}

/// A build that does not end is ended, and that is told.
#[test]
fn a_program_that_never_builds() {
    let never = "const fn f(n: u64) -> u64 { let mut i = 0; while i < n { i += 1; } i } #[allow(long_running_const_eval)] const N: u64 = f(u64::MAX); println!(\"{N}\");";
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("exercises/e06-echo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("main.rs"), format!("fn main() {{ {never} }}")).unwrap();
    let args = ["grade", "e06", "--format", "json", "--student", directory.path().to_str().unwrap()];
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    let graded = command.args(args).env("COURSE_BUILD_SECONDS", "20").env("NAMED", "never-builds").output().unwrap();
    let text = String::from_utf8(graded.stdout).unwrap();
    assert!(graded.status.code() == Some(1) && text.contains("did not come to an end"), "{text}");
    assert_eq!(left("never-builds"), Vec::<String>::new());
}

/// A signal that ends the runner ends what it started.
#[test]
fn a_runner_that_is_ended_leaves_nothing_behind() {
    for signal in ["INT", "TERM", "HUP"] {
        let name = format!("ended-by-{signal}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
        // The starter of e06 is built and run over and over: sooner or later a program runs.
        command.args(["check", "e06", "--all", "--repeat", "1000"]).env("NAMED", &name).stdout(Stdio::null());
        let mut runner = command.stderr(Stdio::null()).process_group(0).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while left(&name).len() < 2 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        Command::new("kill").args(["-s", signal, &runner.id().to_string()]).status().unwrap();
        let ended = runner.wait().unwrap();
        assert!(!ended.success(), "{signal}: {ended}");
        assert_eq!(left(&name), Vec::<String>::new(), "{signal}");
    }
}
