//! Two protocols in one server: HTTP and the lines of a command server, each on its own port, configured by one file.
//!
//! The file is read in `src/multi/config.rs`, where each mistake gets its line and its column. An event loop for each protocol keeps a
//! flood of one from the other: `src/multi/run.rs`.

use clap::Parser;
use socket_patterns::{
    cli,
    multi::{self, MultiArgs},
    units::Checked,
};
use std::process::ExitCode;

/// HTTP and a command server in one process, configured by one file.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example, multi.toml; what is not said has the value that is shown here:
  log-level = \"info\"
  drain-timeout = \"10s\"
  driver = \"auto\"                    # or epoll, io-uring

  [http]                             # a protocol without a section is not served
  listen = \"127.0.0.1:8080\"
  backlog = 1024
  max-clients = 1000                 # at once; those beyond wait in the backlog
  idle-timeout = \"75s\"
  name = \"origin\"                    # said in X-Backend

  [command]
  listen = \"127.0.0.1:8081\"
  backlog = 1024
  max-clients = 1000
  idle-timeout = \"5m\"
  line-max = \"8k\"

  multi --config multi.toml
  curl http://127.0.0.1:8080/health
  echo PING | client --connect 127.0.0.1:8081
  kill -USR1 PID                     says what each protocol has done")]
struct Args {
    #[command(flatten)]
    multi: Checked<MultiArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| multi::run(&args.multi))
}
