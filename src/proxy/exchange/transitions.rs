//! Which state may follow which, in one table.
//!
//! [`State::on`](super::State) and what it calls decide; this says what may come out. Each step is held to it in debug
//! builds, and a picture in `docs/exchange-states.md` is drawn from it.

/// The name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Nothing chosen yet.
    Start,
    /// Waits until a password is verified.
    Verify,
    /// Waits for what another exchange fetches.
    Follow,
    /// Waits for the second level of the cache.
    Lookup,
    /// Waits for the addresses of a name, in a forward proxy.
    Resolve,
    /// Waits for room in the pool.
    Wait,
    /// Between two tries.
    Pause,
    /// Opens a connection.
    Connect,
    /// Looks at a pooled connection.
    Peek,
    /// Both directions at once.
    Relay,
    /// Passes on what another exchange fetches.
    Read,
    /// Gives the client what is stored.
    Serve,
    /// Bytes both ways.
    Tunnel,
    /// The end.
    Done,
}

impl Name {
    /// As explanations have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Follow => "follow",
            Self::Lookup => "lookup",
            Self::Resolve => "resolve",
            Self::Wait => "wait",
            Self::Pause => "pause",
            Self::Connect => "connect",
            Self::Peek => "peek",
            Self::Relay => "relay",
            Self::Read => "read",
            Self::Serve => "serve",
            Self::Tunnel => "tunnel",
            Self::Done => "done",
        }
    }
}

use Name::{Connect, Done, Follow, Lookup, Pause, Peek, Read, Relay, Resolve, Serve, Start, Tunnel, Verify, Wait};

/// From any of the first, one event may lead to any of the second, for this reason. An event that means nothing to a state
/// leaves it as it is.
pub const RULES: &[(&[Name], &[Name], &str)] = &[
    (&[Start], &[Verify], "a password is to be verified"),
    (&[Start, Verify, Lookup], &[Follow], "another exchange asks the same"),
    (&[Start, Verify, Follow], &[Lookup], "other proxies may have stored it"),
    (&[Start, Verify, Follow, Lookup, Relay], &[Read], "its answer is read as it arrives"),
    (
        &[Start, Verify, Follow, Lookup, Resolve, Wait, Pause, Peek, Connect, Relay],
        &[Serve],
        "a stored response answers",
    ),
    (&[Start, Follow, Lookup], &[Resolve], "the server's name is to be resolved"),
    (
        &[Start, Verify, Follow, Lookup, Resolve, Wait, Pause, Peek, Connect, Relay],
        &[Peek, Connect, Wait],
        "a backend is to be asked",
    ),
    (&[Connect, Relay], &[Pause], "the backend failed, and another may be asked"),
    (&[Peek, Connect], &[Relay], "the head of the request is sent"),
    (&[Relay], &[Tunnel], "the backend switches protocols"),
    (&[Connect], &[Tunnel], "the connection is all that a CONNECT wants"),
    (
        &[Start, Verify, Follow, Lookup, Resolve, Wait, Pause, Peek, Connect, Relay, Read, Serve, Tunnel],
        &[Done],
        "answered, broken off or given up",
    ),
];

/// Whether one event may lead from one state to the other.
pub(super) fn may_follow(from: Name, to: Name) -> bool {
    from == to || RULES.iter().any(|(before, after, _)| before.contains(&from) && after.contains(&to))
}

/// The diagram in `docs/exchange-states.md`.
#[must_use]
pub fn states_diagram() -> String {
    let list = |names: &[Name]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" & ");
    let mut text = String::from("flowchart LR\n");
    for (number, (before, after, why)) in RULES.iter().enumerate() {
        text.push_str(&format!("    r{number}([{why}])\n    {} --> r{number} --> {}\n", list(before), list(after)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_of_the_states_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/exchange-states.md");
        let page = std::fs::read_to_string(path).unwrap();
        let drawn = page.split("```mermaid\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap_or_default();
        assert_eq!(drawn, states_diagram(), "{path} is stale: replace its second diagram\n{}", states_diagram());
    }

    #[test]
    fn every_state_but_the_first_is_entered_and_every_one_ends() {
        for name in [Start, Verify, Follow, Lookup, Resolve, Wait, Pause, Connect, Peek, Relay, Read, Serve, Tunnel] {
            let entered = RULES.iter().any(|(_, after, _)| after.contains(&name));
            assert_eq!(entered, name != Start, "{name:?}");
            assert!(may_follow(name, Done), "{name:?}");
        }
        assert!(!may_follow(Done, Start) && !may_follow(Tunnel, Relay) && !may_follow(Serve, Peek));
    }
}
