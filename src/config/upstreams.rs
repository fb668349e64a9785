//! `[upstream.NAME]`: servers that stand in for each other, and the rules for them.

use super::{
    fields::Fields,
    flags::Flags,
    keys::{Group, UPSTREAM, UPSTREAM_FLAGS},
    tree::{Entry, Mistake, Node, Place, Sources, Table, Value},
};
use crate::proxy::BackendSpec;
use std::collections::HashMap;

/// The keys of a server.
pub(super) const SERVER: &[&str] = &["address", "weight", "max", "name"];

/// One upstream.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) servers: Vec<Server>,
    pub(super) flags: Flags,
    pub(super) group: Group,
}

/// One of its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// As it is written, without weight and limit.
    pub(super) address: String,
    pub(super) spec: BackendSpec,
    /// The name that its certificate has to be for, if that is given.
    pub(super) name: Option<String>,
    pub(super) place: Place,
}

/// Reads them, in the order of their names.
pub(super) fn read(entry: Option<&Entry>, sources: &Sources) -> Result<Vec<Upstream>, Mistake> {
    let Some(entry) = entry else { return Ok(Vec::new()) };
    let wrong = |node: &Node| {
        let kind = node.value.kind();
        node.place.mistake(format!(
            "an upstream is a table, and this is {kind}: write [upstream.NAME] and servers = [\"HOST:PORT\"]"
        ))
    };
    let Value::Table(upstreams) = &entry.node.value else { return Err(wrong(&entry.node)) };
    let read = |(name, entry): (&String, &Entry)| match &entry.node.value {
        Value::Table(table) => upstream(name, entry.key, table, sources),
        _ => Err(wrong(&entry.node)),
    };
    upstreams.entries.iter().map(read).collect()
}

fn upstream(name: &str, place: Place, table: &Table, sources: &Sources) -> Result<Upstream, Mistake> {
    let mut flags = Flags::new(&UPSTREAM_FLAGS, UPSTREAM);
    let of_it = |mistake: Mistake| mistake.place.mistake(format!("upstream {name}: {}", mistake.problem));
    flags.take(table, &["servers"], sources).map_err(of_it)?;
    let Some(list) = table.entries.get("servers") else {
        return Err(place.mistake(format!("upstream {name:?} has no servers: write servers = [\"HOST:PORT\"]")));
    };
    let single = std::slice::from_ref(&list.node);
    let nodes = if let Value::List(nodes) = &list.node.value { &nodes[..] } else { single };
    if nodes.is_empty() {
        return Err(list
            .node
            .place
            .mistake(format!("upstream {name:?} has no servers: write servers = [\"HOST:PORT\"]")));
    }
    let servers: Vec<Server> = nodes.iter().map(server).collect::<Result<_, Mistake>>()?;
    let mut known = HashMap::new();
    for server in &servers {
        if let Some(other) = known.insert(server.address.to_ascii_lowercase(), server.place) {
            let problem = format!(
                "{} is given twice, {} has it, too: for a double share, give it a weight of 2",
                server.address,
                sources.line(other)
            );
            return Err(server.place.mistake(problem));
        }
    }
    let group: Group = flags.parse().map_err(of_it)?;
    if let Some(given) = flags.given.iter().find(|given| given.key.section == "pool")
        && group.announce.version().is_some()
    {
        let problem = "means nothing beside `proxy-protocol`, with which each request has a connection of its own: leave it out, and limit \
                       these by `max` of each server";
        return Err(given.place.mistake(format!("upstream {name}: `{}` {problem}", given.key.path())));
    }
    let is_secure = servers.iter().any(|server| server.spec.secure.is_some());
    if let Some(given) = flags.given.iter().find(|given| given.key.section == "backend-tls").filter(|_| !is_secure) {
        let problem = "means nothing without a server over TLS: write it as \"https://HOST\"";
        return Err(given.place.mistake(format!("upstream {name}: `{}` {problem}", given.key.path())));
    }
    Ok(Upstream { name: name.to_owned(), place, servers, flags, group })
}

/// `"HOST:PORT"`, or a table with more.
fn server(node: &Node) -> Result<Server, Mistake> {
    let (address, place, more) = match &node.value {
        Value::Text { text, .. } => (text.clone(), node.place, Vec::new()),
        Value::Table(table) => {
            let fields = Fields::new(table, "a server", SERVER)?;
            let (address, place) = fields
                .text("address")?
                .ok_or_else(|| node.place.mistake("a server has no `address`: write { address = \"HOST:PORT\" }"))?;
            let mut more = Vec::new();
            for key in ["weight", "max"] {
                more.extend(fields.number(key)?.map(|(value, place)| (key, value, place)));
            }
            more.extend(fields.text("name")?.map(|(value, place)| ("name", value, place)));
            (address, place, more)
        }
        other => {
            let kind = other.kind();
            return Err(node.place.mistake(format!("a server is a string or a table, and this is {kind}: write \"HOST:PORT\" or {{ address = \"HOST:PORT\", weight = 2 }}")));
        }
    };
    if address.contains(',') {
        return Err(place.mistake(format!("{address:?} has a comma: write each server in quotes of its own, and {{ address = \"HOST:PORT\", weight = 2 }} for one with a weight")));
    }
    let mut text = address.clone();
    for (key, value, _) in &more {
        if value.contains(',') {
            return Err(place.mistake(format!("{value:?} has a comma")));
        }
        text += &format!(",{key}={value}");
    }
    let spec = text.parse().map_err(|problem: String| {
        // The parser names the part that is wrong.
        let part = more
            .iter()
            .find(|(key, ..)| problem.starts_with(&format!("{key}:")) || problem.starts_with(&format!("{key}=")));
        let (value, place) = part.map_or((&address, place), |(_, value, place)| (value, *place));
        place.mistake(format!(
            "{value:?} cannot be used for a server: {}",
            problem.replace(", or HOST:PORT,weight=3,max=50", "")
        ))
    })?;
    let name = more.into_iter().find(|(key, ..)| *key == "name").map(|(_, value, _)| value);
    Ok(Server { address, spec, name, place })
}
