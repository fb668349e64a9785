//! Which content coding a client gets: `Accept-Encoding` with its weights (RFC 9110 §12.5.3, §12.4.2).
//!
//! ```text
//! Accept-Encoding: gzip, br;q=0.9, *;q=0.1      gzip before br before all others, before what is not encoded
//! ```
//!
//! | the request says | it gets |
//! |---|---|
//! | nothing | the file as it is |
//! | weights | the coding with the highest of those that are there; of equal ones the one that is usually the shortest |
//! | nothing about `identity`, nor `*` | the file as it is comes last, behind every coding with a weight |
//! | `identity;q=0`, or `*;q=0`, and nothing that is there | 406 |

use crate::http::Fields;

/// A way in which content is encoded, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878).
    Zstd,
    /// gzip (RFC 1952).
    Gzip,
    /// As it is.
    Identity,
}

impl Coding {
    /// Those that change the content. Of two with the same weight the first is sent.
    pub const ENCODED: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The value of `Content-Encoding`; `None` for content as it is.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zstd"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// The end of the name of a file that holds another one in this coding.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
            Self::Identity => "",
        }
    }
}

/// In thousandths, 0 to 1000.
type Weight = u16;

/// How much a client likes each coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weights {
    /// The request has the field.
    is_said: bool,
    encoded: [Option<Weight>; 3],
    identity: Option<Weight>,
    others: Option<Weight>,
}

impl Weights {
    /// The weights that a request gives.
    #[must_use]
    pub(super) fn of(fields: &Fields) -> Self {
        let mut weights = Self { is_said: fields.contains("accept-encoding"), ..Self::default() };
        if weights.is_said {
            fields
                .tokens("accept-encoding")
                .filter_map(weighted)
                .for_each(|(name, weight)| weights.enter(name, weight));
        }
        weights
    }

    /// Of two weights for one coding, the first counts.
    fn enter(&mut self, name: &[u8], weight: Weight) {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let place = if is("identity") {
            &mut self.identity
        } else if is("*") {
            &mut self.others
        } else {
            // `x-gzip` is another name of gzip (RFC 9110 §8.4.1.3).
            let named = |coding: &Coding| coding.name().is_some_and(is) || *coding == Coding::Gzip && is("x-gzip");
            let Some(at) = Coding::ENCODED.iter().position(named) else { return };
            &mut self.encoded[at]
        };
        place.get_or_insert(weight);
    }

    /// The coding to send, of the encoded ones that are there ([`Coding::ENCODED`]) and the file as it is. `None`: the client accepts
    /// none of these.
    #[must_use]
    pub(super) fn choose(&self, is_there: [bool; 3]) -> Option<Coding> {
        if !self.is_said {
            return Some(Coding::Identity);
        }
        let mut best = None;
        for (at, coding) in Coding::ENCODED.into_iter().enumerate() {
            let weight = self.encoded[at].or(self.others).unwrap_or(0);
            if is_there[at] && weight > best.map_or(0, |(_, best)| best) {
                best = Some((coding, weight));
            }
        }
        match (self.identity.or(self.others), best) {
            (Some(weight), Some((_, best))) if weight > best => Some(Coding::Identity),
            (_, Some((coding, _))) => Some(coding),
            // Acceptable unless it is excluded.
            (weight, None) => (weight != Some(0)).then_some(Coding::Identity),
        }
    }
}

/// A member with its weight: `gzip`, `gzip;q=0.5`. `None` for one that cannot be read: it says nothing.
pub(super) fn weighted(member: &[u8]) -> Option<(&[u8], Weight)> {
    let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    // In `Accept`, parameters of the type may come before it.
    let weight = parts.find_map(|part| match part {
        [b'q' | b'Q', b'=', weight @ ..] => Some(weight),
        _ => None,
    });
    match weight {
        None => Some((name, 1000)),
        Some(weight) => Some((name, thousandths(weight)?)),
    }
}

/// `0`, `0.5`, `1.000`: at most three digits behind the point.
fn thousandths(text: &[u8]) -> Option<Weight> {
    let (whole, digits) = match text {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] => (whole, digits),
        _ => return None,
    };
    if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let part = |at: usize| Weight::from(digits.get(at).map_or(0, |digit| digit - b'0'));
    let weight = Weight::from(whole - b'0') * 1000 + part(0) * 100 + part(1) * 10 + part(2);
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Identity, Zstd};

    const ALL: [bool; 3] = [true; 3];
    const GZIP: [bool; 3] = [false, false, true];
    const NONE: [bool; 3] = [false; 3];

    #[test]
    fn codings_are_chosen_by_their_weights() {
        for (accepted, is_there, chosen) in [
            (None, ALL, Some(Identity)),
            (Some(""), ALL, Some(Identity)),
            (Some("gzip"), ALL, Some(Gzip)),
            (Some("gzip"), NONE, Some(Identity)),
            (Some("gzip, deflate, br, zstd"), ALL, Some(Brotli)),
            (Some("gzip, deflate, br, zstd"), [false, true, true], Some(Zstd)),
            (Some("gzip, deflate, br, zstd"), GZIP, Some(Gzip)),
            (Some("br;q=0.5, gzip;q=0.8"), ALL, Some(Gzip)),
            (Some("br;q=0.5 , gzip ; q=0.8"), ALL, Some(Gzip)),
            (Some("br;q=0, gzip;q=0.001"), ALL, Some(Gzip)),
            (Some("GZIP;Q=1.0"), ALL, Some(Gzip)),
            (Some("x-gzip"), ALL, Some(Gzip)),
            (Some("deflate"), ALL, Some(Identity)),
            (Some("*"), ALL, Some(Brotli)),
            (Some("*;q=0.5, gzip"), ALL, Some(Gzip)),
            (Some("*;q=0.5, br;q=0, zstd;q=0"), ALL, Some(Gzip)),
            (Some("identity, gzip;q=0.5"), ALL, Some(Identity)),
            (Some("identity;q=0.5, gzip;q=0.5"), ALL, Some(Gzip)),
            (Some("gzip;q=0.5"), ALL, Some(Gzip)),
            (Some("gzip;q=0"), ALL, Some(Identity)),
            (Some("identity;q=0"), NONE, None),
            (Some("identity;q=0"), ALL, None),
            (Some("identity;q=0, gzip"), GZIP, Some(Gzip)),
            (Some("identity;q=0, gzip"), NONE, None),
            (Some("*;q=0"), ALL, None),
            (Some("*;q=0, identity"), ALL, Some(Identity)),
            (Some("*;q=0, gzip"), ALL, Some(Gzip)),
            // Members that cannot be read say nothing.
            (Some("gzip;q=2"), ALL, Some(Identity)),
            (Some("gzip;q=0.1234"), ALL, Some(Identity)),
            (Some("gzip;q="), ALL, Some(Identity)),
            (Some("gzip;q=0.5;q=1"), ALL, Some(Gzip)),
            (Some("gzip;q=0, gzip"), ALL, Some(Identity)),
            (Some(";q=1, ,,"), ALL, Some(Identity)),
        ] {
            let fields: Fields = accepted.map(|accepted| ("Accept-Encoding", accepted)).into_iter().collect();
            assert_eq!(Weights::of(&fields).choose(is_there), chosen, "{accepted:?} {is_there:?}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let fields: Fields = [("Accept-Encoding", "br;q=0.1"), ("accept-encoding", "gzip")].into_iter().collect();
        assert_eq!(Weights::of(&fields).choose(ALL), Some(Gzip));
    }

    #[test]
    fn weights_have_three_digits() {
        for (text, weight) in [
            ("0", Some(0)),
            ("1", Some(1000)),
            ("1.", Some(1000)),
            ("1.000", Some(1000)),
            ("1.001", None),
            ("0.001", Some(1)),
            ("0.25", Some(250)),
            ("0.0001", None),
            (".5", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(thousandths(text.as_bytes()), weight, "{text}");
        }
    }
}
