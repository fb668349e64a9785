//! A password that is not to stand on a command line, which all users of the machine can read.

use super::Failure;
use std::{fs, path::Path};

/// The first line of the file that `flag` names.
///
/// # Errors
///
/// It cannot be read, or there is nothing in that line.
pub fn secret(flag: &str, file: &Path) -> Result<String, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("{flag} {}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(&error))?;
    match text.lines().next() {
        None | Some("") => Err(wrong(&"its first line is empty")),
        Some(line) => Ok(line.to_owned()),
    }
}
