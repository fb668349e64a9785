//! Questions about processes, threads, and several listeners.

use super::{Lab, Question, Seen, lab};
use crate::{probe, running};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::PollFlags,
};
use socket2::{Domain, Socket, Type};
use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        id: "q01",
        title: "The child has ended",
        chapter: "04-processes-and-threads",
        text: "A server starts a process for its client: the program cat, with the client's socket as its stdin and stdout. The \
               server keeps its own descriptor of that socket. The client says hello, cat echoes it, and then cat is killed. What \
               does the client see?",
        options: &[
            "the end of the stream: the process that served it is gone",
            "a reset: its process did not end by itself",
            "nothing: the connection stays open",
        ],
        why: "A connection belongs to the socket, and the socket to all descriptors of it, in whichever process. FIN goes out when \
              the last of them is closed. A parent that hands a socket to a child has to close its own descriptor at once. If it \
              forgets that, its clients wait for an end that never comes, and the parent runs out of descriptors.",
        run: child_ended,
    },
    Question {
        id: "q02",
        title: "Sixty-four stacks",
        chapter: "04-processes-and-threads",
        text: "A server has 64 clients and a thread for each. Every thread has a stack of 2 MiB and sleeps in read. By how much does \
               the memory grow that the server really uses (its resident memory)?",
        options: &["by about 128 MiB: 64 stacks", "by a small part of that", "not at all: threads share their memory"],
        why: "A stack is a reservation of addresses. The kernel gives it memory page by page, when a page is touched for the first \
              time, and a thread that sleeps in read has touched few. So it is not the stacks that end thread-per-client at some \
              thousands of clients: it is the scheduler, the limits of threads and of mappings, and locks. But a page that was \
              touched once stays: one deep call per thread, and the memory is used for good.",
        run: stacks,
    },
    Question {
        id: "q03",
        title: "What an accepted socket takes over",
        chapter: "06-event-loop",
        text: "A listener was set to non-blocking. Its accept returns the socket of a client that has not said anything yet. What \
               does a read of that socket do?",
        options: &[
            "it sleeps until the client says something",
            "it answers at once: nothing is there (EAGAIN)",
            "it fails: a non-blocking listener makes no sockets for reading",
        ],
        why: "O_NONBLOCK is a property of each open socket. On Linux, accept gives every new socket its flags anew, and the listener's \
              do not count; on the BSDs and macOS the new socket takes the listener's over. A program for both sets what it needs on \
              each accepted socket. One forgotten set_nonblocking, and a single silent client stops a whole event loop.",
        run: accepted_flags,
    },
    Question {
        id: "q04",
        title: "Two listeners at one address",
        chapter: "01-sockets",
        text: "A socket with SO_REUSEADDR listens at a port of 127.0.0.1. A second socket, with SO_REUSEADDR as well, wants the same \
               address and port. What does it get?",
        options: &[
            "the port, too: the two share the clients",
            "the port: the first one gets no more clients",
            "an error: the address is in use",
        ],
        why: "SO_REUSEADDR says that old connections in TIME_WAIT are no obstacle. It does not permit two listeners. That is the \
              business of SO_REUSEPORT, which all of them have to set: Linux then spreads new clients over the listeners by a hash of \
              the addresses, which is how several processes or workers each get a queue of their own. macOS has the option, and does \
              not spread.",
        run: two_listeners,
    },
];

fn child_ended(lab: &mut Lab) -> io::Result<Seen> {
    let pair = lab.pair()?;
    let socket = || pair.server.try_clone().map(|stream| Stdio::from(OwnedFd::from(stream)));
    let (stdin, stdout) = (socket()?, socket()?);
    // The command holds descriptors of the socket, too, so it must not live longer than this statement.
    let mut cat = running::group(|| {
        Command::new("cat").stdin(stdin).stdout(stdout).stderr(Stdio::null()).process_group(0).spawn()
    })?;
    lab.note("server", "start cat with the socket", "it runs");
    lab.write("client", &pair.client, b"hello\n")?;
    lab.read("client", &pair.client)?;
    cat.kill()?;
    let ended = cat.wait()?;
    running::forget(cat.id());
    lab.note("server", "kill and wait for cat", ended);
    pair.client.set_read_timeout(Some(lab.timing.quiet()))?;
    let heard = lab.read("client", &pair.client);
    lab.bounded(&pair.client)?;
    drop(pair.server);
    lab.note("server", "close its own descriptor", "done");
    lab.read("client", &pair.client)?;
    Ok(match heard {
        Ok(bytes) if bytes.is_empty() => Seen::Option(0),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Seen::Option(1),
        Err(error) if lab::is_timeout(&error) => Seen::Option(2),
        other => Seen::Other(format!("{other:?}")),
    })
}

/// A number of this process from the kernel's table, in KiB.
fn in_kib(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(field))?.split_whitespace().next()?.parse().ok()
}

fn stacks(lab: &mut Lab) -> io::Result<Seen> {
    const THREADS: usize = 64;
    const STACK: usize = 2 * 1024 * 1024;
    let listener = lab.listener()?;
    let (memory, addresses) = (probe::memory(std::process::id()), in_kib("VmSize:"));
    let (Some(memory), Some(addresses)) = (memory, addresses) else {
        return Ok(Seen::NotHere("this system has no /proc/self/status to read it from"));
    };
    let (told, ready) = mpsc::channel();
    let (mut clients, mut threads) = (Vec::new(), Vec::new());
    for _ in 0..THREADS {
        clients.push(TcpStream::connect(listener.local_addr()?)?);
        let (mut server, told) = (listener.accept()?.0, told.clone());
        threads.push(thread::Builder::new().stack_size(STACK).spawn(move || {
            let _ = told.send(());
            server.read(&mut [0])
        })?);
    }
    (0..THREADS).try_for_each(|_| ready.recv()).map_err(io::Error::other)?;
    lab.note("server", "accept and start a thread, 64 times", "64 threads sleep in read");
    let grown = |before: u64, now: Option<u64>| now.unwrap_or(before).saturating_sub(before);
    let memory = grown(memory, in_kib("VmRSS:"));
    let addresses = grown(addresses, in_kib("VmSize:"));
    lab.note("kernel", "VmSize: addresses, with the heaps of threads", format!("{addresses} KiB more than before"));
    lab.note("kernel", "VmRSS: memory that is used", format!("{memory} KiB more than before"));
    drop(clients);
    threads.into_iter().for_each(|thread| drop(thread.join()));
    lab.fact(format!("That is {} KiB of memory for each of the 64 threads here.", memory / THREADS as u64));
    let all = (THREADS * STACK / 1024) as u64;
    Ok(Seen::Option(if memory > all / 2 { 0 } else { usize::from(memory == 0) + 1 }))
}

fn accepted_flags(lab: &mut Lab) -> io::Result<Seen> {
    let listener = lab.listener()?;
    listener.set_nonblocking(true)?;
    lab.note("server", "listener: set_nonblocking(true)", "done");
    let mut client = lab.connect("client", listener.local_addr()?)?;
    lab.until_event(&listener, PollFlags::POLLIN)?;
    let (mut server, peer) = listener.accept()?;
    lab.note("server", "accept", format!("a socket for {peer}"));
    let flags = OFlag::from_bits_truncate(fcntl(&server, FcntlArg::F_GETFL)?);
    let text = if flags.contains(OFlag::O_NONBLOCK) { "O_NONBLOCK is set" } else { "O_NONBLOCK is not set" };
    lab.note("server", "fcntl(F_GETFL) of the new socket", text);
    // Not for ever, in any case.
    lab.bounded(&server)?;
    let (answer, read) = mpsc::channel();
    let reader = thread::spawn(move || answer.send(server.read(&mut [0; 8])));
    let seen = match read.recv_timeout(lab.timing.quiet()) {
        Err(_) => {
            lab.note("server", "read", "(sleeps)");
            client.write_all(b"x")?;
            lab.note("client", "write(1 byte)", "1 byte was taken");
            let woken = read.recv_timeout(lab.timing.patience()).map_err(io::Error::other)?;
            lab.note("server", "... that read", format!("returns {} byte", woken?));
            Seen::Option(0)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
            lab.note("server", "read", lab::name(&error));
            Seen::Option(1)
        }
        Ok(Err(error)) => {
            lab.note("server", "read", lab::name(&error));
            Seen::Option(2)
        }
        Ok(Ok(count)) => Seen::Other(format!("the read returned {count}")),
    };
    let _ = reader.join();
    Ok(seen)
}

/// A listening socket with one of the two options.
fn listening(at: SocketAddr, option: fn(&Socket) -> io::Result<()>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    option(&socket)?;
    socket.bind(&at.into())?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// How many of `clients` each of two listeners gets. The clients stay connected until all were counted.
fn shared(lab: &Lab, first: &TcpListener, second: &TcpListener, clients: usize) -> io::Result<[usize; 2]> {
    let mut open = Vec::new();
    for _ in 0..clients {
        open.push(TcpStream::connect_timeout(&first.local_addr()?, lab.timing.patience())?);
    }
    let mut got = [0, 0];
    lab.until(|| {
        for (count, listener) in got.iter_mut().zip([first, second]) {
            while listener.accept().is_ok() {
                *count += 1;
            }
        }
        got[0] + got[1] >= clients
    });
    Ok(got)
}

fn two_listeners(lab: &mut Lab) -> io::Result<Seen> {
    const CLIENTS: usize = 64;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let reuse = |socket: &Socket| socket.set_reuse_address(true);
    let first = listening(any, reuse)?;
    lab.note("first", "SO_REUSEADDR, bind, listen", first.local_addr()?);
    let seen = match listening(first.local_addr()?, reuse) {
        Err(error) => {
            lab.note("second", "SO_REUSEADDR, bind, listen", lab::name(&error));
            Seen::Option(2)
        }
        Ok(second) => {
            let [to_first, to_second] = shared(lab, &first, &second, CLIENTS)?;
            lab.note("second", "SO_REUSEADDR, bind, listen", format!("{to_second} of {CLIENTS} clients come to it"));
            Seen::Option(usize::from(to_first == 0))
        }
    };
    let reuse = |socket: &Socket| socket.set_reuse_port(true);
    let third = listening(any, reuse)?;
    lab.note("third", "SO_REUSEPORT, bind, listen", third.local_addr()?);
    match listening(third.local_addr()?, reuse) {
        Err(error) => lab.note("fourth", "SO_REUSEPORT, bind, listen", lab::name(&error)),
        Ok(fourth) => {
            lab.note("fourth", "SO_REUSEPORT, bind, listen", fourth.local_addr()?);
            let [to_third, to_fourth] = shared(lab, &third, &fourth, CLIENTS)?;
            lab.note("third", "accept, until none is left", format!("{to_third} of {CLIENTS} clients"));
            lab.note("fourth", "accept, until none is left", format!("{to_fourth} of {CLIENTS} clients"));
        }
    }
    Ok(seen)
}
