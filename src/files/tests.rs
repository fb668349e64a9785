//! Sessions with files that are only told of: each request and each reply at the moment that the test chooses.

use super::{
    found::testing::{CONTENT, found, now},
    *,
};
use crate::{
    buf::{FilePart, Readable},
    http::Status,
    session::{CloseReason, Session, Wants},
    time::Now,
};
use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Keeps questions until the test answers them.
#[derive(Default)]
struct Asked(Mutex<Vec<(Question, Done)>>);

impl Files for Asked {
    fn ask(&self, question: Question, done: Done) {
        self.0.lock().unwrap().push((question, done));
    }
}

/// A file of a thousand bytes that is never read: sessions only name parts of it. It has this stamp.
#[derive(Debug)]
struct Unread(Arc<AtomicU64>);

impl Readable for Unread {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        panic!("no session reads a file")
    }

    fn stamp(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed))
    }
}

struct Client {
    session: FileSession<Asked>,
    files: Arc<Asked>,
    now: Now,
}

fn client_of(config: Config) -> Client {
    let (now, files) = (now(), Arc::new(Asked::default()));
    let kept = Arc::new(Kept::new(Duration::from_secs(1)));
    let shared = Shared { config, files: Arc::clone(&files), kept };
    Client { session: FileSession::new(Arc::new(shared), None, now), files, now }
}

fn client() -> Client {
    client_of(Config::default())
}

impl Client {
    fn send(&mut self, text: &str) {
        self.session.receive(text.as_bytes(), self.now);
    }

    fn get(&mut self, path: &str, fields: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    }

    fn question(&self) -> (Question, Done) {
        let mut asked = self.files.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!asked.is_empty(), "nothing was asked");
        asked.remove(0)
    }

    fn reply(&mut self, reply: Reply) {
        self.question().1(reply);
        self.session.woken(self.now);
    }

    /// All that a driver would send, with `<at+length>` for a part of a file.
    fn sent(&mut self) -> String {
        let mut sent = String::new();
        loop {
            while let Some(piece) = self.session.output().pop() {
                sent.push_str(std::str::from_utf8(&piece).unwrap());
            }
            let Some(FilePart { at, length, .. }) = self.session.file() else { break };
            sent.push_str(&format!("<{at}+{length}>"));
        }
        sent
    }

    fn status(&mut self) -> String {
        self.sent().get(9..12).unwrap_or_default().to_owned()
    }
}

fn kept_file(now: Now) -> Reply {
    Reply::Found(Arc::new(found(&[], false, now)))
}

/// A file that is open, of a thousand bytes.
fn open_file(now: Now) -> Reply {
    changing_file(now, false).0
}

/// The same, and its stamp. `packs`: it is to be compressed.
fn changing_file(now: Now, packs: bool) -> (Reply, Arc<AtomicU64>) {
    let facts = Facts { length: 1000, ..found::testing::facts(now) };
    let stamp = Arc::new(AtomicU64::new(facts.stamp()));
    let content = Content::File(Arc::new(Unread(Arc::clone(&stamp))));
    let told = Told { status: Status::OK, content_type: "text/plain", cache_control: None, varies: false };
    let version = Version::new(content, &facts, now.wall, Coding::Identity, Source::File, told);
    (Reply::Found(Arc::new(Found::new(version, [None, None, None], packs, facts, now))), stamp)
}

#[test]
fn a_file_is_asked_for_and_sent() {
    let mut client = client();
    client.get("/caf%C3%A9.txt?q", "");
    let (question, done) = client.question();
    let Question::Look { place, listing: None } = question else { panic!("{question:?}") };
    assert_eq!(place.to_url(), "/caf%C3%A9.txt");
    assert_eq!((client.sent(), client.session.wants()), (String::new(), Wants::Flush), "nothing is read meanwhile");
    done(open_file(client.now));
    client.session.woken(client.now);
    let sent = client.sent();
    assert!(sent.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nLast-Modified: "), "{sent}");
    assert!(sent.ends_with("\r\n\r\n<0+1000>") && sent.contains("\r\nContent-Length: 1000\r\n"), "{sent}");
    assert_eq!((client.session.answered(), client.session.wants()), (1, Wants::Input));
}

#[test]
fn a_file_that_was_found_a_moment_ago_is_not_asked_for() {
    let mut client = client();
    client.get("/a", "");
    client.reply(kept_file(client.now));
    assert!(client.sent().ends_with("0123456789abcdefghij"));
    client.get("/a", "");
    assert!(client.sent().ends_with("0123456789abcdefghij"));
    // Another spelling of the path is another path here.
    client.get("/%61", "");
    client.reply(kept_file(client.now));
    client.now = client.now.after(Duration::from_secs(1));
    client.get("/a", "");
    drop(client.question());
}

/// The tag of a file that is open must be that of the bytes that are sent.
#[test]
fn an_open_file_that_was_overwritten_is_looked_at_again() {
    let mut client = client();
    let (reply, stamp) = changing_file(client.now, false);
    client.get("/a", "");
    client.reply(reply);
    assert!(client.sent().ends_with("<0+1000>"));
    client.get("/a", "Range: bytes=0-1\r\n");
    assert!(client.sent().ends_with("<0+2>"), "it is as it was");
    stamp.fetch_add(1, Ordering::Relaxed);
    client.get("/a", "Range: bytes=0-1\r\n");
    assert_eq!(client.sent(), "");
    client.reply(kept_file(client.now));
    assert!(client.sent().ends_with("01"));
}

/// Compressing takes time, and the old tag would be sent with the new bytes behind it. A file that is always overwritten is compressed once.
#[test]
fn a_file_that_was_overwritten_while_it_was_compressed_is_looked_at_once_more() {
    let mut client = client();
    client.get("/a", "Accept-Encoding: gzip\r\n");
    let (reply, stamp) = changing_file(client.now, true);
    client.reply(reply);
    let (Question::Pack { found, .. }, done) = client.question() else { panic!("it is text") };
    stamp.fetch_add(1, Ordering::Relaxed);
    done(Reply::Packed(found));
    client.session.woken(client.now);
    let (Question::Look { .. }, done) = client.question() else { panic!("it is another file now") };
    done(changing_file(client.now, true).0);
    client.session.woken(client.now);
    let sent = client.sent();
    assert!(sent.ends_with("<0+1000>") && !sent.contains("Content-Encoding"), "{sent}");
}

#[test]
fn requests_behind_each_other_are_answered_in_their_order() {
    let mut client = client();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(&[request("/a"), request("/b"), request("/a")].concat());
    client.reply(open_file(client.now));
    let first = client.sent();
    assert!(first.ends_with("<0+1000>") && first.matches("HTTP/1.1 200").count() == 1, "{first}");
    client.reply(kept_file(client.now));
    let rest = client.sent();
    let (second, third) = (rest.find("0123456789abcdefghij").unwrap(), rest.find("<0+1000>").unwrap());
    assert!(second < third, "{rest}");
    assert_eq!(client.session.answered(), 3);
}

#[test]
fn parts_of_a_file_stand_between_their_heads() {
    let mut client = client();
    client.get("/a", "Range: bytes=0-9, 20-29, -1\r\n");
    client.reply(open_file(client.now));
    let sent = client.sent();
    assert!(sent.starts_with("HTTP/1.1 206 ") && sent.contains("multipart/byteranges; boundary="), "{sent}");
    let places: Vec<_> = ["<0+10>\r\n--", "<20+10>\r\n--", "<999+1>\r\n--"].map(|part| sent.find(part).unwrap()).into();
    assert!(places.is_sorted() && sent.ends_with("--\r\n"), "{sent}");
    let declared: usize = sent.split_once("Content-Length: ").unwrap().1.split_once("\r\n").unwrap().0.parse().unwrap();
    let body = sent.split_once("\r\n\r\n").unwrap().1;
    let marks = ["<0+10>", "<20+10>", "<999+1>"].map(str::len).into_iter().sum::<usize>();
    assert_eq!(declared, body.len() - marks + 21);
    assert_eq!(client.session.answered(), 1);
}

#[test]
fn conditions_and_ranges_of_one_file() {
    let etag = {
        let mut client = client();
        client.get("/a", "");
        client.reply(kept_file(client.now));
        client.sent().split_once("ETag: ").unwrap().1.split_once("\r\n").unwrap().0.to_owned()
    };
    for (fields, status) in [
        ("If-None-Match: \"x\"", "200"),
        ("If-None-Match: *", "304"),
        ("If-None-Match: ETAG", "304"),
        ("If-Match: ETAG", "200"),
        ("If-Match: \"x\"", "412"),
        ("If-Match: \"x\"\r\nIf-None-Match: ETAG", "412"),
        ("If-Match: ETAG\r\nIf-None-Match: ETAG", "304"),
        ("If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT", "304"),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "200"),
        ("If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT", "200"),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "412"),
        ("If-Unmodified-Since: Sun, 06 Nov 2094 08:49:37 GMT", "200"),
        ("Range: bytes=0-0", "206"),
        ("Range: bytes=20-", "416"),
        ("Range: lines=1-2", "200"),
        ("Range: bytes=0-0\r\nIf-Range: ETAG", "206"),
        ("Range: bytes=0-0\r\nIf-Range: \"x\"", "200"),
        ("Range: bytes=0-0\r\nIf-None-Match: ETAG", "304"),
        ("Range: bytes=0-0\r\nIf-Match: \"x\"", "412"),
        ("Accept-Encoding: identity;q=0", "406"),
    ] {
        let mut client = client();
        client.get("/a", &format!("{}\r\n", fields.replace("ETAG", &etag)));
        client.reply(kept_file(client.now));
        let sent = client.sent();
        assert_eq!(&sent[9..12], status, "{fields}: {sent}");
        let has_content = sent.split_once("\r\n\r\n").is_some_and(|(_, content)| !content.is_empty());
        assert_eq!(has_content, !["304", "416"].contains(&status), "{fields}: {sent}");
    }
}

#[test]
fn compressed_content_is_asked_for_once_and_the_request_goes_on() {
    let mut client = client();
    client.get("/a", "Accept-Encoding: gzip\r\n");
    client.reply(Reply::Found(Arc::new(found(&[], true, client.now))));
    let (question, done) = client.question();
    let Question::Pack { found: file, .. } = question else { panic!("{question:?}") };
    file.set_packed(Some(Bytes::from_static(b"short")));
    done(Reply::Packed(file));
    client.session.woken(client.now);
    let sent = client.sent();
    assert!(sent.contains("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n") && sent.ends_with("short"), "{sent}");
    client.get("/a", "Accept-Encoding: gzip\r\n");
    assert!(client.sent().ends_with("short"), "now it is there");
    client.get("/a", "");
    assert!(client.sent().ends_with("0123456789abcdefghij"));
}

#[test]
fn without_time_to_compress_a_file_is_sent_as_it_is() {
    let mut client = client();
    client.get("/a", "Accept-Encoding: gzip\r\n");
    let file = Arc::new(found(&[], true, client.now));
    client.reply(Reply::Found(Arc::clone(&file)));
    client.reply(Reply::Busy(file));
    assert!(client.sent().ends_with("0123456789abcdefghij"));
}

#[test]
fn each_reply_has_its_status() {
    let place = || Place::of("/a b/c").map(Place::with_slash).unwrap();
    for (reply, status, field) in [
        (Reply::Missing(None), "404", "Content-Type: text/plain"),
        (Reply::NeedsSlash(place()), "301", "Location: /a%20b/c/?x=1&y=//host\r\n"),
        (Reply::Refused(Refusal::Forbidden), "403", "X-Content-Type-Options: nosniff"),
        (Reply::Refused(Refusal::Busy), "503", "Retry-After: 1\r\n"),
        (Reply::Refused(Refusal::Broken), "500", "Cache-Control: no-cache"),
        (Reply::Listing(Form::Html, Bytes::from_static(b"page")), "200", "Content-Security-Policy: default-src 'none'"),
        (Reply::Listing(Form::Json, Bytes::from_static(b"{}")), "200", "Content-Type: application/json\r\nCache"),
    ] {
        let mut client = client();
        client.get("/a%20b/c?x=1&y=//host", "");
        client.reply(reply.clone());
        let sent = client.sent();
        assert!(sent[9..].starts_with(status) && sent.contains(field), "{reply:?}: {sent}");
        assert_eq!(client.session.wants(), Wants::Input);
    }
}

#[test]
fn a_page_for_what_is_not_there_has_no_conditions_and_no_parts() {
    let facts = found::testing::facts(now());
    let told = Told { status: Status::NOT_FOUND, content_type: "text/html", cache_control: None, varies: false };
    for fields in
        ["", "If-None-Match: *\r\n", "Range: bytes=0-1\r\n", "If-Match: \"x\"\r\n", "Accept-Encoding: *;q=0\r\n"]
    {
        let mut client = client();
        client.get("/.hidden", fields);
        let (question, done) = client.question();
        assert!(matches!(question, Question::Missing));
        let content = Content::Kept(Bytes::from_static(b"page"));
        let page = Version::new(content, &facts, client.now.wall, Coding::Identity, Source::File, told);
        done(Reply::Missing(Some(Arc::new(Found::new(page, [None, None, None], false, facts, client.now)))));
        client.session.woken(client.now);
        let sent = client.sent();
        assert!(sent.starts_with("HTTP/1.1 404 Not Found\r\n") && sent.ends_with("\r\n\r\npage"), "{sent}");
        assert!(!sent.contains("ETag") && !sent.contains("Last-Modified"), "{sent}");
    }
}

#[test]
fn other_methods_are_answered_without_a_question() {
    for (request, status) in [
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
        ("OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
        ("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "405"),
        ("DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("BREW /a HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "405"),
        ("TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /a HTTP/1.1\r\n\r\n", "400"),
        ("GET /a HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
    ] {
        let mut client = client();
        client.send(request);
        let sent = client.sent();
        assert_eq!(&sent[9..12], status, "{request}: {sent}");
        assert_eq!(sent.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), ["200", "405"].contains(&status), "{sent}");
        let closes = matches!(client.session.wants(), Wants::Close(CloseReason::Protocol(_)));
        assert_eq!(closes, status.starts_with('5') || status == "400" || request.contains("Length"), "{request}");
    }
}

#[test]
fn content_that_is_not_wanted_is_read_up_to_its_limit() {
    for (length, status) in [(MAX_CONTENT, "200"), (MAX_CONTENT + 1, "413")] {
        let mut client = client();
        client.send(&format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        let content = "x".repeat(1024);
        (0..length / 1024).for_each(|_| client.send(&content));
        if status == "200" {
            client.reply(kept_file(client.now));
        }
        assert_eq!(client.status(), status);
    }
    let mut client = client();
    client.send("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client.reply(kept_file(client.now));
    assert_eq!(client.status(), "200");
    assert!(matches!(client.session.wants(), Wants::Close(_)), "what follows may be content");
}

#[test]
fn head_is_get_without_content() {
    let mut client = client();
    client.send("HEAD /a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n");
    client.reply(open_file(client.now));
    let sent = client.sent();
    assert!(sent.starts_with("HTTP/1.1 200 ") && sent.contains("Content-Length: 1000\r\n"), "{sent}");
    assert!(sent.ends_with("\r\n\r\n"), "{sent}");
    client.send("HEAD /b/ HTTP/1.1\r\nHost: a\r\n\r\n");
    client.reply(Reply::Listing(Form::Html, Bytes::from_static(b"page")));
    let sent = client.sent();
    assert!(sent.contains("Content-Length: 4\r\n") && sent.ends_with("\r\n\r\n"), "{sent}");
}

#[test]
fn old_clients_are_told_how_the_connection_goes_on() {
    for (connection, expected) in
        [("", "Connection: close\r\n"), ("Connection: keep-alive\r\n", "Connection: keep-alive\r\n")]
    {
        let mut client = client();
        client.send(&format!("GET /a HTTP/1.0\r\n{connection}\r\n"));
        client.reply(open_file(client.now));
        assert!(client.sent().contains(expected));
        assert_eq!(client.session.wants() == Wants::Input, !connection.is_empty());
    }
}

#[test]
fn a_disk_that_takes_too_long_is_not_waited_for() {
    let mut client = client();
    client.get("/a", "");
    let (_, late) = client.question();
    let disk = Config::default().disk;
    assert_eq!(client.session.deadline(), Some(client.now.instant + disk));
    client.now = client.now.after(disk);
    client.session.expire(client.now);
    assert_eq!(client.status(), "503");
    client.get("/b", "");
    late(kept_file(client.now));
    client.session.woken(client.now);
    assert_eq!(client.sent(), "", "the late reply is not for this request");
    client.reply(Reply::Missing(None));
    assert_eq!(client.status(), "404");
}

#[test]
fn clients_that_stand_still_are_not_waited_for() {
    let config = Config::default();
    let mut idle = client();
    idle.now = idle.now.after(config.idle);
    idle.session.expire(idle.now);
    assert_eq!(idle.session.wants(), Wants::Close(CloseReason::Idle));
    let mut slow = client();
    slow.send("GET /a HTTP/1.1\r\n");
    slow.now = slow.now.after(config.head);
    slow.session.expire(slow.now);
    assert_eq!(slow.status(), "408");
    let mut deaf = client();
    deaf.get("/a", "");
    deaf.reply(open_file(deaf.now));
    for _ in 0..3 {
        deaf.now = deaf.now.after(config.idle);
        deaf.session.taken();
        deaf.session.expire(deaf.now);
        assert_eq!(deaf.session.wants(), Wants::Flush, "it takes some of it");
    }
    deaf.now = deaf.now.after(config.idle);
    deaf.session.expire(deaf.now);
    assert_eq!(deaf.session.wants(), Wants::Close(CloseReason::TooSlow));
    assert_eq!(deaf.session.file(), None, "nothing more is given out");
}

#[test]
fn a_client_that_has_said_all_gets_its_answers() {
    let mut client = client();
    client.get("/a", "");
    client.session.receive_end(client.now);
    assert_eq!(client.session.wants(), Wants::Flush);
    client.reply(open_file(client.now));
    assert!(client.sent().ends_with("<0+1000>"));
    assert_eq!(client.session.wants(), Wants::Close(CloseReason::PeerFinished));
}

/// However the requests are cut, the responses are the same.
#[test]
fn requests_may_come_in_any_pieces() {
    let wire = "GET /a HTTP/1.1\r\nHost: a\r\n\r\nHEAD /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /c";
    let whole = |pieces: &[&str]| {
        let mut client = client();
        let mut sent = String::new();
        for piece in pieces {
            client.send(piece);
            while !client.files.0.lock().unwrap().is_empty() {
                client.reply(open_file(client.now));
                sent += &client.sent();
            }
            sent += &client.sent();
        }
        (sent, client.session.wants())
    };
    let expected = whole(&[wire]);
    assert_eq!(expected.1, Wants::Close(CloseReason::PeerAsked));
    for cut in 0..=wire.len() {
        assert_eq!(whole(&[&wire[..cut], &wire[cut..]]), expected, "cut at {cut}");
    }
    let bytes: Vec<&str> = (0..wire.len()).map(|at| &wire[at..=at]).collect();
    assert_eq!(whole(&bytes), expected);
    assert_eq!(CONTENT.len(), 20);
}
