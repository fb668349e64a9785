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
use std::{io, net::SocketAddr, time::Duration};

/// Events taken from the kernel at once. More than a turn of a busy worker has; 12 KiB.
const EVENTS: usize = 1024;

/// The worth of the kernel's last report.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// It may not have named everything: there was no room for more.
    pub(super) is_cut: bool,
    /// Bytes were read since, which may have come after it.
    pub(super) is_older: bool,
}

/// Everything but the application.
#[derive(Debug)]
pub struct Io {
    pub(super) poll: Poll,
    pub(super) events: Events,
    pub(super) report: Report,
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
            report: Report::default(),
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

    /// Asks the kernel for another report in the middle of a turn: for less than it costs to ask about some connections one by one.
    pub(super) fn look(&mut self) {
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Ok(()) => {
                self.note_events();
                self.common.visited = 0;
            }
            // The old report stands, and what is asked for has to be asked one by one.
            Err(_) => self.report.is_cut = true,
        }
    }

    /// Remembers what the kernel said.
    ///
    /// All events of a report are noted before the first is acted on: no socket is closed in between, so none of them can
    /// meet the next tenant of its key.
    pub(super) fn note_events(&mut self) {
        let Self { events, report, listeners, common, .. } = self;
        report.is_older = false;
        let mut room = EVENTS;
        for event in events.iter() {
            room -= 1;
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
        report.is_cut = room == 0;
    }
}
