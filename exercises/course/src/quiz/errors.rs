//! Questions about errors that pass, errors that stay, and ends.

use super::{
    Lab, Question, Seen,
    lab::{self, Pair},
};
use crate::probe;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use signal_hook::consts::SIGUSR1;
use socket2::{Domain, Socket, Type};
use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        id: "q09",
        title: "A signal, and accept",
        chapter: "14-signals-limits-logs",
        text: "A Rust program sleeps in TcpListener::accept. It has a handler for SIGUSR1 that sets a flag, and its main loop looks at \
               the flag before each accept. The signal comes, and no client. What happens?",
        options: &[
            "the flag is set, and accept sleeps on",
            "accept returns an error (Interrupted), and the loop sees the flag",
            "the program ends",
        ],
        why: "EINTR is an error that passes, so std's accept calls again, and a handler that was installed with SA_RESTART makes the \
              kernel do so itself. Either way the loop does not come round. A server that stops \"when the flag is set\" then stops \
              with its next client, which may be never. Cures: wait in poll for the listener and for a pipe or socket that the \
              handler writes to, or have a thread of its own for signals.",
        run: interrupted,
    },
    Question {
        id: "q10",
        title: "The queue is full",
        chapter: "02-listen-and-accept",
        text: "A program has called listen with a backlog of 1, and does not accept. Five clients connect. What happens to the last of \
               them?",
        options: &[
            "it is connected, like the others",
            "nothing: its connect waits, and no answer comes",
            "it is refused at once",
        ],
        why: "When the queue is full, Linux drops the SYN and says nothing; the client's kernel sends it again a second later, and \
              again. So a server that is too slow is not seen as an error but as connects that take one second, or two, or three. \
              Linux takes one connection more than the backlog says. Counting is up to you: nstat shows TcpExtListenOverflows, and \
              ss -ltn the queue.",
        run: queue_full,
    },
    Question {
        id: "q11",
        title: "A timeout in the middle",
        chapter: "03-robust-io",
        text: "A server sets a read timeout and calls read_exact for a message of five bytes. Three bytes come, then the time is over: \
               read_exact answers an error. Then the other two bytes come, and the server calls read_exact for five bytes again. \
               What does it get?",
        options: &[
            "the message: a call that failed has taken nothing",
            "an error at once: after a timeout the connection is closed",
            "another timeout: the first three bytes were taken by the first call",
        ],
        why: "A timeout says only that nothing came in time. It is not an end, and the socket is as good as before. But read_exact, \
              read_until and write_all are loops: what they had done when the error came is done, and nobody can tell how much it \
              was. With a timeout, read into a buffer of your own that keeps its place, and take messages out of that buffer.",
        run: in_the_middle,
    },
    Question {
        id: "q12",
        title: "What the log says",
        chapter: "03-robust-io",
        text: "A client sends the line quit and a thousand bytes more. The server reads only that line, writes an answer of 300,000 \
               bytes, closes, and logs: answered, no error. Every call has succeeded. What does the client get?",
        options: &[
            "a part of the answer, or nothing, then a reset",
            "the whole answer, then the end of the stream",
            "the whole answer, then a reset",
        ],
        why: "A socket that is closed while bytes are unread is closed with RST, because those bytes will never be read (RFC 9293, \
              section 3.10.4). With it goes all that is still in the send buffer. A write that succeeded says that the kernel took \
              the bytes, and so a log that says \"answered\" knows only half. The cure: shut down the writing side, read what still \
              comes for a bounded time, then close; and log when the client's FIN came, and when it did not.",
        run: unread_input,
    },
];

fn interrupted(lab: &mut Lab) -> io::Result<Seen> {
    let flag = Arc::new(AtomicBool::new(false));
    let handler = signal_hook::flag::register(SIGUSR1, Arc::clone(&flag))?;
    let listener = lab.listener()?;
    let address = listener.local_addr()?;
    lab.note("server", "a handler for SIGUSR1 sets a flag", "installed");
    let (returned, back) = mpsc::channel();
    let (timing, seen_flag) = (lab.timing, Arc::clone(&flag));
    let other = thread::spawn(move || -> io::Result<(bool, bool)> {
        // A signal for a process is taken by its first thread: that one has to sleep in accept.
        let sleeps = || probe::calls(std::process::id()).contains(&probe::Call::Accept);
        let until = std::time::Instant::now() + timing.quiet();
        while !sleeps() && std::time::Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        let sent = kill(Pid::this(), Signal::SIGUSR1);
        let early = back.recv_timeout(timing.quiet()).is_ok();
        let set = seen_flag.load(Ordering::Relaxed);
        // The accept has to return, even if the signal could not be sent.
        TcpStream::connect(address)?;
        sent?;
        Ok((early, set))
    });
    let accepted = listener.accept();
    let _ = returned.send(());
    let (early, set) = other.join().map_err(|_| io::Error::other("the other thread panicked"))??;
    signal_hook::low_level::unregister(handler);
    let state = if set { "the handler has run, the flag is set" } else { "the flag is not set" };
    lab.note("kernel", "SIGUSR1 to the process", state);
    let text = if early { "has returned" } else { "sleeps" };
    lab.note("server", "accept, a moment later", text);
    let text = accepted.as_ref().map_or_else(lab::name, |_| "returns with the client".into());
    lab.note("server", "accept, after a client has connected", text);
    Ok(match (early, set) {
        (true, _) => Seen::Option(1),
        (false, true) => Seen::Option(0),
        (false, false) => Seen::Other("the handler did not run".into()),
    })
}

/// A connection that is asked for and not waited for.
fn begin(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock && !is_in_progress(&error) => Err(error),
        _ => Ok(socket),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::EINPROGRESS as i32)
}

fn queue_full(lab: &mut Lab) -> io::Result<Seen> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    listener.listen(1)?;
    let address = listener.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    lab.note("server", "bind, listen(1)", address);
    let clients: Vec<Socket> = (0..5).map(|_| begin(address)).collect::<io::Result<_>>()?;
    // Long enough for an answer, and shorter than the second after which a kernel asks again.
    thread::sleep(lab.timing.quiet().min(Duration::from_millis(700)));
    let mut answers = Vec::new();
    for (at, client) in clients.iter().enumerate() {
        let answer = match (client.peer_addr(), client.take_error()?) {
            (Ok(_), _) => "connected".to_owned(),
            (Err(_), Some(error)) => lab::name(&error),
            (Err(_), None) => "no answer yet".to_owned(),
        };
        lab.note(&format!("client {}", at + 1), "connect", &answer);
        answers.push(answer);
    }
    let connected = answers.iter().filter(|answer| *answer == "connected").count();
    lab.fact(format!("With a backlog of 1, {connected} clients were connected here."));
    // The first one is taken out, so that there is a place.
    drop(TcpListener::from(listener).accept()?);
    lab.note("server", "accept, once", "a place for one that asks again");
    Ok(Seen::Option(match answers.last().map(String::as_str) {
        Some("connected") => 0,
        Some("no answer yet") => 1,
        _ => 2,
    }))
}

fn in_the_middle(lab: &mut Lab) -> io::Result<Seen> {
    let Pair { client, server } = lab.pair()?;
    lab.write("client", &client, b"hel")?;
    lab.until(|| server.peek(&mut [0; 8]).is_ok_and(|count| count == 3));
    server.set_read_timeout(Some(lab.timing.quiet()))?;
    let mut message = [0; 5];
    let first = (&server).read_exact(&mut message);
    lab.note("server", "read_exact(5 bytes)", first.as_ref().err().map_or("a message".into(), lab::late));
    lab.write("client", &client, b"lo")?;
    lab.until(|| server.peek(&mut [0; 8]).is_ok());
    let mut message = *b".....";
    let second = (&server).read_exact(&mut message);
    let text = second.as_ref().err().map_or_else(|| format!("\"{}\"", message.escape_ascii()), lab::late);
    lab.note("server", "read_exact(5 bytes), again", text);
    lab.note("server", "the buffer of that second call", format!("\"{}\"", message.escape_ascii()));
    Ok(match second {
        Ok(()) => Seen::Option(0),
        Err(error) if lab::is_timeout(&error) => Seen::Option(2),
        Err(_) => Seen::Option(1),
    })
}

fn unread_input(lab: &mut Lab) -> io::Result<Seen> {
    const ANSWER: usize = 300_000;
    let Pair { client, mut server } = lab.pair()?;
    let asked = [b"quit\n", &[b'x'; 1000][..]].concat();
    lab.write("client", &client, &asked)?;
    lab.until(|| server.peek(&mut [0; 2000]).is_ok_and(|count| count == asked.len()));
    server.read_exact(&mut [0; 5])?;
    lab.note("server", "read(5 bytes)", "\"quit\\n\"");
    server.write_all(&vec![b'.'; ANSWER])?;
    lab.note("server", "write_all(300000 bytes)", "done");
    drop(server);
    lab.note("server", "close", "done");
    lab.note("server", "log", "\"answered 300000 bytes, no error\"");
    lab.until_broken(&client)?;
    let (mut heard, mut scratch) = (0, vec![0; 64 * 1024]);
    let end = loop {
        match (&client).read(&mut scratch) {
            Ok(0) => break None,
            Ok(count) => heard += count,
            Err(error) => break Some(error),
        }
    };
    let text = end.as_ref().map_or_else(|| "then the end".into(), lab::name);
    lab.note("client", "read, as long as something comes", format!("{heard} bytes"));
    lab.note("client", "read", text);
    Ok(match (heard == ANSWER, end) {
        (false, Some(_)) => Seen::Option(0),
        (true, None) => Seen::Option(1),
        (true, Some(_)) => Seen::Option(2),
        (false, None) => Seen::Other(format!("{heard} bytes, then the end of the stream")),
    })
}
