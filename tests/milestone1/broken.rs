//! A response that breaks off must look broken: an end that could be taken for the body's own would be a lie that caches
//! believe.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        raw::{Backend, Conn, End},
    },
};

from_milestone1! {
    over_both {
        a_backend_that_ends_in_the_body_breaks_the_clients_connection,
        a_backend_that_resets_in_the_body_breaks_the_clients_connection,
        a_client_that_goes_away_takes_the_backend_connection_with_it,
    }
    over_http2 {
        a_backend_that_dies_in_the_request_body_becomes_502,
    }
    over_tls "HTTP/2 has no clients of HTTP/1.0" {
        an_http10_client_sees_the_break_too,
    }
}

/// The beginning of a response, and whether an end of the connection would complete it.
const BEGINNINGS: [(&str, bool); 4] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcde", false),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", false),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabcde", false),
    ("HTTP/1.1 200 OK\r\n\r\nabcde", true),
];

/// How a client's connection ends after the backend sent `beginning` and went away.
fn after(milestone: &Milestone, request: &str, beginning: &str, reset: bool) -> (String, End) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send(request);
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(beginning);
    // The client has it: from here on there is nothing to answer with.
    let seen = client.read_until("abcde");
    if reset {
        upstream.reset();
    } else {
        drop(upstream);
    }
    let (rest, end) = client.read_to_end();
    (seen + &String::from_utf8_lossy(&rest), end)
}

pub(super) fn a_backend_that_ends_in_the_body_breaks_the_clients_connection(milestone: &Milestone) {
    for (beginning, _) in BEGINNINGS.iter().filter(|(_, complete)| !complete) {
        let (text, end) = after(milestone, &get("/"), beginning, false);
        assert_eq!(end, End::Reset, "{beginning:?} became {text:?}");
        assert!(!text.ends_with("0\r\n\r\n"), "{beginning:?} became {text:?}");
    }
}

pub(super) fn a_backend_that_resets_in_the_body_breaks_the_clients_connection(milestone: &Milestone) {
    for (beginning, _) in BEGINNINGS {
        let (text, end) = after(milestone, &get("/"), beginning, true);
        assert_eq!(end, End::Reset, "{beginning:?} became {text:?}");
        assert!(!text.ends_with("0\r\n\r\n"), "{beginning:?} became {text:?}");
    }
}

pub(super) fn an_http10_client_sees_the_break_too(milestone: &Milestone) {
    for (beginning, complete) in BEGINNINGS {
        for reset in [false, true] {
            let (text, end) = after(milestone, "GET / HTTP/1.0\r\n\r\n", beginning, reset);
            let expected = if complete && !reset { End::Clean } else { End::Reset };
            assert_eq!(end, expected, "{beginning:?}, reset: {reset}, became {text:?}");
        }
    }
}

pub(super) fn a_client_that_goes_away_takes_the_backend_connection_with_it(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let cases = [
        (get("/"), "", false),
        (get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcde", true),
        ("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n".to_owned(), "", true),
    ];
    for (request, beginning, ends) in cases {
        for reset in [true, false] {
            // After a whole request an end is no farewell: half-closing clients do it.
            if !reset && (!ends || request.starts_with("GET")) {
                continue;
            }
            let mut client = Conn::open(proxy.address());
            client.send(&request);
            let mut upstream = incoming.accept();
            upstream.read_head();
            upstream.send(beginning);
            if !beginning.is_empty() {
                client.read_until("abcde");
            }
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            // No client wants the rest: the backend hears so before any deadline.
            upstream.read_to_end();
        }
    }
}

fn a_backend_that_dies_in_the_request_body_becomes_502(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    for reset in [false, true] {
        let mut client = Conn::open(proxy.address());
        client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n");
        let mut upstream = incoming.accept();
        upstream.read_head();
        upstream.read_until("abcde");
        if reset {
            upstream.reset();
        } else {
            drop(upstream);
        }
        let response = client.response("POST");
        assert_eq!(response.status(), 502, "reset: {reset}");
        milestone.expect_its_end(&mut client, &response);
    }
    assert!(incoming.is_empty(), "half a body cannot be sent again");
}
