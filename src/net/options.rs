//! Socket options worth having, and why.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};

/// Bytes that the kernel takes from us ahead of what it may send (`TCP_NOTSENT_LOWAT`). Left alone, it takes up to 4 MiB: a slow
/// client then occupies that much of the kernel's memory, and we hear nothing of it for minutes. Half of this is left when
/// the kernel asks for more: enough for 500 Mbit/s if we need a millisecond to get there.
pub(super) const AHEAD: u32 = 128 * 1024;

/// The same while most of a large file is still to be sent. Its bytes stay in the kernel's page cache, where all that send the file share them,
/// so more of them ahead cost no memory; and the fewer at once, the more often we are woken.
pub(super) const FILE_AHEAD: u32 = 4 * 1024 * 1024;

/// Sets [`AHEAD`], also for the connections that a listener accepts. Linux only: elsewhere, the kernel's own limit stays.
pub(super) fn limit_ahead<'s, S>(socket: &'s S) -> io::Result<()>
where
    SockRef<'s>: From<&'s S>,
{
    set_ahead(socket, AHEAD)
}

/// Sets how many bytes the kernel takes ahead of what it may send: [`AHEAD`] or [`FILE_AHEAD`].
pub(super) fn set_ahead<'s, S>(socket: &'s S, bytes: u32) -> io::Result<()>
where
    SockRef<'s>: From<&'s S>,
{
    let socket = SockRef::from(socket);
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(bytes)?;
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, bytes);
    Ok(())
}

/// Changes to a connection's settings. The default changes nothing but `no_delay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// Small writes leave at once instead of waiting for the answer to the last one (`TCP_NODELAY`). Off, a request and an
    /// answer that are written in two pieces cost 40 ms on most systems: Nagle's algorithm waits for a delayed
    /// acknowledgement.
    pub no_delay: bool,
    /// After this much silence the kernel asks whether the peer still exists, and resets the connection if no answer
    /// comes. For connections that may be silent for hours; others end by a deadline of ours.
    pub keep_alive: Option<Duration>,
    /// Bytes that the kernel receives ahead of us. `None`: it finds the right amount itself, which is nearly always better.
    pub receive_buffer: Option<usize>,
    /// Bytes that the kernel takes from us ahead of the peer. `None`: it finds the right amount itself.
    pub send_buffer: Option<usize>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { no_delay: true, keep_alive: None, receive_buffer: None, send_buffer: None }
    }
}

impl StreamOptions {
    /// Applies them to a socket: `options.apply(&stream)`.
    ///
    /// # Errors
    ///
    /// The system refuses one of them. Buffer sizes are only wishes: it keeps them within its own limits without an error.
    pub fn apply<'s, S>(&self, socket: &'s S) -> io::Result<()>
    where
        SockRef<'s>: From<&'s S>,
    {
        let socket = SockRef::from(socket);
        socket.set_tcp_nodelay(self.no_delay)?;
        if let Some(after) = self.keep_alive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after))?;
        }
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    #[cfg(target_os = "linux")]
    #[allow(clippy::disallowed_methods)] // A real socket is what this is about.
    fn accepted_connections_have_the_limit_of_their_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        limit_ahead(&listener).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = listener.accept().unwrap().0;
        assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), AHEAD);
    }

    #[test]
    fn options_reach_the_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let defaults = SockRef::from(&listener).recv_buffer_size().unwrap();
        let options = StreamOptions {
            keep_alive: Some(Duration::from_secs(77)),
            receive_buffer: Some(8192),
            send_buffer: Some(8192),
            ..StreamOptions::default()
        };
        options.apply(&listener).unwrap();
        let socket = SockRef::from(&listener);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
        // The kernel doubles what it is asked for, for its own bookkeeping (socket(7)).
        for size in [socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap()] {
            assert!((8192..=16384).contains(&size) && size < defaults, "{size}");
        }
    }
}
