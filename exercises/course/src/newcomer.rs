//! `dev new`: the files of a new exercise, complete enough that everything builds and its one check runs.

use crate::{commands::Refused, project};
use clap::Args;
use std::{fs, path::PathBuf};

/// The arguments of `dev new`.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Its id and its folder: e49-optimise
    slug: String,
    /// In the first line of reports
    #[arg(long)]
    title: String,
    /// The page in docs/course that comes before it: 17-measuring
    #[arg(long)]
    chapter: String,
    /// How long it takes
    #[arg(long)]
    minutes: u32,
}

/// The files, by what is written into them.
fn files(new: &New, id: &str) -> Vec<(PathBuf, String)> {
    let New { slug, title, minutes, .. } = new;
    let (course, exercises) = (project::root().join("exercises/course"), project::root().join("exercises"));
    let readme = format!(
        "# {} {title}\n\n{minutes} minutes. The file to edit: `exercises/{slug}/main.rs`. The command: `cargo course check {id}`.\n\n\
         ## What it does\n\n- `--listen HOST:PORT` says where. Once it listens, it prints `READY ADDR` on stdout. The starter does that already.\n\n\
         ## What is checked\n\n`cargo course check {id}` runs these checks: greets.\n",
        id.to_uppercase()
    );
    let hints = format!("# Hints for {}\n\n## 1\n\n\n## 2\n\n\n## 3\n\n", id.to_uppercase());
    vec![
        (exercises.join(format!("solutions/{slug}.rs")), SOLUTION.replace("TITLE", title).replace("ID", id)),
        (exercises.join(slug).join("README.md"), readme),
        (exercises.join(slug).join("HINTS.md"), hints),
        (course.join(format!("src/checks/{id}.rs")), CHECKS.replace("TITLE", title)),
    ]
}

/// Makes the files, and names the exercise where all are named.
#[allow(clippy::print_stdout)]
pub(crate) fn new(new: &New) -> Result<u8, Refused> {
    let well_formed = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let Some((id, _)) = new.slug.split_once('-').filter(|_| well_formed(&new.slug)) else {
        return Err(Refused::usage(format!("{:?} is not ID-NAME, such as e49-optimise", new.slug)));
    };
    let course = project::root().join("exercises/course");
    let lists = [
        (course.join("src/checks/mod.rs"), in_checks as fn(&str, &New, &str) -> Option<String>),
        (course.join("src/catalog.rs"), in_catalog),
        (course.join("tests/door.rs"), in_door),
    ];
    let mut wanted = files(new, id);
    if let Some((path, _)) = wanted.iter().find(|(path, _)| path.exists()) {
        return Err(Refused::usage(format!("{} is there already", path.display())));
    }
    for (path, change) in lists {
        let text = fs::read_to_string(&path)?;
        let changed = change(&text, new, id);
        let changed = changed.ok_or_else(|| Refused::usage(format!("{}: no place for {id}", path.display())))?;
        wanted.push((path, changed));
    }
    for (path, text) in &wanted {
        project::write_if_changed(path, text)?;
        println!("{}", path.strip_prefix(project::root()).unwrap_or(path).display());
    }
    println!("Now: cargo course dev sync, then cargo course dev check {id}, and mistakes for exercises/mutants.txt.");
    Ok(0)
}

/// The list of modules, in order.
fn in_checks(text: &str, _: &New, id: &str) -> Option<String> {
    let module = |line: &&str| line.starts_with("pub(crate) mod ");
    let line = format!("pub(crate) mod {id};");
    let after = text.lines().find(|other| module(other) && **other > *line)?;
    Some(text.replacen(after, &format!("{line}\n{after}"), 1))
}

/// The last exercise of its chapter.
fn in_catalog(text: &str, new: &New, id: &str) -> Option<String> {
    let New { slug, title, chapter, minutes } = new;
    let entry = format!(
        "    Exercise {{\n        id: \"{id}\",\n        slug: \"{slug}\",\n        title: {title:?},\n        chapter: \"{chapter}\",\n        \
         minutes: {minutes},\n        checks: checks::{id}::CHECKS,\n        starter_passes: &[],\n        next: \"\",\n    }},\n"
    );
    let later = |text: &str| {
        let chapters = text.match_indices("        chapter: \"").map(|(at, before)| at + before.len());
        let mut after =
            chapters.filter(|at| text[*at..].split('"').next().is_some_and(|other| other > chapter.as_str()));
        text[..after.next()?].rfind("    Exercise {\n")
    };
    let at = later(text).or_else(|| text.find("\n];\n").map(|end| end + 1))?;
    Some(format!("{}{entry}{}", &text[..at], &text[at..]))
}

/// Its test for those who like tests.
fn in_door(text: &str, new: &New, id: &str) -> Option<String> {
    let name = new.slug.replace('-', "_");
    Some(format!("{}\n\n#[test]\nfn {name}() {{\n    check(\"{id}\");\n}}\n", text.trim_end()))
}

const SOLUTION: &str = r#"//! TITLE.

// SOLUTION
use std::io::Write as _;
// END
use std::net::{TcpListener, TcpStream};
use std::{env, io, process::ExitCode};

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: ID --listen HOST:PORT");
        return ExitCode::from(2);
    };
    match run(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    for stream in listener.incoming() {
        if let Err(error) = stream.and_then(serve) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn serve(stream: TcpStream) -> io::Result<()> {
    // STARTER
    //| // TODO: greet the client with the line `Hello!`.
    //| let _ = stream;
    //| Ok(())
    // SOLUTION
    (&stream).write_all(b"Hello!\n")
    // END
}
"#;

const CHECKS: &str = r#"//! TITLE.

use crate::{catalog::Check, problem::Problem, stage::Stage};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] =
    &[Check { name: "greets", promise: "each client is greeted with the line Hello!", run: greets }];

fn greets(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut client = stage.connect()?;
    client.expect(b"Hello!\n", "the line `Hello!`")?;
    client.expect_end("FIN after the greeting")
}
"#;
