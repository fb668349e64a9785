//! Which cells are measured, and in which order.

use crate::{cli::Failure, service::Service};
use clap::ValueEnum;
use serde::Serialize;
use std::{
    env, fmt,
    path::{Path, PathBuf},
};

/// A way to build a server, by the name of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// One client after another.
    Iterative,
    /// A process for each client.
    Fork,
    /// A thread for each client.
    ThreadPerClient,
    /// A fixed number of threads.
    ThreadPool,
    /// One event loop.
    EventDriven,
    /// Several event loops.
    Hybrid,
    /// Completions instead of readiness.
    IoUring,
}

impl Architecture {
    /// The name of its program.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iterative => "iterative",
            Self::Fork => "fork",
            Self::ThreadPerClient => "thread-per-client",
            Self::ThreadPool => "thread-pool",
            Self::EventDriven => "event-driven",
            Self::Hybrid => "hybrid",
            Self::IoUring => "io-uring",
        }
    }

    /// Its place in lists, and the looks of its line.
    pub(super) fn number(self) -> usize {
        Self::value_variants().iter().position(|other| *other == self).unwrap_or_default()
    }

    /// Its program: beside our own.
    pub(super) fn program(self) -> Option<PathBuf> {
        let own = env::current_exe().ok()?;
        program_in(own.parent()?, self.as_str())
    }
}

fn program_in(directory: &Path, name: &str) -> Option<PathBuf> {
    let program = directory.join(name).with_extension(env::consts::EXE_EXTENSION);
    program.is_file().then_some(program)
}

/// How long a connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Connections {
    /// For the whole run.
    Kept,
    /// For one request.
    New,
}

impl Connections {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept connections",
            Self::New => "a new connection each",
        }
    }

    /// In a word, as in the flag.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::New => "new",
        }
    }
}

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The service.
    pub service: Service,
    /// How long connections live.
    pub connections: Connections,
    /// How many clients at once.
    pub clients: usize,
    /// By which server.
    pub architecture: Architecture,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (architecture, service) = (self.architecture.as_str(), self.service.as_str());
        write!(f, "{architecture}, {service}, {}, c={}", self.connections.as_str(), self.clients)
    }
}

/// Everything to measure.
#[derive(Debug, Clone)]
pub(super) struct Matrix {
    /// Empty: all that are built.
    pub(super) asked: Vec<Architecture>,
    pub(super) services: Vec<Service>,
    pub(super) connections: Vec<Connections>,
    pub(super) clients: Vec<usize>,
    pub(super) rounds: u32,
}

impl Matrix {
    /// The architectures that are not there.
    ///
    /// # Errors
    ///
    /// None is there, or one that was asked for is not.
    pub(super) fn missing(&self) -> Result<Vec<Architecture>, Failure> {
        const HINT: &str = "build the servers first: cargo build --release --bins";
        let all = Architecture::value_variants();
        let missing = |names: &[Architecture]| -> Vec<Architecture> {
            names.iter().copied().filter(|name| name.program().is_none()).collect()
        };
        if let Some(name) = missing(&self.asked).first() {
            return Err(Failure::Usage(format!("no program {} beside this one: {HINT}", name.as_str())));
        }
        let missing = missing(all);
        if missing.len() == all.len() {
            return Err(Failure::Usage(format!("no server beside this program: {HINT}")));
        }
        Ok(if self.asked.is_empty() { missing } else { Vec::new() })
    }

    fn architectures(&self) -> Vec<Architecture> {
        let all = Architecture::value_variants().iter().copied();
        let built = |name: &Architecture| name.program().is_some();
        if self.asked.is_empty() {
            all.filter(built).collect()
        } else {
            all.filter(|a| self.asked.contains(a)).collect()
        }
    }

    /// All cells of all rounds, in the order in which they are measured: architectures take turns under each load.
    pub(super) fn cells(&self) -> Vec<Cell> {
        self.cells_of(&self.architectures())
    }

    fn cells_of(&self, architectures: &[Architecture]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for round in 0..self.rounds {
            for &service in &self.services {
                for &connections in &self.connections {
                    for &clients in &self.clients {
                        let turn = architectures.iter();
                        let cell = |&architecture| Cell { service, connections, clients, architecture };
                        if round % 2 == 0 { cells.extend(turn.map(cell)) } else { cells.extend(turn.rev().map(cell)) }
                    }
                }
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_take_turns_and_every_other_round_goes_backwards() {
        use Architecture::{EventDriven, Fork};
        let matrix = Matrix {
            asked: Vec::new(),
            services: vec![Service::Echo],
            connections: vec![Connections::Kept],
            clients: vec![1, 10],
            rounds: 2,
        };
        let order: Vec<_> =
            matrix.cells_of(&[Fork, EventDriven]).iter().map(|cell| (cell.clients, cell.architecture)).collect();
        let there = [(1, Fork), (1, EventDriven), (10, Fork), (10, EventDriven)];
        let back = [(1, EventDriven), (1, Fork), (10, EventDriven), (10, Fork)];
        assert_eq!(order, [there, back].concat());
    }

    #[test]
    fn programs_have_the_names_of_their_architectures() {
        for architecture in Architecture::value_variants() {
            let name = architecture.to_possible_value().unwrap();
            assert_eq!(name.get_name(), architecture.as_str());
        }
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(program_in(empty.path(), "fork"), None);
        std::fs::write(empty.path().join("fork"), "").unwrap();
        assert!(program_in(empty.path(), "fork").is_some());
    }
}
