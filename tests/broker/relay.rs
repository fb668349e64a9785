//! The way to a broker that comes and goes: an address that stays, and that can be cut.

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

use crate::support::process::{lock, spawn};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex},
};

/// Where it leads to.
#[derive(Debug, Clone)]
pub enum To {
    Nowhere,
    Port(SocketAddr),
    Socket(PathBuf),
}

/// The way.
pub struct Relay {
    pub address: SocketAddr,
    to: Arc<Mutex<To>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
    pub fn new(to: To) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (to, open) = (Arc::new(Mutex::new(to)), Arc::new(Mutex::new(Vec::new())));
        let (its_to, its_open) = (Arc::clone(&to), Arc::clone(&open));
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let to = lock(&its_to).clone();
                if join(&client, to) {
                    lock(&its_open).push(client);
                }
            }
        });
        Self { address, to, open }
    }

    /// All connections break, and later ones lead there.
    pub fn lead(&self, to: To) {
        *lock(&self.to) = to;
        self.cut();
    }

    pub fn cut(&self) {
        for client in lock(&self.open).drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

#[allow(clippy::disallowed_methods)] // As above.
fn join(client: &TcpStream, to: To) -> bool {
    let Ok(client) = client.try_clone() else { return false };
    match to {
        To::Nowhere => false,
        To::Port(address) => TcpStream::connect(address).is_ok_and(|server| {
            let _ = server.set_nodelay(true);
            copy_both(client, server, TcpStream::try_clone, TcpStream::shutdown)
        }),
        To::Socket(path) => UnixStream::connect(path)
            .is_ok_and(|server| copy_both(client, server, UnixStream::try_clone, UnixStream::shutdown)),
    }
}

fn copy_both<S: Read + Write + Send + 'static>(
    client: TcpStream,
    server: S,
    clone: fn(&S) -> std::io::Result<S>,
    shutdown: fn(&S, Shutdown) -> std::io::Result<()>,
) -> bool {
    let _ = client.set_nodelay(true);
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), clone(&server)) else { return false };
    let (mut from_server, mut to_client) = (server, client);
    spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = shutdown(&to_server, Shutdown::Both);
    });
    spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    true
}
