//! The difference in meaning between two configurations, line by line: what a reload would change.
//!
//! Order, comments, spellings of one time and the files that things are in make no difference. Sites are the same if they have one
//! name, routes if they have one path, upstreams if they have one name, servers if they have one address.

use super::{
    Settings,
    flags::Flags,
    keys::{GLOBAL, Key, UPSTREAM},
    policy::Policy,
    sites::Site,
    upstreams::{Server, Upstream},
};
use std::collections::BTreeMap;

impl Settings {
    /// The differences in `new`, one a line; none: both mean the same.
    #[must_use]
    pub fn diff(&self, new: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        flags(&mut lines, "", (&self.flags, &new.flags), GLOBAL);
        for (old, now) in self.times.iter().zip(&new.times).filter(|(old, now)| old.value != now.value) {
            lines.push(format!("{}: {} → {}", old.name, old.text, now.text));
        }
        let listen = |listen: &super::listens::Listen| {
            (listen.address.to_string(), (format!("{:?}", listen.tls), listen.proxy_protocol.is_some()))
        };
        let listens = |settings: &Self| settings.listens.iter().map(listen).collect::<BTreeMap<_, _>>();
        both(&listens(self), &listens(new), |address, old, new| match (old, new) {
            (Some(old), Some(new)) if old.1 != new.1 => {
                lines.push(format!("listen {address}: proxy-protocol: {} → {}", old.1, new.1));
            }
            (Some(_), Some(_)) => lines.push(format!("listen {address}: TLS is other than before")),
            (None, _) => lines.push(format!("listen {address} added")),
            (_, None) => lines.push(format!("listen {address} removed")),
        });
        let upstreams = |settings: &'_ Self| -> BTreeMap<String, usize> {
            (0..).zip(&settings.upstreams).map(|(at, upstream)| (upstream.name.clone(), at)).collect()
        };
        all(&upstreams(self), &upstreams(new), |name, old, now| match (old, now) {
            (Some(old), Some(now)) => upstream(&mut lines, &self.upstreams[*old], &new.upstreams[*now]),
            (None, Some(now)) => {
                let servers: Vec<&str> = new.upstreams[*now].servers.iter().map(|server| &*server.address).collect();
                lines.push(format!("upstream {name} added: {}", servers.join(", ")));
            }
            _ => lines.push(format!("upstream {name} removed")),
        });
        let sites = |settings: &'_ Self| -> BTreeMap<String, usize> {
            (0..).zip(&settings.sites).map(|(at, site)| (site.site.name.clone(), at)).collect()
        };
        all(&sites(self), &sites(new), |name, old, now| match (old, now) {
            (Some(old), Some(now)) => self.compare_sites(&mut lines, &self.sites[*old], new, &new.sites[*now]),
            (None, Some(now)) => lines.push(format!("site {name} added: {}", new.sites[*now].site.hosts.join(", "))),
            _ => lines.push(format!("site {name} removed")),
        });
        lines
    }

    fn compare_sites(&self, lines: &mut Vec<String>, old: &Site, settings: &Self, new: &Site) {
        let about = format!("site {}", old.site.name);
        let hosts = |site: &Site| site.site.hosts.iter().map(|host| (host.clone(), ())).collect::<BTreeMap<_, _>>();
        both(&hosts(old), &hosts(new), |host, _, now| {
            lines.push(format!("{about}: host {host} {}", if now.is_some() { "added" } else { "removed" }));
        });
        if old.site.default != new.site.default {
            let now = if new.site.default { "now" } else { "no longer" };
            lines.push(format!("{about}: {now} the default site"));
        }
        let files = |site: &Site| site.certificate.as_ref().map(|files| (files.chain.clone(), files.key.clone()));
        if files(old) != files(new) {
            let named = |site| files(site).map_or_else(|| "none".to_owned(), |(chain, _)| chain.display().to_string());
            lines.push(format!("{about}: certificate {} → {}", named(old), named(new)));
        }
        let routes = |settings: &Self, site: &Site| -> BTreeMap<String, String> {
            site.site.routes.iter().map(|route| (route.path.clone(), settings.target(route))).collect()
        };
        both(&routes(self, old), &routes(settings, new), |path, old, now| {
            lines.push(match (old, now) {
                (Some(old), Some(now)) => format!("{about}: route {path}: {old} → {now}"),
                (None, Some(now)) => format!("{about}: route {path} added: {now}"),
                _ => format!("{about}: route {path} removed"),
            });
        });
        let policies = |site: &Site| -> BTreeMap<String, Policy> {
            site.site.routes.iter().map(|route| route.path.clone()).zip(site.policies.iter().cloned()).collect()
        };
        both(&policies(old), &policies(new), |path, old, now| {
            let none = Policy::default();
            let about = format!("{about}: route {path}: ");
            lines.extend(
                old.unwrap_or(&none).differences(now.unwrap_or(&none)).iter().map(|line| format!("{about}{line}")),
            );
        });
    }
}

fn upstream(lines: &mut Vec<String>, old: &Upstream, new: &Upstream) {
    let about = format!("upstream {}: ", old.name);
    let servers = |upstream: &Upstream| -> BTreeMap<String, Server> {
        upstream.servers.iter().map(|server| (server.address.clone(), server.clone())).collect()
    };
    all(&servers(old), &servers(new), |address, old, now| match (old, now) {
        (Some(old), Some(now)) => {
            let facts = |server: &Server| {
                let max = server.spec.max.map_or_else(|| "none".to_owned(), |max| max.to_string());
                let name = server.name.clone().unwrap_or_else(|| "its own".to_owned());
                [("weight", server.spec.weight.to_string()), ("max", max), ("name", name)]
            };
            for ((what, old), (_, now)) in facts(old).into_iter().zip(facts(now)).filter(|(old, now)| old != now) {
                lines.push(format!("{about}server {address}: {what} {old} → {now}"));
            }
        }
        (None, _) => lines.push(format!("{about}server {address} added")),
        _ => lines.push(format!("{about}server {address} removed")),
    });
    flags(lines, &about, (&old.flags, &new.flags), UPSTREAM);
}

fn flags(lines: &mut Vec<String>, about: &str, (old, new): (&Flags, &Flags), keys: &[Key]) {
    for key in keys {
        let (old, new) = (old.shown(key), new.shown(key));
        if old.meaning != new.meaning {
            lines.push(format!("{about}{}: {}", key.path(), change(&old.in_words(), &new.in_words())));
        }
    }
}

/// Of two values that differ, what may be shown may be the same.
fn change(old: &str, new: &str) -> String {
    if old == new { format!("{new}, with another secret than before") } else { format!("{old} → {new}") }
}

/// Calls `each` for every key of either map.
fn all<V>(old: &BTreeMap<String, V>, new: &BTreeMap<String, V>, mut each: impl FnMut(&str, Option<&V>, Option<&V>)) {
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let keys: Vec<&String> = new.keys().chain(gone).collect();
    keys.into_iter().for_each(|key| each(key, old.get(key), new.get(key)));
}

/// The same, for keys whose values differ.
fn both<V: PartialEq>(
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
    mut each: impl FnMut(&str, Option<&V>, Option<&V>),
) {
    all(old, new, |key, old, now| {
        if old != now {
            each(key, old, now);
        }
    });
}
