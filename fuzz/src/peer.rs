//! The far end of one connection of the proxy: what it said, and whether it can be content with what it hears.

use socket_patterns::{
    app::ConnId,
    http::{Limits, Method, RequestEvent, RequestReader, ResponseEvent, ResponseReader},
};
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Backend,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By its peer or the network.
    Failed,
    /// By the proxy, properly.
    Closed,
    /// By the proxy, visibly.
    Aborted,
}

#[derive(Debug)]
pub struct Peer {
    pub side: Side,
    pub connected: bool,
    gone: Option<Ending>,
    /// Sends nothing more.
    pub ended: bool,
    /// The proxy sends nothing more.
    pub finished: bool,
    /// Is not read.
    pub paused: bool,
    /// Does not read.
    pub deaf: bool,
    pub unsent: usize,
    /// Bytes that it has taken.
    pub taken: u64,
    /// Something waits that the proxy was not told of.
    pub noisy: bool,
    pub splice: Option<(ConnId, u64)>,
    /// The next bytes for this client are not HTTP.
    pub switched: bool,
    requests: RequestReader,
    responses: ResponseReader,
    /// A final response was heard to its end, or none was begun.
    between: bool,
    methods: VecDeque<Method>,
    heard: Vec<u8>,
}

impl Peer {
    pub fn new(side: Side) -> Self {
        Self {
            side,
            connected: side == Side::Client,
            gone: None,
            ended: false,
            finished: false,
            paused: false,
            deaf: false,
            unsent: 0,
            taken: 0,
            noisy: false,
            splice: None,
            switched: false,
            requests: RequestReader::new(),
            responses: ResponseReader::new(),
            between: true,
            methods: VecDeque::new(),
            heard: Vec::new(),
        }
    }

    pub fn is_there(&self) -> bool {
        self.gone.is_none()
    }

    pub fn is_connecting(&self) -> bool {
        self.is_there() && !self.connected
    }

    /// Whether something it says would be heard.
    pub fn may_speak(&self) -> bool {
        self.is_there() && self.connected && !self.ended && !self.paused
    }

    /// Remembers what a client asks for: a response to HEAD ends elsewhere.
    pub fn says(&mut self, said: &[u8]) {
        let mut input = said;
        while self.side == Side::Client {
            match self.requests.next(&mut input, &Limits::default()) {
                Ok(Some(RequestEvent::Head(head, _))) => self.methods.push_back(head.method),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }

    /// Bytes from the proxy. `tunnels`: somewhere, bytes of another protocol pass.
    pub fn hears(&mut self, bytes: &[u8], tunnels: bool) {
        assert!(!self.finished, "sent after finish");
        assert!(self.connected, "sent before it was connected");
        if self.switched || (self.side == Side::Backend && tunnels) {
            return;
        }
        self.heard.extend_from_slice(bytes);
        let mut input = bytes;
        match self.side {
            Side::Client => self.hear_responses(&mut input),
            Side::Backend => self.hear_requests(&mut input),
        }
    }

    fn hear_requests(&mut self, input: &mut &[u8]) {
        loop {
            match self.requests.next(input, &Limits { head: 1 << 20, ..Limits::default() }) {
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => panic!("a backend hears {error}: {}", self.heard.escape_ascii()),
            }
        }
    }

    fn hear_responses(&mut self, input: &mut &[u8]) {
        while !self.switched {
            if self.between {
                if input.is_empty() {
                    return;
                }
                // Something that is no request is answered, too.
                self.responses.expect(&self.methods.pop_front().unwrap_or(Method::Get));
                self.between = false;
            }
            match self.responses.next(input, &Limits { head: 1 << 20, ..Limits::default() }) {
                Ok(Some(ResponseEvent::End(_))) => self.between = true,
                Ok(Some(ResponseEvent::Switched(_))) => self.switched = true,
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => panic!("a client hears {error}: {}", self.heard.escape_ascii()),
            }
        }
    }

    /// The connection is over. One that was closed properly must not look complete and not be.
    pub fn finish(&mut self, how: Ending) {
        assert!(self.gone.is_none(), "it ends once: {:?}, then {how:?}", self.gone);
        self.gone = Some(how);
        if how == Ending::Closed && self.side == Side::Client {
            let end = self.responses.end();
            assert!(self.between || self.switched || end.is_ok(), "cut: {}", self.heard.escape_ascii());
        }
    }
}
