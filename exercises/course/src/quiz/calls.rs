//! Questions about the calls: connect, close, write.

use super::{
    Lab, Question, Seen,
    lab::{self, Pair},
};
use nix::poll::PollFlags;
use socket2::{Domain, SockRef, Socket, Type};
use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        id: "q05",
        title: "Before accept",
        chapter: "02-listen-and-accept",
        text: "A program has called bind and listen, and does not call accept. A client connects and sends five bytes. What happens?",
        options: &[
            "connect waits until the program accepts",
            "connect succeeds, and the write waits until the program accepts",
            "both succeed",
            "connect is refused",
        ],
        why: "The kernel does the handshake alone, and puts the connection into the listener's queue; accept only takes out what is \
              there already. The kernel also receives for it, so the bytes wait in the new socket before your program knows of it. \
              That a client is connected, and even that its request was sent, says nothing about the program behind the port: it may \
              be busy, stopped or stuck. Before listen, and at a port where nothing listens, the kernel refuses.",
        run: before_accept,
    },
    Question {
        id: "q06",
        title: "The side that waits",
        chapter: "01-sockets",
        text: "A server says FIN first. The client sees it and closes, too. Now the server's program ends. Which address can nobody \
               bind for a while, unless SO_REUSEADDR is set?",
        options: &["the client's", "the server's", "both", "none: both sides have closed"],
        why: "The side that closes first keeps the connection in TIME_WAIT, for a minute on Linux: it may have to repeat its last \
              acknowledgment, and old segments must not reach a new connection. If that side is the server, its port is not free \
              when it is started again, and bind fails. SO_REUSEADDR before bind is the cure for servers; std's TcpListener sets it. \
              A client that closes first has the wait on its side, at a port that it will hardly use again soon.",
        run: time_wait,
    },
    Question {
        id: "q07",
        title: "One write, and nobody reads",
        chapter: "03-robust-io",
        text: "A non-blocking server calls write once with 64 MiB. The client is connected and reads nothing. What does write answer?",
        options: &["a number below 64 MiB, and above none", "67,108,864: all of it", "an error: nobody reads"],
        why: "Write copies into the send buffer of the kernel, and says how much it took. What it took has not arrived. When both \
              buffers are full, the sender's and the receiver's, there is no room, and a blocking write would sleep. So the number \
              that write returns is never to be ignored: send the rest later, from where you were, and keep no more than a bound for \
              a client that does not read.",
        run: one_write,
    },
    Question {
        id: "q08",
        title: "Reset, or broken pipe",
        chapter: "03-robust-io",
        text: "A client breaks off with a reset. Its server has not noticed, and calls write twice. What do the two calls answer?",
        options: &[
            "both succeed: the bytes go into the send buffer",
            "both: broken pipe",
            "both: connection reset",
            "the first: connection reset; the second: broken pipe",
        ],
        why: "A reset is an event, and a socket tells it once: the next call after it has the error. From then on the socket is simply \
              not connected, and a write answers EPIPE. If the client closed in the usual way, the first write even succeeds, because \
              a peer that has said FIN may still be reading; its kernel answers that write with the reset. So: reset and broken pipe \
              both say that this client has gone, and neither says it at the moment when it happens. A C program is killed by SIGPIPE \
              instead; Rust ignores that signal.",
        run: after_reset,
    },
];

fn before_accept(lab: &mut Lab) -> io::Result<Seen> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    lab.note("server", "bind", address);
    let accepted = socket.accept().err().map_or_else(|| "a client".into(), |error| lab::name(&error));
    lab.note("server", "accept, without listen", accepted);
    let early = TcpStream::connect_timeout(&address, lab.timing.patience());
    lab.note("client", "connect", early.as_ref().err().map_or_else(|| "connected".into(), lab::name));
    socket.listen(16)?;
    lab.note("server", "listen", "done");
    let client = match TcpStream::connect_timeout(&address, lab.timing.patience()) {
        Ok(client) => client,
        Err(error) => {
            lab.note("client", "connect", lab::name(&error));
            return Ok(Seen::Option(if lab::is_timeout(&error) { 0 } else { 3 }));
        }
    };
    lab.note("client", "connect", "connected");
    client.set_write_timeout(Some(lab.timing.quiet()))?;
    let written = lab.write("client", &client, b"hello");
    let (server, peer) = TcpListener::from(socket).accept()?;
    lab.note("server", "accept, only now", format!("a socket for {peer}"));
    lab.bounded(&server)?;
    lab.read("server", &server)?;
    Ok(match written {
        Ok(5) => Seen::Option(2),
        Err(error) if lab::is_timeout(&error) => Seen::Option(1),
        other => Seen::Other(format!("the write: {}", lab::said(&other))),
    })
}

/// Whether an address is free for a socket that does not set SO_REUSEADDR.
fn is_free(address: SocketAddr) -> bool {
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).and_then(|socket| socket.bind(&address.into()));
    bound.is_ok()
}

fn time_wait(lab: &mut Lab) -> io::Result<Seen> {
    let listener = lab.listener()?;
    let servers = listener.local_addr()?;
    // A port that connect chooses may have other connections in TIME_WAIT; one that bind chooses has none.
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    client.connect(&servers.into())?;
    let client = TcpStream::from(client);
    lab.bounded(&client)?;
    let (server, clients) = listener.accept()?;
    lab.note("client", "connect", format!("connected, from {clients}"));
    drop(server);
    lab.note("server", "close", "its FIN goes first");
    lab.read("client", &client)?;
    drop(client);
    lab.note("client", "close", "done");
    drop(listener);
    lab.note("server", "close the listener, too", "done");
    // The last acknowledgment may be on its way: for a moment neither side is free.
    lab.until(|| is_free(clients) || is_free(servers));
    let free = [is_free(clients), is_free(servers)];
    let text = |free| if free { "free" } else { "EADDRINUSE: Address already in use" };
    lab.note("anybody", "bind to the client's address", text(free[0]));
    lab.note("anybody", "bind to the server's address", text(free[1]));
    let again = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    again.set_reuse_address(true)?;
    let again = again.bind(&servers.into());
    lab.note("server", "SO_REUSEADDR, bind to its address", again.err().map_or("free".into(), |e| lab::name(&e)));
    Ok(Seen::Option(match free {
        [false, true] => 0,
        [true, false] => 1,
        [false, false] => 2,
        [true, true] => 3,
    }))
}

fn one_write(lab: &mut Lab) -> io::Result<Seen> {
    const SIZE: usize = 64 * 1024 * 1024;
    let Pair { client: _client, server } = lab.pair()?;
    server.set_nonblocking(true)?;
    let bytes = vec![0; SIZE];
    let first = lab.write("server", &server, &bytes);
    let mut taken = *first.as_ref().unwrap_or(&0);
    // The receiver's kernel takes what it has room for; how long that goes on is up to the two kernels.
    let mut writes = 1;
    while taken < SIZE {
        match (&server).write(&bytes[taken..]) {
            Ok(count) => (taken, writes) = (taken + count, writes + 1),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    lab.note("server", "write the rest, until there is no room", format!("{taken} bytes in all, in {writes} writes"));
    lab.fact(format!("On this machine the two kernels hold {taken} bytes for a client that reads nothing."));
    Ok(match first {
        Ok(SIZE) => Seen::Option(1),
        Ok(1..) => Seen::Option(0),
        Err(_) => Seen::Option(2),
        Ok(_) => Seen::Other("none was taken, and that was no error".into()),
    })
}

/// The kinds of the two errors; `None`: the write succeeded.
type Answers = [Option<io::ErrorKind>; 2];

fn two_writes(lab: &mut Lab, server: &TcpStream, between: impl Fn(&Lab) -> io::Result<()>) -> io::Result<Answers> {
    let first = lab.write("server", server, b"news").err().map(|error| error.kind());
    between(lab)?;
    let second = lab.write("server", server, b"news").err().map(|error| error.kind());
    Ok([first, second])
}

fn after_reset(lab: &mut Lab) -> io::Result<Seen> {
    let Pair { client, server } = lab.pair()?;
    SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
    drop(client);
    lab.note("client", "SO_LINGER 0, close", "its kernel sends RST");
    lab.until_broken(&server)?;
    let answers = two_writes(lab, &server, |_| Ok(()))?;
    // The same with a client that closes in the usual way.
    let Pair { client, server } = lab.pair()?;
    drop(client);
    lab.note("client", "close", "its kernel sends FIN");
    lab.until_event(&server, PollFlags::POLLIN)?;
    two_writes(lab, &server, |lab| lab.until_broken(&server))?;
    let (reset, pipe) = (Some(io::ErrorKind::ConnectionReset), Some(io::ErrorKind::BrokenPipe));
    Ok(match answers {
        [None, None] => Seen::Option(0),
        answers if answers == [pipe, pipe] => Seen::Option(1),
        answers if answers == [reset, reset] => Seen::Option(2),
        answers if answers == [reset, pipe] => Seen::Option(3),
        [first, second] => Seen::Other(format!("{first:?}, then {second:?}")),
    })
}
