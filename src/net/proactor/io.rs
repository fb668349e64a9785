//! The parts of a proactor besides its application: sockets, operations, buffers.
//!
//! Nothing here calls the application. So no call happens inside another: everything that an application has to hear is
//! queued, and [`super::deliver`] takes it from there.

use super::{
    accept::Listeners,
    buffers::{Buffers, Group},
    connection::{Connection, Phase, Receiving},
    heard::Heard,
    operations::{Kind, Operation, TRIED},
    ring::Ring,
};
use crate::{
    app::{ConnId, Reads},
    net::{
        DriverConfig, connect,
        driver::{CONFIRMED, Common, Finish, SLICES},
        options::limit_ahead,
    },
    time::Instant,
};
use io_uring::cqueue;
use nix::sys::eventfd::EventFd;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    mem,
    net::{Shutdown, SocketAddr},
    os::fd::AsRawFd,
    sync::Arc,
};

/// Small buffers, at most: as many clients as may speak in one turn without having to ask again. Buffers that were never needed
/// take no memory: all of them are 16 MiB for heads of 16 KiB, 4 MiB for lines.
const SMALL: u16 = 1024;

/// Large buffers, for the rest of bodies that are too long for small ones and find no pipe: 1 MiB if all are needed
/// at once. Bytes that a slow peer does not take keep the whole buffer that they are in.
const BULK: u16 = 16;
const BULK_SIZE: usize = 64 * 1024;

/// Something that the kernel has done, and that the application may have to hear of, in the order of its completion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) key: usize,
    pub(super) result: i32,
    /// The buffer that was filled.
    pub(super) buffer: Option<u16>,
    pub(super) group: Group,
}

/// The completion of an accept operation.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Which listener.
    pub(super) index: usize,
    pub(super) socket: io::Result<Socket>,
    /// No more will come of this operation.
    pub(super) last: bool,
}

/// Everything but the application.
pub struct Io {
    /// First, so that it is closed before the memory goes that it was told of.
    pub(super) ring: Ring,
    pub(super) buffers: [Buffers; 2],
    pub(super) common: Common<Connection>,
    pub(super) listeners: Listeners,
    /// The bytes that the present call is about.
    pub(super) heard: Heard,
    /// Size of the buffer in which they are: a reference to a part of it keeps that much memory.
    pub(super) heard_in: usize,
    /// Keys of sockets for which there was no buffer.
    pub(super) starved: VecDeque<usize>,
    /// Counts turns, wrapping.
    pub(super) turn: u32,
    /// Completions of this turn, in order.
    pub(super) arrivals: VecDeque<Arrival>,
    /// Connections that were accepted, or why not.
    pub(super) accepted: VecDeque<Accepted>,
    /// Listeners at which a connection waits, or whose operation has ended.
    pub(super) knocked: VecDeque<usize>,
    /// Other threads write to it.
    pub(super) bell: Arc<EventFd>,
    /// An operation waits for that.
    pub(super) listens: bool,
    /// Keys of sockets whose operations have to be looked at before the kernel is entered.
    pub(super) dirty: Vec<usize>,
    /// Keys of sockets for which a send was asked for since the kernel was entered last.
    pub(super) sent: Vec<usize>,
    /// Keys of sockets that tried to send with it, and how many bytes.
    pub(super) tried: Vec<(usize, usize)>,
    /// Keys of sockets that have more to send of a file, and had their share of a turn.
    pub(super) filing: Vec<usize>,
    /// A splice or a file goes on when such a try has succeeded.
    pub(super) awaited: bool,
    /// The completions of a turn; kept for its memory.
    pub(super) batch: Vec<cqueue::Entry>,
}

impl Io {
    pub(super) fn new(config: DriverConfig, now: Instant) -> io::Result<Self> {
        let ring = Ring::new()?;
        let small = Buffers::new(&ring, Group::Small, SMALL, config.read_size)?;
        let bulk = Buffers::new(&ring, Group::Bulk, BULK, config.bulk_read_size.min(BULK_SIZE))?;
        Ok(Self {
            ring,
            buffers: [small, bulk],
            common: Common::new(config, now),
            listeners: Listeners::default(),
            heard: Heard::nothing(),
            heard_in: 0,
            starved: VecDeque::new(),
            turn: 1,
            arrivals: VecDeque::new(),
            accepted: VecDeque::new(),
            knocked: VecDeque::new(),
            bell: Arc::new(EventFd::new()?),
            listens: false,
            dirty: Vec::new(),
            sent: Vec::new(),
            tried: Vec::new(),
            filing: Vec::new(),
            awaited: false,
            batch: Vec::new(),
        })
    }

    pub(super) fn buffers(&mut self, group: Group) -> &mut Buffers {
        &mut self.buffers[group as usize]
    }

    /// Files a new socket, and has the kernel receive for it.
    pub(super) fn adopt(&mut self, socket: Connection) -> usize {
        let key = self.common.table.insert(socket);
        self.touch(key);
        key
    }

    /// Carries out [`Action::Connect`].
    pub(super) fn connect(&mut self, conn: ConnId, to: SocketAddr) {
        let socket = match open(to) {
            Ok(socket) => socket,
            Err(error) => return self.common.refuse(conn, connect::kind_of(&error)),
        };
        let mut socket = Connection::new(socket, conn, Phase::Connecting, false);
        let (fd, key) = (socket.fd(), self.common.table.next_key());
        let address = socket.address.insert(Box::new(SockAddr::from(to)));
        // SAFETY: the address is on the heap, and its connection keeps it until `establish`, after the completion.
        #[allow(unsafe_code)]
        let operation = unsafe { Operation::connect(fd, key, address) };
        socket.in_flight += 1;
        self.ring.push(operation);
        self.adopt(socket);
    }

    /// Has a socket's operations looked at before the kernel is entered.
    pub(super) fn touch(&mut self, key: usize) {
        if let Some(socket) = self.common.table.get_mut(key)
            && !mem::replace(&mut socket.dirty, true)
        {
            self.dirty.push(key);
        }
    }

    /// Asks the kernel for the operations that the sockets of this turn need. All bytes that one socket has to send
    /// leave together, whichever events caused them.
    pub(super) fn prepare(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        self.arm_listeners();
        // No more than will find a buffer: else most of them would only ask in vain again.
        for _ in 0..self.buffers(Group::Small).in_use() / 2 {
            let Some(key) = self.starved.pop_front() else { break };
            self.touch(key);
        }
        for key in mem::take(&mut self.filing) {
            self.touch(key);
        }
        let mut dirty = mem::take(&mut self.dirty);
        while !dirty.is_empty() {
            for key in dirty.drain(..) {
                if let Some(socket) = self.common.table.get_mut(key) {
                    socket.dirty = false;
                    self.send(key);
                    self.receive(key);
                }
            }
            // Files that were sent to their end, or broke off, may have touched others.
            mem::swap(&mut dirty, &mut self.dirty);
        }
        self.dirty = dirty;
        if !mem::replace(&mut self.listens, true) {
            self.ring.push(Operation::wake(self.bell.as_raw_fd()));
        }
        self.buffers.iter_mut().for_each(Buffers::publish);
    }

    /// Asks to send what waits, if nothing is being sent; ends our stream if that was asked for and nothing is left.
    fn send(&mut self, key: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        if socket.sending || matches!(socket.phase, Phase::Connecting | Phase::Gone) || socket.broken.is_some() {
            return;
        }
        if socket.piped.is_some() {
            return self.wait_for_room(key);
        }
        let mut more = false;
        if socket.files.is_some() {
            match self.send_files(key) {
                Some(follows) => more = follows,
                None => return,
            }
        }
        let Some(socket) = self.common.table.get_mut(key) else { return };
        if socket.output.is_empty() {
            if socket.finish == Finish::Asked {
                // A socket that is already gone says so elsewhere.
                let _ = socket.socket.shutdown(Shutdown::Write);
                socket.finish = Finish::Done;
            }
            return;
        }
        socket.behind |= socket.output.len() >= CONFIRMED;
        // The next step would have to wait for an unrelated completion.
        let is_last =
            socket.phase == Phase::Open && socket.finish == Finish::No && !socket.behind && socket.feeder.is_none();
        if is_last && !socket.refused && socket.output.len() <= TRIED && self.ring.tells_partial_sends() {
            return self.try_to_send(key, more);
        }
        socket.output.pin();
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = socket.output.io_slices(&mut slices);
        // SAFETY: all pieces are pinned. Until the completion, `sending` is set: nothing but `Io::taken`, which hears of it,
        // consumes or clears the output, and the connection is not removed.
        #[allow(unsafe_code)]
        let operation = unsafe { Operation::send(socket.fd(), key, &slices[..filled], &mut socket.vector, more) };
        socket.sending = true;
        socket.in_flight += 1;
        self.ring.push(operation);
        self.sent.push(key);
    }

    /// Sends what waits, all at once: as a rule there is room in the kernel, and then no completion has to be made, waited for
    /// and heard. The kernel is entered next, so nothing changes the output before it has seen it.
    fn try_to_send(&mut self, key: usize, more: bool) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        // The file that comes next has to go on when this has left.
        self.awaited |= socket.files.is_some();
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = socket.output.io_slices(&mut slices);
        let len = slices[..filled].iter().map(|slice| slice.len()).sum();
        // SAFETY: the operation is submitted and over before `Io::wait` returns or fails, and until then no other code runs that
        // could touch the output.
        #[allow(unsafe_code)]
        let operation = unsafe { Operation::try_send(socket.fd(), key, &slices[..filled], &mut socket.vector, more) };
        socket.trying = true;
        self.ring.push(operation);
        self.tried.push((key, len));
    }

    /// Has the kernel receive for a socket exactly when its input is wanted, in the way that fits.
    fn receive(&mut self, key: usize) {
        if self.look_for_splice(key) {
            return;
        }
        let Some(socket) = self.common.table.get_mut(key) else { return };
        // One that is broken has no news: an operation that goes on would wait for some when it has received what is there.
        let once = socket.reads != Reads::Small || socket.broken.is_some();
        match (socket.receiving, socket.wants_input(), once) {
            (Receiving::No, true, false) => {
                socket.receiving = Receiving::Many;
                socket.in_flight += 1;
                self.ring.push(Operation::receive(socket.fd(), key));
            }
            (Receiving::No, true, true) => {
                // While much waits to be sent, no connection adds a large piece to it.
                let large = socket.much && !self.common.waiting.is_much();
                let group = if large { Group::Bulk } else { Group::Small };
                socket.receiving = Receiving::Once(group);
                socket.in_flight += 1;
                let most = self.common.config.size_of(socket.reads);
                self.ring.push(Operation::receive_once(socket.fd(), key, group, most));
            }
            (Receiving::Many, true, true) | (Receiving::Many | Receiving::Once(_), false, _) => {
                self.stop_receiving(key)
            }
            // A single one ends with the next input, which is less work than to cancel it.
            _ => {}
        }
        let Some(socket) = self.common.table.get_mut(key) else { return };
        // While nothing is received, a reset would not be noticed.
        let unheard = socket.is_unwanted() || (socket.ended && socket.broken.is_none());
        if socket.phase == Phase::Open && unheard && !socket.watched {
            socket.watched = true;
            socket.in_flight += 1;
            self.ring.push(Operation::watch(socket.fd(), key));
        }
    }
}

impl Io {
    /// Asks the operation that receives to end early.
    pub(super) fn stop_receiving(&mut self, key: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        let kind = match socket.receiving {
            Receiving::Many => Kind::Receive,
            Receiving::Once(group) => Kind::receive_once(group),
            Receiving::No | Receiving::Ending => return,
        };
        socket.receiving = Receiving::Ending;
        self.ring.cancel(kind.token(key));
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if !self.ring.end() {
            // The kernel may still write into buffers and read from outputs. Lost memory is better than wrong memory.
            tracing::error!("the kernel does not let go of what was asked of it; its memory is given up");
            mem::forget(mem::take(&mut self.common.table));
            for buffers in &mut self.buffers {
                buffers.forget();
            }
        }
    }
}

/// A socket that connects nowhere yet; small writes will leave at once. It blocks: for one that does not, the kernel would
/// refuse what cannot be done at once, instead of waiting for us.
fn open(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    limit_ahead(&socket)?;
    Ok(socket)
}
