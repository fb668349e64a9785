//! A configuration as it is written: values that know their place, from all files that belong to it.
//!
//! ```text
//!   include = ["sites/*.toml"]     the files that it names are a part of it, in the order of their names
//!   key = "${KEY_FILE}"            stands for what the environment says; $${ is a plain ${
//! ```
//!
//! A table that several files write is put together; one key twice is a mistake that names both places.

use super::world::World;
use crate::{
    cache::Pattern,
    cli::file::{line_and_column, located, of_toml, text},
};
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// Files that one configuration may have. More are taken for a mistake in a pattern.
const MAX_FILES: usize = 10_000;

/// Files of which each includes the next. Names that lead in a circle by way of links end here.
const MAX_DEPTH: usize = 16;

/// A position in one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    file: usize,
    at: Option<usize>,
}

/// Something is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) place: Place,
    pub(super) problem: String,
}

impl Mistake {
    /// Something is wrong, and no place in a file is to blame.
    pub(super) fn nowhere(problem: String) -> Self {
        Place { file: usize::MAX, at: None }.mistake(problem)
    }
}

impl Place {
    pub(super) fn mistake(self, problem: impl Into<String>) -> Mistake {
        Mistake { place: self, problem: problem.into() }
    }
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// With what the environment says in its place.
    Text {
        text: String,
        /// As it is written, if that is something else: what comes from the environment may be a secret.
        written: Option<String>,
    },
    /// As it is written, without underscores.
    Number(String),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
    /// A date or a time: nothing here is one.
    Date,
}

impl Value {
    /// For messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "a string",
            Self::Number(_) => "a number",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Date => "a date",
        }
    }
}

/// Keys and values, by the key.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) place: Place,
    pub(super) entries: BTreeMap<String, Entry>,
}

/// The value of a key.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) key: Place,
    pub(super) node: Node,
}

/// The files that were read.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<(PathBuf, String)>);

impl Sources {
    /// One line: file, line, column, and what is wrong.
    pub(super) fn tell(&self, mistake: &Mistake) -> String {
        match self.0.get(mistake.place.file) {
            Some((path, text)) => located(path, text, mistake.place.at, &mistake.problem),
            None => mistake.problem.clone(),
        }
    }

    /// A place in the words of a message: `proxy.toml:3`.
    pub(super) fn line(&self, place: Place) -> String {
        let Some((path, text)) = self.0.get(place.file) else { return "elsewhere".to_owned() };
        let line = place.at.and_then(|at| line_and_column(text, at)).map_or(1, |(line, _)| line);
        format!("{}:{line}", path.display())
    }

    /// A file that a value of the configuration names: relative to the file in which it stands.
    pub(super) fn file(&self, named: &str, by: Place) -> PathBuf {
        let folder = self.0.get(by.file).and_then(|(path, _)| path.parent());
        plain(&folder.unwrap_or(Path::new("")).join(named))
    }
}

/// A path without `.` and `..`, as far as that can be told without asking the system.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    // An empty path would be no path at all.
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// Reads a file and all that belong to it.
pub(super) fn read(path: &Path, world: &dyn World, sources: &mut Sources) -> Result<Table, Mistake> {
    let bytes = world.read(path).map_err(|error| Mistake::nowhere(format!("{}: {error}", path.display())))?;
    let mut reading = Reading { world, sources, open: Vec::new() };
    reading.file(path, bytes)
}

/// The words of the library about a text, in those of the user where a usual slip is behind it. `there`: the text from the place on.
fn no_toml(message: &str, there: &str) -> String {
    let end = there.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).unwrap_or(there.len());
    match (message, &there[..end]) {
        ("duplicate key", name @ ("listen" | "site" | "route")) => {
            let table = if name == "route" { "site.route" } else { name };
            format!("`{name}` is there twice: write each with two brackets, [[{table}]]")
        }
        ("duplicate key", "upstream") => {
            "`upstream` is there twice: write each with its name, [upstream.NAME]".to_owned()
        }
        ("duplicate key", name) if !name.is_empty() => format!("`{name}` is there twice: leave one of them out"),
        _ if there.starts_with(['“', '”', '„', '‘', '’', '«', '»']) => {
            format!("this is not TOML: {message}: write straight quotes, as in \"text\"")
        }
        _ => format!("this is not TOML: {message}"),
    }
}

struct Reading<'a> {
    world: &'a dyn World,
    sources: &'a mut Sources,
    /// The files that are being read: each includes the next.
    open: Vec<PathBuf>,
}

impl Reading<'_> {
    fn file(&mut self, path: &Path, bytes: Vec<u8>) -> Result<Table, Mistake> {
        let text = text(path, bytes).map_err(Mistake::nowhere)?;
        let file = self.sources.0.len();
        let start = Place { file, at: Some(0) };
        self.sources.0.push((path.to_owned(), text.clone()));
        if file >= MAX_FILES || self.open.len() >= MAX_DEPTH {
            let most = format!("there are at most {MAX_FILES} files, and {MAX_DEPTH} of which each includes the next");
            return Err(start.mistake(format!("too many files are included: {most}")));
        }
        let parsed = DeTable::parse(&text).map_err(|error| {
            let (span, message) = of_toml(&error);
            let there = span.as_ref().and_then(|span| text.get(span.start..)).unwrap_or_default();
            Place { file, at: span.as_ref().map(|span| span.start) }.mistake(no_toml(&message, there))
        })?;
        let mut table = self.table(parsed.into_inner(), start)?;
        let includes = table.entries.remove("include");
        self.open.push(path.to_owned());
        if let Some(includes) = includes {
            for (path, place) in self.included(&includes)? {
                let bytes = self.world.read(&path).map_err(|error| {
                    place.mistake(format!("{}, which is included, cannot be read: {error}", path.display()))
                })?;
                let more = self.file(&path, bytes)?;
                self.merge(&mut table, more)?;
            }
        }
        self.open.pop();
        Ok(table)
    }

    /// The files that `include` names.
    fn included(&self, includes: &Entry) -> Result<Vec<(PathBuf, Place)>, Mistake> {
        let single = std::slice::from_ref(&includes.node);
        let patterns = if let Value::List(list) = &includes.node.value { list } else { single };
        let mut files = Vec::new();
        for pattern in patterns {
            let Value::Text { text, .. } = &pattern.value else {
                return Err(pattern.place.mistake(format!(
                    "include is {}: write the name of a file, or a pattern like \"sites/*.toml\"",
                    pattern.value.kind()
                )));
            };
            let path = self.sources.file(text, pattern.place);
            let found = if text.contains('*') { self.matching(&path, pattern.place)? } else { vec![path] };
            for path in found {
                if let Some(at) = self.open.iter().position(|open| *open == path) {
                    let way: Vec<String> =
                        self.open[at..].iter().chain([&path]).map(|path| path.display().to_string()).collect();
                    return Err(pattern.place.mistake(format!("files that include each other: {}", way.join(" → "))));
                }
                if self.sources.0.iter().any(|(known, _)| *known == path)
                    || files.iter().any(|(known, _)| *known == path)
                {
                    return Err(pattern.place.mistake(format!("{} is included twice", path.display())));
                }
                files.push((path, pattern.place));
            }
        }
        Ok(files)
    }

    /// The files of a folder whose names match, in order. None is no mistake: sites may come later.
    fn matching(&self, pattern: &Path, place: Place) -> Result<Vec<PathBuf>, Mistake> {
        let (folder, name) = (pattern.parent().unwrap_or(Path::new("")), pattern.file_name().unwrap_or_default());
        let (folder_text, name) = (folder.to_string_lossy(), name.to_string_lossy());
        if folder_text.contains('*') {
            return Err(place.mistake("a * may stand in the name of a file, not in that of a folder"));
        }
        let known = self.world.list(folder).map_err(|error| place.mistake(format!("{folder_text}: {error}")))?;
        // The patterns of paths, for a path of one part.
        let pattern: Pattern = format!("/{name}").parse().map_err(|error: String| place.mistake(error))?;
        let is_meant = |name: &String| !name.starts_with('.') && pattern.matches(format!("/{name}"));
        let mut matching: Vec<String> = known.into_iter().filter(is_meant).collect();
        matching.sort();
        Ok(matching.into_iter().map(|name| folder.join(name)).collect())
    }

    /// Puts the content of another file to that of the first. Lists are joined, tables are put together.
    fn merge(&self, table: &mut Table, more: Table) -> Result<(), Mistake> {
        for (key, entry) in more.entries {
            let Some(known) = table.entries.get_mut(&key) else {
                table.entries.insert(key, entry);
                continue;
            };
            match (&mut known.node.value, entry.node.value) {
                (Value::Table(known), Value::Table(more)) => self.merge(known, more)?,
                (Value::List(known), Value::List(more))
                    if more.iter().all(|node| matches!(node.value, Value::Table(_))) =>
                {
                    known.extend(more);
                }
                _ => {
                    let there = self.sources.line(known.key);
                    return Err(entry.key.mistake(format!("`{key}` is set twice: {there} sets it, too")));
                }
            }
        }
        Ok(())
    }

    fn table(&self, table: DeTable<'_>, place: Place) -> Result<Table, Mistake> {
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            let at = |start| Place { at: Some(start), ..place };
            let (key_place, node_place) = (at(key.span().start), at(value.span().start));
            let node = self.node(value.into_inner(), node_place)?;
            entries.insert(key.into_inner().into_owned(), Entry { key: key_place, node });
        }
        Ok(Table { place, entries })
    }

    fn node(&self, value: DeValue<'_>, place: Place) -> Result<Node, Mistake> {
        let value = match value {
            DeValue::String(text) => self.text(&text, place)?,
            DeValue::Integer(number) => Value::Number(number.to_string()),
            DeValue::Float(number) => Value::Number(number.to_string()),
            DeValue::Boolean(yes) => Value::Bool(yes),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(list) => {
                let node = |value: toml::Spanned<DeValue<'_>>| {
                    let place = Place { at: Some(value.span().start), ..place };
                    self.node(value.into_inner(), place)
                };
                Value::List(list.into_iter().map(node).collect::<Result<_, Mistake>>()?)
            }
            DeValue::Table(table) => Value::Table(self.table(table, place)?),
        };
        Ok(Node { place, value })
    }

    /// A string with the values of the variables that it names.
    fn text(&self, written: &str, place: Place) -> Result<Value, Mistake> {
        if !written.contains("${") {
            return Ok(Value::Text { text: written.to_owned(), written: None });
        }
        let (mut text, mut rest) = (String::new(), written);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                text += before;
                text += "${";
                rest = after;
                continue;
            }
            text += before;
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| place.mistake("`${` has no `}`: write ${NAME}, or $${ for the characters themselves"))?;
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                return Err(place.mistake(format!(
                    "`{name}` is no name of a variable: write ${{NAME}}, or $${{ for the characters themselves"
                )));
            }
            let value = self.world.variable(name).ok_or_else(|| {
                place.mistake(format!("the environment has no variable {name}: set it before the start"))
            })?;
            text += &value;
            rest = after;
        }
        text += rest;
        Ok(Value::Text { text, written: Some(written.to_owned()) })
    }
}
