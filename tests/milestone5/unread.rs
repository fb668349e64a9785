//! Clients that ask for much and read nothing: the memory that each of their streams costs, kernels not counted.

use crate::{
    Stage,
    support::{
        http2::{frame, headers},
        process::wait_until,
        raw::Backend,
    },
};
use socket_patterns::http2::PREFACE;
use socket2::{Domain, Socket, Type};
use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

/// The memory that one stream of many may cost which nobody reads: as that of a client of HTTP/1.1.
const COST_OF_ONE_KIB: u64 = 64;

/// The same, where each has a connection of its own: that counts as well, and the frames that the driver has of it.
const COST_ALONE_KIB: u64 = 96;

/// A backend whose answers have no end, and how many bytes have left it.
fn endless() -> (Backend, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let backend = Backend::start(move |mut served| {
        served.request();
        let _ = served.conn.try_send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 << 20));
        let piece = vec![b'x'; 1 << 14];
        while served.conn.try_send(&piece).is_ok() {
            count.fetch_add(piece.len(), SeqCst);
        }
    });
    (backend, sent)
}

/// A client that asks for so many answers, each with a window of `window` bytes, and whose kernel keeps little for it.
#[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
fn deaf(to: SocketAddr, streams: u32, window: u32) -> TcpStream {
    const INITIAL_WINDOW: [u8; 2] = [0, 4];
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&to.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let settings = [&INITIAL_WINDOW[..], &window.to_be_bytes()].concat();
    let all = (i32::MAX as u32 - 65_535).to_be_bytes();
    let mut said = [PREFACE, &frame(4, 0, 0, &settings), &frame(8, 0, 0, &all)].concat();
    for number in 0..streams {
        let lines = [(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", "/")];
        said.extend(headers(1 + 2 * number, 5, &lines));
    }
    stream.write_all(&said).unwrap();
    stream
}

#[test]
fn a_stream_that_is_not_read_costs_little() {
    /// More than is ever read of an answer.
    const WIDE: u32 = 100 << 20;
    for (connections, streams, window, most) in
        [(2, 100, WIDE, COST_OF_ONE_KIB), (2, 100, 65_535, COST_OF_ONE_KIB), (100, 1, WIDE, COST_ALONE_KIB)]
    {
        let (backend, sent) = endless();
        let stage = Stage::before(backend, &["--workers", "1", "--pool-max", "300"]);
        let before = stage.proxy.peak_memory();
        let clients: Vec<TcpStream> = (0..connections).map(|_| deaf(stage.proxy.address(), streams, window)).collect();
        let all = connections * streams as usize;
        let mut last = (0, 0);
        wait_until("every buffer on the way to fill", || {
            let now = sent.load(SeqCst);
            last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
            last.1 > 200 && stage.backend.connections() >= all
        });
        let each = (stage.proxy.peak_memory() - before) / all as u64;
        println!("{connections} connections with {streams} streams, window {window}: {each} KiB a stream");
        assert!(each <= most, "{connections} x {streams}, window {window}: {each} KiB a stream");
        drop(clients);
    }
}
