//! Targets that name a file in an unusual way, and those that try to leave the root.

use super::{fetch, served};
use crate::{
    checks::http::refused,
    problem::Problem,
    stage::Stage,
    web::{Wanted, get},
    web_subject::Web,
};

pub(super) fn names(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    for name in [
        "with space.txt",
        "caf\u{e9}.txt",
        "100%.txt",
        "%41.txt",
        "A.txt",
        "a+b.txt",
        "a;b=c.txt",
        "..dots..",
        "deep/q?.txt",
    ] {
        site.write(name, format!("content of {name}\n").as_bytes())?;
    }
    for (target, name, what) in [
        ("/with%20space.txt", "with space.txt", "%20 is a space"),
        ("/caf%C3%A9.txt", "caf\u{e9}.txt", "a letter of two bytes"),
        ("/caf%c3%a9.txt", "caf\u{e9}.txt", "hexadecimal in small letters"),
        ("/%41.txt", "A.txt", "%41 is A"),
        ("/100%25.txt", "100%.txt", "%25 is the sign itself"),
        ("/%2541.txt", "%41.txt", "what was decoded is not decoded again"),
        ("/a+b.txt", "a+b.txt", "a plus in a path is a plus"),
        ("/a;b=c.txt", "a;b=c.txt", "a semicolon is a part of the name"),
        ("/..dots..", "..dots..", "dots within a name are harmless"),
        ("/deep%2Fq%3F.txt", "deep/q?.txt", "a ? that was encoded begins no query"),
        ("/A.txt?x=1", "A.txt", "the query is no part of the name"),
        ("/A.txt?/../../x=%zz", "A.txt", "the query is not looked at"),
        ("//A.txt", "A.txt", "an empty part is nothing"),
    ] {
        let content = format!("content of {name}\n");
        let text = format!("200 with the file `{name}` for {target}: {what}");
        let web = if name.contains("..") { Web::Good } else { Web::Name };
        fetch(stage, &get(target), &Wanted::ok(content.as_bytes(), &text), web)?;
    }
    for (target, statuses) in [
        ("/%", &[400][..]),
        ("/A.txt%", &[400]),
        ("/%4", &[400]),
        ("/%zz", &[400]),
        ("/%+41.txt", &[400]),
        ("/%4\u{e9}", &[400]),
        // Their names can be decoded, and are no text or have a byte 0: there is no such file.
        ("/caf%E9.txt", &[400, 404]),
        ("/%ff%fe", &[400, 404]),
        ("/A.txt%00", &[400, 404]),
        ("/A.txt%00.png", &[400, 404]),
    ] {
        refused(stage, &get(target), statuses, &format!("the target {target}"), Web::BadEscape)?;
    }
    Ok(())
}

pub(super) fn traversal(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    let above = site.above();
    let absolute = above.trim_start_matches('/');
    let encoded = absolute.replace('/', "%2f");
    for target in [
        "/../secret.txt".to_owned(),
        "/deep/../../secret.txt".to_owned(),
        "/deep/er/../../../secret.txt".to_owned(),
        "/nothing/../../secret.txt".to_owned(),
        "/./.././secret.txt".to_owned(),
        "/..//secret.txt".to_owned(),
        "../secret.txt".to_owned(),
        "/..%2fsecret.txt".to_owned(),
        "/..%2Fsecret.txt".to_owned(),
        "/%2e%2e/secret.txt".to_owned(),
        "/%2E%2E%2Fsecret.txt".to_owned(),
        "/.%2e/secret.txt".to_owned(),
        "/%2e./secret.txt".to_owned(),
        "/deep%2f%2e%2e%2f%2e%2e%2fsecret.txt".to_owned(),
        "/%252e%252e/secret.txt".to_owned(),
        "/..%252fsecret.txt".to_owned(),
        "/..../secret.txt".to_owned(),
        "/....//secret.txt".to_owned(),
        "/..;/secret.txt".to_owned(),
        "/../www-private/key.txt".to_owned(),
        "/%2e%2e/www-private/key.txt".to_owned(),
        format!("/{absolute}/secret.txt"),
        format!("//{absolute}/secret.txt"),
        format!("/%2f{absolute}/secret.txt"),
        format!("/%2f{encoded}%2fsecret.txt"),
        "/way-out.txt".to_owned(),
        "/up/secret.txt".to_owned(),
        "/up/www-private/key.txt".to_owned(),
    ] {
        let text = format!("404 (or 400, 403) for {target}: that file is not below the root");
        fetch(stage, &get(&target), &Wanted::status(&[404, 400, 403], &text), Web::Traversal)?;
    }
    fetch(stage, &get("/hello.txt"), &Wanted::ok(site.hello(), "200: hello.txt is below it"), Web::Good)?;
    Ok(())
}
