//! The exercises: what there is, in the order in which they are done.

use crate::{checks, problem::Problem, stage::Stage};

/// An exercise.
#[derive(Debug)]
pub(crate) struct Exercise {
    /// As in `cargo course check e06`.
    pub(crate) id: &'static str,
    /// The name of its folder.
    pub(crate) slug: &'static str,
    /// In the report's first line.
    pub(crate) title: &'static str,
    /// The page in `docs/course` that comes before it, without its ending.
    pub(crate) chapter: &'static str,
    /// How long it takes somebody who has read what it stands on.
    pub(crate) minutes: u32,
    /// The promises of a passing program.
    pub(crate) checks: &'static [Check],
    /// The checks that the starter passes; it must fail all others, each at once.
    pub(crate) starter_passes: &'static [&'static str],
    /// Where the project's own code solves the same problem, and a question about it.
    pub(crate) next: &'static str,
}

/// One promise, and how it is tried.
#[derive(Debug)]
pub(crate) struct Check {
    /// As in `cargo course poke e06.greets`.
    pub(crate) name: &'static str,
    /// The promise, in words.
    pub(crate) promise: &'static str,
    /// Tries it.
    pub(crate) run: fn(&mut Stage) -> Result<(), Problem>,
}

/// All of them.
pub(crate) const EXERCISES: &[Exercise] = &[
    Exercise {
        id: "e01",
        slug: "e01-lifecycle",
        title: "The life of a listening socket",
        chapter: "01-sockets",
        minutes: 30,
        checks: checks::e01::CHECKS,
        starter_passes: &["bad-address"],
        next: "src/net/listen.rs: which options does a listener get there, and why does each worker bind a socket of its own?",
    },
    Exercise {
        id: "e02",
        slug: "e02-backlog",
        title: "The queue of a listening socket",
        chapter: "02-listen-and-accept",
        minutes: 25,
        checks: checks::e02::CHECKS,
        starter_passes: &["greets"],
        next: "src/net/listen.rs: how long is the queue there, and what shortens it without saying so?",
    },
    Exercise {
        id: "e03",
        slug: "e03-accept",
        title: "An accept loop that lasts",
        chapter: "02-listen-and-accept",
        minutes: 35,
        checks: checks::e03::CHECKS,
        starter_passes: &["echoes", "gone-before-accept", "a-burst-leaves-nothing"],
        next: "src/net/driver/gate.rs: what happens there when no descriptor is left, and how does accept become possible again?",
    },
    Exercise {
        id: "e04",
        slug: "e04-accept-patterns",
        title: "To wait for clients and for time",
        chapter: "02-listen-and-accept",
        minutes: 40,
        checks: checks::e04::CHECKS,
        starter_passes: &["greets", "answers-at-once", "rests", "one-thread", "a-crowd", "leaves-nothing"],
        next: "src/net/driver/mod.rs: one wait for all connections and for all deadlines. How long does it sleep if nothing is due?",
    },
    Exercise {
        id: "e05",
        slug: "e05-partial-io",
        title: "Reads and writes that do a part",
        chapter: "03-robust-io",
        minutes: 50,
        checks: checks::e05::CHECKS,
        starter_passes: &[],
        next: "src/net/reactor/write.rs: what is kept there after a short write, and when is the rest sent?",
    },
    Exercise {
        id: "e06",
        slug: "e06-echo",
        title: "Echo server",
        chapter: "03-robust-io",
        minutes: 40,
        checks: checks::e06::CHECKS,
        starter_passes: &[],
        next: "src/server/lingering.rs: there a goodbye is bounded, too. By what, and what happens to bytes beyond the bound?",
    },
    Exercise {
        id: "e07",
        slug: "e07-process-per-client",
        title: "A process for each client",
        chapter: "04-processes-and-threads",
        minutes: 45,
        checks: checks::e07::CHECKS,
        starter_passes: &[],
        next: "src/server/fork.rs: it forks instead of starting itself again. What does that save, and what does each `unsafe` promise?",
    },
    Exercise {
        id: "e08",
        slug: "e08-thread-per-client",
        title: "A thread for each client",
        chapter: "04-processes-and-threads",
        minutes: 45,
        checks: checks::e08::CHECKS,
        starter_passes: &[],
        next: "src/server/shared.rs: which numbers do the threads share there, and what happens to them at a panic?",
    },
    Exercise {
        id: "e09",
        slug: "e09-thread-pool",
        title: "A thread pool",
        chapter: "05-pools",
        minutes: 60,
        checks: checks::e09::CHECKS,
        starter_passes: &[],
        next: "src/server/pool.rs: there a client in the queue also has a deadline. What is it told when that has passed?",
    },
    Exercise {
        id: "e10",
        slug: "e10-chat",
        title: "A chat",
        chapter: "05-pools",
        minutes: 75,
        checks: checks::e10::CHECKS,
        starter_passes: &[],
        next: "src/net/reactor/write.rs: a connection there has an outbox, too. Who stops filling it when its client does not read?",
    },
    Exercise {
        id: "e11",
        slug: "e11-chat-advanced",
        title: "A chat with rooms",
        chapter: "05-pools",
        minutes: 90,
        checks: checks::e11::CHECKS,
        starter_passes: &[],
        next: "src/cache/store/mod.rs: another state that many clients share. What bounds it, and which entry goes when it is full?",
    },
    Exercise {
        id: "e12",
        slug: "e12-event-loop",
        title: "An event loop",
        chapter: "06-event-loop",
        minutes: 90,
        checks: checks::e12::CHECKS,
        starter_passes: &[],
        next: "src/net/reactor/mod.rs: the same loop with epoll. Which events does it ask for, and when does it stop reading a connection?",
    },
    Exercise {
        id: "e13",
        slug: "e13-hybrid",
        title: "A loop with workers",
        chapter: "06-event-loop",
        minutes: 75,
        checks: checks::e13::CHECKS,
        starter_passes: &["echoes", "a-slow-reader", "backpressure", "leaves-nothing"],
        next: "src/server/hybrid/mod.rs: the same with this project's loop. How does a worker wake it, and what is a client's number there?",
    },
    Exercise {
        id: "e14",
        slug: "e14-dispatcher",
        title: "A dispatcher",
        chapter: "06-event-loop",
        minutes: 60,
        checks: checks::e14::CHECKS,
        starter_passes: &["echoes", "rests", "leaves-nothing"],
        next: "src/lb/least_connections.rs: the same choice between backends. How are equals told apart there, and when does a connection stop to count?",
    },
    Exercise {
        id: "e16",
        slug: "e16-command-protocol",
        title: "A command protocol",
        chapter: "07-command-server",
        minutes: 50,
        checks: checks::e16::CHECKS,
        starter_passes: &[],
        next: "src/http/framing.rs: a parser that refuses where it could guess. What would happen if the next server guessed differently?",
    },
    Exercise {
        id: "e17",
        slug: "e17-command-server",
        title: "A command server",
        chapter: "07-command-server",
        minutes: 60,
        checks: checks::e17::CHECKS,
        starter_passes: &[],
        next: "src/service/command.rs: one protocol for all architectures. Who counts there, and which numbers may be a moment old?",
    },
    Exercise {
        id: "e20",
        slug: "e20-parser",
        title: "An incremental parser",
        chapter: "08-http",
        minutes: 90,
        checks: checks::e20::CHECKS,
        starter_passes: &[],
        next: "src/http/request_reader.rs: the same states. What does it do with a body that no program wants, and which limits are flags?",
    },
    Exercise {
        id: "e21",
        slug: "e21-file-server",
        title: "A file server",
        chapter: "08-http",
        minutes: 75,
        checks: checks::e21::CHECKS,
        starter_passes: &[],
        next: "src/http/target.rs: what is a target allowed to be there, and which spellings of a path are made one?",
    },
    Exercise {
        id: "e22",
        slug: "e22-http11",
        title: "HTTP/1.1",
        chapter: "08-http",
        minutes: 90,
        checks: checks::e22::CHECKS,
        starter_passes: &[],
        next: "src/http/persistence.rs: who decides there whether a connection stays, and which reason does it give?",
    },
    Exercise {
        id: "e18",
        slug: "e18-shutdown",
        title: "Soak and shutdown",
        chapter: "14-signals-limits-logs",
        minutes: 75,
        checks: checks::e18::CHECKS,
        starter_passes: &["commands", "a-limit", "two-thousand"],
        next: "src/net/driver/ending.rs: the end of an event loop. What does it do for a client between two requests, and what after the deadline?",
    },
    Exercise {
        id: "e23",
        slug: "e23-missing-features",
        title: "What is missing",
        chapter: "14-signals-limits-logs",
        minutes: 75,
        checks: checks::e23::CHECKS,
        starter_passes: &["answers"],
        next: "src/proxy/leaving.rs: connections of a proxy leave there after a signal. What does it tell a load balancer before it closes its listener?",
    },
    Exercise {
        id: "e48",
        slug: "e48-load-tester",
        title: "A load tester",
        chapter: "17-measuring",
        minutes: 75,
        checks: checks::e48::CHECKS,
        starter_passes: &[],
        next: "src/load/record.rs: which requests are in no percentile there, and how is a reader of the report told of them?",
    },
    Exercise {
        id: "c1",
        slug: "c1-review",
        title: "A review: five faults",
        chapter: "18-debugging",
        minutes: 45,
        checks: checks::c1::CHECKS,
        starter_passes: &["answers"],
        next: "src/server/conversation.rs: a conversation there ends in several ways. What makes sure that each of them is logged and counted?",
    },
    Exercise {
        id: "c2",
        slug: "c2-broken-server",
        title: "A broken server",
        chapter: "18-debugging",
        minutes: 50,
        checks: checks::c2::CHECKS,
        starter_passes: &["one-line"],
        next: "src/service/lines.rs: lines out of bytes. How long may a line be there, and what becomes of one that is longer?",
    },
    Exercise {
        id: "c3",
        slug: "c3-rebind",
        title: "A server that cannot be started again",
        chapter: "18-debugging",
        minutes: 20,
        checks: checks::c3::CHECKS,
        starter_passes: &["answers", "a-slow-reader", "two-copies", "leaves-nothing"],
        next: "src/net/listen.rs: a port is taken there before it is shared by several listeners. What would a second copy of the server see?",
    },
    Exercise {
        id: "c4",
        slug: "c4-deadlock",
        title: "A bank that stops",
        chapter: "18-debugging",
        minutes: 45,
        checks: checks::c4::CHECKS,
        starter_passes: &["moves", "audits", "breaks-off", "leaves-nothing"],
        next: "src/server/shared.rs: which locks are there, and what is done while one of them is held?",
    },
    Exercise {
        id: "c5",
        slug: "c5-leaks",
        title: "A board that is restarted each night",
        chapter: "18-debugging",
        minutes: 35,
        checks: checks::c5::CHECKS,
        starter_passes: &["answers"],
        next: "src/buf: bytes there live in blocks that are used again. What bounds how many of them one connection can have?",
    },
    Exercise {
        id: "c6",
        slug: "c6-stall",
        title: "Forty milliseconds",
        chapter: "18-debugging",
        minutes: 25,
        checks: checks::c6::CHECKS,
        starter_passes: &["answers", "a-large-answer", "at-once", "leaves-nothing"],
        next: "src/net/reactor/write.rs: several pieces go out with one call there. Which call is it, and what does it save?",
    },
];

/// The exercise of that id (`e06`), number (`6`) or folder (`e06-echo`).
pub(crate) fn find(name: &str) -> Option<&'static Exercise> {
    let numbered = name.parse::<u32>().map(|number| format!("e{number:02}"));
    EXERCISES
        .iter()
        .find(|exercise| exercise.id == name || exercise.slug == name || Ok(exercise.id) == numbered.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo course` says what to do next in this order, and `cargo course list` shows it.
    #[test]
    fn exercises_stand_in_the_order_of_their_chapters() {
        assert!(EXERCISES.is_sorted_by_key(|exercise| exercise.chapter));
    }
}
