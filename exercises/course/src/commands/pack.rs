//! `pack --student DIR`: a copy of the course for students, without the solutions and what tells of them.

use super::{Refused, keep};
use crate::{catalog::EXERCISES, project, quiz::answers};
use clap::Args;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The arguments of `pack`.
#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// The folder that is made for it
    #[arg(long, value_name = "DIR")]
    student: PathBuf,
}

/// Paths from the root that students do not get: answers, one student's state, tests of the graders, what was built.
const LEFT_OUT: [&str; 9] = [
    ".git",
    ".ci",
    "target",
    "exercises/solutions",
    "exercises/mutants.txt",
    "exercises/kept",
    "exercises/progress.txt",
    "exercises/course/tests/runner.rs",
    "exercises/course/tests/reports",
];

#[allow(clippy::print_stdout)]
pub(crate) fn pack(args: &Pack) -> Result<u8, Refused> {
    let (root, to) = (project::root(), &args.student);
    if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Refused::usage(format!("{} is not empty", to.display())));
    }
    fs::create_dir_all(to)?;
    // A copy inside of what is copied would have no end.
    let outside = !fs::canonicalize(to)?.starts_with(fs::canonicalize(&root)?);
    if !outside {
        return Err(Refused::usage(format!("{} is inside of this repository", to.display())));
    }
    copy(&root, Path::new(""), to)?;
    for exercise in EXERCISES {
        let starter = keep::starter(exercise)?;
        project::write_if_changed(&to.join("exercises/starters").join(format!("{}.rs", exercise.slug)), &starter)?;
        project::write_if_changed(&to.join(project::edited(exercise)), &starter)?;
    }
    // Predictions of somebody else would be read.
    project::write_if_changed(&to.join(answers::path()), &answers::blank())?;
    for (file, change) in [("Cargo.toml", without_member as fn(&str) -> String), ("Cargo.lock", without_package)] {
        let path = to.join(file);
        let text = fs::read_to_string(&path)?;
        project::write_if_changed(&path, &change(&text))?;
    }
    println!("{} has the course without its solutions: {} exercises.", to.display(), EXERCISES.len());
    println!("Try it: cd {} && cargo course", to.display());
    Ok(0)
}

fn copy(root: &Path, folder: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if LEFT_OUT.iter().any(|left_out| path == Path::new(left_out)) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir_all(to.join(&path))?;
            copy(root, &path, to)?;
        } else if kind.is_file() {
            fs::copy(root.join(&path), to.join(&path))?;
        }
    }
    Ok(())
}

/// The workspace without the package of the solutions.
fn without_member(manifest: &str) -> String {
    manifest.replace(", \"exercises/solutions\"", "")
}

/// The lock file without it, so that `--locked` goes on to work.
fn without_package(lock: &str) -> String {
    let stanzas: Vec<&str> = lock.split("\n\n").filter(|stanza| !stanza.contains("name = \"solutions\"\n")).collect();
    let text = stanzas.join("\n\n");
    if text.ends_with('\n') { text } else { text + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_forgets_the_solutions() {
        let manifest = "members = [\".\", \"exercises\", \"exercises/course\", \"exercises/solutions\"]\n";
        assert_eq!(without_member(manifest), "members = [\".\", \"exercises\", \"exercises/course\"]\n");
        let lock =
            "version = 4\n\n[[package]]\nname = \"a\"\n\n[[package]]\nname = \"solutions\"\nversion = \"0.0.0\"\n";
        assert_eq!(without_package(lock), "version = 4\n\n[[package]]\nname = \"a\"\n");
    }
}
