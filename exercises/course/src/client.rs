//! A client of the grader: sends, and says what it expects to hear. All of it goes into the record.

use crate::{
    problem::{Problem, Seen, Topic},
    timing::Timing,
    transcript::show,
    wire::{Event, Recorder},
};
use socket2::{Domain, SockRef, Socket, Type};
use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A connection that does not wait for its answer: on Linux, and on macOS.
const EINPROGRESS: i32 = if cfg!(target_os = "linux") { 115 } else { 36 };
/// The longest line of a server that is waited for.
const LONGEST_LINE: usize = 16 * 1024;

/// One connection to the student's server.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Arc<TcpStream>,
    /// Connections that are open until the check is over.
    open: Open,
    number: usize,
    record: Recorder,
    timing: Timing,
    /// Came, and was not asked for yet.
    heard: Vec<u8>,
    end: Option<End>,
}

/// Connections that outlive their clients. A check that fails forgets its client at once; if that closed the connection, the
/// program would wake up, and nobody could see any more what it was waiting for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Open(Arc<Mutex<Vec<Arc<TcpStream>>>>);

impl Open {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<TcpStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }

    fn keep(&self, stream: &Arc<TcpStream>) {
        self.all().push(Arc::clone(stream));
    }

    /// The socket is closed as its client goes, and not at the end of the check.
    fn forget(&self, stream: &Arc<TcpStream>) {
        self.all().retain(|other| !Arc::ptr_eq(other, stream));
    }

    /// Ends all of them at once, whoever waits for something on them.
    pub(crate) fn end(&self) {
        for stream in self.all().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// How the peer's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Rst,
}

impl Client {
    /// Connects, and notes it; `prepare` sets what has to be set before.
    pub(crate) fn connect(
        to: SocketAddr,
        prepare: impl FnOnce(&Socket) -> io::Result<()>,
        record: &Recorder,
        open: &Open,
        timing: Timing,
    ) -> Result<Self, Problem> {
        let number = record.lock().client();
        let failed = |error: io::Error| {
            record.lock().note(number, Event::Refused(error.kind()));
            Problem { client: Some(number), ..Problem::new("a connection", Seen::Refused) }
        };
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).map_err(failed)?;
        prepare(&socket).map_err(failed)?;
        socket.connect_timeout(&to.into(), timing.patience()).map_err(failed)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_write_timeout(Some(timing.patience())).map_err(failed)?;
        record.lock().note(number, Event::Connected);
        let (record, open, stream) = (record.clone(), open.clone(), Arc::new(stream));
        open.keep(&stream);
        Ok(Self { stream, open, number, record, timing, heard: Vec::new(), end: None })
    }

    /// A connection that the student's program has opened to one of our servers.
    pub(crate) fn accepted(
        stream: TcpStream,
        server: char,
        record: &Recorder,
        open: &Open,
        timing: Timing,
    ) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(timing.patience()))?;
        let number = record.lock().upstream(server);
        record.lock().note(number, Event::Accepted);
        let (record, open, stream) = (record.clone(), open.clone(), Arc::new(stream));
        open.keep(&stream);
        Ok(Self { stream, open, number, record, timing, heard: Vec::new(), end: None })
    }

    /// Begins to connect, and does not wait for the answer.
    pub(crate) fn begin(to: SocketAddr, record: &Recorder, open: &Open, timing: Timing) -> Result<Self, Problem> {
        let number = record.lock().client();
        let failed = |error: io::Error| {
            record.lock().note(number, Event::Refused(error.kind()));
            Problem { client: Some(number), ..Problem::new("a connection", Seen::Refused) }
        };
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        match socket.connect(&to.into()) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock && error.raw_os_error() != Some(EINPROGRESS) => {
                return Err(failed(error));
            }
            _ => {}
        }
        let stream = TcpStream::from(socket);
        stream.set_write_timeout(Some(timing.patience())).map_err(failed)?;
        let (record, open, stream) = (record.clone(), open.clone(), Arc::new(stream));
        open.keep(&stream);
        Ok(Self { stream, open, number, record, timing, heard: Vec::new(), end: None })
    }

    /// Whether the connection that [`Client::begin`] asked for comes about before `deadline`.
    pub(crate) fn connects(&mut self, deadline: Instant) -> bool {
        loop {
            if self.stream.peer_addr().is_ok() && self.stream.set_nonblocking(false).is_ok() {
                self.note(Event::Connected);
                return true;
            }
            if Instant::now() >= deadline {
                self.note(Event::Unanswered);
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// From now on our kernel acknowledges what comes at once, for a while. `false`: it cannot be told to.
    pub(crate) fn acknowledges_at_once(&self) -> bool {
        #[cfg(target_os = "linux")]
        return SockRef::from(&*self.stream).set_tcp_quickack(true).is_ok();
        #[cfg(not(target_os = "linux"))]
        return false;
    }

    /// Our address, as the server sees it.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// The server's address.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// How long it waits.
    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    fn note(&self, event: Event) {
        self.record.lock().note(self.number, event);
    }

    /// A complaint about what was seen on this connection.
    pub(crate) fn problem(&self, wanted: &str, seen: Seen) -> Problem {
        Problem { client: Some(self.number), ..Problem::new(wanted, seen) }
    }

    fn about(&self, expected: &[u8], problem: Problem) -> Problem {
        Problem { expected: expected.to_vec(), ..problem }
    }

    /// Sends bytes. That the peer has closed already is no complaint here: what it answers will tell.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.note(Event::Sent(bytes.to_vec()));
        match (&*self.stream).write_all(bytes) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                self.note(Event::Stuck);
                Err(self.problem("that it reads what is sent", Seen::NotRead))
            }
            _ => Ok(()),
        }
    }

    /// Sends each byte in a segment of its own.
    pub(crate) fn send_bytewise(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        bytes.chunks(1).try_for_each(|byte| self.send(byte))
    }

    /// Says that nothing more is sent (FIN); reading goes on.
    pub(crate) fn finish(&mut self) {
        self.note(Event::Finished);
        // A peer that reset the connection already is found out when we read.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Breaks off with a reset.
    pub(crate) fn abort(self) {
        self.note(Event::Aborted);
        let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
        self.forget();
    }

    /// A complaint about bytes that came in place of `expected`.
    pub(crate) fn complaint(&self, wanted: &str, expected: &[u8], got: &[u8]) -> Problem {
        self.about(expected, self.problem(wanted, Seen::Wrong(got.to_vec())))
    }

    /// Closes.
    pub(crate) fn close(self) {
        self.note(Event::Closed);
        self.forget();
    }

    fn forget(self) {
        self.open.forget(&self.stream);
    }

    /// Waits until exactly these bytes have come.
    pub(crate) fn expect(&mut self, expected: &[u8], wanted: &str) -> Result<(), Problem> {
        self.expect_within(self.timing.patience(), expected, wanted)
    }

    /// The same, of the answers to lines that came together. If they do not come, it is told whether another line brings them: then they
    /// were read, and not looked at.
    pub(crate) fn expect_several(&mut self, expected: &[u8], wanted: &str) -> Result<(), Problem> {
        let Err(problem) = self.expect(expected, wanted) else { return Ok(()) };
        let silent = matches!(problem.seen, Seen::Silence(_));
        let later = silent && self.send(b"one more\n").is_ok() && self.answers(expected);
        Err(problem.about(if later { Topic::LeftInBuffer } else { Topic::SeveralLines }))
    }

    /// As [`Client::expect`], within this time. The bytes that have come until then are kept: they may be waited for once more.
    pub(crate) fn expect_within(&mut self, time: Duration, expected: &[u8], wanted: &str) -> Result<(), Problem> {
        loop {
            // Each piece buys time for the rest: a program may be slow, and the check has an end.
            let deadline = Instant::now() + time.min(self.timing.patience());
            let common = self.heard.len().min(expected.len());
            if self.heard[..common] != expected[..common] {
                // A little more may tell which mistake it is: the rest of what came wrong.
                self.hear_until(Instant::now() + self.timing.quiet());
                let got = std::mem::take(&mut self.heard);
                return Err(self.about(expected, self.problem(wanted, Seen::Wrong(got))));
            }
            if common == expected.len() {
                self.heard.drain(..common);
                return Ok(());
            }
            self.hear(deadline, wanted).map_err(|problem| self.about(expected, problem))?;
        }
    }

    /// Whether these bytes come within a moment. If not, nothing is lost: they may be expected later.
    pub(crate) fn answers(&mut self, expected: &[u8]) -> bool {
        self.answers_until(Instant::now() + self.timing.quiet(), expected)
    }

    /// The same until `deadline`, which several clients may have together.
    pub(crate) fn answers_until(&mut self, deadline: Instant, expected: &[u8]) -> bool {
        while self.end.is_none() && self.heard.len() < expected.len() && self.read(deadline) {}
        let answered = self.heard.starts_with(expected);
        if answered {
            self.heard.drain(..expected.len());
        }
        answered
    }

    /// Whether there is something to hear, or the end, within this time.
    pub(crate) fn hears_within(&mut self, time: Duration) -> bool {
        !self.heard.is_empty() || self.end.is_some() || self.read(Instant::now() + time) || self.end.is_some()
    }

    /// Waits for one line and returns it, without its end.
    pub(crate) fn expect_line(&mut self, begins: &str, wanted: &str) -> Result<Vec<u8>, Problem> {
        let deadline = Instant::now() + self.timing.patience();
        loop {
            let common = self.heard.len().min(begins.len());
            let end = self.heard.iter().position(|byte| *byte == b'\n');
            let wrong = self.heard[..common] != begins.as_bytes()[..common];
            if wrong || end.unwrap_or(self.heard.len()) > LONGEST_LINE {
                let got = std::mem::take(&mut self.heard);
                return Err(self.about(begins.as_bytes(), self.problem(wanted, Seen::Wrong(got))));
            }
            if let Some(at) = end {
                return Ok(self.heard.drain(..=at).take(at).collect());
            }
            self.hear(deadline, wanted).map_err(|problem| self.about(begins.as_bytes(), problem))?;
        }
    }

    /// Waits until `end` has come, and returns all up to it; at most `most` bytes.
    pub(crate) fn expect_until(&mut self, end: &[u8], most: usize, wanted: &str) -> Result<Vec<u8>, Problem> {
        let deadline = Instant::now() + self.timing.patience();
        loop {
            if let Some(at) = self.heard.windows(end.len()).position(|window| window == end) {
                return Ok(self.heard.drain(..at + end.len()).collect());
            }
            if self.heard.len() > most {
                let got = std::mem::take(&mut self.heard);
                return Err(self.problem(wanted, Seen::Extra(got)));
            }
            self.hear(deadline, wanted)?;
        }
    }

    /// Waits until so many bytes have come, whatever they are. Each that comes buys time for the next.
    pub(crate) fn expect_count(&mut self, count: usize, wanted: &str) -> Result<Vec<u8>, Problem> {
        while self.heard.len() < count {
            self.hear(Instant::now() + self.timing.patience(), wanted)?;
        }
        Ok(self.heard.drain(..count).collect())
    }

    /// Waits until the peer has gone, by FIN or by RST.
    pub(crate) fn expect_gone(&mut self, wanted: &str) -> Result<(), Problem> {
        if self.ends_within(self.timing.patience()) { Ok(()) } else { Err(self.problem(wanted, Seen::StillOpen)) }
    }

    /// Whether the peer goes, by FIN or by RST, within this time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        self.hear_until(Instant::now() + time);
        self.end.is_some()
    }

    /// All that came and was not asked for yet, and all that comes within a moment.
    pub(crate) fn heard_so_far(&mut self) -> Vec<u8> {
        self.hear_until(Instant::now() + self.timing.quiet() / 4);
        std::mem::take(&mut self.heard)
    }

    /// Whether the peer has gone, as far as was heard.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// All that comes until the end, however it ends, and at most until patience does.
    pub(crate) fn hear_all(&mut self) -> Vec<u8> {
        self.hear_until(Instant::now() + self.timing.patience());
        std::mem::take(&mut self.heard)
    }

    /// Waits for the end of the stream: a FIN, and nothing before it.
    pub(crate) fn expect_end(&mut self, wanted: &str) -> Result<(), Problem> {
        let deadline = Instant::now() + self.timing.patience();
        while self.end.is_none() && self.heard.is_empty() && self.read(deadline) {}
        if !self.heard.is_empty() {
            // A little more may tell which mistake it is; a program that sends without end is not heard out.
            let until = Instant::now() + self.timing.quiet();
            while self.end.is_none() && self.heard.len() < LONGEST_LINE && self.read(until) {}
        }
        match self.end {
            _ if !self.heard.is_empty() => {
                let extra = std::mem::take(&mut self.heard);
                Err(self.problem(wanted, Seen::Extra(extra)))
            }
            Some(End::Fin) => Ok(()),
            Some(End::Rst) => Err(self.problem(wanted, Seen::Reset)),
            None => {
                self.note(Event::Quiet(self.timing.patience()));
                Err(self.problem(wanted, Seen::StillOpen))
            }
        }
    }

    /// Complains if the connection was reset after its FIN.
    pub(crate) fn expect_no_reset(&mut self, wanted: &str) -> Result<(), Problem> {
        match self.stream.take_error() {
            Ok(Some(_)) => {
                self.ended(End::Rst);
                Err(self.problem(wanted, Seen::Reset))
            }
            _ => Ok(()),
        }
    }

    /// Watches for a moment that nothing comes.
    pub(crate) fn expect_quiet(&mut self, wanted: &str) -> Result<(), Problem> {
        self.expect_quiet_until(Instant::now() + self.timing.quiet(), wanted)
    }

    /// The same until `deadline`, which several clients may have together.
    pub(crate) fn expect_quiet_until(&mut self, deadline: Instant, wanted: &str) -> Result<(), Problem> {
        let time = deadline.saturating_duration_since(Instant::now());
        self.hear_until(deadline);
        if !self.heard.is_empty() {
            let extra = std::mem::take(&mut self.heard);
            return Err(self.problem(wanted, Seen::Extra(extra)));
        }
        match self.end {
            None => {
                self.note(Event::Quiet(time));
                Ok(())
            }
            Some(End::Fin) => Err(self.problem(wanted, Seen::EarlyEnd(Vec::new()))),
            Some(End::Rst) => Err(self.problem(wanted, Seen::Reset)),
        }
    }

    /// Hears something more, or says why there is nothing.
    fn hear(&mut self, deadline: Instant, wanted: &str) -> Result<(), Problem> {
        let begun = Instant::now();
        if self.end.is_none() && self.read(deadline) {
            return Ok(());
        }
        let so_far = self.heard.clone();
        let seen = match self.end {
            Some(End::Fin) => Seen::EarlyEnd(so_far),
            Some(End::Rst) => Seen::Reset,
            None => {
                self.note(Event::Quiet(begun.elapsed()));
                Seen::Silence(so_far)
            }
        };
        Err(self.problem(wanted, seen))
    }

    /// Hears all that comes until `deadline` or the end.
    fn hear_until(&mut self, deadline: Instant) {
        while self.end.is_none() && self.read(deadline) {}
    }

    /// One read. `false`: nothing came before `deadline`, or the stream has ended.
    fn read(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        // A timeout of zero would mean none. At the deadline only what is there is read: kernels round a timeout up, to 4 ms perhaps.
        let waits = if left.is_zero() { None } else { Some(left.max(Duration::from_millis(1))) };
        if self.stream.set_read_timeout(waits).and(self.stream.set_nonblocking(waits.is_none())).is_err() {
            return false;
        }
        let mut scratch = [0; 16 * 1024];
        let read = (&*self.stream).read(&mut scratch);
        if waits.is_none() {
            // Sends wait.
            let _ = self.stream.set_nonblocking(false);
        }
        match read {
            Ok(0) => self.ended(End::Fin),
            Ok(count) => {
                self.note(Event::Received(scratch[..count].to_vec()));
                self.heard.extend_from_slice(&scratch[..count]);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => self.ended(End::Rst),
        }
        false
    }

    fn ended(&mut self, end: End) {
        self.end = Some(end);
        self.note(if end == End::Fin { Event::Ended } else { Event::Reset });
    }

    /// Sends a line and expects it back.
    pub(crate) fn expect_echo(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.send(line)?;
        self.expect(line, &format!("the same line back: {}", show(line)))
    }
}
