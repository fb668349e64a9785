//! Questions about speed, and about what is used up first.

use super::{
    Lab, Question, Seen,
    lab::{self, Pair},
};
use socket2::SockRef;
use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        id: "q13",
        title: "Two small writes",
        chapter: "18-debugging",
        text: "A client asks again and again: it writes the four bytes of a head, then the four bytes of a body, then reads the answer. \
               No socket option is set. How long does one question take on the loopback?",
        options: &[
            "some tens of milliseconds, in which nobody computes anything",
            "well below a millisecond, as if both parts were one write",
            "a second: the second part is lost and sent again",
        ],
        why: "Nagle's algorithm keeps the second small segment back until the first is acknowledged, and the receiver's kernel delays \
              that acknowledgment for 40 ms (Linux), because an answer might carry it. The answer does not come, because the server \
              waits for the second part. One write for a whole message cures it, and so does TCP_NODELAY, which programs with \
              small messages set anyway. Steps of 40 ms in a measurement are this, nearly always.",
        run: two_small_writes,
    },
    Question {
        id: "q14",
        title: "Two silent clients",
        chapter: "05-pools",
        text: "A server has two workers; each serves one client until that client leaves. Two clients are connected, have asked once, \
               and are silent now. A third connects and asks. What does it see?",
        options: &[
            "its answer: the two workers have nothing to do",
            "a refusal: there is no worker for it",
            "a connection, and no answer until one of the two leaves",
        ],
        why: "A worker that waits for its client's next line is as busy as one that computes. A pool that is given connections is used \
              up by silence, on purpose or not: that is the whole of a slowloris attack. Cures, in this order: a timeout for idle \
              clients; a bounded queue with an answer for those who find it full; a pool that is given requests and not connections, \
              with an event loop before it.",
        run: silent_clients,
    },
    Question {
        id: "q15",
        title: "Four times as many clients",
        chapter: "05-pools",
        text: "Four workers; a request keeps one of them for 20 ms. With four clients, each asking again as soon as it has its answer, \
               a request takes 20 ms and the server answers 200 in a second. Now sixteen clients do the same. What changes?",
        options: &[
            "it answers four times as many in a second; a request still takes 20 ms",
            "it answers four times as many, and each takes four times as long",
            "it answers as many as before; a request takes four times as long",
        ],
        why: "Four workers with 20 ms each answer 200 in a second, however many ask: beyond that, more clients only wait longer. \
              Throughput times latency is the number of clients that are in the system (Little's law), so if one of the three is \
              fixed, the others pay. A load test that shows only throughput hides this, and one that shows only the latency of an \
              idle server, too.",
        run: more_clients,
    },
    Question {
        id: "q16",
        title: "Fifty clients, and ports",
        chapter: "01-sockets",
        text: "Fifty clients are connected to one server. How many ports does the server use for them?",
        options: &[
            "fifty-one: one to listen, and one for each client",
            "one",
            "two: one to listen, and one for all clients",
        ],
        why: "A connection is known by four numbers: two addresses and two ports. All sockets that accept returns have the listener's \
              port, and differ in the other end. So a server does not run out of ports at 65,536 clients; descriptors are its first \
              limit (ulimit -n), then memory. Ports run out at the other end: one client address has some 28,000 ephemeral ports to \
              one server port, fewer if many are in TIME_WAIT. A proxy is a client of its backends, and meets exactly that.",
        run: ports,
    },
];

/// The time in the middle of several exchanges.
fn median(client: &mut TcpStream, exchanges: usize) -> io::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..exchanges {
        let begun = Instant::now();
        client.write_all(b"head")?;
        client.write_all(b"body")?;
        client.read_exact(&mut [0])?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn two_small_writes(lab: &mut Lab) -> io::Result<Seen> {
    const EXCHANGES: usize = 11;
    // Linux acknowledges the first segments of a connection at once (16 of them at most), to help a slow start.
    const FIRST: usize = 20;
    let Pair { mut client, mut server } = lab.pair()?;
    let answers = thread::spawn(move || {
        let mut message = [0; 8];
        while server.read_exact(&mut message).and_then(|()| server.write_all(b".")).is_ok() {}
    });
    median(&mut client, FIRST)?;
    lab.note("client", "write, write, read, twenty times", "to get over the beginning");
    let slow = median(&mut client, EXCHANGES)?;
    lab.note("client", "write, write, read, eleven times", format!("{slow:.1?} each, in the middle"));
    client.set_nodelay(true)?;
    lab.note("client", "TCP_NODELAY", "set");
    let fast = median(&mut client, EXCHANGES)?;
    lab.note("client", "write, write, read, eleven times", format!("{fast:.1?} each, in the middle"));
    drop(client);
    let _ = answers.join();
    // A busy machine makes both slower; the difference is what the kernel waits.
    Ok(Seen::Option(match slow.saturating_sub(fast) {
        stall if stall > Duration::from_millis(500) => 2,
        stall if stall > Duration::from_millis(10) => 0,
        _ => 1,
    }))
}

/// Workers that take connections from one listener until it is shut down.
struct Pool(Arc<TcpListener>);

impl Pool {
    fn start(workers: usize, listener: TcpListener, serve: fn(TcpStream)) -> io::Result<Self> {
        let listener = Arc::new(listener);
        for _ in 0..workers {
            let listener = Arc::clone(&listener);
            thread::Builder::new().spawn(move || {
                while let Ok((client, _)) = listener.accept() {
                    serve(client);
                }
            })?;
        }
        Ok(Self(listener))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Linux wakes those that sleep in accept. Elsewhere they end with the process.
        let _ = SockRef::from(&*self.0).shutdown(Shutdown::Both);
    }
}

/// Answers each line with `PONG`.
fn answer_lines(client: TcpStream) {
    let mut reader = BufReader::new(&client);
    let mut line = String::new();
    while reader.by_ref().take(64).read_line(&mut line).is_ok_and(|count| count > 0) {
        if (&client).write_all(b"PONG\n").is_err() {
            return;
        }
        line.clear();
    }
}

fn silent_clients(lab: &mut Lab) -> io::Result<Seen> {
    let pool = Pool::start(2, lab.listener()?, answer_lines)?;
    lab.note("server", "start two workers", "they accept and serve");
    let mut silent = Vec::new();
    for side in ["client 1", "client 2"] {
        let client = lab.connect(side, pool.address()?)?;
        lab.write(side, &client, b"PING\n")?;
        lab.read(side, &client)?;
        silent.push(client);
    }
    let third = match TcpStream::connect_timeout(&pool.address()?, lab.timing.patience()) {
        Ok(third) => third,
        Err(error) => {
            lab.note("client 3", "connect", lab::name(&error));
            return Ok(Seen::Option(1));
        }
    };
    lab.note("client 3", "connect", "connected");
    lab.write("client 3", &third, b"PING\n")?;
    third.set_read_timeout(Some(lab.timing.quiet()))?;
    let answer = lab.read("client 3", &third);
    silent.pop();
    lab.note("client 2", "close", "done");
    if answer.is_err() {
        lab.bounded(&third)?;
        lab.read("client 3", &third)?;
    }
    Ok(match answer {
        Ok(bytes) if bytes == b"PONG\n" => Seen::Option(0),
        Ok(_) => Seen::Option(1),
        Err(error) if lab::is_timeout(&error) => Seen::Option(2),
        Err(error) => Seen::Other(lab::name(&error)),
    })
}

/// How long a request keeps a worker.
const WORK: Duration = Duration::from_millis(20);

/// Works for one request.
fn work(mut client: TcpStream) {
    if client.read_exact(&mut [0]).is_ok() {
        thread::sleep(WORK);
        let _ = client.write_all(b".");
    }
}

/// The answers in a second, and the time of one on average, while this many clients ask, each again as soon as it was answered.
fn load(lab: &mut Lab, pool: &Pool, clients: usize, rounds: usize) -> io::Result<(f64, Duration)> {
    let (address, patience) = (pool.address()?, lab.timing.patience());
    let ask = move || -> io::Result<()> {
        for _ in 0..rounds {
            let mut stream = TcpStream::connect_timeout(&address, patience)?;
            stream.set_read_timeout(Some(patience))?;
            stream.write_all(b"?")?;
            stream.read_exact(&mut [0])?;
        }
        Ok(())
    };
    let begun = Instant::now();
    let threads: Vec<_> = (0..clients).map(|_| thread::spawn(ask)).collect();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a client panicked"))??;
    }
    let took = begun.elapsed();
    let (throughput, latency) =
        ((clients * rounds) as f64 / took.as_secs_f64(), took / u32::try_from(rounds).unwrap_or(1));
    let text = format!("{throughput:.0} answers in a second, {} ms for each", latency.as_millis());
    lab.note(&format!("{clients} clients"), &format!("ask {rounds} times each"), text);
    Ok((throughput, latency))
}

fn more_clients(lab: &mut Lab) -> io::Result<Seen> {
    const ROUNDS: usize = 8;
    let pool = Pool::start(4, lab.listener()?, work)?;
    lab.note("server", "start four workers", "each request takes one for 20 ms");
    let (few, short) = load(lab, &pool, 4, ROUNDS)?;
    let (many, long) = load(lab, &pool, 16, ROUNDS)?;
    let (faster, longer) = (many / few, long.as_secs_f64() / short.as_secs_f64());
    lab.fact(format!("Throughput: {faster:.1} times as much. Latency: {longer:.1} times as long."));
    Ok(match (faster > 2.0, longer > 2.0) {
        (true, false) => Seen::Option(0),
        (true, true) => Seen::Option(1),
        (false, true) => Seen::Option(2),
        (false, false) => Seen::Other("neither changed: this machine was too busy to show it".into()),
    })
}

fn ports(lab: &mut Lab) -> io::Result<Seen> {
    const CLIENTS: usize = 50;
    let listener = lab.listener()?;
    let (mut clients, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..CLIENTS {
        clients.push(TcpStream::connect_timeout(&listener.local_addr()?, lab.timing.patience())?);
        servers.push(listener.accept()?.0);
    }
    lab.note("clients", "connect, fifty times", "all are connected, and accepted");
    let here: BTreeSet<u16> = servers.iter().map(|s| s.local_addr().map(|a| a.port())).collect::<io::Result<_>>()?;
    let there: BTreeSet<u16> = servers.iter().map(|s| s.peer_addr().map(|a| a.port())).collect::<io::Result<_>>()?;
    let listens = listener.local_addr()?.port();
    let text = if here == BTreeSet::from([listens]) { "the listener's" } else { "not the listener's" };
    lab.note("server", "local_addr of its fifty sockets", format!("{} port, {text}", here.len()));
    lab.note("server", "peer_addr of its fifty sockets", format!("{} ports", there.len()));
    let used = here.union(&BTreeSet::from([listens])).count();
    Ok(match used {
        1 => Seen::Option(1),
        2 => Seen::Option(2),
        51 => Seen::Option(0),
        other => Seen::Other(format!("{other} ports")),
    })
}
