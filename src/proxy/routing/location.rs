//! Where a redirect leads: a text with places for parts of the request.
//!
//! ```text
//!   https://www.shop.test{path}{query}      the same page of another host
//!   /new/{rest}                             the part behind the route's path, below another one
//! ```
//!
//! | place | stands for |
//! |---|---|
//! | `{host}` | the host that was asked for, without its port |
//! | `{path}` | the path as it came: it begins with a slash |
//! | `{rest}` | the part of it behind the path of the route, without a slash in front |
//! | `{query}` | the query with its question mark, or nothing |
//!
//! A client chooses the path, and must not choose the host by it. So the host of a place is written down or is `{host}`, and what follows it
//! begins with a slash. A place without a host never begins with two slashes, nor with a backslash for the second: browsers take
//! `//evil.test/` for another host (RFC 3986 §4.2).

use crate::http::{Authority, RequestHead, target::Form};
use std::fmt;

/// The place that clients are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Host,
    Path,
    Rest,
    Query,
}

/// The places, as they are written.
const PLACES: &[(&str, Part)] =
    &[("host", Part::Host), ("path", Part::Path), ("rest", Part::Rest), ("query", Part::Query)];

impl Location {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// The words to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let parts = parts(text)?;
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        match scheme {
            _ if !is_visible => Err(whither()),
            "http" | "https" => check_authority(rest).map(|()| Self(parts)),
            "" if text.starts_with("//") => {
                Err("two slashes stand for another host: write \"https://HOST\"".to_owned())
            }
            "" if text.starts_with('/') || text.starts_with("{path}") => Ok(Self(parts)),
            _ => Err(whither()),
        }
    }

    /// Whether it is the same for all requests.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// With the path and query of the request behind it.
    #[must_use]
    pub fn with_path(mut self) -> Self {
        // The path of the request begins with a slash of its own.
        if let Some(Part::Text(last)) = self.0.last_mut() {
            last.truncate(last.trim_end_matches('/').len());
        }
        self.0.retain(|part| *part != Part::Text(String::new()));
        self.0.extend([Part::Path, Part::Query]);
        self
    }

    /// Whether it can be told for the request with this head.
    pub(super) fn is_known(&self, head: &RequestHead) -> bool {
        !self.0.contains(&Part::Host) || host(head).is_some()
    }

    /// The value of `Location` for the request with this head, which came by the route with this path.
    pub(super) fn write(&self, head: &RequestHead, route: &str) -> String {
        let target = head.parsed_target();
        let path = if target.form() == Form::Asterisk { "/" } else { target.path() };
        let mut to = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => to += text,
                Part::Host => to += host(head).unwrap_or_default(),
                Part::Path => to += path,
                Part::Rest => {
                    let rest = path.strip_prefix(route.strip_prefix('=').unwrap_or(route)).unwrap_or_default();
                    to += rest.strip_prefix('/').unwrap_or(rest);
                }
                Part::Query => target.query().into_iter().for_each(|query| to.extend(["?", query])),
            }
        }
        if to.starts_with('/') {
            let path = to.trim_start_matches(['/', '\\']).len();
            to.replace_range(1..to.len() - path, "");
        }
        to
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match PLACES.iter().find(|(_, place)| place == part) {
                Some((name, _)) => write!(f, "{{{name}}}")?,
                None => {
                    let Part::Text(text) = part else { continue };
                    f.write_str(text)?;
                }
            }
        }
        Ok(())
    }
}

fn whither() -> String {
    "write \"https://HOST\", or a path like \"/new\"".to_owned()
}

fn host(head: &RequestHead) -> Option<&str> {
    Authority::parse(head.authority()?.as_bytes()).ok().map(|authority| authority.host)
}

fn parts(text: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (before, after) = rest.split_at(rest.find(['{', '}']).unwrap_or(rest.len()));
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        if after.is_empty() {
            break;
        }
        let known = "the places are {host}, {path}, {rest} and {query}";
        let (name, behind) = after
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'))
            .ok_or_else(|| format!("a brace has no other one: {known}; one that stands for itself is %7B or %7D"))?;
        let place = PLACES.iter().find(|(place, _)| *place == name);
        parts.push(place.ok_or_else(|| format!("there is no place {{{name}}}: {known}"))?.1.clone());
        rest = behind;
    }
    Ok(parts)
}

/// Whether the host of a place, and all that may follow it, is chosen by nobody who asks.
fn check_authority(rest: &str) -> Result<(), String> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let end = ["{path}", "{query}"].iter().filter_map(|place| rest.find(place)).fold(end, usize::min);
    let authority = &rest[..end];
    let written = match authority.strip_prefix("{host}") {
        Some(port) => format!("host{port}"),
        None => authority.to_owned(),
    };
    if written.contains('{') {
        return Err("the client would choose the host: behind it stands a slash or {path}".to_owned());
    }
    Authority::parse(written.as_bytes()).map(drop).map_err(|_| whither())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn located(template: &str, route: &str, target: &str) -> String {
        let mut head = RequestHead::new(Method::Get, target).unwrap();
        head.fields = [("Host", "Shop.test:8080")].into_iter().collect();
        Location::parse(template).unwrap().write(&head, route)
    }

    #[test]
    fn places_stand_for_parts_of_the_request() {
        for (template, route, target, expected) in [
            ("https://www.test{path}{query}", "/", "/a/b?c=d&e", "https://www.test/a/b?c=d&e"),
            ("https://www.test{path}{query}", "/", "/a", "https://www.test/a"),
            ("https://www.test{query}", "/", "/a?b", "https://www.test?b"),
            ("https://{host}:8443{path}", "/", "/a?b", "https://Shop.test:8443/a"),
            ("https://{host}/", "/", "/a", "https://Shop.test/"),
            ("/new/{rest}{query}", "/old", "/old/x?y", "/new/x?y"),
            ("/new/{rest}", "/old/", "/old/x", "/new/x"),
            ("/new/{rest}", "/old", "/old", "/new/"),
            ("/new/{rest}", "=/old", "/old", "/new/"),
            ("{path}/", "/", "/a", "/a/"),
            ("/fixed?a=b#c", "/", "/a?b", "/fixed?a=b#c"),
            ("https://[::1]:80/{rest}", "/", "/a", "https://[::1]:80/a"),
            ("https://www.test{path}{query}", "/", "http://shop.test?q", "https://www.test/?q"),
        ] {
            assert_eq!(located(template, route, target), expected, "{template} {target}");
            let again = Location::parse(template).unwrap();
            assert_eq!(again.to_string(), template);
        }
    }

    #[test]
    fn a_path_chooses_no_host() {
        for (template, route, target) in [
            ("{path}{query}", "/", "//evil.test/x"),
            ("{path}{query}", "/", "///evil.test/x"),
            ("/{rest}", "/old", "/old//evil.test/x"),
            ("/{rest}", "/old", "/old/%2F/evil.test/x"),
            ("/{rest}", "/", "//evil.test/x"),
            ("/{rest}{path}", "/old", "/old//evil.test/x"),
            ("/{query}", "/", "/?\\evil.test/x"),
        ] {
            let to = located(template, route, target);
            assert!(to.starts_with('/') && !to[1..].starts_with(['/', '\\']), "{template} {target} {to}");
        }
        assert_eq!(located("https://www.test{path}", "/", "//evil.test/x"), "https://www.test//evil.test/x");
        // No server of ours answers such a request; it shows that a path is taken as text.
        assert_eq!(located("https://www.test{path}", "/", "/@evil.test/"), "https://www.test/@evil.test/");
    }

    #[test]
    fn a_request_about_the_whole_server_has_the_root_for_its_path() {
        let head = RequestHead::new(Method::Options, "*").unwrap();
        assert_eq!(Location::parse("https://www.test{path}").unwrap().write(&head, "/"), "https://www.test/");
    }

    #[test]
    fn the_path_of_the_request_may_follow() {
        for (text, expected) in [
            ("https://www.test", "https://www.test{path}{query}"),
            ("https://www.test/base/", "https://www.test/base{path}{query}"),
            ("/", "{path}{query}"),
            ("/new", "/new{path}{query}"),
        ] {
            assert_eq!(Location::parse(text).unwrap().with_path().to_string(), expected);
            assert!(Location::parse(text).unwrap().is_fixed() && Location::parse(expected).is_ok());
        }
    }

    #[test]
    fn other_texts_are_no_places() {
        for (text, problem) in [
            ("", "https://HOST"),
            ("www.test", "https://HOST"),
            ("ftp://www.test/", "https://HOST"),
            ("https://", "https://HOST"),
            ("https:///x", "https://HOST"),
            ("https://user@www.test/", "https://HOST"),
            ("https://www.test/a b", "https://HOST"),
            ("https://www.test/\u{e4}", "https://HOST"),
            ("//www.test/", "two slashes"),
            ("{query}", "https://HOST"),
            ("{rest}", "https://HOST"),
            ("{host}/x", "https://HOST"),
            ("https://www.test{rest}", "the client would choose the host"),
            ("https://{rest}/", "the client would choose the host"),
            ("https://www{host}/", "the client would choose the host"),
            ("https://{host}{host}/", "the client would choose the host"),
            ("https://{host}.evil.test{rest}/", "the client would choose the host"),
            ("/{uri}", "there is no place {uri}"),
            ("/{path", "a brace has no other one"),
            ("/path}", "a brace has no other one"),
        ] {
            let error = Location::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text} {error}");
        }
    }
}
