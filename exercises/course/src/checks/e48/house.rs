//! The server of the grader: it answers as a check says, and keeps a log of what came and when it did something.

use crate::{
    client::Client,
    load_subject::Load,
    problem::{Problem, Seen, Topic},
    stage::Stage,
    upstream::Serving,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The fate of a request. The function that chooses it may sleep before.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// The right answer.
    Good,
    /// The same, in pieces.
    Pieces(Duration),
    /// Another line.
    Line(String),
    /// The end of the connection; before it these bytes.
    End(String),
    /// A reset.
    Reset,
    /// Nothing.
    Never,
    /// The right answer, when nobody should wait for it any more.
    TooLate(Duration),
    /// Bytes of an answer that never ends: so many, one after each pause.
    Drip(Duration, u32),
}

/// A request as the server saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// On which connection, from 0.
    pub(super) connection: usize,
    /// Its number.
    pub(super) number: u64,
    /// It had been read by then.
    pub(super) read: Instant,
    /// Nothing of the reply had been sent yet.
    pub(super) acts: Option<Instant>,
    /// The reply was the right answer.
    pub(super) good: bool,
}

#[derive(Debug, Default)]
struct Book {
    connections: usize,
    asked: Vec<Asked>,
    /// A request that came behind one that had failed.
    reused: Option<u64>,
}

/// A server with its log.
#[derive(Debug)]
pub(super) struct House {
    serving: Arc<Serving>,
    book: Arc<Mutex<Book>>,
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl House {
    /// A server that replies to request k with `reply(k)`. Each connection has its thread, so `reply` may sleep.
    pub(super) fn open(
        stage: &mut Stage,
        reply: impl Fn(u64) -> Reply + Send + Sync + 'static,
    ) -> Result<Self, Problem> {
        let book = Arc::<Mutex<Book>>::default();
        let shared = Arc::clone(&book);
        let serving = Arc::new(stage.upstream()?.serve(move |client| serve(client, &shared, &reply))?);
        stage.kept.push(Arc::clone(&serving));
        Ok(Self { serving, book })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.serving.address()
    }

    /// The requests so far, in the order in which they came.
    pub(super) fn asked(&self) -> Vec<Asked> {
        lock(&self.book).asked.clone()
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        lock(&self.book).connections
    }

    /// Complains about bytes that were no request.
    pub(super) fn expect_requests(&self) -> Result<(), Problem> {
        self.serving.complaint()
    }

    /// Complains about a connection that was used after a failure.
    pub(super) fn expect_new_connections(&self) -> Result<(), Problem> {
        match lock(&self.book).reused {
            None => Ok(()),
            Some(number) => {
                let wanted = "that a connection is closed when a request on it has failed";
                Err(Problem::new(wanted, Seen::Reused { number }))
            }
        }
    }
}

fn serve(mut client: Client, book: &Mutex<Book>, reply: &impl Fn(u64) -> Reply) -> Result<(), Problem> {
    let connection = {
        let mut book = lock(book);
        book.connections += 1;
        book.connections - 1
    };
    let mut failed = false;
    while let Some(number) = request(&mut client)? {
        let read = Instant::now();
        let at = {
            let mut book = lock(book);
            if failed {
                book.reused.get_or_insert(number);
            }
            book.asked.push(Asked { connection, number, read, acts: None, good: false });
            book.asked.len() - 1
        };
        let reply = reply(number);
        let good = matches!(reply, Reply::Good | Reply::Pieces(_));
        failed |= !good;
        let acts = (!matches!(reply, Reply::Never | Reply::TooLate(_) | Reply::Drip(..))).then(Instant::now);
        {
            let mut book = lock(book);
            (book.asked[at].acts, book.asked[at].good) = (acts, good);
        }
        match play(client, number, reply)? {
            Some(open) => client = open,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// The number of the next request. `None`: there are no more.
fn request(client: &mut Client) -> Result<Option<u64>, Problem> {
    const WANTED: &str = "a request: the line `ECHO` and its number";
    loop {
        let line = match client.expect_line("ECHO ", WANTED) {
            Err(Problem { seen: Seen::EarlyEnd(heard), .. }) if heard.is_empty() => return Ok(None),
            Err(Problem { seen: Seen::Reset, .. }) => return Ok(None),
            // A client whose next request is not due yet.
            Err(Problem { seen: Seen::Silence(heard), .. }) if heard.is_empty() => continue,
            heard => heard.map_err(|problem| problem.about(Topic::Load(Load::Plain)))?,
        };
        let number = std::str::from_utf8(&line[5..]).ok().and_then(|text| text.parse().ok());
        return match number {
            Some(number) => Ok(Some(number)),
            None => Err(client.complaint(WANTED, b"ECHO 17", &line).about(Topic::Load(Load::Plain))),
        };
    }
}

/// Replies. Returns the connection, if it is still open.
fn play(mut client: Client, number: u64, reply: Reply) -> Result<Option<Client>, Problem> {
    let answer = format!("{number}\n");
    match reply {
        Reply::Good => client.send(answer.as_bytes())?,
        Reply::Pieces(pause) => {
            for byte in answer.as_bytes().chunks(1) {
                client.send(byte)?;
                thread::sleep(pause);
            }
        }
        Reply::Line(line) => client.send(format!("{line}\n").as_bytes())?,
        Reply::End(before) => {
            if !before.is_empty() {
                client.send(before.as_bytes())?;
            }
            client.close();
            return Ok(None);
        }
        Reply::Reset => {
            client.abort();
            return Ok(None);
        }
        Reply::Never => {}
        Reply::TooLate(time) => {
            thread::sleep(time);
            client.send(answer.as_bytes())?;
        }
        Reply::Drip(pause, count) => {
            for _ in 0..count {
                client.send(b"1")?;
                thread::sleep(pause);
            }
            client.close();
            return Ok(None);
        }
    }
    Ok(Some(client))
}
