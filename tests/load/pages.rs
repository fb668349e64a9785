//! Pages: they stand for themselves, and are well-formed.

use crate::{background, run, support::raw::Backend};
use std::fs;

/// Elements that have no end.
const VOID: [&str; 1] = ["!DOCTYPE"];

/// Every element ends, inside the one it began in; attributes are quoted and text is escaped.
pub(crate) fn assert_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some((text, after)) = rest.split_once('<') {
        let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
        for (at, _) in text.match_indices('&') {
            assert!(entities.iter().any(|entity| text[at..].starts_with(entity)), "bare & in {text:?}");
        }
        let (tag, after) = after.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        rest = after;
        let name = tag.trim_start_matches('/').split(|c: char| c.is_whitespace() || c == '/').next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
        if name == "style" && !tag.starts_with('/') {
            rest = &rest[rest.find("</style>").expect("it ends")..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

/// Nothing is fetched or run.
pub(crate) fn assert_self_contained(page: &str) {
    for word in ["<script", "src=", "href=", "@import", "url(", "<link", "<iframe", "xmlns", "onload"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let good = Backend::saying("hello");
    let bad = Backend::answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.html");
    for (backend, rate, expected) in
        [(&good, None, "<polyline"), (&good, Some("100"), "service time"), (&bad, None, "status 5xx")]
    {
        let url = format!("http://{}/?a=1&b=<2>", backend.name());
        let rate = rate.map_or(vec![], |rate| vec!["--rate", rate]);
        let args = [&url, "--duration", "1s", "--clients", "2", "--html", file.to_str().unwrap()];
        // A target that has to be escaped in the page; in a request it would be refused.
        let url = url.replace("<2>", "2");
        let args: Vec<&str> =
            args.iter().map(|arg| if arg.contains('<') { url.as_str() } else { arg }).chain(rate).collect();
        run(&args).code(if expected == "status 5xx" { 3 } else { 0 });
        let page = fs::read_to_string(&file).unwrap();
        assert!(page.contains(expected) && page.contains("?a=1&amp;b=2"), "{expected}");
        assert_self_contained(&page);
        assert_well_formed(&page);
        assert!(page.contains("prefers-color-scheme:dark"));
    }
}

#[test]
fn a_page_on_stdout_is_all_that_is_there() {
    let backend = Backend::saying("hello");
    let url = format!("http://{}/", backend.name());
    let run = run(&[&url, "--duration", "1s", "--clients", "1", "--html", "-"]).success();
    let page = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
}

#[test]
fn a_page_says_that_it_was_interrupted_and_what_was_given_up() {
    let silent = Backend::start(|mut served| while served.request().is_some() {});
    let child = background(&[&format!("http://{}/", silent.name()), "-d", "300s", "-c", "2", "--html", "-"]);
    silent.wait_for_request(2);
    child.signal("INT");
    let page = child.output_and_code(3);
    assert!(page.contains("interrupted before its time"), "{page}");
    assert!(page.contains("<td>under way at the end</td><td>2</td>"), "{page}");
    assert_well_formed(&page);
}

#[test]
fn the_checks_find_what_they_look_for() {
    for broken in ["<p>", "<p></q>", "<b><i></b></i>", "<p>a & b</p>", "<p class=\"x></p>"] {
        let broken = broken.to_owned();
        assert!(std::panic::catch_unwind(|| assert_well_formed(&broken)).is_err(), "{broken}");
    }
    assert_well_formed("<!DOCTYPE html>\n<p>a &amp; b<br/></p>");
}
