//! Representations, conditions, codings, statuses.

use crate::{
    Site, drivers, get, get_with, pattern,
    support::{process::wait_until, raw::Conn},
};
use flate2::read::GzDecoder;
use std::{
    fs,
    io::Read as _,
    time::{Duration, SystemTime},
};

#[test]
fn files_of_every_size_arrive_whole() {
    let sizes = [0, 1, 1023, 1024, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 1 << 20, 5_000_001];
    let site = Site::new(&[]);
    sizes.iter().for_each(|size| site.write(&size.to_string(), pattern(*size)));
    for driver in drivers() {
        let server = site.serve(driver, &[]);
        let mut client = Conn::open(server.address());
        for size in sizes.iter().chain(sizes.iter().rev()) {
            let answer = client.ask(&get(&format!("/{size}")));
            assert_eq!((answer.status(), answer.body.len()), (200, *size));
            assert!(answer.body == pattern(*size), "{size}");
        }
        let many: String = sizes.iter().map(|size| get(&format!("/{size}"))).collect();
        client.send(&many);
        for size in sizes {
            assert!(client.response("GET").body == pattern(size), "{size}, pipelined");
        }
    }
}

/// The tag is weak for two seconds after a change; then it is another one, and stays.
#[test]
fn a_tag_becomes_strong_and_conditions_count_by_it() {
    let site = Site::new(&[("file", "0123456789")]);
    let server = site.serve("auto", &[]);
    let mut client = Conn::open(server.address());
    let tag = |client: &mut Conn| client.ask(&get("/file")).field("etag").unwrap().to_owned();
    let doubtful = tag(&mut client);
    wait_until("a strong tag", || !tag(&mut client).starts_with("W/"));
    let strong = tag(&mut client);
    assert_ne!(doubtful, format!("W/{strong}"));
    let date = client.ask(&get("/file")).field("last-modified").unwrap().to_owned();
    for (fields, status) in [
        (format!("If-None-Match: {strong}"), 304),
        (format!("If-None-Match: \"x\", W/{strong}"), 304),
        ("If-None-Match: \"x\"".to_owned(), 200),
        (format!("If-None-Match: {doubtful}"), if doubtful.starts_with("W/") { 200 } else { 304 }),
        (format!("If-Modified-Since: {date}"), 304),
        (format!("If-Match: {strong}"), 200),
        ("If-Match: \"x\"".to_owned(), 412),
        (format!("If-Unmodified-Since: {date}"), 200),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), 412),
        (format!("Range: bytes=1-2\r\nIf-Range: {strong}"), 206),
        (format!("Range: bytes=1-2\r\nIf-Range: {date}"), 206),
        ("Range: bytes=1-2\r\nIf-Range: \"x\"".to_owned(), 200),
    ] {
        let answer = client.ask(&get_with("/file", &fields));
        assert_eq!(answer.status(), status, "{fields}");
        assert_eq!(answer.field("etag").is_some(), status != 412, "{fields}");
    }
    // Another content of the same length, with the same date: a program that sets times back.
    let modified = fs::metadata(site.path("file")).unwrap().modified().unwrap();
    site.write("file", "9876543210");
    fs::File::options().write(true).open(site.path("file")).unwrap().set_modified(modified).unwrap();
    wait_until("the new content", || {
        client.ask(&get_with("/file", &format!("If-None-Match: {strong}"))).status() == 200
    });
}

#[test]
fn neighbours_and_compressed_content_are_what_the_client_accepts() {
    let text = "All work and no play makes Jack a dull boy.\n".repeat(2000);
    let site = Site::new(&[("a.txt", &text), ("b.css", "plain"), ("b.css.br", "as brotli"), ("b.css.gz", "as gzip")]);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(site.path("b.css")).unwrap().set_modified(old).unwrap();
    for driver in drivers() {
        let server = site.serve(driver, &[]);
        let mut client = Conn::open(server.address());
        for (accepted, coding, content) in [
            ("gzip, br", Some("br"), "as brotli"),
            ("gzip", Some("gzip"), "as gzip"),
            ("gzip;q=0.5, br;q=0.1", Some("gzip"), "as gzip"),
            ("zstd", None, "plain"),
            ("identity, br;q=0.5", None, "plain"),
        ] {
            let answer = client.ask(&get_with("/b.css", &format!("Accept-Encoding: {accepted}")));
            assert_eq!((answer.field("content-encoding"), &*answer.body), (coding, content.as_bytes()), "{accepted}");
            assert_eq!(answer.field("vary"), Some("Accept-Encoding"));
            assert_eq!(answer.field("content-type"), Some("text/css; charset=utf-8"));
        }
        let mut tags = Vec::new();
        for _ in 0..3 {
            let answer = client.ask(&get_with("/a.txt", "Accept-Encoding: gzip"));
            assert_eq!(answer.field("content-encoding"), Some("gzip"));
            assert_eq!(answer.field("content-length").unwrap().parse(), Ok(answer.body.len()));
            let mut unpacked = String::new();
            GzDecoder::new(&answer.body[..]).read_to_string(&mut unpacked).unwrap();
            assert!(unpacked == text && answer.body.len() < 5000);
            tags.push(answer.field("etag").unwrap().to_owned());
        }
        let plain = client.ask(&get("/a.txt"));
        assert!(plain.field("content-encoding").is_none() && !tags.contains(&plain.field("etag").unwrap().to_owned()));
        // Parts are those of the file.
        let part = client.ask(&get_with("/a.txt", "Accept-Encoding: gzip\r\nRange: bytes=0-2"));
        assert_eq!((part.status(), part.field("content-encoding"), &*part.body), (206, None, &b"All"[..]));
        assert_eq!(client.ask(&get_with("/a.txt", "Accept-Encoding: *;q=0")).status(), 406);
    }
}

#[test]
fn other_methods_and_fields() {
    let site = Site::new(&[("index.html", "index"), ("a.css", "")]);
    let server = site.serve("auto", &["--cache-control", "*.css=max-age=3600", "--cache-control", "/*=no-cache"]);
    let mut client = Conn::open(server.address());
    let head = client.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.status(), head.field("content-length"), head.body.len()), (200, Some("5"), 0));
    assert_eq!(client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").field("allow"), Some("GET, HEAD, OPTIONS"));
    let refused = client.ask("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((refused.status(), refused.field("allow")), (405, Some("GET, HEAD, OPTIONS")));
    let index = client.ask(&get("/"));
    assert_eq!((&*index.body, index.field("content-type")), (&b"index"[..], Some("text/html; charset=utf-8")));
    assert_eq!(
        (index.field("cache-control"), index.field("x-content-type-options")),
        (Some("no-cache"), Some("nosniff"))
    );
    assert_eq!(client.ask(&get("/a.css")).field("cache-control"), Some("max-age=3600"));
    let old = Conn::open(server.address()).ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((&*old.body, old.field("connection")), (&b"index"[..], Some("close")));
}

#[test]
fn the_sites_own_page_says_that_nothing_is_there() {
    let site = Site::new(&[("404.html", "<h1>Nothing here</h1>")]);
    let server = site.serve("auto", &[]);
    let mut client = Conn::open(server.address());
    for path in ["/x", "/.hidden", "/a/b/c", "/../secret"] {
        let answer = client.ask(&get_with(path, "If-None-Match: *"));
        assert_eq!((answer.status(), &*answer.body), (404, &b"<h1>Nothing here</h1>"[..]), "{path}");
        assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"));
    }
    assert_eq!(client.ask(&get("/404.html")).status(), 200);
}

/// A change is seen with the next request: what was changed a moment ago is not kept.
#[test]
fn a_file_that_is_saved_again_and_again_is_always_the_newest() {
    let site = Site::new(&[]);
    let server = site.serve("auto", &[]);
    let mut client = Conn::open(server.address());
    for number in 0..200 {
        let content = format!("version {number}");
        site.write("file", &content);
        assert_eq!(client.ask(&get("/file")).body, content.as_bytes());
    }
}

/// A client that sends `CONNECT` may not wait for the answer: the bytes behind it are for the other end of a tunnel, whoever wrote them.
#[test]
fn bytes_behind_a_connect_are_no_request() {
    let site = Site::new(&[("a", "content")]);
    for driver in drivers() {
        let server = site.serve(driver, &[]);
        let mut client = Conn::open(server.address());
        client.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".to_owned() + &get("/a"));
        let answer = client.response("GET");
        assert_eq!((answer.status(), answer.field("connection")), (405, Some("close")), "{answer}");
        client.expect_end();
    }
}
