//! The threads of a proxy, from their start to their end.

use super::{Desk, Proxy, ports::Ports};
use crate::{
    app::{App, ListenerId},
    cli::Failure,
    net::{
        Driver, Reactor, Remote,
        signals::Signal,
        supervisor::{self, State},
    },
    pool::Slots,
};
use std::{
    io,
    net::TcpListener,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

/// How long visitors of the admin listener have at the very end to take their answers.
const ADMIN_FAREWELL: Duration = Duration::from_millis(250);

/// The workers that run, and the admin listener's thread.
pub(super) struct Running {
    workers: Vec<(Remote, thread::JoinHandle<io::Result<Proxy>>)>,
    /// Where each worker says, by its number, that it has ended.
    ended: (Sender<usize>, Receiver<usize>),
    desk: Option<Reactor<Desk>>,
}

impl Running {
    pub(super) fn new(desk: Option<Reactor<Desk>>) -> Self {
        Self { workers: Vec::new(), ended: channel(), desk }
    }

    /// Starts a worker; `into` finds the proxy in what has run.
    pub(super) fn start<A: App + Send + 'static>(
        &mut self,
        mut driver: Driver<A>,
        listeners: Vec<(ListenerId, TcpListener)>,
        slots: &Slots,
        into: fn(A) -> Proxy,
    ) -> Result<(), Failure> {
        let index = self.workers.len();
        for (id, listener) in listeners {
            driver.listen_as(id, listener)?;
        }
        let remote = driver.remote();
        let waker = remote.clone();
        slots.attach(index, Arc::new(move || waker.wake()));
        let end = End(index, self.ended.0.clone());
        let work = move || {
            let _end = end;
            driver.run().map(into)
        };
        let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(work)?;
        self.workers.push((remote, thread));
        Ok(())
    }

    /// The event loops of the workers.
    pub(super) fn workers(&self) -> Vec<Remote> {
        self.workers.iter().map(|(remote, _)| remote.clone()).collect()
    }

    /// That of the admin listener.
    pub(super) fn desk(&self) -> Option<Remote> {
        self.desk.as_ref().map(Reactor::remote)
    }

    /// The handler of signals: SIGINT and SIGTERM end every worker after its requests.
    pub(super) fn drain(&self, ports: Ports, within: Duration) -> impl FnMut(Signal) + Clone + Send + 'static {
        let remotes = self.workers();
        move |signal| {
            if signal == Signal::Stop {
                tracing::info!("draining: running requests have {within:?}; a second signal ends at once");
                ports.close();
                supervisor::tell(State::Stopping);
                remotes.iter().for_each(|remote| remote.drain(within));
            }
        }
    }

    /// Until every worker has ended, and then the admin listener. A worker that fails ends the others, too, after their
    /// requests: then a supervisor starts a whole process again.
    pub(super) fn wait(self, mut drain: impl FnMut(Signal)) -> Result<(), Failure> {
        let desk = self.desk.map(attend).transpose()?;
        let mut threads: Vec<_> = self.workers.into_iter().map(|(_, thread)| Some(thread)).collect();
        let (mut result, mut cut_off) = (Ok(()), 0);
        for index in self.ended.1.iter().take(threads.len()) {
            let Some(thread) = threads[index].take() else { continue };
            let failure = match thread.join() {
                Ok(Ok(proxy)) => {
                    cut_off += proxy.cut_off_at_end();
                    continue;
                }
                Ok(Err(error)) => format!("worker {index} failed: {error}"),
                Err(_) => format!(
                    "worker {index} panicked, which is a bug: start the proxy again, and report it with the lines above \
                     (RUST_BACKTRACE=1 adds where)"
                ),
            };
            tracing::error!("{failure}; the other workers finish their requests, then the process ends with 1");
            result = Err(Failure::Run(failure));
            drain(Signal::Stop);
        }
        match cut_off {
            0 if result.is_err() => {}
            0 => tracing::info!("drained: every request was answered"),
            requests => tracing::warn!(
                requests,
                "cut off after the drain timeout: each has a line with failure=\"drain timeout\""
            ),
        }
        if let Some((remote, thread)) = desk {
            remote.drain(ADMIN_FAREWELL);
            let _ = thread.join();
        }
        result
    }
}

/// Runs the admin listener until it is told to end. Should it fail, the proxy goes on without it.
fn attend(desk: Reactor<Desk>) -> io::Result<(Remote, thread::JoinHandle<()>)> {
    let remote = desk.remote();
    let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
        if let Err(error) = desk.run() {
            tracing::error!(%error, "the admin listener has failed; the proxy goes on without it");
        }
    })?;
    Ok((remote, thread))
}

/// Says that a worker has ended, however it did.
struct End(usize, Sender<usize>);

impl Drop for End {
    fn drop(&mut self) {
        // An error means that the receiver is gone: the process is about to end.
        let _ = self.1.send(self.0);
    }
}
