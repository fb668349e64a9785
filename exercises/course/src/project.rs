//! Where things are, and how a student's program is built.

use crate::{catalog::Exercise, running};
use std::{
    env, fs,
    io::{self, Read as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A build that takes longer does not end: a macro or a constant goes round and round. The first one builds dependencies, too.
const BUILD_TIME: Duration = Duration::from_secs(300);

/// How long a build may take; `COURSE_BUILD_SECONDS` says otherwise.
pub(crate) fn build_time() -> Duration {
    let said = env::var("COURSE_BUILD_SECONDS").ok().and_then(|text| text.parse().ok());
    said.map_or(BUILD_TIME, Duration::from_secs)
}

/// The root of the repository that this runner was built in; `COURSE_ROOT` names another one, for tests.
pub(crate) fn root() -> PathBuf {
    if let Some(root) = env::var_os("COURSE_ROOT") {
        return root.into();
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The file that a student edits, from the root.
pub(crate) fn edited(exercise: &Exercise) -> PathBuf {
    Path::new("exercises").join(exercise.slug).join("main.rs")
}

/// The file with the model answer, and the regions that a starter is made from. Students may not have it.
pub(crate) fn solution(exercise: &Exercise) -> PathBuf {
    root().join("exercises/solutions").join(format!("{}.rs", exercise.slug))
}

/// How a build ended.
#[derive(Debug)]
pub(crate) enum Built {
    /// With this program.
    Program(PathBuf),
    /// It does not compile; these are the compiler's words, if they were kept.
    Fails(String),
    /// The compiler did not come to an end.
    TakesTooLong,
}

/// The way that the compiler's words go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// They go to the terminal.
    Shown,
    /// They are kept.
    Kept,
}

/// Builds one binary of one package of the workspace. `None`: it does not build, and the compiler has said why.
pub(crate) fn build(package: &str, binary: &str) -> io::Result<Option<PathBuf>> {
    let built = try_build(&root(), package, binary, Words::Shown)?;
    Ok(if let Built::Program(path) = built { Some(path) } else { None })
}

/// The same, with what went wrong.
pub(crate) fn try_build(directory: &Path, package: &str, binary: &str, words: Words) -> io::Result<Built> {
    let args = ["build", "--quiet", "--package", package, "--bin", binary];
    Ok(match cargo(directory, &args, words, build_time())? {
        Ran::Well => Built::Program(program(binary)),
        Ran::Badly(words) => Built::Fails(words),
        Ran::TooLong => Built::TakesTooLong,
    })
}

/// Where a built binary is.
pub(crate) fn program(binary: &str) -> PathBuf {
    target().join("debug").join(binary)
}

/// How cargo ran.
#[derive(Debug)]
pub(crate) enum Ran {
    /// It succeeded.
    Well,
    /// It failed, with these words if they were kept.
    Badly(String),
    /// It was ended.
    TooLong,
}

/// Runs cargo in `directory` with the target directory of this project; it is ended if it takes longer than `within`.
pub(crate) fn cargo(directory: &Path, args: &[&str], words: Words, within: Duration) -> io::Result<Ran> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(directory).env("CARGO_TARGET_DIR", target()).stdin(Stdio::null()).process_group(0);
    if words == Words::Kept {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
    }
    let mut child = running::group(|| command.spawn())?;
    let said = child.stderr.take().map(|mut stderr| {
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let ended = wait(&mut child, within)?;
    if ended.is_none() {
        running::end(&mut child);
        return Ok(Ran::TooLong);
    }
    running::forget(child.id());
    let text = said.and_then(|thread| thread.join().ok()).unwrap_or_default();
    Ok(if ended.is_some_and(|status| status.success()) { Ran::Well } else { Ran::Badly(text) })
}

fn wait(child: &mut Child, within: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + within;
    loop {
        match child.try_wait()? {
            None if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            ended => return Ok(ended),
        }
    }
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
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    Ok(true)
}
