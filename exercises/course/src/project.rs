//! Where things are, and how a student's program is built.

use crate::catalog::Exercise;
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the repository that this runner was built in.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The file that a student edits.
pub(crate) fn edited(exercise: &Exercise) -> PathBuf {
    Path::new("exercises").join(exercise.slug).join("main.rs")
}

/// Builds one binary of one package; what the compiler says goes to the terminal. `None`: it does not build.
pub(crate) fn build(package: &str, binary: &str) -> io::Result<Option<PathBuf>> {
    cargo(&root(), &["build", "--quiet", "--package", package, "--bin", binary])
        .map(|built| built.then(|| target().join("debug").join(binary)))
}

/// Runs cargo in `directory` with the target directory of this project. `false`: it failed.
pub(crate) fn cargo(directory: &Path, args: &[&str]) -> io::Result<bool> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(args).current_dir(directory).env("CARGO_TARGET_DIR", target()).status()?;
    Ok(status.success())
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |named| root().join(named))
}

/// Writes `text` if the file does not have it already. `true`: it was changed.
pub(crate) fn write_if_changed(path: &Path, text: &str) -> io::Result<bool> {
    if fs::read_to_string(path).is_ok_and(|before| before == text) {
        return Ok(false);
    }
    fs::write(path, text)?;
    Ok(true)
}
