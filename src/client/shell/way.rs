//! How commands travel: all over one connection, or one at a time over each of several.

use crate::{
    cli::Failure,
    client::{Answer, Cause, Client, ClientArgs, ConnectionPool, Error, Event, Request, Server, Stats},
};
use std::{
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

type Task = (Request, Box<dyn FnOnce(Result<Answer, Error>) + Send>);

/// Threads that ask on connections of their own.
pub(super) struct Workers {
    pool: Arc<ConnectionPool>,
    /// `None`: there will be no more tasks.
    tasks: Mutex<Option<mpsc::Sender<Task>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// One of the two.
pub(super) enum Way {
    Pipelined(Client),
    Pooled(Workers),
}

impl Way {
    /// Connects, so that a missing server is noticed before anything is read.
    pub(super) fn open(args: &ClientArgs, watcher: impl Fn(Event) + Send + Sync + 'static) -> Result<Self, Failure> {
        let (config, server) = (args.config(), Server::from(args.connect.clone()));
        let Some(pool_config) = args.pool_config() else {
            return Ok(Self::Pipelined(match args.wait {
                false => Client::connect_watched(server, config, watcher).map_err(super::no_server)?,
                true => Client::connect_later(server, config, watcher)?,
            }));
        };
        let threads = pool_config.max;
        let pool = Arc::new(ConnectionPool::watched(server, pool_config, config, watcher));
        if !args.wait {
            pool.warm_up().map_err(super::no_server)?;
        }
        let (tasks, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let worker = |n| {
            let (pool, queue) = (Arc::clone(&pool), Arc::clone(&queue));
            thread::Builder::new().name(format!("client-{n}")).spawn(move || work(&pool, &queue))
        };
        let threads = (0..threads).map(worker).collect::<io::Result<_>>()?;
        Ok(Self::Pooled(Workers { pool, tasks: Mutex::new(Some(tasks)), threads: Mutex::new(threads) }))
    }

    /// Asks; `done` is called when there is an answer or none will come. `last`: nothing more will be asked.
    pub(super) fn submit(
        &self,
        request: Request,
        last: bool,
        done: impl FnOnce(Result<Answer, Error>) + Send + 'static,
    ) {
        match self {
            Self::Pipelined(client) if last => client.submit_last(request, done),
            Self::Pipelined(client) => client.submit(request, done),
            Self::Pooled(workers) => {
                let task: Task = (request, Box::new(done));
                let refused = match &*lock(&workers.tasks) {
                    // It fails only if all workers crashed.
                    Some(tasks) => tasks.send(task).err().map(|refused| refused.0),
                    None => Some(task),
                };
                if let Some((_, done)) = refused {
                    done(Err(Error::NotSent(Cause::Closed)));
                }
            }
        }
    }

    /// Nothing more is sent; what waits is told so.
    pub(super) fn close(&self) {
        match self {
            Self::Pipelined(client) => client.close(),
            Self::Pooled(workers) => workers.pool.close(),
        }
    }

    /// Waits for what was asked, and tells what was done.
    pub(super) fn finish(&self) -> String {
        match self {
            Self::Pipelined(client) => {
                let stats = client.finish();
                let Stats { requests, answered, failed, repeated, connections, late } = stats;
                format!(
                    "STATS commands={requests} answered={answered} failed={failed} repeated={repeated} \
                     connections={connections} late={late}"
                )
            }
            Self::Pooled(Workers { pool, tasks, threads }) => {
                drop(lock(tasks).take());
                for thread in mem::take(&mut *lock(threads)) {
                    // It panicked: that was printed.
                    let _ = thread.join();
                }
                let stats = pool.stats();
                format!("STATS connections={} reused={}", stats.opened, stats.reused)
            }
        }
    }
}

/// Asks for one task after the other.
fn work(pool: &ConnectionPool, queue: &Mutex<mpsc::Receiver<Task>>) {
    loop {
        let next = lock(queue).recv();
        let Ok((request, done)) = next else { return };
        done(pool.ask(&request));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here can panic halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
