//! A file that was found: as it is, and in the codings that there are of it; and which of these a request gets.

use super::{
    encoding::{Coding, Weights},
    version::{Content, Facts, Source, Told, Version},
};
use crate::{
    http::{Method, RequestHead, Status},
    time::Now,
};
use bytes::Bytes;
use std::sync::OnceLock;

/// A file and its precompressed neighbours, as they were when they were looked at.
#[derive(Debug)]
pub struct Found {
    plain: Version,
    /// In the order of [`Coding::ENCODED`].
    encoded: [Option<Version>; 3],
    /// Whether it may be compressed here, and once it was, what came of it: nothing if that was not shorter.
    packs: bool,
    packed: OnceLock<Option<Version>>,
    facts: Facts,
    looked: Now,
}

/// The version of a file that a request gets.
#[derive(Debug)]
pub(super) enum Chosen<'f> {
    /// This one.
    Version(&'f Version),
    /// One that has to be made first.
    Pack,
    /// Only one that there is no time to make: 503 (Service Unavailable).
    Busy,
    /// None: 406 (Not Acceptable).
    None,
}

impl Found {
    /// A file with its neighbours. `packs`: it may be compressed here.
    #[must_use]
    pub fn new(plain: Version, encoded: [Option<Version>; 3], packs: bool, facts: Facts, looked: Now) -> Self {
        Self { plain, encoded, packs, packed: OnceLock::new(), facts, looked }
    }

    /// The file system's word about the file.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The file as it is.
    #[must_use]
    pub fn plain(&self) -> &Version {
        &self.plain
    }

    #[cfg(test)]
    pub(super) fn into_plain(self) -> Version {
        self.plain
    }

    /// When it was looked at.
    #[must_use]
    pub fn looked(&self) -> Now {
        self.looked
    }

    /// Whether it is worth being kept for later requests: a later change would show in its tag.
    pub(super) fn is_settled(&self) -> bool {
        self.facts.is_settled(self.looked.wall)
    }

    /// The version that `request` gets. `may_pack`: there is time to make one.
    pub(super) fn choose(&self, request: &RequestHead, may_pack: bool) -> Chosen<'_> {
        // The page for what is not there has one version, and every client gets it.
        if self.plain.head.status != Status::OK {
            return Chosen::Version(&self.plain);
        }
        let packed = self.packed.get();
        let packs = self.packs && !matches!(packed, Some(None));
        let is_ready = packs && (may_pack || packed.is_some());
        // Bytes are counted in the file, or in a neighbour: what is made here has no parts.
        let wants_part = request.method == Method::Get && request.fields.contains("range");
        let weights = Weights::of(&request.fields);
        let choose = |packs: bool| {
            let [brotli, zstd, gzip] = self.encoded.each_ref().map(Option::is_some);
            weights.choose([brotli, zstd, gzip || packs])
        };
        // A client that accepts nothing else gets all of what is made: a range may be ignored (RFC 9110 §14.2).
        let Some(coding) = choose(is_ready && !wants_part).or_else(|| choose(is_ready)) else {
            return if choose(packs).is_some() { Chosen::Busy } else { Chosen::None };
        };
        let there = Coding::ENCODED.iter().position(|one| *one == coding).and_then(|at| self.encoded[at].as_ref());
        match (coding, there, packed) {
            (Coding::Identity, ..) => Chosen::Version(&self.plain),
            (_, Some(version), _) | (_, None, Some(Some(version))) => Chosen::Version(version),
            (_, None, _) => Chosen::Pack,
        }
    }

    /// The compressed content is there. `None`: it is not shorter, or could not be made. The first call counts.
    pub fn set_packed(&self, bytes: Option<Bytes>) {
        let field = |name| self.plain.head.fields.get(name).and_then(|value| std::str::from_utf8(value).ok());
        let told = Told {
            status: Status::OK,
            content_type: field("content-type").unwrap_or_default(),
            cache_control: field("cache-control"),
            varies: true,
        };
        let version =
            |bytes| Version::new(Content::Kept(bytes), &self.facts, self.looked.wall, Coding::Gzip, Source::Made, told);
        // A second thread may have made the same.
        let _ = self.packed.set(bytes.map(version));
    }

    /// Whether no version of it that is sent from a descriptor was overwritten since.
    pub(super) fn is_current(&self) -> bool {
        self.versions().all(Version::is_current)
    }

    fn versions(&self) -> impl Iterator<Item = &Version> {
        let packed = self.packed.get().and_then(Option::as_ref);
        std::iter::once(&self.plain).chain(self.encoded.iter().flatten()).chain(packed)
    }

    /// How many descriptors it keeps open.
    pub(super) fn descriptors(&self) -> usize {
        self.versions().filter(|version| version.has_descriptor()).count()
    }

    /// How many bytes of content it keeps in memory.
    pub(super) fn kept(&self) -> usize {
        self.versions().map(Version::kept).sum()
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::time::Instant;
    use std::time::SystemTime;

    pub(in super::super) const CONTENT: &[u8] = b"0123456789abcdefghij";

    /// Any instant, and a calendar time long after the files' changes.
    #[allow(clippy::disallowed_methods)]
    pub(in super::super) fn now() -> Now {
        Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000) }
    }

    pub(in super::super) fn facts(now: Now) -> Facts {
        let then = now.wall - std::time::Duration::from_secs(100);
        Facts { length: CONTENT.len() as u64, modified: then, changed: then, device: 1, inode: 2 }
    }

    /// A file of twenty bytes, with these neighbours.
    pub(in super::super) fn found(neighbours: &[Coding], packs: bool, now: Now) -> Found {
        let facts = facts(now);
        let told = Told {
            status: Status::OK,
            content_type: "text/plain; charset=utf-8",
            cache_control: None,
            varies: packs || !neighbours.is_empty(),
        };
        let version =
            |content: Bytes, coding| Version::new(Content::Kept(content), &facts, now.wall, coding, Source::File, told);
        let neighbour = |coding: Coding| {
            let content = format!("in {}", coding.name().unwrap_or_default());
            neighbours.contains(&coding).then(|| version(content.into(), coding))
        };
        let plain = version(Bytes::from_static(CONTENT), Coding::Identity);
        Found::new(plain, Coding::ENCODED.map(neighbour), packs, facts, now)
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::*, *};
    use Coding::{Brotli, Gzip, Zstd};

    fn request(lines: &[(&str, &str)]) -> RequestHead {
        let mut request = RequestHead::new(Method::Get, "/").unwrap();
        request.fields = lines.iter().copied().collect();
        request
    }

    /// `Some(None)`: has to be made.
    fn chosen(found: &Found, lines: &[(&str, &str)]) -> Option<Option<Coding>> {
        match found.choose(&request(lines), true) {
            Chosen::Version(version) => {
                let name = version.head.fields.get("content-encoding");
                let coding = Coding::ENCODED.into_iter().find(|coding| coding.name().map(str::as_bytes) == name);
                Some(Some(coding.unwrap_or(Coding::Identity)))
            }
            Chosen::Pack => Some(None),
            Chosen::Busy | Chosen::None => None,
        }
    }

    const ALL: (&str, &str) = ("Accept-Encoding", "gzip, br, zstd");
    const ONE: (&str, &str) = ("Accept-Encoding", "gzip");
    const NO_IDENTITY: (&str, &str) = ("Accept-Encoding", "identity;q=0");
    const ONLY_GZIP: (&str, &str) = ("Accept-Encoding", "gzip, identity;q=0");
    const PART: (&str, &str) = ("Range", "bytes=0-1");

    #[test]
    fn neighbours_come_before_what_has_to_be_made() {
        let now = now();
        let there = Some(Some(Coding::Identity));
        for (neighbours, packs, lines, expected) in [
            (&[][..], false, &[ALL][..], there),
            (&[], true, &[], there),
            (&[], true, &[ALL], Some(None)),
            (&[Brotli, Zstd, Gzip], true, &[ALL], Some(Some(Brotli))),
            (&[Brotli, Zstd, Gzip], true, &[ONE], Some(Some(Gzip))),
            (&[Zstd], true, &[ALL], Some(Some(Zstd))),
            (&[Zstd], true, &[ONE], Some(None)),
            (&[Zstd], false, &[ONE], there),
            // Parts are those of a file.
            (&[], true, &[ALL, PART], there),
            (&[Gzip], true, &[ALL, PART], Some(Some(Gzip))),
            (&[], true, &[NO_IDENTITY], None),
            // All of what is made is better than nothing.
            (&[], true, &[ONLY_GZIP, PART], Some(None)),
            (&[Brotli], true, &[ONLY_GZIP, PART], Some(None)),
            (&[Gzip], true, &[ONLY_GZIP, PART], Some(Some(Gzip))),
            (&[], false, &[ONLY_GZIP, PART], None),
        ] {
            assert_eq!(chosen(&found(neighbours, packs, now), lines), expected, "{neighbours:?} {packs} {lines:?}");
        }
        assert!(matches!(found(&[], true, now).choose(&request(&[ALL]), false), Chosen::Version(_)));
        assert!(matches!(found(&[], true, now).choose(&request(&[ONLY_GZIP]), false), Chosen::Busy));
        assert!(matches!(found(&[], false, now).choose(&request(&[ONLY_GZIP]), false), Chosen::None));
    }

    #[test]
    fn content_is_made_once_and_only_if_it_is_shorter() {
        let now = now();
        let longer = found(&[], true, now);
        longer.set_packed(None);
        assert_eq!(chosen(&longer, &[ALL]), Some(Some(Coding::Identity)));
        let shorter = found(&[], true, now);
        shorter.set_packed(Some(Bytes::from_static(b"short")));
        shorter.set_packed(Some(Bytes::from_static(b"later")));
        let Chosen::Version(version) = shorter.choose(&request(&[ONE]), true) else { panic!("it is there") };
        assert!(matches!(&version.content, Content::Kept(bytes) if bytes == "short"));
        assert_eq!((shorter.kept(), shorter.descriptors()), (CONTENT.len() + 5, 0));
        assert_eq!(chosen(&shorter, &[ALL, PART]), Some(Some(Coding::Identity)));
        assert!(matches!(shorter.choose(&request(&[ONLY_GZIP]), false), Chosen::Version(made) if !made.has_parts()));
    }
}
