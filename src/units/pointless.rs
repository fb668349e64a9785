//! Flags that mean nothing beside another one: they are refused, because a flag that is ignored misleads its user.
//!
//! clap itself refuses two flags that exclude each other, and one that needs another. Here is what depends on a value:
//! `--cache-wait 1s` means something, but not beside `--cache-size 0`.

use clap::{ArgMatches, Args, Command, FromArgMatches, Id, error::ErrorKind, parser::ValueSource};
use std::ops::Deref;

/// Some flags, and the value of another one beside which they mean nothing.
#[derive(Debug)]
pub struct Pointless {
    /// The flags, by the names of their fields. One that has its default is no mistake.
    pub flags: &'static [&'static str],
    /// Whether they mean nothing, by the values of this command line.
    pub when: fn(&ArgMatches) -> bool,
    /// Why, as the user is told: `--cache-size 0 turns the cache off`.
    pub because: &'static str,
}

/// A group of flags that knows which of them go together.
pub trait Flags: Args {
    /// The combinations to refuse.
    const POINTLESS: &'static [Pointless];
}

/// Flags of which each means something: to be flattened into a program's flags instead of `T` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<T>(pub T);

impl<T> Deref for Checked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

fn check<T: Flags>(matches: &ArgMatches) -> Result<(), clap::Error> {
    let is_given = |flag: &&&str| matches.value_source(flag) == Some(ValueSource::CommandLine);
    for Pointless { flags, when, because } in T::POINTLESS {
        if let Some(flag) = flags.iter().find(is_given)
            && when(matches)
        {
            let flag = flag.replace('_', "-");
            let message = format!("--{flag} means nothing here, because {because}: leave one of them out\n");
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
        }
    }
    Ok(())
}

impl<T: Flags> FromArgMatches for Checked<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        check::<T>(matches)?;
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        // First, for reading a flag takes it out.
        check::<T>(matches)?;
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        check::<T>(matches)?;
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Flags> Args for Checked<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Args)]
    struct Lamp {
        #[arg(long, default_value = "40")]
        watts: u32,
        #[arg(long, default_value = "white")]
        lamp_colour: String,
    }

    impl Flags for Lamp {
        const POINTLESS: &'static [Pointless] = &[Pointless {
            flags: &["lamp_colour"],
            when: |matches| matches.get_one("watts") == Some(&0_u32),
            because: "--watts 0 turns the lamp off",
        }];
    }

    #[derive(Debug, Parser)]
    struct Room {
        #[command(flatten)]
        lamp: Checked<Lamp>,
        #[arg(long)]
        door: bool,
    }

    #[test]
    fn a_flag_is_refused_beside_the_value_that_makes_it_pointless() {
        let error = Room::try_parse_from(["room", "--lamp-colour", "red", "--watts", "0"]).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::ArgumentConflict, 2));
        let text = error.to_string();
        let said = "--lamp-colour means nothing here, because --watts 0 turns the lamp off: leave one of them out";
        assert!(text.contains(said), "{text}");
        // A default is no wish.
        for flags in
            [&["--watts", "0", "--door"][..], &["--lamp-colour", "red"], &["--lamp-colour", "red", "--watts", "1"]]
        {
            let room = Room::try_parse_from([&["room"], flags].concat()).unwrap();
            assert_eq!((room.lamp.watts == 0, room.lamp.lamp_colour == "white"), (room.door, room.door), "{flags:?}");
        }
    }
}
