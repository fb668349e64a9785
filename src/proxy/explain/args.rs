//! The keys of explanations, which only a configuration file gives.

use super::ExplainConfig;
use crate::units::{Flags, Pointless};
use clap::Args;

/// Requests that are explained.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Explain requests with "Explain: TOKEN", and name the explanation in the answer
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    explain_token: Option<Box<str>>,
    /// Explain one request in so many, whatever comes of it
    #[arg(long, value_name = "N", value_parser = crate::units::number::<u32>(1..=crate::units::MAX_COUNT))]
    explain_sample: Option<u32>,
    /// Explain each request that fails. Facts are noted for all then, and forgotten where all goes well
    #[arg(long)]
    explain_failures: bool,
}

impl Flags for ExplainArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

impl ExplainArgs {
    /// The flags as a value; `None`: nothing is explained.
    #[must_use]
    pub fn config(&self) -> Option<ExplainConfig> {
        let Self { explain_token, explain_sample, explain_failures } = self.clone();
        let config = ExplainConfig { token: explain_token, one_in: explain_sample, failures: explain_failures };
        (config != ExplainConfig::default()).then_some(config)
    }
}

/// A token that cannot be guessed by trying. An explanation tells no secret of a client's, but it names servers.
const SHORTEST: usize = 16;

fn token(text: &str) -> Result<Box<str>, String> {
    if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "write at least {SHORTEST} visible ASCII characters, for example the output of: openssl rand -hex 16"
        ));
    }
    Ok(text.into())
}
