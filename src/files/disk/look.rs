//! Looks at a place of the directory: a file with its neighbours, an index, a listing, or nothing.

use super::{
    super::{
        encoding::Coding,
        found::Found,
        kind::Kind,
        listing::{Directory, Entry, Listing, MAX_ENTRIES},
        path::Place,
        root::{Inside, NoFile, OnDisk, Opened},
        version::{Content, Facts, Source, Told, Version, time},
    },
    Refusal, Reply, Shared,
};
use crate::{buf::Readable, cache::Pattern, http::Status, net::clock, time::Now};
use nix::{
    dir::Dir,
    fcntl::AtFlags,
    sys::stat::{SFlag, fstatat},
};
use std::{
    ffi::OsStr,
    fs::Metadata,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// The file of a directory that is shown in its place.
const INDEX: &str = "index.html";

/// The page of the whole site for what is not there.
pub(super) const MISSING: &str = "404.html";

/// Files up to this many bytes are read when they are looked at: sent with their heads, from memory, they cost one system call.
const SMALL: u64 = 16 * 1024;

/// How often a small file is read again that was changed meanwhile.
const TRIES: u32 = 3;

/// `*.css=max-age=3600`: the files of paths like this have this `Cache-Control`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pattern: Pattern,
    value: String,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HINT: &str = "write PATTERN=VALUE, as in '*.css=max-age=3600' or '/assets/*=max-age=31536000, immutable'";
        let (pattern, value) = text.split_once('=').ok_or(HINT)?;
        let value = value.trim();
        if value.is_empty() || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(format!("'{value}' is no value of Cache-Control: {HINT}"));
        }
        Ok(Self { pattern: pattern.parse()?, value: value.to_owned() })
    }
}

impl Shared {
    pub(super) fn look(&self, place: Place, listing: Option<Listing>) -> Reply {
        let inside = match self.root.enter() {
            Ok(inside) => inside,
            Err(error) => return refused(&place, error),
        };
        match inside.open(place.as_path()) {
            Ok(Opened::File(..)) if place.is_directory() => self.missing(),
            Ok(Opened::File(file, metadata)) => self.file(&inside, place.as_path(), &place.to_url(), file, &metadata),
            Ok(Opened::Directory(_)) if !place.is_directory() => Reply::NeedsSlash(place),
            Ok(Opened::Directory(directory)) => {
                let index = place.as_path().join(INDEX);
                match (inside.open(&index), listing) {
                    (Ok(Opened::File(file, metadata)), _) => {
                        self.file(&inside, &index, &(place.to_url() + INDEX), file, &metadata)
                    }
                    (Err(NoFile::Forbidden), _) => Reply::Refused(Refusal::Forbidden),
                    (_, Some(listing)) => self.list(&inside, place, directory, listing),
                    (_, None) => self.missing(),
                }
            }
            Err(NoFile::Missing) => self.missing(),
            Err(error) => refused(&place, error),
        }
    }

    /// The reply where there is nothing.
    pub(super) fn missing(&self) -> Reply {
        let page = self.root.enter().and_then(|inside| inside.open(Path::new(MISSING)));
        let Ok(Opened::File(file, metadata)) = page else { return Reply::Missing(None) };
        let told = Told {
            status: Status::NOT_FOUND,
            content_type: &Kind::of(MISSING.as_bytes()).content_type(),
            cache_control: Some("no-cache"),
            varies: false,
        };
        let looked = clock::now();
        let Ok((content, facts)) = content(file, &metadata) else { return Reply::Missing(None) };
        let page = Version::new(content, &facts, looked.wall, Coding::Identity, Source::File, told);
        Reply::Missing(Some(Arc::new(Found::new(page, [None, None, None], false, facts, looked))))
    }

    /// A file that is there, at `path` below the directory.
    fn file(&self, inside: &Inside, path: &Path, url: &str, file: OnDisk, metadata: &Metadata) -> Reply {
        let kind = Kind::of(path.as_os_str().as_encoded_bytes());
        let looked = clock::now();
        let (content, facts) = match content(file, metadata) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a file cannot be read");
                return Reply::Refused(Refusal::Broken);
            }
        };
        let neighbours = Coding::ENCODED.map(|coding| neighbour(inside, path, coding, &facts));
        let packs = kind.is_compressible() && (SHORTEST..=self.config.pack).contains(&facts.length);
        let told = Told {
            status: Status::OK,
            content_type: &kind.content_type(),
            cache_control: self.config.rules.iter().find(|rule| rule.pattern.matches(url)).map(|rule| &*rule.value),
            varies: packs || neighbours.iter().any(Option::is_some),
        };
        let version = |content, facts: &Facts, looked: Now, coding| {
            Version::new(content, facts, looked.wall, coding, Source::File, told)
        };
        let mut codings = Coding::ENCODED.into_iter();
        let encoded = neighbours.map(|neighbour| {
            let coding = codings.next().unwrap_or(Coding::Identity);
            neighbour.map(|(content, facts)| version(content, &facts, looked, coding))
        });
        let plain = version(content, &facts, looked, Coding::Identity);
        Reply::Found(Arc::new(Found::new(plain, encoded, packs, facts, looked)))
    }

    fn list(&self, inside: &Inside, place: Place, directory: OwnedFd, listing: Listing) -> Reply {
        match entries(inside, &place, directory) {
            Ok((entries, is_cut)) => {
                let written = listing.write(Directory { place, entries, is_cut });
                match self.budget.hold(written) {
                    Some(content) => Reply::Listing(listing.form, content),
                    None => Reply::Refused(Refusal::Busy),
                }
            }
            Err(error) => match error.into() {
                NoFile::Missing => self.missing(),
                error => refused(&place, error),
            },
        }
    }
}

/// The same file in this coding, if someone has put it there and it is not older.
fn neighbour(inside: &Inside, path: &Path, coding: Coding, of: &Facts) -> Option<(Content, Facts)> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(coding.suffix());
    let Ok(Opened::File(file, metadata)) = inside.open(&PathBuf::from(beside)) else { return None };
    let (content, facts) = content(file, &metadata).ok()?;
    (facts.modified >= of.modified).then_some((content, facts))
}

/// The names of a directory behind which there is something to be served, and whether there are more.
fn entries(inside: &Inside, place: &Place, directory: OwnedFd) -> nix::Result<(Vec<Entry>, bool)> {
    let mut directory = Dir::from_fd(directory)?;
    let (mut names, mut is_cut) = (Vec::new(), false);
    for entry in directory.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name.starts_with(b".") {
            continue;
        }
        is_cut = names.len() == MAX_ENTRIES;
        if is_cut {
            break;
        }
        names.push(name);
    }
    Ok((names.into_iter().filter_map(|name| describe(inside, place, &directory, name)).collect(), is_cut))
}

/// One name of a directory; `None` if there is nothing behind it that is served.
fn describe(inside: &Inside, place: &Place, directory: &Dir, name: Vec<u8>) -> Option<Entry> {
    let status = fstatat(directory, name.as_slice(), AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    let modified = time(status.st_mtime, status.st_mtime_nsec);
    match SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => Some(Entry { name, length: u64::try_from(status.st_size).ok(), modified }),
        SFlag::S_IFDIR => Some(Entry { name, length: None, modified }),
        // Where it leads is for the kernel to say.
        SFlag::S_IFLNK => {
            let path = place.as_path().join(OsStr::from_bytes(&name));
            match inside.open(&path).ok()? {
                Opened::File(_, metadata) => {
                    let facts = Facts::of(&metadata);
                    Some(Entry { name, length: Some(facts.length), modified: facts.modified })
                }
                Opened::Directory(_) => Some(Entry { name, length: None, modified }),
            }
        }
        _ => None,
    }
}

/// Shorter ones fit into one packet with their heads, compressed or not.
const SHORTEST: u64 = 1024;

/// The content of an open file, and what the file system says about it. A small one is read at once.
fn content(file: OnDisk, metadata: &Metadata) -> io::Result<(Content, Facts)> {
    let mut facts = Facts::of(metadata);
    if facts.length <= SMALL {
        for _ in 0..TRIES {
            let content = read(&file, facts.length)?;
            let after = Facts::of(&file.metadata()?);
            if after == facts && content.len() as u64 == facts.length {
                return Ok((Content::Kept(content.into()), facts));
            }
            facts = after;
            if facts.length > SMALL {
                break;
            }
        }
    }
    Ok((Content::File(Arc::new(file)), facts))
}

/// Up to `length` bytes of a file, from its beginning.
pub(super) fn read(file: &dyn Readable, length: u64) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < content.len() {
        match file.read_at(&mut content[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(filled);
    Ok(content)
}

fn refused(place: &Place, error: NoFile) -> Reply {
    Reply::Refused(match error {
        NoFile::Missing => return Reply::Missing(None),
        NoFile::Forbidden => Refusal::Forbidden,
        NoFile::Busy => Refusal::Busy,
        NoFile::Broken(errno) => {
            tracing::warn!(?place, %errno, "the file system has failed");
            Refusal::Broken
        }
    })
}
