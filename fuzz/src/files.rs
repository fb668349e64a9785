//! A client of the file server, whole and in pieces: it is told the same, no question leads out of the directory, and no part is
//! longer than its file.

use super::pieces::{MOST, pieces, tight};
use bytes::Bytes;
use socket_patterns::{
    buf::Readable,
    files::{
        Coding, Config, Content, Directory, Done, Entry, Facts, FileSession, Files, Found, Kept, Question, Refusal,
        Reply, Shared, Source, Told, Version,
    },
    http::Status,
    session::{CloseReason, Session as _, Wants},
    time::{Instant, Now},
};
use std::{
    io,
    path::Component,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Bytes of each open file.
const LENGTH: u64 = 100_000;

/// Answers at once, by the first letter of the name that it is asked for.
#[derive(Debug)]
struct Disk(Now);

#[derive(Debug)]
struct Unread;

impl Readable for Unread {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        panic!("no session reads a file")
    }
}

impl Disk {
    fn found(&self, content: Content, length: u64, neighbours: bool, packs: bool) -> Reply {
        let then = self.0.wall - Duration::from_secs(10);
        let facts = Facts { length, modified: then, changed: then, device: 1, inode: 1 };
        let told = Told {
            status: Status::OK,
            content_type: "text/plain",
            cache_control: Some("no-cache"),
            varies: neighbours || packs,
        };
        let version = |content, coding| Version::new(content, &facts, self.0.wall, coding, Source::File, told);
        let neighbour = |coding| neighbours.then(|| version(Content::Kept(Bytes::from_static(b"neighbour")), coding));
        let encoded = Coding::ENCODED.map(neighbour);
        Reply::Found(Arc::new(Found::new(version(content, Coding::Identity), encoded, packs, facts, self.0)))
    }

    fn answer(&self, question: Question) -> Reply {
        let (place, listing) = match question {
            Question::Missing => return Reply::Missing(None),
            Question::Pack { found, .. } => {
                found.set_packed(Some(Bytes::from_static(b"packed")));
                return Reply::Packed(found);
            }
            Question::Look { place, listing } => (place, listing),
        };
        let path = place.as_path();
        assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{place:?} leads out");
        let hidden = place
            .names()
            .enumerate()
            .any(|(depth, name)| name.starts_with(b".") && !(depth == 0 && name == b".well-known"));
        assert!(!hidden, "{place:?} is hidden");
        let url = place.to_url();
        assert!(url.starts_with('/') && !url.starts_with("//"), "{url}");
        assert_eq!(socket_patterns::files::Place::of(&url).as_ref(), Ok(&place), "{url} is another place");
        match (place.name().first(), listing) {
            (None | Some(b'd'), Some(listing)) => {
                let name = place.name().to_vec();
                let entry = Entry { name, length: Some(1), modified: self.0.wall };
                let written = listing.write(Directory { place, entries: vec![entry], is_cut: false });
                Reply::Listing(listing.form, written.into())
            }
            (Some(b'd'), None) => Reply::NeedsSlash(place),
            (Some(b'o'), _) => self.found(Content::File(Arc::new(Unread)), LENGTH, false, false),
            (Some(b'n'), _) => self.found(Content::File(Arc::new(Unread)), LENGTH, true, true),
            (Some(b'k'), _) => self.found(Content::Kept(Bytes::from_static(b"0123456789")), 10, false, true),
            (Some(b'b'), _) => Reply::Refused(Refusal::Busy),
            (Some(b'f'), _) => Reply::Refused(Refusal::Forbidden),
            _ => Reply::Missing(None),
        }
    }
}

impl Files for Disk {
    fn ask(&self, question: Question, done: Done) {
        done(self.answer(question));
    }
}

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let wire = &data[..data.len().min(MOST)];
    // Any instant will do.
    #[allow(clippy::disallowed_methods)]
    let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000) };
    let whole = hear([wire], now);
    assert_eq!(hear(pieces(wire), now), whole, "in pieces");
}

/// The client's end of the conversation, and the reason of its end.
fn hear<'w>(wire: impl IntoIterator<Item = &'w [u8]>, now: Now) -> (Vec<u8>, Wants) {
    let config = Config { limits: tight(), ..Config::default() };
    let kept = Arc::new(Kept::new(Duration::from_secs(1)));
    let shared = Shared { config, files: Arc::new(Disk(now)), kept };
    let mut session = FileSession::new(Arc::new(shared), None, now);
    let mut said = Vec::new();
    for piece in wire {
        session.receive(piece, now);
        drain(&mut session, &mut said, now);
        if matches!(session.wants(), Wants::Close(_)) {
            break;
        }
        assert_eq!(session.wants(), Wants::Input, "everything is answered and sent");
    }
    session.receive_end(now);
    drain(&mut session, &mut said, now);
    assert!(matches!(session.wants(), Wants::Close(_)), "it goes on behind the end");
    let Wants::Close(CloseReason::Protocol(_)) = session.wants() else { return (said, session.wants()) };
    // Input may break several rules, and which one is seen first depends on how much of it is here.
    let last = said.windows(9).rposition(|text| text == b"HTTP/1.1 ").unwrap_or(0);
    said.truncate(last);
    (said, Wants::Close(CloseReason::Protocol("any")))
}

/// As a driver: output, then a part of a file, then output again; called when a reply is there.
fn drain(session: &mut FileSession<Disk>, said: &mut Vec<u8>, now: Now) {
    // Each round answers a request at least.
    for _ in 0..=MOST {
        session.woken(now);
        while let Some(piece) = session.output().pop() {
            said.extend_from_slice(&piece);
        }
        if let Some(part) = session.file() {
            assert!(part.length > 0 && part.at + part.length <= LENGTH, "{part:?} is longer than its file");
            said.extend_from_slice(format!("<{}+{}>", part.at, part.length).as_bytes());
        } else if session.wants() != Wants::Flush {
            return;
        }
    }
    panic!("a request is never answered");
}
