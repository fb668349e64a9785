//! A file server: the files of a directory over HTTP.
//!
//! Start with `src/files/mod.rs`. The event loop sends bodies from the page cache (`src/net/`), and a few threads ask the file
//! system, so that a slow disk stops nothing else.

use clap::Parser;
use socket_patterns::{
    cli,
    files::{self, FileArgs},
    units::Checked,
};
use std::process::ExitCode;

/// The files of a directory over HTTP: ranges, listings, compression, and no path that leaves the directory.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  file-server docs --cache-control '*.css=max-age=3600' --listen 127.0.0.1:8080
  curl http://127.0.0.1:8080/
  curl -r 0-99 http://127.0.0.1:8080/README.md")]
struct Args {
    #[command(flatten)]
    files: Checked<FileArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| files::run(&args.files))
}
