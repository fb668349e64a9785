//! The flags of HTTP/2.

use crate::{
    http2::{Limits, limits},
    proxy::{args::Switch, config::Config, downstream::LOW_WATER},
    units::{Flags, Pointless, number},
};
use clap::Args;
use std::sync::Arc;

/// Flags of milestone 5: HTTP/2 with clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP/2")]
pub struct Http2Args {
    /// Speak HTTP/2 with clients that can: over TLS if they choose it (ALPN), without TLS if they begin with it (prior
    /// knowledge)
    #[arg(long, value_name = "on|off", default_value = "on")]
    http2: Switch,

    /// Requests that may run at once on one HTTP/2 connection
    #[arg(long, value_name = "N", default_value_t = limits::MAX_STREAMS, value_parser = number::<u32>(1..=MOST_STREAMS))]
    http2_streams: u32,
}

/// The window of a connection is that of a stream for each of its streams. It has 31 bits, and a stream's has 16.
const MOST_STREAMS: u64 = 10_000;

impl Flags for Http2Args {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &["http2_streams"],
        when: |matches| matches.get_one("http2") == Some(&Switch::Off),
        because: "--http2 off speaks HTTP/1.1 alone",
    }];
}

impl Http2Args {
    /// Bounds of a connection; `None`: HTTP/2 is not spoken.
    pub(in crate::proxy) fn limits(&self, config: &Config) -> Option<Arc<Limits>> {
        (self.http2 == Switch::On).then(|| {
            Arc::new(Limits {
                http: config.limits,
                max_streams: self.http2_streams,
                stream_window: limits::STREAM_WINDOW,
                low_water: LOW_WATER,
                ..Limits::default()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Checked;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        http2: Checked<Http2Args>,
    }

    fn parse(line: &str) -> Result<Option<Arc<Limits>>, String> {
        let cli = Cli::try_parse_from(["test"].into_iter().chain(line.split_whitespace()));
        cli.map(|cli| cli.http2.0.limits(&Config::default())).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_on_unless_it_is_turned_off() {
        let streams = |line| parse(line).map(|limits| limits.map(|limits| limits.max_streams));
        assert_eq!(streams(""), Ok(Some(100)));
        assert_eq!(streams("--http2 on --http2-streams 1"), Ok(Some(1)));
        assert_eq!(streams("--http2-streams 10000"), Ok(Some(10_000)));
        assert_eq!(streams("--http2 off"), Ok(None));
        for (line, problem) in [
            ("--http2-streams 0", "at least 1"),
            ("--http2-streams 10001", "at most 10000"),
            ("--http2 off --http2-streams 5", "--http2 off speaks HTTP/1.1 alone"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(problem), "{line}: {error}");
        }
        assert!(MOST_STREAMS * u64::from(limits::STREAM_WINDOW) < 1 << 31);
    }
}
