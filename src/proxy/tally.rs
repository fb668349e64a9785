//! The work of a proxy so far, in one line: told on SIGUSR1.

use super::{counter::Counter, stats::Counters};
use crate::{
    cli,
    units::{Counted, grouped},
};
use std::{fmt, sync::Arc};

/// The work so far, in one line.
pub(super) struct Tally(pub(super) Arc<[Counters]>);

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |read: fn(&Counters) -> &Counter| -> u64 { self.0.iter().map(|it| read(it).read()).sum() };
        // Ends before beginnings, so that no more have ended than began.
        let (closed, responses, aborted) = (sum(|it| &it.closed), sum(|it| &it.responses), sum(|it| &it.aborted));
        let (accepted, requests, refused) = (sum(|it| &it.accepted), sum(|it| &it.requests), sum(|it| &it.refused));
        write!(
            f,
            "{}, {} of them open, {}, {} answered, {} aborted, {} refused, {} lost",
            Counted(accepted, "connection"),
            grouped(accepted.saturating_sub(closed)),
            Counted(requests, "request"),
            grouped(responses),
            grouped(aborted),
            grouped(refused),
            Counted(cli::log_lines_lost(), "log line"),
        )
    }
}
