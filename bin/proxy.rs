//! The production proxy: milestone 5's machine, configured by a file.
//!
//! Read `src/config/`, beginning with `keys.rs` and `settings.rs`, and `src/proxy/routing/`.

use clap::Parser;
use socket_patterns::{
    cli,
    config::{self, ConfigArgs},
    units::Checked,
};
use std::process::ExitCode;

/// A reverse proxy for HTTP/1.1, HTTP/2 and TLS, with sites and upstreams as a file says.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example, proxy.toml:
  [[listen]]
  address = \"127.0.0.1:8080\"

  [[site]]
  hosts = [\"shop.test\", \"*.shop.test\"]
  upstream = \"web\"

  [[site.route]]
  path = \"/api/\"                       # the longest path wins; \"=/x\" is /x alone
  upstream = \"api\"

  [upstream.web]
  servers = [\"127.0.0.1:3000\"]

  [upstream.api]
  servers = [\"127.0.0.1:3001\", { address = \"127.0.0.1:3002\", weight = 2 }]
  health = { path = \"/health\", interval = \"2s\" }

  proxy --config proxy.toml --check
  proxy --config proxy.toml

docs/running.md tells all of it, and docs/proxy.toml has every key.")]
pub(crate) struct Args {
    #[command(flatten)]
    config: Checked<ConfigArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| config::run(&args.config))
}
