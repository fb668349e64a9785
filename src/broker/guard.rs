//! Threads that look at passwords, because that takes long: meanwhile the event loop goes on.

use super::{
    password::{Ask, judge},
    shared::Shared,
};
use crate::app::ConnId;
use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    thread::{self, JoinHandle},
};

/// Passwords that may wait: the last of them waits for some seconds.
pub(crate) const QUEUE: usize = 256;

/// Hashes at once: 38 MiB, and a part of the processors.
const THREADS: usize = 2;

type Asked = Receiver<(ConnId, Ask)>;

/// Starts the threads. They end when nothing can be asked any more.
pub(crate) fn start(shared: &Arc<Shared>, asked: Asked) -> io::Result<Vec<JoinHandle<()>>> {
    let asked = Arc::new(Mutex::new(asked));
    let start = |number| {
        let (shared, asked) = (Arc::clone(shared), Arc::clone(&asked));
        thread::Builder::new().name(format!("guard-{number}")).spawn(move || {
            while let Some((conn, ask)) = next(&asked) {
                shared.judge(conn, judge(ask));
            }
        })
    };
    (0..THREADS).map(start).collect()
}

fn next(asked: &Mutex<Asked>) -> Option<(ConnId, Ask)> {
    asked.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
