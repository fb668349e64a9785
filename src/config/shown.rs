//! The value of each key, given or not, as people and other files read it.

use super::{
    flags::{Flags, Said, is_switch},
    keys::{Key, SECRET},
};
use crate::units::{duration, size};
use clap::{Arg, ArgAction};

/// The values of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// As they are written in a file; empty: there is none.
    pub(super) values: Vec<String>,
    /// No file sets it.
    pub(super) is_default: bool,
    /// Several may be given.
    pub(super) is_list: bool,
    /// Their meaning: two texts of one time are the same.
    pub(super) meaning: Vec<String>,
}

impl Shown {
    /// For a file: `"30s"`, `["a", "b"]`.
    pub(super) fn in_file(&self) -> String {
        match &self.values[..] {
            [only] if !self.is_list => only.clone(),
            values => format!("[{}]", values.join(", ")),
        }
    }

    /// For a message.
    pub(super) fn in_words(&self) -> String {
        let default = if self.is_default { " (default)" } else { "" };
        if self.values.is_empty() { "nothing".to_owned() } else { format!("{}{default}", self.values.join(", ")) }
    }
}

impl Flags {
    /// The value of a key.
    pub(super) fn shown(&self, key: &Key) -> Shown {
        let arg = self.arg(key.flag);
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        let given = self.given.iter().find(|given| given.key == key);
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            let yes = given.is_some_and(|given| given.on) != key.is_negated();
            let values = vec![yes.to_string()];
            return Shown { meaning: values.clone(), values, is_default: given.is_none(), is_list };
        }
        let Some(given) = given else {
            let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
            let texts: Vec<String> = defaults.collect();
            let values = texts.iter().map(|text| literal(arg, &escaped(text))).collect();
            return Shown { values, is_default: true, is_list, meaning: meaning(arg, &texts) };
        };
        let texts: Vec<String> = given.values.iter().map(|said| said.text.clone()).collect();
        let values = match &given.values[..] {
            [] if !is_list => vec![given.on.to_string()],
            values => values.iter().map(|said| literal(arg, &readable(key, said))).collect(),
        };
        let meaning = if texts.is_empty() { values.clone() } else { meaning(arg, &texts) };
        Shown { values, is_default: false, is_list, meaning }
    }
}

/// The part of a value that may be shown. A value from the environment is not, nor one that may hold a password.
fn readable(key: &Key, said: &Said) -> String {
    if SECRET.contains(&key.flag) {
        return escaped(&hidden(key.flag, &said.text));
    }
    said.written.clone().unwrap_or_else(|| escaped(&said.text))
}

/// A value without its secret, which can still be read as one of its key.
fn hidden(flag: &str, text: &str) -> String {
    match (flag, text.split_once("://"), text.split_once(':')) {
        // As long as a token has to be.
        ("explain-token", ..) => "(hidden)(hidden)".to_owned(),
        ("store" | "cache-store", Some((scheme, rest)), _) => {
            let host = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, host)| format!("(hidden)@{host}"));
            format!("{scheme}://{host}")
        }
        ("health-header", _, Some((name, _))) => format!("{name}: (hidden)"),
        _ => "(hidden)".to_owned(),
    }
}

fn is(arg: &Arg, name: &str) -> bool {
    arg.get_value_names().unwrap_or_default().iter().any(|known| known == name)
}

/// A text that names no variable when it is read.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// A value in the words of a file.
fn literal(arg: &Arg, text: &str) -> String {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "on" if is_switch(arg) => "true".to_owned(),
        "off" if is_switch(arg) => "false".to_owned(),
        _ if is_number && ["N", "SIZE", "PORT"].iter().any(|name| is(arg, name)) => text.to_owned(),
        _ => quoted_as_written(text),
    }
}

/// A value as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    quoted_as_written(&escaped(text))
}

/// A key as TOML writes it, or a value that names variables.
pub(super) fn quoted_as_written(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            c if c.is_control() => out += &format!("\\u{:04X}", c as u32),
            c => out.push(c),
        }
    }
    out + "\""
}

fn meaning(arg: &Arg, texts: &[String]) -> Vec<String> {
    let one = |text: &String| match () {
        () if is(arg, "TIME") => duration(text).map_or(text.clone(), |time| format!("{time:?}")),
        () if is(arg, "SIZE") => size::<u64>(text).map_or(text.clone(), |size| size.to_string()),
        () => text.clone(),
    };
    texts.iter().map(one).collect()
}
