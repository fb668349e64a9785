//! Answers in the order of their commands, or as they come; and how many commands may be without one.

use super::is_final;
use crate::{
    cli::Failure,
    client::{Answer, ClientArgs, Error, Fallback, Reply, Request},
    units::Counted,
};
use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, Write as _},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Prints, from any thread.
pub(super) struct Printer {
    state: Mutex<State>,
    /// Told when a permit comes back.
    returned: Condvar,
    unordered: bool,
    on_trouble: Box<dyn Fn(Trouble) + Send + Sync>,
}

/// Why it makes no sense to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server is not there.
    GaveUp,
    /// The reader of the answers is gone.
    Unread,
}

struct State {
    /// Commands that may still be read.
    permits: usize,
    /// The number of the command whose turn it is.
    next: u64,
    /// Done before its turn. `None`: nothing is to be printed.
    early: BTreeMap<u64, Option<String>>,
    fallback: Option<Fallback>,
    failed: u64,
    /// The reader of the answers is gone.
    unread: bool,
}

impl Printer {
    pub(super) fn new(args: &ClientArgs, on_trouble: impl Fn(Trouble) + Send + Sync + 'static) -> Self {
        let state = State {
            permits: args.window(),
            next: 1,
            early: BTreeMap::new(),
            fallback: args.fallback(),
            failed: 0,
            unread: false,
        };
        Self {
            state: Mutex::new(state),
            returned: Condvar::new(),
            unordered: args.unordered,
            on_trouble: Box::new(on_trouble),
        }
    }

    /// Waits until another command may be read.
    pub(super) fn acquire(&self) {
        let mut state = self.lock();
        // When the answers are not read, none comes that would give a permit back.
        while state.permits == 0 && !state.unread {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.permits = state.permits.saturating_sub(1);
    }

    /// A line that asks for nothing.
    pub(super) fn skip(&self, number: u64) {
        self.print(self.lock(), number, None);
    }

    /// A line that cannot be sent.
    pub(super) fn refused(&self, number: u64, text: &str, why: &dyn Display) {
        let mut state = self.lock();
        state.failed += 1;
        complain(number, text, why);
        self.print(state, number, None);
    }

    /// A command was answered or was not.
    pub(super) fn done(&self, number: u64, request: Request, result: Result<Answer, Error>) {
        let mut state = self.lock();
        if state.unread {
            return;
        }
        let reply = match &mut state.fallback {
            Some(fallback) => fallback.apply(&request, result),
            None => result.map(Reply::Live),
        };
        let text = match reply {
            Ok(Reply::Live(answer)) => Some(answer.text),
            Ok(Reply::Fallback { text, because }) => {
                complain(number, request.text(), &format_args!("{because}; the answer is a fallback"));
                Some(text)
            }
            Err(error) => {
                state.failed += 1;
                complain(number, request.text(), &error);
                if is_final(&error) {
                    (self.on_trouble)(Trouble::GaveUp);
                }
                None
            }
        };
        self.print(state, number, text);
    }

    /// Prints what has its turn.
    fn print(&self, mut state: MutexGuard<'_, State>, number: u64, text: Option<String>) {
        let mut output = String::new();
        if self.unordered {
            output.extend(text.map(|text| format!("#{number} {text}\n")));
            state.permits += 1;
        } else {
            state.early.insert(number, text);
            loop {
                let turn = state.next;
                let Some(text) = state.early.remove(&turn) else { break };
                output.extend(text.map(|text| text + "\n"));
                state.next += 1;
                state.permits += 1;
            }
        }
        // Under the lock, or the order would be lost.
        let mut stdout = io::stdout().lock();
        if stdout.write_all(output.as_bytes()).and_then(|()| stdout.flush()).is_err() && !state.unread {
            state.unread = true;
            (self.on_trouble)(Trouble::Unread);
        }
        drop(state);
        self.returned.notify_all();
    }

    /// Whether all went well.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.lock().failed {
            0 => Ok(()),
            1 => Err(Failure::Unanswered("one command has no answer".to_owned())),
            n => Err(Failure::Unanswered(format!("{} have no answer", Counted(n, "command")))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what became of a command; of a long one, its beginning.
fn complain(number: u64, text: &str, why: &dyn Display) {
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    let _ = writeln!(io::stderr(), "! line {number} {:?}{more}: {why}", shown);
}
