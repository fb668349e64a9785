//! Sessions that send parts of files, under every driver.

use super::*;
use crate::buf::FilePart;
use std::{collections::VecDeque, fs::File};

const LARGE: usize = 300_000;

/// For each byte that it hears, one answer: `[`, the parts of a file, a `,` behind each but the last, `]`. `q` is its last.
struct Filing {
    output: Output,
    /// Parts of the present answer.
    parts: VecDeque<FilePart>,
    all: Vec<FilePart>,
    heard: VecDeque<u8>,
    closing: bool,
    late: bool,
    deadline: Option<Instant>,
    patience: Duration,
    answered: u32,
    now: Option<Instant>,
}

impl Filing {
    fn new(all: Vec<FilePart>, patience: Duration) -> Self {
        let (output, parts, heard) = (Output::new(), VecDeque::new(), VecDeque::new());
        let (closing, late, deadline, answered, now) = (false, false, None, 0, None);
        Self { output, parts, all, heard, closing, late, deadline, patience, answered, now }
    }

    fn begin(&mut self) {
        if self.output.is_empty()
            && self.parts.is_empty()
            && let Some(word) = self.heard.pop_front()
        {
            self.closing = word == b'q';
            self.parts.extend(self.all.iter().cloned());
            self.output.extend(b"[");
        }
    }
}

impl Session for Filing {
    fn receive(&mut self, input: &[u8], now: Now) {
        self.heard.extend(input);
        self.deadline = Some(now.instant + self.patience);
        self.now = Some(now.instant);
    }

    fn receive_end(&mut self, _: Now) {
        self.closing = true;
    }

    fn output(&mut self) -> &mut Output {
        self.begin();
        &mut self.output
    }

    fn file(&mut self) -> Option<FilePart> {
        let part = self.parts.pop_front()?;
        let last = self.parts.is_empty();
        self.output.extend(if last { b"]" } else { b"," });
        self.answered += u32::from(last);
        Some(part)
    }

    fn wants(&self) -> Wants {
        match (self.late, self.parts.is_empty() && self.output.is_empty() && self.heard.is_empty()) {
            (true, _) => Wants::Close(CloseReason::TooSlow),
            (_, false) => Wants::Flush,
            (_, true) if self.closing => Wants::Close(CloseReason::PeerAsked),
            (_, true) => Wants::Input,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, now: Now) {
        self.late |= self.deadline.is_some_and(|at| at <= now.instant);
        self.now = Some(now.instant);
    }

    fn taken(&mut self) {
        self.deadline = self.now.map(|now| now + self.patience);
    }

    fn answered(&mut self) -> u32 {
        std::mem::take(&mut self.answered)
    }
}

fn bytes() -> Vec<u8> {
    (0..LARGE).map(|at| ((at * 31) ^ (at >> 9)) as u8).collect()
}

fn file() -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes()).unwrap();
    Arc::new(file)
}

fn parts(file: &Arc<File>, ranges: &[(usize, usize)]) -> Vec<FilePart> {
    let part = |&(at, length): &(usize, usize)| FilePart { file: file.clone(), at: at as u64, length: length as u64 };
    ranges.iter().map(part).collect()
}

fn start(driver: Driver, all: Vec<FilePart>, patience: Duration) -> (Server, Arc<Traffic>) {
    let traffic = Arc::new(Traffic::default());
    let make = move || Filing::new(all.clone(), patience);
    (serve_each(driver, traffic.clone(), make), traffic)
}

/// Forty questions at once are more than one visit answers, and some of their answers are larger than what a driver takes at once.
#[test]
fn heads_and_parts_alternate_and_many_answers_follow_each_other() {
    let (file, bytes) = (file(), bytes());
    for ranges in [&[(0, LARGE), (5, 10), (LARGE - 7, 7)][..], &[(17, 1000)]] {
        let mut answer = vec![b'['];
        for (number, (at, length)) in ranges.iter().enumerate() {
            answer.extend_from_slice(&bytes[*at..at + length]);
            answer.push(if number + 1 == ranges.len() { b']' } else { b',' });
        }
        for &driver in ALL {
            let (server, traffic) = start(driver, parts(&file, ranges), PATIENCE);
            let mut client = server.connect();
            client.write_all(&[b'?'; 40]).unwrap();
            // Its own end does not end what it is sent.
            client.shutdown(Shutdown::Write).unwrap();
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            assert!(got == answer.repeat(40), "{driver:?}: {} bytes", got.len());
            drop(client);
            assert_ended(server, CloseReason::PeerAsked);
            assert_eq!(traffic.volume().answered, 40, "{driver:?}");
            assert_eq!((traffic.volume().sent, traffic.cut_short()), (got.len() as u64, 0), "{driver:?}");
        }
    }
}

/// The last part is longer than the file, and the session has ended in the belief that all of it will leave.
#[test]
fn a_file_that_is_too_short_is_seen_by_its_client_and_counted() {
    let file = file();
    for &driver in ALL {
        for words in [&b"?"[..], b"q"] {
            let (server, traffic) = start(driver, parts(&file, &[(0, 5), (9, LARGE)]), PATIENCE);
            let mut client = server.connect();
            client.write_all(words).unwrap();
            let end = client.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
            assert_eq!(end, Err(ErrorKind::ConnectionReset), "{driver:?}");
            let ended = server.end();
            assert!(ended.is_none_or(|ended| ended.unwrap_err().kind() == ErrorKind::UnexpectedEof));
            assert_eq!(traffic.cut_short(), 1, "{driver:?}");
        }
    }
}

#[test]
fn a_client_that_does_not_read_its_file_is_given_up() {
    const LEN: u64 = 64 * 1024 * 1024;
    let sparse = tempfile::tempfile().unwrap();
    sparse.set_len(LEN).unwrap();
    let part = FilePart { file: Arc::new(sparse), at: 0, length: LEN };
    for &driver in ALL {
        let (server, traffic) = start(driver, vec![part.clone()], Duration::from_millis(300));
        let mut client = server.connect();
        client.write_all(b"?").unwrap();
        says(&client, "[");
        assert_ended(server, CloseReason::TooSlow);
        let end = client.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset), "{driver:?}");
        assert_eq!(traffic.cut_short(), 0, "{driver:?}: it is the client's fault");
        assert!(traffic.volume().sent < LEN, "{driver:?}: not all of it has left");
    }
}
