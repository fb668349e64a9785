//! The resource that a request asks for: the four forms of a request target (RFC 9112 §3.2, RFC 3986).
//!
//! ```text
//! origin-form     /where?q=now
//! absolute-form   http://www.example.org/where?q=now     as sent to a forward proxy; every server must take it
//! authority-form  www.example.com:80                     CONNECT only
//! asterisk-form   *                                      OPTIONS only
//! ```
//!
//! A target is passed on as it came. It is never decoded or normalized here: two hops that normalize differently
//! disagree on what was asked for.

use super::{Error, Method, grammar, host::Authority};
use bytes::BufMut;
use std::fmt;

/// A request target, checked and taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    text: Box<str>,
    form: Form,
    /// End of the authority. It starts after `scheme://`, or at 0.
    authority_end: u32,
    /// Where the query starts, after its `?`; the length of the text plus one if there is none.
    query: u32,
}

/// Which of the four forms a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A path and perhaps a query.
    Origin,
    /// A whole URI.
    Absolute(Scheme),
    /// Host and port.
    Authority,
    /// The server itself.
    Asterisk,
}

/// The scheme of an absolute target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// The port that a URI without one means.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }
}

impl Target {
    /// Reads the target of a request with this method.
    ///
    /// [`Error::BadTarget`] for bytes that may not stand there and for a form that the method does not take;
    /// [`Error::BadScheme`], [`Error::UserInfo`] and [`Error::BadHost`] for absolute targets.
    pub fn parse(method: &Method, target: &[u8]) -> Result<Self, Error> {
        match (method, target) {
            (Method::Connect, _) => Self::authority_form(target),
            (_, [b'/', ..]) => Self::with_path(Form::Origin, target, 0),
            (Method::Options, b"*") => Self::with_path(Form::Asterisk, target, 0),
            _ => Self::absolute_form(target),
        }
    }

    fn authority_form(target: &[u8]) -> Result<Self, Error> {
        let authority = Authority::parse(target).map_err(|_| Error::BadTarget)?;
        // RFC 9110 §9.3.6: a CONNECT to no port has to be refused. Port 0 is no port either.
        if authority.port.unwrap_or(0) == 0 {
            return Err(Error::BadTarget);
        }
        Self::new(Form::Authority, target, target.len(), target.len() + 1)
    }

    fn absolute_form(target: &[u8]) -> Result<Self, Error> {
        let scheme = if starts_with(target, Scheme::Http.prefix()) {
            Scheme::Http
        } else if starts_with(target, Scheme::Https.prefix()) {
            Scheme::Https
        } else {
            let has_scheme =
                target.first().is_some_and(u8::is_ascii_alphabetic) && memchr::memmem::find(target, b"://").is_some();
            return Err(if has_scheme { Error::BadScheme } else { Error::BadTarget });
        };
        let start = scheme.prefix().len();
        let end = target[start..].iter().position(|byte| b"/?#".contains(byte)).map_or(target.len(), |at| start + at);
        if target[start..end].contains(&b'@') {
            return Err(Error::UserInfo);
        }
        Authority::parse(&target[start..end])?;
        Self::with_path(Form::Absolute(scheme), target, end)
    }

    /// The path starts at `path`.
    fn with_path(form: Form, target: &[u8], path: usize) -> Result<Self, Error> {
        let mark = target[path..].iter().position(|byte| *byte == b'?').map_or(target.len(), |at| path + at);
        let query = target.get(mark + 1..).unwrap_or_default();
        if !grammar::is_query(query) || form != Form::Asterisk && !grammar::is_path(&target[path..mark]) {
            return Err(Error::BadTarget);
        }
        Self::new(form, target, path, mark + 1)
    }

    fn new(form: Form, target: &[u8], authority_end: usize, query: usize) -> Result<Self, Error> {
        let text = std::str::from_utf8(target).map_err(|_| Error::BadTarget)?.into();
        let offset = |at| u32::try_from(at).map_err(|_| Error::BadTarget);
        Ok(Self { text, form, authority_end: offset(authority_end)?, query: offset(query)? })
    }

    /// As received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which form it has.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Host and port, in absolute and authority form.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        match self.form {
            Form::Absolute(scheme) => self.text.get(scheme.prefix().len()..self.authority_end as usize),
            Form::Authority => Some(&self.text),
            Form::Origin | Form::Asterisk => None,
        }
    }

    /// The path, as received: `/` for an absolute target without one, `*` in asterisk form, empty in authority form.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.text.get(self.authority_end as usize..self.query as usize - 1) {
            Some("") if matches!(self.form, Form::Absolute(_)) => "/",
            path => path.unwrap_or_default(),
        }
    }

    /// What follows the `?`, as received.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.query as usize..)
    }

    /// Appends the target as an origin server gets it: origin form for an absolute target (RFC 9112 §3.2.1), `*` for an
    /// `OPTIONS` with neither path nor query (§3.2.4), else as received.
    pub fn write_origin_form(&self, method: &Method, out: &mut impl BufMut) {
        let rest = &self.text.as_bytes()[self.authority_end as usize..];
        match self.form {
            Form::Absolute(_) if rest.is_empty() && *method == Method::Options => out.put_u8(b'*'),
            Form::Absolute(_) => {
                if !rest.starts_with(b"/") {
                    out.put_u8(b'/');
                }
                out.put_slice(rest);
            }
            Form::Origin | Form::Authority | Form::Asterisk => out.put_slice(self.text.as_bytes()),
        }
    }
}

fn starts_with(target: &[u8], prefix: &str) -> bool {
    target.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.form, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        use Form::{Absolute, Asterisk, Authority, Origin};
        use Scheme::{Http, Https};
        // Method, target, form, authority, path, query, as an origin server gets it.
        for (method, text, form, authority, path, query, origin) in [
            (Method::Get, "/", Origin, None, "/", None, "/"),
            (Method::Get, "/a/b?c=d?e/f", Origin, None, "/a/b", Some("c=d?e/f"), "/a/b?c=d?e/f"),
            (Method::Get, "/?", Origin, None, "/", Some(""), "/?"),
            (Method::Get, "//a/../b;c=%2F:@", Origin, None, "//a/../b;c=%2F:@", None, "//a/../b;c=%2F:@"),
            (Method::Get, "/http://a", Origin, None, "/http://a", None, "/http://a"),
            (Method::Get, "http://a:80/b?c", Absolute(Http), Some("a:80"), "/b", Some("c"), "/b?c"),
            (Method::Get, "HTTPS://a", Absolute(Https), Some("a"), "/", None, "/"),
            (Method::Get, "http://a?b", Absolute(Http), Some("a"), "/", Some("b"), "/?b"),
            (Method::Get, "http://[::1]:8080/@?@", Absolute(Http), Some("[::1]:8080"), "/@", Some("@"), "/@?@"),
            (Method::Options, "*", Asterisk, None, "*", None, "*"),
            (Method::Options, "/a", Origin, None, "/a", None, "/a"),
            (Method::Options, "http://a", Absolute(Http), Some("a"), "/", None, "*"),
            (Method::Options, "http://a?", Absolute(Http), Some("a"), "/", Some(""), "/?"),
            (Method::Connect, "a:443", Authority, Some("a:443"), "", None, "a:443"),
        ] {
            let target = Target::parse(&method, text.as_bytes()).unwrap();
            assert_eq!(target.as_str(), text);
            let parts = (target.form(), target.authority(), target.path(), target.query());
            assert_eq!(parts, (form, authority, path, query), "{text}");
            let mut out = Vec::new();
            target.write_origin_form(&method, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), origin, "{text}");
        }
    }

    #[test]
    fn browsers_send_what_the_uri_grammar_does_not_know() {
        for target in ["/a|b[c]^d?e|f[g]^h`i{j}\\k%", "/?100%", "/?%zz"] {
            assert_eq!(Target::parse(&Method::Get, target.as_bytes()).unwrap().as_str(), target);
        }
    }
}
