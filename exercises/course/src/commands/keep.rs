//! `reset` and `undo`: the starter again, and back. Nothing is ever lost: whatever is replaced is kept as a file first.

use super::{Refused, exercise_named};
use crate::{catalog::Exercise, project, regions};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The folder of what was replaced: `1.rs`, `2.rs`, and so on.
fn folder(exercise: &Exercise) -> PathBuf {
    project::root().join("exercises/kept").join(exercise.slug)
}

/// The numbers of the kept files, in order.
fn numbers(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs")?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Keeps `text` under the next number, unless it is kept already.
fn keep(folder: &Path, text: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let mut known = numbers(folder).into_iter().map(|number| folder.join(format!("{number}.rs")));
    if let Some(path) = known.find(|path| fs::read_to_string(path).is_ok_and(|kept| kept == text)) {
        return Ok(path);
    }
    loop {
        let path = folder.join(format!("{}.rs", numbers(folder).last().unwrap_or(&0) + 1));
        // Another run may have taken the number meanwhile: a file that is there is never written over.
        match fs::File::create_new(&path) {
            Ok(mut file) => return io::Write::write_all(&mut file, text.as_bytes()).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// The file as a student gets it: from the solution, or where there are none, from the copy that came along.
pub(crate) fn starter(exercise: &Exercise) -> Result<String, Refused> {
    let solution = project::solution(exercise);
    match fs::read_to_string(&solution) {
        Ok(text) => regions::starter(&text).map_err(|error| Refused::usage(format!("{}: {error}", solution.display()))),
        Err(_) => {
            let path = project::root().join("exercises/starters").join(format!("{}.rs", exercise.slug));
            fs::read_to_string(&path).map_err(|error| Refused(format!("{}: {error}", path.display()), 3))
        }
    }
}

/// Puts `text` into the file that a student edits, in one step.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("rs.new");
    fs::write(&beside, text)?;
    fs::rename(beside, path)
}

fn named(path: &Path) -> String {
    path.strip_prefix(project::root()).unwrap_or(path).display().to_string()
}

#[allow(clippy::print_stdout)]
pub(crate) fn reset(name: &str) -> Result<u8, Refused> {
    let exercise = exercise_named(name)?;
    let path = project::root().join(project::edited(exercise));
    let (starter, now) = (starter(exercise)?, fs::read_to_string(&path).unwrap_or_default());
    if now == starter {
        println!("{} is the starter already.", named(&path));
        return Ok(0);
    }
    let kept = if now.is_empty() { None } else { Some(keep(&folder(exercise), &now)?) };
    put(&path, &starter)?;
    println!("{} is the starter again.", named(&path));
    if let Some(kept) = kept {
        println!("What it was is in {}: cargo course undo {}", named(&kept), exercise.id);
    }
    Ok(0)
}

#[allow(clippy::print_stdout)]
pub(crate) fn undo(name: &str) -> Result<u8, Refused> {
    let exercise = exercise_named(name)?;
    let (path, folder) = (project::root().join(project::edited(exercise)), folder(exercise));
    let now = fs::read_to_string(&path).unwrap_or_default();
    // A text that is there already need not be brought back.
    let last = numbers(&folder).into_iter().rev().map(|number| folder.join(format!("{number}.rs")));
    let Some((from, text)) =
        last.filter_map(|from| fs::read_to_string(&from).ok().map(|text| (from, text))).find(|(_, text)| *text != now)
    else {
        return Err(Refused::usage(format!("nothing was kept of {}", exercise.id)));
    };
    let kept = keep(&folder, &now)?;
    put(&path, &text)?;
    println!("{} is what it was: {}.", named(&path), named(&from));
    println!("What it was until now is in {}; undo once more brings that back.", named(&kept));
    Ok(0)
}
