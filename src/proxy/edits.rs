//! Changes to the fields of a head, as a site or a route asks for them.
//!
//! ```text
//!   request ──▶ route ──▶ its changes ──▶ cache ──▶ head for the backend: Host, Via, framing are written here
//!   response ◀── its changes ◀── cache ◀── response of the backend
//! ```
//!
//! Those of a request are made before the cache is asked. It knows what the backend is asked, and nothing else: a field that is taken out makes
//! no variant, one that is set makes no difference between clients (RFC 9111 §4.1). Those of a response are made on its way to the client, so
//! that a stored response is what the backend said, and follows each new configuration.
//!
//! Fields go first, then others are set, then more are added. Fields by which a message is understood are not for a file to
//! change ([`check_name`]).

use crate::http::{
    Fields, hop, is_token,
    name::{is_same, looks_like},
};

/// Changes to the fields of one kind of head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// Names of fields that go: those that are removed, and those that are set.
    gone: Vec<Box<str>>,
    /// Lines that come: those that are set, then those that are added.
    come: Vec<(Box<str>, Box<str>)>,
}

/// The kind of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Of requests.
    Request,
    /// Of responses.
    Response,
}

impl Edits {
    /// Takes the fields of these names out, then sets some, each in place of all others of its name, then adds some.
    #[must_use]
    pub fn new<'a>(
        remove: impl Iterator<Item = &'a str>,
        set: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        add: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let gone = remove.chain(set.clone().map(|(name, _)| name)).map(Box::from).collect();
        Self { gone, come: set.chain(add).map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.come.is_empty()
    }

    /// Whether a field of that name comes.
    pub(super) fn sets(&self, name: &str) -> bool {
        self.come.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// Whether a field of that name takes the place of all others.
    pub(super) fn replaces(&self, name: &str) -> bool {
        self.sets(name) && self.gone.iter().any(|gone| gone.eq_ignore_ascii_case(name))
    }

    /// Changes the fields of a request. A field that goes takes with it all that a server may take for it: `X_Env` is `X-Env` to many.
    pub(super) fn apply_to_request(&self, fields: &mut Fields) {
        self.apply_by(looks_like, fields);
    }

    /// Changes the fields of a response. Clients read names as they are.
    pub(super) fn apply_to_response(&self, fields: &mut Fields) {
        self.apply_by(is_same, fields);
    }

    fn apply_by(&self, is: fn(&[u8], &[u8]) -> bool, fields: &mut Fields) {
        let goes = |name: &[u8]| self.gone.iter().any(|gone| is(gone.as_bytes(), name));
        if fields.lines().any(|(name, _)| goes(name)) {
            fields.retain(|name, _| !goes(name.as_bytes()));
        }
        for (name, value) in &self.come {
            fields.push(name, value.as_bytes());
        }
    }
}

/// Whether a file may change that field.
///
/// # Errors
///
/// The reason why not.
pub fn check_name(name: &str, side: Side) -> Result<(), &'static str> {
    /// Told, counted or extended by each proxy, in requests.
    const OF_REQUESTS: &[&str] = &["via", "max-forwards", "expect"];
    /// Written by this proxy, or about the content that is there.
    const OF_RESPONSES: &[&str] = &["via", "date", "age", "content-range", "cache-status", "proxy-status"];
    let is = |others: &[&str]| others.iter().any(|other| name.eq_ignore_ascii_case(other));
    match side {
        _ if !is_token(name.as_bytes()) => {
            Err("a name has letters, digits, and characters like - and _, without spaces and colons")
        }
        // A * may stand in a name. No real name has one, and it would look like a rule for many.
        _ if name.contains('*') => Err("a * stands for nothing here: write each name in full"),
        _ if is(&["content-length", "transfer-encoding"]) => {
            Err("it says where the content ends, which this proxy writes from what it has read")
        }
        _ if hop::is_hop_by_hop(name.as_bytes()) || is(&["trailer"]) => {
            Err("it is about one connection, and no proxy passes it on")
        }
        Side::Request if is(&["host"]) => Err("it decides about the site: what is matched is what is sent"),
        Side::Request if is(OF_REQUESTS) => Err("each proxy writes it itself"),
        Side::Response if is(OF_RESPONSES) => Err("this proxy writes it from what it knows"),
        Side::Request | Side::Response => Ok(()),
    }
}

/// Whether that can be the value of a field.
///
/// # Errors
///
/// The reason why not.
pub fn check_value(value: &str) -> Result<(), &'static str> {
    /// Beyond this, most servers refuse a line.
    const MOST: usize = 8 * 1024;
    let is_text = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    match value {
        _ if !is_text => Err("write visible ASCII characters and spaces"),
        _ if value.trim() != value => Err("leave out the spaces at its ends: recipients cut them off"),
        _ if value.len() > MOST => Err("it is longer than 8192 bytes"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(edits: &Edits) -> Vec<String> {
        let lines = [("Accept", "*/*"), ("X-Env", "a"), ("x-env", "b"), ("Cookie", "c")];
        let mut fields: Fields = lines.into_iter().collect();
        edits.apply_to_response(&mut fields);
        fields.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
    }

    #[test]
    fn fields_go_then_are_set_then_are_added() {
        let none = || std::iter::empty::<(&str, &str)>();
        let set = [("X-ENV", "prod")];
        for (edits, expected) in [
            (Edits::default(), &["Accept: */*", "X-Env: a", "x-env: b", "Cookie: c"][..]),
            (Edits::new(["cookie", "absent"].into_iter(), none(), none()), &["Accept: */*", "X-Env: a", "x-env: b"]),
            (Edits::new([].into_iter(), set.into_iter(), none()), &["Accept: */*", "Cookie: c", "X-ENV: prod"]),
            (
                Edits::new([].into_iter(), none(), [("X-Env", "c"), ("X-Env", "d")].into_iter()),
                &["Accept: */*", "X-Env: a", "x-env: b", "Cookie: c", "X-Env: c", "X-Env: d"],
            ),
            (
                Edits::new(["x-env"].into_iter(), [("Cookie", "d")].into_iter(), [("X-Env", "e")].into_iter()),
                &["Accept: */*", "Cookie: d", "X-Env: e"],
            ),
        ] {
            assert_eq!(changed(&edits), expected);
        }
    }

    /// CGI and its kin read all of these as `HTTP_X_ENV`.
    #[test]
    fn another_spelling_does_not_undo_the_change_of_a_request() {
        let none = || std::iter::empty::<(&str, &str)>();
        let edits = Edits::new(["x-debug"].into_iter(), [("X-Env", "prod")].into_iter(), none());
        let lines =
            [("X_Env", "a"), ("x.env", "b"), ("X-Envy", "c"), ("X_DEBUG", "1"), ("X-De-bug", "2"), ("X-ENV", "d")];
        let names = |change: fn(&Edits, &mut Fields)| {
            let mut fields: Fields = lines.into_iter().collect();
            change(&edits, &mut fields);
            fields.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(Edits::apply_to_request), ["X-Envy", "X-De-bug", "X-Env"]);
        assert_eq!(names(Edits::apply_to_response), ["X_Env", "x.env", "X-Envy", "X_DEBUG", "X-De-bug", "X-Env"]);
    }

    #[test]
    fn fields_that_make_a_message_are_not_for_a_file() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "TE",
            "Upgrade",
            "Keep-Alive",
            "Proxy-Authorization",
            "Trailer",
            "Via",
        ] {
            assert!(check_name(name, Side::Request).is_err() && check_name(name, Side::Response).is_err(), "{name}");
        }
        for name in ["", "a b", "a:", "X-*", "*", ":path", "ä", "a\r\nb"] {
            assert!(check_name(name, Side::Request).is_err() && check_name(name, Side::Response).is_err(), "{name}");
        }
        for (name, request, response) in [
            ("Host", false, true),
            ("Expect", false, true),
            ("Max-Forwards", false, true),
            ("Date", true, false),
            ("AGE", true, false),
            ("Content-Range", true, false),
            ("Set-Cookie", true, true),
            ("Authorization", true, true),
            ("Content-Type", true, true),
            ("X-Forwarded-Proto", true, true),
        ] {
            assert_eq!(check_name(name, Side::Request).is_ok(), request, "{name}");
            assert_eq!(check_name(name, Side::Response).is_ok(), response, "{name}");
        }
    }

    #[test]
    fn a_value_ends_no_line() {
        for bad in ["a\r\nb", "a\nb", "\0", "a\tb", " a", "a ", "\u{e4}", &"x".repeat(8193)] {
            assert!(check_value(bad).is_err(), "{bad:?}");
        }
        for good in ["", "a", "max-age=60, public", "\"a b\"", &"x".repeat(8192)] {
            assert!(check_value(good).is_ok(), "{good:?}");
        }
    }
}
