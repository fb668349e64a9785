//! Which route of a site a path is for.
//!
//! ```text
//!   path = "=/health"   /health alone                 before all others
//!   path = "/api"       /api, /api/, /api/x           never /apix: a route ends where a segment does
//!   path = "/api/"      /api/, /api/x                 not /api
//!   path = "/"          all the rest                  the longest route wins
//! ```
//!
//! Routes are sorted. Of those that a path begins with, all lie before it, and each knows the longest other route that it begins with
//! itself: so a path finds its route by one binary search and a few steps, however many routes there are.

use crate::proxy::readings;
use std::collections::HashMap;

/// The path has several readings, and they lead to different routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// The routes of one site, as numbers.
#[derive(Debug, Default)]
pub(super) struct Paths {
    exact: HashMap<Box<[u8]>, u32>,
    prefixes: Vec<Prefix>,
    /// There is one route, and it takes every path.
    only: Option<u32>,
}

#[derive(Debug)]
struct Prefix {
    path: Box<[u8]>,
    route: u32,
    /// The longest of the others that `path` begins with, byte by byte.
    parent: Option<usize>,
}

impl Prefix {
    /// Whether it ends in `path` where a segment does.
    fn takes(&self, path: &[u8]) -> bool {
        let rest = path.strip_prefix(&*self.path);
        rest.is_some_and(|rest| self.path.ends_with(b"/") || matches!(rest, [] | [b'/', ..]))
    }
}

impl Paths {
    /// With these routes. Of several with one path, the first counts.
    pub(super) fn new<'a>(routes: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let mut paths = Self::default();
        for (path, route) in routes {
            match path.strip_prefix('=') {
                Some(exact) => {
                    paths.exact.entry(exact.as_bytes().into()).or_insert(route);
                }
                None => paths.prefixes.push(Prefix { path: path.as_bytes().into(), route, parent: None }),
            }
        }
        paths.prefixes.sort_by(|a, b| a.path.cmp(&b.path));
        paths.prefixes.dedup_by(|later, first| later.path == first.path);
        for at in 1..paths.prefixes.len() {
            let mut parent = Some(at - 1);
            while let Some(candidate) = parent {
                if paths.prefixes[at].path.starts_with(&paths.prefixes[candidate].path) {
                    break;
                }
                parent = paths.prefixes[candidate].parent;
            }
            paths.prefixes[at].parent = parent;
        }
        if let ([only], true) = (&paths.prefixes[..], paths.exact.is_empty())
            && &*only.path == b"/"
        {
            paths.only = Some(only.route);
        }
        paths
    }

    /// The numbers of all routes.
    pub(super) fn routes(&self) -> Vec<u32> {
        self.exact.values().copied().chain(self.prefixes.iter().map(|prefix| prefix.route)).collect()
    }

    /// The route of a path that begins with a slash.
    pub(super) fn find(&self, path: &str) -> Result<Option<u32>, Ambiguous> {
        if self.only.is_some() {
            return Ok(self.only);
        }
        let path = path.as_bytes();
        let found = self.look(path);
        if readings::all(path, |reading| self.look(reading) == found) { Ok(found) } else { Err(Ambiguous) }
    }

    fn look(&self, path: &[u8]) -> Option<u32> {
        if let Some(route) = self.exact.get(path) {
            return Some(*route);
        }
        let mut at = self.prefixes.partition_point(|prefix| *prefix.path <= *path).checked_sub(1);
        while let Some(prefix) = at.and_then(|at| self.prefixes.get(at)) {
            if prefix.takes(path) {
                return Some(prefix.route);
            }
            at = prefix.parent;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths(routes: &[&str]) -> Paths {
        Paths::new(routes.iter().copied().zip(0..))
    }

    #[test]
    fn the_longest_route_wins_where_a_segment_ends() {
        let routes = ["/", "/api", "/api/", "/api/v1", "/apis/x", "=/health", "=/api/v1/x"];
        let paths = paths(&routes);
        for (path, expected) in [
            ("/", "/"),
            ("/x", "/"),
            ("/ap", "/"),
            ("/apix", "/"),
            ("/api", "/api"),
            ("/api/", "/api/"),
            ("/api/v", "/api/"),
            ("/api/v1", "/api/v1"),
            ("/api/v1/", "/api/v1"),
            ("/api/v10", "/api/"),
            ("/api/v1/x", "=/api/v1/x"),
            ("/api/v1/x/y", "/api/v1"),
            ("/apis", "/"),
            ("/apis/x", "/apis/x"),
            ("/apis/xy", "/"),
            ("/health", "=/health"),
            ("/health/", "/"),
            ("/healthy", "/"),
            ("/API", "/"),
        ] {
            let route = paths.find(path).unwrap().map(|route| routes[route as usize]);
            assert_eq!(route, Some(expected), "{path}");
        }
        assert_eq!(self::paths(&["/a", "=/b"]).find("/"), Ok(None));
        assert_eq!(self::paths(&[]).find("/"), Ok(None));
    }

    #[test]
    fn a_path_whose_readings_lead_to_different_routes_is_refused() {
        let paths = paths(&["/", "/admin", "/public/"]);
        for path in [
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/public/..%2Fadmin",
            "/public/..;/admin",
            "/public/..\\admin",
            "/%61dmin",
            "/admin%2fx",
            "//admin",
            "/./admin",
            "/admin;x=1",
            "/admin/..",
            "/x%2fy/../admin",
            "/x/y%2fz/%2e%2e/%2E%2e/admin",
            "/x;y%2fz/../admin",
        ] {
            assert_eq!(paths.find(path), Err(Ambiguous), "{path}");
        }
        // All readings lead to one route: the backend may take its choice.
        for (path, route) in [
            ("/admin/../admin/x", 1),
            ("/admin//x", 1),
            ("/admin/%2e/x", 1),
            ("/public/a%2Fb", 2),
            ("/public/a;v=1", 2),
            ("/.well-known/acme", 0),
            ("/a/b/../c", 0),
        ] {
            assert_eq!(paths.find(path), Ok(Some(route)), "{path}");
        }
        // With one route there is nothing to bypass.
        assert_eq!(self::paths(&["/"]).find("/a/../../%2e%2e//x"), Ok(Some(0)));
    }

    /// The rule as the table at the top says it, without any search.
    fn slowly(routes: &[String], path: &str) -> Option<u32> {
        let exact = routes.iter().position(|route| route.strip_prefix('=') == Some(path));
        let takes = |route: &str| {
            path == route || path.starts_with(&format!("{route}{}", if route.ends_with('/') { "" } else { "/" }))
        };
        let longest = routes.iter().filter(|route| takes(route)).max_by_key(|route| route.len());
        let found = exact.or_else(|| routes.iter().position(|route| Some(route) == longest));
        found.and_then(|at| u32::try_from(at).ok())
    }

    proptest! {
        #[test]
        fn the_search_finds_what_the_rule_says(routes in prop::collection::vec("=?(/[ab]{0,2}){1,3}", 0..12), path in "(/[ab]{0,2}){1,4}") {
            let paths = Paths::new(routes.iter().map(String::as_str).zip(0..));
            prop_assert_eq!(paths.look(path.as_bytes()), slowly(&routes, &path));
        }
    }
}
