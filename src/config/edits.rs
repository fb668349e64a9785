//! `request-headers` and `response-headers`: changes to the fields of heads.
//!
//! ```text
//!   request-headers = { remove = ["Cookie"], set = { X-Env = "prod" }, add = { Link = ["</a>", "</b>"] } }
//! ```
//!
//! Those of a site are made for all of its routes, and those of a route after them.

use super::{
    fields::Fields,
    shown::quoted_as_written,
    tree::{Mistake, Node, Place, Value},
};
use crate::proxy::{self, Side, check_name, check_value};

/// The keys of changes.
pub(super) const KEYS: &[&str] = &["remove", "set", "add"];

/// The changes of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edits {
    remove: Vec<String>,
    set: Vec<Line>,
    add: Vec<Line>,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    name: String,
    value: String,
    /// The value as it may be shown.
    shown: String,
}

/// Names, or parts of them, whose values are not shown.
const SECRET: &[&str] = &["authorization", "cookie", "token", "secret", "password", "key"];

impl Edits {
    /// Reads the changes under that key of a site or a route.
    pub(super) fn read(fields: &Fields<'_>, key: &str, side: Side) -> Result<Self, Mistake> {
        let Some(table) = fields.table_of(key, "{ set = { NAME = \"value\" } }")? else { return Ok(Self::default()) };
        let inner = Fields::new(table, key, KEYS)?;
        let mut edits = Self::default();
        for (name, place) in inner.texts("remove")? {
            named(&name, place, side)?;
            if contains(&edits.remove, &name) {
                return Err(place.mistake(format!("{name} is removed twice")));
            }
            edits.remove.push(name);
        }
        edits.set = lines(&inner, "set", side)?;
        edits.add = lines(&inner, "add", side)?;
        let mut set: Vec<&str> = Vec::new();
        for line in &edits.set {
            let place = inner.place("set");
            if set.iter().any(|other| other.eq_ignore_ascii_case(&line.name)) {
                return Err(place.mistake(format!("{} is set twice: a field that is set has one value", line.name)));
            }
            if contains(&edits.remove, &line.name) {
                let name = &line.name;
                return Err(
                    place.mistake(format!("{name} is set and removed: what is set takes the place of all others"))
                );
            }
            set.push(&line.name);
        }
        Ok(edits)
    }

    /// These changes, and then those of a part of it.
    pub(super) fn then(&self, inner: &Self) -> Self {
        let mut both = self.clone();
        for name in &inner.remove {
            both.forget(name);
            both.remove.push(name.clone());
        }
        for line in &inner.set {
            both.forget(&line.name);
            both.set.push(line.clone());
        }
        both.add.extend_from_slice(&inner.add);
        both
    }

    fn forget(&mut self, name: &str) {
        self.remove.retain(|other| !other.eq_ignore_ascii_case(name));
        self.set.retain(|other| !other.name.eq_ignore_ascii_case(name));
        self.add.retain(|other| !other.name.eq_ignore_ascii_case(name));
    }

    /// As the machine makes them.
    pub(super) fn made(&self) -> proxy::Edits {
        fn lines(lines: &[Line]) -> impl Iterator<Item = (&str, &str)> + Clone {
            lines.iter().map(|line| (line.name.as_str(), line.value.as_str()))
        }
        proxy::Edits::new(self.remove.iter().map(String::as_str), lines(&self.set), lines(&self.add))
    }

    /// As a file has them. `None`: there are none.
    pub(super) fn shown(&self) -> Option<String> {
        let names: Vec<String> = self.remove.iter().map(|name| quoted_as_written(name)).collect();
        let mut parts = Vec::new();
        if !names.is_empty() {
            parts.push(format!("remove = [{}]", names.join(", ")));
        }
        let set = self.set.iter().map(|line| (line.name.as_str(), vec![quoted_as_written(&line.shown)]));
        let mut add: Vec<(&str, Vec<String>)> = Vec::new();
        for line in &self.add {
            let value = quoted_as_written(&line.shown);
            match add.iter_mut().find(|(name, _)| *name == line.name) {
                Some((_, values)) => values.push(value),
                None => add.push((&line.name, vec![value])),
            }
        }
        parts.extend(table("set", set.collect()));
        parts.extend(table("add", add));
        (!parts.is_empty()).then(|| format!("{{ {} }}", parts.join(", ")))
    }
}

fn table(key: &str, lines: Vec<(&str, Vec<String>)>) -> Option<String> {
    let line = |(name, values): &(&str, Vec<String>)| match &values[..] {
        [only] => format!("{} = {only}", quoted_as_written(name)),
        several => format!("{} = [{}]", quoted_as_written(name), several.join(", ")),
    };
    let lines: Vec<String> = lines.iter().map(line).collect();
    (!lines.is_empty()).then(|| format!("{key} = {{ {} }}", lines.join(", ")))
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn named(name: &str, place: Place, side: Side) -> Result<(), Mistake> {
    check_name(name, side).map_err(|why| place.mistake(format!("the field {name:?} cannot be changed: {why}")))
}

fn lines(fields: &Fields<'_>, key: &str, side: Side) -> Result<Vec<Line>, Mistake> {
    let Some(table) = fields.table_of(key, "{ NAME = \"value\" }")? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    for (name, entry) in &table.entries {
        named(name, entry.key, side)?;
        let nodes = match &entry.node.value {
            Value::List(nodes) if key == "add" => &nodes[..],
            _ => std::slice::from_ref(&entry.node),
        };
        for node in nodes {
            lines.push(line(name, node)?);
        }
    }
    Ok(lines)
}

fn line(name: &str, node: &Node) -> Result<Line, Mistake> {
    let Value::Text { text, written } = &node.value else {
        let kind = node.value.kind();
        return Err(node.place.mistake(format!("the field {name} cannot be {kind}: write its value in quotes")));
    };
    // A value from the environment is not repeated: it may be a secret.
    check_value(text).map_err(|why| {
        let shown = written.as_ref().unwrap_or(text);
        node.place.mistake(format!("the field {name} cannot be {shown:?}: {why}"))
    })?;
    let lower = name.to_ascii_lowercase();
    let shown = match written {
        Some(written) => written.clone(),
        None if SECRET.iter().any(|part| lower.contains(part)) => "(hidden)".to_owned(),
        None => text.replace("${", "$${"),
    };
    Ok(Line { name: name.to_owned(), value: text.clone(), shown })
}
