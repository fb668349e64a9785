//! Host and path decide where a request goes, and the log says what was decided.

use crate::{
    PLAIN, Stage,
    support::{http2, raw::Backend},
    upstream,
};

/// Two sites and three upstreams, of which each says its name.
fn stage() -> (Stage, [Backend; 3]) {
    let backends = ["web", "api", "blog"].map(Backend::saying);
    let [web, api, blog] = &backends;
    let upstreams = [("web", web), ("api", api), ("blog", blog)].map(|(name, it)| upstream(name, &it.name()));
    let config = format!(
        "{PLAIN}{PLAIN}[[site]]\nname = \"shop\"\nhosts = [\"shop.test\", \"*.shop.test\"]\nupstream = \"web\"\n\
         [[site.route]]\npath = \"/api/\"\nupstream = \"api\"\n\
         [[site.route]]\npath = \"=/health\"\nrespond = {{ status = 200, body = \"fine\" }}\n\
         [[site.route]]\npath = \"/old\"\nredirect = {{ to = \"https://new.test/base/\", status = 301 }}\n\
         [[site.route]]\npath = \"=/moved\"\nredirect = {{ to = \"/here?x\", keep-path = false }}\n\
         [[site]]\nhosts = [\"blog.test\"]\n[[site.route]]\npath = \"/posts\"\nupstream = \"blog\"\n{}",
        upstreams.concat()
    );
    (Stage::new(&config, 2), backends)
}

#[test]
fn host_and_path_decide_about_the_upstream() {
    let (stage, _backends) = stage();
    for (host, target, status, body) in [
        ("shop.test", "/", 200, "web"),
        ("SHOP.test.:80", "/", 200, "web"),
        ("www.shop.test", "/apis", 200, "web"),
        ("shop.test", "/api/x?y=/../z", 200, "api"),
        ("shop.test", "http://shop.test/api/", 200, "api"),
        ("blog.test", "/posts/1", 200, "blog"),
        ("blog.test", "http://shop.test/", 200, "web"),
        ("shop.test", "/health", 200, "fine"),
        ("blog.test", "/", 404, "404 Not Found\n"),
        ("shop.test", "/x/../api/", 400, "400 Bad Request\nwrite the path without escapes, dots and empty parts\n"),
        ("shop.test", "/%61pi/", 400, "400 Bad Request\nwrite the path without escapes, dots and empty parts\n"),
        ("a.b.shop.test", "/", 421, "421 Misdirected Request\nthis server is not responsible for the host\n"),
    ] {
        let answer = stage.get(host, target);
        assert_eq!(
            (answer.status(), String::from_utf8(answer.body).unwrap().as_str()),
            (status, body),
            "{host} {target}"
        );
    }
    for line in [
        "site=\"shop\" route=\"/\" upstream=\"web\"",
        "site=\"shop\" route=\"/api/\" upstream=\"api\"",
        "site=\"shop\" route=\"=/health\" upstream=\"-\"",
        "failure=\"no route for the path\"",
        "failure=\"path of several readings\"",
        "site=\"-\" route=\"-\" upstream=\"-\"",
        "failure=\"no site for the host\"",
    ] {
        stage.proxy.wait_for_stderr(line);
    }
}

#[test]
fn a_route_redirects_with_the_rest_of_the_request_or_without() {
    let (stage, _backends) = stage();
    let answer = stage.get("shop.test", "/old/page?q=1");
    assert_eq!((answer.status(), answer.field("location")), (301, Some("https://new.test/base/old/page?q=1")));
    let answer = stage.get("shop.test", "/moved?q=1");
    assert_eq!((answer.status(), answer.field("location")), (308, Some("/here?x")));
    stage.proxy.wait_for_stderr("failure=\"answered by its route\"");
}

#[test]
fn each_listener_serves_all_sites() {
    let (mut stage, _backends) = stage();
    stage.proxy.ready.swap(0, 1);
    assert_eq!(stage.body("blog.test", "/posts"), "blog");
    assert_eq!(stage.body("shop.test", "/"), "web");
}

#[test]
fn requests_of_one_connection_go_each_its_own_way() {
    let (stage, _backends) = stage();
    let mut conn = crate::support::raw::Conn::open(stage.proxy.address());
    for (host, target, body) in
        [("shop.test", "/", "web"), ("blog.test", "/posts", "blog"), ("shop.test", "/api/", "api")]
    {
        let answer = conn.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.body, body.as_bytes());
    }
    let mut client = http2::Client::plain(stage.proxy.address());
    for (host, target, status, body) in [
        ("shop.test", "/", 200, "web"),
        ("blog.test", "/posts", 200, "blog"),
        ("shop.test", "/api/", 200, "api"),
        ("x.test", "/", 421, "421"),
    ] {
        let stream = client.begin_at(host, "GET", target, &[], true);
        let told = client.answer(stream);
        assert_eq!(told.status, status, "{host}");
        assert!(told.text().starts_with(body), "{}", told.text());
    }
}

#[test]
fn a_default_site_takes_other_hosts_and_none() {
    let (known, other) = (Backend::saying("known"), Backend::saying("other"));
    let config = format!(
        "{PLAIN}[[site]]\nhosts = [\"a.test\"]\nupstream = \"known\"\n[[site]]\ndefault = true\nupstream = \"other\"\n{}{}",
        upstream("known", &known.name()),
        upstream("other", &other.name())
    );
    let stage = Stage::new(&config, 1);
    assert_eq!((stage.body("a.test", "/").as_str(), stage.body("b.test", "/").as_str()), ("known", "other"));
    let answer = crate::support::raw::Conn::open(stage.proxy.address()).ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(answer.body, b"other");
}

#[test]
fn the_cache_does_not_mix_sites() {
    let page = |text: &str| {
        Backend::answering(format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ))
    };
    let (a, b) = (page("a"), page("b"));
    let config = format!(
        "{PLAIN}[[site]]\nhosts = [\"a.test\"]\nupstream = \"a\"\n[[site]]\nhosts = [\"b.test\"]\nupstream = \"b\"\n{}{}",
        upstream("a", &a.name()),
        upstream("b", &b.name())
    );
    let stage = Stage::new(&config, 1);
    for _ in 0..3 {
        assert_eq!((stage.body("a.test", "/").as_str(), stage.body("b.test", "/").as_str()), ("a", "b"));
    }
    assert_eq!((a.requests().len(), b.requests().len()), (1, 1));
    assert!(stage.get("a.test", "/").field("cache-status").unwrap().contains("hit"));
}
