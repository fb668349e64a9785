//! Everything that is not ours: pieces and delays, resets and silences, and the peers at the far ends.

use super::{
    driver::{KERNEL_CONNECT, KERNEL_SILENCE, excerpt},
    link::{Ours, Theirs, Then},
    peer::{Answer, PeerAction, PeerEvent, PeerIo},
    world::{Event, Way, World},
};
use socket_patterns::app::App;
use std::{io::ErrorKind, net::SocketAddr, time::Duration};

/// How soon an application that had no client to close is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

impl<A: App> World<A> {
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Knock(id) => self.knock(id),
            Event::Accept(id) => {
                if !self.backlog.contains(&id) {
                    return;
                }
                if !self.make_room(self.links[id].worker) {
                    return self.schedule(ASK_AGAIN, Event::Accept(id));
                }
                self.backlog.retain(|waiting| *waiting != id);
                self.accept(id);
            }
            Event::Reach(id, to) => self.reach(id, to),
            Event::Established(id) => self.established(id),
            Event::Unreachable(id, error) => self.fail(id, error),
            Event::Arrive(id, way) => self.arrive(id, way),
            Event::Deliver(id, Way::In) => self.deliver_to_us(id),
            Event::Deliver(id, Way::Out) => self.deliver_to_peer(id),
            Event::Refill(id, Way::In) => self.refill(id),
            Event::Refill(id, Way::Out) => {
                self.links[id].due.flush = false;
                self.writable(id);
            }
            Event::Reset(id, Way::In) => self.reset_us(id),
            Event::Reset(id, Way::Out) => self.reset_peer(id),
            Event::Break(id) => self.break_link(id),
            Event::Silence(id) => self.silence(id),
            Event::LingerOver(id, unsent) => self.linger_over(id, unsent),
            Event::Woken(worker) => self.woken(worker),
            Event::Wake(id, number) => self.tell_peer(id, PeerEvent::Wake(number)),
        }
    }

    /// How long one thing is under way on link `id`.
    pub(super) fn delay(&mut self, id: usize) -> Duration {
        let range = self.weather.delay.clone();
        self.links[id].random.micros(range)
    }

    /// Bytes in flight get an event that moves them.
    pub(super) fn move_along(&mut self, id: usize, way: Way) {
        let link = &mut self.links[id];
        let pipe = if way == Way::In { &mut link.inbound } else { &mut link.outbound };
        if pipe.can_arrive() && !pipe.moving && !link.silent {
            pipe.moving = true;
            let delay = self.delay(id);
            self.schedule(delay, Event::Arrive(id, way));
        }
    }

    /// If link `id` has something to hear, it will be read soon.
    pub(super) fn plan_read(&mut self, id: usize) {
        let link = &mut self.links[id];
        if (link.inbound.is_readable() || link.error.is_some()) && !link.due.deliver {
            link.due.deliver = true;
            let soon = link.random.micros(self.weather.lag.clone());
            self.schedule(soon, Event::Deliver(id, Way::In));
        }
    }

    fn plan_their_read(&mut self, id: usize) {
        let link = &mut self.links[id];
        if link.outbound.is_readable() && !link.due.their_deliver {
            link.due.their_deliver = true;
            let soon = link.random.micros(self.weather.lag.clone());
            self.schedule(soon, Event::Deliver(id, Way::Out));
        }
    }

    /// The receiver took something: the sender may write more.
    pub(super) fn plan_refill(&mut self, id: usize, way: Way) {
        let link = &mut self.links[id];
        let (waits, due) = match way {
            Way::In => (!link.their_unsent.is_empty(), &mut link.due.refill),
            Way::Out => (link.unsent_len > 0, &mut link.due.flush),
        };
        if waits && !*due {
            *due = true;
            let delay = self.delay(id);
            self.schedule(delay, Event::Refill(id, way));
        }
    }

    fn arrive(&mut self, id: usize, way: Way) {
        let link = &mut self.links[id];
        let pipe = if way == Way::In { &mut link.inbound } else { &mut link.outbound };
        pipe.moving = false;
        if link.silent {
            return;
        }
        let n = self.weather.pieces.of(pipe.movable(), &mut link.random);
        pipe.arrive(n);
        self.move_along(id, way);
        match way {
            Way::In => self.plan_read(id),
            Way::Out => self.plan_their_read(id),
        }
    }

    fn deliver_to_us(&mut self, id: usize) {
        let link = &mut self.links[id];
        link.due.deliver = false;
        match link.ours {
            Ours::Open => self.read(id),
            Ours::Opening => {}
            Ours::Lingering => {
                link.inbound.take(usize::MAX);
                link.inbound.take_end();
                if link.error.is_some() {
                    // Closed, and what it had not sent is freed.
                    link.ours = Ours::Gone;
                    link.drop_unsent();
                }
                self.plan_refill(id, Way::In);
            }
            // Bytes for a socket that is closed.
            Ours::Gone if link.inbound.arrived() > 0 => {
                link.inbound.cut(true);
                let delay = self.delay(id);
                self.schedule(delay, Event::Reset(id, Way::Out));
            }
            Ours::Gone => {}
        }
    }

    fn deliver_to_peer(&mut self, id: usize) {
        let link = &mut self.links[id];
        link.due.their_deliver = false;
        match link.theirs {
            Theirs::Open if link.their_reading => {
                let most = self.weather.pieces.of(link.outbound.arrived(), &mut link.random).min(link.their_most);
                let bytes = link.outbound.take(most);
                if !bytes.is_empty() {
                    self.move_along(id, Way::Out);
                    self.tell_peer(id, PeerEvent::Received(&bytes));
                    self.plan_refill(id, Way::Out);
                } else if link.outbound.take_end() {
                    self.tell_peer(id, PeerEvent::Ended);
                }
                self.plan_their_read(id);
            }
            Theirs::Open | Theirs::Gone => {}
            Theirs::Closed if link.outbound.arrived() > 0 => self.reset_from_peer(id),
            Theirs::Closed => {
                link.outbound.take_end();
            }
        }
    }

    fn refill(&mut self, id: usize) {
        let link = &mut self.links[id];
        link.due.refill = false;
        link.refill();
        self.move_along(id, Way::In);
    }

    /// A client's connect: its kernel hears at once that the connection is up, the driver accepts when it gets to it.
    fn knock(&mut self, id: usize) {
        if self.draining {
            return self.reset_peer(id);
        }
        self.plan_troubles(id);
        self.backlog.push(id);
        let delay = self.delay(id);
        self.schedule(delay, Event::Accept(id));
        self.tell_peer(id, PeerEvent::Connected);
    }

    /// Our connect arrives at a host, or does not.
    fn reach(&mut self, id: usize, to: SocketAddr) {
        if self.links[id].ours != Ours::Opening {
            return;
        }
        let (refused, lost) = (self.weather.refusals, self.weather.blackholes);
        let answer = match self.hosts.get_mut(&to) {
            None => Answer::Refuse,
            Some(_) if self.random.chance(refused) => Answer::Refuse,
            Some(_) if self.random.chance(lost) => Answer::Nothing,
            Some(host) => host.accept(self.now, &mut self.random),
        };
        let delay = self.delay(id);
        match answer {
            Answer::Refuse => self.schedule(delay, Event::Unreachable(id, ErrorKind::ConnectionRefused)),
            Answer::Nothing => self.schedule(KERNEL_CONNECT, Event::Unreachable(id, ErrorKind::TimedOut)),
            Answer::Accept(peer) => {
                self.links[id].peer = Some(peer);
                self.plan_troubles(id);
                let slow = self.random.chance(self.weather.slow_connects);
                let slowness = if slow { self.random.micros(0..=20_000_000) } else { Duration::ZERO };
                self.schedule(delay + slowness, Event::Established(id));
                self.tell_peer(id, PeerEvent::Connected);
            }
        }
    }

    /// Plans the troubles of this connection, by the weather.
    fn plan_troubles(&mut self, id: usize) {
        if self.random.chance(self.weather.resets) {
            let at = Duration::from_micros(self.random.magnitude(0..=5_000_000) as u64);
            self.schedule(at, Event::Break(id));
        }
        if self.random.chance(self.weather.silences) {
            let at = Duration::from_micros(self.random.magnitude(0..=5_000_000) as u64);
            self.schedule(at, Event::Silence(id));
        }
    }

    fn silence(&mut self, id: usize) {
        self.trace.note(self.now, [30, id, 0], || format!("     link {id} falls silent"));
        self.links[id].silent = true;
        self.schedule(KERNEL_SILENCE, Event::Unreachable(id, ErrorKind::TimedOut));
    }

    /// A middlebox forgot the connection: both sides are reset.
    fn break_link(&mut self, id: usize) {
        self.trace.note(self.now, [31, id, 0], || format!("     link {id} breaks"));
        for way in [Way::In, Way::Out] {
            let delay = self.delay(id);
            self.schedule(delay, Event::Reset(id, way));
        }
    }

    fn reset_us(&mut self, id: usize) {
        let lossy = self.random.chance(self.weather.lossy_resets);
        let link = &mut self.links[id];
        if link.silent {
            return;
        }
        link.inbound.cut(lossy);
        match link.ours {
            Ours::Opening | Ours::Open => {
                link.error.get_or_insert(ErrorKind::ConnectionReset);
                self.plan_read(id);
            }
            Ours::Lingering => {
                link.ours = Ours::Gone;
                link.drop_unsent();
            }
            Ours::Gone => {}
        }
    }

    fn reset_peer(&mut self, id: usize) {
        let lossy = self.random.chance(self.weather.lossy_resets);
        let link = &mut self.links[id];
        if link.silent || link.theirs == Theirs::Gone {
            return;
        }
        link.outbound.cut(lossy);
        let rest = link.outbound.take(usize::MAX);
        if link.their_reading && !rest.is_empty() {
            self.tell_peer(id, PeerEvent::Received(&rest));
        }
        self.tell_peer(id, PeerEvent::Failed(ErrorKind::ConnectionReset));
        self.links[id].forget_peer();
        self.links[id].inbound.cut(false);
    }

    fn reset_from_peer(&mut self, id: usize) {
        let link = &mut self.links[id];
        link.forget_peer();
        link.outbound.cut(true);
        let delay = self.delay(id);
        self.schedule(delay, Event::Reset(id, Way::In));
    }

    fn tell_peer(&mut self, id: usize, event: PeerEvent<'_>) {
        let link = &mut self.links[id];
        if link.theirs != Theirs::Open {
            return;
        }
        let Some(mut peer) = link.peer.take() else { return };
        let numbers = [40, id, if let PeerEvent::Received(bytes) = event { bytes.len() } else { 0 }];
        self.trace.note(self.now, numbers, || match event {
            PeerEvent::Received(bytes) => format!("peer {id} received {} {}", bytes.len(), excerpt(bytes)),
            other => format!("peer {id} {other:?}"),
        });
        let (silent, random) = (link.silent, &mut link.random);
        let mut io = PeerIo { now: self.now, random, silent, actions: Vec::new(), notes: Vec::new() };
        peer.on(event, &mut io);
        let PeerIo { actions, notes, .. } = io;
        link.peer = Some(peer);
        for note in notes {
            self.trace.note(self.now, [41, id, 0], || format!("peer {id} # {note}"));
        }
        for action in actions {
            self.peer_act(id, action);
        }
        if self.links[id].theirs != Theirs::Gone {
            self.links[id].refill();
        }
        self.move_along(id, Way::In);
    }

    fn peer_act(&mut self, id: usize, action: PeerAction) {
        self.trace.note(self.now, [42, id, 0], || match &action {
            PeerAction::Write(bytes) => format!("peer {id} -> Write {} {}", bytes.len(), excerpt(bytes)),
            other => format!("peer {id} -> {other:?}"),
        });
        let link = &mut self.links[id];
        match action {
            PeerAction::Wake(after, number) => self.schedule(after, Event::Wake(id, number)),
            _ if link.theirs != Theirs::Open => {}
            PeerAction::Write(bytes) if link.their_then == Then::Nothing => link.their_unsent.extend(bytes),
            PeerAction::Write(_) => {}
            PeerAction::Junk => {
                link.junk = Some((link.inbound.written() + link.their_unsent.len(), link.outbound.taken()));
            }
            PeerAction::SetReading(on) => {
                link.their_reading = on;
                self.plan_their_read(id);
            }
            PeerAction::ReadAtMost(most) => link.their_most = most,
            PeerAction::Finish => link.their_then = Then::Finish,
            // Linux: a socket that is closed with bytes unread is reset.
            PeerAction::Close if link.outbound.arrived() > 0 => self.reset_from_peer(id),
            PeerAction::Close => {
                link.their_then = Then::Close;
                link.theirs = Theirs::Closed;
            }
            PeerAction::Reset => self.reset_from_peer(id),
        }
    }
}
