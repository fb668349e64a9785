//! The answers on a client's streams, and how they are entered into the books.

use super::{
    super::{
        client::Afterwards,
        peer::PeerIo,
        wire::{Head, Message},
    },
    MOST_TRIES, Running, StreamClient, WINDOWS, Windows,
};
use socket_patterns::{
    http::{Fields, ResponseHead},
    http2::{ErrorCode, Event, Reset},
};

impl StreamClient {
    pub(super) fn hear(&mut self, event: Event<'_>, io: &mut PeerIo<'_>) {
        match event {
            Event::Response { stream, head, ends } => self.heard_head(stream, &head, ends, io),
            Event::Data { stream, data } => self.heard_content(stream, data, io),
            Event::End { stream, trailers } => {
                if let Some(running) = self.running.get_mut(&stream) {
                    running.response.trailers = texts(&trailers);
                    self.complete(stream, io);
                }
            }
            Event::Reset { stream, why } => self.heard_reset(stream, why, io),
            Event::GoAway(code) => {
                io.note(format!("hears goodbye: {}", code.as_str()));
                self.closing = true;
            }
            Event::Failed(cause) => panic!("a client got something that is not HTTP/2: {cause}"),
            Event::Request { .. } | Event::Refused { .. } => panic!("a server makes no requests"),
        }
    }

    fn heard_head(&mut self, stream: u32, head: &ResponseHead, ends: bool, io: &mut PeerIo<'_>) {
        let Some(running) = self.running.get_mut(&stream) else { return };
        // `100 Continue`, or an answer: no reason to hold the content back.
        running.held &= !running.ask.expects || running.at > 0;
        let start = ["HTTP/2".to_owned(), head.status.code().to_string(), String::new()];
        let text = Head { start, fields: texts(&head.fields) };
        if head.status.is_interim() {
            return running.response.interim.push(text);
        }
        running.open = running.ask.tunnel && head.status.code() == 200;
        running.response.head = Some(text);
        if ends {
            self.complete(stream, io);
        } else if running.open {
            self.in_tunnel(stream, io);
        }
    }

    fn heard_content(&mut self, stream: u32, data: &[u8], io: &mut PeerIo<'_>) {
        match self.windows {
            Windows::AtOnce => self.core.took(stream, data.len()),
            Windows::Later(pause) => {
                if self.kept.is_empty() {
                    io.wake(pause, WINDOWS);
                }
                self.kept.push((stream, data.len()));
            }
            Windows::Never => {}
        }
        let Some(running) = self.running.get_mut(&stream) else { return };
        running.response.body.extend_from_slice(data);
        if running.open {
            self.in_tunnel(stream, io);
        }
    }

    /// All that was sent came back: the stream is ended, in one way or the other.
    fn in_tunnel(&mut self, stream: u32, io: &mut PeerIo<'_>) {
        let Some(running) = self.running.get(&stream) else { return };
        if !self.ledger.borrow_mut().tunnelled(running.ask.tag, &running.response, &running.response.body) {
            return;
        }
        io.note(format!("stream {stream}: the tunnel is done"));
        self.running.remove(&stream);
        if self.afterwards == Afterwards::Reset {
            self.core.reset(stream, ErrorCode::CANCEL);
        } else {
            self.core.finish(stream, Fields::new());
        }
    }

    fn complete(&mut self, stream: u32, io: &mut PeerIo<'_>) {
        let Some(running) = self.running.remove(&stream) else { return };
        let (tag, response) = (running.ask.tag, &running.response);
        if running.open {
            io.note(format!("stream {stream}: the tunnel of request {tag} ends too soon"));
            self.ledger.borrow_mut().cut(tag, &Message { body: Vec::new(), ..response.clone() });
            // Each side of a tunnel ends on its own: without this, the proxy would keep it open for as long as a tunnel may be silent.
            return self.core.reset(stream, ErrorCode::CANCEL);
        }
        io.note(format!("request {tag} is answered with {}", response.status()));
        self.ledger.borrow_mut().answered(tag, response);
        if !running.sent {
            // The rest of its content is of no use any more.
            self.core.reset(stream, ErrorCode::CANCEL);
        }
    }

    fn heard_reset(&mut self, stream: u32, why: Reset, io: &mut PeerIo<'_>) {
        // One whose answer is complete is asked to send nothing more.
        let Some(running) = self.running.remove(&stream) else { return };
        let tag = running.ask.tag;
        match why {
            Reset::Unprocessed | Reset::Peer(ErrorCode::REFUSED_STREAM) => {
                io.note(format!("request {tag} was not processed"));
                let mut ledger = self.ledger.borrow_mut();
                ledger.unprocessed(tag);
                if ledger.tally.unprocessed < MOST_TRIES as usize * ledger.requests.len() {
                    self.asks.push_front(running.ask);
                }
            }
            Reset::Peer(code) => {
                io.note(format!("request {tag} is reset: {}", code.as_str()));
                assert!(code != ErrorCode::NO_ERROR, "request {tag}: an answer that is not complete, and no error");
                self.cut(&running);
            }
            Reset::Answered(_) => panic!("only a server hears this"),
            Reset::Fault(cause) => panic!("request {tag} got an answer that is not HTTP/2: {cause}"),
        }
    }

    pub(super) fn cut(&self, running: &Running) {
        // The bytes of a tunnel were looked at as they came.
        let body = if running.open { Vec::new() } else { running.response.body.clone() };
        self.ledger.borrow_mut().cut(running.ask.tag, &Message { body, ..running.response.clone() });
    }
}

fn texts(fields: &Fields) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.lines().map(|(name, value)| (text(name), text(value))).collect()
}
