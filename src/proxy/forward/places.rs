//! Places on the network as `--allow` and `--deny` name them: blocks of addresses, and names of servers.
//!
//! ```text
//!   10.0.0.0/8        addresses
//!   www.example.com   this name
//!   *.example.com     all names below it, at any depth, and not itself
//!   *                 all servers, however they are named
//! ```
//!
//! Of all patterns that fit a name, the longest decides, and of two that are equal `--deny` does.

use super::{Denied, Host, host};
use crate::proxy::network::Network;
use std::str::FromStr;

/// The value of `--allow` or `--deny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Addresses, whichever name leads there.
    Network(Network),
    /// Names, wherever they lead.
    Name(Pattern),
}

/// A name, or all names below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// In lower case, without the dot that may end it.
    name: Box<str>,
    /// It stands for the names below.
    below: bool,
}

impl Pattern {
    fn fits(&self, name: &str) -> bool {
        let Some(at) = name.len().checked_sub(self.name.len()) else { return false };
        let (before, end) = name.as_bytes().split_at(at);
        let is_end = end.eq_ignore_ascii_case(self.name.as_bytes());
        match before {
            _ if self.is_all() => true,
            [] => is_end && !self.below,
            [.., b'.'] => is_end && self.below,
            _ => false,
        }
    }

    /// Whether it stands for all servers.
    fn is_all(&self) -> bool {
        self.below && self.name.is_empty()
    }

    /// Of two patterns that fit, the one with more of this decides.
    fn settled(&self) -> (usize, bool) {
        (self.name.len(), !self.below)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |_| {
            format!("'{text}' is not a network or a name: write 10.0.0.0/8, fd00::/8, www.example.com or *.example.com")
        };
        if text == "*" {
            return Ok(Self::Name(Pattern { name: "".into(), below: true }));
        }
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        match host(name) {
            Ok(Host::Name(name)) if !text.contains('/') => {
                Ok(Self::Name(Pattern { name: name.to_ascii_lowercase().into(), below }))
            }
            _ => text.parse().map(Self::Network).map_err(bad),
        }
    }
}

/// The rules for servers by their names alone.
#[derive(Debug, Clone, Default)]
pub struct NameRules {
    /// These are in bounds, and so are their addresses, unless a `--deny` has them.
    pub allow: Vec<Pattern>,
    /// These are not.
    pub deny: Vec<Pattern>,
}

/// How a server's addresses are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Those that are reserved are out of bounds.
    Usual,
    /// The operator has named this server: its addresses may be private, or this machine's own.
    Named,
    /// All servers are out of bounds, but for those that the operator names: a number has to be in an `--allow`.
    Numbered,
}

impl NameRules {
    /// Judges a host by its name.
    ///
    /// # Errors
    ///
    /// [`Denied::Name`].
    pub fn judge(&self, host: Host<'_>) -> Result<Trust, Denied> {
        match host {
            Host::Ip(_) if self.deny.iter().any(Pattern::is_all) => Ok(Trust::Numbered),
            Host::Ip(_) => Ok(Trust::Usual),
            Host::Name(name) => {
                let best = |patterns: &[Pattern]| {
                    patterns.iter().filter(|pattern| pattern.fits(name)).map(Pattern::settled).max()
                };
                match (best(&self.allow), best(&self.deny)) {
                    (allowed, Some(denied)) if allowed.is_none_or(|allowed| allowed <= denied) => Err(Denied::Name),
                    (Some((1.., _)), _) => Ok(Trust::Named),
                    // That all names are allowed says nothing about their addresses.
                    _ => Ok(Trust::Usual),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        let pattern = |text: &&str| match text.parse() {
            Ok(Place::Name(pattern)) => pattern,
            other => panic!("{text}: {other:?}"),
        };
        texts.iter().map(pattern).collect()
    }

    fn judged(allow: &[&str], deny: &[&str], text: &str) -> Result<Trust, Denied> {
        NameRules { allow: patterns(allow), deny: patterns(deny) }.judge(host(text).unwrap())
    }

    #[test]
    fn patterns_and_the_names_that_fit() {
        for (pattern, name, fits) in [
            ("www.example.com", "www.example.com", true),
            ("WWW.Example.com.", "www.eXample.com", true),
            ("www.example.com", "example.com", false),
            ("www.example.com", "a.www.example.com", false),
            ("example.com", "badexample.com", false),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.com", "example.com", true),
            ("*", "localhost", true),
            ("*", "a.b", true),
        ] {
            assert_eq!(patterns(&[pattern])[0].fits(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn the_longest_pattern_decides() {
        use Trust::{Named, Numbered, Usual};
        for (allow, deny, host, verdict) in [
            (&[][..], &[][..], "a.example", Ok(Usual)),
            (&["a.example"], &[], "a.example", Ok(Named)),
            (&["a.example"], &[], "A.Example.", Ok(Named)),
            (&["a.example"], &[], "b.example", Ok(Usual)),
            (&[], &["*.example"], "a.example", Err(Denied::Name)),
            (&[], &["*.example"], "example", Ok(Usual)),
            (&["a.example"], &["*.example"], "a.example", Ok(Named)),
            (&["*.a.example"], &["*.example"], "b.a.example", Ok(Named)),
            (&["*.example"], &["a.example"], "a.example", Err(Denied::Name)),
            (&["a.example"], &["a.example"], "a.example", Err(Denied::Name)),
            (&["a.example"], &["*"], "a.example", Ok(Named)),
            (&["a.example"], &["*"], "b.example", Err(Denied::Name)),
            (&["*"], &[], "a.example", Ok(Usual)),
            (&["*"], &["*"], "a.example", Err(Denied::Name)),
            (&["a.example"], &["*.example"], "203.0.113.1", Ok(Usual)),
            (&["a.example"], &["*"], "203.0.113.1", Ok(Numbered)),
        ] {
            assert_eq!(judged(allow, deny, host), verdict, "{allow:?} {deny:?} {host}");
        }
    }

    #[test]
    fn values_of_flags() {
        for (text, is_network) in
            [("10.0.0.0/8", true), ("::1", true), ("192.0.2.7", true), ("a.b", false), ("*.b", false)]
        {
            let place: Place = text.parse().unwrap();
            assert_eq!(matches!(place, Place::Network(_)), is_network, "{text}");
        }
        for bad in
            ["", "10.0.0.0/33", "*.", "*.*", "a.*", "*a.b", "a..b", "127.1", "0x7f.1", "a/8", "a:80", "http://a", "*.1"]
        {
            let error = bad.parse::<Place>().unwrap_err();
            assert!(error.contains("is not a network or a name"), "{error}");
        }
    }
}
