//! Names as the system knows them: its resolver, which blocks, is asked on a thread for each name. How many there may be is
//! said in `names.rs`.

use super::{Denied, Done, Resolver};
use crate::net::{
    address::{Host, HostPort},
    resolve,
};
use std::net::IpAddr;

/// The system's own resolver: its hosts file, its name servers.
#[derive(Debug)]
pub(in crate::proxy) struct System;

impl Resolver for System {
    fn ask(&self, name: &str, done: Done) {
        // No port is asked for; the system wants one all the same.
        let to = HostPort { host: Host::Name(name.to_owned()), port: 1 };
        let asked = Asked(Some(done));
        let spawned = resolve::spawn(
            move || resolve::resolve(&to),
            move |result| {
                let addresses = result.map(|found| found.iter().map(|address| address.ip()).collect());
                asked.tell(addresses.map_err(|error| {
                    tracing::debug!(%error, "a name was not resolved");
                    Denied::Unresolved
                }));
            },
        );
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread for the resolver");
        }
    }
}

/// A question that is answered whatever happens: those that wait for it must not wait for ever because there was no thread,
/// or because it has panicked.
struct Asked(Option<Done>);

impl Asked {
    fn tell(mut self, answer: Result<Vec<IpAddr>, Denied>) {
        if let Some(done) = self.0.take() {
            done(answer);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(Denied::ManyNames));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn every_question_is_answered() {
        let (sender, receiver) = channel();
        for name in ["localhost", "nobody.invalid"] {
            let sender = sender.clone();
            System.ask(name, Box::new(move |answer| sender.send((name, answer)).unwrap()));
        }
        let mut answers: Vec<_> = receiver.iter().take(2).collect();
        answers.sort_by_key(|(name, _)| *name);
        assert!(matches!(&answers[0], ("localhost", Ok(found)) if found[0].is_loopback()));
        assert_eq!(answers[1], ("nobody.invalid", Err(Denied::Unresolved)));
    }

    #[test]
    fn a_question_that_is_dropped_is_answered_too() {
        let (sender, receiver) = channel();
        drop(Asked(Some(Box::new(move |answer| sender.send(answer).unwrap()))));
        assert_eq!(receiver.recv().unwrap(), Err(Denied::ManyNames));
    }
}
