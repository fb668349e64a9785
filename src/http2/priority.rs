//! How urgent a response is (RFC 9218): said by the client in a field of its request, or in a frame.
//!
//! The scheme of RFC 7540, a tree of weights, is read and ignored (RFC 9113 §5.3.2).

/// The urgency of a response about which nothing was said.
const USUAL: u8 = 3;

/// The least urgent.
pub(super) const LEAST: u8 = 7;

/// The priority of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority {
    /// 0 goes first, 7 last.
    pub urgency: u8,
    /// Whether the client can use a part of it. `None`: it did not say anything about this response.
    pub incremental: Option<bool>,
}

impl Default for Priority {
    fn default() -> Self {
        Self { urgency: USUAL, incremental: None }
    }
}

impl Priority {
    /// Reads the value of a `Priority` field, or of a PRIORITY_UPDATE frame: a dictionary of structured fields (RFC 9218 §4). Members that are
    /// unknown, or of another type or range than they should have, are ignored.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        let mut priority = Self { incremental: Some(false), ..Self::default() };
        for member in value.split(|byte| *byte == b',') {
            let member = member.split(|byte| *byte == b';').next().unwrap_or_default();
            match member.trim_ascii() {
                [b'u', b'=', urgency @ b'0'..=b'7'] => priority.urgency = urgency - b'0',
                b"i" | b"i=?1" => priority.incremental = Some(true),
                b"i=?0" => priority.incremental = Some(false),
                _ => {}
            }
        }
        priority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_the_dictionary() {
        for (value, urgency, incremental) in [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=7, i", 7, true),
            ("i,u=1", 1, true),
            ("i=?1", 3, true),
            ("i=?0;x=1", 3, false),
            ("u=5;a=b, i;a", 5, true),
            ("u=2, u=4", 4, false),
            ("u=8", 3, false),
            ("u=-1", 3, false),
            ("u=1.0", 3, false),
            ("u=\"1\"", 3, false),
            ("u", 3, false),
            ("i=1", 3, false),
            ("U=1, I", 3, false),
            ("x=y, u=1, z", 1, false),
            ("\x00\u{ff}, u=1", 1, false),
        ] {
            let read = Priority::of(value.as_bytes());
            assert_eq!(read, Priority { urgency, incremental: Some(incremental) }, "{value:?}");
        }
    }
}
