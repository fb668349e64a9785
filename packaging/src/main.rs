//! Writes what belongs to installed programs: man pages, and completions for three shells. From the descriptions that `--help` has.

// The programs themselves: of each, its description is wanted.
#[allow(dead_code)]
#[path = "../../bin/forward_proxy.rs"]
mod forward_proxy;
#[allow(dead_code)]
#[path = "../../bin/load.rs"]
mod load;
#[allow(dead_code)]
#[path = "../../bin/proxy.rs"]
mod proxy;

use clap::{Command, CommandFactory as _, Parser};
use clap_complete::{Shell, generate_to};
use socket_patterns::cli::{self, Failure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Writes man pages and completions of the programs that are installed.
#[derive(Debug, Parser)]
#[command(after_help = "Example: pages target/pages")]
struct Args {
    /// The folder to write them to: man1/, bash/, zsh/ and fish/ in it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// The programs that are installed.
fn programs() -> [Command; 3] {
    // Their own names: the one that they are compiled with is this program's.
    [
        proxy::Args::command().name("proxy"),
        forward_proxy::Args::command().name("forward-proxy"),
        load::Args::command().name("load"),
    ]
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| programs().into_iter().try_for_each(|program| write(&args.folder, cli::prepared(program))))
}

/// Writes what belongs to one program.
fn write(folder: &Path, mut program: Command) -> Result<(), Failure> {
    let man = folder.join("man1");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(program.clone(), man)?;
    let name = program.get_name().to_owned();
    for (shell, under) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let folder = folder.join(under);
        fs::create_dir_all(&folder)?;
        generate_to(shell, &mut program, &name, folder)?;
    }
    Ok(())
}
