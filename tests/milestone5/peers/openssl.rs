//! OpenSSL's client: it shows of TLS what other clients hide.

use super::{Peer, Said, Scene, site};
use crate::support::{process::wait_until, shell::Shell};

const ASK: &str = "GET /item/1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";

fn openssl() -> Option<Peer> {
    Peer::find(&["openssl"], &["version"])
}

impl Scene {
    /// The arguments of every call, and those of one.
    fn s_client(&self, args: &[&str]) -> Vec<String> {
        let to = format!("127.0.0.1:{}", self.port());
        let authority = self.path("ca.pem").display().to_string();
        let all = ["s_client", "-connect", &to, "-CAfile", &authority, "-verify_return_error", "-servername"];
        all.iter().chain(args).map(|arg| (*arg).to_owned()).collect()
    }

    fn openssl(&self, peer: Peer, args: &[&str]) -> Said {
        let args = self.s_client(args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.run(peer, &[&args, &["-ign_eof"][..]].concat(), ASK)
    }
}

#[test]
fn openssl_speaks_both_versions_and_resumes() {
    let Some(openssl) = openssl() else { return };
    let scene = Scene::new(site::start(), &[]);
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = scene.openssl(openssl, &["test", version, "-sess_out", "session.pem"]);
        assert!(said.success, "{said:?}");
        said.has(&["Verify return code: 0 (ok)", &format!("New, {name}"), "HTTP/1.1 200 OK", "item 1"]);
        let said = scene.openssl(openssl, &["test", version, "-sess_in", "session.pem"]);
        said.has(&[&format!("Reused, {name}"), "HTTP/1.1 200 OK", "item 1"]);
    }
    let said = scene.openssl(openssl, &["test", "-alpn", "http/1.1,h2"]);
    said.has(&["ALPN protocol: h2"]);
}

#[test]
fn openssl_hears_why_it_is_refused() {
    let Some(openssl) = openssl() else { return };
    let scene = Scene::new(site::start(), &["--sni-strict"]);
    scene.openssl(openssl, &["other.test"]).expect_failure("unrecognized name");
    // Security level 0 lets it offer what is no longer safe.
    scene
        .openssl(openssl, &["test", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])
        .expect_failure("alert handshake failure");
    scene.stage.proxy.wait_for_stderr("failure=\"no version in common\"");
    scene.openssl(openssl, &["test", "-tls1_2", "-cipher", "AES128-SHA"]).expect_failure("alert handshake failure");
    drop(scene);
    let scene = Scene::new(site::start(), &["--client-ca", "ca.pem"]);
    scene.openssl(openssl, &["test", "-tls1_2"]).has(&["alert"]);
    let said = scene.openssl(openssl, &["test", "-cert", "client.pem", "-key", "client.key"]);
    said.has(&["Acceptable client certificate CA names", "HTTP/1.1 200 OK"]);
}

/// In a conversation, a `K` asks for other keys in both directions, and an `R` for another handshake.
#[test]
fn openssl_gets_other_keys_but_no_other_handshake() {
    let Some(openssl) = openssl() else { return };
    let scene = Scene::new(site::start(), &[]);
    let converse = |version| {
        let args = scene.s_client(&["test", version]);
        let shell = Shell::start(openssl.program, &args.iter().map(String::as_str).collect::<Vec<_>>());
        // The last line before it listens; with TLS 1.3 a ticket follows.
        shell.wait_for_stdout("Verify return code: 0 (ok)");
        shell
    };
    let mut shell = converse("-tls1_3");
    shell.line("K");
    shell.wait_for_stderr("KEYUPDATE");
    ASK.lines().for_each(|line| shell.line(&format!("{line}\r")));
    shell.wait_for_stdout("item 1");
    let mut shell = converse("-tls1_2");
    shell.line("R");
    shell.wait_for_stderr("no renegotiation");
    assert!(!shell.wait().success());
    wait_until("nothing but the request", || scene.stage.backend.requests().len() == 1);
}
