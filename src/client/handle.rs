//! A client with everything: one connection that comes back, many requests on it, from any thread.

use super::{
    Answer, Cause, Config, Error, Event, Request, Server, Stats,
    driver::{Callback, Driver, Mail, lock},
};
use crate::net;
use mio::Waker;
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

/// Asks one server, and survives it.
///
/// ```
/// use socket_patterns::client::{Client, Config, Request, demo};
///
/// let server = demo::command_server()?;
/// let client = Client::connect(server.address(), Config::default())?;
/// assert_eq!(client.ask(Request::new("PING")?.idempotent())?.text, "PONG");
///
/// // Many at once: whoever is answered first is told first.
/// let (sender, answers) = std::sync::mpsc::channel();
/// for text in ["DELAY 50 slow", "ECHO quick"] {
///     let sender = sender.clone();
///     client.submit(Request::new(text)?, move |result| sender.send(result).unwrap());
/// }
/// assert_eq!(answers.recv()??.text, "quick");
/// assert_eq!(answers.recv()??.text, "slow");
/// assert_eq!(client.finish().answered, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client {
    mail: Arc<Mutex<Mail>>,
    waker: Arc<Waker>,
    /// `None`: its end has been waited for.
    thread: Mutex<Option<JoinHandle<Stats>>>,
}

impl Client {
    /// Connects now, and again whenever the connection is lost.
    ///
    /// # Errors
    ///
    /// Nothing listens there or the name has no address, or the system has no descriptors or threads left.
    pub fn connect(to: impl Into<Server>, config: Config) -> Result<Self, net::Error> {
        Self::connect_watched(to, config, |_| {})
    }

    /// Like [`Self::connect`]. `watcher` hears what happens to the connection; it must not wait.
    ///
    /// # Errors
    ///
    /// As for [`Self::connect`].
    pub fn connect_watched(
        to: impl Into<Server>,
        config: Config,
        watcher: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, net::Error> {
        let server = to.into();
        let (to, stream) = server.connect(config.connect_timeout)?;
        let started = Self::start(server, config, watcher, Some(stream));
        started.map_err(|source| net::Error::Connect { to, source })
    }

    /// Like [`Self::connect_watched`], for a server that may not be there yet.
    ///
    /// # Errors
    ///
    /// The system has no descriptors or threads left.
    pub fn connect_later(
        to: impl Into<Server>,
        config: Config,
        watcher: impl FnMut(Event) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start(to.into(), config, watcher, None)
    }

    fn start(
        to: Server,
        config: Config,
        watcher: impl FnMut(Event) + Send + 'static,
        stream: Option<std::net::TcpStream>,
    ) -> io::Result<Self> {
        let mail = Arc::new(Mutex::new(Mail::default()));
        let (mut driver, waker) = Driver::new(to, config, Arc::clone(&mail), Box::new(watcher))?;
        driver.begin(stream)?;
        let thread = thread::Builder::new().name("client".to_owned()).spawn(move || driver.run())?;
        Ok(Self { mail, waker, thread: Mutex::new(Some(thread)) })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// No answer within the time for all tries, and whether the request may have been executed all the same.
    pub fn ask(&self, request: Request) -> Result<Answer, Error> {
        let (sender, receiver) = mpsc::channel();
        // Fails if the caller waits no longer.
        self.submit(request, move |result| drop(sender.send(result)));
        // The driver tells of every request before it ends. Had it crashed, that could not be known.
        let crashed = Error::MaybeExecuted { written: super::Written::Wholly, cause: Cause::Closed };
        receiver.recv().unwrap_or(Err(crashed))
    }

    /// Asks, and goes on. `done` is called exactly once, on the thread that does the I/O: it must not wait. A panic in
    /// it is the end of this client: callers that wait in [`Self::ask`] are told, and other callbacks are dropped.
    pub fn submit(&self, request: Request, done: impl FnOnce(Result<Answer, Error>) + Send + 'static) {
        self.deliver(request, Box::new(done), false);
    }

    /// Like [`Self::submit`], for a request after which nothing more will be asked, such as `QUIT`. So a connection
    /// that ends when everything is answered has not been lost: the client does not connect again.
    pub fn submit_last(&self, request: Request, done: impl FnOnce(Result<Answer, Error>) + Send + 'static) {
        self.deliver(request, Box::new(done), true);
    }

    fn deliver(&self, request: Request, done: Callback, last: bool) {
        let mut mail = lock(&self.mail);
        mail.finish |= last;
        if mail.gone {
            drop(mail);
            return done(Err(Error::NotSent(Cause::Closed)));
        }
        mail.submitted.push((request, done));
        let first = mail.submitted.len() == 1;
        drop(mail);
        if first {
            self.wake();
        }
    }

    /// Waits until everything that was asked is answered or has failed, and ends. The second call knows nothing any more.
    pub fn finish(&self) -> Stats {
        lock(&self.mail).finish = true;
        self.wake();
        self.join()
    }

    /// Ends at once; what waits is told so.
    pub fn close(&self) {
        lock(&self.mail).close = true;
        self.wake();
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the client's thread cannot be woken");
        }
    }

    fn join(&self) -> Stats {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
        self.join();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
