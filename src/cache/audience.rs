//! Decides for which clients a response is, and by whose word.
//!
//! A shared cache gives one client's answer to others. Where the response says that this is meant (`public`, `max-age`,
//! `s-maxage`, `Expires`: RFC 9111 §3, §7.3), it is a statement. Where it says nothing, the cache may still guess how long
//! the response is fresh (§4.2.2), and the operator may say so for all (`--cache-default-ttl`). Neither of them knows
//! *whose* the response is. So a guess stops where the messages look like a conversation with one client:
//!
//! | nothing is said, and | then |
//! |---|---|
//! | the response has `Set-Cookie` or another of [`HANDED_OUT`] | it is not stored |
//! | the request has `Cookie` or `Authorization` | it is validated at each use, by its entity tag: a date does not tell two clients' pages apart |
//! | `Vary` names one of these | it is validated at each use |
//! | none of these | the guess holds, for requests without `Cookie` and `Authorization` |
//!
//! `Content-Disposition` is not in the table: it says what to do with the content, not whose it is.

use super::directives::{ResponseDirectives, WHO_ASKS};
use crate::http::Fields;

pub use super::directives::names_client;

/// Response fields that give something to one client: a session (RFC 6265, and RFC 2965 before it), the proof that the
/// server knows that client's password (RFC 9110 §11.6.3).
const HANDED_OUT: [&str; 3] = ["set-cookie", "set-cookie2", "authentication-info"];

/// Which requests a stored response may answer without the backend being asked. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// None: nothing is said, and it may be for one client.
    Nobody,
    /// Those that do not say who asks: nothing is said, and nothing speaks against a guess.
    Strangers,
    /// All of them: the response says so.
    Everybody,
    /// All of them, and the answer to a request with `Authorization` is for all clients, too (§3.5).
    EvenAuthorized,
}

impl Audience {
    pub(super) const ALL: [Self; 4] = [Self::Nobody, Self::Strangers, Self::Everybody, Self::EvenAuthorized];

    /// That of a response with these fields, which say this, to a request with those.
    #[must_use]
    pub fn of(request: &Fields, response: &Fields, said: &ResponseDirectives) -> Self {
        match says_for_whom(response, said) {
            true if serves_authorized(said) => Self::EvenAuthorized,
            true => Self::Everybody,
            false if names_client(request) || hands_out(response) || varies_by_client(response) => Self::Nobody,
            false => Self::Strangers,
        }
    }

    /// Whether a request may get the response without validation; `named`: it says who asks ([`names_client`]).
    #[must_use]
    pub fn includes(self, named: bool) -> bool {
        self >= if named { Self::Everybody } else { Self::Strangers }
    }
}

/// Whether the response itself says that others may get it: how long it is fresh, or that it is public.
#[must_use]
pub fn says_for_whom(response: &Fields, said: &ResponseDirectives) -> bool {
    let expires = !said.targeted && response.contains("expires");
    said.public || said.max_age.is_some() || said.s_maxage.is_some() || expires
}

/// §3.5: these make a response to one authorized user a response to all.
#[must_use]
pub fn serves_authorized(said: &ResponseDirectives) -> bool {
    said.public || said.must_revalidate || said.s_maxage.is_some()
}

/// Whether a response gives something to one client.
#[must_use]
pub fn hands_out(response: &Fields) -> bool {
    HANDED_OUT.iter().any(|name| response.contains(name))
}

/// Whether the response says that it depends on who asks.
fn varies_by_client(response: &Fields) -> bool {
    WHO_ASKS.iter().any(|name| response.has_token("vary", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &str) -> Fields {
        lines.lines().filter_map(|line| line.split_once(": ")).collect()
    }

    #[test]
    fn a_guess_is_about_strangers_and_a_statement_about_everybody() {
        use Audience::{EvenAuthorized, Everybody, Nobody, Strangers};
        const MODIFIED: &str = "Last-Modified: Sun, 06 Nov 1994 08:48:37 GMT";
        for (request, response, expected) in [
            ("", MODIFIED, Strangers),
            ("", "", Strangers),
            ("Cookie: a=b", MODIFIED, Nobody),
            ("Authorization: Basic x", MODIFIED, Nobody),
            ("", "Set-Cookie: a=b", Nobody),
            ("", "Set-Cookie2: a=b", Nobody),
            ("", "Authentication-Info: rspauth=x", Nobody),
            ("", "Vary: Accept, Cookie", Nobody),
            ("", "Vary: AUTHORIZATION", Nobody),
            ("", "Vary: Accept", Strangers),
            ("", "Content-Disposition: attachment", Strangers),
            // It says so itself, for any client and with any cookie (§7.3). For how long is another question.
            ("Cookie: a=b", "Cache-Control: max-age=1\nSet-Cookie: a=b", Everybody),
            ("Cookie: a=b", "Cache-Control: max-age=0", Everybody),
            ("", "Expires: 0\nVary: Cookie", Everybody),
            ("Cookie: a=b", "Cache-Control: public", EvenAuthorized),
            ("Authorization: Basic x", "Cache-Control: s-maxage=1", EvenAuthorized),
            ("", "Cache-Control: max-age=1, must-revalidate", EvenAuthorized),
            // These say nothing about others.
            ("Cookie: a=b", "Cache-Control: must-revalidate", Nobody),
            ("Cookie: a=b", "Cache-Control: no-cache", Nobody),
            ("Cookie: a=b", "Cache-Control: stale-while-revalidate=9, immutable", Nobody),
            // RFC 9213 §2.2: the targeted field alone counts.
            ("", "CDN-Cache-Control: foo\nExpires: 0\nSet-Cookie: a=b", Nobody),
            ("", "CDN-Cache-Control: max-age=1\nSet-Cookie: a=b", Everybody),
        ] {
            let response = fields(response);
            let audience = Audience::of(&fields(request), &response, &ResponseDirectives::of(&response));
            assert_eq!(audience, expected, "{request:?} {response:?}");
        }
    }

    #[test]
    fn a_named_client_needs_a_statement() {
        for (audience, stranger, named) in [
            (Audience::Nobody, false, false),
            (Audience::Strangers, true, false),
            (Audience::Everybody, true, true),
            (Audience::EvenAuthorized, true, true),
        ] {
            assert_eq!((audience.includes(false), audience.includes(true)), (stranger, named), "{audience:?}");
        }
    }
}
