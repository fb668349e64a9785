//! Parts of files.

use crate::{
    Site, drivers, get, get_with, pattern,
    support::{process::wait_until, raw::Conn},
};
use std::os::unix::fs::FileExt as _;

/// As a player or a reader of PDFs: ten thousand parts, one after another, on one connection.
#[test]
fn ten_thousand_parts_one_after_another() {
    const LENGTH: usize = 200_000;
    let content = pattern(LENGTH);
    let site = Site::new(&[]);
    site.write("film", &content);
    for driver in drivers() {
        let server = site.serve(driver, &["--access-log", "off"]);
        let mut client = Conn::open(server.address());
        for number in 0..10_000_usize {
            let first = number * 7919 % LENGTH;
            let last = (first + number % 300).min(LENGTH - 1);
            let answer = client.ask(&get_with("/film", &format!("Range: bytes={first}-{last}")));
            assert_eq!(answer.status(), 206, "{first}-{last}");
            assert_eq!(answer.field("content-range"), Some(&*format!("bytes {first}-{last}/{LENGTH}")));
            assert!(answer.body == content[first..=last], "{first}-{last} has other bytes");
        }
    }
}

#[test]
fn several_parts_in_one_response() {
    let content = pattern(100_000);
    let site = Site::new(&[]);
    site.write("film", &content);
    for driver in drivers() {
        let server = site.serve(driver, &[]);
        let mut client = Conn::open(server.address());
        let answer = client.ask(&get_with("/film", "Range: bytes=0-9, 50000-89999, -10"));
        assert_eq!(answer.status(), 206);
        let kind = answer.field("content-type").unwrap();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let mut expected = Vec::new();
        for (range, part) in [("0-9", 0..10), ("50000-89999", 50_000..90_000), ("99990-99999", 99_990..100_000)] {
            let start = if expected.is_empty() { "" } else { "\r\n" };
            expected.extend(format!("{start}--{boundary}\r\nContent-Type: application/octet-stream\r\n").bytes());
            expected.extend(format!("Content-Range: bytes {range}/100000\r\n\r\n").bytes());
            expected.extend(&content[part]);
        }
        expected.extend(format!("\r\n--{boundary}--\r\n").bytes());
        assert!(answer.body == expected);
        // No author of a file can guess the next one.
        let other = client.ask(&get_with("/film", "Range: bytes=0-0,9-9"));
        assert!(!other.field("content-type").unwrap().contains(boundary));
    }
}

/// The halves of two versions must not come together at a client: a tag goes with the bytes that it was made of, even while a file is kept.
#[test]
fn a_download_that_goes_on_does_not_mix_two_versions() {
    let site = Site::new(&[]);
    for driver in drivers() {
        site.write("film", vec![b'A'; 100_000]);
        let server = site.serve(driver, &["--keep", "1h"]);
        let mut client = Conn::open(server.address());
        let mut tag = String::new();
        wait_until("a strong tag", || {
            tag = client.ask(&get("/film")).field("etag").unwrap().to_owned();
            !tag.starts_with("W/")
        });
        let rest = get_with("/film", &format!("Range: bytes=50000-\r\nIf-Range: {tag}"));
        let answer = client.ask(&rest);
        assert_eq!((answer.status(), &*answer.body), (206, &[b'A'; 50_000][..]));
        // In place: the file that is open is the one that is written to.
        let film = std::fs::File::options().write(true).open(site.path("film")).unwrap();
        film.write_all_at(&[b'B'; 100_000], 0).unwrap();
        let answer = client.ask(&rest);
        assert_eq!((answer.status(), &*answer.body), (200, &[b'B'; 100_000][..]));
        assert_ne!(answer.field("etag"), Some(&*tag));
    }
}

#[test]
fn ranges_in_every_form() {
    let site = Site::new(&[("ten", "0123456789"), ("empty", "")]);
    let server = site.serve("auto", &[]);
    let mut client = Conn::open(server.address());
    let many = |count: usize| (0..count).map(|_| "0-0").collect::<Vec<_>>().join(",");
    for (range, status, content) in [
        ("bytes=0-3", 206, "0123"),
        ("bytes=3-", 206, "3456789"),
        ("bytes=-3", 206, "789"),
        ("bytes=-99", 206, "0123456789"),
        ("bytes=8-99", 206, "89"),
        ("bytes=0-3,2-5", 206, "012345"),
        ("bytes=0-3,4-5", 206, "012345"),
        ("bytes=10-", 416, ""),
        ("bytes=-0", 416, ""),
        ("bytes=99-100", 416, ""),
        ("bytes=5-3", 200, "0123456789"),
        ("bytes=x", 200, "0123456789"),
        ("lines=0-3", 200, "0123456789"),
        (&format!("bytes={}", many(32)), 206, "0"),
        (&format!("bytes={}", many(33)), 200, "0123456789"),
    ] {
        let answer = client.ask(&get_with("/ten", &format!("Range: {range}")));
        assert_eq!((answer.status(), &*answer.body), (status, content.as_bytes()), "{range}");
        assert_eq!(answer.field("content-range") == Some("bytes */10"), status == 416, "{range}");
    }
    assert_eq!(client.ask(&get_with("/empty", "Range: bytes=0-")).status(), 200);
    assert_eq!(client.ask(&get("/ten")).field("accept-ranges"), Some("bytes"));
}

/// The worst that a client can ask for of a file that is not small: as many parts as there may be, far apart.
#[test]
fn as_many_parts_as_there_may_be() {
    let content = pattern(1 << 20);
    let site = Site::new(&[]);
    site.write("film", &content);
    for driver in drivers() {
        let server = site.serve(driver, &[]);
        let mut client = Conn::open(server.address());
        let ranges: Vec<String> = (0..32).map(|part| format!("{0}-{0}", part * 32_000)).collect();
        for _ in 0..20 {
            let answer = client.ask(&get_with("/film", &format!("Range: bytes={}", ranges.join(","))));
            assert_eq!((answer.status(), answer.body.len() < 10_000), (206, true));
        }
    }
}
