//! A client that sends lines without a pause, and takes all answers: a right one, and more than its share.

use crate::{
    problem::{Problem, Seen},
    stage::Stage,
    wire::Event,
};
use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
};

/// Goes on until it is dropped.
#[derive(Debug)]
pub(crate) struct Flood {
    stream: Arc<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

/// As long as lines are that people type.
const LINE: &[u8] = b"a line of a client that sends one line behind the other\n";
/// The lines that are sent with one call.
const LINES: usize = 512;

impl Stage {
    /// Connects such a client. Its bytes are not in the record: they are too many.
    pub(crate) fn flood(&self) -> Result<Flood, Problem> {
        let failed = |error: io::Error| Problem::new("a client", Seen::Grader(error));
        let server = self.server.ok_or_else(|| failed(io::ErrorKind::NotConnected.into()))?;
        let stream = Arc::new(TcpStream::connect(server).map_err(failed)?);
        let number = self.record.lock().client();
        for event in [Event::Connected, Event::Flood] {
            self.record.lock().note(number, event);
        }
        let mut flood = Flood { stream, threads: Vec::new() };
        let (sends, reads) = (Arc::clone(&flood.stream), Arc::clone(&flood.stream));
        let lines = LINE.repeat(LINES);
        flood.threads.push(thread::spawn(move || while (&*sends).write_all(&lines).is_ok() {}));
        flood.threads.push(thread::spawn(move || {
            let mut scratch = vec![0; 64 * 1024];
            while (&*reads).read(&mut scratch).is_ok_and(|count| count > 0) {}
        }));
        Ok(flood)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
