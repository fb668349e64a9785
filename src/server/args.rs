//! The flags that all demo servers have.

use crate::{cli::ListenArgs, service::Service, units::nonzero_duration};
use std::time::Duration;

/// Flattened into the flags of every architecture.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// Where to listen, how to stop, how much to say.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// The service for the clients.
    #[arg(long, value_enum, default_value_t = Service::Echo)]
    pub service: Service,
    /// Silence after which a client is sent away [default: 5m for lines, 75s between HTTP requests].
    #[arg(long, value_name = "TIME", value_parser = nonzero_duration)]
    pub idle_timeout: Option<Duration>,
}
