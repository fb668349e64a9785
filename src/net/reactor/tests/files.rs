//! [`Action::SendFile`](crate::app::Action::SendFile): parts of files among other bytes, and files that are slow, short or broken.

use super::support::*;
use crate::{
    app::{ConnId, Cx},
    buf::{FilePart, Readable, Unreadable},
    net::{DriverConfig, driver::CONFIRMED},
};
use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    sync::{
        Arc, Condvar, Mutex, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

const SMALL: usize = 1000;
const LARGE: usize = 300_000;

/// The bytes of a large file. They are made once: that takes a while.
fn large() -> &'static [u8] {
    static LARGE_ONE: OnceLock<Vec<u8>> = OnceLock::new();
    LARGE_ONE.get_or_init(|| pattern(LARGE))
}

/// A file with these bytes, which nothing else knows of.
fn file(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

fn part(file: &Arc<impl Readable + 'static>, at: usize, length: usize) -> FilePart {
    FilePart { file: file.clone(), at: at as u64, length: length as u64 }
}

/// One thing to be sent: bytes, or a part of a file.
#[derive(Clone)]
enum Item {
    Bytes(Vec<u8>),
    Part(FilePart),
}

fn say(cx: &mut Cx, conn: ConnId, items: &[Item]) {
    for item in items {
        match item {
            Item::Bytes(bytes) => cx.send(conn, bytes.clone()),
            Item::Part(part) => cx.send_file(conn, part.clone()),
        }
    }
}

type React = Box<dyn FnMut(&mut Cx, &Heard, &[u8]) + Send>;

/// Sends all of it to each client at once.
fn serve(items: Vec<Item>, config: DriverConfig) -> (Running<Scripted<React>>, Receiver<Heard>) {
    let react = move |cx: &mut Cx, heard: &Heard, _: &[u8]| match heard {
        Heard::Accepted(conn) => say(cx, *conn, &items),
        Heard::Ended(conn) => cx.close(*conn),
        _ => {}
    };
    script(config, Box::new(react))
}

/// A file whose reads wait until they may go on. It has no descriptor.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    begun: AtomicUsize,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn wait_for_reads(&self, count: usize) {
        while self.begun.load(Relaxed) < count {
            std::thread::yield_now();
        }
    }
}

impl Readable for Gate {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.begun.fetch_add(1, Relaxed);
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.changed.wait(open).unwrap();
        }
        let bytes = large();
        let from = bytes.len().min(offset as usize);
        let len = buf.len().min(bytes.len() - from);
        buf[..len].copy_from_slice(&bytes[from..from + len]);
        Ok(len)
    }
}

/// A file that cannot be sent by the kernel.
#[derive(Debug)]
struct Plain(File);

impl Readable for Plain {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
}

/// A file that fails behind its first bytes.
#[derive(Debug)]
struct Broken;

impl Readable for Broken {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset > 0 {
            return Err(ErrorKind::InvalidData.into());
        }
        let len = buf.len().min(SMALL);
        buf[..len].fill(b'x');
        Ok(len)
    }
}

/// A file that says when it is not cached: dropped from the kernel's memory as far as that obeys.
fn drop_from_cache(file: &File) {
    file.sync_all().unwrap();
    #[cfg(target_os = "linux")]
    nix::fcntl::posix_fadvise(file, 0, 0, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
}

fn until_sent(heard: &Receiver<Heard>) {
    while !matches!(next(heard), Heard::Sent(_, 0)) {}
}

#[test]
fn bytes_and_parts_leave_in_order() {
    let bytes = large();
    let real = file(bytes);
    let plain = Arc::new(Plain(real.try_clone().unwrap()));
    for (name, whole) in [("in the kernel's memory", false), ("read by threads", true)] {
        let of = |at: usize, length: usize| {
            Item::Part(if whole { part(&plain, at, length) } else { part(&real, at, length) })
        };
        let ranges =
            [(0, SMALL), (LARGE - 5, 5), (7, LARGE - 7), (1, 1), (0, 16 * 1024), (0, 16 * 1024 + 1), (0, LARGE)];
        let mut items = vec![Item::Bytes(b"first".to_vec())];
        let mut wanted = b"first".to_vec();
        for (number, (at, length)) in ranges.into_iter().enumerate() {
            items.push(of(at, length));
            wanted.extend_from_slice(&bytes[at..at + length]);
            // Some parts follow each other.
            if number % 2 == 0 {
                let word = vec![b'0' + number as u8; 700 * number];
                wanted.extend_from_slice(&word);
                items.push(Item::Bytes(word));
            }
        }
        items.push(Item::Bytes(b"last".to_vec()));
        wanted.extend_from_slice(b"last");
        let (running, _heard) = serve(items, DriverConfig::default());
        let client = running.connect();
        assert!(read_exactly(&client, wanted.len()) == wanted, "{name}");
    }
}

#[test]
fn a_part_without_bytes_is_nothing() {
    let real = file(b"abc");
    let items = vec![Item::Bytes(b"a".to_vec()), Item::Part(part(&real, 0, 0)), Item::Bytes(b"b".to_vec())];
    let (running, _heard) = serve(items, DriverConfig::default());
    assert_eq!(read_exactly(&running.connect(), 2), b"ab");
}

/// Words that are sent while a file is under way come behind it.
#[test]
fn later_bytes_wait_for_a_file() {
    let gate = Arc::new(Gate::default());
    let waiting = part(&gate, 0, LARGE);
    let mut client_conn = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => {
            client_conn = Some(*conn);
            cx.send_file(*conn, waiting.clone());
        }
        Heard::Woken => client_conn.into_iter().for_each(|conn| {
            cx.send(conn, &b"behind"[..]);
            cx.finish(conn);
        }),
        _ => {}
    });
    let client = running.connect();
    gate.wait_for_reads(1);
    running.remote.wake();
    while next(&heard) != Heard::Woken {}
    gate.open();
    let mut wanted = large().to_vec();
    wanted.extend_from_slice(b"behind");
    assert!(read_to_end(&client) == wanted);
}

#[test]
fn a_slow_reader_gets_all_of_a_large_file() {
    const LEN: u64 = 64 * 1024 * 1024;
    let sparse = tempfile::tempfile().unwrap();
    sparse.set_len(LEN).unwrap();
    (&sparse).seek(SeekFrom::Start(LEN - 3)).unwrap();
    (&sparse).write_all(b"end").unwrap();
    let sparse = Arc::new(sparse);
    let items = vec![Item::Part(FilePart { file: sparse, at: 0, length: LEN }), Item::Bytes(b"!".to_vec())];
    let (running, heard) = serve(items, DriverConfig::default());
    let client = running.connect();
    let (mut total, mut tail) = (0, Vec::new());
    let mut buffer = vec![0; 1024 * 1024];
    while total < LEN + 1 {
        let len = read_some(&client, &mut buffer);
        assert!(len > 0, "it ends after {total} bytes");
        total += len as u64;
        tail.extend_from_slice(&buffer[len.saturating_sub(4)..len]);
        tail.drain(..tail.len().saturating_sub(4));
    }
    assert_eq!((total, &tail[..]), (LEN + 1, &b"end!"[..]));
    // Told as bytes are: how much waits, less and less, down to none.
    let mut last = usize::MAX;
    while last > 0 {
        if let Heard::Sent(_, unsent) = next(&heard) {
            assert!(unsent <= last && unsent <= LEN as usize + 1, "{unsent} after {last}");
            last = unsent;
        }
    }
}

/// As for bytes: below the mark there is no word about what has left at once, from the mark on there is one.
#[test]
fn a_part_is_confirmed_as_bytes_are() {
    let real = file(&pattern(CONFIRMED));
    let parts = [part(&real, 0, 10), part(&real, 0, CONFIRMED)];
    let mut conns = 0;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            cx.send_file(*conn, parts[conns].clone());
            conns += 1;
        }
    });
    let first = running.connect();
    read_exactly(&first, 10);
    let second = running.connect();
    read_exactly(&second, CONFIRMED);
    until_sent(&heard);
    drop((first, second));
    let heard: Vec<Heard> = heard.try_iter().collect();
    assert!(!heard.iter().any(|heard| matches!(heard, Heard::Sent(..))), "{heard:?}");
}

#[test]
fn a_file_that_has_grown_is_sent_as_long_as_it_was() {
    let real = file(large());
    let (running, _heard) =
        serve(vec![Item::Part(part(&real, 0, LARGE)), Item::Bytes(b"!".to_vec())], DriverConfig::default());
    (&*real).write_all(b"grown").unwrap();
    let got = read_exactly(&running.connect(), LARGE + 1);
    assert!(got[..LARGE] == *large() && got[LARGE] == b'!');
}

/// Reads until the connection is reset; panics if it ends in another way.
fn read_until_reset(mut client: &std::net::TcpStream) -> usize {
    let (mut total, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        match client.read(&mut buffer) {
            Ok(0) => panic!("a clean end after {total} bytes"),
            Ok(len) => total += len,
            // A signal of another test.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                return total;
            }
        }
    }
}

fn cut(heard: &Receiver<Heard>) -> Unreadable {
    loop {
        if let Heard::Cut(_, why) = next(heard) {
            return why;
        }
    }
}

#[test]
fn a_file_that_is_too_short_resets_the_connection() {
    for length in [SMALL, LARGE] {
        for whole in [false, true] {
            let real = file(&pattern(length));
            let plain = Arc::new(Plain(real.try_clone().unwrap()));
            let too_much = if whole { part(&plain, 0, length + 1) } else { part(&real, 0, length + 1) };
            let (running, heard) =
                serve(vec![Item::Bytes(b"head".to_vec()), Item::Part(too_much)], DriverConfig::default());
            let client = running.connect();
            assert!(read_until_reset(&client) <= length + 4);
            assert_eq!(cut(&heard), Unreadable::Truncated, "{length} {whole}");
        }
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_sent_resets_the_connection() {
    const LEN: usize = 32 * 1024 * 1024;
    let real = file(&vec![0; LEN]);
    let (running, heard) = serve(vec![Item::Part(part(&real, 0, LEN))], DriverConfig::default());
    let client = running.connect();
    while !matches!(next(&heard), Heard::Sent(_, 1..)) {}
    real.set_len(1024).unwrap();
    assert!(read_until_reset(&client) < LEN);
    assert_eq!(cut(&heard), Unreadable::Truncated);
}

/// The application closed it in the belief that all of it will leave.
#[test]
fn a_file_that_is_too_short_resets_a_connection_that_was_closed() {
    let gate = Arc::new(Gate::default());
    let parts = [part(&gate, 0, LARGE), part(&gate, 0, LARGE + 1)];
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            parts.iter().for_each(|part| cx.send_file(*conn, part.clone()));
            cx.close(*conn);
        }
    });
    let client = running.connect();
    gate.open();
    assert!(read_until_reset(&client) <= 2 * LARGE);
    assert_eq!(cut(&heard), Unreadable::Truncated);
}

#[test]
fn a_connection_that_was_closed_sends_its_files_first() {
    let gate = Arc::new(Gate::default());
    let real = file(large());
    for hang_up in [false, true] {
        let parts = [part(&gate, 0, LARGE), part(&gate, 5, 10)];
        let last = part(&real, 0, LARGE);
        let (running, _heard) = script(DriverConfig::default(), move |cx, heard, _| {
            if let Heard::Accepted(conn) = heard {
                parts.iter().for_each(|part| cx.send_file(*conn, part.clone()));
                cx.send_file(*conn, last.clone());
                if hang_up {
                    cx.hang_up(*conn);
                } else {
                    cx.close(*conn);
                }
            }
        });
        let client = running.connect();
        gate.open();
        let got = read_to_end(&client);
        assert_eq!(got.len(), 2 * LARGE + 10);
        assert!(got[LARGE + 10..] == *large());
    }
}

/// More than one turn's share, several times over. Nothing but the file itself wakes the event loop.
#[test]
fn a_connection_that_was_closed_sends_a_large_file_at_once() {
    const LEN: usize = 16 * 1024 * 1024;
    let large = part(&file(&vec![b'x'; LEN]), 0, LEN);
    let (running, _heard) = script(DriverConfig::default(), move |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            cx.send(*conn, &b"head"[..]);
            cx.send_file(*conn, large.clone());
            cx.hang_up(*conn);
        }
    });
    for _ in 0..5 {
        assert_eq!(read_to_end(&running.connect()).len(), LEN + 4);
    }
}

#[test]
fn a_file_that_cannot_be_read_resets_the_connection() {
    let (running, heard) = serve(vec![Item::Part(part(&Arc::new(Broken), 0, LARGE))], DriverConfig::default());
    let client = running.connect();
    read_until_reset(&client);
    assert_eq!(cut(&heard), Unreadable::Failed(ErrorKind::InvalidData));
}

/// A file on a disk that does not answer, and clients of files that are in the kernel's memory, or on a disk that does.
#[test]
fn a_read_that_does_not_return_holds_its_own_client_only() {
    let gate = Arc::new(Gate::default());
    let (real, cold) = (file(large()), file(large()));
    drop_from_cache(&cold);
    let plain = Arc::new(Plain(real.try_clone().unwrap()));
    let stuck = part(&gate, 0, LARGE);
    let others = [part(&real, 0, LARGE), part(&cold, 0, LARGE), part(&plain, 0, LARGE), part(&real, 0, SMALL)];
    let mut accepted = 0;
    let clients = 8;
    let (running, _heard) = script(DriverConfig::default(), move |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            cx.send_file(
                *conn,
                if accepted < clients { stuck.clone() } else { others[accepted % others.len()].clone() },
            );
            accepted += 1;
        }
    });
    let held: Vec<_> = (0..clients).map(|_| running.connect()).collect();
    gate.wait_for_reads(1);
    for number in 0..8 {
        let len = if number % 4 == 3 { SMALL } else { LARGE };
        assert!(read_exactly(&running.connect(), len) == large()[..len], "{number}");
    }
    assert_eq!(gate.begun.load(Relaxed), 1, "one read of a file at a time");
    gate.open();
    held.iter().for_each(|client| assert!(read_exactly(client, LARGE) == large()));
}

/// All threads are held. Files that need none are sent.
#[test]
fn cached_files_need_no_thread() {
    let config = DriverConfig { disk_threads: 2, ..DriverConfig::default() };
    let gates = [(); 3].map(|()| Arc::new(Gate::default()));
    let real = file(large());
    let mut parts = gates.each_ref().map(|gate| part(gate, 0, LARGE)).to_vec();
    parts.push(part(&real, 0, LARGE));
    let mut accepted = 0;
    let (running, _heard) = script(config, move |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            cx.send_file(*conn, parts[accepted].clone());
            accepted += 1;
        }
    });
    let held: Vec<_> = gates.iter().map(|_| running.connect()).collect();
    gates[..2].iter().for_each(|gate| gate.wait_for_reads(1));
    assert!(read_exactly(&running.connect(), LARGE) == large());
    assert_eq!(gates[2].begun.load(Relaxed), 0, "there are two threads");
    gates.iter().for_each(|gate| gate.open());
    held.iter().for_each(|client| assert!(read_exactly(client, LARGE) == large()));
}

#[test]
fn a_read_that_takes_too_long_resets_the_connection() {
    let config = DriverConfig { disk_threads: 1, disk_patience: Duration::from_millis(50), ..DriverConfig::default() };
    let gate = Arc::new(Gate::default());
    // One reads, the other waits for the thread.
    let (running, heard) = serve(vec![Item::Part(part(&gate, 0, LARGE))], config);
    for client in [running.connect(), running.connect()] {
        assert_eq!(read_until_reset(&client), 0);
        assert_eq!(cut(&heard), Unreadable::TooSlow);
    }
    gate.open();
}

/// A client whose file is not there yet is asked about: it is not the client that is waited for.
#[test]
fn a_connection_that_waits_for_a_file_is_held_up() {
    let gate = Arc::new(Gate::default());
    let waiting = part(&gate, 0, LARGE);
    let mut asked = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => {
            asked = Some(*conn);
            cx.send_file(*conn, waiting.clone());
        }
        Heard::Woken => asked.into_iter().for_each(|conn| cx.progress(conn)),
        _ => {}
    });
    let client = running.connect();
    gate.wait_for_reads(1);
    running.remote.wake();
    while !matches!(next(&heard), Heard::HeldUp(_)) {}
    gate.open();
    assert_eq!(read_exactly(&client, LARGE).len(), LARGE);
    until_sent(&heard);
    running.remote.wake();
    while !matches!(next(&heard), Heard::Progressed(..)) {}
}

/// Until the deadline, a file that is under way is sent; then its connection is reset.
#[test]
fn draining_waits_for_files_and_not_for_ever() {
    for (within, whole) in [(PATIENCE, true), (Duration::from_millis(50), false)] {
        let gate = Arc::new(Gate::default());
        let (mut running, _heard) = serve(vec![Item::Part(part(&gate, 0, LARGE))], DriverConfig::default());
        let client = running.connect();
        gate.wait_for_reads(1);
        running.remote.drain(within);
        if whole {
            gate.open();
            assert!(read_exactly(&client, LARGE) == large());
        } else {
            assert_eq!(read_until_reset(&client), 0);
            gate.open();
        }
        drop(client);
        running.join();
    }
}

/// One read. A signal of another test does not end it.
fn read_some(mut client: &std::net::TcpStream, buffer: &mut [u8]) -> usize {
    loop {
        match client.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other.unwrap(),
        }
    }
}

/// Whether nothing refers to it any more, soon.
fn is_dropped<T>(file: &Weak<T>) -> bool {
    for _ in 0..2000 {
        if file.strong_count() == 0 {
            return true;
        }
        pause(Duration::from_millis(10));
    }
    false
}

#[test]
fn a_file_is_let_go_of_when_it_was_sent_or_its_connection_ends() {
    const LEN: usize = 32 * 1024 * 1024;
    let files = [SMALL, LEN, LEN].map(|len| {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len as u64).unwrap();
        Arc::new(file)
    });
    let gate = Arc::new(Gate::default());
    // Another read of the same file runs, so this one waits in line.
    let behind = Arc::new(Gate::default());
    let weak = files.each_ref().map(Arc::downgrade);
    let (weak_gate, weak_behind) = (Arc::downgrade(&gate), Arc::downgrade(&behind));
    let mut parts: Vec<FilePart> = files.iter().zip([SMALL, LEN, LEN]).map(|(file, len)| part(file, 0, len)).collect();
    parts.extend([part(&gate, 0, LARGE), part(&behind, 0, LARGE)]);
    drop(files);
    drop(behind);
    let mut accepted = Vec::new();
    let config = DriverConfig { disk_threads: 1, ..DriverConfig::default() };
    let (running, heard) = script(config, move |cx, heard, _| match heard {
        Heard::Accepted(conn) => {
            cx.send_file(*conn, parts.remove(0));
            accepted.push(*conn);
        }
        Heard::Woken => cx.abort(accepted[2]),
        _ => {}
    });
    let sent = running.connect();
    read_exactly(&sent, SMALL);
    assert!(is_dropped(&weak[0]), "it was sent");
    let gone = running.connect();
    while !matches!(next(&heard), Heard::Sent(_, 1..)) {}
    let aborted = running.connect();
    while !matches!(next(&heard), Heard::Accepted(_)) {}
    reset_on_drop(&gone);
    drop(gone);
    assert!(is_dropped(&weak[1]), "its client has gone");
    running.remote.wake();
    read_until_reset(&aborted);
    assert!(is_dropped(&weak[2]), "the application gave it up");
    let (reads, waits) = (running.connect(), running.connect());
    gate.wait_for_reads(1);
    // Both, for the others have been heard: of a connection that is reset before, the application may never hear, and it would keep
    // the file that is meant for it.
    (0..2).for_each(|_| while !matches!(next(&heard), Heard::Accepted(_)) {});
    for client in [&reads, &waits] {
        reset_on_drop(client);
    }
    drop((reads, waits));
    assert!(is_dropped(&weak_behind), "its read had not begun");
    gate.open();
    drop(gate);
    assert!(is_dropped(&weak_gate), "its read has returned");
}

/// Many small parts behind each other are few writes.
#[test]
fn thousands_of_ranges_of_one_file_leave_in_order() {
    let bytes = large();
    let real = file(bytes);
    let (mut items, mut wanted) = (Vec::new(), Vec::new());
    for number in 0..10_000 {
        let at = number * 29 % (LARGE - 100);
        let head = format!("--{number}\r\n").into_bytes();
        wanted.extend_from_slice(&head);
        items.push(Item::Bytes(head));
        items.push(Item::Part(part(&real, at, 1 + number % 100)));
        wanted.extend_from_slice(&bytes[at..at + 1 + number % 100]);
    }
    let (running, _heard) = serve(items, DriverConfig::default());
    assert!(read_exactly(&running.connect(), wanted.len()) == wanted);
}

/// One client takes a large file as fast as it can; another one's questions are answered in between.
#[test]
fn a_large_file_does_not_keep_others_out() {
    const LEN: usize = 8 * 1024 * 1024;
    let large = part(&file(&vec![0; LEN]), 0, LEN);
    let mut first = None;
    let (running, _heard) = script(DriverConfig::default(), move |cx, heard, input| match heard {
        Heard::Accepted(conn) if first.is_none() => {
            first = Some(*conn);
            cx.send_file(*conn, large.clone());
        }
        // Without end.
        Heard::Sent(conn, 0) if first == Some(*conn) => cx.send_file(*conn, large.clone()),
        Heard::Received(conn, _) => cx.send(*conn, input.to_vec()),
        _ => {}
    });
    let greedy = running.connect();
    let stopped = Arc::new(AtomicUsize::new(0));
    let stop = stopped.clone();
    let (begun, begin) = channel();
    #[allow(clippy::disallowed_methods)]
    let reader = std::thread::spawn(move || {
        let (mut total, mut buffer) = (0_u64, vec![0; 1024 * 1024]);
        while stop.load(Relaxed) == 0 {
            total += read_some(&greedy, &mut buffer) as u64;
            begun.send(()).unwrap();
        }
        total
    });
    begin.recv_timeout(PATIENCE).unwrap();
    let mut other = running.connect();
    for _ in 0..200 {
        other.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&other, 1), b"x");
    }
    stopped.store(1, Relaxed);
    assert!(reader.join().unwrap() > 0);
}
