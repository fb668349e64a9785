//! Topic names and topic filters (4.7), and shared subscriptions (4.8.2).
//!
//! ```text
//!   filter  sport/+/score   sport/#   #        +/monitor/#
//!   matches sport/tennis/score        sport and all below it
//!   never                             $SYS/…   $SYS/monitor/…     [MQTT-4.7.2-1]
//! ```

use super::{Error, Text};

/// The levels of a name or filter. An empty one counts: `/finance` has two.
pub fn levels(text: &str) -> impl Iterator<Item = &str> {
    text.split('/')
}

/// Whether a name belongs to the server: wildcards in the first level do not match it.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.starts_with('$')
}

/// Checks a topic name: at least one character [MQTT-4.7.3-1], and no wildcard [MQTT-3.3.2-2].
///
/// # Errors
///
/// It is none.
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        Err(Error::malformed("an empty topic name"))
    } else if memchr::memchr2(b'+', b'#', name.as_bytes()).is_some() {
        Err(Error::malformed("a wildcard in a topic name"))
    } else {
        Ok(())
    }
}

/// A topic filter that keeps the rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter {
    text: Text,
    /// Where the part behind `$share/NAME/` begins.
    plain: usize,
}

/// The two parts of a shared subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared<'a> {
    /// Each message goes to one of those who have this name in common.
    pub group: &'a str,
    /// Which messages.
    pub filter: &'a str,
}

const SHARE: &str = "$share/";

impl Filter {
    /// Checks a filter.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub fn new(text: Text) -> Result<Self, Error> {
        let filter = Self::received(text)?;
        if filter.is_half_shared() {
            return Err(Error::malformed("a shared subscription needs a name and a filter: $share/NAME/FILTER"));
        }
        Ok(filter)
    }

    /// Checks a filter of a client. One that only looks like a shared subscription is none, and has the form of a filter even so: the
    /// client is told, and its other filters are heard.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub fn received(text: Text) -> Result<Self, Error> {
        let parts = text.strip_prefix(SHARE).and_then(|rest| rest.split_once('/'));
        let plain = match parts {
            Some((group, filter)) if !(group.is_empty() || group.contains(['+', '#']) || filter.is_empty()) => {
                text.len() - filter.len()
            }
            _ => 0,
        };
        check_filter(&text[plain..])?;
        Ok(Self { text, plain })
    }

    /// Whether it begins like a shared subscription, and is none: name or filter are missing, or the name has a wildcard
    /// [MQTT-4.8.2-1, MQTT-4.8.2-2].
    #[must_use]
    pub fn is_half_shared(&self) -> bool {
        self.plain == 0 && self.text.starts_with(SHARE)
    }

    /// As it was sent.
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// The part that is compared with names.
    #[must_use]
    pub fn plain(&self) -> &str {
        &self.text[self.plain..]
    }

    /// The parts of a shared subscription.
    #[must_use]
    pub fn shared(&self) -> Option<Shared<'_>> {
        let group = self.text.get(SHARE.len()..self.plain.checked_sub(1)?)?;
        Some(Shared { group, filter: self.plain() })
    }

    /// As if it had come in another packet, whose memory it does not keep.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { text: self.text.detached(), plain: self.plain }
    }
}

fn check_filter(filter: &str) -> Result<(), Error> {
    if filter.is_empty() {
        return Err(Error::malformed("an empty topic filter"));
    }
    let mut levels = levels(filter).peekable();
    while let Some(level) = levels.next() {
        match level {
            "#" if levels.peek().is_some() => return Err(Error::malformed("# is not the last level of a filter")),
            "#" | "+" => {}
            _ if level.contains(['+', '#']) => return Err(Error::malformed("a wildcard that is not a whole level")),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a filter matches a name. For a few filters; many are in a tree.
#[must_use]
pub fn filter_matches(filter: &str, name: &str) -> bool {
    if is_reserved(name) && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut name) = (levels(filter), levels(name));
    loop {
        match (filter.next(), name.next()) {
            // `sport/#` matches `sport`, too.
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(expected), Some(level)) if expected == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        const CASES: &[(&str, &str, bool)] = &[
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/monitor", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("ACCOUNTS", "Accounts", false),
            ("a//b", "a//b", true),
            ("a/+/b", "a//b", true),
            ("a/b", "a/b/c", false),
        ];
        for (filter, name, matches) in CASES {
            assert_eq!(filter_matches(filter, name), *matches, "{filter} {name}");
        }
    }

    #[test]
    fn filters_and_names_that_are_none() {
        const FILTERS: &[(&str, bool)] = &[
            ("#", true),
            ("+", true),
            ("/", true),
            ("a/#", true),
            ("+/tennis/#", true),
            ("", false),
            ("a#", false),
            ("a/#/b", false),
            ("sport+", false),
            ("a/b+/c", false),
            ("$share/g/a/+", true),
            ("$share/g//", true),
            ("$share/g", false),
            ("$share//a", false),
            ("$share/g/", false),
            ("$share/g+/a", false),
            ("$share/#/a", false),
            ("$share/g/a#", false),
            ("$shared/g", true),
        ];
        for (filter, good) in FILTERS {
            assert_eq!(Filter::new((*filter).into()).is_ok(), *good, "{filter}");
        }
        for (name, good) in [("a", true), ("/", true), (" ", true), ("", false), ("a/+", false), ("a#", false)] {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
        let filter = Filter::new("$share/group/a/+".into()).unwrap();
        assert_eq!(filter.shared(), Some(Shared { group: "group", filter: "a/+" }));
        assert_eq!((filter.plain(), Filter::new("a/b".into()).unwrap().shared()), ("a/+", None));
        for (text, half) in
            [("$share/g/a", false), ("$share/g", true), ("$share//a", true), ("$share/g/", true), ("$share/+/a", true)]
        {
            assert_eq!(Filter::received(text.into()).unwrap().is_half_shared(), half, "{text}");
        }
    }
}
