//! The id of a request: taken from a proxy that is trusted, or made.

use crate::http::{Fields, name::looks_like};
use rand::{Rng, RngExt as _};

/// Beyond this, the word of a trusted proxy is no id.
const LONGEST: usize = 128;

/// Puts the id into the field `name`, in place of what the request says. `trusted`: what it says may be an id.
pub(super) fn mark(fields: &mut Fields, name: &str, trusted: bool, random: &mut impl Rng) {
    let given = trusted.then(|| given(fields, name)).flatten();
    let id = given.unwrap_or_else(|| format!("{:032x}", random.random::<u128>()));
    if fields.iter().any(|(other, _)| looks_like(other.as_bytes(), name.as_bytes())) {
        fields.retain(|other, _| !looks_like(other.as_bytes(), name.as_bytes()));
    }
    fields.push(name, id);
}

/// The one id of the request, if it has one that can be written anywhere.
fn given(fields: &Fields, name: &str) -> Option<String> {
    let mut lines = fields.get_all(name);
    let (Some(id), None) = (lines.next(), lines.next()) else { return None };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/@".contains(byte);
    let is_id = (1..=LONGEST).contains(&id.len()) && id.iter().all(plain);
    is_id.then(|| String::from_utf8_lossy(id).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng as _, rngs::SmallRng};

    #[test]
    fn an_id_is_taken_from_a_trusted_proxy_alone_and_made_otherwise() {
        let long = "a".repeat(LONGEST + 1);
        for (lines, trusted, taken) in [
            (&[][..], true, None),
            (&[("X-Request-ID", "a-1")], true, Some("a-1")),
            (&[("x-request-id", "A.b_c:d=e+f/g@h")], true, Some("A.b_c:d=e+f/g@h")),
            (&[("X-Request-ID", "a-1")], false, None),
            (&[("X-Request-ID", "")], true, None),
            (&[("X-Request-ID", "a b")], true, None),
            (&[("X-Request-ID", "a\"b")], true, None),
            (&[("X-Request-ID", &long)], true, None),
            (&[("X-Request-ID", &long[1..])], true, Some(&long[1..])),
            (&[("X-Request-ID", "a"), ("X-Request-ID", "a")], true, None),
            (&[("X_Request_ID", "a"), ("X.Request-Id", "b")], true, None),
        ] {
            let mut fields: Fields = lines.iter().copied().chain([("Accept", "*/*")]).collect();
            mark(&mut fields, "X-Request-ID", trusted, &mut SmallRng::seed_from_u64(1));
            let written: Vec<_> = fields.iter().map(|(name, _)| name).collect();
            assert_eq!(written, ["Accept", "X-Request-ID"], "{lines:?}");
            let id = std::str::from_utf8(fields.get("x-request-id").unwrap()).unwrap();
            match taken {
                Some(taken) => assert_eq!(id, taken),
                None => assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}"),
            }
        }
    }
}
