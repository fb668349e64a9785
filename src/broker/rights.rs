//! The topics that a client may publish to and subscribe to.

use crate::mqtt::{filter_matches, is_reserved, levels};

/// The rights of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Everything but what only the broker itself says.
    All,
    /// The topics that these filters match.
    Listed { publish: Vec<String>, subscribe: Vec<String> },
}

impl Rights {
    /// Filters of topics; in them, `%u` is the client's user name and `%c` its client identifier. One that would become part of a
    /// filter's syntax is no one's.
    pub(crate) fn of(publish: &[String], subscribe: &[String], user: &str, client: &str) -> Self {
        let fill = |patterns: &[String]| {
            let filled = patterns.iter().filter_map(|pattern| {
                let is_plain = |name: &str| !name.is_empty() && !name.contains(['/', '+', '#']);
                let is_good =
                    (!pattern.contains("%u") || is_plain(user)) && (!pattern.contains("%c") || is_plain(client));
                is_good.then(|| levels(pattern).map(|level| fill(level, user, client)).collect::<Vec<_>>().join("/"))
            });
            filled.collect()
        };
        Self::Listed { publish: fill(publish), subscribe: fill(subscribe) }
    }

    pub(crate) fn may_publish(&self, topic: &str) -> bool {
        !topic.starts_with("$SYS")
            && match self {
                Self::All => true,
                Self::Listed { publish, .. } => publish.iter().any(|filter| filter_matches(filter, topic)),
            }
    }

    /// Whether all topics that `filter` matches may be read.
    pub(crate) fn may_subscribe(&self, filter: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed { subscribe, .. } => subscribe.iter().any(|allowed| covers(allowed, filter)),
        }
    }
}

/// Only a whole level is replaced, or a part of one: never with what was replaced before.
fn fill(level: &str, user: &str, client: &str) -> String {
    let mut filled = String::new();
    let mut rest = level;
    while let Some(at) = rest.find('%') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let (value, len) = match rest.get(..2) {
            Some("%u") => (user, 2),
            Some("%c") => (client, 2),
            _ => ("%", 1),
        };
        filled.push_str(value);
        rest = &rest[len..];
    }
    filled + rest
}

/// Whether `allowed` matches everything that `filter` matches.
fn covers(allowed: &str, filter: &str) -> bool {
    if is_reserved(filter) && allowed.starts_with(['+', '#']) {
        return false;
    }
    let (mut allowed, mut filter) = (levels(allowed), levels(filter));
    loop {
        match (allowed.next(), filter.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(expected), Some(level)) if expected == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_allowed_if_all_its_topics_are() {
        const CASES: &[(&str, &str, bool)] = &[
            ("#", "a/+/b", true),
            ("#", "#", true),
            ("#", "$SYS/#", false),
            ("a/#", "a", true),
            ("a/#", "a/+/#", true),
            ("a/#", "+/b", false),
            ("a/+", "a/b", true),
            ("a/+", "a/+", true),
            ("a/+", "a/#", false),
            ("a/+", "a/b/c", false),
            ("a/b", "a/+", false),
        ];
        for (allowed, filter, expected) in CASES {
            assert_eq!(covers(allowed, filter), *expected, "{allowed} {filter}");
        }
    }

    #[test]
    fn names_are_filled_in_unless_they_are_syntax() {
        let patterns = ["home/%u/#".to_owned(), "%c-x/%u".to_owned(), "100%/a".to_owned()];
        let rights = |user, client| Rights::of(&patterns, &patterns, user, client);
        let ann = rights("ann", "%u");
        assert!(ann.may_publish("home/ann/x") && !ann.may_publish("home/bob/x"));
        assert!(ann.may_publish("%u-x/ann") && ann.may_publish("100%/a"));
        for wrong in ["", "+", "#", "a/b"] {
            assert!(!rights(wrong, "c").may_subscribe("home/+/x"), "{wrong}");
            assert!(rights(wrong, "c").may_subscribe("100%/a"), "{wrong}");
        }
        assert!(Rights::All.may_publish("a") && !Rights::All.may_publish("$SYS/a"));
        assert!(Rights::All.may_subscribe("$SYS/#") && Rights::All.may_subscribe("$a/#"));
    }
}
