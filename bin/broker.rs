//! An MQTT broker: clients publish messages to topics, and get those of the topics that they subscribe to.
//!
//! The rules are in `src/broker/core/`, which knows no sockets; the packets in `src/mqtt/`; the log in `src/broker/journal.rs`.

use clap::Parser;
use socket_patterns::{
    broker::{self, BrokerArgs},
    cli,
    units::Checked,
};
use std::process::ExitCode;

/// An MQTT broker, versions 3.1.1 and 5.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  broker --data ./broker-data        sessions and messages last
  mosquitto_sub -t 'sensors/#' -v    in another terminal
  mosquitto_pub -t sensors/kitchen -m 21.5 -q 1
  mosquitto_sub -t '$SYS/#' -v       the broker's own numbers
  broker --listen 127.0.0.1:1884 --bridge mqtt://localhost:1883 --bridge-topic 'sensors/# out 1'
  broker --tls-listen 127.0.0.1:8883 --certificate site.pem --key site.key
  echo secret | broker --hash-password
  kill -USR1 PID                     says how much was done")]
struct Args {
    #[command(flatten)]
    broker: Checked<BrokerArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| broker::run(&args.broker))
}
