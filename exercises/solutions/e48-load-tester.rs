//! Exercise 48: a load tester: clients that ask at times that are fixed beforehand, and an honest account of how they were answered.
//!
//! The command line and the form of the report are given. The exercise is what stands between them: when a request is due, what its
//! answer is worth, how long it took, and what a percentile of these times is.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode, thread};
// SOLUTION
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
// END

/// The longest answer that is read. A longer one is wrong, whatever comes.
#[allow(dead_code)] // Yours to use.
const LONGEST_ANSWER: usize = 512;

/// The command line.
#[allow(dead_code)] // Yours to use.
struct Plan {
    server: SocketAddr,
    /// The number of clients that ask at the same time, each on a connection of its own.
    clients: u64,
    /// The number of requests that all of them send together: 0, 1, 2 and so on.
    requests: u64,
    /// The number of requests that become due in a second. `None`: a client asks again as soon as it was answered.
    rate: Option<u64>,
    /// A request that has no whole answer after this time has failed.
    timeout: Duration,
}

/// The end of a request. Each has exactly one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The right answer came in time.
    Answered,
    /// No connection came about.
    Refused,
    /// The connection ended, by FIN or RST, before a whole answer had come.
    Ended,
    /// No whole answer came in time.
    Timeout,
    /// A whole line came, and it is not the answer.
    Wrong,
}

/// One request that is over.
struct Sample {
    outcome: Outcome,
    /// From the moment at which it was due.
    latency: Duration,
    /// From the moment at which its client took it up.
    service: Duration,
}

fn main() -> ExitCode {
    let Some(plan) = plan(env::args().skip(1)) else {
        eprintln!("usage: e48 --connect HOST:PORT [--clients N] [--requests N] [--rate N] [--timeout MILLISECONDS]");
        return ExitCode::from(2);
    };
    let (samples, took) = run(&plan);
    report(&samples, took);
    if samples.iter().any(|sample| sample.outcome == Outcome::Answered) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reads the command line. `None`: it is wrong.
fn plan(mut args: impl Iterator<Item = String>) -> Option<Plan> {
    let (mut server, mut clients, mut requests, mut rate, mut timeout) = (None, 1, 100, None, 1000);
    while let Some(flag) = args.next() {
        let value = args.next()?;
        if flag == "--connect" {
            server = Some(value.parse().ok()?);
            continue;
        }
        let number: u64 = value.parse().ok().filter(|number| *number > 0)?;
        match flag.as_str() {
            "--clients" => clients = number,
            "--requests" => requests = number,
            "--rate" => rate = Some(number),
            "--timeout" => timeout = number,
            _ => return None,
        }
    }
    Some(Plan { server: server?, clients, requests, rate, timeout: Duration::from_millis(timeout) })
}

impl Plan {
    /// The moment at which a request is due, if the run began at `begin`. `None`: as soon as a client is free.
    #[allow(dead_code)] // Yours to use.
    fn due(&self, begin: Instant, number: u64) -> Option<Instant> {
        // STARTER
        //| // TODO 1: request number k is due k / rate seconds after the beginning. Reckon each from the beginning, not from the one before.
        //| let _ = (begin, number);
        //| None
        // SOLUTION
        let rate = self.rate?;
        let nanos = u128::from(number) * 1_000_000_000 / u128::from(rate);
        Some(begin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
        // END
    }
}

/// Sends all requests; returns what became of each, and how long all of it took.
fn run(plan: &Plan) -> (Vec<Sample>, Duration) {
    let begin = Instant::now();
    // STARTER
    //| // TODO 2: each client is a thread. It takes the next number that no other has taken, waits until that request is due, and asks.
    //| let clients: Vec<_> = (0..plan.clients).map(|_| thread::spawn(Vec::new)).collect();
    //| let samples = clients.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect();
    // SOLUTION
    let next = AtomicU64::new(0);
    let samples = thread::scope(|scope| {
        let clients: Vec<_> = (0..plan.clients).map(|_| scope.spawn(|| client(plan, begin, &next))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect()
    });
    // END
    (samples, begin.elapsed())
}
// SOLUTION

/// One client: asks until there are no more requests.
fn client(plan: &Plan, begin: Instant, next: &AtomicU64) -> Vec<Sample> {
    let (mut connection, mut samples) = (None, Vec::new());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.requests {
            return samples;
        }
        let due = plan.due(begin, number);
        if let Some(due) = due {
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let started = Instant::now();
        let outcome = ask(plan, &mut connection, number, started + plan.timeout);
        let over = Instant::now();
        samples.push(Sample { outcome, latency: over - due.unwrap_or(started), service: over - started });
    }
}
// END

/// Sends one request and waits for its answer, at most until `until`. The connection stays for the next request if the answer was right:
/// after a failure nobody knows what is still to come on it.
#[allow(dead_code)] // Yours to use.
fn ask(plan: &Plan, connection: &mut Option<TcpStream>, number: u64, until: Instant) -> Outcome {
    // STARTER
    //| // TODO 3: connect, if there is no connection; send the line `ECHO k`; read until the line `k` is there, however many reads it takes.
    //| let _ = (plan, connection, number, until);
    //| Outcome::Wrong
    // SOLUTION
    let stream = match connection.take() {
        Some(stream) => stream,
        None => match TcpStream::connect_timeout(&plan.server, plan.timeout) {
            Ok(stream) => stream,
            Err(error) if is_timeout(&error) => return Outcome::Timeout,
            Err(_) => return Outcome::Refused,
        },
    };
    match exchange(&stream, number, until) {
        Ok(true) => {
            *connection = Some(stream);
            Outcome::Answered
        }
        Ok(false) => Outcome::Wrong,
        Err(error) if is_timeout(&error) => Outcome::Timeout,
        Err(_) => Outcome::Ended,
    }
    // END
}
// SOLUTION

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Whether the line that comes back is the answer.
fn exchange(mut stream: &TcpStream, number: u64, until: Instant) -> io::Result<bool> {
    stream.write_all(format!("ECHO {number}\n").as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), [0; LONGEST_ANSWER]);
    while !answer.contains(&b'\n') && answer.len() < LONGEST_ANSWER {
        // Reckoned anew for each read: else every byte would buy time for the next.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer == format!("{number}\n").as_bytes())
}
// END

/// The smallest of these times that at least so many per cent of them do not exceed. They are in order, and there is at least one.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    // STARTER
    //| // TODO 4: the rank is count × percent / 100, rounded up, and counted from 1.
    //| let _ = percent;
    //| sorted[0]
    // SOLUTION
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
    // END
}

/// Prints the report: a name and its numbers a line.
fn report(samples: &[Sample], took: Duration) {
    let count = |outcome: Outcome| samples.iter().filter(|sample| sample.outcome == outcome).count();
    println!("requests {}", samples.len());
    println!("answered {}", count(Outcome::Answered));
    println!("refused {}", count(Outcome::Refused));
    println!("ended {}", count(Outcome::Ended));
    println!("timeout {}", count(Outcome::Timeout));
    println!("wrong {}", count(Outcome::Wrong));
    println!("throughput {:.1}", count(Outcome::Answered) as f64 / took.as_secs_f64());
    // STARTER
    //| // TODO 5: which requests have a time that says something about the server?
    //| let good: Vec<&Sample> = samples.iter().collect();
    // SOLUTION
    let good: Vec<&Sample> = samples.iter().filter(|sample| sample.outcome == Outcome::Answered).collect();
    // END
    print_times("latency", good.iter().map(|sample| sample.latency).collect());
    print_times("service", good.iter().map(|sample| sample.service).collect());
}

fn print_times(name: &str, mut times: Vec<Duration>) {
    if times.is_empty() {
        println!("{name} none");
        return;
    }
    times.sort();
    let [p50, p90, p99, max] = [50, 90, 99, 100].map(|percent| percentile(&times, percent).as_secs_f64() * 1000.0);
    println!("{name} p50 {p50:.3} p90 {p90:.3} p99 {p99:.3} max {max:.3}");
}
