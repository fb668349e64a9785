//! A page, followed from its top to its end as a reader would follow it.
//!
//! The reader has two terminals. A program that is started without `&` and serves until it is stopped gets the second one,
//! where its log appears, and one that runs there already is ended by Ctrl-C before. Everything else goes to the first.
//! A line that begins with `export` is for both.

use crate::{
    compare::{find_lines, normal, same_output},
    page::{CTRL_C, Marks, Step, Typed, What, steps},
    ports::{OF_THE_BOOK, Ports},
    support::process::{lock, now},
    terminal::{Log, Printed, Terminal, is_listened_at},
    words,
    workplace::Workplace,
};
use std::{fs, mem, path::Path, thread, time::Duration};

/// How long what a page shows may take to appear after its command has ended.
const LATE: Duration = Duration::from_secs(15);
/// How much of a log is in a report.
const LAST_LINES: usize = 12;

/// The outcome of a page.
#[derive(Debug, Default)]
pub struct Outcome {
    pub failures: Vec<String>,
    /// Blocks for which a program is missing.
    pub skipped: Vec<String>,
    /// Blocks that say that they are not run.
    pub not_run: Vec<String>,
    /// Commands that were run.
    pub commands: usize,
}

struct Player<'a> {
    name: &'a str,
    // Before what their programs use: a terminal that is dropped ends what runs in it.
    first: Terminal,
    second: Terminal,
    ports: Ports,
    workplace: Workplace,
    log: Log,
    /// How much of the log has been compared.
    seen: usize,
    /// Commands for the second terminal before its next one.
    exports: Vec<String>,
    /// Programs in the first terminal that were told to end, in the shell's words.
    ended: Vec<String>,
    outcome: Outcome,
}

/// Follows the page `text`. `has` says whether a program is installed.
pub fn play(name: &str, text: &str, has: impl Fn(&str) -> bool) -> Outcome {
    let steps = match steps(text) {
        Ok(steps) => steps,
        Err(error) => return Outcome { failures: vec![format!("{name}: {error}")], ..Outcome::default() },
    };
    let mut outcome = Outcome::default();
    let mut todo = Vec::new();
    for step in steps {
        let missing = step.marks.needs.iter().find(|program| !has(program));
        if let Some(reason) = &step.marks.not {
            outcome.not_run.push(format!("{name}:{}: {reason}", step.line));
        } else if let Some(program) = missing {
            outcome.skipped.push(format!("{name}:{}: there is no {program}", step.line));
        } else {
            todo.push(step);
        }
    }
    if todo.is_empty() {
        return outcome;
    }
    let mut player = Player::sit_down(name, outcome);
    for step in todo {
        if let Err(hopeless) = player.step(step) {
            player.outcome.failures.push(format!("{hopeless}\n  (the rest of the page was not tried)"));
            break;
        }
    }
    player.outcome
}

/// Whether a line is from a program in the background, or from the shell about one.
fn is_aside(line: &str) -> bool {
    let told = line.starts_with("bash: line ") || line.contains("/.command-");
    is_log(line) || told && ["Killed", "Terminated", "Stopped", "Aborted"].iter().any(|word| line.contains(word))
}

fn is_log(line: &str) -> bool {
    line.starts_with("READY ") || line.starts_with("STATS ") || normal(line) != line && has_level(&normal(line))
}

fn has_level(line: &str) -> bool {
    ["DEBUG ", "INFO ", "WARN ", "ERROR "].iter().any(|level| line.trim_start().starts_with(level))
}

impl<'a> Player<'a> {
    fn sit_down(name: &'a str, outcome: Outcome) -> Self {
        let ports = Ports::find();
        let workplace = Workplace::set_up(&ports);
        let log = Log::default();
        let open = |is_log| Terminal::open(workplace.path(), &workplace.variables(), log.clone(), is_log);
        let (first, second) = (open(is_log), open(|_| true));
        Self { name, ports, first, second, log, seen: 0, exports: Vec::new(), ended: Vec::new(), outcome, workplace }
    }

    /// An error means that there is no sense in going on.
    fn step(&mut self, step: Step) -> Result<(), String> {
        match step.what {
            What::File { name, text } => {
                let path = self.workplace.path().join(name);
                fs::write(path, self.ports.to_free(&text))
                    .map_err(|error| format!("{}:{}: {error}", self.name, step.line))
            }
            What::Everywhere(text) => {
                self.exports.push(text.clone());
                self.command(&Typed { line: step.line, text, shown: Vec::new() }, &step.marks)
            }
            What::Commands(commands) => commands.iter().try_for_each(|typed| self.command(typed, &step.marks)),
            What::Log(shown) => {
                self.expect_log(&shown, step.line, "the log");
                Ok(())
            }
        }
    }

    fn command(&mut self, typed: &Typed, marks: &Marks) -> Result<(), String> {
        self.outcome.commands += 1;
        let typed = &marks.apply(typed);
        let text = self.ports.to_free(&typed.text);
        let ends_another = text == CTRL_C || words::keeps_terminal(&text);
        if ends_another && !self.second.interrupt() {
            return Err(self.report(typed, "what ran before is still there after Ctrl-C", &[]));
        }
        if text == CTRL_C {
            self.expect_log(&typed.shown, typed.line, CTRL_C);
            return Ok(());
        }
        if text.starts_with("export ") {
            self.exports.push(text.clone());
        }
        if words::starts_a_server(&text) && !self.ports_are_given_back() {
            return Err(self.report(typed, "what was ended before is still there", &[]));
        }
        self.ended.extend(words::ended(&text).into_iter().map(str::to_owned));
        if words::keeps_terminal(&text) { self.serve(typed, &text) } else { self.run(typed, &text) }
    }

    /// Waits for the end of what was told to end. A reader types more slowly than a server ends, and this does not.
    fn ports_are_given_back(&mut self) -> bool {
        let mut printed = Printed { lines: Vec::new(), status: None };
        let ended = mem::take(&mut self.ended);
        if ended.is_empty() {
            return true;
        }
        self.first.skip();
        self.first.begin(&format!("wait {}", ended.join(" ")));
        self.first.read(&mut printed, |printed| printed.status.is_some())
    }

    /// A command that keeps the second terminal.
    fn serve(&mut self, typed: &Typed, text: &str) -> Result<(), String> {
        for export in mem::take(&mut self.exports) {
            self.second.begin(&export);
            let mut printed = Printed { lines: Vec::new(), status: None };
            self.second.read(&mut printed, |printed| printed.status.is_some());
        }
        self.seen = lock(&self.log).len();
        self.second.begin(text);
        let wanted = words::ready_lines(text);
        let mut printed = Printed { lines: Vec::new(), status: None };
        let in_time = self.second.read(&mut printed, |printed| {
            printed.status.is_some() || printed.lines.iter().filter(|line| line.starts_with("READY ")).count() >= wanted
        });
        if !in_time || printed.status.is_some() && typed.shown.is_empty() {
            return Err(self.report(typed, "it does not serve", &printed.lines));
        }
        self.expect_log(&typed.shown, typed.line, &typed.text);
        Ok(())
    }

    /// A command that ends, though it may leave something running.
    fn run(&mut self, typed: &Typed, text: &str) -> Result<(), String> {
        self.first.skip();
        let mut printed = Printed { lines: Vec::new(), status: None };
        let wanted = words::ready_lines(text);
        self.first.begin(text);
        let is_ready = |printed: &Printed| {
            printed.status.is_some() && printed.lines.iter().filter(|line| line.starts_with("READY ")).count() >= wanted
        };
        if !self.first.read(&mut printed, is_ready) {
            return Err(self.report(typed, "it does not end, or what it starts is not ready", &printed.lines));
        }
        if let Some(port) = self.ports_of(text).into_iter().find(|port| !is_listened_at(*port)) {
            return Err(self.report(typed, &format!("nobody listens on port {port}"), &printed.lines));
        }
        let ports = &self.ports;
        let book = |printed: &Printed| printed.lines.iter().map(|line| ports.to_book(line)).collect::<Vec<_>>();
        let same = |printed: &Printed| same_output(&typed.shown, &book(printed), is_aside);
        let waits = !typed.shown.is_empty() && words::leaves_something(text);
        let mut as_shown = if waits { self.first.read_for(LATE, &mut printed, same) } else { same(&printed) };
        // A log is written a moment after the answer: a reader looks again.
        let late = now() + LATE;
        while !as_shown && words::only_looks(text) && now() < late {
            printed = Printed { lines: Vec::new(), status: None };
            self.first.begin(text);
            as_shown = self.first.read(&mut printed, is_ready) && same(&printed);
        }
        let got = book(&printed);
        if typed.shown.is_empty() {
            let said_no = got.iter().any(|line| line.starts_with("curl: ("));
            // `diff` says 1 where there is a difference.
            let fine = printed.status == Some(0) || text.starts_with("diff ") && printed.status == Some(1);
            if !fine || said_no {
                let status = format!("it fails ({:?})", printed.status);
                self.outcome.failures.push(self.report(typed, &status, &got));
            }
        } else if !as_shown {
            self.outcome.failures.push(self.report(typed, "its output is not what the page shows", &got));
        }
        Ok(())
    }

    /// The ports on which programs will listen that do not say when they are ready: those that they were given, or that
    /// stand in a file that they were given.
    fn ports_of(&self, command: &str) -> Vec<u16> {
        let programs = words::others(command);
        let files = programs.iter().flat_map(|program| program.split_whitespace()).filter_map(|word| {
            let name = Path::new(word.trim_matches('"')).file_name()?;
            fs::read_to_string(self.workplace.path().join(name)).ok()
        });
        let texts: Vec<String> = files.chain(programs.iter().map(|&program| program.to_owned())).collect();
        let is_named = |port: &u16| texts.iter().any(|text| text.contains(&port.to_string()));
        OF_THE_BOOK.iter().map(|port| self.ports.of(*port)).filter(is_named).collect()
    }

    /// Waits until the log has what the page shows.
    fn expect_log(&mut self, shown: &[String], line: usize, what: &str) {
        let deadline = now() + LATE;
        loop {
            let got: Vec<String> = lock(&self.log)[self.seen..].iter().map(|line| self.ports.to_book(line)).collect();
            match find_lines(shown, &got) {
                Ok(lines) => {
                    self.seen += lines;
                    return;
                }
                Err(_) if now() < deadline => thread::park_timeout(Duration::from_millis(10)),
                Err(missing) => {
                    let shown = vec![missing.to_owned()];
                    let typed = Typed { line, text: what.to_owned(), shown };
                    self.outcome.failures.push(self.report(&typed, "a line did not come", &got));
                    return;
                }
            }
        }
    }

    fn report(&self, typed: &Typed, problem: &str, got: &[String]) -> String {
        let indented = |lines: &[String]| lines.iter().map(|line| format!("\n    {line}")).collect::<String>();
        let Typed { line, text, shown } = typed;
        let shown = if shown.is_empty() { String::new() } else { format!("\n  expected:{}", indented(shown)) };
        let got: Vec<String> = got.iter().rev().take(LAST_LINES).rev().map(|line| self.ports.to_book(line)).collect();
        format!("{}:{line}: {problem}\n  $ {text}{shown}\n  got:{}", self.name, indented(&got))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play_blocks(page: &str) -> Outcome {
        play("page.md", page, |program| program != "missing")
    }

    #[test]
    fn a_page_that_is_true_passes() {
        let page = "```console\n$ (sleep 0.2; echo late > file) & touch file\n$ cat file\nlate\n```\n";
        assert_eq!(play_blocks(page).failures, Vec::<String>::new());
        let page = "```python\n# a.py\nprint('hi', 3000)\n```\n```console\n$ export A=b\n$ python3 a.py; echo $A\nhi 3000\nb\n$ (sleep 0.2; echo late) &\nlate\n$ diff a.py /dev/null\n```\n";
        let outcome = play_blocks(page);
        assert_eq!((outcome.failures, outcome.commands), (Vec::new(), 4));
    }

    #[test]
    fn a_page_that_lies_is_noticed() {
        for (block, report) in [
            (
                "$ echo a\nb\n",
                "page.md:2: its output is not what the page shows\n  $ echo a\n  expected:\n    b\n  got:\n    a",
            ),
            ("$ echo a\na\nb\n", "page.md:2: its output is not what the page shows"),
            ("$ true\n$ false\n", "page.md:3: it fails (Some(1))\n  $ false"),
            ("$ no-such-program\n", "page.md:2: it fails (Some(127))"),
            ("$ milestone1 --no-such-flag\n", "page.md:2: it does not serve"),
        ] {
            let failures = play_blocks(&format!("```console\n{block}```\n")).failures;
            assert!(failures.len() == 1 && failures[0].starts_with(report), "{block:?}: {failures:?}");
        }
    }

    #[test]
    fn blocks_that_are_not_run_are_listed() {
        let page = "<!-- run: needs missing -->\n```console\n$ false\n```\n<!-- run: not, too long -->\n```console\n$ false\n```\n<!-- run: false as true -->\n```console\n$ false\n```\n";
        let outcome = play_blocks(page);
        assert_eq!(outcome.failures, Vec::<String>::new());
        assert_eq!(
            (outcome.skipped, outcome.not_run),
            (vec!["page.md:2: there is no missing".to_owned()], vec!["page.md:6: too long".to_owned()])
        );
    }
}
