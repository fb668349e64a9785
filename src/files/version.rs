//! Tells a version of a file apart from others, and the head that it is sent with (RFC 9110 §8.8).
//!
//! ```text
//! ETag: "3e8-18c5a0b1f2d3e4f5-9a3c51e07b24d688"      length, time of the last change, and a digest of device, inode and status change
//! ETag: W/"3e8-18c5a0b1f2d3e4f5-9a3c51e07b24d688-0"  the same for two seconds after a change
//! ```
//!
//! A strong tag promises: same tag, same bytes. The kernel stamps files by a clock that moves in steps (4 ms, on some file systems one or
//! two seconds). Two changes within one step leave the same stamps, perhaps the same length, and other bytes. So a stamp tells versions
//! apart only if it is older than a step: then the next change gets a later one. Until then ([`SETTLED`]) the tag is weak and another one
//! than the strong tag that follows, so that a client that has the doubtful version asks for it once more; and there is no
//! `Last-Modified`, which would be the same date for all changes of one second.
//!
//! The time of the last change can be set back by programs (`touch`, `cp -p`, `tar`), that of the status change (ctime) cannot. So both are in the
//! tag. Inode and device are in it because a file may be renamed over another one; as a digest, because they are nobody's business.

use super::encoding::Coding;
use crate::{
    buf::Readable,
    cache::{Extent, Representation},
    http::{Fields, ResponseHead, Status, http_date},
};
use bytes::Bytes;
use std::{
    fs::Metadata,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::MetadataExt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How old the last change has to be, so that another one would have another time: as long as the longest step of any file system (FAT).
pub(super) const SETTLED: Duration = Duration::from_secs(2);

/// The file system's word about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facts {
    /// In bytes.
    pub length: u64,
    /// When its content changed last, as far as the file says (mtime).
    pub modified: SystemTime,
    /// When its content or its status changed last, as the kernel says (ctime).
    pub changed: SystemTime,
    /// Which file system.
    pub device: u64,
    /// Which file of it.
    pub inode: u64,
}

impl Facts {
    /// The facts of an open file.
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: time(metadata.mtime(), metadata.mtime_nsec()),
            changed: time(metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// The stamp of an open file that has these.
    pub(super) fn stamp(&self) -> u64 {
        stamp(self.length, self.modified, self.changed)
    }

    /// Whether a later change would show, by the time when this was read.
    #[must_use]
    pub fn is_settled(&self, looked_at: SystemTime) -> bool {
        looked_at.duration_since(self.modified.max(self.changed)).is_ok_and(|age| age >= SETTLED)
    }

    /// The entity tag of the file in one coding.
    fn tag(&self, coding: Coding, is_settled: bool) -> String {
        let (length, modified) = (self.length, nanoseconds(self.modified));
        let mut digest = DefaultHasher::new();
        (self.device, self.inode, nanoseconds(self.changed)).hash(&mut digest);
        let suffix = coding.name().map(|name| format!("-{name}")).unwrap_or_default();
        let (weak, doubt) = if is_settled { ("", "") } else { ("W/", "-0") };
        format!("{weak}\"{length:x}-{modified:x}-{:x}{suffix}{doubt}\"", digest.finish())
    }
}

/// A number that is another one after each change of a file: of its length, its content or its status.
pub(super) fn stamp(length: u64, modified: SystemTime, changed: SystemTime) -> u64 {
    let mut digest = DefaultHasher::new();
    (length, modified, changed).hash(&mut digest);
    digest.finish()
}

/// Seconds since 1970, perhaps negative, and nanoseconds.
pub(super) fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base =
        if seconds < 0 { SystemTime::UNIX_EPOCH.checked_sub(whole) } else { SystemTime::UNIX_EPOCH.checked_add(whole) };
    let part = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    base.and_then(|base| base.checked_add(part)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Since 1970; times before count as that.
fn nanoseconds(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub enum Content {
    /// Here: those of a small file, and those that were made.
    Kept(Bytes),
    /// In an open file.
    File(Arc<dyn Readable>),
}

/// One representation of a file, ready to be sent.
#[derive(Debug)]
pub struct Version {
    pub(super) content: Content,
    /// The status and the fields that do not depend on a request.
    pub(super) head: ResponseHead,
    pub(super) extent: Extent,
    pub(super) looked_at: SystemTime,
    stamp: u64,
}

/// The fields of a version that do not tell it apart.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// 200, or 404 for the page that says so.
    pub status: Status,
    /// `Content-Type`.
    pub content_type: &'a str,
    /// `Cache-Control`, where there is a rule for the path.
    pub cache_control: Option<&'a str>,
    /// Another request for the same path may get another coding.
    pub varies: bool,
}

/// How content that was made from a file is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is the file's.
    File,
    /// It was compressed here. Another release of the same library may write other bytes for the same content, so the tag is weak; and
    /// parts are not offered.
    Made,
}

impl Version {
    /// A version of a file with these facts, as they were at that time.
    #[must_use]
    pub fn new(
        content: Content,
        facts: &Facts,
        looked_at: SystemTime,
        coding: Coding,
        source: Source,
        told: Told<'_>,
    ) -> Self {
        let length = match &content {
            Content::Kept(bytes) => bytes.len() as u64,
            Content::File(_) => facts.length,
        };
        let mut head = ResponseHead::new(told.status);
        let fields = &mut head.fields;
        add(fields, "Content-Type", told.content_type);
        if let Some(name) = coding.name() {
            add(fields, "Content-Encoding", name);
        }
        if told.varies {
            add(fields, "Vary", "Accept-Encoding");
        }
        if told.status == Status::OK {
            let is_settled = facts.is_settled(looked_at);
            if is_settled {
                add(fields, "Last-Modified", http_date(facts.modified));
            }
            let tag = facts.tag(coding, is_settled);
            let weak = if source == Source::Made && is_settled { "W/" } else { "" };
            add(fields, "ETag", format!("{weak}{tag}"));
            if source == Source::File {
                add(fields, "Accept-Ranges", "bytes");
            }
        }
        if let Some(rule) = told.cache_control {
            add(fields, "Cache-Control", rule);
        }
        add(fields, "X-Content-Type-Options", "nosniff");
        fields.shrink();
        Self { content, head, extent: Extent::Whole(length), looked_at, stamp: facts.stamp() }
    }

    /// As conditions and ranges see it.
    pub(super) fn representation(&self) -> Representation<'_> {
        let looked_at = self.looked_at;
        Representation { head: &self.head, extent: &self.extent, date: looked_at, looked_at: Some(looked_at) }
    }

    /// Whether parts of it are offered.
    pub(super) fn has_parts(&self) -> bool {
        self.head.fields.contains("accept-ranges")
    }

    /// Whether its bytes are still those that it was made of. Those in memory are.
    pub(super) fn is_current(&self) -> bool {
        match &self.content {
            Content::Kept(_) => true,
            Content::File(file) => file.stamp() == Some(self.stamp),
        }
    }

    /// Whether it keeps a descriptor open.
    pub(super) fn has_descriptor(&self) -> bool {
        matches!(self.content, Content::File(_))
    }

    /// How many bytes of memory its content takes.
    pub(super) fn kept(&self) -> usize {
        match &self.content {
            Content::Kept(bytes) => bytes.len(),
            Content::File(_) => 0,
        }
    }
}

/// Appends a line in the form in which it is sent: lines of that form are copied together.
fn add(fields: &mut Fields, name: &str, value: impl AsRef<[u8]>) {
    let value = value.as_ref();
    if fields.append(name.as_bytes(), value).is_err() {
        // Only a rule of the command line could have such a value, and it is checked there.
        fields.push(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::validators::EntityTag;

    /// Seconds since 1970.
    const NOW: f64 = 1_000_000_000.0;

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(NOW + seconds)
    }

    fn facts() -> Facts {
        Facts { length: 1000, modified: at(0.0), changed: at(0.0), device: 1, inode: 2 }
    }

    fn version(facts: &Facts, looked_at: SystemTime, coding: Coding, source: Source) -> Version {
        let told =
            Told { status: Status::OK, content_type: "text/plain", cache_control: Some("max-age=9"), varies: true };
        Version::new(Content::Kept(Bytes::from(vec![b'x'; 1000])), facts, looked_at, coding, source, told)
    }

    fn tag(version: &Version) -> EntityTag<'_> {
        EntityTag::of(&version.head.fields).expect("each version has a tag")
    }

    #[test]
    fn all_that_may_change_changes_the_tag() {
        let base = version(&facts(), at(9.0), Coding::Identity, Source::File);
        assert!(!tag(&base).is_weak());
        for other in [
            Facts { length: 1001, ..facts() },
            Facts { modified: at(-0.000_001), ..facts() },
            Facts { changed: at(0.000_001), ..facts() },
            Facts { device: 2, ..facts() },
            Facts { inode: 3, ..facts() },
        ] {
            let other = version(&other, at(9.0), Coding::Identity, Source::File);
            assert!(!tag(&other).is_weakly(tag(&base)), "{:?} {:?}", tag(&other), tag(&base));
        }
        for coding in Coding::ENCODED {
            assert!(!tag(&version(&facts(), at(9.0), coding, Source::File)).is_weakly(tag(&base)), "{coding:?}");
        }
        let again = version(&facts(), at(99.0), Coding::Identity, Source::File);
        assert!(tag(&again).is_strongly(tag(&base)));
    }

    /// RFC 9110 §8.8.1: within one step of the clock, another change could leave the same stamps.
    #[test]
    fn a_file_that_was_just_changed_has_a_weak_tag_and_no_date() {
        let settled = version(&facts(), at(2.0), Coding::Identity, Source::File);
        assert!(!tag(&settled).is_weak() && settled.head.fields.contains("last-modified"));
        let doubtful = version(&facts(), at(1.999), Coding::Identity, Source::File);
        assert!(tag(&doubtful).is_weak() && !doubtful.head.fields.contains("last-modified"));
        assert!(!tag(&doubtful).is_weakly(tag(&settled)), "the client has to ask once more");
        // The stamp of the content was set back, or lies in the future.
        for facts in
            [Facts { modified: at(-99.0), changed: at(0.0), ..facts() }, Facts { modified: at(99.0), ..facts() }]
        {
            assert!(tag(&version(&facts, at(1.0), Coding::Identity, Source::File)).is_weak());
        }
    }

    #[test]
    fn content_that_was_made_is_told_apart_weakly_and_has_no_parts() {
        let made = version(&facts(), at(9.0), Coding::Gzip, Source::Made);
        let there = version(&facts(), at(9.0), Coding::Gzip, Source::File);
        assert!(tag(&made).is_weak() && !made.head.fields.contains("accept-ranges"));
        assert!(!tag(&there).is_weak() && there.head.fields.contains("accept-ranges"));
        assert!(tag(&version(&facts(), at(1.0), Coding::Gzip, Source::Made)).is_weak());
    }

    #[test]
    fn the_fields_of_a_version() {
        let mut lines = Vec::new();
        version(&facts(), at(9.0), Coding::Gzip, Source::File).head.fields.write_to(&mut lines);
        let lines = String::from_utf8(lines).unwrap();
        let names: Vec<&str> = lines.lines().filter_map(|line| line.split_once(": ").map(|line| line.0)).collect();
        let expected = [
            "Content-Type",
            "Content-Encoding",
            "Vary",
            "Last-Modified",
            "ETag",
            "Accept-Ranges",
            "Cache-Control",
            "X-Content-Type-Options",
        ];
        assert_eq!(names, expected);
        assert!(lines.contains("Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\n"), "{lines}");
    }
}
