//! `watch`: checks again on each save, and listens to a few keys meanwhile.
//!
//! The checks run in a process of their own, so that a key or a save never waits for them: a run that is out of date is
//! asked to end.

use super::{Refused, named_or_next};
use crate::{
    catalog::{EXERCISES, Exercise},
    project, running,
    terminal::{self, Keys},
};
use std::{
    env, fs, io,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_millis(250);

#[allow(clippy::print_stdout)]
pub(crate) fn watch(name: Option<&str>) -> Result<u8, Refused> {
    let mut keys = Keys::new();
    let mut exercise = named_or_next(name)?;
    loop {
        match (Watch { exercise, run: None, seen: None, sure: false }).until_moved(&mut keys)? {
            Move::Quit => return Ok(0),
            Move::Next => {
                let at = EXERCISES.iter().position(|other| other.id == exercise.id).unwrap_or(0);
                exercise = &EXERCISES[(at + 1) % EXERCISES.len()];
            }
        }
    }
}

enum Move {
    Next,
    Quit,
}

/// One exercise that is watched.
struct Watch {
    exercise: &'static Exercise,
    run: Option<Child>,
    seen: Option<SystemTime>,
    /// r was the last key: once more, and it is done.
    sure: bool,
}

impl Watch {
    fn until_moved(mut self, keys: &mut Keys) -> Result<Move, Refused> {
        loop {
            // An editor may replace the file: for a moment there is none.
            let changed = self.modified();
            if changed.is_some() && changed != self.seen {
                self.seen = changed;
                self.check()?;
            }
            if let Some(run) = &mut self.run
                && run.try_wait()?.is_some()
            {
                running::forget(run.id());
                self.run = None;
                self.menu();
            }
            let wait = if self.run.is_some() { EVERY / 5 } else { EVERY };
            if let Some(key) = keys.next(wait)
                && let Some(moved) = self.pressed(key)?
            {
                return Ok(moved);
            }
        }
    }

    fn modified(&self) -> Option<SystemTime> {
        fs::metadata(project::root().join(project::edited(self.exercise))).and_then(|data| data.modified()).ok()
    }

    #[allow(clippy::print_stdout)]
    fn check(&mut self) -> io::Result<()> {
        self.stop()?;
        terminal::clear();
        let Exercise { id, title, .. } = self.exercise;
        println!("{id} {title}: building and checking {} ...", project::edited(self.exercise).display());
        self.run = Some(self.course(&["check", id])?);
        Ok(())
    }

    /// Starts this program once more, as a command of its own.
    fn course(&self, args: &[&str]) -> io::Result<Child> {
        let mut command = Command::new(env::current_exe()?);
        // Keys are ours.
        command.args(args).stdin(Stdio::null());
        running::runner(|| command.spawn())
    }

    /// Ends a run that is under way; it ends the student's program.
    fn stop(&mut self) -> io::Result<()> {
        let Some(mut run) = self.run.take() else { return Ok(()) };
        let until = Instant::now() + Duration::from_secs(2);
        while run.try_wait()?.is_none() {
            // Asked again: it may have been about to begin, and not have listened yet.
            running::ask(run.id());
            if Instant::now() > until {
                run.kill()?;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        running::forget(run.id());
        Ok(())
    }

    #[allow(clippy::print_stdout)]
    fn menu(&self) {
        println!(
            "\nh hint   n next   l list   r reset   q quit        watching {}",
            project::edited(self.exercise).display()
        );
    }

    #[allow(clippy::print_stdout)]
    fn pressed(&mut self, key: u8) -> Result<Option<Move>, Refused> {
        let sure = std::mem::take(&mut self.sure);
        match key {
            b'q' => {
                self.stop()?;
                return Ok(Some(Move::Quit));
            }
            b'n' => {
                self.stop()?;
                return Ok(Some(Move::Next));
            }
            b'h' => self.show(&["hint", self.exercise.id])?,
            b'l' => self.show(&["list"])?,
            b'r' if sure => {
                self.show(&["reset", self.exercise.id])?;
            }
            b'r' => {
                self.sure = true;
                println!("r again puts the starter back; what you wrote is kept.");
            }
            b'\n' | b'\r' => self.check()?,
            _ => {}
        }
        Ok(None)
    }

    /// Shows what a quick command prints; the checks go on meanwhile.
    #[allow(clippy::print_stdout)]
    fn show(&mut self, args: &[&str]) -> io::Result<()> {
        println!();
        let mut command = self.course(args)?;
        command.wait()?;
        running::forget(command.id());
        if self.run.is_none() {
            self.menu();
        }
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
