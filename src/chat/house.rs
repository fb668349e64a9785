//! The hall as the workers share it: a lock around it, and the way of its effects to connections.
//!
//! One lock, not one a room. A command holds it for as long as it takes to put an event into the queues of a room, some 10 µs for a
//! hundred people; nothing is encoded, sent, hashed or written meanwhile. In return all members of a room hear the same order, a
//! person who is in several rooms needs no order of locks, and the hall can be read as if there were no threads. Sessions empty their
//! queues without it.

use super::{
    census::Census,
    cluster::{Cluster, Tag},
    command::{self, Command},
    event::{Event, Told},
    hall::{Ask, Effect, Hall, Numbers, PersonId, Token, Verdict},
    mailbox::{Mailbox, Pushed},
    record::Record,
};
use crate::{
    redis::{self, Redis, Refused},
    session::CloseReason,
    time::Now,
};
use std::{
    collections::{BTreeMap, HashMap},
    io, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Sender, SyncSender},
    },
};

/// A hall that threads share.
#[derive(Debug)]
pub(crate) struct House {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    hall: Hall,
    /// Those of people who are connected.
    boxes: HashMap<PersonId, Arc<Mailbox>>,
    /// The latest time that was told.
    now: Now,
    /// People who were lost since then. How long their places are kept is counted from the next time that is told, which may be much later:
    /// the process may have been stopped.
    lost: Vec<PersonId>,
    /// Connections that were ended because they did not read.
    slow: u64,
    stopping: bool,
    /// To the thread that writes, until the end.
    records: Option<Sender<Record>>,
    /// To the threads that know passwords, until the end.
    asks: Option<SyncSender<(PersonId, Ask)>>,
    /// The other servers, if there are any.
    company: Option<Company>,
}

/// This server among others, and its way to them.
#[derive(Debug)]
struct Company {
    cluster: Cluster,
    redis: Redis<Tag>,
}

/// A house in numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    pub(crate) hall: Numbers,
    /// Connections that were ended because their queue was full.
    pub(crate) slow: u64,
    /// Other servers that behave as one with this.
    pub(crate) servers: usize,
}

impl House {
    /// A hall for several threads.
    #[must_use]
    pub(crate) fn new(hall: Hall, records: Sender<Record>, asks: SyncSender<(PersonId, Ask)>, now: Now) -> Self {
        let (records, asks) = (Some(records), Some(asks));
        let (boxes, lost, slow, stopping, company) = (HashMap::new(), Vec::new(), 0, false, None);
        let inner = Inner { hall, boxes, now, lost, slow, stopping, records, asks, company };
        Self { inner: Mutex::new(inner) }
    }

    fn lock(&self, now: Now) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock_now();
        // Workers read the clock at different moments.
        if now.instant > inner.now.instant {
            inner.now = now;
            for id in mem::take(&mut inner.lost) {
                inner.hall.wait_from(id, now);
            }
        }
        inner
    }

    fn lock_now(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new person, who is told by `mailbox`.
    ///
    /// # Errors
    ///
    /// There is no place, in words for the peer.
    pub(crate) fn arrive(&self, mailbox: &Arc<Mailbox>, token: Token, now: Now) -> Result<PersonId, &'static str> {
        let mut inner = self.lock(now);
        if inner.stopping {
            return Err("the server is stopping");
        }
        inner.hall.expire(now);
        let id = inner.hall.arrive(token, now)?;
        inner.boxes.insert(id, Arc::clone(mailbox));
        inner.settle();
        Ok(id)
    }

    /// A line of a person, on the connection that `mailbox` belongs to. Returns the person that the connection is from now on.
    pub(crate) fn line(&self, id: PersonId, mailbox: &Arc<Mailbox>, line: &str, now: Now) -> PersonId {
        let parsed = command::parse(line);
        let mut inner = self.lock(now);
        inner.hall.expire(now);
        if !inner.is_of(mailbox, id) {
            // The person has come back on another connection, or is gone: what was still on its way on this one is nobody's word.
            return id;
        }
        match parsed {
            Ok(command) => {
                if let Command::Resume(token, _) = &command {
                    inner.make_way(id, token);
                }
                inner.hall.command(id, command, now);
            }
            Err(why) => inner.hall.refuse(id, why),
        }
        inner.settle().unwrap_or(id)
    }

    /// A line that is no text, or too long.
    pub(crate) fn refuse(&self, id: PersonId, mailbox: &Arc<Mailbox>, why: &str) {
        let mut inner = self.lock_now();
        if inner.is_of(mailbox, id) {
            inner.hall.refuse(id, why);
            inner.settle();
        }
    }

    /// The connection that `mailbox` belongs to is gone. Harmless if its person has another one by now, or is gone.
    pub(crate) fn lose(&self, id: PersonId, mailbox: &Arc<Mailbox>) {
        let mut inner = self.lock_now();
        if inner.is_of(mailbox, id) {
            inner.boxes.remove(&id);
            let (untold, now) = (mailbox.leftovers(), inner.now);
            inner.hall.lose(id, &untold, now);
            inner.lost.push(id);
            inner.settle();
        }
    }

    /// More records are written: so many.
    pub(crate) fn stored(&self, records: u64) {
        let mut inner = self.lock_now();
        let now = inner.now;
        inner.hall.stored(records, now);
        inner.settle();
    }

    /// The answer to what a person asked.
    pub(crate) fn judged(&self, id: PersonId, verdict: Verdict) {
        let mut inner = self.lock_now();
        inner.judged(id, verdict);
        inner.settle();
    }

    /// Nothing more is written, and no more passwords are looked at: the threads for that come to an end.
    pub(crate) fn let_go(&self) {
        let mut inner = self.lock_now();
        (inner.records, inner.asks) = (None, None);
    }

    /// Time has passed.
    pub(crate) fn tick(&self, now: Now) {
        let mut inner = self.lock(now);
        inner.hall.expire(now);
        let at = &mut *inner;
        if let Some(Company { cluster, .. }) = &mut at.company {
            cluster.expire(&mut at.hall, now);
        }
        inner.settle();
    }

    /// From now on, this is one of several servers that behave as one. `start` makes the way to them: its first event waits for the lock.
    pub(crate) fn join_company(
        &self,
        me: &str,
        cluster: Cluster,
        start: impl FnOnce() -> io::Result<Redis<Tag>>,
    ) -> io::Result<()> {
        let mut inner = self.lock_now();
        let redis = start()?;
        inner.hall.join_company(me);
        inner.company = Some(Company { cluster, redis });
        Ok(())
    }

    /// Redis comes, goes or says something.
    pub(crate) fn heard(&self, event: redis::Event<Tag>, now: Now) {
        let mut inner = self.lock(now);
        let inner = &mut *inner;
        if let Some(Company { cluster, .. }) = &mut inner.company {
            cluster.heard(event, &mut inner.hall, now);
        }
        inner.settle();
    }

    /// The other servers are told that this one stops. Not under the lock: the thread for Redis may wait for that.
    pub(crate) fn leave_company(&self) {
        let mut inner = self.lock_now();
        inner.company.as_mut().into_iter().for_each(|company| company.cluster.stop());
        inner.settle();
        let company = inner.company.take();
        drop(inner);
        drop(company);
    }

    /// Everybody is told that the server stops, and no one comes any more.
    pub(crate) fn close(&self) {
        let mut inner = self.lock_now();
        inner.stopping = true;
        let last = Event::new(Told::End { text: "the server is stopping".to_owned() });
        for mailbox in inner.boxes.values() {
            mailbox.push(&last);
            mailbox.end(CloseReason::Draining);
        }
    }

    /// The numbers of all that it holds.
    pub(crate) fn census(&self) -> Census {
        let inner = self.lock_now();
        let heaviest = inner.boxes.values().map(|mailbox| mailbox.weight()).max().unwrap_or(0);
        Census { mailboxes: inner.boxes.len(), heaviest, slow: inner.slow, ..inner.hall.census() }
    }

    /// The house in numbers.
    #[must_use]
    pub(crate) fn state(&self) -> State {
        let inner = self.lock_now();
        let servers = inner.company.as_ref().map_or(0, |company| company.cluster.others());
        State { hall: inner.hall.numbers(), slow: inner.slow, servers }
    }
}

impl Inner {
    /// Whether a person is told by this mailbox, so that its connection is the person's.
    fn is_of(&self, mailbox: &Arc<Mailbox>, id: PersonId) -> bool {
        self.boxes.get(&id).is_some_and(|current| Arc::ptr_eq(current, mailbox))
    }

    /// Ends the connection that the holder of a token still has, so that its place can be taken.
    fn make_way(&mut self, id: PersonId, token: &str) {
        let Some(holder) = self.hall.holder(token).filter(|holder| *holder != id) else { return };
        let Some(old) = self.boxes.remove(&holder) else { return };
        let (untold, now) = (old.leftovers(), self.now);
        old.push(&Event::new(Told::End { text: "you came back on another connection".to_owned() }));
        old.end(CloseReason::PeerAsked);
        self.hall.lose(holder, &untold, now);
    }

    /// Carries out effects until there are none. The person that came back, if one did.
    fn settle(&mut self) -> Option<PersonId> {
        let (mut effects, mut back) = (Vec::new(), None);
        loop {
            self.hall.take_effects(&mut effects);
            if effects.is_empty() {
                self.send();
                return back;
            }
            // Those whose queue is full by now, and what they were not told.
            let mut slow: BTreeMap<PersonId, Vec<Arc<Event>>> = BTreeMap::new();
            for effect in effects.drain(..) {
                match effect {
                    Effect::Tell(id, event) => self.tell(id, event, Mailbox::push, &mut slow),
                    Effect::TellAgain(id, event) => self.tell(id, event, Mailbox::push_again, &mut slow),
                    Effect::End(id, reason) => {
                        self.boxes.remove(&id).into_iter().for_each(|mailbox| mailbox.end(reason));
                    }
                    Effect::Record(record) => {
                        if let Some(records) = &self.records {
                            // Without a receiver the process ends, and its log has said why.
                            let _ = records.send(*record);
                        }
                    }
                    Effect::Share(share) => {
                        if let Some(company) = &mut self.company {
                            company.cluster.share(*share);
                        }
                    }
                    Effect::Ask(id, ask) => self.ask(id, ask),
                    Effect::Move { from, to } => {
                        back = Some(to);
                        self.boxes.remove(&from).into_iter().for_each(|mailbox| drop(self.boxes.insert(to, mailbox)));
                    }
                }
            }
            for (id, untold) in slow {
                self.slow += 1;
                self.hall.lose(id, &untold, self.now);
            }
        }
    }

    /// Sends what Redis is to be told.
    fn send(&mut self) {
        let Some(Company { cluster, redis }) = &mut self.company else { return };
        for (words, tag) in cluster.take_asks() {
            match redis.ask(&words, tag) {
                Ok(()) => {}
                // The event that says so is on its way.
                Err(Refused::Down) => break,
                Err(Refused::Full) => {
                    redis.reset("it does not keep up with what is said");
                    break;
                }
            }
        }
        if let Some(why) = cluster.take_broken() {
            redis.reset(why);
        }
    }

    fn ask(&mut self, id: PersonId, ask: Ask) {
        self.boxes.get(&id).into_iter().for_each(|mailbox| mailbox.set_busy(true));
        let sent = self.asks.as_ref().is_some_and(|asks| asks.try_send((id, ask)).is_ok());
        if !sent {
            self.judged(id, Verdict::Busy);
        }
    }

    fn judged(&mut self, id: PersonId, verdict: Verdict) {
        self.boxes.get(&id).into_iter().for_each(|mailbox| mailbox.set_busy(false));
        self.hall.judged(id, verdict, self.now);
    }

    fn tell(
        &mut self,
        id: PersonId,
        event: Arc<Event>,
        push: fn(&Mailbox, &Arc<Event>) -> Pushed,
        slow: &mut BTreeMap<PersonId, Vec<Arc<Event>>>,
    ) {
        if let Some(untold) = slow.get_mut(&id) {
            return untold.push(event);
        }
        let Some(mailbox) = self.boxes.get(&id) else { return };
        if push(mailbox, &event) == Pushed::Overflow {
            let untold = mailbox.leftovers().into_iter().chain([event]).collect();
            self.boxes.remove(&id);
            slow.insert(id, untold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::limits::Limits, super::record::Archive, *};
    use crate::service::testing::now;
    use std::sync::mpsc;

    fn heard(mailbox: &Mailbox) -> String {
        let mut events = Vec::new();
        mailbox.take(usize::MAX, &mut events);
        events.iter().map(|event| String::from_utf8(event.line().to_vec()).unwrap()).collect()
    }

    /// A queue of passwords that is full costs those who come the answer, and no one else anything.
    #[test]
    fn a_password_that_finds_no_place_is_tried_again() {
        let (now, archive) = (now(), Archive::default());
        let (records, _written) = mpsc::channel();
        let (asks, asked) = mpsc::sync_channel(1);
        let house = House::new(Hall::new(Limits::default(), archive, None, now), records, asks, now);
        let boxes = [1, 2].map(|_| Mailbox::new(10_000, None));
        let ids = ["a", "b"].map(|name| {
            let mailbox = &boxes[usize::from(name == "b")];
            let id = house.arrive(mailbox, Token(name.to_owned()), now).unwrap();
            house.line(id, mailbox, &format!("/nick {name}"), now);
            heard(mailbox);
            house.line(id, mailbox, "/register password", now);
            id
        });
        assert_eq!((boxes[0].is_busy(), heard(&boxes[0])), (true, String::new()));
        assert_eq!(
            (boxes[1].is_busy(), heard(&boxes[1])),
            (false, "! too many others log in just now: try again\n".to_owned())
        );
        let (id, _) = asked.recv().unwrap();
        assert_eq!(id, ids[0]);
        house.judged(id, Verdict::Hashed { name: "a".to_owned(), hash: "hash".to_owned() });
        assert_eq!((boxes[0].is_busy(), heard(&boxes[0])), (false, String::new()), "it is told when it is written");
        // Two records: the account, and whose the lobby is.
        house.stored(2);
        assert!(heard(&boxes[0]).starts_with("* a is yours"));
    }
}
