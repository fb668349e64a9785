//! The simulated driver sends parts of files, and resets the connection if one is too short.

use super::support::{
    peer::{Peer, PeerEvent, PeerIo},
    random::Random,
    trace::Trace,
    weather::Weather,
    world::World,
};
use socket_patterns::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    buf::{FilePart, Readable, Unreadable},
};
use std::{cell::RefCell, io, rc::Rc, sync::Arc};

const LEN: usize = 100_000;

/// A file in memory, which is read in small steps.
#[derive(Debug)]
struct Memory;

fn byte(at: usize) -> u8 {
    ((at * 31) ^ (at >> 9)) as u8
}

impl Readable for Memory {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = LEN.min(offset as usize);
        let len = buf.len().min(LEN - from).min(4096);
        buf[..len].iter_mut().zip(from..).for_each(|(into, at)| *into = byte(at));
        Ok(len)
    }
}

/// Sends the same to each client and closes, then hears how that went.
struct Sender {
    part: FilePart,
    cut: Vec<Unreadable>,
}

impl App for Sender {
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, _: Origin) {
        cx.send(conn, &b"head"[..]);
        cx.send_file(conn, self.part.clone());
        cx.send(conn, &b"tail"[..]);
        cx.close(conn);
    }

    fn cut_short(&mut self, _: &mut Cx, _: ConnId, why: Unreadable) {
        self.cut.push(why);
    }

    fn connected(&mut self, _: &mut Cx, _: ConnId) {}
    fn received(&mut self, _: &mut Cx, _: ConnId, _: &[u8]) {}
    fn sent(&mut self, _: &mut Cx, _: ConnId, _: usize) {}
    fn ended(&mut self, _: &mut Cx, _: ConnId) {}
    fn failed(&mut self, _: &mut Cx, _: ConnId, _: io::ErrorKind) {}
    fn expired(&mut self, _: &mut Cx, _: TimerKey) {}
    fn drain(&mut self, _: &mut Cx) {}
}

/// Everything that a client hears.
#[derive(Debug, Default)]
struct Heard {
    bytes: Vec<u8>,
    end: Option<Result<(), io::ErrorKind>>,
}

struct Client(Rc<RefCell<Heard>>);

impl Peer for Client {
    fn on(&mut self, event: PeerEvent<'_>, io: &mut PeerIo<'_>) {
        let mut heard = self.0.borrow_mut();
        match event {
            PeerEvent::Received(bytes) => heard.bytes.extend_from_slice(bytes),
            PeerEvent::Ended => {
                heard.end = Some(Ok(()));
                io.close();
            }
            PeerEvent::Failed(error) => heard.end = Some(Err(error)),
            PeerEvent::Connected | PeerEvent::Wake(_) => {}
        }
    }
}

fn run(seed: u64, part: &FilePart) -> (Heard, Vec<Unreadable>) {
    let mut random = Random::new(seed);
    let weather = Weather::calm(&mut random);
    let app = Sender { part: part.clone(), cut: Vec::new() };
    let mut world = World::new(1, |_, _| vec![app], weather, random, Trace::new(None));
    let heard = Rc::new(RefCell::new(Heard::default()));
    world.client(std::time::Duration::ZERO, Client(heard.clone()));
    while heard.borrow().end.is_none() && world.step() {}
    let cut = world.apps().flat_map(|app| app.cut.clone()).collect();
    (heard.take(), cut)
}

#[test]
fn a_part_of_a_file_is_sent_between_other_bytes() {
    let part = FilePart { file: Arc::new(Memory), at: 7, length: 50_000 };
    let wanted: Vec<u8> = [&b"head"[..], &(7..50_007).map(byte).collect::<Vec<_>>(), b"tail"].concat();
    for seed in 0..16 {
        let (heard, cut) = run(seed, &part);
        assert!(heard.bytes == wanted && heard.end == Some(Ok(())) && cut.is_empty(), "seed {seed}: {:?}", heard.end);
    }
}

#[test]
fn a_file_that_is_too_short_resets_its_connection() {
    let part = FilePart { file: Arc::new(Memory), at: 7, length: LEN as u64 };
    for seed in 0..16 {
        let (heard, cut) = run(seed, &part);
        assert!(matches!(heard.end, Some(Err(_))), "seed {seed}: {:?}", heard.end);
        assert_eq!(cut, [Unreadable::Truncated], "seed {seed}");
    }
}
