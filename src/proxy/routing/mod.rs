//! Where a request goes: its host decides about the site, its path about the route, and the route about the group of backends.
//!
//! ```text
//!   Host: shop.test   GET /api/x
//!     │ hash             │ paths.rs: the longest route
//!     ▼                  ▼
//!   site "shop.test" ──▶ route "/api/" ──▶ group "api", or an answer of the route's own
//!     │ none: 421        │ none: 404, and 400 if the path can be read in several ways (readings.rs)
//! ```
//!
//! A name with `*.` in front stands for exactly one more label, as in a certificate: `*.shop.test` is for `a.shop.test`, not for
//! `shop.test` and not for `a.b.shop.test`. The full name goes before. A port in `Host` is not looked at.
//!
//! Without a router, as in the milestones, all requests go to the only group.

mod location;
mod paths;

pub use location::Location;

use super::access::Standing;
use super::{failure::Failure, groups::GroupId, policy::Policy};
use crate::{
    app::canonical,
    http::{Authority, RequestHead, Status, target::Form},
};
use paths::{Ambiguous, Paths};
use std::{borrow::Cow, collections::HashMap, net::Ipv6Addr};

/// A site: some hosts, and what is to be had there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// For the log.
    pub name: String,
    /// Host names and addresses, without ports; names may begin with `*.`.
    pub hosts: Vec<String>,
    /// It takes the requests whose host no site has.
    pub default: bool,
    /// Its routes.
    pub routes: Vec<Route>,
}

/// A part of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// A path, and all that is below it; with `=` in front, this path alone.
    pub path: String,
    /// The target of its requests.
    pub to: Target,
    /// The rules for them.
    pub policy: Policy,
}

impl Route {
    /// Whether requests can come by its path.
    ///
    /// # Errors
    ///
    /// The words to write instead.
    pub fn check(&self) -> Result<(), String> {
        let path = self.path.strip_prefix('=').unwrap_or(&self.path);
        let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#*".contains(&byte));
        match path {
            _ if !path.starts_with('/') => Err("it begins with a slash, or with \"=/\" for this path alone".to_owned()),
            _ if path.contains('*') => Err("a route is for all paths below it: leave out the *".to_owned()),
            _ if !visible => Err("write visible ASCII without ? and #".to_owned()),
            _ if !super::readings::is_plain(path.as_bytes()) => {
                Err("write it without escapes, empty parts, backslashes, semicolons, and the parts `.` and `..`"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// It goes to a backend of this group.
    Group(GroupId),
    /// The client finds it elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: Status,
        /// The place where it is.
        to: Location,
    },
    /// It is answered here.
    Respond {
        /// Any final status with content.
        status: Status,
        /// The media type of the content.
        content_type: Box<str>,
        /// As it is sent.
        body: String,
    },
}

/// The way of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Way {
    pub(super) group: GroupId,
    /// Positions in the router's lists.
    site: Option<u32>,
    route: Option<u32>,
    /// Its route has rules: without any, nothing looks for them.
    pub(super) ruled: bool,
    /// Its route is for users only.
    pub(super) guarded: bool,
    /// It is counted among the requests that its client has at once.
    pub(super) counted: bool,
    /// How much its client has left of the limits of the route, if its answer says so.
    pub(super) standing: Option<Standing>,
}

impl Way {
    /// That of a request of our own: no client has it.
    pub(super) fn uncounted(self) -> Self {
        Self { counted: false, standing: None, ..self }
    }
}

impl Way {
    /// The number of the site.
    pub(super) fn site(self) -> Option<usize> {
        self.site.map(|site| site as usize)
    }
}

/// The sites of a proxy, ready to be searched.
#[derive(Debug)]
pub(super) struct Router {
    hosts: HashMap<Box<str>, u32>,
    /// By the name behind `*.`.
    wild: HashMap<Box<str>, u32>,
    default: Option<u32>,
    sites: Vec<(String, Paths)>,
    routes: Vec<Route>,
    /// Which of the routes have rules.
    ruled: Vec<bool>,
}

impl Router {
    /// Of several sites with one host, the first gets it.
    pub(super) fn new(sites: Vec<Site>) -> Self {
        let (mut hosts, mut wild) = (HashMap::new(), HashMap::new());
        let (mut list, mut routes, mut default) = (Vec::new(), Vec::new(), None);
        for (id, site) in (0_u32..).zip(sites) {
            for host in site.hosts {
                let name = compared(&host);
                match name.strip_prefix("*.") {
                    Some(parent) => wild.entry(parent.into()).or_insert(id),
                    None => hosts.entry(name.into()).or_insert(id),
                };
            }
            if site.default {
                default = default.or(Some(id));
            }
            let first = u32::try_from(routes.len()).unwrap_or(u32::MAX);
            list.push((site.name, Paths::new(site.routes.iter().map(|route| route.path.as_str()).zip(first..))));
            routes.extend(site.routes);
        }
        let ruled = routes.iter().map(|route| route.policy != Policy::default()).collect();
        Self { hosts, wild, default, sites: list, routes, ruled }
    }

    /// The way of a request, and why it does not go to a backend, if it does not.
    pub(super) fn find(&self, head: &RequestHead) -> (Way, Option<Failure>) {
        let mut way = Way::default();
        let Some(site) = self.site(head) else { return (way, Some(Failure::NoSite)) };
        way.site = Some(site);
        let target = head.parsed_target();
        // `*` is about the whole server: it goes where its root goes.
        let path = if target.form() == Form::Asterisk { "/" } else { target.path() };
        match self.sites[site as usize].1.find(path) {
            Err(Ambiguous) => return (way, Some(Failure::AmbiguousPath)),
            Ok(route) => way.route = route,
        }
        way.ruled = way.route.is_some_and(|route| self.ruled.get(route as usize) == Some(&true));
        match self.target(way) {
            None => (way, Some(Failure::NoRoute)),
            Some(Target::Group(group)) => (Way { group: *group, ..way }, None),
            Some(Target::Redirect { to, .. }) if !to.is_known(head) => (way, Some(Failure::NoSite)),
            Some(Target::Redirect { status, .. } | Target::Respond { status, .. }) => {
                (way, Some(Failure::OfRoute(*status)))
            }
        }
    }

    fn site(&self, head: &RequestHead) -> Option<u32> {
        let authority = head.authority().and_then(|text| Authority::parse(text.as_bytes()).ok());
        authority.and_then(|authority| self.of_host(authority.host)).or(self.default)
    }

    fn of_host(&self, host: &str) -> Option<u32> {
        let name = compared(host);
        let parent = || name.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        self.hosts.get(&*name).or_else(|| self.wild.get(parent()?)).copied()
    }

    /// The rules of all routes.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.routes.iter().map(|route| &route.policy)
    }

    fn route(&self, way: Way) -> Option<&Route> {
        way.route.and_then(|route| self.routes.get(route as usize))
    }

    /// The target of that way.
    pub(super) fn target(&self, way: Way) -> Option<&Target> {
        self.route(way).map(|route| &route.to)
    }

    /// The rules for requests that go that way.
    pub(super) fn policy(&self, way: Way) -> Option<&Policy> {
        self.route(way).map(|route| &route.policy)
    }

    /// Where the request with this head, which goes that way, is sent if it is redirected.
    pub(super) fn location(&self, way: Way, head: &RequestHead) -> Option<String> {
        let route = self.route(way)?;
        match &route.to {
            Target::Redirect { to, .. } => Some(to.write(head, &route.path)),
            Target::Group(_) | Target::Respond { .. } => None,
        }
    }

    /// Whether some route is for users only.
    pub(super) fn has_users(&self) -> bool {
        self.policies().any(|policy| policy.login.is_some())
    }

    /// The same site and route, as the `other` router numbers them: for what goes on under the next configuration. The group is
    /// found by its name.
    pub(super) fn moved(&self, way: Way, other: &Self, group: Option<GroupId>) -> Way {
        let (site, path) = self.names(way);
        let at = |found: Option<usize>| found.and_then(|at| u32::try_from(at).ok());
        let site = site.and_then(|site| at(other.sites.iter().position(|(name, _)| name == site)));
        let route = path.zip(site).and_then(|(path, site)| {
            let of_site = other.sites[site as usize].1.routes();
            of_site.into_iter().find(|route| other.routes.get(*route as usize).is_some_and(|known| known.path == path))
        });
        Way { group: group.unwrap_or_default(), site, route, ..way }
    }

    /// The names of all sites, by their numbers.
    pub(super) fn site_names(&self) -> impl Iterator<Item = &str> {
        self.sites.iter().map(|(name, _)| name.as_str())
    }

    /// Why a request that goes that way is its site's: in words, for people.
    pub(super) fn matched(&self, way: Way, head: &RequestHead) -> Option<&'static str> {
        let site = way.site?;
        let authority = head.authority().and_then(|text| Authority::parse(text.as_bytes()).ok());
        let name = authority.map(|authority| compared(authority.host));
        Some(match name {
            Some(name) if self.hosts.get(&*name) == Some(&site) => "which has this host",
            Some(name) if self.of_host(&name) == Some(site) => "which has this host by a star",
            _ => "which takes what no other site has",
        })
    }

    /// The names of site and route, for the log.
    pub(super) fn names(&self, way: Way) -> (Option<&str>, Option<&str>) {
        let site = way.site.and_then(|site| self.sites.get(site as usize));
        let route = self.route(way);
        (site.map(|(name, _)| name.as_str()), route.map(|route| route.path.as_str()))
    }
}

/// A host as hosts are compared: a name in lower case without its last dot, an address in its short form (RFC 5952).
fn compared(host: &str) -> Cow<'_, str> {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(address) = address.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        return format!("[{address}]").into();
    }
    let is_canonical = !host.ends_with('.') && !host.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_canonical { host.into() } else { canonical(host).into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn site(hosts: &[&str], routes: &[(&str, u16)], default: bool) -> Site {
        let to = |(path, group): &(&str, u16)| Route {
            path: (*path).to_owned(),
            to: Target::Group(GroupId(*group)),
            policy: Policy::default(),
        };
        Site {
            name: hosts.first().unwrap_or(&"-").to_string(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            default,
            routes: routes.iter().map(to).collect(),
        }
    }

    fn found(router: &Router, host: Option<&str>, target: &str) -> Result<u16, Failure> {
        let mut head = RequestHead::new(Method::Get, target).unwrap();
        head.fields = host.iter().map(|host| ("Host", host)).collect();
        match router.find(&head) {
            (way, None) => Ok(way.group.0),
            (_, Some(failure)) => Err(failure),
        }
    }

    #[test]
    fn hosts_choose_a_site_and_paths_a_route() {
        let router = Router::new(vec![
            site(&["shop.test", "*.shop.test", "127.0.0.1"], &[("/", 1), ("/api/", 2)], false),
            site(&["a.shop.test", "[::1]", "[2001:db8::7]", "Blog.Test."], &[("/only", 3)], false),
        ]);
        for (host, target, expected) in [
            ("shop.test", "/", Ok(1)),
            ("SHOP.Test.", "/", Ok(1)),
            ("shop.test:8443", "/api/x?y", Ok(2)),
            ("b.shop.test", "/", Ok(1)),
            ("a.shop.test", "/only", Ok(3)),
            ("a.shop.test", "/", Err(Failure::NoRoute)),
            ("a.b.shop.test", "/", Err(Failure::NoSite)),
            (".shop.test", "/", Err(Failure::NoSite)),
            ("*.shop.test", "/", Ok(1)),
            ("test", "/", Err(Failure::NoSite)),
            ("xshop.test", "/", Err(Failure::NoSite)),
            ("127.0.0.1:80", "/", Ok(1)),
            ("[::1]:80", "/only/x", Ok(3)),
            // One address, however a client writes it.
            ("[0:0::1]", "/only", Ok(3)),
            ("[0000:0000:0000:0000:0000:0000:0000:0001]:8443", "/only", Ok(3)),
            ("[2001:DB8:0:0::7]", "/only", Ok(3)),
            ("[::2]", "/only", Err(Failure::NoSite)),
            ("blog.test", "/only", Ok(3)),
            ("shop.test", "/x/../api/", Err(Failure::AmbiguousPath)),
            // The target goes before the field.
            ("shop.test", "http://blog.test/only", Ok(3)),
        ] {
            assert_eq!(found(&router, Some(host), target), expected, "{host} {target}");
        }
        assert_eq!(found(&router, None, "/"), Err(Failure::NoSite));
    }

    #[test]
    fn the_default_site_takes_what_no_other_does() {
        let router = Router::new(vec![site(&["a.test"], &[("/", 1)], false), site(&[], &[("/", 2)], true)]);
        assert_eq!(found(&router, Some("a.test"), "/"), Ok(1));
        assert_eq!(found(&router, Some("b.test"), "/"), Ok(2));
        assert_eq!(found(&router, None, "/"), Ok(2));
    }

    #[test]
    fn a_question_about_the_whole_server_goes_where_its_root_goes() {
        let router = Router::new(vec![site(&["a.test"], &[("/", 1), ("/x", 2)], false)]);
        let mut head = RequestHead::new(Method::Options, "*").unwrap();
        head.fields = [("Host", "a.test")].into_iter().collect();
        assert_eq!(router.find(&head).0.group, GroupId(1));
    }
}
