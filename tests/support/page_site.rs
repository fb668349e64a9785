//! A site that programs of others visit: a page with what belongs to it, uploads, events as they happen, and a WebSocket.

// In tests a failed unwrap is the report.
#![allow(clippy::unwrap_used)]

use super::{
    raw::{Backend, Served},
    websocket,
    wire::Message,
};

/// The page has a style sheet, a picture and a script.
const PAGE: &str = "<!doctype html><title>a page</title><link rel=stylesheet href=/style.css>\
    <img src=/picture.svg><script defer src=/script.js></script>";

/// Asks for things side by side, sends much, hears events, and has a WebSocket repeat a word. Then it reports.
const SCRIPT: &str = r#"
const ask = (path, options) => fetch(path, options).then(answer => answer.text());
const events = () => new Promise((heard, failed) => {
    const all = [], source = new EventSource('/events');
    source.onmessage = event => { if (all.push(event.data) == 2) { source.close(); heard(all.join('+')); } };
    source.onerror = () => failed('the events fail');
});
const echo = word => new Promise((heard, failed) => {
    const socket = new WebSocket('wss://' + location.host + '/chat');
    socket.onopen = () => socket.send(word);
    socket.onmessage = event => { socket.onclose = () => heard(event.data); socket.close(); };
    socket.onerror = () => failed('the WebSocket fails');
});
async function main() {
    const items = await Promise.all([...Array(40).keys()].map(number => ask('/item/' + number)));
    if (!items.every((item, number) => item == 'item ' + number)) throw 'an item is another: ' + items;
    const length = await ask('/length', { method: 'POST', body: 'x'.repeat(300000) });
    const color = getComputedStyle(document.body).color, picture = document.images[0].naturalWidth;
    const protocols = performance.getEntries().map(entry => entry.nextHopProtocol).filter(protocol => protocol);
    return [...new Set(protocols), color, picture, length, await events(), await echo('a word')].join(' | ');
}
const loaded = new Promise(done => addEventListener('load', done));
loaded.then(main).catch(error => 'failed: ' + error).then(body => fetch('/report', { method: 'POST', body }));
"#;

/// The report of a browser for which everything worked.
pub const REPORT: &str = "h2 | rgb(1, 2, 3) | 7 | 300000 | one+two | a word";

/// Serves the site.
pub fn start() -> Backend {
    Backend::start(serve)
}

/// The first request for that path.
fn asked(site: &Backend, path: &str) -> Option<Message> {
    site.requests().into_iter().find(|request| request.head.as_ref().is_some_and(|head| head.target() == path))
}

/// The page's report, when it has come.
pub fn report(site: &Backend) -> Option<String> {
    Some(String::from_utf8(asked(site, "/report")?.body).unwrap())
}

/// All of it came over HTTP/2 to the proxy before the site: the WebSocket, too, as a stream of the connection that there is (RFC 8441).
pub fn expect_http2(site: &Backend) {
    for path in ["/", "/style.css", "/picture.svg", "/item/7", "/length", "/events", "/chat"] {
        assert_eq!(asked(site, path).unwrap().field("via"), Some("2.0 socket-patterns"), "{path}");
    }
}

fn serve(mut served: Served) {
    while let Some(request) = served.request() {
        let head = request.head.as_ref().unwrap();
        let (kind, body) = match head.target() {
            "/chat" => return repeat_words(&mut served, head.field("sec-websocket-key")),
            "/greeting" => return greet(&mut served, head.field("sec-websocket-key")),
            "/events" => return tell_events(&mut served),
            "/" => ("text/html", PAGE.to_owned()),
            "/style.css" => ("text/css", "body { color: rgb(1, 2, 3) }".to_owned()),
            "/picture.svg" => {
                ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg' width='7' height='7'/>".to_owned())
            }
            "/script.js" => ("text/javascript", SCRIPT.to_owned()),
            "/length" => ("text/plain", request.body.len().to_string()),
            "/large" => ("application/octet-stream", "0123456789".repeat(100_000)),
            "/subject" => ("text/plain", head.field("x-ssl-client-subject").unwrap_or("nobody").to_owned()),
            // `/item/7` says `item 7`.
            target => ("text/plain", target.trim_start_matches('/').replace('/', " ")),
        };
        // A trailer of the request comes back as one of the answer.
        let trailers: String = request.trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n");
        let sent = served.conn.try_send(match trailers.as_str() {
            "" => format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
            _ => format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n{trailers}\r\n", body.len()),
        });
        // A program may have left.
        if sent.is_err() {
            return;
        }
    }
}

/// Two events, and an answer that does not end: the client has to hear of them before its end.
fn tell_events(served: &mut Served) {
    served.conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    served.conn.send("b\r\ndata: one\n\n\r\n");
    served.conn.send("b\r\ndata: two\n\n\r\n");
    let _ = served.conn.read_to_end();
}

/// The opcode of a frame by which a WebSocket ends (RFC 6455 §5.2).
const CLOSE: u8 = 8;

/// A WebSocket that says hello and ends. Without a key it is refused.
fn greet(served: &mut Served, key: Option<&str>) {
    let Some(key) = key else {
        return served.conn.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\nno key, no go");
    };
    served.conn.send(websocket::switching_for(key));
    served.conn.send([b"\x81\x05hello", &[0x80 | CLOSE, 0][..]].concat());
    served.conn.finish();
}

/// A WebSocket that sends each short frame back.
fn repeat_words(served: &mut Served, key: Option<&str>) {
    served.conn.send(websocket::switching_for(key.expect("a browser has one")));
    loop {
        let head = served.conn.read(2);
        let length = head[1] & 0x7f;
        assert!(head[1] & 0x80 != 0 && length < 126, "a client masks its frames, and these are short");
        let mask = served.conn.read(4);
        let masked = served.conn.read(length.into());
        let word: Vec<u8> = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        served.conn.send([&[head[0], length][..], &word].concat());
        if head[0] & 0x0f == CLOSE {
            return served.conn.finish();
        }
    }
}
