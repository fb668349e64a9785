//! Changes to heads: what servers and clients see of them, and what the cache does.

use crate::{
    PLAIN, Stage,
    support::{
        http2,
        raw::{Backend, Conn},
        wire::Message,
    },
    upstream,
};

/// A server whose pages may be stored, and a site that changes heads: on `/plain` alone it changes nothing.
fn stage() -> (Stage, Backend) {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: X-Env, Accept-Language\r\nETag: \"1\"\r\nServer: secret\r\n\
         X-Frame-Options: ALLOWALL\r\nConnection: X-Frame-Options\r\nContent-Length: 4\r\n\r\npage"
            .to_owned(),
    );
    let config = format!(
        "{PLAIN}[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\n\
         request-headers = {{ remove = [\"Accept-Language\"], set = {{ X-Env = \"prod\" }}, add = {{ X-Hop = [\"1\", \"2\"] }} }}\n\
         response-headers = {{ remove = [\"Server\"], set = {{ X-Frame-Options = \"DENY\" }}, add = {{ Set-Cookie = \"a=b\" }} }}\n\
         [[site.route]]\npath = \"/fixed\"\nrespond = {{ status = 200, body = \"{{}}\", type = \"application/json\" }}\n\
         [[site.route]]\npath = \"/typed\"\nrespond = 404\nresponse-headers = {{ set = {{ Content-Type = \"text/html\" }} }}\n\
         [[site.route]]\npath = \"/away\"\nredirect = {{ to = \"https://{{host}}/{{rest}}{{query}}\", status = 303 }}\n\
         [[site.route]]\npath = \"/broken\"\nupstream = \"dead\"\n\
         [[site]]\nhosts = [\"b.test\"]\nupstream = \"web\"\n{}{}retries = 0\n",
        upstream("web", &backend.name()),
        upstream("dead", "127.0.0.1:1"),
    );
    (Stage::new(&config, 1), backend)
}

/// The values of a field.
fn lines(message: &Message, name: &str) -> Vec<String> {
    message.head.as_ref().unwrap().all(name).map(str::to_owned).collect()
}

fn ask(stage: &Stage, host: &str, target: &str, more: &str) -> Message {
    Conn::open(stage.proxy.address()).ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"))
}

#[test]
fn a_server_sees_the_fields_of_the_file() {
    let (stage, backend) = stage();
    // A client that lists a field in Connection takes nothing of the file away.
    ask(
        &stage,
        "a.test",
        "/",
        "X-Env: mine\r\nx-env: too\r\nX_Env: three\r\nX-Hop: 0\r\nAccept-Language: de\r\nAccept_Language: de\r\n\
         Connection: X-Env, X-Hop\r\n",
    );
    ask(&stage, "b.test", "/", "X-Env: mine\r\nAccept-Language: de\r\n");
    let requests = backend.requests();
    assert_eq!(lines(&requests[0], "x-env"), ["prod"]);
    assert_eq!((lines(&requests[0], "x_env"), lines(&requests[0], "accept_language")), (Vec::new(), Vec::new()));
    assert_eq!(lines(&requests[0], "x-hop"), ["1", "2"]);
    assert_eq!(lines(&requests[0], "accept-language"), Vec::<String>::new());
    assert_eq!(
        (lines(&requests[1], "x-env"), lines(&requests[1], "accept-language")),
        (vec!["mine".into()], vec!["de".into()])
    );
    assert_eq!(lines(&requests[1], "x-hop"), Vec::<String>::new());
}

#[test]
fn the_cache_knows_the_request_as_the_server_does() {
    let (stage, backend) = stage();
    for language in ["de", "en", "fr"] {
        ask(&stage, "a.test", "/", &format!("Accept-Language: {language}\r\nX-Env: {language}\r\n"));
    }
    assert_eq!(backend.requests().len(), 1);
    for language in ["de", "en", "fr"] {
        ask(&stage, "b.test", "/", &format!("Accept-Language: {language}\r\n"));
    }
    assert_eq!(backend.requests().len(), 4);
}

#[test]
fn a_client_sees_the_fields_of_the_file_on_every_answer() {
    let (stage, _backend) = stage();
    let cases = [
        ("/", "", 200),
        ("/", "", 200),
        ("/", "If-None-Match: \"1\"\r\n", 304),
        ("/", "Range: bytes=1-2\r\n", 206),
        ("/fixed", "", 200),
        ("/away/x?y", "", 303),
        ("/broken", "", 502),
    ];
    for (target, more, status) in cases {
        let head = ask(&stage, "a.test", target, more);
        assert_eq!(head.status(), status, "{target}");
        assert_eq!(lines(&head, "x-frame-options"), ["DENY"], "{target}");
        assert_eq!(lines(&head, "set-cookie"), ["a=b"], "{target}");
        assert_eq!(lines(&head, "server"), Vec::<String>::new(), "{target}");
    }
    let head = ask(&stage, "b.test", "/", "");
    assert_eq!(lines(&head, "server"), ["secret"]);
    assert_eq!(lines(&head, "set-cookie"), Vec::<String>::new());
}

#[test]
fn a_client_of_http2_sees_them_too() {
    let (stage, _backend) = stage();
    let mut client = http2::Client::plain(stage.proxy.address());
    for (target, status) in [("/", 200), ("/", 200), ("/fixed", 200), ("/away/x", 303), ("/broken", 502)] {
        let stream = client.begin_at("a.test", "GET", target, &[], true);
        let told = client.answer(stream);
        assert_eq!((told.status, told.field("x-frame-options")), (status, Some("DENY")), "{target}");
        assert_eq!((told.field("set-cookie"), told.field("server")), (Some("a=b"), None), "{target}");
        assert_eq!(told.fields.get_all("x-frame-options").count(), 1);
    }
}

#[test]
fn an_answer_of_the_file_has_its_type() {
    let (stage, _backend) = stage();
    let answer = stage.get("a.test", "/fixed");
    assert_eq!((answer.field("content-type"), &answer.body[..]), (Some("application/json"), &b"{}"[..]));
    let head = ask(&stage, "a.test", "/typed", "");
    assert_eq!(lines(&head, "content-type"), ["text/html"]);
    let answer = Conn::open(stage.proxy.address()).ask("HEAD /fixed HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!((answer.field("content-length"), answer.body.len()), (Some("2"), 0));
}

#[test]
fn a_redirect_has_parts_of_the_request_and_leads_to_no_other_host() {
    let (stage, _backend) = stage();
    for (target, location) in [
        ("/away/x?y=1", "https://a.test/x?y=1"),
        ("/away", "https://a.test/"),
        ("/away//evil.test/x", "https://a.test//evil.test/x"),
        ("http://a.test:80/away/x", "https://a.test/x"),
    ] {
        let answer = stage.get("a.test", target);
        // A path with an empty part has several readings, but all of them lead to this route.
        assert_eq!((answer.status(), answer.field("location")), (303, Some(location)), "{target}");
    }
}
