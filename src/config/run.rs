//! The work of the program with a file: it runs what the file says, or tells about it.

use super::{Settings, System, demo, reload::Files, schema::schema};
use crate::{
    cli::{self, Failure},
    proxy,
    units::{Counted, Flags, Pointless},
};
use clap::Args;
use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The flags of the program.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The configuration. Without it, a demo runs: two sites, TLS, backends of its own
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the file and all that it names, say what there is, and end: 0 if it is right
    #[arg(long, requires = "config")]
    check: bool,
    /// Print the configuration as one file, with all that it includes and all defaults, and end. Values from the environment and
    /// passwords are hidden
    #[arg(long, requires = "config", conflicts_with = "check")]
    print_config: bool,
    /// Print a JSON Schema of the configuration, with which editors complete and check a file, and end
    #[arg(long, exclusive = true)]
    schema: bool,
    /// Say what another file changes, and end: --config OLD --diff NEW, or --diff OLD NEW
    #[arg(long, num_args = 1..=2, value_name = "FILE", conflicts_with_all = ["check", "print_config"])]
    diff: Vec<PathBuf>,
}

impl Flags for ConfigArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

/// Runs until a signal ends it, or says what was asked for.
///
/// # Errors
///
/// A file that is wrong, and all that [`proxy::serve`] cannot do.
pub fn run(args: &ConfigArgs) -> Result<(), Failure> {
    if args.schema {
        return print(&format!("{:#}\n", schema()));
    }
    match (&args.diff[..], &args.config) {
        ([], _) => {}
        ([new], Some(old)) | ([old, new], None) => return compare(&read(old)?, &read(new)?),
        _ => {
            return Err(Failure::Usage(
                "--diff compares two files: --config OLD --diff NEW, or --diff OLD NEW".to_owned(),
            ));
        }
    }
    let Some(path) = &args.config else { return demo::run() };
    let settings = read(path)?;
    if args.check {
        return check(path, &settings);
    }
    if args.print_config {
        return print(&settings.print());
    }
    let (setup, settings) = (settings.setup(), Arc::new(settings));
    let source = Files::new(path.clone(), settings.clone());
    proxy::serve(setup, Some(Box::new(source))).map_err(|failure| settings.placed(failure))
}

fn compare(old: &Settings, new: &Settings) -> Result<(), Failure> {
    let lines = old.diff(new);
    if lines.is_empty() { print("no difference\n") } else { print(&(lines.join("\n") + "\n")) }
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

fn read(path: &Path) -> Result<Settings, Failure> {
    Settings::read(path, &System).map_err(Failure::Usage)
}

fn check(path: &Path, settings: &Settings) -> Result<(), Failure> {
    for warning in settings.check()? {
        cli::say(&format!("warning: {warning}\n"));
    }
    let counts = settings.counts().map(|(count, word)| Counted::new(count, word).to_string());
    cli::say(&format!("{} is right: {}\n", path.display(), counts.join(", ")));
    Ok(())
}
