//! From keys to flags: a table of the file becomes a command line, and what is wrong with that is told of the key.

use super::{
    keys::{GLOBAL, Key, STRUCTURE},
    times::TIMES,
    tree::{Mistake, Node, Place, Sources, Table, Value},
};
use crate::cli::{self, file::nearest};
use clap::{
    Arg, ArgAction, Command, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::error::Error as _;

/// A key that the file sets.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) key: &'static Key,
    pub(super) place: Place,
    /// The values for the flag: none for one that takes no value.
    pub(super) values: Vec<Said>,
    /// Whether the flag itself is given, if it takes no value.
    pub(super) on: bool,
}

/// A value of a key.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) written: Option<String>,
    place: Place,
}

/// The flags of one kind that a file gives.
#[derive(Debug)]
pub(super) struct Flags {
    /// Shared: a thousand upstreams have the same flags.
    command: &'static Command,
    keys: &'static [Key],
    pub(super) given: Vec<Given>,
}

impl Flags {
    pub(super) fn new(command: &'static Command, keys: &'static [Key]) -> Self {
        Self { command, keys, given: Vec::new() }
    }

    /// The tables in which there are keys.
    pub(super) fn sections(&self) -> Vec<&'static str> {
        let mut sections: Vec<&str> = self.keys.iter().map(|key| key.section).collect();
        sections.dedup();
        sections
    }

    fn names(&self, section: &str) -> Vec<&'static str> {
        self.keys.iter().filter(|key| key.section == section).map(|key| key.name).collect()
    }

    /// Takes the keys of `table` and of the tables in it. `others`: the keys that are read elsewhere.
    pub(super) fn take(&mut self, table: &Table, others: &[&str], sources: &Sources) -> Result<(), Mistake> {
        for (name, entry) in &table.entries {
            if others.contains(&name.as_str()) {
                continue;
            }
            if let Some(section) = self.sections().into_iter().find(|section| section == name) {
                let Value::Table(inner) = &entry.node.value else {
                    let known = self.names(section);
                    let kind = entry.node.value.kind();
                    return Err(entry.node.place.mistake(format!(
                        "`{name}` is {kind}, and has to be a table: in it may be {}",
                        known.join(", ")
                    )));
                };
                for (name, entry) in &inner.entries {
                    let Some(key) = self.keys.iter().find(|key| key.section == section && key.name == name) else {
                        let (known, elsewhere) = (self.names(section), self.elsewhere(name));
                        return Err(unknown_but(entry.key, name, &format!("in [{section}]"), &known, elsewhere));
                    };
                    self.set(key, &entry.node, sources)?;
                }
            } else if let Some(key) = self.keys.iter().find(|key| key.section.is_empty() && key.name == name) {
                self.set(key, &entry.node, sources)?;
            } else {
                let sections = self.sections().into_iter().filter(|section| !section.is_empty());
                let known: Vec<&str> =
                    self.names("").into_iter().chain(sections).chain(others.iter().copied()).collect();
                return Err(unknown_but(entry.key, name, "here", &known, self.elsewhere(name)));
            }
        }
        Ok(())
    }

    /// The key of a flag that is called so, or of another table.
    fn elsewhere(&self, name: &str) -> Option<String> {
        let of_flag = self.keys.iter().find(|key| key.flag == name);
        of_flag.or_else(|| self.keys.iter().find(|key| key.name == name)).map(Key::path)
    }

    fn set(&mut self, key: &'static Key, node: &Node, sources: &Sources) -> Result<(), Mistake> {
        let arg = self.arg(key.flag);
        let wrong =
            |wanted: &str| node.place.mistake(format!("`{}` is {}: write {wanted}", key.path(), node.value.kind()));
        let mut given = Given { key, place: node.place, values: Vec::new(), on: true };
        match (arg.get_action(), &node.value) {
            (ArgAction::SetTrue, Value::Bool(yes)) => given.on = *yes != key.is_negated(),
            (ArgAction::SetTrue, _) => return Err(wrong("true or false")),
            (ArgAction::Append, Value::List(list)) => {
                given.values = list.iter().map(|node| said(arg, key, node, sources)).collect::<Result<_, _>>()?;
            }
            (_, Value::Bool(yes)) if is_switch(arg) => {
                let text = if *yes { "on" } else { "off" }.to_owned();
                given.values.push(Said { text, written: None, place: node.place });
            }
            // A value that may be left out.
            (_, Value::Bool(yes)) if is_optional(arg) => given.on = *yes,
            _ => given.values.push(said(arg, key, node, sources)?),
        }
        self.given.push(given);
        Ok(())
    }

    pub(super) fn arg(&self, flag: &str) -> &Arg {
        let arg = self.command.get_arguments().find(|arg| arg.get_long() == Some(flag));
        arg.expect("a test looks that each key has its flag")
    }

    /// The value of a flag without a key of its own, as it is written elsewhere in the file.
    pub(super) fn add(&mut self, key: &'static Key, text: String, place: Place) {
        self.given.push(Given { key, place, values: vec![Said { text, written: None, place }], on: true });
    }

    fn words(given: &Given) -> Vec<String> {
        let flag = given.key.flag;
        match &given.values[..] {
            [] if given.on => vec![format!("--{flag}")],
            values => values.iter().map(|value| format!("--{flag}={}", value.text)).collect(),
        }
    }

    /// Is it a flag whose value was given as a list without members, or `false`?
    fn is_silent(&self, given: &Given) -> bool {
        given.values.is_empty() && (!given.on || matches!(self.arg(given.key.flag).get_action(), ArgAction::Append))
    }

    /// The flags as the milestones read them.
    pub(super) fn parse<P: FromArgMatches>(&self) -> Result<P, Mistake> {
        let given: Vec<&Given> = self.given.iter().filter(|given| !self.is_silent(given)).collect();
        let words = given.iter().flat_map(|given| Self::words(given));
        let words = ["proxy".to_owned()].into_iter().chain(words);
        let matches = self.command.clone().try_get_matches_from(words);
        matches.and_then(|matches| P::from_arg_matches(&matches)).map_err(|error| self.mistake(&error, &given))
    }

    /// The mistake, told of the key.
    fn mistake(&self, error: &clap::Error, given: &[&Given]) -> Mistake {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            Some(ContextValue::Strings(texts)) => texts.first().cloned(),
            _ => None,
        };
        let flag = |kind| text(kind).as_deref().and_then(flag_in).map(str::to_owned);
        let of = |flag: &Option<String>| given.iter().find(|given| Some(given.key.flag) == flag.as_deref()).copied();
        let about = flag(ContextKind::InvalidArg);
        match (error.kind(), of(&about)) {
            (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(given)) => {
                let value = text(ContextKind::InvalidValue).unwrap_or_default();
                let said = given.values.iter().find(|said| said.text == value);
                let place = said.map_or(given.place, |said| said.place);
                let problem = match (error.source(), error.get(ContextKind::ValidValue)) {
                    (Some(source), _) => self.translated(&source.to_string()),
                    (None, Some(ContextValue::Strings(valid))) => write_one_of(valid, &value),
                    (None, _) => "the value is missing".to_owned(),
                };
                // A value from the environment is not repeated: it may be a secret.
                let shown = said.and_then(|said| said.written.clone()).unwrap_or(value);
                place.mistake(format!("`{}` cannot be {shown:?}: {problem}", given.key.path()))
            }
            (ErrorKind::MissingRequiredArgument, _) => self.lonely(&about.unwrap_or_default(), given),
            (ErrorKind::ArgumentConflict, Some(given)) => {
                let other = flag(ContextKind::PriorArg).unwrap_or_default();
                let problem =
                    format!("--{} and --{other} contradict each other: leave one of them out", given.key.flag);
                given.place.mistake(self.translated(&problem))
            }
            _ => self.told(error.to_string().lines().next().unwrap_or_default(), given),
        }
    }

    /// A key that means nothing without another one, of the flag `missing`.
    fn lonely(&self, missing: &str, given: &[&Given]) -> Mistake {
        let needs = |given: &&&Given| {
            let words = ["proxy".to_owned()].into_iter().chain(Self::words(given));
            let alone = self.command.clone().try_get_matches_from(words);
            alone.is_err_and(|error| {
                error.kind() == ErrorKind::MissingRequiredArgument && error.to_string().contains(missing)
            })
        };
        let place = given.iter().find(needs).or(given.first());
        let name = place.map_or_else(String::new, |given| given.key.path());
        let problem =
            self.translated(&format!("`{name}` means nothing without --{missing}: add it, or leave out `{name}`"));
        match place {
            Some(given) => given.place.mistake(problem),
            None => Mistake::nowhere(problem),
        }
    }

    /// A message that names flags, told of the first of them that is given.
    pub(super) fn told(&self, message: &str, given: &[&Given]) -> Mistake {
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let words = message.split_whitespace().filter_map(flag_in);
        let of = |flag: &str| given.iter().find(|given| given.key.flag == flag);
        let place = words.filter_map(of).next().or(given.first()).map(|given| given.place);
        let problem = self.translated(message);
        place.map_or_else(|| Mistake::nowhere(problem.clone()), |place| place.mistake(problem.clone()))
    }

    /// A message with keys in place of flags.
    pub(super) fn translated(&self, message: &str) -> String {
        let mut out = String::new();
        let mut rest = message;
        while let Some(at) = rest.find("--") {
            let (before, flag) = rest.split_at(at);
            let end =
                flag[2..].find(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(flag.len(), |end| end + 2);
            let (flag, after) = flag.split_at(end);
            out += before;
            out += &self.key_for(flag.trim_start_matches('-')).unwrap_or_else(|| flag.to_owned());
            rest = after;
        }
        out + rest
    }

    fn key_for(&self, flag: &str) -> Option<String> {
        let key = self.keys.iter().find(|key| key.flag == flag).map(|key| {
            if key.is_negated() { format!("`{}` = false", key.path()) } else { format!("`{}`", key.path()) }
        });
        key.or_else(|| STRUCTURE.iter().find(|(known, _)| *known == flag).map(|(_, place)| (*place).to_owned()))
    }
}

/// A value, as a flag would get it.
fn said(arg: &Arg, key: &Key, node: &Node, sources: &Sources) -> Result<Said, Mistake> {
    let names = arg.get_value_names().unwrap_or_default();
    let is = |name: &str| names.iter().any(|known| known == name);
    let takes_numbers = ["N", "SIZE", "PORT", "TIME"].iter().any(|name| is(name));
    let wanted = || {
        let valid: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        match names.first().map(clap::builder::Str::as_str) {
            _ if is_switch(arg) => "true or false".to_owned(),
            _ if !valid.is_empty() => one_of(&valid),
            Some("N" | "PORT") => "a number".to_owned(),
            Some("SIZE") => "a size: 512, \"16k\", \"1m\"".to_owned(),
            Some("TIME") => "a time: \"250ms\", \"30s\", \"5m\"".to_owned(),
            _ => "a string in quotes".to_owned(),
        }
    };
    let (text, written) = match &node.value {
        Value::Text { text, written }
            if is("FILE") || is("PLACE") && cli::Place::is_file(text) && !text.ends_with('/') =>
        {
            let file = sources.file(text, node.place).display().to_string();
            // A name alone would be another place, or none.
            let is_another = is("PLACE") && !cli::Place::is_file(&file);
            (if is_another { format!("./{file}") } else { file }, written.clone())
        }
        Value::Text { text, written } => (text.clone(), written.clone()),
        Value::Number(number) if takes_numbers => (number.clone(), None),
        other => {
            let list = if matches!(arg.get_action(), ArgAction::Append) { ", or a list of such" } else { "" };
            let problem = format!("`{}` is {}: write {}{list}", key.path(), other.kind(), wanted());
            return Err(node.place.mistake(problem));
        }
    };
    Ok(Said { text, written, place: node.place })
}

/// Whether it is written as `on` and `off` on a command line.
pub(super) fn is_switch(arg: &Arg) -> bool {
    let values = arg.get_possible_values();
    values.iter().any(|value| value.get_name() == "on") && values.iter().any(|value| value.get_name() == "off")
}

/// Whether its value may be left out.
pub(super) fn is_optional(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.min_values() == 0 && range.max_values() == 1)
}

/// The flag at the start of a text like `--health-path <PATH>`.
fn flag_in(text: &str) -> Option<&str> {
    let flag = text.trim_start_matches('\'').strip_prefix("--")?;
    Some(flag.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default())
}

fn write_one_of(valid: &[String], value: &str) -> String {
    let near = nearest(value, valid.iter().map(String::as_str));
    let meant = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    format!("write {}{meant}", one_of(valid))
}

fn one_of(valid: &[String]) -> String {
    let quoted: Vec<String> = valid.iter().map(|name| format!("{name:?}")).collect();
    format!("one of {}", quoted.join(", "))
}

fn is_at_the_top(name: &str) -> bool {
    let of_flag = GLOBAL.iter().any(|key| key.section.is_empty() && key.name == name);
    of_flag || name == "include" || TIMES.iter().any(|(time, _)| *time == name)
}

/// A key that there is not.
pub(super) fn unknown(place: Place, name: &str, section: &str, known: &[&str]) -> Mistake {
    unknown_but(place, name, section, known, None)
}

/// A key that there is not in this table, and perhaps in another.
fn unknown_but(place: Place, name: &str, section: &str, known: &[&str], elsewhere: Option<String>) -> Mistake {
    let near = || nearest(name, known.iter().copied()).map(str::to_owned);
    // In TOML, all that follows a table is a part of it.
    if is_at_the_top(name) {
        let problem =
            format!("there is no key `{name}` {section}: it stands at the top of the file, above the first [table]");
        return place.mistake(problem);
    }
    let meant = match elsewhere.or_else(near) {
        Some(key) => format!(": did you mean `{key}`?"),
        None => ".".to_owned(),
    };
    let mut known = known.to_vec();
    known.sort_unstable();
    place.mistake(format!("there is no key `{name}` {section}{meant} The keys are {}", known.join(", ")))
}
