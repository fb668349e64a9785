//! The flags of a cache, and what they mean as values.

use super::{policy::Rules, store::Limits, vary::MAX_VARIANTS};
use crate::units::{Flags, Pointless, duration, size};
use clap::Args;
use std::{str::FromStr, time::Duration};

/// How long an uncacheable answer is remembered. Long enough that a busy page does not line up again and again, short
/// enough that one that becomes cacheable soon is cached.
const UNCACHEABLE_FOR: Duration = Duration::from_secs(5);

/// The largest body that is stored unless a flag says otherwise: a page with all that belongs to it, and no film.
const MAX_OBJECT: usize = 8 << 20;

/// The settings of a cache.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheConfig {
    /// Bounds on what is kept. 0 bytes: there is no cache.
    pub limits: Limits,
    /// The rules that the operator decides.
    pub rules: Rules,
    /// Paths that are not cached.
    pub exclude: Vec<Pattern>,
    /// How long a request waits for another one's answer before it goes alone, and how long requests that share an
    /// answer wait for the slowest of them.
    pub wait: Duration,
    /// Whether responses say what the cache did.
    pub status: bool,
    /// Whether they also name the key.
    pub status_key: bool,
}

impl Default for CacheConfig {
    /// No cache.
    fn default() -> Self {
        Self {
            limits: Limits { bytes: 0, object: 0, variants: MAX_VARIANTS, uncacheable_for: UNCACHEABLE_FOR },
            rules: Rules::default(),
            exclude: Vec::new(),
            wait: Duration::from_secs(5),
            status: true,
            status_key: false,
        }
    }
}

/// Flags of every binary that caches.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(next_help_heading = "Cache")]
pub struct CacheArgs {
    /// How much memory stored responses may take, over all workers, overhead included; 0 turns the cache off
    ///
    /// Beyond the limit, the oldest response goes that was not used lately. The part of it that slow clients still read
    /// counts until they have it.
    #[arg(long, value_name = "SIZE", default_value = "256m", value_parser = size::<usize>)]
    pub cache_size: usize,

    /// The largest body that is stored, at most half of --cache-size [default: 8m, or half of --cache-size if that is less]
    ///
    /// A larger one streams through: a few of them would push out everything else. Parts that are put together count together.
    #[arg(long, value_name = "SIZE", value_parser = size::<usize>)]
    pub cache_max_object: Option<usize>,

    /// How long a response is fresh that does not say so itself, and gives nothing to guess it from [default: it is not]
    ///
    /// Only for statuses that may be cached without being told so, as 200 and 404. The response has the last word. Not where
    /// it may be for one client: it has Set-Cookie, or the request has Cookie or Authorization.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub cache_default_ttl: Option<Duration>,

    /// How stale a response may be served when no backend answers, if neither it nor the request says so [default: not
    /// at all]
    ///
    /// The response's own directives (`stale-if-error`, `must-revalidate`) go before.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub cache_stale_if_error: Option<Duration>,

    /// Paths that are never cached, with `*` for any characters: /admin/* or *.php; may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub cache_exclude: Vec<Pattern>,

    /// How long a request waits for the same one that is under way before it asks a backend itself
    ///
    /// And for how long clients that read one response while it arrives wait for a slower one among them, if it is not stored.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub cache_wait: Duration,

    /// Do not say in each response what the cache did (Cache-Status, RFC 9211)
    #[arg(long)]
    pub no_cache_status: bool,

    /// Name the key in Cache-Status, too
    #[arg(long, conflicts_with = "no_cache_status")]
    pub cache_status_key: bool,
}

impl Flags for CacheArgs {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &[
            "cache_max_object",
            "cache_default_ttl",
            "cache_stale_if_error",
            "cache_exclude",
            "cache_wait",
            "no_cache_status",
            "cache_status_key",
        ],
        when: |matches| matches.get_one("cache_size") == Some(&0_usize),
        because: "--cache-size 0 turns the cache off",
    }];
}

impl CacheArgs {
    /// Whether the flags go together.
    ///
    /// # Errors
    ///
    /// A line that says what to write instead.
    pub fn check(&self) -> Result<(), String> {
        match self.cache_max_object {
            Some(object) if object > self.cache_size / 2 => Err(format!(
                "--cache-max-object must be at most half of --cache-size: at most {} bytes, or a larger cache",
                self.cache_size / 2
            )),
            _ => Ok(()),
        }
    }

    /// The flags as values.
    #[must_use]
    pub fn config(&self) -> CacheConfig {
        CacheConfig {
            limits: Limits {
                bytes: self.cache_size,
                object: self.cache_max_object.unwrap_or(MAX_OBJECT).min(self.cache_size / 2),
                variants: MAX_VARIANTS,
                uncacheable_for: UNCACHEABLE_FOR,
            },
            rules: Rules {
                default_ttl: self.cache_default_ttl,
                stale_if_error: self.cache_stale_if_error,
                ..Rules::default()
            },
            exclude: self.cache_exclude.clone(),
            wait: self.cache_wait,
            status: !self.no_cache_status,
            status_key: self.cache_status_key,
        }
    }
}

/// A path with `*` for any number of any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<[u8]>);

impl Pattern {
    /// Whether the pattern covers all of `path`.
    #[must_use]
    pub fn matches(&self, path: impl AsRef<[u8]>) -> bool {
        let (pattern, path) = (&self.0, path.as_ref());
        let (mut p, mut at) = (0, 0);
        // Where the last star is, and how far it reaches so far: going back to it is all the backtracking needed.
        let mut star: Option<(usize, usize)> = None;
        while at < path.len() {
            if pattern.get(p) == Some(&b'*') {
                star = Some((p, at));
                p += 1;
            } else if pattern.get(p) == Some(&path[at]) {
                (p, at) = (p + 1, at + 1);
            } else if let Some((before, reach)) = star {
                star = Some((before, reach + 1));
                (p, at) = (before + 1, reach + 1);
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with(['/', '*']) {
            return Err(format!("'{text}' matches no path: write /admin/* or *.php"));
        }
        Ok(Self(text.as_bytes().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Checked;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        cache: Checked<CacheArgs>,
    }

    fn parse(line: &str) -> Result<CacheConfig, clap::Error> {
        Cli::try_parse_from(["test"].into_iter().chain(line.split_whitespace())).map(|flags| flags.cache.config())
    }

    #[test]
    fn each_flag_sets_its_value() {
        let line = "--cache-size 1m --cache-max-object 16k --cache-default-ttl 1m --cache-stale-if-error 1h \
                    --cache-exclude /a* --cache-exclude *.php --cache-wait 1s --cache-status-key";
        let config = parse(line).unwrap();
        assert_eq!((config.limits.bytes, config.limits.object), (1 << 20, 16 << 10));
        assert_eq!(config.rules.default_ttl, Some(Duration::from_secs(60)));
        assert_eq!(config.rules.stale_if_error, Some(Duration::from_secs(3600)));
        assert_eq!((config.exclude.len(), config.wait), (2, Duration::from_secs(1)));
        assert!(config.status && config.status_key);
        let plain = parse("--no-cache-status").unwrap();
        assert_eq!((plain.limits.bytes, plain.limits.object), (256 << 20, 8 << 20));
        assert_eq!((plain.rules, plain.status, plain.status_key), (Rules::default(), false, false));
    }

    #[test]
    fn a_body_is_at_most_half_of_the_cache() {
        for (size, object) in [("0", 0), ("100", 50), ("16m", 8 << 20), ("1g", 8 << 20)] {
            assert_eq!(parse(&format!("--cache-size {size}")).unwrap().limits.object, object, "{size}");
        }
    }

    #[test]
    fn a_larger_body_than_half_of_the_cache_is_not_asked_for_in_vain() {
        let check = |line: &str| {
            Cli::try_parse_from(["test"].into_iter().chain(line.split_whitespace())).unwrap().cache.check()
        };
        for line in ["", "--cache-size 1k", "--cache-size 0", "--cache-size 1m --cache-max-object 512k"] {
            assert_eq!(check(line), Ok(()), "{line}");
        }
        let error = check("--cache-size 1m --cache-max-object 524289").unwrap_err();
        assert!(error.contains("at most 524288 bytes"), "{error}");
        assert!(check("--cache-max-object 129m").is_err());
    }

    #[test]
    fn without_a_cache_its_other_flags_mean_nothing() {
        let command = Cli::command();
        let others = command.get_arguments().filter_map(|arg| arg.get_long()).filter(|long| *long != "cache-size");
        let mut seen = 0;
        for long in others {
            let value = match long {
                "no-cache-status" | "cache-status-key" => "",
                "cache-exclude" => "=/a",
                "cache-max-object" => "=1k",
                _ => "=1s",
            };
            let error = parse(&format!("--cache-size 0k --{long}{value}")).expect_err("it means nothing").to_string();
            assert!(error.contains(&format!("--{long} means nothing here")), "{error}");
            assert!(error.contains("--cache-size 0 turns the cache off"), "{error}");
            assert!(parse(&format!("--cache-size 1m --{long}{value}")).is_ok(), "{long}");
            seen += 1;
        }
        assert_eq!(seen, 7);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["--cache-size -1", "--cache-default-ttl 5", "--cache-exclude admin", "--cache-size 5x"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn patterns() {
        const CASES: &[(&str, &str, bool)] = &[
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a*", "/a", true),
            ("/a*", "/abc/d", true),
            ("*", "/", true),
            ("*.php", "/x/y.php", true),
            ("*.php", "/x/y.php/z", false),
            ("/*/b", "/a/b/b", true),
            ("/*/b", "/a/b/c", false),
            ("/**b*", "/ab", true),
            ("/a*a*a*b", "/aaaaaaaaaaaaaaaa", false),
        ];
        for (pattern, path, matches) in CASES {
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(path), *matches, "{pattern} {path}");
        }
    }
}
