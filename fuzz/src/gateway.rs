//! A client of the gateway, whole and in pieces: it is told the same, and so is the command server, which is asked for nothing but
//! lines.

use super::pieces::{MOST, pieces, tight};
use socket_patterns::{
    client::{Answer, Request},
    gateway::{Commands, Config, Done, Gateway},
    session::{CloseReason, Session as _, Wants},
    time::{Instant, Now},
};
use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

/// Answers at once, and keeps what it was asked.
#[derive(Default)]
struct Server(Mutex<Vec<String>>);

impl Commands for Server {
    fn ask(&self, request: Request, done: Done) {
        let text = request.text().to_owned();
        assert!(!text.contains(['\r', '\n']) && !text.trim().is_empty(), "no command: {text:?}");
        assert!(!text.trim_start().starts_with('#') && !request.name().eq_ignore_ascii_case("QUIT"), "{text:?}");
        let answer = if text.contains('!') { "ERROR no".to_owned() } else { format!("done {text}") };
        self.0.lock().expect("nothing panics here").push(text);
        done(Ok(Answer { text: answer, tries: 1 }));
    }
}

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let wire = &data[..data.len().min(MOST)];
    // Any instant will do.
    #[allow(clippy::disallowed_methods)]
    let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    let whole = hear([wire], now);
    assert_eq!(hear(pieces(wire), now), whole, "in pieces");
}

/// The client's end of the conversation, the server's, and the reason of its end.
fn hear<'w>(wire: impl IntoIterator<Item = &'w [u8]>, now: Now) -> (String, Vec<String>, Wants) {
    let server = Arc::new(Server::default());
    let config = Config { limits: tight(), ..Config::default() };
    let mut session = Gateway::new(Arc::new(config), Arc::clone(&server), now);
    let mut said = Vec::new();
    for piece in wire {
        session.receive(piece, now);
        drain(&mut session, &mut said, now);
        if matches!(session.wants(), Wants::Close(_)) {
            break;
        }
        assert_eq!(session.wants(), Wants::Input, "everything is answered and sent");
    }
    session.receive_end(now);
    drain(&mut session, &mut said, now);
    assert!(matches!(session.wants(), Wants::Close(_)), "it goes on behind the end");
    let asked = server.0.lock().expect("nothing panics here").clone();
    let mut said = String::from_utf8(said).expect("answers are text");
    let Wants::Close(CloseReason::Protocol(_)) = session.wants() else { return (said, asked, session.wants()) };
    // Input may break several rules, and which one is seen first depends on how much of it is here.
    said.truncate(said.rfind("HTTP/1.1 ").unwrap_or(0));
    (said, asked, Wants::Close(CloseReason::Protocol("any")))
}

fn drain(session: &mut Gateway<Server>, said: &mut Vec<u8>, now: Now) {
    // A driver calls it for each answer, at some time.
    session.woken(now);
    while let Some(piece) = session.output().pop() {
        said.extend_from_slice(&piece);
        session.woken(now);
    }
}
