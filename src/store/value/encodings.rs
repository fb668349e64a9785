//! The sizes up to which a collection counts as small, and the parameters that set them.
//!
//! Nothing here is kept in another form for it, but clients see the difference: OBJECT ENCODING names it, and a scan tells a small one at once.

/// Integers of a set that are kept in order, at most, whatever the parameter says: each new one moves those behind it.
pub(super) const MOST_INTS: usize = 512;

/// A parameter: its name, the name that it had before 7.0, and its lowest and highest value.
struct Parameter {
    name: &'static str,
    former: Option<&'static str>,
    is_memory: bool,
    from: i64,
    to: i64,
}

const fn parameter(name: &'static str, former: &'static str, is_memory: bool) -> Parameter {
    Parameter { name, former: Some(former), is_memory, from: 0, to: i64::MAX }
}

/// Those of lists change nothing: a list here is no chain of packs, so there is no pack that has a size or is compressed.
const PARAMETERS: [Parameter; 7] = [
    parameter("hash-max-listpack-entries", "hash-max-ziplist-entries", false),
    parameter("hash-max-listpack-value", "hash-max-ziplist-value", true),
    parameter("zset-max-listpack-entries", "zset-max-ziplist-entries", false),
    parameter("zset-max-listpack-value", "zset-max-ziplist-value", true),
    Parameter { name: "set-max-intset-entries", former: None, is_memory: false, from: 0, to: i64::MAX },
    Parameter {
        name: "list-max-listpack-size",
        former: Some("list-max-ziplist-size"),
        is_memory: false,
        from: i32::MIN as i64,
        to: i32::MAX as i64,
    },
    Parameter { name: "list-compress-depth", former: None, is_memory: false, from: 0, to: i32::MAX as i64 },
];

/// Their values, in the same order. The first ones are the original's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encodings([i64; PARAMETERS.len()]);

impl Default for Encodings {
    fn default() -> Self {
        Self([512, 64, 128, 64, 512, -2, 0])
    }
}

fn find(name: &str) -> Option<usize> {
    PARAMETERS.iter().position(|parameter| parameter.name == name || parameter.former == Some(name))
}

impl Encodings {
    /// All names, former ones as well.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        PARAMETERS.iter().flat_map(|parameter| [Some(parameter.name), parameter.former]).flatten()
    }

    pub(crate) fn value(&self, name: &str) -> Option<i64> {
        find(name).map(|index| self.0[index])
    }

    /// Sets one. `memory` reads a size.
    ///
    /// # Errors
    ///
    /// The rule that the value breaks.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: &str,
        memory: fn(&str) -> Option<usize>,
    ) -> Option<Result<(), String>> {
        let index = find(name)?;
        let Parameter { is_memory, from, to, .. } = PARAMETERS[index];
        let read = match is_memory {
            // One that is too large is in no range.
            true => {
                memory(value).map(|bytes| i64::try_from(bytes).unwrap_or(-1)).ok_or("argument must be a memory value")
            }
            false => value.parse().map_err(|_| "argument couldn't be parsed into an integer"),
        };
        Some(match read {
            Ok(value) if (from..=to).contains(&value) => {
                self.0[index] = value;
                Ok(())
            }
            Ok(_) => Err(format!("argument must be between {from} and {to} inclusive")),
            Err(why) => Err(why.to_owned()),
        })
    }

    fn at(&self, index: usize) -> usize {
        usize::try_from(self.0[index]).unwrap_or(0)
    }

    /// Whether a hash of so many fields, and with a new one of this length, is small.
    pub(super) fn is_small_hash(&self, fields: usize, longest: usize) -> bool {
        fields <= self.at(0) && longest <= self.at(1)
    }

    pub(super) fn is_small_zset(&self, members: usize, longest: usize) -> bool {
        members <= self.at(2) && longest <= self.at(3)
    }

    /// Whether a set of so many integers is kept in order.
    pub(super) fn is_small_set(&self, ints: usize) -> bool {
        ints <= self.at(4).min(MOST_INTS)
    }
}
