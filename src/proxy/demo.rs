//! Backends of the proxy's own, so that it does something useful without any: the demo service on loopback ports.

use crate::{
    net::{DriverConfig, ListenOptions, Reactor, Remote, Sessions, listen},
    service::http::{Http, HttpConfig},
};
use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::{self, JoinHandle},
};

/// Demo backends that run until dropped.
pub struct Demo {
    /// Where they listen.
    pub addresses: Vec<SocketAddr>,
    running: Vec<(Remote, JoinHandle<()>)>,
}

impl Demo {
    /// Starts `count` of them, each a thread with its own event loop.
    ///
    /// # Errors
    ///
    /// The system has no port, descriptor or thread left.
    pub fn start(count: usize) -> io::Result<Self> {
        let mut demo = Self { addresses: Vec::new(), running: Vec::new() };
        for number in 1..=count {
            let listener =
                listen(&ListenOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).map_err(io::Error::other)?;
            demo.addresses.push(listener.local_addr()?);
            let name = format!("demo-{number}").parse().map_err(io::Error::other)?;
            let config = Arc::new(HttpConfig { name, ..HttpConfig::default() });
            let sessions = Sessions::new(move |_, now| Http::new(config.clone(), now));
            let mut reactor = Reactor::new(sessions, DriverConfig::default())?;
            reactor.listen(listener)?;
            let remote = reactor.remote();
            let thread = thread::Builder::new().name(format!("demo-{number}")).spawn(move || {
                if let Err(error) = reactor.run() {
                    tracing::error!(%error, "demo backend stopped");
                }
            })?;
            demo.running.push((remote, thread));
        }
        Ok(demo)
    }
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demo").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        for (remote, _) in &self.running {
            remote.stop();
        }
        for (_, thread) in self.running.drain(..) {
            let _ = thread.join();
        }
    }
}
