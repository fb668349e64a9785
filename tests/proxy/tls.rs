//! Sites with certificates of their own, over HTTP/1.1 and HTTP/2.

use crate::{
    PLAIN, Stage,
    support::{
        http2,
        raw::Backend,
        tls::{Site, Special, Tls},
    },
    upstream,
};
use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

/// Two sites with a certificate each, and a listener without TLS before that with it.
fn config(certificates: [&Site; 2], backends: [&Backend; 2]) -> String {
    let site = |name: &str, site: &Site| {
        format!(
            "[[site]]\nhosts = [\"{name}.test\", \"*.{name}.test\"]\ncertificate = \"{}\"\nkey = \"{}\"\nupstream = \"{name}\"\n",
            site.certificate.display(),
            site.key.display()
        )
    };
    [
        PLAIN,
        PLAIN.trim_end(),
        "\ntls = true\n",
        &site("a", certificates[0]),
        &site("b", certificates[1]),
        &upstream("a", &backends[0].name()),
        &upstream("b", &backends[1].name()),
    ]
    .concat()
}

#[test]
fn each_site_shows_its_certificate_and_answers_for_its_hosts_alone() {
    let sites = [Site::new(&["a.test", "*.a.test"]), Site::new(&["b.test", "*.b.test"])];
    let backends = [Backend::saying("a"), Backend::saying("b")];
    let stage = Stage::new(&config([&sites[0], &sites[1]], [&backends[0], &backends[1]]), 2);
    for (name, body) in [("a.test", "a"), ("x.a.test", "a"), ("b.test", "b"), ("y.b.test", "b")] {
        // The client verifies the name.
        let mut client = Tls::open(stage.proxy.tls_address(), name);
        assert_eq!(client.get("/", name).body, body.as_bytes(), "{name}");
        let mut client = http2::Client::over_tls(stage.proxy.tls_address(), name);
        let stream = client.begin_at(name, "GET", "/", &[], true);
        assert_eq!(client.answer(stream).text(), body, "{name}");
    }
    // The client has seen the certificate of another site: RFC 9110 §7.4.
    let mut client = Tls::open(stage.proxy.tls_address(), "a.test");
    assert_eq!(client.get("/", "b.test").status(), 421);
    stage.proxy.wait_for_stderr("failure=\"host not covered by the certificate\"");
    // Without TLS, both are there, too.
    assert_eq!((stage.body("a.test", "/").as_str(), stage.body("b.test", "/").as_str()), ("a", "b"));
    stage.proxy.wait_for_stderr("sni=a.test");
}

#[test]
fn a_certificate_that_was_renewed_is_taken_on_sighup() {
    let sites = [Site::new(&["a.test"]), Site::new(&["b.test"])];
    let backends = [Backend::saying("a"), Backend::saying("b")];
    let stage = Stage::new(&config([&sites[0], &sites[1]], [&backends[0], &backends[1]]), 2);
    sites[1].renew(&["b.test", "new.b.test"], Special::default());
    stage.proxy.signal("HUP");
    stage.proxy.wait_for_stderr("new.b.test");
    let mut client = Tls::open(stage.proxy.tls_address(), "new.b.test");
    assert_eq!(client.get("/", "new.b.test").body, b"b");
}

/// A redirect to a host of the client's choice would be this proxy's word for a place that it knows nothing of.
#[test]
fn a_host_that_no_site_has_is_not_redirected_to_itself() {
    let sites = [Site::new(&["a.test", "*.a.test"]), Site::new(&["b.test", "*.b.test"])];
    let backends = [Backend::saying("a"), Backend::saying("b")];
    let config = config([&sites[0], &sites[1]], [&backends[0], &backends[1]]);
    let stage = Stage::new(&format!("{config}[tls]\nredirect-https = 443\n"), 2);
    for (host, status, location) in [
        ("a.test", 308, Some("https://a.test/x")),
        ("x.b.test", 308, Some("https://x.b.test/x")),
        ("evil.test", 421, None),
    ] {
        let answer = stage.get(host, "/x");
        assert_eq!((answer.status(), answer.field("location")), (status, location), "{host}");
    }
}

#[test]
fn a_warning_about_a_file_names_its_place() {
    let sites = [Site::new(&["a.test", "*.a.test"]), Site::new(&["b.test", "*.b.test"])];
    fs::set_permissions(&sites[0].key, fs::Permissions::from_mode(0o644)).unwrap();
    let backends = [Backend::saying("a"), Backend::saying("b")];
    let config = config([&sites[0], &sites[1]], [&backends[0], &backends[1]]);
    let mut stage = Stage::new(&config, 2);
    let warning = format!("proxy.toml:9:7: {}: other users can read this file", sites[0].key.display());
    stage.wait_for(&warning, 1);
    stage.reload(&config);
    stage.wait_for(&warning, 2);
    // The thread that looks whether files have changed says it in the same way.
    let an_hour = Duration::from_secs(3600);
    sites[1].renew(&["b.test", "*.b.test"], Special { past: Some((2 * an_hour, an_hour)), ..Special::default() });
    stage.wait_for("; the certificates from before stay in use", 1);
    let said = stage.proxy.stderr();
    let line = said.lines().find(|line| line.contains("stay in use")).unwrap();
    let at = format!("proxy.toml:13:15: {}: the certificate has expired on ", sites[1].certificate.display());
    assert!(line.contains(&at) && line.contains("add `tls.allow-expired`") && !line.contains("--"), "{line}");
}
