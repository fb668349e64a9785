//! How every program reads its command line, and what every `--help` says.

use clap::{Arg, Command, Parser};

/// The exit codes, which are the same for all programs. Each `--help` and the README list them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done; a server: told to end, and has ended; what it cut off is in its log
  1    it could not be done here: no server, a port in use, a file not writable
  2    wrong usage, or a program that cannot run on this system (io-uring)
  3    client, load: it was asked, and there was no answer
  130  a second Ctrl-C ended it at once (143: a second SIGTERM)";

/// The names that stand for a value in `--help` if the value is a number: of things, of seconds, of bytes, of anything.
const NUMBERS: [&str; 7] = ["N", "TIME", "SIZE", "PERCENT", "X", "NUMBERS", "PID"];

/// Reads the command line. Ends the process if it is wrong (exit code 2), or if only help was wanted (0).
#[must_use]
pub fn parse<P: Parser>() -> P {
    let matches = prepared(P::command()).get_matches();
    P::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// A command with what all of them have in common: `--version`, the exit codes at the end of the help, and numbers below zero, which
/// reach the flag that they are meant for. Else `--workers -1` would be answered with "unexpected argument '-1'".
#[must_use]
pub fn prepared(command: Command) -> Command {
    let own = command.get_after_help().map(ToString::to_string);
    let help = own.into_iter().chain([EXIT_CODES.to_owned()]).collect::<Vec<_>>().join("\n\n");
    let may_be_negative = |arg: &Arg| {
        arg.get_value_names().is_some_and(|names| names.iter().any(|name| NUMBERS.contains(&name.as_str())))
    };
    command
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(help)
        .mut_args(|arg| if may_be_negative(&arg) { arg.allow_hyphen_values(true) } else { arg })
        .mut_subcommands(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::number;
    use clap::CommandFactory as _;

    #[derive(Debug, Parser)]
    #[command(name = "program", after_help = "Example: program --count 3")]
    struct Flags {
        #[arg(long, value_name = "N", value_parser = number::<u32>(1..=10))]
        count: Option<u32>,
        #[arg(long)]
        other: bool,
    }

    fn refusal(args: &[&str]) -> String {
        let args = [&["program"], args].concat();
        prepared(Flags::command()).try_get_matches_from(args).expect_err("it is wrong, or help").to_string()
    }

    #[test]
    fn a_number_below_zero_reaches_its_flag() {
        assert!(refusal(&["--count", "-1"]).contains("must be at least 1"));
        assert!(refusal(&["--count=-1"]).contains("must be at least 1"));
        assert!(refusal(&["--count", "many"]).contains("not a whole number"));
        // A flag is still a flag, if it is not where a number is due.
        assert!(prepared(Flags::command()).try_get_matches_from(["program", "--other", "--count", "10"]).is_ok());
    }

    #[test]
    fn help_ends_with_the_exit_codes_after_the_programs_own_words() {
        let help = refusal(&["--help"]);
        let (_, end) = help.split_once("Example: program --count 3\n\n").expect("its own words");
        assert_eq!(end.trim_end(), EXIT_CODES);
        assert_eq!(refusal(&["--version"]), format!("program {}\n", env!("CARGO_PKG_VERSION")));
    }
}
