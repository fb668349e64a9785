//! The parts of a reactor besides its application: sockets, which of them have work, and the buffers.
//!
//! Nothing here calls the application. So no call happens inside another: everything that an application has to hear
//! goes to the ready queue, and [`super::deliver`] takes it from there.

use super::{
    ALARM, DriverConfig, FIRST_LISTENER, WAKER,
    accept::Listener,
    alarm::Alarm,
    connection::{Connection, Phase},
    scratch::Scratch,
};
use crate::{
    app::ConnId,
    net::{connect, driver::Common},
    time::Instant,
};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{io, net::SocketAddr};

/// Events taken from the kernel at once. More than a turn of a busy worker has; 12 KiB.
const EVENTS: usize = 1024;

/// Everything but the application.
#[derive(Debug)]
pub struct Io {
    pub(super) poll: Poll,
    pub(super) events: Events,
    pub(super) alarm: Alarm,
    pub(super) listeners: Vec<Listener>,
    pub(super) common: Common<Connection>,
    pub(super) scratch: Scratch,
    /// Per action of the present call, the next one with bytes for the same socket.
    pub(super) chain: Vec<u32>,
    /// The present call sends parts of files.
    pub(super) with_files: bool,
    /// Keys of sockets that the present call concerned.
    pub(super) touched: Vec<usize>,
}

impl Io {
    pub(super) fn new(config: DriverConfig, now: Instant) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            alarm: Alarm::default(),
            listeners: Vec::new(),
            scratch: Scratch::new(config.largest_read()),
            common: Common::new(config, now),
            chain: Vec::new(),
            with_files: false,
            touched: Vec::new(),
        })
    }

    /// Files a new socket. Registered once, for both directions, edge-triggered; never again.
    pub(super) fn adopt(
        &mut self,
        mut stream: TcpStream,
        conn: ConnId,
        phase: Phase,
        accepted: bool,
    ) -> io::Result<()> {
        let token = Token(self.common.table.next_key());
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.common.table.insert(Connection::new(stream, conn, phase, accepted));
        Ok(())
    }

    /// Carries out [`Action::Connect`].
    pub(super) fn connect(&mut self, conn: ConnId, to: SocketAddr) {
        let begun = connect::begin(to).and_then(|stream| self.adopt(stream, conn, Phase::Connecting, false));
        if let Err(error) = begun {
            self.common.refuse(conn, connect::kind_of(&error));
        }
    }

    /// Remembers what the kernel said.
    ///
    /// All events of a turn are noted before the first is acted on: no socket is closed in between, so none of them can
    /// meet the next tenant of its key.
    pub(super) fn note_events(&mut self) {
        let Self { events, listeners, common, .. } = self;
        for event in events.iter() {
            match event.token() {
                WAKER => common.mail = true,
                // It has woken us; what has passed is seen by the clock.
                ALARM => {}
                Token(key) if key >= FIRST_LISTENER => {
                    if let Some(listener) = listeners.get_mut(key - FIRST_LISTENER) {
                        listener.ready = true;
                    }
                }
                Token(key) => {
                    if let Some(socket) = common.table.get_mut(key) {
                        socket.note(event);
                        common.enqueue(key);
                    }
                }
            }
        }
    }
}
