//! The program tells about files without running them.

use crate::{
    PROXY,
    support::tls::{Site, Special, pem},
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Runs it to its end: exit code, stdout, stderr.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(PROXY);
    let output = command.args(args).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const SITE: &str = "[[listen]]\naddress = \"127.0.0.1:8443\"\ntls = true\n\n[[site]]\nhosts = [\"a.test\"]\n\
                    certificate = \"site/a.pem\"\nkey = \"site/a.key\"\nupstream = \"web\"\n\n\
                    [upstream.web]\nservers = [\"127.0.0.1:3000\"]\n\n[upstream.spare]\nservers = [\"127.0.0.1:3001\"]\n";

/// A folder with a configuration and its certificate.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(&["a.test"]);
    fs::create_dir(folder.path().join("site")).unwrap();
    fs::copy(&site.certificate, folder.path().join("site/a.pem")).unwrap();
    fs::copy(&site.key, folder.path().join("site/a.key")).unwrap();
    fs::write(folder.path().join("proxy.toml"), SITE).unwrap();
    folder
}

#[test]
fn a_file_that_is_right_is_summed_up_and_what_is_odd_in_it_is_said() {
    let folder = folder();
    let (code, _, said) = run(folder.path(), &["--config", "proxy.toml", "--check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("proxy.toml is right: 1 address, 1 site, 1 route, 2 servers"), "{said}");
    assert!(said.contains("warning: proxy.toml:14:11: no route leads to upstream \"spare\""), "{said}");
    fs::write(folder.path().join("two.toml"), SITE.replace("\"a.test\"", "\"a.test\", \"b.test\"")).unwrap();
    let (code, _, said) = run(folder.path(), &["--config", "two.toml", "--check"]);
    assert_eq!((code, said.contains("site a.test: no certificate is for b.test")), (Some(0), true), "{said}");
    // Files are beside the configuration, wherever the program was started.
    let path = folder.path().join("proxy.toml");
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(run(elsewhere.path(), &["--config", path.to_str().unwrap(), "--check"]).0, Some(0));
}

#[test]
fn a_file_that_cannot_be_used_is_told_of_the_place_that_names_it() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let (_, stranger) = pem(&["a.test"], Special::default());
    let good = fs::read_to_string(path("site/a.key")).unwrap();
    for (name, content, expected) in [
        (
            "site/a.key",
            Some(stranger.as_str()),
            "proxy.toml:8:7: site/a.key: the key does not belong to the certificate",
        ),
        ("site/a.key", None, "proxy.toml:8:7: site/a.key: cannot be read: No such file"),
        ("site/a.pem", Some("nonsense"), "proxy.toml:7:15: site/a.pem: "),
        ("site/a.pem", None, "proxy.toml:7:15: site/a.pem: cannot be read"),
    ] {
        match content {
            Some(content) => fs::write(path(name), content).unwrap(),
            None => fs::remove_file(path(name)).unwrap(),
        }
        for mode in [&["--check"][..], &[]] {
            let (code, _, said) = run(folder.path(), &[&["--config", "proxy.toml"], mode].concat());
            assert_eq!(code, Some(2), "{said}");
            assert!(said.contains(expected), "{said}");
        }
        if name == "site/a.key" {
            fs::write(path(name), &good).unwrap();
        }
    }
    let (code, _, said) = run(folder.path(), &["--config", "none.toml"]);
    assert_eq!((code, said.contains("none.toml: No such file")), (Some(2), true), "{said}");
}

#[test]
fn a_file_in_another_encoding_is_told_of_its_first_wrong_byte() {
    let folder = folder();
    fs::create_dir(folder.path().join("more")).unwrap();
    fs::write(folder.path().join("more/a.toml"), b"# \xc3\xbc\n[[site]]\nhosts = [\"m\xfcller.test\"]\n").unwrap();
    fs::write(folder.path().join("users"), b"m\xfcller:x\n").unwrap();
    for (text, expected) in [
        (
            b"# caf\xe9\n".to_vec(),
            "latin.toml:1:6: the byte 0xe9 is no UTF-8 (in Latin-1 it is 'é'): save the file as UTF-8",
        ),
        (b"\xff\xfe[\0".to_vec(), "latin.toml:1:1: this file is UTF-16: save it as UTF-8"),
        (b"include = \"more/*.toml\"\n".to_vec(), "more/a.toml:3:12: the byte 0xfc is no UTF-8 (in Latin-1 it is 'ü')"),
        (
            SITE.replace("upstream = ", "auth = { users = \"users\" }\nupstream = ").into_bytes(),
            "latin.toml:9:18: users:1:2: the byte 0xfc is no UTF-8",
        ),
    ] {
        fs::write(folder.path().join("latin.toml"), text).unwrap();
        let (code, _, said) = run(folder.path(), &["--config", "latin.toml", "--check"]);
        assert_eq!((code, said.contains(expected)), (Some(2), true), "{said}");
    }
}

#[test]
fn the_files_for_a_store_are_tried_and_mean_something_with_tls_only() {
    let folder = folder();
    let site = Site::new(&["store.test"]);
    fs::copy(&site.certificate, folder.path().join("ca.pem")).unwrap();
    fs::copy(&site.certificate, folder.path().join("own.pem")).unwrap();
    fs::write(folder.path().join("own.key"), pem(&["a.test"], Special::default()).1).unwrap();
    for (keys, expected) in [
        ("store = \"rediss://h\"\nstore-ca = \"ca.pem\"", None),
        (
            "store = \"redis://h\"\nstore-ca = \"ca.pem\"",
            Some("2:12: `store-ca` means nothing here, because `store` begins with redis://"),
        ),
        ("store = \"rediss://h\"\nstore-ca = \"none.pem\"", Some("2:12: `store-ca` none.pem: cannot be read")),
        ("store = \"rediss://h\"\nstore-ca = \"proxy.toml\"", Some("2:12: `store-ca` proxy.toml: ")),
        (
            "store = \"rediss://h\"\nstore-ca = \"ca.pem\"\nstore-certificate = \"own.pem\"\nstore-key = \"own.key\"",
            Some("4:13: `store-key` own.key: the key does not belong to the certificate"),
        ),
        ("store = \"rediss://h\"\nstore-certificate = \"own.pem\"", Some("2:21: ")),
        ("store-ca = \"ca.pem\"", Some("1:12: ")),
        (
            "[cache]\nstore = \"rediss://h\"\nstore-ca = \"none.pem\"\n",
            Some("3:12: `cache.store-ca` none.pem: cannot be read"),
        ),
        (
            "[cache]\nstore = \"redis://h\"\nstore-ca = \"ca.pem\"\n",
            Some("3:12: `cache.store-ca` means nothing here, because `cache.store` begins with redis://"),
        ),
    ] {
        fs::write(folder.path().join("store.toml"), format!("{keys}\n{SITE}")).unwrap();
        let args = ["--config", "store.toml", "--check"];
        let Some(expected) = expected else {
            assert_eq!(run(folder.path(), &args).0, Some(0), "{keys}");
            continue;
        };
        // A proxy that is started with it does not begin without the store, either.
        for args in [&args[..], &args[..2]] {
            let (code, _, said) = run(folder.path(), args);
            assert_eq!((code, said.contains(&format!("store.toml:{expected}"))), (Some(2), true), "{keys}: {said}");
        }
    }
}

#[test]
fn the_printed_file_is_a_configuration() {
    let folder = folder();
    let (code, printed, said) = run(folder.path(), &["--config", "proxy.toml", "--print-config"]);
    assert_eq!(code, Some(0), "{said}");
    fs::write(folder.path().join("printed.toml"), &printed).unwrap();
    let (_, again, said) = run(folder.path(), &["--config", "printed.toml", "--print-config"]);
    assert_eq!(again, printed, "{said}");
    let (code, difference, _) = run(folder.path(), &["--diff", "proxy.toml", "printed.toml"]);
    assert_eq!((code, difference.as_str()), (Some(0), "no difference\n"));
}

#[test]
fn a_difference_is_told_in_words() {
    let folder = folder();
    let changed =
        SITE.replace("\"127.0.0.1:3000\"", "\"127.0.0.1:3000\", \"127.0.0.1:3002\"").replace("a.test", "b.test");
    fs::write(folder.path().join("new.toml"), changed).unwrap();
    let expected = "upstream web: server 127.0.0.1:3002 added\nsite b.test added: b.test\nsite a.test removed\n";
    for args in [&["--diff", "proxy.toml", "new.toml"][..], &["--config", "proxy.toml", "--diff", "new.toml"]] {
        let (code, difference, said) = run(folder.path(), args);
        assert_eq!((code, difference.as_str()), (Some(0), expected), "{said}");
    }
    let (code, _, said) = run(folder.path(), &["--diff", "proxy.toml"]);
    assert_eq!((code, said.contains("--diff OLD NEW")), (Some(2), true), "{said}");
}

#[test]
fn the_example_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/proxy.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(&["shop.test", "*.shop.test", "blog.test"]);
    fs::copy(&site.certificate, folder.path().join("shop.pem")).unwrap();
    fs::copy(&site.key, folder.path().join("shop.key")).unwrap();
    fs::write(folder.path().join("proxy.toml"), &text).unwrap();
    let (code, _, said) = run(folder.path(), &["--config", "proxy.toml", "--check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("warning: proxy.toml"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_told_of_the_place_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let site = "[[site]]\nhosts = [\"a.test\"]\nrespond = 200\n";
    for (listen, admin, place) in
        [("127.0.0.1:0".to_owned(), at.to_string(), "7:10"), (at.to_string(), "127.0.0.1:0".to_owned(), "2:11")]
    {
        let text = format!("[[listen]]\naddress = \"{listen}\"\n{site}[admin]\nlisten = \"{admin}\"\n");
        fs::write(folder.path().join("proxy.toml"), text).unwrap();
        let (code, _, said) = run(folder.path(), &["--config", "proxy.toml"]);
        let expected = format!("error: proxy.toml:{place}: port {} is in use", at.port());
        assert!(code == Some(1) && said.lines().any(|line| line.starts_with(&expected)), "{code:?} {said}");
        assert!(!said.contains("--admin"), "{said}");
    }
}
