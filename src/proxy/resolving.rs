//! Has the names of servers asked for (`server_names.rs`), and takes the answers: off every event loop, by the keeper's thread.

use super::{
    backend_spec::BackendSpec,
    blueprint::Endpoints,
    forward::{Resolver, System},
    server_names::{Answer, News, ServerNames},
    wishes::Wishes,
};
use crate::net::{clock, resolve};
use std::{
    collections::HashSet,
    fmt::Display,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

/// How long a start, or a reload, waits for answers. A name server that says nothing must not keep a proxy from starting; what comes
/// later is used then.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names of servers, and who is asked for them.
#[derive(Debug)]
pub(super) struct Resolving {
    names: ServerNames,
    resolver: Arc<dyn Resolver>,
    answers: Arc<Answers>,
    /// Addresses came or went, and are not in place yet.
    changed: bool,
}

/// Answers that nobody has looked at.
#[derive(Debug)]
struct Answers {
    list: Mutex<Vec<(Box<str>, Answer)>>,
    news: Condvar,
    wishes: Wishes,
}

impl Answers {
    fn add(&self, name: Box<str>, answer: Answer) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push((name, answer));
        self.news.notify_all();
        self.wishes.answered();
    }

    fn take(&self) -> Vec<(Box<str>, Answer)> {
        std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Until there are some, or that time has passed.
    fn wait(&self, patience: Duration) {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.news.wait_timeout_while(list, patience, |list| list.is_empty()));
    }
}

/// The name of a server that has to be asked for.
fn name_of(server: &BackendSpec) -> Option<&str> {
    resolve::known(&server.authority).err()
}

impl Resolving {
    /// By the system's resolver. The keeper hears of answers as a wish.
    pub(super) fn by_the_system(interval: Duration, wishes: Wishes) -> Self {
        Self::new(Arc::new(System), interval, wishes)
    }

    fn new(resolver: Arc<dyn Resolver>, interval: Duration, wishes: Wishes) -> Self {
        let answers = Answers { list: Mutex::default(), news: Condvar::new(), wishes };
        Self { names: ServerNames::new(interval), resolver, answers: Arc::new(answers), changed: false }
    }

    /// Has the names of these servers asked for at once, and waits for the answers, within limits.
    pub(super) fn find(&mut self, servers: &[BackendSpec]) {
        let began = clock::now().instant;
        self.names.want(servers.iter().filter_map(name_of), began);
        loop {
            self.look(|_| false);
            let now = clock::now().instant;
            let left = PATIENCE.saturating_sub(now - began);
            let waiting: Vec<&str> = self.names.unanswered(now).collect();
            match (&waiting[..], left) {
                ([], _) => return,
                (waiting, Duration::ZERO) => {
                    tracing::warn!("no answer yet for {}: the resolver takes its time", waiting.join(", "));
                    return;
                }
                _ => self.answers.wait(left),
            }
        }
    }

    /// From now on it is about these servers.
    pub(super) fn keep(&mut self, servers: &[BackendSpec], interval: Duration) {
        let names: HashSet<&str> = servers.iter().filter_map(name_of).collect();
        self.names.retain(|name| names.contains(name));
        self.names.set_interval(interval);
    }

    /// Takes the answers that came, and has asked for what is due. `fails`: no address of a name answers.
    pub(super) fn look(&mut self, fails: impl Fn(&str) -> bool) {
        let now = clock::now().instant;
        for (name, answer) in self.answers.take() {
            let answer = answer.map(resolve::with_route);
            let news = self.names.answered(&name, answer, fails(&name), now);
            self.changed |= matches!(news, News::Changed { .. });
            tell(&name, &news, self.names.addresses(&name).is_empty());
        }
        for name in self.names.ask(now) {
            let (answers, asked) = (self.answers.clone(), name.clone());
            self.resolver.ask(&name, Box::new(move |answer| answers.add(asked, answer)));
        }
    }

    /// No address of these servers answers.
    pub(super) fn all_fail<'a>(&mut self, servers: impl Iterator<Item = &'a BackendSpec>) {
        let now = clock::now().instant;
        servers.filter_map(name_of).for_each(|name| self.names.fails(name, now));
    }

    /// Whether no server has a name that has to be asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The time until a name is due. `None`: there is nothing to wait for but answers.
    pub(super) fn next(&self) -> Option<Duration> {
        Some(self.names.next()?.saturating_duration_since(clock::now().instant))
    }

    /// Whether addresses came or went since this was asked last.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The servers with the addresses that are known.
    pub(super) fn endpoints(&self, servers: &[BackendSpec]) -> Endpoints {
        Endpoints::of(servers, |server| match resolve::known(&server.authority) {
            Ok(addresses) => vec![(None, addresses)],
            Err(name) => {
                let at = |ip: &IpAddr| (Some(*ip), vec![SocketAddr::new(*ip, server.authority.port)]);
                self.names.addresses(name).iter().map(at).collect()
            }
        })
    }

    /// Whether the name of a server is this one.
    pub(super) fn is_named(server: &BackendSpec, name: &str) -> bool {
        name_of(server) == Some(name)
    }
}

fn tell(name: &str, news: &News, nothing_known: bool) {
    match news {
        News::Same => {}
        News::Changed { came, gone } if gone.is_empty() => tracing::info!("{name} has the address {}", list(came)),
        News::Changed { came, gone } if came.is_empty() => {
            tracing::info!("{name} has no longer the address {}", list(gone));
        }
        News::Changed { came, gone } => {
            tracing::info!("{name} has the address {}, and no longer {}", list(came), list(gone));
        }
        News::Back => tracing::info!("{name} resolves again, to the addresses from before"),
        News::Lost if nothing_known => {
            tracing::warn!("{name} does not resolve: no request goes there until it does; it is asked for again");
        }
        News::Lost => {
            tracing::warn!("{name} does not resolve any more: its last addresses stay; it is asked for again")
        }
    }
}

fn list(addresses: &[IpAddr]) -> impl Display {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
