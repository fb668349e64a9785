//! `[[listen]]`: where the proxy listens, and where it speaks TLS.

use super::{
    fields::Fields,
    tree::{Entry, Mistake, Node, Place, Sources, Value},
};
use crate::cli::address;
use std::net::SocketAddr;

/// Listeners that there may be: a driver numbers them with 8 bits, and each worker has one of each.
pub(super) const MAX_LISTENERS: usize = 64;

/// The keys of one.
pub(super) const KEYS: &[&str] = &["address", "tls", "proxy-protocol"];

/// Whether TLS is spoken there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// No.
    Off,
    /// With the certificates of the sites.
    On,
    /// With a certificate that is made on the spot, for all hosts of the sites. For trials.
    SelfSigned,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) address: SocketAddr,
    pub(super) tls: Tls,
    /// Trusted proxies say first whose connection it is; with the place where that is written.
    pub(super) proxy_protocol: Option<Place>,
    pub(super) place: Place,
}

fn tls(table: Fields<'_>) -> Result<Tls, Mistake> {
    match table.get("tls").map(|entry| &entry.node) {
        None => Ok(Tls::Off),
        Some(Node { value: Value::Bool(yes), .. }) => Ok(if *yes { Tls::On } else { Tls::Off }),
        Some(Node { value: Value::Text { text, .. }, .. }) if text == "self-signed" => Ok(Tls::SelfSigned),
        Some(node) => Err(node
            .place
            .mistake("`tls` in [[listen]] is true, false, or \"self-signed\" for a trial without certificates")),
    }
}

/// Reads them.
pub(super) fn read(entry: Option<&Entry>, start: Place, sources: &Sources) -> Result<Vec<Listen>, Mistake> {
    let Some(entry) = entry else {
        return Err(start.mistake("there is nothing to listen on: write [[listen]] and address = \"127.0.0.1:8080\""));
    };
    let mut listens: Vec<Listen> = Vec::new();
    for table in Fields::list(entry, "[[listen]]", KEYS)? {
        let (text, place) = table.text("address")?.ok_or_else(|| table.missing("address", "\"127.0.0.1:8080\""))?;
        let address = address(&text)
            .map_err(|problem| place.mistake(format!("{text:?} is no address to listen on: {problem}")))?;
        let tls = tls(table)?;
        let announced = table.bool("proxy-protocol")?.unwrap_or(false);
        let proxy_protocol = announced.then(|| table.place("proxy-protocol"));
        if let Some(other) = listens.iter().find(|other| other.address == address && address.port() != 0) {
            let there = sources.line(other.place);
            return Err(place.mistake(format!("{address} is listened on twice: {there} has it, too")));
        }
        listens.push(Listen { address, tls, proxy_protocol, place });
    }
    if listens.len() > MAX_LISTENERS {
        return Err(entry
            .key
            .mistake(format!("{} addresses to listen on: there may be {MAX_LISTENERS}", listens.len())));
    }
    Ok(listens)
}
