//! `[[site]]` and `[[site.route]]`: which hosts there are, and where the paths of each lead.

use super::{
    access::Context,
    fields::Fields,
    policy::{self, Policy},
    targets::{redirect, respond},
    tree::{Entry, Mistake, Place, Sources},
    world::World,
};
use crate::{
    cli::file::nearest,
    proxy::{self, GroupId},
};
use std::{collections::HashMap, net::IpAddr, path::PathBuf};

/// The keys of a site, and of a route, beside those of policies.
pub(super) const SITE: &[&str] =
    &["name", "hosts", "default", "certificate", "key", "upstream", "redirect", "respond", "route"];
pub(super) const ROUTE: &[&str] = &["path", "upstream", "redirect", "respond"];

/// The keys of a table that may have those of a policy, too.
pub(super) fn with_policy(own: &[&'static str]) -> Vec<&'static str> {
    own.iter().chain(policy::KEYS).copied().collect()
}

/// A site, and the files of its certificate.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) site: proxy::Site,
    /// Those of its routes, as they are shown.
    pub(super) policies: Vec<Policy>,
    pub(super) certificate: Option<Certificate>,
    pub(super) place: Place,
}

/// The files of a certificate, and where they are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
    pub(super) places: (Place, Place),
}

/// Reads them. `upstreams`: the names that routes may lead to.
pub(super) fn read(
    entry: Option<&Entry>,
    upstreams: &[&str],
    start: Place,
    (sources, world): (&Sources, &dyn World),
) -> Result<Vec<Site>, Mistake> {
    let Some(entry) = entry else {
        return Err(start.mistake("there is no site: write [[site]], hosts = [\"HOST\"] and upstream = \"NAME\""));
    };
    let (mut sites, mut hosts, mut default) = (Vec::new(), HashMap::new(), None);
    let context = &Context::new(sources, world);
    for fields in Fields::list(entry, "[[site]]", &with_policy(SITE))? {
        let mut site = Reader { fields, upstreams, sources, context }.site()?;
        for (host, place) in fields.texts("hosts")? {
            let host = host_name(&host)
                .map_err(|problem| place.mistake(format!("{host:?} cannot be a host of a site: {problem}")))?;
            if let Some(other) = hosts.insert(host.clone(), place) {
                return Err(
                    place.mistake(format!("the host {host} is given twice: {} has it, too", sources.line(other)))
                );
            }
            site.site.hosts.push(host);
        }
        if site.site.hosts.is_empty() && !site.site.default {
            return Err(fields.missing("hosts", "[\"HOST\"], or default = true for all hosts that no other site has"));
        }
        if site.site.default
            && let Some(other) = default.replace(site.place)
        {
            return Err(site
                .place
                .mistake(format!("there are two default sites: the other one is at {}", sources.line(other))));
        }
        if site.site.name.is_empty() {
            site.site.name = site.site.hosts.first().map_or("default", String::as_str).to_owned();
        }
        sites.push(site);
    }
    Ok(sites)
}

/// One host, as hosts are compared.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    match proxy::host(name) {
        _ if name.contains('*') => Err("a * stands for one whole part in front: \"*.shop.test\"".to_owned()),
        Ok(proxy::Host::Name(_)) => Ok(crate::app::canonical(text)),
        // As clients write it, whatever the file does: `[::1]` for `[0:0::1]` (RFC 5952).
        Ok(proxy::Host::Ip(IpAddr::V6(ip))) if name == text => Ok(format!("[{ip}]")),
        Ok(proxy::Host::Ip(IpAddr::V4(ip))) if name == text => Ok(ip.to_string()),
        _ if name.contains("://") || name.contains('/') => {
            Err("write the host alone, without scheme and path".to_owned())
        }
        _ if name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
            Err("write it without a port: a site is the same on all ports".to_owned())
        }
        _ if !name.is_ascii() => {
            Err("write it as browsers send it, in ASCII: each part with other letters begins with xn--".to_owned())
        }
        _ => Err("write a host name, an address like 127.0.0.1, or [::1]".to_owned()),
    }
}

struct Reader<'a> {
    fields: Fields<'a>,
    upstreams: &'a [&'a str],
    sources: &'a Sources,
    context: &'a Context<'a>,
}

impl Reader<'_> {
    fn site(&self) -> Result<Site, Mistake> {
        let fields = &self.fields;
        let name = fields.text("name")?.map(|(name, _)| name).unwrap_or_default();
        let scope = fields.texts("hosts")?.first().map_or("default", |(host, _)| host).to_owned();
        let of_site = Policy::read(fields, &scope, self.context)?;
        let (mut policies, mut routes) = (Vec::new(), Vec::new());
        // A site without routes of its own has one for all paths.
        if let Some(to) = self.target(fields)? {
            routes.push((proxy::Route { path: "/".to_owned(), to, policy: of_site.made() }, fields.table.place));
            policies.push(of_site.clone());
        }
        if let Some(entry) = fields.get("route") {
            for route in Fields::list(entry, "[[site.route]]", &with_policy(ROUTE))? {
                let (path, place) = route.text("path")?.ok_or_else(|| route.missing("path", "\"/\""))?;
                let to = self
                    .target(&route)?
                    .ok_or_else(|| route.missing("upstream", "\"NAME\", or redirect or respond"))?;
                let own = Policy::read(&route, &format!("{scope} {path}"), self.context)?;
                let policy = of_site.then(&own);
                let route = proxy::Route { path, to, policy: policy.made() };
                route.check().map_err(|problem| {
                    place.mistake(format!("{:?} cannot be the path of a route: {problem}", route.path))
                })?;
                routes.push((route, place));
                policies.push(policy);
            }
        }
        let mut known = HashMap::new();
        for (route, place) in &routes {
            if let Some(other) = known.insert(route.path.clone(), *place) {
                return Err(place.mistake(format!(
                    "the path {:?} is given twice in one site: {} has it, too",
                    route.path,
                    self.sources.line(other)
                )));
            }
        }
        if routes.is_empty() {
            return Err(fields.missing("upstream", "\"NAME\", or add [[site.route]]"));
        }
        Ok(Site {
            site: proxy::Site {
                name,
                hosts: Vec::new(),
                default: fields.bool("default")?.unwrap_or(false),
                routes: routes.into_iter().map(|(route, _)| route).collect(),
            },
            policies,
            certificate: self.certificate()?,
            place: fields.table.place,
        })
    }

    fn certificate(&self) -> Result<Option<Certificate>, Mistake> {
        match (self.fields.text("certificate")?, self.fields.text("key")?) {
            (None, None) => Ok(None),
            (Some((chain, at)), Some((key, key_at))) => Ok(Some(Certificate {
                chain: self.sources.file(&chain, at),
                key: self.sources.file(&key, key_at),
                places: (at, key_at),
            })),
            (Some((_, place)), None) => Err(place.mistake("the certificate has no key: write key = \"FILE\"")),
            (None, Some((_, place))) => Err(place.mistake("the key has no certificate: write certificate = \"FILE\"")),
        }
    }

    /// The target of a route: one of three keys says it.
    fn target(&self, fields: &Fields<'_>) -> Result<Option<proxy::Target>, Mistake> {
        let given: Vec<&str> =
            ["upstream", "redirect", "respond"].into_iter().filter(|key| fields.get(key).is_some()).collect();
        match given[..] {
            [] => Ok(None),
            ["upstream"] => self.upstream(fields).map(Some),
            ["redirect"] => redirect(fields).map(Some),
            ["respond"] => respond(fields).map(Some),
            [first, second, ..] => {
                let place = fields.get(second).map_or(fields.table.place, |entry| entry.key);
                Err(place
                    .mistake(format!("`{first}` and `{second}` contradict each other: a route leads to one place")))
            }
            [_] => Ok(None),
        }
    }

    fn upstream(&self, fields: &Fields<'_>) -> Result<proxy::Target, Mistake> {
        let (name, place) = fields.text("upstream")?.ok_or_else(|| fields.missing("upstream", "\"NAME\""))?;
        match (0..).zip(self.upstreams).find(|(_, known)| **known == name) {
            Some((id, _)) => Ok(proxy::Target::Group(GroupId(id))),
            None => {
                let meant = nearest(&name, self.upstreams.iter().copied());
                let meant = meant.map_or_else(|| ".".to_owned(), |near| format!(": did you mean {near:?}?"));
                let known = match self.upstreams {
                    [] => format!(" There is none: write [upstream.{name}] and servers = [\"HOST:PORT\"]"),
                    known => format!(" There are: {}", known.join(", ")),
                };
                Err(place.mistake(format!("there is no upstream {name:?}{meant}{known}")))
            }
        }
    }
}
