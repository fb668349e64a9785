//! A server to try things with: the command service on a port of its own, in this process.

use crate::{
    net::{DriverConfig, ListenOptions, Reactor, Remote, Sessions, listen},
    service::Command,
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    thread::{self, JoinHandle},
};

/// A server that ends when this is dropped.
#[derive(Debug)]
pub struct Demo {
    address: SocketAddr,
    remote: Remote,
    thread: Option<JoinHandle<()>>,
}

/// Starts the command service on any free port of the loopback.
///
/// # Errors
///
/// The system has no ports, descriptors or threads left.
pub fn command_server() -> io::Result<Demo> {
    let listener = listen(&ListenOptions::new((Ipv4Addr::LOCALHOST, 0).into())).map_err(io::Error::other)?;
    let address = listener.local_addr()?;
    let mut reactor = Reactor::new(Sessions::new(|_, now| Command::session(now)), DriverConfig::default())?;
    reactor.listen(listener)?;
    let remote = reactor.remote();
    let thread = thread::Builder::new().name("demo".to_owned()).spawn(move || drop(reactor.run()))?;
    Ok(Demo { address, remote, thread: Some(thread) })
}

impl Demo {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.remote.stop();
        if let Some(thread) = self.thread.take() {
            // It panicked: that was printed.
            let _ = thread.join();
        }
    }
}
