//! `allow`, `deny` and `auth`: the clients of a site or a route.

use super::{
    fields::Fields,
    shown::{quoted, quoted_as_written},
    tree::{Mistake, Place, Sources, Value},
    world::World,
};
use crate::{
    cli::file::text,
    proxy::{self, Lists, Network, Passwords},
};
use std::{cell::RefCell, collections::HashMap, path::PathBuf, sync::Arc};

/// The keys of `auth`.
pub(super) const AUTH: &[&str] = &["users", "realm", "pass-on"];

/// The surroundings of the reader of policies.
pub(super) struct Context<'a> {
    sources: &'a Sources,
    world: &'a dyn World,
    /// The files of users that were read: many sites may have one.
    users: RefCell<HashMap<PathBuf, Arc<Passwords>>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(sources: &'a Sources, world: &'a dyn World) -> Self {
        Self { sources, world, users: RefCell::default() }
    }

    fn users(&self, path: PathBuf, place: Place) -> Result<Arc<Passwords>, Mistake> {
        if let Some(users) = self.users.borrow().get(&path) {
            return Ok(users.clone());
        }
        let bytes = self.world.read(&path).map_err(|error| place.mistake(format!("{}: {error}", path.display())))?;
        let text = text(&path, bytes).map_err(|problem| place.mistake(problem))?;
        let users =
            Passwords::parse(&text).map_err(|problem| place.mistake(format!("{}: {problem}", path.display())))?;
        let users = Arc::new(users);
        self.users.borrow_mut().insert(path, users.clone());
        Ok(users)
    }
}

/// The networks under `allow` and `deny`; `None`: neither is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Networks {
    allow: Vec<String>,
    deny: Vec<String>,
    lists: Lists,
}

impl Networks {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Option<Self>, Mistake> {
        let (allow, deny) = (fields.texts("allow")?, fields.texts("deny")?);
        if fields.get("allow").is_some() && allow.is_empty() {
            return Err(fields
                .place("allow")
                .mistake("`allow` names no network: write [\"10.0.0.0/8\"], or leave it out to let all clients in"));
        }
        if fields.get("allow").is_none() && fields.get("deny").is_none() {
            return Ok(None);
        }
        let parsed = |key: &str, texts: &[(String, Place)]| -> Result<Vec<Network>, Mistake> {
            let parse = |(text, place): &(String, Place)| {
                text.parse().map_err(|problem: String| place.mistake(format!("`{key}` cannot be {text:?}: {problem}")))
            };
            texts.iter().map(parse).collect()
        };
        let lists = Lists { allow: parsed("allow", &allow)?, deny: parsed("deny", &deny)? };
        let texts = |texts: Vec<(String, Place)>| texts.into_iter().map(|(text, _)| text).collect();
        Ok(Some(Self { allow: texts(allow), deny: texts(deny), lists }))
    }

    pub(super) fn made(&self) -> Lists {
        self.lists.clone()
    }

    /// The values of `allow` and `deny` as a file has them.
    pub(super) fn shown(&self) -> [Option<String>; 2] {
        [&self.allow, &self.deny].map(|texts| {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            (!texts.is_empty()).then(|| format!("[{}]", texts.join(", ")))
        })
    }
}

/// The value of `auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Auth {
    /// All clients.
    Off,
    /// Users.
    On {
        /// Their file.
        file: PathBuf,
        login: proxy::Login,
    },
}

/// The realm that a browser shows if the file says nothing.
const REALM: &str = "restricted";

impl Auth {
    pub(super) fn read(fields: &Fields<'_>, context: &Context<'_>) -> Result<Option<Self>, Mistake> {
        let Some(entry) = fields.get("auth") else { return Ok(None) };
        let place = entry.node.place;
        let (users, realm, passes_on) = match &entry.node.value {
            Value::Bool(false) => return Ok(Some(Self::Off)),
            Value::Text { text, .. } => ((text.clone(), place), None, false),
            Value::Table(table) => {
                let inner = Fields::new(table, "auth", AUTH)?;
                let users = inner.text("users")?.ok_or_else(|| inner.missing("users", "\"FILE\""))?;
                (users, inner.text("realm")?, inner.bool("pass-on")?.unwrap_or(false))
            }
            other => {
                let kind = if matches!(other, Value::Bool(_)) { "true" } else { other.kind() };
                return Err(place.mistake(format!(
                    "`auth` is {kind}: write a file in quotes, {{ users = \"FILE\", realm = \"TEXT\" }}, or false"
                )));
            }
        };
        let realm = match realm {
            None => REALM.to_owned(),
            Some((text, _)) if is_quotable(&text) => text,
            Some((text, place)) => {
                return Err(place.mistake(format!(
                    "{text:?} cannot be a realm: write visible ASCII characters and spaces, without \" and \\"
                )));
            }
        };
        let file = context.sources.file(&users.0, users.1);
        let login = proxy::Login { users: context.users(file.clone(), users.1)?, realm: realm.into(), passes_on };
        Ok(Some(Self::On { file, login }))
    }

    pub(super) fn made(&self) -> Option<proxy::Login> {
        match self {
            Self::Off => None,
            Self::On { login, .. } => Some(login.clone()),
        }
    }

    /// Its value as a file has it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Off => "false".to_owned(),
            Self::On { file, login } => {
                let (file, realm) = (quoted(&file.display().to_string()), quoted_as_written(&login.realm));
                let pass_on = if login.passes_on { ", pass-on = true" } else { "" };
                format!("{{ users = {file}, realm = {realm}{pass_on} }}")
            }
        }
    }
}

fn is_quotable(text: &str) -> bool {
    text.bytes().all(|byte| (byte == b' ' || byte.is_ascii_graphic()) && !b"\"\\".contains(&byte))
}
