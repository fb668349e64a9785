//! All that a configuration says, checked: what the machine is made of.

use super::{
    flags::Flags,
    keys::{GLOBAL, GLOBAL_FLAGS, Global, Key},
    listens::{self, Listen, Tls},
    sites::{self, Site},
    times::{self, TIMES, Time},
    tree::{self, Mistake, Place, Sources},
    upstreams::{self, Upstream},
    world::World,
};
use crate::{
    cli::Failure,
    proxy::{self, Plan, Setup},
};
use std::{collections::HashSet, path::Path};

/// Tables that are not flags.
pub(super) const STRUCTURE: &[&str] = &["listen", "site", "upstream"];

/// The flags that sites and listeners give.
static CERTIFICATE: Key = Key { section: "site", name: "certificate", flag: "certificate" };
static KEY: Key = Key { section: "site", name: "key", flag: "key" };

/// A configuration that was read.
#[derive(Debug)]
pub struct Settings {
    pub(super) sources: Sources,
    pub(super) flags: Flags,
    global: Global,
    pub(super) times: Vec<Time>,
    pub(super) listens: Vec<Listen>,
    pub(super) sites: Vec<Site>,
    pub(super) upstreams: Vec<Upstream>,
}

impl Settings {
    /// Reads a file and all that belong to it.
    ///
    /// # Errors
    ///
    /// The first mistake, in one line: `proxy.toml:3:10: what is wrong, and what to write`.
    pub fn read(path: &Path, world: &dyn World) -> Result<Self, String> {
        let mut sources = Sources::default();
        match Self::from_sources(path, world, &mut sources) {
            Ok(settings) => Ok(Self { sources, ..settings }),
            Err(mistake) => Err(sources.tell(&mistake)),
        }
    }

    fn from_sources(path: &Path, world: &dyn World, sources: &mut Sources) -> Result<Self, Mistake> {
        let tree = tree::read(path, world, sources)?;
        let mut flags = Flags::new(&GLOBAL_FLAGS, GLOBAL);
        let times = TIMES.iter().map(|(name, _)| *name);
        let others: Vec<&str> = STRUCTURE.iter().copied().chain(["include"]).chain(times).collect();
        flags.take(&tree, &others, sources)?;
        let times = times::read(&tree)?;
        let start = tree.place;
        let entry = |name| tree.entries.get(name);
        let listens = listens::read(entry("listen"), start, sources)?;
        let upstreams = upstreams::read(entry("upstream"), sources)?;
        let names: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        let sites = sites::read(entry("site"), &names, start, (sources, world))?;
        check_tls(&listens, &sites, &flags)?;
        add_certificates(&sites, &mut flags);
        let global: Global = flags.parse()?;
        if let Some(place) = listens.iter().find_map(|listen| listen.proxy_protocol)
            && global.proxy.config().forwarding.trusted.is_empty()
        {
            return Err(place.mistake(
                "`proxy-protocol` means nothing without `forwarding.trusted-proxies`: name those that may say where a connection comes from",
            ));
        }
        Ok(Self { sources: Sources::default(), flags, global, times, listens, sites, upstreams })
    }

    /// The machine that this describes.
    pub(super) fn setup(&self) -> Setup {
        let Global { proxy, pool, cache, tls, http2, log, marks, explain, store, second } = &self.global;
        let named = |secure| -> Vec<_> {
            let those = self.listens.iter().filter(|listen| (listen.tls != Tls::Off) == secure);
            those.map(|listen| (listen.address, listen.proxy_protocol.is_some())).collect()
        };
        let (plain, secure) = (named(false), named(true));
        let servers = || self.upstreams.iter().flat_map(|upstream| &upstream.servers);
        let group = |upstream: &Upstream| {
            let (balance, pool) = (upstream.group.balance.0.clone(), &upstream.group.pool);
            let group = proxy::Upstream::new(&upstream.name, upstream.servers.len(), balance, pool);
            group.trusting(upstream.group.tls.0.clone()).announcing(upstream.group.announce.version())
        };
        let sites = self.sites.iter().map(|site| site.site.clone()).collect();
        let mut plan = Plan::new(proxy.config()).pool(pool).cache(cache).marks(marks.marks());
        plan = plan.explain(explain.config()).store(store).second_level(second);
        if !secure.is_empty() || servers().any(|server| server.spec.secure.is_some()) {
            plan = plan.tls(tls);
        }
        let plan = plan.http2(http2).sites(sites, self.upstreams.iter().map(group).collect());
        let servers = servers().map(|server| server.spec.clone()).collect();
        let setup = Setup::of_file(proxy, plan, servers, &plain, &secure)
            .with_upgrade_timeout(times::of(&self.times, "upgrade-timeout"))
            .with_resolve_interval(times::of(&self.times, "resolve-interval"))
            .logging(log);
        let hosts = self.sites.iter().flat_map(|site| &site.site.hosts);
        if self.listens.iter().any(|listen| listen.tls == Tls::SelfSigned) { setup.self_signed(hosts) } else { setup }
    }

    /// Warnings for the operator, about a configuration that is right as far as it goes.
    ///
    /// # Errors
    ///
    /// A mistake that shows only when files are opened, and all values are put together.
    pub fn check(&self) -> Result<Vec<String>, Failure> {
        let mut warnings = self.setup().check().map_err(|failure| self.placed(failure))?;
        let used: HashSet<u16> = self
            .sites
            .iter()
            .flat_map(|site| &site.site.routes)
            .filter_map(|route| match route.to {
                proxy::Target::Group(id) => Some(id.0),
                _ => None,
            })
            .collect();
        for (_, upstream) in (0..).zip(&self.upstreams).filter(|(id, _)| !used.contains(id)) {
            let mistake = upstream.place.mistake(format!("no route leads to upstream {:?}", upstream.name));
            warnings.push(self.sources.tell(&mistake));
        }
        warnings.extend(self.passwords_in_clear());
        Ok(warnings.into_iter().map(|warning| self.place_text(&warning)).collect())
    }

    /// Sites that ask for passwords, where others can read these on their way.
    fn passwords_in_clear(&self) -> Option<String> {
        let listen = self.listens.iter().find(|listen| listen.tls == Tls::Off && !listen.address.ip().is_loopback())?;
        let asks = |site: &&Site| site.policies.iter().any(super::policy::Policy::asks_for_passwords);
        let site = self.sites.iter().find(asks)?;
        let problem =
            format!("site {:?} asks for passwords, which can be read on their way: write tls = true", site.site.name);
        Some(self.sources.tell(&listen.place.mistake(problem)))
    }

    /// A failure that names flags, told of the place in the file.
    pub(super) fn placed(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Usage(text) => Failure::Usage(self.place_text(&text)),
            // An address that cannot be listened on. That of the admin listener is told as that of a flag.
            Failure::Run(text) => {
                let listen = self.place_of_listen(&text).filter(|_| !text.contains("--admin"));
                Failure::Run(listen.unwrap_or_else(|| self.place_text(&text)))
            }
            other => other,
        }
    }

    fn place_of_listen(&self, text: &str) -> Option<String> {
        let is_about = |listen: &&Listen| {
            let (ip, port) = (listen.address.ip(), listen.address.port());
            text.starts_with(&format!("port {port} "))
                || text.starts_with(&format!("{ip} "))
                || text.contains(&listen.address.to_string())
        };
        let listen = self.listens.iter().find(is_about)?;
        Some(self.sources.tell(&listen.place.mistake(text)))
    }

    /// A message about a flag, or a file that one names, as one about a key with its place.
    pub(super) fn place_text(&self, text: &str) -> String {
        let of_site = |site: &Site| {
            let files = site.certificate.as_ref()?;
            let named = [("--certificate", &files.chain, files.places.0), ("--key", &files.key, files.places.1)];
            let (flag, _, place) =
                named.into_iter().find(|(flag, path, _)| text.starts_with(&format!("{flag} {}:", path.display())))?;
            Some((flag.to_owned(), place))
        };
        let of_server = |server: &upstreams::Server| {
            let start = format!("--backend {}:", server.address);
            text.starts_with(&start).then(|| ("--backend".to_owned(), server.place))
        };
        let site = self.sites.iter().find_map(of_site);
        let found = site.or_else(|| self.upstreams.iter().flat_map(|upstream| &upstream.servers).find_map(of_server));
        if let Some((flag, place)) = found {
            let problem = text.strip_prefix(&flag).unwrap_or(text).trim_start();
            return self.sources.tell(&place.mistake(self.flags.translated(problem)));
        }
        let of_upstream = |upstream: &'_ Upstream| {
            let problem = text.strip_prefix(&format!("upstream {}: ", upstream.name))?;
            let given: Vec<_> = upstream.flags.given.iter().collect();
            let mut mistake = upstream.flags.told(problem, &given);
            mistake.problem = format!("upstream {}: {}", upstream.name, mistake.problem);
            Some(self.sources.tell(&mistake))
        };
        if let Some(told) = self.upstreams.iter().find_map(of_upstream) {
            return told;
        }
        if !text.contains("--") {
            return text.to_owned();
        }
        let given: Vec<_> = self.flags.given.iter().collect();
        self.sources.tell(&self.flags.told(text, &given))
    }

    /// How much there is: for `--check`.
    pub(super) fn counts(&self) -> [(usize, &'static str); 4] {
        let routes = self.sites.iter().map(|site| site.site.routes.len()).sum();
        let servers = self.upstreams.iter().map(|upstream| upstream.servers.len()).sum();
        [(self.listens.len(), "address"), (self.sites.len(), "site"), (routes, "route"), (servers, "server")]
    }
}

/// Certificates and listeners for TLS go together.
fn check_tls(listens: &[Listen], sites: &[Site], flags: &Flags) -> Result<(), Mistake> {
    let secure = listens.iter().find(|listen| listen.tls == Tls::On);
    let trial = listens.iter().find(|listen| listen.tls == Tls::SelfSigned);
    let certified = sites.iter().find_map(|site| site.certificate.as_ref());
    if let Some(trial) = trial {
        return match (secure, certified) {
            (None, None) => Ok(()),
            _ => Err(trial.place.mistake(
                "tls = \"self-signed\" is for a trial without certificates: write tls = true for those of the sites",
            )),
        };
    }
    match (secure, certified) {
        (Some(listen), None) => Err(listen.place.mistake(
            "tls = true, and no site has a certificate: write certificate = \"FILE\" and key = \"FILE\" in [[site]]",
        )),
        (None, Some(certificate)) => Err(certificate
            .places
            .0
            .mistake("a certificate means nothing without TLS: write tls = true in a [[listen]]")),
        (None, None) => match flags.given.iter().find(|given| given.key.section == "tls") {
            Some(given) => Err(given.place.mistake(format!(
                "`{}` means nothing without TLS: write tls = true in a [[listen]]",
                given.key.path()
            ))),
            None => Ok(()),
        },
        (Some(_), Some(_)) => Ok(()),
    }
}

/// Each pair of files once, however many sites have it.
fn add_certificates(sites: &[Site], flags: &mut Flags) {
    let mut known = HashSet::new();
    for certificate in sites.iter().filter_map(|site| site.certificate.as_ref()) {
        if known.insert((&certificate.chain, &certificate.key)) {
            let (chain_at, key_at): (Place, Place) = certificate.places;
            flags.add(&CERTIFICATE, certificate.chain.display().to_string(), chain_at);
            flags.add(&KEY, certificate.key.display().to_string(), key_at);
        }
    }
}
