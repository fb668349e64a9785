//! The flags of `load compare`.

use super::matrix::{Architecture, Connections, Matrix};
use crate::{
    load::args::OutputArgs,
    service::Service,
    units::{Flags, MAX_COUNT, Pointless, at_least_one, duration, nonzero_duration, number},
};
use std::{num::NonZeroU32, path::PathBuf, time::Duration};

/// The flags of a comparison: the servers, the time, and the output.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  load compare --quick --html report.html        under a minute, to see that it works
  load compare --clients 1,100 --services http --architectures fork,event-driven
  load compare --rounds 5 --duration 500ms --svg pictures --json -")]
pub struct CompareArgs {
    /// Architectures, by the names of their programs [default: all that are built].
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',')]
    pub architectures: Vec<Architecture>,
    /// Numbers of clients.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "1,10,100,1000")]
    #[arg(value_parser = number::<u32>(1..=100_000))]
    pub clients: Vec<u32>,
    /// Services.
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',', default_value = "echo,http")]
    pub services: Vec<Service>,
    /// Whether a connection carries many requests (kept) or one (new).
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',', default_value = "kept,new")]
    pub connections: Vec<Connections>,
    /// How long each cell is measured in a round [default: 1s; with --quick 300ms].
    #[arg(long, value_name = "TIME", value_parser = nonzero_duration)]
    pub duration: Option<Duration>,
    /// How long it runs before [default: 300ms; with --quick 100ms].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub warm_up: Option<Duration>,
    /// Rounds [default: 3; with --quick 1].
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU32>(MAX_COUNT))]
    pub rounds: Option<NonZeroU32>,
    /// How long a request may take.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = nonzero_duration)]
    pub timeout: Duration,
    /// One short round: to see that everything works. Its numbers are worth little.
    #[arg(long)]
    pub quick: bool,
    /// Write each plot into this directory, too, as a file that needs nothing else.
    #[arg(long, value_name = "DIRECTORY")]
    pub svg: Option<PathBuf>,
    /// The files to write.
    #[command(flatten)]
    pub output: OutputArgs,
}

impl Flags for CompareArgs {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &["quick"],
        when: |matches| ["duration", "warm_up", "rounds"].iter().all(|flag| matches.contains_id(flag)),
        because: "--duration, --warm-up and --rounds are given",
    }];
}

impl CompareArgs {
    /// How long each cell is measured in a round.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration.unwrap_or(Duration::from_millis(if self.quick { 300 } else { 1000 }))
    }

    /// How long it runs before.
    #[must_use]
    pub fn warm_up(&self) -> Duration {
        self.warm_up.unwrap_or(Duration::from_millis(if self.quick { 100 } else { 300 }))
    }

    /// How often each cell is measured.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds.map_or(if self.quick { 1 } else { 3 }, NonZeroU32::get)
    }

    pub(super) fn matrix(&self) -> Matrix {
        Matrix {
            asked: self.architectures.clone(),
            services: once(&self.services),
            connections: once(&self.connections),
            clients: once(&self.clients).into_iter().map(|clients| clients as usize).collect(),
            rounds: self.rounds(),
        }
    }
}

/// Without what was there before: a cell that is measured twice in a round would count as two rounds.
fn once<T: Copy + PartialEq>(all: &[T]) -> Vec<T> {
    let mut seen = Vec::new();
    for item in all {
        if !seen.contains(item) {
            seen.push(*item);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        compare: CompareArgs,
    }

    #[test]
    fn a_value_that_is_named_twice_is_measured_as_often_as_the_rest() {
        let line = "test --clients 10,1,10 --services http,echo,http --connections new,new";
        let matrix = Flags::try_parse_from(line.split(' ')).unwrap().compare.matrix();
        assert_eq!((matrix.clients, matrix.services), (vec![10, 1], vec![Service::Http, Service::Echo]));
        assert_eq!(matrix.connections, [Connections::New]);
    }
}
