//! The checks of an exercise side by side: most of them wait for something, so a processor has time for several.
//!
//! Each runs in a runner of its own, so that no check sees the programs of another. A pass counts. A failure does not, because
//! the others may have taken its time: all others are ended, and that check is run once more, alone. Its report is the one that is shown.

use crate::{
    catalog::{Check, Exercise},
    runner::{self, Options, Outcome},
    running,
};
use std::{
    env, io,
    path::Path,
    process::{Command, Stdio},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The number of checks that run at once, for each processor.
const FOR_EACH_PROCESSOR: usize = 2;
/// A machine that is so much slower than one at rest has no time for several: more of them would fail, and be run twice.
const BUSY: f64 = 3.0;

/// Runs the checks of `exercise` up to the first that fails, as [`runner::run`] does; `told` hears of each in their order.
pub(crate) fn run(
    exercise: &Exercise,
    program: &Path,
    options: Options<'_>,
    mut told: impl FnMut(&Outcome),
) -> Vec<Outcome> {
    let in_order = options.only.is_some() || options.all || options.live || options.at.is_some();
    if in_order || options.timing.scale() > BUSY {
        return runner::run(exercise, program, options, told);
    }
    let mut verdicts = vec![None; exercise.checks.len()];
    let mut outcomes: Vec<Outcome> = Vec::new();
    while let Some(check) = exercise.checks.get(outcomes.len()) {
        // A program that is not right yet, or harms the machine, nearly always fails the first one. So this one is alone.
        let alone = outcomes.is_empty() || verdicts[outcomes.len()] == Some(Verdict::Failed);
        if alone {
            let outcome = runner::check(check, program, options);
            told(&outcome);
            let failed = outcome.failure.is_some();
            outcomes.push(outcome);
            if failed {
                break;
            }
        }
        let ahead = Ahead { exercise, program, options, state: Mutex::new(State::new(verdicts)), more: Condvar::new() };
        ahead.go_on(&mut outcomes, &mut told);
        verdicts = ahead.state.into_inner().unwrap_or_else(PoisonError::into_inner).verdicts;
    }
    outcomes
}

/// The end of a check that ran beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It passed, and took so long.
    Passed(Duration),
    /// It failed, or could not be run.
    Failed,
}

struct State {
    /// Those that are known, by the place of their check.
    verdicts: Vec<Option<Verdict>>,
    /// The places of checks that were begun.
    begun: Vec<bool>,
    /// The runners that run.
    runners: Vec<u32>,
    /// No check is begun any more.
    stops: bool,
}

impl State {
    fn new(verdicts: Vec<Option<Verdict>>) -> Self {
        let begun = verdicts.iter().map(Option::is_some).collect();
        Self { verdicts, begun, runners: Vec::new(), stops: false }
    }
}

/// Checks that are run before their turn has come.
struct Ahead<'a> {
    exercise: &'a Exercise,
    program: &'a Path,
    options: Options<'a>,
    state: Mutex<State>,
    /// A verdict is known.
    more: Condvar,
}

impl Ahead<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds outcomes in the order of the checks, up to the first that did not pass.
    fn go_on(&self, outcomes: &mut Vec<Outcome>, mut told: impl FnMut(&Outcome)) {
        self.lock().begun[..outcomes.len()].fill(true);
        let at_once = FOR_EACH_PROCESSOR * thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| self.work());
            }
            while let Some(check) = self.exercise.checks.get(outcomes.len()) {
                let Verdict::Passed(took) = self.verdict(outcomes.len()) else { break };
                let outcome = Outcome { check, failure: None, took };
                told(&outcome);
                outcomes.push(outcome);
            }
            self.stop();
        });
    }

    /// Waits until it is known how the check in this place has ended.
    fn verdict(&self, place: usize) -> Verdict {
        let state = self.more.wait_while(self.lock(), |state| state.verdicts[place].is_none());
        state.unwrap_or_else(PoisonError::into_inner).verdicts[place].unwrap_or(Verdict::Failed)
    }

    /// Runs one check after the other that nobody else runs.
    fn work(&self) {
        loop {
            let place = {
                let mut state = self.lock();
                let Some(place) = state.begun.iter().position(|begun| !begun).filter(|_| !state.stops) else { return };
                state.begun[place] = true;
                place
            };
            let verdict = self.run(&self.exercise.checks[place]).unwrap_or(Verdict::Failed);
            let mut state = self.lock();
            // One that was ended in the middle says nothing.
            if verdict != Verdict::Failed || !state.stops {
                state.verdicts[place] = Some(verdict);
            }
            self.more.notify_all();
        }
    }

    /// Runs one check in a runner of its own.
    fn run(&self, check: &Check) -> io::Result<Verdict> {
        let begun = Instant::now();
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["dev", "one", self.exercise.id, check.name, "--seed", &format!("{:x}", self.options.seed)])
            .arg(self.program)
            .env("COURSE_SCALE", self.options.timing.scale().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = {
            let mut state = self.lock();
            if state.stops {
                return Ok(Verdict::Failed);
            }
            let child = running::runner(|| command.spawn())?;
            state.runners.push(child.id());
            child
        };
        let ended = child.wait();
        running::forget(child.id());
        self.lock().runners.retain(|id| *id != child.id());
        Ok(if ended?.success() { Verdict::Passed(begun.elapsed()) } else { Verdict::Failed })
    }

    /// Ends what still runs: each runner ends its program.
    fn stop(&self) {
        let mut state = self.lock();
        state.stops = true;
        state.runners.iter().for_each(|id| running::ask(*id));
    }
}
