//! [`Action::Splice`](crate::app::Action::Splice): bytes that the application does not see. Each case runs with copying
//! and with pipes, and no peer can tell which.

use super::{PIPES, most_read, support::*};
use crate::{
    app::{ConnId, Cx},
    net::DriverConfig,
};
use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::Receiver,
    time::Duration,
};

/// Above this many unsent bytes the backend is not read.
const HIGH: usize = 128 * 1024;

/// Gives every client its own backend, whose first byte is forwarded and whose next `len` bytes are spliced. Bytes after
/// those go nowhere. A wake-up closes all clients.
struct Pairs {
    to: SocketAddr,
    len: u64,
    other: HashMap<ConnId, ConnId>,
    clients: Vec<ConnId>,
    begun: HashMap<ConnId, ()>,
}

impl Pairs {
    fn on(&mut self, cx: &mut Cx, heard: &Heard, input: &[u8]) {
        match heard {
            Heard::Accepted(client) => {
                let backend = cx.connect(self.to);
                cx.set_bulk(backend, true);
                self.other.insert(*client, backend);
                self.other.insert(backend, *client);
                self.clients.push(*client);
            }
            Heard::Received(backend, _)
                if !self.clients.contains(backend) && self.begun.insert(*backend, ()).is_none() =>
            {
                cx.forward(self.other[backend], input);
                cx.splice(*backend, self.other[backend], self.len);
            }
            Heard::Sent(conn, unsent) => cx.set_reading(self.other[conn], *unsent < HIGH),
            Heard::Failed(conn, _) if self.clients.contains(conn) => cx.abort(self.other[conn]),
            Heard::Failed(conn, _) => cx.abort(self.other[conn]),
            Heard::Ended(conn) if !self.clients.contains(conn) => cx.close(self.other[conn]),
            Heard::Woken => self.clients.iter().for_each(|client| cx.close(*client)),
            _ => {}
        }
    }
}

/// A reactor with such an application, and the backends' listener.
fn pairs(pipes: usize, len: u64) -> (Running<impl crate::app::App + Send>, Receiver<Heard>, TcpListener) {
    let (listener, to) = backend();
    let mut pairs = Pairs { to, len, other: HashMap::new(), clients: Vec::new(), begun: HashMap::new() };
    let config = DriverConfig { pipes, ..DriverConfig::default() };
    let (proxy, heard) = script(config, move |cx, heard, input| pairs.on(cx, heard, input));
    (proxy, heard, listener)
}

/// A client and its backend; the splice runs.
fn begin(proxy: &Running<impl crate::app::App>, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = proxy.connect();
    let mut server = accept(listener);
    server.write_all(b"!").unwrap();
    assert_eq!(read_exactly(&client, 1), b"!");
    (client, server)
}

/// Bytes spliced until something else than progress is heard, and that.
fn progress(heard: &Receiver<Heard>) -> (u64, Heard) {
    let mut total = 0;
    loop {
        match next(heard) {
            Heard::Spliced(_, moved) => total += moved,
            Heard::Sent(..) => {}
            other => return (total, other),
        }
    }
}

/// Hears everything up to the splice's first byte.
fn until_begun(heard: &Receiver<Heard>) {
    while !matches!(next(heard), Heard::Received(..)) {}
}

fn write_in_background(mut to: TcpStream, bytes: Vec<u8>) -> std::thread::JoinHandle<TcpStream> {
    #[allow(clippy::disallowed_methods)] // The peer blocks: that is the point.
    std::thread::spawn(move || {
        to.write_all(&bytes).unwrap();
        to
    })
}

#[test]
fn the_given_number_of_bytes_is_spliced_and_later_bytes_are_heard() {
    const LEN: usize = 3 * 1024 * 1024 + 17;
    for pipes in PIPES {
        let (proxy, heard, listener) = pairs(pipes, LEN as u64);
        let (client, server) = begin(&proxy, &listener);
        until_begun(&heard);
        let mut all = pattern(LEN);
        all.extend(b"tail");
        let sender = write_in_background(server, all);
        assert!(read_exactly(&client, LEN) == pattern(LEN), "pipes {pipes}: not the bytes that were sent");
        let mut tail = Vec::new();
        let (moved, mut other) = progress(&heard);
        while let Heard::Received(_, bytes) = other {
            tail.extend(bytes);
            if tail.len() == 4 {
                break;
            }
            other = next(&heard);
        }
        assert_eq!((moved, &tail[..]), (LEN as u64, &b"tail"[..]), "pipes {pipes}");
        drop(sender.join().unwrap());
    }
}

#[test]
fn a_slow_reader_gets_everything_and_what_waits_is_bounded() {
    const LEN: usize = 24 * 1024 * 1024;
    for pipes in PIPES {
        let (proxy, heard, listener) = pairs(pipes, LEN as u64);
        let (client, server) = begin(&proxy, &listener);
        until_begun(&heard);
        let sender = write_in_background(server, pattern(LEN));
        // The kernel's buffers and ours fill before the first byte is read.
        let (mut moved, mut peak) = (0, 0);
        let mut hear = |heard: Heard| match heard {
            Heard::Spliced(_, bytes) => moved += bytes,
            Heard::Sent(_, unsent) => peak = peak.max(unsent),
            other => panic!("{other:?}"),
        };
        loop {
            let word = next(&heard);
            let full = matches!(word, Heard::Sent(_, unsent) if unsent >= HIGH);
            hear(word);
            if full {
                break;
            }
        }
        assert!(read_in_small_pieces(&client, LEN) == pattern(LEN), "pipes {pipes}: not the bytes that were sent");
        drop(sender.join().unwrap());
        drop(proxy.stop());
        heard.try_iter().take_while(|word| !matches!(word, Heard::Ended(_))).for_each(hear);
        assert_eq!(moved, LEN as u64, "pipes {pipes}");
        let most = HIGH + most_read();
        assert!(peak <= most, "pipes {pipes}: {peak} bytes waited");
    }
}

fn read_in_small_pieces(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let (mut all, mut some) = (Vec::new(), [0; 1500]);
    while all.len() < len {
        match stream.read(&mut some).unwrap() {
            0 => break,
            n => all.extend_from_slice(&some[..n]),
        }
    }
    all
}

/// A splice of much begins while the bytes before it wait to be sent. These leave, and then it goes through a pipe: its steps are
/// larger than any buffer of the ring's.
#[test]
fn a_splice_that_begins_behind_other_bytes_still_takes_large_steps() {
    const LEN: usize = 24 * 1024 * 1024;
    let (proxy, heard, listener) = pairs(64, u64::MAX);
    let client = proxy.connect();
    let sender = write_in_background(accept(&listener), pattern(LEN));
    let mut largest = 0;
    // No byte is read before all buffers on the way are full.
    loop {
        match next(&heard) {
            Heard::Sent(_, unsent) if unsent >= HIGH => break,
            Heard::Spliced(_, moved) => largest = largest.max(moved),
            _ => {}
        }
    }
    assert!(read_exactly(&client, LEN) == pattern(LEN), "not the bytes that were sent");
    drop(sender.join().unwrap());
    drop(proxy.stop());
    for word in heard.try_iter() {
        if let Heard::Spliced(_, moved) = word {
            largest = largest.max(moved);
        }
    }
    assert!(largest > 64 * 1024, "at most {largest} bytes at once");
}

#[test]
fn an_early_end_is_heard_after_everything_before_it() {
    for pipes in PIPES {
        let (proxy, heard, listener) = pairs(pipes, u64::MAX);
        let (client, server) = begin(&proxy, &listener);
        until_begun(&heard);
        let sender = write_in_background(server, pattern(5 * 1024 * 1024));
        let half = read_exactly(&client, 1024 * 1024);
        sender.join().unwrap().shutdown(Shutdown::Write).unwrap();
        let rest = read_to_end(&client);
        assert!([half, rest].concat() == pattern(5 * 1024 * 1024), "pipes {pipes}: not the bytes that were sent");
        let (moved, other) = progress(&heard);
        assert!(matches!(other, Heard::Ended(_)), "pipes {pipes}: {other:?}");
        assert_eq!(moved, 5 * 1024 * 1024, "pipes {pipes}");
    }
}

#[test]
fn a_reset_of_the_sender_breaks_the_receiver() {
    for pipes in PIPES {
        let (proxy, heard, listener) = pairs(pipes, u64::MAX);
        let (mut client, mut server) = begin(&proxy, &listener);
        until_begun(&heard);
        server.write_all(b"some").unwrap();
        assert_eq!(read_exactly(&client, 4), b"some");
        reset_on_drop(&server);
        drop(server);
        let (moved, other) = progress(&heard);
        assert!(matches!(other, Heard::Failed(_, ErrorKind::ConnectionReset)), "pipes {pipes}: {other:?}");
        assert_eq!(moved, 4, "pipes {pipes}");
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

/// The receiver does not read, so nothing is taken from the sender any more. The sender's end is heard all the same.
#[test]
fn a_reset_of_a_sender_that_is_not_read_is_heard_before_anybody_reads() {
    for pipes in PIPES {
        let (proxy, heard, listener) = pairs(pipes, u64::MAX);
        let (client, server) = begin(&proxy, &listener);
        until_begun(&heard);
        #[allow(clippy::disallowed_methods)] // The peer blocks: that is the point.
        let sender = std::thread::spawn(move || {
            // When all buffers on the way are full, nothing is taken any more.
            server.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
            while (&server).write(&[7; 65536]).is_ok() {}
            reset_on_drop(&server);
        });
        let (_, other) = progress(&heard);
        assert!(matches!(other, Heard::Failed(_, ErrorKind::ConnectionReset)), "pipes {pipes}: {other:?}");
        sender.join().unwrap();
        drop(client);
    }
}

#[test]
fn a_receiver_that_is_gone_is_noticed_while_it_is_written_to() {
    for pipes in PIPES {
        let (proxy, heard, listener) = pairs(pipes, u64::MAX);
        let (client, mut server) = begin(&proxy, &listener);
        until_begun(&heard);
        reset_on_drop(&client);
        drop(client);
        let error = loop {
            if let Err(error) = server.write_all(&[7; 65536]) {
                break error;
            }
        };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "pipes {pipes}: {error}");
        let (_, other) = progress(&heard);
        assert!(matches!(other, Heard::Failed(..)), "pipes {pipes}: {other:?}");
    }
}

#[test]
fn a_receiver_closed_in_the_middle_gets_what_was_taken_and_the_sender_is_heard_again() {
    for pipes in PIPES {
        let (proxy, heard, listener) = pairs(pipes, u64::MAX);
        let (client, server) = begin(&proxy, &listener);
        until_begun(&heard);
        // More than the kernel holds: some of it is in our hands when the client is closed.
        let sender = write_in_background(server, pattern(24 * 1024 * 1024));
        while !matches!(next(&heard), Heard::Sent(_, unsent) if unsent >= HIGH) {}
        proxy.remote.wake();
        let got = read_to_end(&client);
        assert!(got == pattern(24 * 1024 * 1024)[..got.len()], "pipes {pipes}: not a beginning of what was sent");
        // Closing the receiver paused the sender: it is not read again, and ends with the proxy.
        let words: Vec<Heard> = heard.try_iter().collect();
        let moved = words.iter().filter(|word| matches!(word, Heard::Spliced(..))).count();
        let woken = words.iter().position(|word| *word == Heard::Woken);
        assert!(woken.is_some_and(|at| words[at..].iter().all(|word| !matches!(word, Heard::Spliced(..)))), "{moved}");
        drop(proxy.stop());
        let _ = sender.join();
    }
}

#[test]
fn more_splices_than_pipes_do_not_mix() {
    const LEN: usize = 8 * 1024 * 1024;
    for pipes in PIPES {
        let (proxy, _heard, listener) = pairs(pipes, LEN as u64);
        let couples: Vec<_> = (0..3).map(|_| begin(&proxy, &listener)).collect();
        let mut readers = Vec::new();
        for (number, (client, server)) in couples.into_iter().enumerate() {
            let bytes: Vec<u8> = pattern(LEN).into_iter().map(|byte| byte.wrapping_add(number as u8)).collect();
            let sender = write_in_background(server, bytes.clone());
            #[allow(clippy::disallowed_methods)] // Each reads at its own pace.
            readers.push(std::thread::spawn(move || {
                let got = if number == 0 { read_in_small_pieces(&client, LEN) } else { read_exactly(&client, LEN) };
                assert!(got == bytes, "pipes {pipes}: splice {number} got other bytes");
                drop(sender.join().unwrap());
            }));
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}
