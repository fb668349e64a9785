//! Which command a request stands for.

use crate::http::{Method, RequestHead, Status};

/// The meaning of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// A page that says which paths there are.
    Welcome,
    /// One command that the path names.
    Fixed(&'static str, Show),
    /// Each line of the content is sent back by the command server.
    Echo,
    /// Each line of the content is a command.
    Commands,
}

/// The form in which an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// As it is, a line of text.
    Line,
    /// `STATS name=number name=number` as an object.
    Numbers,
}

/// Why a request has no meaning here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// Nothing has that path.
    NotFound,
    /// It is there, for other methods.
    Method(&'static str),
}

const READ: &str = "GET, HEAD";
const WRITE: &str = "POST";
const ANY: &str = "GET, HEAD, POST";

impl Route {
    /// By path and method; the query is ignored.
    pub(super) fn of(head: &RequestHead) -> Result<Self, NoRoute> {
        let route = match head.parsed_target().path() {
            "/" => Self::Welcome,
            "/ping" => Self::Fixed("PING", Show::Line),
            "/time" => Self::Fixed("TIME", Show::Line),
            "/stats" => Self::Fixed("STATS", Show::Numbers),
            "/echo" => Self::Echo,
            "/command" => Self::Commands,
            // The server as a whole (`OPTIONS *`, RFC 9110 §9.3.7).
            "*" => return Err(NoRoute::Method(ANY)),
            _ => return Err(NoRoute::NotFound),
        };
        let takes_content = matches!(route, Self::Echo | Self::Commands);
        match (&head.method, takes_content) {
            (Method::Get | Method::Head, false) | (Method::Post, true) => Ok(route),
            (_, takes_content) => Err(NoRoute::Method(if takes_content { WRITE } else { READ })),
        }
    }
}

impl NoRoute {
    pub(super) fn status(self) -> Status {
        match self {
            Self::NotFound => Status::NOT_FOUND,
            Self::Method(_) => Status::METHOD_NOT_ALLOWED,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "nothing is here: GET / says what is",
            Self::Method(_) => "this path is for other methods",
        }
    }
}

/// The page of [`Route::Welcome`].
pub(super) const WELCOME: &str = "\
A gateway from HTTP to a command server.
  GET  /ping      PING
  GET  /time      TIME
  GET  /stats     STATS of the connection to the command server, as JSON
  POST /echo      ECHO of each line of the content
  POST /command   each line of the content is a command; several are answered in JSON, a line each, in order
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        let of = |method: Method, target: &str| Route::of(&RequestHead::new(method, target).unwrap());
        assert_eq!(of(Method::Get, "/ping?x=1"), Ok(Route::Fixed("PING", Show::Line)));
        assert_eq!(of(Method::Head, "/stats"), Ok(Route::Fixed("STATS", Show::Numbers)));
        assert_eq!(of(Method::Get, "http://a/time"), Ok(Route::Fixed("TIME", Show::Line)));
        assert_eq!(of(Method::Post, "/command"), Ok(Route::Commands));
        assert_eq!(of(Method::Get, "/"), Ok(Route::Welcome));
        assert_eq!(of(Method::Get, "/command"), Err(NoRoute::Method("POST")));
        assert_eq!(of(Method::Post, "/ping"), Err(NoRoute::Method("GET, HEAD")));
        assert_eq!(of(Method::Delete, "/echo"), Err(NoRoute::Method("POST")));
        assert_eq!(of(Method::Options, "*"), Err(NoRoute::Method("GET, HEAD, POST")));
        for target in ["/pin", "/ping/", "//ping", "/Ping", "/favicon.ico"] {
            assert_eq!(of(Method::Get, target), Err(NoRoute::NotFound), "{target}");
        }
    }
}
