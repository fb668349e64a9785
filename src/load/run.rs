//! Running a plan: threads, the moments that they share, and what is measured from outside.
//!
//! ```text
//!   connect ahead ──▶ begin ── warm-up ──▶ measure ── counted ──▶ end
//!                                          CPU time               CPU time, memory
//! ```

use super::{
    Record, Script, Security, Target, Timeline,
    clients::{Clients, Control, Orders},
    record::slot_of,
    usage::{self, Usage},
};
use crate::{
    app::Cx,
    cli::Failure,
    net::{DriverConfig, Reactor, Remote, clock},
    time::Instant,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often the caller hears how far it is.
const TICK: Duration = Duration::from_millis(100);
/// How long the threads have to close their connections at the end.
const CLOSING: Duration = Duration::from_secs(1);
/// How long clients may take to connect before the start. Those that have not by then are a part of what is measured.
const AHEAD: Duration = Duration::from_secs(3);
/// As [`AHEAD`], with handshakes: a CPU does about a thousand in a second.
const SHAKING_AHEAD: Duration = Duration::from_secs(30);

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server, as the user named it.
    pub target: Target,
    /// Its address: see [`reach`](super::reach()).
    pub to: SocketAddr,
    /// The requests to send.
    pub script: Script,
    /// The server as TLS is spoken with it; `None`: it is spoken to in plain.
    pub security: Option<Security>,
    /// How many clients, at least 1.
    pub clients: usize,
    /// Threads, from 1 to the number of clients.
    pub threads: usize,
    /// Requests under way on a connection, at least 1: the depth of a pipeline, or the number of streams.
    pub at_once: u32,
    /// Whether a connection carries more than one request.
    pub keep_alive: bool,
    /// How long it counts.
    pub duration: Duration,
    /// How long it runs before it counts.
    pub warm_up: Duration,
    /// How long a request may take.
    pub timeout: Duration,
    /// Requests a second, at least 1. `None`: each client asks again when it was answered.
    pub rate: Option<u64>,
    /// The server's process, to measure what it uses.
    pub server: Option<u32>,
}

/// Numbers that were measured besides the clients' own counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured {
    /// How long it counted: shorter than planned if it was interrupted.
    pub counted: Duration,
    /// CPU time of this process meanwhile.
    pub own_cpu: Option<Duration>,
    /// CPU time of the server meanwhile.
    pub server_cpu: Option<Duration>,
    /// The server's memory and threads at the end, with the clients connected.
    pub server: Option<Usage>,
    /// The user ended it.
    pub interrupted: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Time since the first request, warm-up included.
    pub elapsed: Duration,
    /// How long that will be.
    pub total: Duration,
    /// Good answers so far.
    pub answered: u64,
    /// Failed requests so far.
    pub failed: u64,
}

/// Runs a plan. `interrupt` ends it early; `watch` hears about ten times a second how far it is.
///
/// # Errors
///
/// The system has no room for the threads or their event loops.
pub fn run(
    plan: &Plan,
    interrupt: &Receiver<()>,
    mut watch: impl FnMut(Progress),
) -> Result<(Record, Measured), Failure> {
    let control = Arc::new(Control::default());
    let (sender, ready) = channel();
    let mut crew = Crew { workers: Vec::new() };
    for thread in 0..plan.threads {
        crew.start(plan, thread, &control, &sender)?;
    }
    drop(sender);
    let ahead = if plan.security.is_some() { SHAKING_AHEAD } else { AHEAD };
    let connected = wait_until(&ready, plan.threads, interrupt, ahead.min(plan.timeout));
    let mut measured = Measured { interrupted: !connected, ..Measured::default() };

    let line = timeline(plan);
    // It is set nowhere else.
    let _ = control.line.set(line);
    crew.wake();
    let mut tell = |now: Instant| {
        let (answered, failed) = (control.answered.load(Relaxed), control.failed.load(Relaxed));
        watch(Progress { elapsed: now - line.begin, total: line.end - line.begin, answered, failed });
    };
    measured.interrupted = measured.interrupted || !sleep_until(line.measure, interrupt, &mut tell);
    let (from, own, server) = (now(), usage::own_cpu(), plan.server.and_then(usage::cpu_of));
    measured.interrupted = measured.interrupted || !sleep_until(line.end, interrupt, &mut tell);
    let until = now().min(line.end);
    measured.counted = until.saturating_duration_since(line.measure);
    // Woken late, we have missed some of it; what was seen stands for all.
    let share = measured.counted.as_secs_f64() / until.saturating_duration_since(from).as_secs_f64().max(1e-9);
    let since = |before: Option<Duration>, after: Option<Duration>| {
        Some(after?.saturating_sub(before?).mul_f64(share.clamp(1.0, 2.0)))
    };
    measured.own_cpu = since(own, usage::own_cpu());
    measured.server_cpu = since(server, plan.server.and_then(usage::cpu_of));
    measured.server = plan.server.and_then(usage::of);
    Ok((crew.finish(plan)?, measured))
}

fn timeline(plan: &Plan) -> Timeline {
    let begin = now();
    let measure = begin + plan.warm_up;
    Timeline { begin, measure, end: measure + plan.duration }
}

fn now() -> Instant {
    clock::now().instant
}

/// Waits for so many messages, at most for a while. `false`: interrupted.
fn wait_until(ready: &Receiver<()>, mut count: usize, interrupt: &Receiver<()>, at_most: Duration) -> bool {
    let until = now() + at_most;
    while count > 0 && now() < until {
        match ready.recv_timeout(TICK / 4) {
            Ok(()) => count -= 1,
            Err(RecvTimeoutError::Timeout) => {}
            // A thread has ended, and will say why.
            Err(RecvTimeoutError::Disconnected) => return true,
        }
        if interrupt.try_recv().is_ok() {
            return false;
        }
    }
    true
}

/// Waits, and tells now and then. `false`: interrupted.
fn sleep_until(until: Instant, interrupt: &Receiver<()>, tell: &mut impl FnMut(Instant)) -> bool {
    loop {
        let left = until.saturating_duration_since(now());
        match interrupt.recv_timeout(left.min(TICK)) {
            Ok(()) => return false,
            Err(RecvTimeoutError::Timeout) => {}
            // The run cannot be interrupted: then time alone ends it.
            Err(RecvTimeoutError::Disconnected) => thread::park_timeout(left.min(TICK)),
        }
        let time = now();
        tell(time);
        if time >= until {
            return true;
        }
    }
}

/// The threads. Dropped, they are stopped.
struct Crew {
    workers: Vec<(Remote, Option<JoinHandle<std::io::Result<Record>>>)>,
}

impl Crew {
    fn start(&mut self, plan: &Plan, thread: usize, control: &Arc<Control>, ready: &Sender<()>) -> Result<(), Failure> {
        // The first ones take what does not divide.
        let clients = (plan.clients + plan.threads - 1 - thread) / plan.threads;
        let orders = Orders {
            to: plan.to,
            script: plan.script.clone(),
            callee: plan.security.as_ref().and_then(|security| security.callee(clients)).map(Arc::new),
            clients,
            slots: plan.at_once,
            keep_alive: plan.keep_alive,
            timeout: plan.timeout,
            rate: plan.rate,
            thread: thread as u64,
            threads: plan.threads as u64,
        };
        let record = Record::new(slot_of(plan.duration));
        let clock = |_: &Cx| now();
        let clients = Clients::new(orders, record, Arc::clone(control), ready.clone(), clock, now());
        let reactor = Reactor::new(clients, DriverConfig::default())?;
        let remote = reactor.remote();
        let run = move || reactor.run().map(Clients::into_record);
        let handle = thread::Builder::new().name(format!("load-{thread}")).spawn(run)?;
        self.workers.push((remote, Some(handle)));
        Ok(())
    }

    fn wake(&self) {
        self.workers.iter().for_each(|(remote, _)| remote.wake());
    }

    /// Ends what is under way, and adds everything up.
    fn finish(mut self, plan: &Plan) -> Result<Record, Failure> {
        self.workers.iter().for_each(|(remote, _)| remote.drain(CLOSING));
        let mut sum = Record::new(slot_of(plan.duration));
        for (_, handle) in &mut self.workers {
            let joined = handle.take().map(JoinHandle::join);
            let record = match joined {
                Some(Ok(record)) => record?,
                Some(Err(_)) | None => return Err(Failure::Run("a thread of the load generator failed".to_owned())),
            };
            sum.merge(&record);
        }
        Ok(sum)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (remote, handle) in &mut self.workers {
            if let Some(handle) = handle.take() {
                remote.stop();
                // Its result is not needed any more.
                let _ = handle.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http::Method, load::HttpScript};
    use std::net::TcpListener;

    #[test]
    fn the_last_answers_are_not_waited_for() {
        // The kernel takes the connections; no program answers on them.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target: Target = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let script = HttpScript::new(&target, Method::Get, &[], &[], true).unwrap();
        let plan = Plan {
            to: listener.local_addr().unwrap(),
            target,
            script: Script::Http(script),
            security: None,
            clients: 3,
            threads: 2,
            at_once: 1,
            keep_alive: true,
            duration: Duration::from_millis(500),
            warm_up: Duration::ZERO,
            timeout: Duration::from_secs(3600),
            rate: None,
            server: None,
        };
        let (sender, ended) = channel();
        let running = move || {
            let (_interrupt, interrupted) = channel();
            sender.send(run(&plan, &interrupted, |_| {})).unwrap();
        };
        thread::Builder::new().spawn(running).unwrap();
        let (record, measured) = ended.recv_timeout(Duration::from_secs(20)).expect("it waits all the same").unwrap();
        assert_eq!((record.started, record.unfinished, measured.interrupted), (3, 3, false));
        assert!(record.longest_wait > Duration::ZERO && record.longest_wait <= Duration::from_millis(500));
    }
}
