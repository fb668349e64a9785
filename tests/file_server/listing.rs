//! Directories.

use crate::{Site, drivers, get, get_with, support::raw::Conn};
use serde_json::Value;
use std::fs;

const FILES: usize = 10_000;

#[test]
fn ten_thousand_files_are_listed() {
    let site = Site::new(&[]);
    fs::create_dir(site.path("many")).unwrap();
    (0..FILES).for_each(|number| fs::write(site.path(format!("many/file-{number:05}")), "").unwrap());
    fs::write(site.path("many/file-04711"), "the largest").unwrap();
    for driver in drivers() {
        let server = site.serve(driver, &[]);
        let mut client = Conn::open(server.address());
        let page = String::from_utf8(client.ask(&get("/many/")).body).unwrap();
        assert_eq!(page.matches("<a href=\"file-").count(), FILES);
        assert!(page.contains(&format!("<p>{FILES} names</p>")));
        let list = |client: &mut Conn, query: &str| -> Vec<String> {
            let answer = client.ask(&get_with(&format!("/many/{query}"), "Accept: application/json"));
            assert_eq!(answer.field("content-type"), Some("application/json"));
            let listing: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(listing["complete"], true);
            let entries = listing["entries"].as_array().unwrap().iter();
            entries.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
        };
        let names = list(&mut client, "");
        assert!(names.len() == FILES && names.is_sorted());
        assert_eq!(list(&mut client, "?order=desc")[0], "file-09999");
        assert_eq!(list(&mut client, "?sort=size&order=desc")[0], "file-04711");
        assert_eq!(list(&mut client, "?sort=size")[FILES - 1], "file-04711");
    }
}

/// The threads are busy with long listings; a file is answered meanwhile by one that is free, or from what was found before.
#[test]
fn others_are_answered_while_a_long_listing_is_made() {
    let site = Site::new(&[("file", "content")]);
    fs::create_dir(site.path("many")).unwrap();
    (0..2000).for_each(|number| fs::write(site.path(format!("many/{number}")), "").unwrap());
    let server = site.serve("auto", &["--access-log", "off"]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Conn::open(server.address());
                (0..10).for_each(|_| assert_eq!(client.ask(&get("/many/")).status(), 200));
            });
        }
        let mut client = Conn::open(server.address());
        (0..200).for_each(|_| assert_eq!(client.ask(&get("/file")).body, b"content"));
    });
}

#[test]
fn a_directory_without_an_index_is_shown_unless_the_operator_says_no() {
    let site = Site::new(&[("a/x", ""), ("b/index.html", "index")]);
    let shown = site.serve("auto", &[]);
    let mut client = Conn::open(shown.address());
    let page = client.ask(&get("/a/"));
    assert_eq!(
        (page.status(), page.field("vary"), page.field("cache-control")),
        (200, Some("Accept"), Some("no-cache"))
    );
    assert!(page.field("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let hidden = site.serve("auto", &["--no-listing"]);
    let mut client = Conn::open(hidden.address());
    assert_eq!(client.ask(&get("/a/")).status(), 404);
    assert_eq!(client.ask(&get("/b/")).body, b"index");
}
