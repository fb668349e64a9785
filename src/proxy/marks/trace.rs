//! The place of a request in a trace: W3C Trace Context, Level 1 (the Recommendation).
//!
//! ```text
//!   traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//!                │  trace                            parent           flags: 01 is "sampled"
//!                version
//! ```

use crate::http::Fields;
use rand::{Rng, RngExt as _};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// Members of a `tracestate` beyond which all of it is dropped (§3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// The flag that a caller records the trace; the only one that there is.
const SAMPLED: u8 = 1;

/// A `traceparent` that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parent {
    trace: String,
    flags: u8,
}

/// Makes us the parent in the trace of the request. One that cannot be read is dropped with its state; then, and if there is none, a
/// new trace begins if one is to be `made`.
pub(super) fn mark(fields: &mut Fields, made: bool, random: &mut impl Rng) {
    let parent = parent(fields);
    let keeps_state = parent.is_some() && is_state(fields);
    let is_ours = |name: &str| name.eq_ignore_ascii_case(PARENT) || !keeps_state && name.eq_ignore_ascii_case(STATE);
    if fields.iter().any(|(name, _)| is_ours(name)) {
        fields.retain(|name, _| !is_ours(name));
    }
    let new = || Parent { trace: format!("{:032x}", at_least_one(random.random::<u128>())), flags: SAMPLED };
    let Some(Parent { trace, flags }) = parent.or_else(|| made.then(new)) else { return };
    let ours = at_least_one(u128::from(random.random::<u64>()));
    fields.push(PARENT, format!("00-{trace}-{ours:016x}-{:02x}", flags & SAMPLED));
}

/// Zero is no id.
fn at_least_one(id: u128) -> u128 {
    id.max(1)
}

/// The ids of the trace and of our part in it, of a request that was marked.
pub(super) fn ids(fields: &Fields) -> Option<(&str, &str)> {
    let written = std::str::from_utf8(fields.get(PARENT)?).ok()?;
    Some((written.get(3..35)?, written.get(36..52)?))
}

/// The one `traceparent` of the request, if it is valid (§3.2). A version that is not known is read as far as it is like the first.
fn parent(fields: &Fields) -> Option<Parent> {
    let mut lines = fields.get_all(PARENT);
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let text = std::str::from_utf8(line).ok()?;
    let (version, trace, parent, flags) = (text.get(..2)?, text.get(3..35)?, text.get(36..52)?, text.get(53..55)?);
    let dashes = [2, 35, 52].iter().all(|at| line[*at] == b'-');
    let rest = &line[55..];
    let ends = if version == "00" { rest.is_empty() } else { rest.is_empty() || rest[0] == b'-' };
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |text: &str| hex(text) && text.bytes().any(|byte| byte != b'0');
    let is_valid = dashes && ends && hex(version) && version != "ff" && is_id(trace) && is_id(parent) && hex(flags);
    is_valid.then(|| Some(Parent { trace: trace.to_owned(), flags: u8::from_str_radix(flags, 16).ok()? }))?
}

/// Whether all lines of `tracestate` together are a valid list (§3.3.1). That of none is.
fn is_state(fields: &Fields) -> bool {
    let members = fields.get_all(STATE).flat_map(|line| line.split(|byte| *byte == b','));
    let mut keys: Vec<&[u8]> = Vec::new();
    for member in members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()) {
        let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
        let (key, value) = (&member[..equals], &member[equals + 1..]);
        if keys.len() == MOST_MEMBERS || keys.contains(&key) || !is_key(key) || !is_value(value) {
            return false;
        }
        keys.push(key);
    }
    true
}

fn is_key(key: &[u8]) -> bool {
    let part = |part: &[u8], first: fn(&u8) -> bool, longest: usize| {
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte);
        (1..=longest).contains(&part.len()) && first(&part[0]) && part.iter().all(inner)
    };
    match key.iter().position(|byte| *byte == b'@') {
        None => part(key, u8::is_ascii_lowercase, 256),
        Some(at) => {
            let tenant = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            part(&key[..at], tenant, 241) && part(&key[at + 1..], u8::is_ascii_lowercase, 14)
        }
    }
}

fn is_value(value: &[u8]) -> bool {
    let inner = |byte: &u8| (b' '..=b'~').contains(byte) && !b",=".contains(byte);
    (1..=256).contains(&value.len()) && value.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng as _, rngs::SmallRng};

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// The fields after that, by name.
    fn marked(lines: &[(&str, &str)], made: bool) -> (Option<String>, Vec<String>) {
        let mut fields: Fields = lines.iter().copied().collect();
        mark(&mut fields, made, &mut SmallRng::seed_from_u64(1));
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        assert!(fields.get_all(PARENT).count() <= 1);
        (fields.get(PARENT).map(text), fields.get_all(STATE).map(text).collect())
    }

    #[test]
    fn a_valid_parent_goes_on_with_a_new_id() {
        for (given, flags) in [
            (VALID.to_owned(), "01"),
            (VALID.replace("-01", "-00"), "00"),
            // Flags that are not known are zeroes.
            (VALID.replace("-01", "-ff"), "01"),
            (VALID.replace("-01", "-02"), "00"),
            (VALID.replacen("00", "cc", 1), "01"),
            (VALID.replacen("00", "01", 1) + "-what-will-come", "01"),
        ] {
            let (parent, state) = marked(&[("TraceParent", &given), (STATE, "a=1"), (STATE, "b=2")], false);
            let parent = parent.unwrap();
            assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with(&format!("-{flags}")), "{parent}");
            assert!(parent.len() == 55 && !parent.contains("b7ad6b7169203331"), "{parent}");
            assert_eq!(state, ["a=1", "b=2"]);
        }
    }

    #[test]
    fn a_parent_that_cannot_be_read_is_dropped_with_its_state() {
        let cases = [
            String::new(),
            "00".to_owned(),
            VALID[..54].to_owned(),
            format!("{VALID}-x"),
            format!("{VALID}0"),
            VALID.to_uppercase(),
            VALID.replacen("00", "ff", 1),
            VALID.replacen("00", "0g", 1),
            VALID.replacen("00", "01", 1) + ".x",
            VALID.replace(TRACE, &"0".repeat(32)),
            VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            VALID.replace("-01", "-0g"),
            VALID.replace('-', "_"),
            VALID.replace("0af", "é0"),
            format!("{VALID},{VALID}"),
        ];
        for given in &cases {
            let lines = [(PARENT, given.as_str()), (STATE, "a=1")];
            assert_eq!(marked(&lines, false), (None, Vec::new()), "{given}");
            let (parent, state) = marked(&lines, true);
            let parent = parent.unwrap();
            assert!(
                !parent.contains(TRACE) && parent.len() == 55 && parent.ends_with("-01") && state.is_empty(),
                "{given}"
            );
        }
        let twice = [(PARENT, VALID), (PARENT, VALID)];
        assert_eq!(marked(&twice, false), (None, Vec::new()));
        assert_eq!(marked(&[(STATE, "a=1")], false), (None, Vec::new()));
        assert!(marked(&[], true).0.is_some());
    }

    #[test]
    fn a_state_that_cannot_be_read_is_dropped_alone() {
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        let long = "v".repeat(257);
        for (state, goes) in [
            ("a=1", true),
            ("", true),
            ("a=1, ,b=2 ,", true),
            ("1tenant@system=x y", true),
            ("a_-*/=~!", true),
            (&*many(32), true),
            (&*many(33), false),
            ("a=1,a=2", false),
            ("a", false),
            ("=1", false),
            ("A=1", false),
            ("1a=1", false),
            ("a=", false),
            ("a=b=c", false),
            ("a@b@c=1", false),
            ("a@1b=1", false),
            ("a=\u{e9}", false),
            (&*format!("a={long}"), false),
            (&*format!("a={}", &long[1..]), true),
        ] {
            let (parent, written) = marked(&[(PARENT, VALID), (STATE, state)], false);
            assert!(parent.is_some());
            assert_eq!(written.len(), usize::from(goes), "{state}");
        }
    }
}
