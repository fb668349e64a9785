use super::{
    super::testing::{later, now, pieces, request, response, stored_as},
    *,
};
use crate::http::target::Scheme;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn key() -> Key {
    Uri { scheme: Scheme::Https, authority: "a.test:8443", path: "/x", query: Some("y=\u{fc}") }.to_key()
}

fn some() -> Stored {
    let lines = [
        ("Cache-Control", "max-age=60, stale-while-revalidate=5, must-understand"),
        ("Vary", "Accept-Encoding, X-Absent"),
        ("ETag", "\"1\""),
        ("X-Empty", ""),
        ("Set-Cookie", "a=b"),
        ("Surrogate-Key", "t1 t2"),
    ];
    let asked = [("Accept-Encoding", "BR ,, gzip")];
    let mut stored = stored_as(&asked, &response(200, &lines), Body::whole(pieces("0123456789")), now());
    stored.tags = [&b"t1"[..], b"t2"].map(Box::from).into();
    stored
}

fn read_at(bytes: &[u8], left: Duration, at: Now) -> Option<Stored> {
    match read(bytes, key().uri(), left, at) {
        Ok(Saved::Response(stored)) => Some(*stored),
        _ => None,
    }
}

#[test]
fn a_response_is_read_as_it_was_written() {
    let stored = some();
    let bytes = response_of(&stored);
    let back = read_at(&bytes, 90 * SECOND, now()).unwrap();
    assert_eq!(back.head, stored.head);
    assert_eq!((&back.selecting, &back.freshness, back.date), (&stored.selecting, &stored.freshness, stored.date));
    assert_eq!((back.body.pieces().concat(), back.tags), (b"0123456789".to_vec(), stored.tags));
    for (fields, matches) in [(vec![("Accept-Encoding", "br,gzip")], true), (vec![], false)] {
        assert_eq!(back.selecting.matches(&fields.into_iter().collect()), matches);
    }
    let label = label(&bytes).unwrap();
    assert_eq!((label.uri, label.tags), (key().as_str(), vec![&b"t1"[..], b"t2"]));
    // An empty response, in words of its own.
    let mut odd = stored_as(&[], &response(404, &[("Expires", "0")]), Body::whole(Vec::new()), now());
    odd.head =
        ResponseHead::received(Version::Http11, Status::new(499).unwrap(), b"Odd \xff", odd.head.fields).unwrap();
    let back = read_at(&response_of(&odd), SECOND, now()).unwrap();
    assert_eq!((&back.head, back.body, back.selecting), (&odd.head, odd.body, Selecting::Everything));
}

fn response_of(stored: &Stored) -> Vec<u8> {
    super::response(&key(), stored, 90 * SECOND, now())
}

#[test]
fn the_age_is_the_larger_one_of_two_estimates() {
    let bytes = super::response(&key(), &some(), 90 * SECOND, later(7));
    for (calendar, left, age) in [
        (7, 90, 7),
        (17, 80, 17),
        // This machine's calendar is behind that of the one which has written it, or ahead of it.
        (0, 80, 17),
        (27, 90, 27),
        // The store has been given more time since.
        (17, 400, 17),
    ] {
        let back = read_at(&bytes, left * SECOND, later(calendar)).unwrap();
        assert_eq!(back.freshness.age_seconds(later(calendar).instant), age, "{calendar} {left}");
        assert_eq!(back.freshness.lifetime(), 60 * SECOND);
    }
}

#[test]
fn a_value_that_is_not_whole_is_nothing() {
    let (response, variants) = (response_of(&some()), variants_of(7, &["accept", "x-a"]));
    for bytes in [response, variants] {
        let is_read = |bytes: &[u8]| read(bytes, key().uri(), SECOND, now()).is_ok();
        assert!(is_read(&bytes));
        for cut in 0..bytes.len() {
            assert!(!is_read(&bytes[..cut]), "cut at {cut}");
            let _ = label(&bytes[..cut]);
        }
        assert!(!is_read(&[&bytes[..], b"x"].concat()));
        for at in 0..bytes.len() {
            for flip in [1, 0x80] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                assert!(!is_read(&bytes), "{at}");
                let _ = label(&bytes);
                // The same with a sum that is right: whatever it says, it is read or refused.
                let sum = crc32fast::hash(&bytes[SUMMED..]);
                bytes[4..SUMMED].copy_from_slice(&sum.to_be_bytes());
                let _ = is_read(&bytes);
            }
        }
        let other = Uri { path: "/z", ..key().uri() }.to_key();
        assert!(read(&bytes, other.uri(), SECOND, now()).is_err());
    }
    assert!(label(b"").is_none() && label(b"SPC0").is_none());
}

/// A value with a right sum that says `change` of what [`some`] says.
fn forged(change: impl FnOnce(&mut Stored)) -> bool {
    let mut stored = some();
    change(&mut stored);
    read_at(&response_of(&stored), SECOND, now()).is_some()
}

#[test]
fn a_value_says_nothing_that_a_response_cannot_say() {
    assert!(forged(|_| {}));
    assert!(!forged(|stored| stored.head.fields.push("Content-Length", "7")));
    assert!(!forged(|stored| stored.head.fields.push("Transfer-Encoding", "chunked")));
    for status in [100, 206, 304] {
        assert!(!forged(|stored| stored.head.status = Status::new(status).unwrap()), "{status}");
    }
    // Content that would be read as the next response on a client's connection.
    assert!(!forged(|stored| stored.head.status = Status::new(204).unwrap()));
    for name in ["Connection", "Keep-Alive", "Upgrade", "Age", "Proxy-Authenticate"] {
        assert!(!forged(|stored| stored.head.fields.push(name, "x")), "{name}");
    }
    assert!(!forged(|stored| stored.head.fields.push("X-Long", vec![b'x'; MOST_BESIDES_CONTENT])));
    let tags = |count| move |stored: &mut Stored| stored.tags = vec![Box::from(&b"t"[..]); count].into();
    assert!(forged(tags(MAX_TAGS)) && !forged(tags(MAX_TAGS + 1)));
    let bytes = response_of(&some());
    for (from, to) in [
        ("ETag", "E\nag"),
        ("X-Empty", "X Empty"),
        ("\"1\"", "\"\0\""),
        ("OK", "\nK"),
        ("x-absent", "X-absent"),
        // The form in which it is compared is another one, or it is a field that each client has of its own.
        ("br,gzip", "br;gzip"),
        ("BR ,, gzip", " R ,, gzip"),
    ] {
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let sum = crc32fast::hash(&bytes[SUMMED..]);
        bytes[4..SUMMED].copy_from_slice(&sum.to_be_bytes());
        assert!(read_at(&bytes, SECOND, now()).is_none(), "{to:?}");
    }
}

fn variants_of(generation: u64, names: &[&str]) -> Vec<u8> {
    variants(&key(), &Variants { generation, names: names.iter().map(|name| (*name).into()).collect() })
}

#[test]
fn variants_differ_by_a_few_fields_that_requests_have_of_their_own() {
    let is_read = |names: &[&str]| read(&variants_of(7, names), key().uri(), SECOND, now()).is_ok();
    let names: Vec<String> = (0..=crate::cache::vary::MAX_NAMES).map(|at| format!("x{at:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(is_read(&names[1..]) && !is_read(&names));
    for wrong in [&["b", "a"][..], &["a", "a"], &["x-forwarded-for"], &["A"], &[""]] {
        assert!(!is_read(wrong), "{wrong:?}");
    }
}

#[test]
fn variants_are_found_by_what_a_request_has_there() {
    let stored = some();
    let written = Variants::of(&stored.selecting, 7);
    let Ok(Saved::Variants(back)) = read(&variants(&key(), &written), key().uri(), SECOND, now()) else { panic!() };
    assert_eq!(back, written);
    assert!(back.have(&stored.selecting) && !back.have(&Selecting::Everything));
    let spelling = |lines: &[(&str, &str)]| Selecting::by_names(&back.names, &request(lines).fields).spelling();
    let own = stored.selecting.spelling();
    assert_eq!(spelling(&[("Accept-Encoding", "br, GZIP")]), own);
    for other in [&[][..], &[("Accept-Encoding", "br")], &[("Accept-Encoding", "br, gzip"), ("X-Absent", "")]] {
        assert_ne!(spelling(other), own, "{other:?}");
    }
    let own_word: Box<[Box<str>]> = ["x-forwarded-for".into()].into();
    assert_eq!(Selecting::by_names(&own_word, &Fields::new()), Selecting::Nothing);
}
