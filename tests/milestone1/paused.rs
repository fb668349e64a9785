//! A backend is not read while its client does not read. Its bytes of that time, and its end, reach the client all the
//! same: a complete response complete, and an incomplete one visibly broken.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::{Process, wait_until},
        raw::{Backend, Conn, End},
    },
};

from_milestone1! {
    in_plain "the queues of the kernel are looked at, and a tunnel would have queues of its own" {
        a_whole_response_before_a_clean_end_arrives_whole,
        half_a_response_before_a_clean_end_breaks_behind_what_came,
        half_a_response_before_a_reset_breaks_at_once,
        a_whole_response_before_a_reset_arrives_whole,
        a_whole_response_arrives_whole_although_the_request_goes_nowhere,
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\n";
/// So long that the proxy need not look at it.
const LONG: &str = "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n";

const PIECE: usize = 32 * 1024;

/// A client that has read nothing, and a backend that is not read any more for that reason.
struct Stuck {
    client: Conn,
    upstream: Conn,
    /// Bytes of content that the backend has sent.
    sent: usize,
    _proxy: Process,
}

/// Sends `request`, and `head` and content back until it is not taken any more.
fn stuck(milestone: &Milestone, request: &str, head: &str) -> Stuck {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open_narrow(proxy.address());
    client.send(request);
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(head);
    let piece = if head == CHUNKED { format!("{PIECE:x}\r\n{}\r\n", "x".repeat(PIECE)) } else { "x".repeat(PIECE) };
    let mut sent = 0;
    loop {
        upstream.send(&piece);
        sent += PIECE;
        assert!(sent < 30 << 20, "there is no end to what the proxy takes");
        // Until it is taken, or not for so long that it will not be.
        let mut looks = 0;
        wait_until("the piece to be taken or not", || {
            looks += 1;
            upstream.unread_there() == 0 || looks > 10
        });
        if upstream.unread_there() > 0 {
            break;
        }
    }
    Stuck { client, upstream, sent, _proxy: proxy }
}

/// The backend says that, and all of it lies unread in the proxy's kernel.
fn say(upstream: &mut Conn, last_words: &str) {
    upstream.send(last_words);
    wait_until("the last words to arrive", || upstream.unsent_here() == 0);
}

fn a_whole_response_before_a_clean_end_arrives_whole(milestone: &Milestone) {
    for (head, last_words) in [(CHUNKED, "3\r\nend\r\n0\r\n\r\n"), (UNTIL_CLOSE, "end")] {
        let Stuck { mut client, mut upstream, sent, _proxy } = stuck(milestone, &get("/"), head);
        say(&mut upstream, last_words);
        upstream.finish();
        let body = client.response("GET").body;
        assert!(body.len() == sent + 3 && body.ends_with(b"end"), "{} of {sent} bytes after {head:?}", body.len());
    }
}

fn half_a_response_before_a_clean_end_breaks_behind_what_came(milestone: &Milestone) {
    for (head, last_words) in [(CHUNKED, "5\r\nend"), (CHUNKED, "3\r\nend\r\n"), (LONG, "end")] {
        let Stuck { mut client, mut upstream, sent, _proxy } = stuck(milestone, &get("/"), head);
        say(&mut upstream, last_words);
        upstream.finish();
        let (bytes, end) = client.read_to_end();
        assert_eq!(end, End::Reset, "{last_words:?} after {head:?}");
        assert!(!bytes.ends_with(b"0\r\n\r\n") && bytes.len() <= sent + sent / 10);
    }
}

fn half_a_response_before_a_reset_breaks_at_once(milestone: &Milestone) {
    for (head, last_words) in [(CHUNKED, "3\r\nend\r\n"), (UNTIL_CLOSE, "end"), (LONG, "end")] {
        let Stuck { mut client, mut upstream, _proxy, .. } = stuck(milestone, &get("/"), head);
        say(&mut upstream, last_words);
        upstream.reset();
        // Although it has not read anything of what was sent before.
        wait_until("the client's connection to break", || client.is_broken());
        let bytes = client.expect_reset();
        assert!(!bytes.ends_with(b"0\r\n\r\n"), "{last_words:?} after {head:?}");
    }
}

/// A reset overtakes nothing that has arrived.
fn a_whole_response_before_a_reset_arrives_whole(milestone: &Milestone) {
    let Stuck { mut client, mut upstream, sent, _proxy } = stuck(milestone, &get("/"), CHUNKED);
    say(&mut upstream, "3\r\nend\r\n0\r\n\r\n");
    upstream.reset();
    let body = client.response("GET").body;
    assert!(body.len() == sent + 3 && body.ends_with(b"end"), "{} of {sent} bytes", body.len());
}

/// The backend has answered and is gone, and the client goes on with its request before it reads.
fn a_whole_response_arrives_whole_although_the_request_goes_nowhere(milestone: &Milestone) {
    let beginning = "x".repeat(16 * 1024);
    let request = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n{beginning}");
    let Stuck { mut client, mut upstream, sent, _proxy } = stuck(milestone, &request, CHUNKED);
    assert_eq!(upstream.read(beginning.len()), beginning.as_bytes());
    say(&mut upstream, "3\r\nend\r\n0\r\n\r\n");
    // Both ways: whatever comes now is answered with a reset.
    drop(upstream);
    for _ in 0..100 {
        client.send([b'x'; 1000]);
    }
    let body = client.response("POST").body;
    assert!(body.len() == sent + 3 && body.ends_with(b"end"), "{} of {sent} bytes", body.len());
}
