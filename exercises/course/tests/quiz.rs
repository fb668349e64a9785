//! The quiz as its users meet it. Each experiment runs in a process of its own, and shows what the kernel of this machine does.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use std::{fs, path::Path};
use tempfile::TempDir;

/// A course in which nobody has done anything.
fn empty() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("exercises")).unwrap();
    directory
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn quiz(root: &Path, args: &[&str], stdin: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    let output = command.arg("quiz").args(args).env("COURSE_ROOT", root).write_stdin(stdin).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().unwrap(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn progress(root: &Path) -> String {
    fs::read_to_string(root.join("exercises/progress.txt")).unwrap_or_default()
}

fn answers(root: &Path) -> String {
    fs::read_to_string(root.join("exercises/quiz/answers.md")).unwrap_or_default()
}

/// Runs one experiment, and asserts that it shows `seen` and that its transcript has these lines.
#[track_caller]
fn experiment(id: &str, seen: &str, lines: &[&str]) {
    let directory = empty();
    let ran = quiz(directory.path(), &[id, "--predict", "?"], "");
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(&format!("You did not know. It is {seen})")), "{}", ran.stdout);
    let one_space = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in lines {
        assert!(one_space.contains(line), "no {line:?} in {}", ran.stdout);
    }
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 100), "wider than 100 columns: {}", ran.stdout);
    assert!(progress(directory.path()).contains(&format!("{id}: predicted ?, saw {seen}\n")));
}

#[test]
fn q01_a_connection_lives_as_long_as_its_last_descriptor() {
    experiment(
        "q01",
        "c",
        &["kill and wait for cat signal: 9", "close its own descriptor done client read 0: the end"],
    );
}

#[test]
#[cfg(target_os = "linux")]
fn q02_stacks_are_reservations() {
    experiment("q02", "b", &["64 threads sleep in read", "KiB of memory for each"]);
}

#[test]
#[cfg(target_os = "linux")]
fn q03_flags_of_a_listener_are_not_inherited_on_linux() {
    experiment("q03", "a", &["O_NONBLOCK is not set", "read (sleeps)", "returns 1 byte"]);
}

#[test]
#[cfg(target_os = "linux")]
fn q04_reuseaddr_permits_no_second_listener_and_reuseport_does() {
    experiment("q04", "c", &["second SO_REUSEADDR, bind, listen EADDRINUSE", "of 64 clients"]);
}

#[test]
fn q05_the_kernel_connects_and_receives_alone() {
    experiment("q05", "c", &["connect ECONNREFUSED", "write(5 bytes) 5 bytes were taken", "read \"hello\""]);
}

#[test]
fn q06_the_side_that_closes_first_waits() {
    let lines =
        ["the client's address free", "the server's address EADDRINUSE", "SO_REUSEADDR, bind to its address free"];
    experiment("q06", "b", &lines);
}

#[test]
fn q07_a_write_takes_a_part() {
    experiment("q07", "a", &["write(67108864 bytes)", "the two kernels hold"]);
}

#[test]
#[cfg(target_os = "linux")]
fn q08_a_reset_is_told_once() {
    let lines = [
        "write(4 bytes) ECONNRESET: Connection reset by peer server write(4 bytes) EPIPE: Broken pipe",
        "sends FIN server write(4 bytes) 4 bytes were taken server write(4 bytes) EPIPE",
    ];
    experiment("q08", "d", &lines);
}

#[test]
fn q09_accept_sleeps_through_a_signal() {
    experiment("q09", "a", &["the handler has run", "a moment later sleeps", "returns with the client"]);
}

#[test]
#[cfg(target_os = "linux")]
fn q10_a_full_queue_answers_nothing() {
    experiment("q10", "b", &["client 2 connect connected client 3 connect no answer yet", "2 clients were connected"]);
}

#[test]
fn q11_a_loop_that_failed_has_taken_a_part() {
    experiment("q11", "c", &["read_exact(5 bytes) nothing more in time", "that second call \"lo...\""]);
}

#[test]
fn q12_a_close_with_unread_input_destroys_the_answer() {
    experiment("q12", "a", &["write_all(300000 bytes) done server close done", "read ECONNRESET"]);
}

#[test]
#[cfg(target_os = "linux")]
fn q13_two_small_writes_meet_a_delayed_acknowledgment() {
    experiment("q13", "a", &["TCP_NODELAY set"]);
}

#[test]
fn q14_silence_uses_a_pool_up() {
    experiment("q14", "c", &["client 3 read nothing more in time", "client 2 close done client 3 read \"PONG\\n\""]);
}

#[test]
fn q15_more_clients_wait_longer() {
    experiment("q15", "c", &["Throughput:"]);
}

#[test]
fn q16_all_sockets_of_a_server_have_one_port() {
    experiment("q16", "b", &["1 port, the listener's", "50 ports"]);
}

/// Letters through a pipe are answers in order; where they end, the quiz goes on next time.
#[test]
fn a_pipe_answers_question_after_question() {
    let directory = empty();
    let root = directory.path();
    let ran = quiz(root, &[], "c\nmaybe\n B \nq\n");
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("As you predicted: c)") && ran.stdout.contains("That is not a, b or c."),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("Q03") && ran.stdout.contains("goes on next time"), "{}", ran.stdout);
    assert!(progress(root).contains("q01: predicted c, saw c\n"), "{}", progress(root));
    assert_eq!(answers(root).matches("prediction: c\n").count(), 1, "{}", answers(root));
    let next = quiz(root, &[], "");
    assert!(next.code == 2 && next.stdout.starts_with("Q03"), "{}", next.stdout);
    assert!(next.stderr.contains("q03 waits for a prediction: a, b or c"), "{}", next.stderr);
    let several = quiz(root, &["q16", "6"], "b\na\n");
    assert!(
        several.stdout.contains("Q16") && several.stdout.contains("You predicted a. It is b)"),
        "{}",
        several.stdout
    );
    let list = quiz(root, &["--list"], "").stdout;
    assert!(list.contains("as predicted") && list.contains("4 of 16 experiments seen"), "{list}");
}

/// A prediction in the file is not asked for again; one that is none is complained about by its place.
#[test]
fn the_file_is_read_and_what_somebody_wrote_into_it_is_kept() {
    let directory = empty();
    let root = directory.path();
    assert_eq!(quiz(root, &["q16", "--predict", "a"], "").code, 0);
    let mine = answers(root).replacen("why:", "why: it has to", 1);
    fs::write(root.join("exercises/quiz/answers.md"), mine).unwrap();
    let again = quiz(root, &["16"], "");
    assert!(again.code == 0 && again.stdout.contains("You predicted a. It is b)"), "{}", again.stdout);
    assert_eq!(quiz(root, &["q05", "--predict", "d"], "").code, 0);
    assert!(answers(root).contains("why: it has to"));
    let wrong = answers(root).replace("prediction: d", "prediction: certainly d");
    fs::write(root.join("exercises/quiz/answers.md"), wrong).unwrap();
    let refused = quiz(root, &["q05"], "");
    assert!(
        refused.code == 2 && refused.stderr.contains("answers.md: q05: \"certainly d\" is not"),
        "{}",
        refused.stderr
    );
    for (args, wanted) in [
        (&["q17"][..], "there is no question"),
        (&["q05", "--predict", "e"], "\"e\" is not a, b, c or d"),
        (&["q05", "q06", "--predict", "a"], "--predict is for one question"),
    ] {
        let refused = quiz(root, args, "");
        assert!(refused.code == 2 && refused.stderr.contains(wanted), "{}", refused.stderr);
    }
}

/// For teachers: a point is for a prediction, right or wrong.
#[test]
fn all_experiments_are_shown_beside_the_predictions_of_a_student() {
    let directory = empty();
    let root = directory.path();
    for (id, letter) in [("q01", "c"), ("q05", "a"), ("q16", "?")] {
        assert_eq!(quiz(root, &[id, "--predict", letter], "").code, 0);
    }
    for student in [root.to_owned(), root.join("exercises")] {
        let graded = quiz(empty().path(), &["--all", "--json", "--student", student.to_str().unwrap()], "");
        let document: serde_json::Value = serde_json::from_str(&graded.stdout).unwrap();
        assert_eq!(
            (graded.code, &document["points"], &document["of"]),
            (1, &2.into(), &16.into()),
            "{}",
            graded.stdout
        );
        assert_eq!(document["as_predicted"], 1, "{}", graded.stdout);
        assert_eq!(
            (&document["questions"][4]["predicted"], &document["questions"][4]["seen"]),
            (&"a".into(), &"c".into())
        );
    }
    let nowhere = quiz(root, &["--all", "--student", "/nowhere"], "");
    assert_eq!(nowhere.code, 2, "{}", nowhere.stderr);
}

/// The first exercise belongs to chapter 1, as three of the questions do.
#[test]
fn the_next_exercise_comes_with_the_questions_of_its_chapter() {
    let directory = empty();
    let root = directory.path();
    let now = || {
        let output = Command::new(env!("CARGO_BIN_EXE_course")).env("COURSE_ROOT", root).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(now().contains("cargo course quiz q04 q06 q16\n"), "{}", now());
    assert_eq!(quiz(root, &["q06", "--predict", "b"], "").code, 0);
    assert!(now().contains("cargo course quiz q04 q16\n"), "{}", now());
}

#[test]
fn the_status_counts_the_quiz() {
    let directory = empty();
    let root = directory.path();
    assert_eq!(quiz(root, &["q16", "--predict", "b"], "").code, 0);
    let status = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
        let output = command.arg("status").args(args).env("COURSE_ROOT", root).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let table = status(&[]);
    assert!(table.contains("1 of 16 seen") && table.contains("3 of 48 minutes, 1 as predicted"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let document: serde_json::Value = serde_json::from_str(&status(&["--json"])).unwrap();
    assert_eq!((&document["quiz"]["seen"], &document["quiz"]["as_predicted"]), (&1.into(), &1.into()));
}
