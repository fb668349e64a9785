//! The values of one table, each read by its name. A key that nobody asks for is a mistake.

use super::{
    flags::unknown,
    tree::{Entry, Mistake, Node, Place, Table, Value},
};

/// A table of which the keys are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) table: &'a Table,
    /// As it is written in messages: `[[site]]`.
    name: &'a str,
}

impl<'a> Fields<'a> {
    /// The tables of a list, which have these keys. `name`: `[[site]]`.
    pub(super) fn list(entry: &'a Entry, name: &'a str, keys: &[&str]) -> Result<Vec<Self>, Mistake> {
        let wrong = |node: &Node| {
            let (bare, kind) = (name.trim_matches(['[', ']']), node.value.kind());
            node.place.mistake(format!("`{bare}` is {kind}: write {name}, and its keys in lines of their own"))
        };
        let Value::List(list) = &entry.node.value else { return Err(wrong(&entry.node)) };
        let fields = |node: &'a Node| match &node.value {
            Value::Table(table) => Self::new(table, name, keys),
            _ => Err(wrong(node)),
        };
        list.iter().map(fields).collect()
    }

    /// One table, which has these keys.
    pub(super) fn new(table: &'a Table, name: &'a str, keys: &[&str]) -> Result<Self, Mistake> {
        match table.entries.iter().find(|(key, _)| !keys.contains(&key.as_str())) {
            Some((key, entry)) => Err(unknown(entry.key, key, &format!("in {name}"), keys)),
            None => Ok(Self { table, name }),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Entry> {
        self.table.entries.get(key)
    }

    /// Where the value of a key stands; without one, the table.
    pub(super) fn place(&self, key: &str) -> Place {
        self.get(key).map_or(self.table.place, |entry| entry.node.place)
    }

    /// A table in it.
    pub(super) fn table_of(&self, key: &str, example: &str) -> Result<Option<&'a Table>, Mistake> {
        match self.get(key).map(|entry| &entry.node) {
            None => Ok(None),
            Some(Node { value: Value::Table(table), .. }) => Ok(Some(table)),
            Some(node) => {
                Err(node.place.mistake(format!("`{key}` in {} is {}: write {example}", self.name, node.value.kind())))
            }
        }
    }

    /// A string, and where it is.
    pub(super) fn text(&self, key: &str) -> Result<Option<(String, Place)>, Mistake> {
        self.get(key).map(|entry| self.text_of(key, &entry.node)).transpose()
    }

    fn text_of(&self, key: &str, node: &Node) -> Result<(String, Place), Mistake> {
        match &node.value {
            Value::Text { text, .. } => Ok((text.clone(), node.place)),
            other => Err(node.place.mistake(format!(
                "`{key}` in {} is {}: write a string in quotes",
                self.name,
                other.kind()
            ))),
        }
    }

    /// A string or several.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<(String, Place)>, Mistake> {
        match self.get(key).map(|entry| &entry.node) {
            None => Ok(Vec::new()),
            Some(Node { value: Value::List(list), .. }) => list.iter().map(|node| self.text_of(key, node)).collect(),
            Some(node) => Ok(vec![self.text_of(key, node)?]),
        }
    }

    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>, Mistake> {
        match self.get(key).map(|entry| &entry.node) {
            None => Ok(None),
            Some(Node { value: Value::Bool(yes), .. }) => Ok(Some(*yes)),
            Some(node) => Err(node.place.mistake(format!(
                "`{key}` in {} is {}: write true or false",
                self.name,
                node.value.kind()
            ))),
        }
    }

    /// A whole number, as it is written.
    pub(super) fn number(&self, key: &str) -> Result<Option<(String, Place)>, Mistake> {
        match self.get(key).map(|entry| &entry.node) {
            None => Ok(None),
            Some(Node { value: Value::Number(text) | Value::Text { text, .. }, place }) => {
                Ok(Some((text.clone(), *place)))
            }
            Some(node) => {
                Err(node.place.mistake(format!("`{key}` in {} is {}: write a number", self.name, node.value.kind())))
            }
        }
    }

    /// A key that has to be there.
    pub(super) fn missing(&self, key: &str, example: &str) -> Mistake {
        self.table.place.mistake(format!("{} has no `{key}`: write {key} = {example}", self.name))
    }
}
