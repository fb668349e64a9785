//! The commands that change files, in a small course of their own; and grading.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use std::{fs, path::Path};
use tempfile::TempDir;

/// The repository with the real exercises.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// A course with the texts of e06 and nothing else.
fn small() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in ["exercises/e06-echo/main.rs", "exercises/e06-echo/HINTS.md", "exercises/solutions/e06-echo.rs"] {
        let to = directory.path().join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(repository().join(file), to).unwrap();
    }
    directory
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn course(root: &Path, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_course")).args(args).env("COURSE_ROOT", root).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().unwrap(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn progress(root: &Path) -> String {
    fs::read_to_string(root.join("exercises/progress.txt")).unwrap_or_default()
}

#[test]
fn hints_come_one_by_one_and_the_solution_after_the_last() {
    let directory = small();
    let root = directory.path();
    let early = course(root, &["solution", "e06", "--anyway"]);
    assert_eq!(early.code, 2);
    assert!(early.stderr.contains("3 hints were not shown"), "{}", early.stderr);
    for level in 1..=3 {
        let hint = course(root, &["hint", "e06"]);
        assert!(hint.stdout.starts_with(&format!("e06 Echo server: hint {level} of 3\n")), "{}", hint.stdout);
    }
    assert!(progress(root).contains("e06-echo: 3 hints\n"), "{}", progress(root));
    assert!(course(root, &["hint", "e06"]).stdout.contains("here they are again"));
    let unasked = course(root, &["solution", "e06"]);
    assert!(unasked.code == 2 && unasked.stderr.contains("--anyway"), "{}", unasked.stderr);
    let shown = course(root, &["solution", "e06", "--anyway"]);
    assert!(shown.code == 0 && shown.stdout.contains("fn part("), "{}", shown.stdout);
    assert!(!shown.stdout.contains("// END") && !shown.stdout.contains("//|"), "{}", shown.stdout);
    assert!(progress(root).contains("solution seen"), "{}", progress(root));
}

#[test]
fn after_a_pass_the_solution_is_free_and_not_noted() {
    let directory = small();
    let root = directory.path();
    fs::write(root.join("exercises/progress.txt"), "e06-echo: passed, grader 1\n").unwrap();
    assert_eq!(course(root, &["solution", "e06"]).code, 0);
    assert!(!progress(root).contains("solution seen"));
    // The checks have changed since: it passed, and it is not known whether it still would.
    assert!(course(root, &["list"]).stdout.contains("checks that have changed since"));
}

#[test]
fn nothing_is_lost_by_reset_and_undo() {
    let directory = small();
    let root = directory.path();
    let file = root.join("exercises/e06-echo/main.rs");
    let starter = fs::read_to_string(&file).unwrap();
    assert!(course(root, &["reset", "e06"]).stdout.contains("is the starter already"));
    assert!(course(root, &["undo", "e06"]).stderr.contains("nothing was kept"));
    for mine in ["fn main() { first() }\n", "fn main() { second() }\n"] {
        fs::write(&file, mine).unwrap();
        assert_eq!(course(root, &["reset", "e06"]).code, 0);
        assert_eq!(fs::read_to_string(&file).unwrap(), starter);
        assert_eq!(course(root, &["undo", "e06"]).code, 0);
        assert_eq!(fs::read_to_string(&file).unwrap(), mine);
    }
    // Undo once more is the way back, as often as one likes.
    for _ in 0..3 {
        course(root, &["undo", "e06"]);
    }
    let kept: Vec<String> = fs::read_dir(root.join("exercises/kept/e06-echo"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for text in ["fn main() { first() }\n", "fn main() { second() }\n", &starter] {
        assert_eq!(kept.iter().filter(|kept| *kept == text).count(), 1, "{kept:?}");
    }
}

#[test]
fn the_status_is_a_table_and_a_document() {
    let directory = small();
    let root = directory.path();
    fs::write(root.join("exercises/progress.txt"), "e06-echo: failing 5 of 11 at half-close, 1 hint\n").unwrap();
    let table = course(root, &["status"]).stdout;
    assert!(table.contains("failing 5 of 11 at half-close, 1 hint"), "{table}");
    assert!(table.contains("[ ] I can: write a server that survives short reads"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let document: serde_json::Value = serde_json::from_str(&course(root, &["status", "--json"]).stdout).unwrap();
    let e06 = document["exercises"].as_array().unwrap().iter().find(|one| one["id"] == "e06").unwrap();
    assert_eq!((&e06["state"], &e06["first_failure"]), (&"failing".into(), &"half-close".into()));
    assert_eq!((&e06["hints"], &e06["solution_seen"]), (&1.into(), &false.into()));
    let now = course(root, &[]).stdout;
    assert!(now.contains("cargo course check"), "{now}");
}

/// `cargo course list | head -3`: the runner ends, and says nothing of it.
#[test]
fn output_that_nobody_reads_is_no_fault() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_course"));
    let ran = command.arg("list").stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let ended = ran.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr)), (Some(141), "".into()));
}

/// A student's copy: the file that is edited, and a manifest and a check that nobody may look at.
fn students(main: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("exercises/e06-echo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("main.rs"), main).unwrap();
    fs::write(directory.path().join("exercises/Cargo.toml"), "this is no manifest").unwrap();
    directory
}

fn grade(student: &Path, format: &str) -> Ran {
    let student = student.to_str().unwrap();
    course(repository(), &["grade", "e06", "--seed", "1", "--format", format, "--student", student])
}

#[test]
fn a_solution_has_all_points_and_a_program_that_does_not_build_has_none() {
    let solution = fs::read_to_string(repository().join("exercises/solutions/e06-echo.rs")).unwrap();
    let good = grade(students(&solution).path(), "json");
    let document: serde_json::Value = serde_json::from_str(&good.stdout).unwrap();
    assert_eq!((good.code, &document["points"], &document["of"]), (0, &11.into(), &11.into()), "{}", good.stdout);
    for main in ["fn main() { nonsense() }", "fn main() { unsafe { std::hint::unreachable_unchecked() } }"] {
        let bad = grade(students(main).path(), "json");
        let document: serde_json::Value = serde_json::from_str(&bad.stdout).unwrap();
        assert_eq!((bad.code, &document["points"]), (1, &0.into()), "{}", bad.stdout);
        assert!(bad.stdout.contains("does not build"), "{}", bad.stdout);
    }
}

#[test]
fn all_formats_tell_the_same() {
    // The right server with the wrong goodbye: some checks pass.
    let solution = fs::read_to_string(repository().join("exercises/solutions/e06-echo.rs")).unwrap();
    let student = students(&solution.replace("Goodbye!\\n", "Farewell!\\n"));
    let [text, json, junit, github, gradescope] =
        ["text", "json", "junit", "github", "gradescope"].map(|format| grade(student.path(), format));
    for ran in [&text, &json, &junit, &github, &gradescope] {
        assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    }
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let points = document["points"].as_u64().unwrap();
    assert!((1..11).contains(&points), "{}", json.stdout);
    assert!(text.stdout.contains(&format!("{points} of  11 points")), "{}", text.stdout);
    assert_eq!(junit.stdout.matches("<testcase").count(), 11, "{}", junit.stdout);
    assert_eq!(junit.stdout.matches("<failure").count() as u64, 11 - points, "{}", junit.stdout);
    assert_eq!(github.stdout.matches("::error file=exercises/e06-echo/main.rs").count() as u64, 11 - points);
    let results: serde_json::Value = serde_json::from_str(&gradescope.stdout).unwrap();
    let scores = results["tests"].as_array().unwrap().iter().map(|test| test["score"].as_u64().unwrap());
    assert_eq!(scores.sum::<u64>(), points, "{}", gradescope.stdout);
}

#[test]
fn a_copy_for_students_has_no_answers_and_is_a_workspace() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("course");
    let packed = course(repository(), &["pack", "--student", copy.to_str().unwrap()]);
    assert_eq!(packed.code, 0, "{}", packed.stderr);
    for gone in ["exercises/solutions", "exercises/mutants.txt", "exercises/progress.txt", "target", ".git"] {
        assert!(!copy.join(gone).exists(), "{gone}");
    }
    let starter = fs::read_to_string(copy.join("exercises/starters/e06-echo.rs")).unwrap();
    assert_eq!(starter, fs::read_to_string(copy.join("exercises/e06-echo/main.rs")).unwrap());
    assert!(starter.contains("TODO 1"), "{starter}");
    let cargo = env!("CARGO");
    let args = ["tree", "--package", "course", "--edges", "normal", "--locked", "--offline"];
    let workspace = Command::new(cargo).args(args).current_dir(&copy).output().unwrap();
    assert!(workspace.status.success(), "{}", String::from_utf8_lossy(&workspace.stderr));
    // Its runner finds a starter without a solution.
    fs::write(copy.join("exercises/e06-echo/main.rs"), "mine").unwrap();
    assert_eq!(course(&copy, &["reset", "e06"]).code, 0);
    assert_eq!(fs::read_to_string(copy.join("exercises/e06-echo/main.rs")).unwrap(), starter);
    let again = course(repository(), &["pack", "--student", copy.to_str().unwrap()]);
    assert!(again.code == 2 && again.stderr.contains("is not empty"), "{}", again.stderr);
}

#[test]
fn a_new_exercise_has_all_its_files_and_is_named_where_all_are() {
    let directory = small();
    let root = directory.path();
    let lists = ["src/catalog.rs", "src/checks/mod.rs", "tests/door.rs"].map(|file| format!("exercises/course/{file}"));
    for file in &lists {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::copy(repository().join(file), root.join(file)).unwrap();
    }
    let args = ["dev", "new", "e99-last", "--title", "The last", "--chapter", "18-debugging", "--minutes", "5"];
    let made = course(root, &args);
    assert_eq!(made.code, 0, "{}", made.stderr);
    for (file, wanted) in [
        ("exercises/course/src/catalog.rs", "checks: checks::e99::CHECKS"),
        ("exercises/course/src/checks/mod.rs", "pub(crate) mod e99;"),
        ("exercises/course/tests/door.rs", "fn e99_last()"),
        ("exercises/course/src/checks/e99.rs", "pub(crate) const CHECKS"),
        ("exercises/solutions/e99-last.rs", "// SOLUTION"),
        ("exercises/e99-last/README.md", "# E99 The last"),
        ("exercises/e99-last/HINTS.md", "## 3"),
    ] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert_eq!(text.matches(wanted).count(), 1 + usize::from(wanted == "// SOLUTION"), "{file}: {text}");
    }
    let again = course(root, &args);
    assert!(again.code == 2 && again.stderr.contains("is there already"), "{}", again.stderr);
    assert_eq!(course(root, &["dev", "new", "Nonsense", "--title", "", "--chapter", "", "--minutes", "1"]).code, 2);
}

/// The processes that still run and were started with this in their environment.
#[cfg(target_os = "linux")]
fn left(variable: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ours = |path: std::path::PathBuf| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    };
    processes.filter(|entry| ours(entry.path())).count()
}

#[test]
#[cfg(target_os = "linux")]
fn checks_side_by_side_tell_the_first_failure_in_their_order_and_leave_nothing() {
    let directory = small();
    let root = directory.path();
    let manifest = "[package]\nname = \"exercises\"\nedition = \"2024\"\nautobins = false\n\n[workspace]\n\n\
                    [[bin]]\nname = \"e06\"\npath = \"exercises/e06-echo/main.rs\"\n";
    fs::write(root.join("Cargo.toml"), manifest).unwrap();
    let main = root.join("exercises/e06-echo/main.rs");
    let right = fs::read_to_string(root.join("exercises/solutions/e06-echo.rs")).unwrap();
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
        command
            .args(["check", "e06"])
            .env("COURSE_ROOT", root)
            .env("SIDE_BY_SIDE", "here")
            .env_remove("CARGO_TARGET_DIR");
        let output = command.output().unwrap();
        assert_eq!(left("SIDE_BY_SIDE=here"), 0);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    fs::write(&main, &right).unwrap();
    let (code, report) = check();
    assert!(code == Some(0) && report.contains("11 of 11 checks"), "{report}");
    // Two mistakes: the sixth check sees one of them, and the last but one the other.
    let serves = "            Ok(stream) => serve(&stream),\n";
    let says = "            writer.write_all(b\"Goodbye!\\n\")?;\n            return part(stream);\n";
    assert!(right.contains(serves) && right.contains(says), "{right}");
    let leaks = right.replace(serves, "Ok(stream) => { serve(&stream); std::mem::forget(stream) }\n");
    fs::write(&main, leaks.replace(says, "writer.write_all(b\"Goodbye!\\n\")?; return Ok(());\n")).unwrap();
    let (code, report) = check();
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("FAILED quit-with-pending-input") && report.contains("not run:"), "{report}");
    assert!(!report.contains("descriptors-grew") && report.contains("ok half-close"), "{report}");
}
