//! No way to this machine, however it is asked for.

use crate::{
    connect, errors, get, guarded, open, port,
    support::raw::{Backend, Conn},
};

/// Hosts that lead to this machine, or might.
const HERE: &[(&str, u16)] = &[
    ("127.0.0.1", 403),
    ("127.255.255.254", 403),
    ("0.0.0.0", 403),
    ("localhost", 403),
    ("LocalHost", 403),
    ("localhost.", 403),
    ("[::1]", 403),
    ("[::]", 403),
    ("[0:0:0:0:0:0:0:1]", 403),
    ("[::ffff:127.0.0.1]", 403),
    ("[::ffff:7f00:1]", 403),
    ("[::127.0.0.1]", 403),
    ("[64:ff9b::7f00:1]", 403),
    ("[64:ff9b:1::7f00:1]", 403),
    ("[2002:7f00:1::]", 403),
    ("[2001:0:808:808::80ff:fffe]", 403),
    ("[fe80::1]", 403),
    ("[fd00::1]", 403),
    ("169.254.169.254", 403),
    ("10.0.0.1", 403),
    ("192.168.0.1", 403),
    ("255.255.255.255", 403),
    ("224.0.0.1", 403),
    ("127.1", 400),
    ("127.0.1", 400),
    ("0", 400),
    ("2130706433", 400),
    ("017700000001", 400),
    ("0177.0.0.1", 400),
    ("0x7f000001", 400),
    ("0x7f.0x0.0x0.0x1", 400),
    ("127.0.0.1.", 400),
    ("127.0.0.01", 400),
    ("%31%32%37.0.0.1", 400),
    ("127.0.0.1%00.example", 400),
    ("localhost%2e", 400),
    ("[::1%25lo]", 400),
    ("[::1%lo]", 400),
];

#[test]
fn no_spelling_of_an_address_leads_to_this_machine() {
    let backend = Backend::saying("x");
    let port = port(&backend);
    let proxy = guarded(&["--connect-port", &port]);
    for (host, status) in HERE {
        let server = format!("{host}:{port}");
        for request in [get(&server, "/"), connect(&server)] {
            let answer = Conn::open(proxy.address()).ask(&request);
            assert_eq!(answer.status(), *status, "{request:?} {answer}");
            // A client learns the rule, and no address.
            assert!(!String::from_utf8_lossy(&answer.body).contains("127.0.0.1"), "{answer}");
        }
    }
    assert_eq!(backend.connections(), 0);
    assert!(errors(&proxy, "loopback address") > 10 && errors(&proxy, "link-local address") > 2);
}

#[test]
fn a_flag_opens_one_network_and_no_more() {
    let backend = Backend::saying("x");
    let port = port(&backend);
    let proxy = open(&["--deny", "127.0.0.2"]);
    for (host, status) in [
        ("127.0.0.1", 200),
        ("[::ffff:127.0.0.1]", 200),
        ("localhost", 200),
        ("127.0.0.2", 403),
        ("127.0.0.3", 403),
        ("[::1]", 403),
        ("10.0.0.1", 403),
    ] {
        let answer = Conn::open(proxy.address()).ask(&get(&format!("{host}:{port}"), "/"));
        assert_eq!(answer.status(), status, "{host} {answer}");
    }
    assert_eq!((errors(&proxy, "denied address"), errors(&proxy, "loopback address")), (1, 2));
    // All of IPv4 is no word about the loopback.
    let proxy = guarded(&["--allow", "0.0.0.0/0", "--allow", "::/0"]);
    assert_eq!(Conn::open(proxy.address()).ask(&get(&backend.name(), "/")).status(), 403);
}

#[test]
fn ports_of_other_services_are_closed() {
    let proxy = open(&["--connect-port", "443", "--connect-port", "8443"]);
    for (request, status) in [
        (connect("127.0.0.1:22"), 403),
        (connect("127.0.0.1:25"), 403),
        (connect("127.0.0.1:80"), 403),
        (connect("127.0.0.1:8080"), 403),
        (get("127.0.0.1:22", "/"), 403),
        (get("127.0.0.1:443", "/"), 403),
        (get("127.0.0.1:1023", "/"), 403),
    ] {
        assert_eq!(Conn::open(proxy.address()).ask(&request).status(), status, "{request:?}");
    }
    assert_eq!(errors(&proxy, "port out of bounds"), 7);
}

/// The system knows the name `localhost`, and no other is asked for here.
#[test]
fn rules_by_name_stand_beside_those_for_addresses() {
    let backend = Backend::saying("x");
    let port = port(&backend);
    let at = |host: &str| format!("{host}:{port}");
    for (flags, host, status) in [
        // The operator names the server, so its address may be this machine's.
        (&["--allow", "localhost"][..], "LocalHost.", 200),
        (&["--allow", "localhost"], "127.0.0.1", 403),
        (&["--allow", "localhost", "--deny", "127.0.0.0/8", "--deny", "::1"], "localhost", 403),
        (&["--allow", "127.0.0.1", "--allow", "::1", "--deny", "localhost"], "localhost", 403),
        (&["--allow", "127.0.0.1", "--deny", "localhost"], "127.0.0.1", 200),
        (&["--allow", "127.0.0.1", "--deny", "*.example"], "www.example", 403),
        // Only what is named.
        (&["--deny", "*", "--allow", "localhost"], "localhost", 200),
        (&["--deny", "*", "--allow", "localhost"], "www.example", 403),
        (&["--deny", "*", "--allow", "localhost"], "203.0.113.1", 403),
        (&["--deny", "*", "--allow", "127.0.0.1"], "127.0.0.1", 200),
        (&["--deny", "*", "--allow", "127.0.0.1"], "localhost", 403),
    ] {
        let proxy = guarded(&[&["--connect-port", &port], flags].concat());
        let answer = Conn::open(proxy.address()).ask(&get(&at(host), "/"));
        assert_eq!(answer.status(), status, "{flags:?} {host} {answer}");
        let mut client = Conn::open(proxy.address());
        client.send(connect(&at(host)));
        assert_eq!(client.read_head()[0].split(' ').nth(1), Some(&*status.to_string()), "{flags:?} {host}");
    }
}
