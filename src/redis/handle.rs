//! How other threads reach the client: they put questions into its mailbox, and wait for nothing.

use super::{
    driver::Driver,
    link::{Event, Link, Next, Settings, command},
    mail::{Mail, Shared, WAKER},
};
use crate::net::clock;
use mio::{Poll, Waker};
use std::{
    fmt, io,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

/// Bytes of commands that may wait to be sent.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A client of one server, which runs until this is dropped.
pub struct Redis<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
}

/// A question that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no connection.
    Down,
    /// Too many others wait for their answers.
    Full,
}

impl<T: Send + 'static> Redis<T> {
    /// Starts the thread. `listener` hears all events, on that thread: it must not block. It may ask more.
    ///
    /// # Errors
    ///
    /// The system has no thread or descriptor left.
    pub fn start(settings: Settings, listener: impl FnMut(Event<T>) -> Next<T> + Send + 'static) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (bytes, tags) = (Vec::new(), Vec::new());
        let mail = Mail { bytes, tags, unanswered: 0, unsent: 0, is_up: false, reset: None, stop: false };
        let shared = Arc::new(Shared { mail: Mutex::new(mail), waker, most: settings.most });
        let link = Link::new(settings, rand::random(), clock::now().instant);
        let driver = Driver::new(link, poll, Arc::clone(&shared), Box::new(listener));
        let thread = thread::Builder::new().name("redis".to_owned()).spawn(move || driver.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl<T> Redis<T> {
    /// Sends a command. The answer comes with this tag.
    ///
    /// # Errors
    ///
    /// It was not sent, and there will be no answer.
    pub fn ask<W: AsRef<[u8]>>(&self, words: &[W], tag: T) -> Result<(), Refused> {
        let mut mail = self.shared.lock();
        if !mail.is_up {
            return Err(Refused::Down);
        }
        if mail.unanswered + mail.tags.len() >= self.shared.most || mail.unsent + mail.bytes.len() >= MAX_BYTES {
            return Err(Refused::Full);
        }
        let is_first = mail.tags.is_empty();
        mail.bytes.extend_from_slice(&command(words));
        mail.tags.push(tag);
        drop(mail);
        if is_first {
            self.shared.wake();
        }
        Ok(())
    }

    /// Gives up the connection, and makes another one: what is known of it is no longer sure.
    pub fn reset(&self, why: &'static str) {
        self.shared.lock().reset = Some(why);
        self.shared.wake();
    }
}

/// Earlier questions are still sent, as far as the server takes them at once.
impl<T> Drop for Redis<T> {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake();
        // An error means that it has panicked: then it has said so.
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl<T> fmt::Debug for Redis<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
