//! The same result in the words of different readers.

use super::{Graded, Mark, mark};
use crate::{catalog::Check, json, project, report, runner::Outcome};

/// For people: the reports, then a table.
pub(super) fn text(all: &[Graded]) -> String {
    let mut text = String::new();
    for graded in all {
        match &graded.unbuilt {
            Some(words) => text += &format!("{} does not build\n{words}", graded.exercise.id.to_uppercase()),
            None => text += &report::text(graded.exercise, &graded.outcomes, graded.seed),
        }
        text += "\n";
    }
    for graded in all {
        let (points, of) = (graded.points(), graded.of());
        text += &format!("{:<5} {:<50} {points:>3} of {of:>3} points\n", graded.exercise.id, graded.exercise.title);
    }
    let (points, of) = total(all);
    text + &format!("{:<56} {points:>3} of {of:>3} points\n", "all")
}

fn total(all: &[Graded]) -> (usize, usize) {
    (all.iter().map(Graded::points).sum(), all.iter().map(Graded::of).sum())
}

/// The report of one check that was not passed.
fn report_of(graded: &Graded, check: &Check) -> String {
    let failed = graded.outcome(check.name);
    match (&graded.unbuilt, failed) {
        (Some(words), _) => format!("the program does not build\n{words}"),
        (None, Some(outcome)) => report::one(graded.exercise, outcome, graded.seed),
        (None, None) => "not run".into(),
    }
}

fn state(outcome: Option<&Outcome>) -> &'static str {
    match outcome.map(mark) {
        Some(Mark::Passed) => "passed",
        Some(Mark::NotScored) => "not-scored",
        Some(Mark::Failed) | None => "failed",
    }
}

fn cause(outcome: Option<&Outcome>) -> Option<&'static str> {
    outcome.and_then(|outcome| outcome.failure.as_ref()).map(|failure| failure.diagnosis.cause.name())
}

/// `{"points", "of", "exercises": [{"id", "points", "of", "seed", "checks": [{"name", "state", "cause", "report"}]}]}`
pub(super) fn json(all: &[Graded]) -> String {
    let one = |graded: &Graded| {
        let checks: Vec<String> = graded.checks.iter().map(|check| check_json(graded, check)).collect();
        json::object(&[
            ("id", json::string(graded.exercise.id)),
            ("title", json::string(graded.exercise.title)),
            ("points", graded.points().to_string()),
            ("of", graded.of().to_string()),
            ("builds", graded.unbuilt.is_none().to_string()),
            ("seed", json::string(&format!("{:x}", graded.seed))),
            ("checks", json::array(&checks)),
        ])
    };
    let (points, of) = total(all);
    let exercises: Vec<String> = all.iter().map(one).collect();
    let fields = [("points", points.to_string()), ("of", of.to_string()), ("exercises", json::array(&exercises))];
    json::object(&fields) + "\n"
}

fn check_json(graded: &Graded, check: &Check) -> String {
    let outcome = graded.outcome(check.name);
    let state = state(outcome);
    let text = |wanted: bool, text: &dyn Fn() -> String| {
        if wanted { json::string(&text()) } else { "null".into() }
    };
    json::object(&[
        ("name", json::string(check.name)),
        ("promise", json::string(check.promise)),
        ("state", json::string(state)),
        ("cause", cause(outcome).map_or_else(|| "null".into(), json::string)),
        ("report", text(state != "passed", &|| report_of(graded, check))),
    ])
}

/// A suite an exercise, a case a check.
pub(super) fn junit(all: &[Graded]) -> String {
    let (points, of) = total(all);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{of}\" failures=\"{}\">\n",
        of - points
    );
    for graded in all {
        let counted =
            |wanted: &str| graded.checks.iter().filter(|check| state(graded.outcome(check.name)) == wanted).count();
        text += &format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
            xml(&format!("{} {}", graded.exercise.id, graded.exercise.title)),
            graded.of(),
            counted("failed"),
            counted("not-scored")
        );
        for check in &graded.checks {
            text += &case(graded, check);
        }
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

fn case(graded: &Graded, check: &Check) -> String {
    let outcome = graded.outcome(check.name);
    let begin = format!("    <testcase classname=\"{}\" name=\"{}\"", graded.exercise.id, check.name);
    let tag = match state(outcome) {
        "passed" => return begin + "/>\n",
        "not-scored" => "error",
        _ => "failure",
    };
    let message = cause(outcome).unwrap_or("does-not-build");
    let report = xml(&report_of(graded, check));
    format!("{begin}><{tag} message=\"{message}\">{report}</{tag}></testcase>\n")
}

/// Text for XML 1.0, which has no way to write most control characters.
fn xml(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\n' | '\t' => safe.push(character),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// An error at the file for each check that failed, and a line with the points.
pub(super) fn github(all: &[Graded]) -> String {
    let mut text = String::new();
    for graded in all {
        let file = project::edited(graded.exercise);
        let failed = graded.checks.iter().filter(|check| state(graded.outcome(check.name)) != "passed");
        // One that does not build fails all its checks for one reason.
        for check in failed.take(if graded.unbuilt.is_some() { 1 } else { usize::MAX }) {
            let (id, file) = (graded.exercise.id, file.display());
            let title = if graded.unbuilt.is_some() { "does not build" } else { check.name };
            let level = if state(graded.outcome(check.name)) == "not-scored" { "warning" } else { "error" };
            let report = escaped(&report_of(graded, check));
            text += &format!("::{level} file={file},title={id} {title}::{report}\n");
        }
        text += &format!("{}: {} of {} points\n", graded.exercise.id, graded.points(), graded.of());
    }
    let (points, of) = total(all);
    text + &format!("::notice title=points::{points} of {of}\n")
}

/// The data of a workflow command.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// <https://gradescope-autograders.readthedocs.io/en/latest/specs/>: a test a check, a point a test. Where the grader failed, no score
/// is given at all, so that the submission is looked at by a person.
pub(super) fn gradescope(all: &[Graded]) -> String {
    let mut tests = Vec::new();
    for graded in all {
        for check in &graded.checks {
            let passed = state(graded.outcome(check.name)) == "passed";
            let output = if passed { check.promise.to_owned() } else { report_of(graded, check) };
            tests.push(json::object(&[
                ("name", json::string(&format!("{} {}", graded.exercise.id, check.name))),
                ("score", usize::from(passed).to_string()),
                ("max_score", "1".into()),
                ("status", json::string(if passed { "passed" } else { "failed" })),
                ("output_format", json::string("text")),
                ("output", json::string(&output)),
            ]));
        }
    }
    let broken = all.iter().flat_map(|graded| &graded.outcomes).any(|outcome| mark(outcome) == Mark::NotScored);
    let output = if broken { "The grader or the machine failed: this run does not count." } else { "" };
    let mut fields = vec![("output", json::string(output))];
    if !broken {
        fields.push(("tests", json::array(&tests)));
    }
    json::object(&fields) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_safe_in_xml_and_in_workflow_commands() {
        assert_eq!(xml("<a b=\"c\">&\x1b\n"), "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}\n");
        assert_eq!(escaped("100%\n::error::"), "100%25%0A::error::");
    }
}
