//! The whole proxy on a driver of completions (io_uring), between real sockets: the contract holds there, too.

use super::Args;
use crate::{
    backend::{Backend, BackendId},
    net::{DriverConfig, Proactor, clock},
    proxy::{Plan, demo::Demo},
};
use clap::Parser;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn connect(to: SocketAddr) -> TcpStream {
    #[allow(clippy::disallowed_methods)] // A plain client.
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The body of the answer to a request that asks to close.
fn body(to: SocketAddr, head: &str, content: &[u8]) -> Vec<u8> {
    let mut stream = connect(to);
    write!(stream, "{head}\r\nHost: t\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len()).unwrap();
    stream.write_all(content).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
    answer.split_off(end)
}

fn leave_in_the_middle(to: SocketAddr) {
    let mut leaving = connect(to);
    leaving.write_all(b"GET /bytes/100000000 HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    leaving.read_exact(&mut [0; 1000]).unwrap();
}

fn come_at_once(to: SocketAddr) {
    let mut many: Vec<TcpStream> = (0..100).map(|_| connect(to)).collect();
    for stream in &mut many {
        stream.write_all(b"GET /bytes/5000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    }
    for stream in &mut many {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.len() > 5000);
    }
}

#[test]
fn the_proxy_does_not_notice_who_drives_it() {
    let demo = Demo::start(2).unwrap();
    let args = Args::parse_from(["proxy"]);
    let plan = Plan::new(args.proxy.config()).balance(args.balance).pool(&args.pool);
    let backend = |(index, address): (usize, &SocketAddr)| Backend {
        id: BackendId(u16::try_from(index).unwrap()),
        name: format!("demo-{}", index + 1),
        addresses: (*address).into(),
        weight: 1,
        max: None,
        secured: None,
    };
    let backends: Vec<Backend> = demo.addresses.iter().enumerate().map(backend).collect();
    let (mut proxies, slots) = plan.build(backends, 1, clock::now(), 7);
    let mut proactor = Proactor::new(proxies.remove(0), DriverConfig::default()).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let here = listener.local_addr().unwrap();
    proactor.listen(listener).unwrap();
    let remote = proactor.remote();
    let waker = remote.clone();
    slots.attach(0, Arc::new(move || waker.wake()));
    #[allow(clippy::disallowed_methods)] // An event loop needs a thread.
    let running = std::thread::spawn(move || proactor.run().unwrap());

    // Bodies of all sizes arrive whole, in both directions, over connections that are kept.
    for len in [0, 1, 1000, 100_000, 20_000_000] {
        let head = format!("GET /bytes/{len} HTTP/1.1");
        assert!(body(here, &head, b"") == body(demo.addresses[0], &head, b""), "{len} bytes");
    }
    let upload = vec![b'u'; 3_000_000];
    let head = "POST /bytes/10 HTTP/1.1";
    assert!(body(here, head, &upload) == body(demo.addresses[0], head, &upload));

    // One connection, many requests, some of them at once.
    let mut stream = connect(here);
    stream.write_all("GET /status/204 HTTP/1.1\r\nHost: t\r\n\r\n".repeat(50).as_bytes()).unwrap();
    stream.write_all(b"GET /status/204 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 204 ").count(), 51, "{answers}");

    leave_in_the_middle(here);
    come_at_once(here);
    remote.drain(PATIENCE);
    let proxy = running.join().unwrap();
    let census = proxy.census();
    assert_eq!(census.clients, 0, "{census:?}");
}
