//! TLS with servers: each upstream has its own roots, and its own certificate to show.

use crate::{
    PLAIN, Stage,
    support::{
        raw::Backend,
        tls::{Special, authority, pair, pem_of, stranger},
        tls_backend::{TlsBackend, config_asking, config_with, file},
    },
    upstream,
};
use rustls::version;
use std::path::Path;
use tempfile::NamedTempFile;

fn path(file: &NamedTempFile) -> String {
    file.path().display().to_string()
}

/// An upstream of one server over TLS.
fn secured(name: &str, server: &TlsBackend, tls: &str) -> String {
    let spec = server.spec("b.test");
    let (address, _) = spec.split_once(',').unwrap();
    format!(
        "[upstream.{name}]\nservers = [{{ address = \"{address}\", name = \"b.test\" }}]\nhealth = {{ probes = false }}\nretries = 0\n\
         [upstream.{name}.backend-tls]\n{tls}\n"
    )
}

fn site(host: &str) -> String {
    format!("[[site]]\nhosts = [\"{host}.test\"]\nupstream = \"{host}\"\n")
}

#[test]
fn each_upstream_has_its_own_roots_certificate_and_version() {
    let (certificate, key) = pair(&[], Special::default());
    let shown = (file(&pem_of("CERTIFICATE", &certificate)), file(&pem_of("PRIVATE KEY", key.secret_der())));
    let (ours, others) = (file(&authority()), file(&stranger()));
    let asking = TlsBackend::saying(config_asking(&[&version::TLS13], &["b.test"]), "asking");
    let old = TlsBackend::saying(config_with(&[&version::TLS12], &["b.test"], Special::default()), "old");
    let plain = Backend::saying("plain");
    let root = |file: &NamedTempFile| format!("ca = \"{}\"\n", path(file));
    let own = format!("certificate = \"{}\"\nkey = \"{}\"\n", path(&shown.0), path(&shown.1));
    let names = ["known", "silent", "stranger", "old", "new", "plain"];
    let config = [
        PLAIN.to_owned(),
        names.map(site).concat(),
        secured("known", &asking, &(root(&ours) + &own)),
        secured("silent", &asking, &root(&ours)),
        secured("stranger", &asking, &(root(&others) + &own)),
        secured("old", &old, &root(&ours)),
        secured("new", &old, &(root(&ours) + "min = \"1.3\"\n")),
        upstream("plain", &plain.name()),
    ];
    let stage = Stage::new(&config.concat(), 1);
    for (name, status, body) in [
        ("known", 200, "asking"),
        ("silent", 502, ""),
        ("stranger", 502, ""),
        ("old", 200, "old"),
        ("new", 502, ""),
        ("plain", 200, "plain"),
        ("known", 200, "asking"),
    ] {
        let answer = stage.get(&format!("{name}.test"), "/");
        assert_eq!(answer.status(), status, "{name}");
        assert!(status == 502 || answer.body == body.as_bytes(), "{name}");
    }
    stage.proxy.wait_for_stderr("failure=\"backend certificate with a wrong signature\"");
}

#[test]
fn a_file_that_is_wrong_is_told_with_its_upstream() {
    let server = TlsBackend::saying(config_with(&[&version::TLS13], &["b.test"], Special::default()), "b");
    let folder = tempfile::tempdir().unwrap();
    let check = |tls: &str| {
        let file = folder.path().join("proxy.toml");
        std::fs::write(&file, [PLAIN, &site("web"), &secured("web", &server, tls)].concat()).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_proxy"));
        let ended = command.args(["--check", "--config"]).arg(&file).output().unwrap();
        assert_eq!(ended.status.code(), Some(2));
        String::from_utf8(ended.stderr).unwrap()
    };
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let trusted = file(&authority());
    let name = |path: &Path| path.display().to_string();
    for (tls, problem) in [
        ("ca = \"none.pem\"\n".to_owned(), "`backend-tls.ca` "),
        (format!("ca = \"{}\"\n", name(&empty)), "has no certificate in it"),
        (
            format!("ca = \"{}\"\ncertificate = \"none.pem\"\nkey = \"none.pem\"\n", path(&trusted)),
            "`backend-tls.certificate` ",
        ),
    ] {
        let told = check(&tls);
        assert!(told.contains("proxy.toml:1") && told.contains("upstream web: ") && told.contains(problem), "{told}");
    }
}

#[test]
fn servers_in_another_order_are_each_verified_by_their_own_name() {
    let one = TlsBackend::saying(config_with(&[&version::TLS13], &["one.test"], Special::default()), "one");
    let two = TlsBackend::saying(config_with(&[&version::TLS13], &["two.test"], Special::default()), "two");
    let trusted = file(&authority());
    let server = |server: &TlsBackend, name: &str| {
        let spec = server.spec(name);
        let (address, _) = spec.split_once(',').unwrap();
        format!("{{ address = \"{address}\", name = \"{name}\" }}")
    };
    let (one, two) = (server(&one, "one.test"), server(&two, "two.test"));
    let config = |servers: &[&str]| {
        let servers = servers.join(", ");
        let rules =
            format!("health = {{ probes = false }}\nretries = 0\nbackend-tls = {{ ca = \"{}\" }}\n", path(&trusted));
        format!("{PLAIN}{}[upstream.web]\nservers = [{servers}]\n{rules}pool = {{ requests = 1 }}\n", site("web"))
    };
    let mut stage = Stage::new(&config(&[&one, &two]), 1);
    for servers in [[&*one, &two], [&two, &one], [&one, &two]] {
        stage.reload(&config(&servers));
        for _ in 0..4 {
            assert_eq!(stage.get("web.test", "/").status(), 200, "{servers:?}");
        }
    }
}
