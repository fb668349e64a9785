//! `serve`: the student's server in the foreground, to try it by hand.

use super::{Refused, built, exercise_named};
use clap::Args;
use std::{net::SocketAddr, os::unix::process::CommandExt as _, process::Command};

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Which: e06, 6 or e06-echo
    exercise: String,
    /// Where it listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// More arguments of the program, after --
    #[arg(last = true)]
    rest: Vec<String>,
}

#[allow(clippy::print_stdout)]
pub(crate) fn serve(args: &Serve) -> Result<u8, Refused> {
    let exercise = exercise_named(&args.exercise)?;
    let program = built(exercise)?;
    println!("{} {}: in another terminal, nc {} {}", exercise.id, exercise.title, args.listen.ip(), args.listen.port());
    // The program takes our place, so that Ctrl-C and a debugger find it and nothing else.
    let error = Command::new(program).args(["--listen", &args.listen.to_string()]).args(&args.rest).exec();
    Err(error.into())
}
