//! Real files, real threads.

use super::{
    super::{Coding, Content, Facts, Form, Found, Listing, Order, Place, Source},
    queue::{MAX_WAITING, MAX_WAITING_OF_ONE},
    *,
};
use crate::http::{Method, RequestHead};
use std::{
    fs,
    os::unix::fs::symlink,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, SystemTime},
};

/// Longer than a loaded machine needs for a question.
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    directory: tempfile::TempDir,
    disk: Disk,
}

fn site_of(rules: &[&str], keep: Duration, kept: Vec<Arc<Kept>>) -> Site {
    site_with(2, rules, keep, kept)
}

fn site_with(threads: usize, rules: &[&str], keep: Duration, kept: Vec<Arc<Kept>>) -> Site {
    let directory = tempfile::tempdir().unwrap();
    let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let config = DiskConfig { threads, rules, pack: 1 << 20, keep };
    let disk = Disk::start(Root::new(directory.path()).unwrap(), config, kept).unwrap();
    Site { directory, disk }
}

fn site() -> Site {
    site_of(&[], Duration::ZERO, Vec::new())
}

impl Site {
    /// A file that was changed long ago, or so many seconds later.
    fn write(&self, name: &str, content: impl AsRef<[u8]>, later: u64) {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + later);
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    }

    fn ask(&self, question: Question) -> Receiver<Reply> {
        let (sender, receiver) = channel();
        self.disk.ask(question, Box::new(move |reply| sender.send(reply).unwrap()));
        receiver
    }

    fn look(&self, path: &str) -> Reply {
        let html = Listing { order: Order::Name, descending: false, form: Form::Html };
        self.look_for(path, Some(html))
    }

    fn look_for(&self, path: &str, listing: Option<Listing>) -> Reply {
        self.ask(Question::Look { place: Place::of(path).unwrap(), listing }).recv_timeout(PATIENCE).unwrap()
    }

    fn found(&self, path: &str) -> Arc<Found> {
        let reply = self.look(path);
        let Reply::Found(found) = reply else { panic!("{path}: {reply:?}") };
        found
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let over = clock::now().instant + PATIENCE;
    while !condition() {
        assert!(clock::now().instant < over, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

fn content(version: &super::super::Version) -> Vec<u8> {
    match &version.content {
        Content::Kept(bytes) => bytes.to_vec(),
        Content::File(file) => look::read(&**file, 1 << 20).unwrap(),
    }
}

fn field(found: &Found, name: &str) -> Option<String> {
    found.plain().head.fields.get(name).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn files_indexes_listings_and_nothing() {
    let site = site();
    site.write("a/index.html", "index", 0);
    site.write("b/file.txt", "x".repeat(20_000), 0);
    site.write("b/index.html/odd", "", 0);
    assert_eq!(content(site.found("/a/").plain()), b"index");
    assert_eq!(field(&site.found("/a/"), "content-type").unwrap(), "text/html; charset=utf-8");
    let large = site.found("/b/file.txt");
    assert!(matches!(large.plain().content, Content::File(_)) && content(large.plain()).len() == 20_000);
    assert!(matches!(site.look("/a"), Reply::NeedsSlash(place) if place.to_url() == "/a"));
    let Reply::Listing(Form::Html, page) = site.look("/b/") else { panic!("an index that is a directory is none") };
    assert!(page.windows(8).any(|text| text == b"file.txt"));
    assert!(matches!(site.look_for("/b/", None), Reply::Missing(None)));
    for path in ["/c", "/b/file.txt/", "/b/file.txt/x", "/b/none"] {
        assert!(matches!(site.look(path), Reply::Missing(None)), "{path}");
    }
    site.write("404.html", "nothing here", 0);
    let Reply::Missing(Some(page)) = site.look("/c") else { panic!("there is a page for it") };
    assert_eq!((content(page.plain()), page.plain().head.status.code()), (b"nothing here".to_vec(), 404));
}

#[test]
fn neighbours_count_if_they_are_not_older() {
    let site = site();
    for (name, later) in [("a.css", 5), ("a.css.br", 5), ("a.css.gz", 4), ("a.css.zst", 6), ("b.png", 5)] {
        site.write(name, name, later);
    }
    fs::create_dir(site.directory.path().join("b.png.br")).unwrap();
    let found = site.found("/a.css");
    let chosen = |accepted: &str| {
        let mut request = RequestHead::new(Method::Get, "/a.css").unwrap();
        request.fields.push("Accept-Encoding", accepted);
        match found.choose(&request, true) {
            super::super::found::Chosen::Version(version) => String::from_utf8(content(version)).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(chosen("br"), "a.css.br");
    assert_eq!(chosen("zstd"), "a.css.zst");
    assert_eq!(chosen("gzip"), "a.css", "the neighbour is older");
    assert_eq!(field(&found, "vary").unwrap(), "Accept-Encoding");
    assert_eq!(field(&site.found("/b.png"), "vary"), None, "it has one version");
}

#[test]
fn the_first_rule_that_matches_gives_the_cache_control() {
    let rules = ["/fresh/*=no-cache", "*.css=max-age=3600", "*=public, max-age=60"];
    let site = site_of(&rules, Duration::ZERO, Vec::new());
    for (name, expected) in [
        ("a.css", "max-age=3600"),
        ("fresh/a.css", "no-cache"),
        ("a.txt", "public, max-age=60"),
        ("caf\u{e9}/a.css", "max-age=3600"),
    ] {
        site.write(name, "", 0);
        let path = format!("/{}", name.replace('\u{e9}', "%c3%a9"));
        assert_eq!(field(&site.found(&path), "cache-control").unwrap(), expected, "{name}");
    }
    for wrong in ["*.css", "=x", "*.css=", "*.css= ", "*.css=a\r\nb: c", "css=x", "*.css=caf\u{e9}"] {
        assert!(wrong.parse::<Rule>().is_err(), "{wrong:?}");
    }
}

fn pack(found: &Arc<Found>) -> Question {
    Question::Pack { place: Place::of("/a.txt").unwrap(), found: Arc::clone(found) }
}

#[test]
fn text_is_compressed_and_the_result_remembered() {
    let site = site();
    site.write("a.txt", "All work and no play. ".repeat(1000), 0);
    site.write("short.txt", "x".repeat(1023), 0);
    let wants = |found: &Found| {
        let mut request = RequestHead::new(Method::Get, "/").unwrap();
        request.fields.push("Accept-Encoding", "gzip");
        matches!(found.choose(&request, true), super::super::found::Chosen::Pack)
    };
    assert!(!wants(&site.found("/short.txt")), "it is one packet as it is");
    let found = site.found("/a.txt");
    assert!(wants(&found));
    assert!(matches!(site.ask(pack(&found)).recv().unwrap(), Reply::Packed(_)));
    assert!(!wants(&found) && found.kept() > 0 && found.kept() < 1000, "{}", found.kept());
    // The bytes that are remembered are those that the file has.
    assert!(site.disk.shared.budget.in_use() < 1000);
}

/// Names that are hidden, that lead out, and that are no files, are not shown.
#[test]
fn a_listing_shows_what_is_served() {
    let site = site();
    for name in ["a.txt", "b c/x", ".hidden"] {
        site.write(name, "", 0);
    }
    let path = site.directory.path();
    symlink("/etc/passwd", path.join("out")).unwrap();
    symlink("a.txt", path.join("within")).unwrap();
    symlink("nowhere", path.join("broken")).unwrap();
    nix::unistd::mkfifo(&path.join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let json = Listing { order: Order::Name, descending: false, form: Form::Json };
    let Reply::Listing(Form::Json, text) = site.look_for("/", Some(json)) else { panic!("it is a directory") };
    let shown: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let hrefs: Vec<_> =
        shown["entries"].as_array().unwrap().iter().map(|entry| entry["href"].as_str().unwrap()).collect();
    let expected: &[&str] =
        if cfg!(target_os = "linux") { &["b%20c/", "a.txt", "within"] } else { &["b%20c/", "a.txt"] };
    assert_eq!(hrefs, expected);
    assert_eq!(site.disk.shared.budget.in_use(), text.len());
    drop(text);
    wait_until("the thread to let go of it as well", || site.disk.shared.budget.in_use() == 0);
}

/// Threads that stand still in the middle of a question, as if a file system did.
struct Held {
    lets_go: Arc<Mutex<Receiver<()>>>,
    /// When it is dropped, all go on.
    _hold: Sender<()>,
    /// Hears of each thread that stands still.
    stands: Receiver<()>,
    stood: Sender<()>,
}

impl Held {
    fn new() -> Self {
        let ((hold, held), (stood, stands)) = (channel(), channel());
        Self { lets_go: Arc::new(Mutex::new(held)), _hold: hold, stands, stood }
    }

    /// Asks a question at which a thread will stand still.
    fn ask(&self, site: &Site, path: &str) {
        let (lets_go, stood) = (Arc::clone(&self.lets_go), self.stood.clone());
        let stands = move |_| {
            // The test may be over.
            let _ = stood.send(());
            let _ = lets_go.lock().unwrap_or_else(PoisonError::into_inner).recv();
        };
        site.disk.ask(look_at(path), Box::new(stands));
    }
}

fn look_at(path: &str) -> Question {
    Question::Look { place: Place::of(path).unwrap(), listing: None }
}

#[test]
fn questions_wait_up_to_a_limit_and_the_same_one_waits_once() {
    let (site, held) = (site(), Held::new());
    for path in ["/one", "/two"] {
        held.ask(&site, path);
        held.stands.recv().unwrap();
    }
    let waiting: Vec<_> = (0..MAX_WAITING).map(|number| site.ask(look_at(&format!("/{number}")))).collect();
    let same = site.ask(look_at("/7"));
    let more = site.ask(look_at("/more"));
    assert!(matches!(more.recv().unwrap(), Reply::Refused(Refusal::Busy)));
    assert!(same.try_recv().is_err());
    drop(held);
    for receiver in waiting.iter().chain([&same]) {
        assert!(matches!(receiver.recv().unwrap(), Reply::Missing(None)));
    }
}

/// More files are asked for below one name than there are threads, and none of them is answered.
#[test]
fn a_file_system_that_stands_still_leaves_a_thread_and_places_to_others() {
    for threads in [2, 4] {
        let (site, held) = (site_with(threads, &[], Duration::ZERO, Vec::new()), Held::new());
        (0..2 * threads).for_each(|number| held.ask(&site, &format!("/slow/{number}")));
        (1..threads).for_each(|_| held.stands.recv().unwrap());
        assert!(matches!(site.look("/quick/1"), Reply::Missing(None)));
        // As many of its questions wait as may, and others are taken before them.
        let waiting = 2 * threads - (threads - 1);
        let of_it: Vec<_> =
            (waiting..MAX_WAITING_OF_ONE).map(|number| site.ask(look_at(&format!("/slow/more/{number}")))).collect();
        let one_more = site.ask(look_at("/slow/one-more")).recv().unwrap();
        assert!(matches!(one_more, Reply::Refused(Refusal::Busy)), "{one_more:?}");
        assert!(matches!(site.look("/quick/2"), Reply::Missing(None)));
        assert!(held.stands.try_recv().is_err(), "{threads} threads are held");
        drop(held);
        assert!(of_it.iter().all(|reply| matches!(reply.recv().unwrap(), Reply::Missing(None))));
    }
}

/// Then there is no other one that could be left.
#[test]
fn one_thread_answers_everything() {
    let site = site_with(1, &[], Duration::ZERO, Vec::new());
    let replies: Vec<_> = (0..10).map(|number| site.ask(look_at(&format!("/same/{number}")))).collect();
    assert!(replies.iter().all(|reply| matches!(reply.recv().unwrap(), Reply::Missing(None))));
}

/// Without any request that would look at them, files that were kept are let go.
#[test]
fn files_that_were_kept_are_let_go_by_themselves() {
    let keep = Duration::from_millis(50);
    let kept = Arc::new(Kept::new(keep));
    let site = site_of(&[], keep, vec![Arc::clone(&kept)]);
    site.write("a", "x".repeat(20_000), 0);
    // Its status changed when it was written, and another change might not show yet: an older file is made of it.
    let facts =
        Facts { changed: SystemTime::UNIX_EPOCH, modified: SystemTime::UNIX_EPOCH, ..*site.found("/a").facts() };
    let file: Arc<dyn crate::buf::Readable> = Arc::new(fs::File::open(site.directory.path().join("a")).unwrap());
    let gone = Arc::downgrade(&file);
    let told = super::super::Told {
        status: crate::http::Status::OK,
        content_type: "text/plain",
        cache_control: None,
        varies: false,
    };
    let looked = clock::now();
    let version =
        super::super::Version::new(Content::File(file), &facts, looked.wall, Coding::Identity, Source::File, told);
    let found = Arc::new(Found::new(version, [None, None, None], false, facts, looked));
    kept.keep("/a", &found, looked.instant);
    drop(found);
    site.found("/a");
    wait_until("the file to be closed", || gone.upgrade().is_none());
}

/// The bytes of a file that was overwritten since it was looked at are not those of its tag.
#[test]
fn a_file_that_was_overwritten_is_not_compressed_under_its_old_name() {
    let site = site();
    let text = "All work and no play. ".repeat(1000);
    site.write("a.txt", &text, 0);
    let found = site.found("/a.txt");
    assert!(found.is_current());
    site.write("a.txt", &text, 9);
    assert!(!found.is_current());
    assert!(matches!(site.ask(pack(&found)).recv().unwrap(), Reply::Packed(_)));
    assert_eq!((found.kept(), site.disk.shared.budget.in_use()), (0, 0));
}
