//! A package in the target directory, for programs that are not in the repository: a student's files, mutants of solutions.
//!
//! It has the dependencies of the exercises in the versions of the repository, forbids unsafe code as they do, and nothing of
//! the programs' own manifests or build scripts.

use crate::project;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A program of such a package.
#[derive(Debug)]
pub(crate) struct Program {
    /// The name of its binary: unique among everything that is built in the target directory.
    pub(crate) name: String,
    /// Its source.
    pub(crate) text: String,
}

/// Writes the package `name` and returns its folder.
pub(crate) fn package(name: &str, programs: &[Program]) -> io::Result<PathBuf> {
    let directory = project::target().join(name);
    fs::create_dir_all(&directory)?;
    let manifest = fs::read_to_string(project::root().join("exercises/Cargo.toml"))?;
    let mut text = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\n[workspace]\n\n\
         [profile.dev]\nopt-level = 1\ndebug = false\n\n[lints.rust]\nunsafe_code = \"forbid\"\n\n{}\n",
        dependencies(&manifest)
    );
    for Program { name, text: source } in programs {
        project::write_if_changed(&directory.join(format!("{name}.rs")), source)?;
        text += &format!("\n[[bin]]\nname = \"{name}\"\npath = \"{name}.rs\"\n");
    }
    // The same versions as everywhere: nothing has to be downloaded.
    copy_if_there(&project::root().join("Cargo.lock"), &directory.join("Cargo.lock"))?;
    project::write_if_changed(&directory.join("Cargo.toml"), &text)?;
    Ok(directory)
}

fn copy_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The table of dependencies, as the manifest has it.
fn dependencies(manifest: &str) -> &str {
    let table = manifest.split("\n\n").find(|table| table.starts_with("[dependencies]"));
    table.unwrap_or("[dependencies]")
}

/// Removes the package and the binaries that were built from it.
pub(crate) fn remove(name: &str, programs: &[Program]) {
    let _ = fs::remove_dir_all(project::target().join(name));
    for program in programs {
        let path = project::program(&program.name);
        let _ = fs::remove_file(path.with_extension("d"));
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_dependencies_ends_where_the_next_begins() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\nsocket2 = \"0.6\"\nnix = \"0.31\"\n\n[lints.rust]\n";
        assert_eq!(dependencies(manifest), "[dependencies]\nsocket2 = \"0.6\"\nnix = \"0.31\"");
        assert_eq!(dependencies("[package]\n"), "[dependencies]");
    }
}
