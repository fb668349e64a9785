//! The steps of a page: its code blocks, in order.

use std::{mem, path::Path, process::Command};

/// Something to do, and the line of the page where it stands.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub marks: Marks,
    pub what: What,
}

/// The kinds of blocks that the runner knows.
#[derive(Debug)]
pub enum What {
    /// A block whose first line is a comment with a file's name: the reader saves it.
    File { name: String, text: String },
    /// A block of shell code without prompts: for every terminal.
    Everywhere(String),
    /// `console`: commands, and what they print.
    Commands(Vec<Typed>),
    /// `log`: lines of programs that no step waits for.
    Log(Vec<String>),
}

/// One command of a `console` block.
#[derive(Debug, PartialEq, Eq)]
pub struct Typed {
    pub line: usize,
    pub text: String,
    /// The output that the page shows.
    pub shown: Vec<String>,
}

/// The marks in comments like `<!-- run: needs nginx; 10s as 300ms -->` before a block. A reader does not see them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Marks {
    /// The block is not run, for this reason.
    pub not: Option<String>,
    /// Programs without which the block is skipped.
    pub needs: Vec<String>,
    /// Texts of the commands and their output, and what is there instead: for what takes long.
    pub instead: Vec<(String, String)>,
}

impl Marks {
    /// The command that is run, and what it then prints.
    pub fn apply(&self, typed: &Typed) -> Typed {
        let replaced =
            |text: &String| self.instead.iter().fold(text.clone(), |text, (from, to)| text.replace(from, to));
        let shown = typed.shown.iter().map(replaced).collect();
        Typed { line: typed.line, text: replaced(&typed.text), shown }
    }

    fn read(comment: &str) -> Result<Self, String> {
        let mut marks = Self::default();
        if let Some(reason) = comment.strip_prefix("not,") {
            marks.not = Some(reason.trim().to_owned());
            return Ok(marks);
        }
        for clause in comment.split(';').map(str::trim) {
            if let Some(programs) = clause.strip_prefix("needs ") {
                marks.needs.extend(programs.split_whitespace().map(str::to_owned));
            } else if let Some((text, instead)) = clause.split_once(" as ") {
                marks.instead.push((text.to_owned(), instead.to_owned()));
            } else {
                return Err(format!("{clause:?}: write `not, REASON`, `needs PROGRAM` or `TEXT as TEXT`"));
            }
        }
        Ok(marks)
    }
}

/// Output of one of our programs: such a block has to be a `log`, or marked as one that is not compared.
fn looks_like_a_log(line: &str) -> bool {
    let start =
        line.split(' ').take(2).any(|word| ["INFO", "WARN", "ERROR", "DEBUG", "READY", "STATS"].contains(&word));
    start || ["* ", "! ", "error: "].iter().any(|mark| line.starts_with(mark))
}

/// The steps of a page, or what is wrong with it.
pub fn steps(page: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut marks = Marks::default();
    let mut lines = (1..).zip(page.lines());
    while let Some((line, text)) = lines.next() {
        if let Some(comment) = text.strip_prefix("<!-- run: ").and_then(|rest| rest.strip_suffix(" -->")) {
            marks = Marks::read(comment).map_err(|error| format!("line {line}: {error}"))?;
        } else if let Some(language) = text.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|(_, text)| *text != "```").collect();
            let marks = mem::take(&mut marks);
            let what = understand(language, &block, &marks).map_err(|error| format!("line {line}: {error}"))?;
            steps.extend(what.map(|what| Step { line, marks, what }));
        } else if marks != Marks::default() {
            return Err(format!("line {line}: a `run` comment stands right before its block"));
        }
    }
    Ok(steps)
}

/// The step that a block asks for; none if it is only to be read.
fn understand(language: &str, block: &[(usize, &str)], marks: &Marks) -> Result<Option<What>, String> {
    let texts = || block.iter().map(|(_, text)| (*text).to_owned());
    let whole = || texts().map(|text| text + "\n").collect::<String>();
    Ok(match language {
        "console" => Some(What::Commands(commands(block)?)),
        "log" => Some(What::Log(texts().collect())),
        "" | "text" if marks.not.is_some() => Some(What::Log(texts().collect())),
        "sh" => Some(What::Everywhere(whole())),
        "" | "text" if block.iter().any(|(_, text)| looks_like_a_log(text)) => {
            return Err("what our programs print is compared: make it a `log` block, or mark it `not`".to_owned());
        }
        _ => {
            let first = block.first().and_then(|(_, text)| text.strip_prefix("# "));
            let name = first.filter(|name| Path::new(name).extension().is_some() && !name.contains([' ', '/']));
            name.map(|name| What::File { name: name.to_owned(), text: whole() })
        }
    })
}

/// Takes a `console` block apart. A command goes on in the next line for as long as the shell would ask for more.
fn commands(block: &[(usize, &str)]) -> Result<Vec<Typed>, String> {
    let mut commands: Vec<Typed> = Vec::new();
    for (line, text) in block {
        let prompt = text.strip_prefix("$ ").or_else(|| (*text == CTRL_C).then_some(*text));
        match (prompt, commands.last_mut()) {
            (Some(text), _) => commands.push(Typed { line: *line, text: text.to_owned(), shown: Vec::new() }),
            (None, None) => return Err("output without a command".to_owned()),
            (None, Some(last)) if last.shown.is_empty() && !is_complete(&last.text) => {
                last.text.push('\n');
                last.text.push_str(text);
            }
            (None, Some(last)) => last.shown.push((*text).to_owned()),
        }
    }
    Ok(commands)
}

/// How a terminal shows Ctrl-C.
pub const CTRL_C: &str = "^C";

/// Whether the shell would run `command` now instead of asking for another line.
fn is_complete(command: &str) -> bool {
    if command.ends_with('\\') {
        return false;
    }
    let check = Command::new("bash").args(["-n", "-c", command]).output();
    check.is_ok_and(|checked| checked.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(page: &str) -> What {
        let mut steps = steps(page).unwrap();
        assert_eq!(steps.len(), 1, "{steps:?}");
        steps.remove(0).what
    }

    #[test]
    fn a_console_block_is_commands_and_their_output() {
        let page = "Text.\n\n```console\n$ for i in 1 2\ndo echo $i; done\n1\n2\n$ echo \\\n  a\n^C\n$ true\n```\n";
        let What::Commands(typed) = only(page) else { panic!("console") };
        let expected = [
            (4, "for i in 1 2\ndo echo $i; done", &["1", "2"][..]),
            (8, "echo \\\n  a", &[]),
            (10, CTRL_C, &[]),
            (11, "true", &[]),
        ];
        let typed: Vec<_> = typed.iter().map(|typed| (typed.line, typed.text.as_str(), typed.shown.clone())).collect();
        assert_eq!(
            typed,
            expected.map(|(line, text, shown)| (line, text, shown.iter().map(|s| (*s).to_owned()).collect()))
        );
    }

    #[test]
    fn a_named_block_is_a_file_and_others_are_only_read() {
        let What::File { name, text } = only("```python\n# a.py\nimport b\n```\n```rust\nfn c() {}\n```") else {
            panic!("a file");
        };
        assert_eq!((name.as_str(), text.as_str()), ("a.py", "# a.py\nimport b\n"));
        assert!(matches!(only("```sh\nf() { true; }\n```"), What::Everywhere(_)));
        assert!(matches!(only("```log\nINFO a\n```"), What::Log(lines) if lines == ["INFO a"]));
    }

    #[test]
    fn comments_say_how_a_block_is_run() {
        let steps = steps(
            "<!-- run: needs nginx wrk; 10s as 1s -->\n```console\n$ a\n```\n<!-- run: not, why -->\n```text\nREADY\n```",
        );
        let marks = steps.unwrap().remove(0).marks;
        assert_eq!((marks.needs.len(), marks.instead[0].1.as_str(), marks.not), (2, "1s", None));
        assert_eq!(Marks::read("not, a reason; with a semicolon").unwrap().not.unwrap(), "a reason; with a semicolon");
    }

    #[test]
    fn a_page_that_would_not_be_checked_is_an_error() {
        for (page, problem) in [
            ("```text\n02:29:04 INFO listening\n```", "line 1: what our programs print"),
            ("```\nREADY 127.0.0.1:8080\n```", "line 1: what our programs print"),
            ("```console\nno prompt\n```", "line 1: output without a command"),
            ("<!-- run: sometimes -->\n", "line 1: \"sometimes\""),
            ("<!-- run: needs wrk -->\n\n```console\n$ wrk\n```", "line 2: a `run` comment"),
        ] {
            let error = steps(page).unwrap_err();
            assert!(error.starts_with(problem), "{page:?}: {error}");
        }
    }
}
