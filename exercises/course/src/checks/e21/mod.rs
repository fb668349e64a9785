//! Exercise 21, a file server.

mod crowd;
mod paths;
mod site;

use crate::{
    catalog::Check,
    checks::{
        http::{about, asks, ends_without_reset, flat, refused, with_unread},
        standing, working,
    },
    fault::{Manner, OVERSIZE, WRONG_PROTOCOLS, cuts},
    problem::{Problem, Resource, Topic},
    stage::Stage,
    student::Limits,
    web::{self, Answer, Wanted, get},
    web_subject::Web,
};
use site::Site;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "a-file", promise: "a file comes with its length and its bytes, then the end", run: a_file },
    Check { name: "lengths", promise: "the length is that of the bytes, whatever they are", run: lengths },
    Check { name: "types", promise: "the type follows from the end of the name", run: types },
    Check { name: "pieces", promise: "a request may be cut anywhere, and come byte by byte", run: pieces },
    Check { name: "head", promise: "the answer to HEAD is that to GET without its content", run: head },
    Check { name: "not-found", promise: "404 for all that is no plain file, and no wait for it", run: not_found },
    Check { name: "names", promise: "paths are decoded once, and the query is not a part of them", run: paths::names },
    Check { name: "bad-requests", promise: "400 for what is no request", run: bad_requests },
    Check {
        name: "other-methods",
        promise: "405 with Allow for what is neither GET nor HEAD, and it arrives",
        run: methods,
    },
    Check { name: "traversal", promise: "no path leads out of the root, however it is spelled", run: paths::traversal },
    Check { name: "long-heads", promise: "a head of more than 8,192 bytes is refused, and not kept", run: long_heads },
    Check {
        name: "a-slow-reader",
        promise: "8 MiB arrive whole, cost no memory, and keep nobody waiting",
        run: crowd::slow_reader,
    },
    Check {
        name: "sixteen-at-once",
        promise: "sixteen are served at once by as many threads, the next ones wait",
        run: crowd::sixteen,
    },
    Check {
        name: "breaks-off",
        promise: "a client that breaks off ends itself and not the server",
        run: crowd::breaks_off,
    },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

/// A server for `site`.
fn serve(stage: &mut Stage, site: &Site) -> Result<(), Problem> {
    stage.serve_with(crate::process::ANY, &["--root", site.root()], Limits::default()).map(drop)
}

/// A site, and a server for it.
fn served(stage: &mut Stage) -> Result<Site, Problem> {
    let site = Site::new(stage)?;
    serve(stage, &site)?;
    Ok(site)
}

/// One request on a connection of its own: this answer, then the end.
fn fetch(stage: &mut Stage, request: &[u8], wanted: &Wanted<'_>, web: Web) -> Result<Answer, Problem> {
    let mut client = stage.connect()?;
    let answer = asks(&mut client, request, wanted, web)?;
    let after = if wanted.to_head { Web::AfterHead } else { Web::AfterAnswer };
    client.expect_end("then the end: one request a connection").map_err(about(after))?;
    client.close();
    Ok(answer)
}

fn a_file(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    fetch(stage, &get("/hello.txt"), &Wanted::ok(site.hello(), "200 with the 14 bytes of hello.txt"), Web::Good)?;
    for path in ["/", "/deep/", "/deep/er/page.html", "/index.html"] {
        let content = format!("<p>{}</p>\n", if path == "/index.html" { "/" } else { path });
        fetch(stage, &get(path), &Wanted::ok(content.as_bytes(), &format!("200 with the file at {path}")), Web::Good)?;
    }
    let old = b"GET /hello.txt HTTP/1.0\r\n\r\n";
    fetch(stage, old, &Wanted::ok(site.hello(), "200: HTTP/1.0 is understood, too"), Web::Good)?;
    // It sends nothing more, and still reads.
    let mut client = stage.connect()?;
    client.send(&get("/hello.txt"))?;
    client.finish();
    let wanted = "200 with hello.txt, although the client has sent its FIN";
    client.expect_reply(&Wanted::ok(site.hello(), wanted)).map_err(|problem| problem.about(Topic::HalfClosed))?;
    client.expect_end("then the end").map_err(about(Web::AfterAnswer))
}

fn lengths(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    let long = working::pattern(1_000_000);
    let binary: Vec<u8> = (0..=255u8).rev().chain(0..=255).collect();
    let rows: [(&str, &[u8]); 7] = [
        ("an empty file", b""),
        ("one byte", b"x"),
        ("a text without LF at its end", b"no end"),
        ("a text with letters of two and three bytes", "caf\u{e9}, \u{4f60}\u{597d}, na\u{ef}ve\n".as_bytes()),
        ("a text with CR LF", b"one\r\ntwo\r\n\r\nthree\n"),
        ("all bytes, 0 among them", &binary),
        ("a million bytes", &long),
    ];
    for (at, (name, content)) in rows.into_iter().enumerate() {
        let file = format!("length{at}.bin");
        site.write(&file, content)?;
        let text = format!("200 with {} bytes: {name}", content.len());
        let web = if std::str::from_utf8(content).is_err() { Web::Binary } else { Web::Good };
        fetch(stage, &get(&format!("/{file}")), &Wanted::ok(content, &text), web)?;
    }
    Ok(())
}

fn types(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    for (name, wanted) in [
        ("page.html", "text/html"),
        ("note.txt", "text/plain"),
        ("style.css", "text/css"),
        ("code.js", "text/javascript"),
        ("data.json", "application/json"),
        ("drawing.svg", "image/svg+xml"),
        ("picture.png", "image/png"),
        ("photo.jpg", "image/jpeg"),
        ("photo.jpeg", "image/jpeg"),
        ("NOTE.TXT", "text/plain"),
        ("archive.html.gz", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("a.b/README", "application/octet-stream"),
    ] {
        site.write(name, name.as_bytes())?;
        let mut client = stage.connect()?;
        let text = format!("200, and `Content-Type: {wanted}` for {name}");
        let answer = asks(&mut client, &get(&format!("/{name}")), &Wanted::ok(name.as_bytes(), &text), Web::Good)?;
        let told = web::field(&answer.head, "Content-Type").unwrap_or_default();
        if !told.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted)) {
            let expected = format!("Content-Type: {wanted}");
            let got = format!("Content-Type: {told}");
            return Err(client.complaint(&text, expected.as_bytes(), got.as_bytes()).about(Topic::Web(Web::Type)));
        }
        client.close();
    }
    Ok(())
}

fn pieces(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    let request = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
    fetch(stage, request, &Wanted::ok(site.hello(), "200: the request comes at once"), Web::Good)?;
    let mut manners = vec![(Manner::Bytewise, "byte by byte".to_owned())];
    manners.extend(cuts(stage, request.len()).into_iter().map(|at| (Manner::Cut(at), format!("cut after byte {at}"))));
    for (manner, how) in manners {
        let mut client = stage.connect()?;
        client.deliver(request, manner)?;
        let text = format!("200 with hello.txt: the request came {how}");
        client.expect_reply(&Wanted::ok(site.hello(), &text)).map_err(about(Web::Cut))?;
        client.close();
    }
    Ok(())
}

fn head(stage: &mut Stage) -> Result<(), Problem> {
    let _site = served(stage)?;
    for (path, status) in [("/hello.txt", 200), ("/", 200), ("/deep/er/page.html", 200), ("/nothing", 404)] {
        let statuses = [status];
        let got = fetch(stage, &get(path), &Wanted::status(&statuses, &format!("{status} for GET {path}")), Web::Good)?;
        let request = String::from_utf8_lossy(&get(path)).replacen("GET", "HEAD", 1).into_bytes();
        let text = format!("{status}, and the fields that GET {path} has");
        let wanted = Wanted { to_head: true, ..Wanted::status(&statuses, &text) };
        let mut client = stage.connect()?;
        let told = asks(&mut client, &request, &wanted, Web::Good)?;
        client.expect_end("then the end, and no content: it is the answer to HEAD").map_err(about(Web::AfterHead))?;
        for name in ["Content-Length", "Content-Type"] {
            let (of_get, of_head) = (web::field(&got.head, name), web::field(&told.head, name));
            // RFC 9110, section 9.3.2: they may be left out, and must not differ.
            if of_head.is_some() && of_head != of_get {
                let expected = format!("{name}: {}\r\n", of_get.unwrap_or_default());
                let problem = client.complaint(&text, expected.as_bytes(), &told.head);
                return Err(problem.about(Topic::Web(Web::HeadDiffers)));
            }
        }
    }
    Ok(())
}

fn not_found(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    site.pipe("pipe.txt")?;
    for (path, name) in [
        ("/nothing.txt", "there is no such file"),
        ("/nothing/at/all", "there is no such directory"),
        ("/hello", "a name is not its beginning"),
        ("/HELLO.TXT", "a name in other letters is another name"),
    ] {
        fetch(stage, &get(path), &Wanted::status(&[404], &format!("404: {name}")), Web::Good)?;
    }
    for (path, name) in [
        ("/empty/", "a directory without index.html"),
        ("/empty", "a directory without index.html, named without /"),
        ("/index.d/", "a directory whose index.html is a directory"),
        ("/pipe.txt", "a named pipe: to open it waits for its other end"),
    ] {
        fetch(stage, &get(path), &Wanted::status(&[404], &format!("404: {name}")), Web::NotPlain)?;
    }
    fetch(stage, &get("/hello.txt"), &Wanted::ok(site.hello(), "200: hello.txt is still there"), Web::Good)?;
    Ok(())
}

fn bad_requests(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    let rows: &[(&str, &[u8])] = &[
        ("a method alone", b"GET"),
        ("no version", b"GET /hello.txt"),
        ("four parts", b"GET /hello.txt /hello.txt HTTP/1.1"),
        ("another protocol", b"GET /hello.txt GOPHER/1.1"),
        ("a version that is none", b"GET /hello.txt HTTP/x"),
        ("a target that is no path", b"GET hello.txt HTTP/1.1"),
        ("an empty request line", b""),
        ("bytes that are no text", b"GET /\xff\xfe HTTP/1.1 \xff"),
        ("TLS", WRONG_PROTOCOLS[0].1),
    ];
    for (name, line) in rows {
        let request = [line, &b"\r\nHost: a\r\n\r\n"[..]].concat();
        refused(stage, &request, &[400, 505], name, Web::Syntax)?;
    }
    fetch(stage, &get("/hello.txt"), &Wanted::ok(site.hello(), "200: a good request after bad ones"), Web::Good)?;
    Ok(())
}

fn methods(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    for (method, path) in [
        ("POST", "/hello.txt"),
        ("PUT", "/new.txt"),
        ("DELETE", "/hello.txt"),
        ("OPTIONS", "/"),
        ("BREW", "/nothing"),
        ("GETS", "/"),
        // Methods are the same in one case of letters only.
        ("get", "/hello.txt"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        let mut client = stage.connect()?;
        let text = format!("405 with `Allow: GET, HEAD` for {method} {path}");
        let answer = asks(&mut client, request.as_bytes(), &Wanted::status(&[405], &text), Web::Method)?;
        let allow = web::field(&answer.head, "Allow").unwrap_or_default();
        let allowed: Vec<&str> = allow.split(',').map(str::trim).collect();
        if !["GET", "HEAD"].iter().all(|method| allowed.contains(method)) {
            let problem = client.complaint(&text, b"Allow: GET, HEAD\r\n", &answer.head);
            return Err(problem.about(Topic::Web(Web::Allow)));
        }
        client.expect_end("then the end").map_err(about(Web::AfterAnswer))?;
        client.close();
    }
    // The content of this one waits unread when the answer goes out.
    let mut client = stage.connect()?;
    let head = "POST /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
    client.send(&[head.as_bytes(), &[b'x'; 200_000][..]].concat())?;
    client
        .expect_reply(&Wanted::status(&[405], "405, although 200,000 bytes came behind"))
        .map_err(about(Web::Method))?;
    client.expect_end("then FIN: unread bytes must not destroy the answer").map_err(about(Web::AfterAnswer))?;
    let mut client = stage.connect()?;
    let request = with_unread("POST /hello.txt HTTP/1.1\r\nHost: a\r\n");
    asks(&mut client, &request, &Wanted::status(&[405], "405, although 40,000 bytes came behind"), Web::Method)?;
    ends_without_reset(stage, &mut client, Web::AfterAnswer)?;
    fetch(stage, &get("/hello.txt"), &Wanted::ok(site.hello(), "200: hello.txt is still there"), Web::Good)?;
    Ok(())
}

const LONGEST_HEAD: usize = 8192;
/// The most by which the memory may grow meanwhile, in KiB.
const ROOM: u64 = 3 * 1024;

fn long_heads(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    let request = |length: usize| {
        let (before, after) = ("GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n");
        format!("{before}{}{after}", "x".repeat(length - before.len() - after.len())).into_bytes()
    };
    let wanted = Wanted::ok(site.hello(), "200: a head of 8,192 bytes, its empty line counted, is allowed");
    fetch(stage, &request(LONGEST_HEAD), &wanted, Web::AtLimit)?;
    refused(stage, &request(3 * LONGEST_HEAD), &[431], "a head of 24,576 bytes", Web::FarOver)?;
    refused(stage, &request(LONGEST_HEAD + 1), &[431], "a head of 8,193 bytes", Web::OverLimit)?;
    let before = stage.amount(Resource::Memory);
    let mut client = stage.connect()?;
    let endless = [b"GET /".to_vec(), stage.payload(OVERSIZE)].concat();
    asks(&mut client, &endless, &Wanted::status(&[431, 414], "431: a head without end"), Web::Endless)?;
    flat(stage, before, ROOM, "that nothing is kept of a head without end", Web::Endless)
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let _site = served(stage)?;
    let visit =
        |stage: &mut Stage| fetch(stage, &get("/hello.txt"), &Wanted::status(&[200], "200"), Web::Good).map(drop);
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..40 {
            fetch(stage, &get("/hello.txt"), &Wanted::status(&[200], "200"), Web::Good)?;
            fetch(stage, &get("/nothing"), &Wanted::status(&[404], "404"), Web::Good)?;
            stage.connect()?.close();
        }
        Ok(())
    })
}
