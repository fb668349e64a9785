//! The admin listener's application: a few visitors, an event loop and a thread of its own.
//!
//! So the operator never waits behind the clients: not for one of their connections when all are taken, not for a worker that
//! is busy, and not for the end of a drain, which is answered for (`503`) until the last worker has ended.

use super::{reload::Reloads, visitor::Visitor};
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    proxy::{shared::Shared, versions::Current},
};
use std::{collections::BTreeMap, io, sync::Arc};

/// The admin service: it answers for all workers of one proxy.
#[derive(Debug)]
pub struct Desk {
    current: Arc<Current>,
    /// The newest configuration when a visitor said something last.
    pub(super) shared: Arc<Shared>,
    pub(super) visitors: BTreeMap<ConnId, Visitor>,
    /// `None`: there is no file that could be read again.
    pub(super) reloads: Option<Reloads>,
    /// No more visitors come: the process is about to end.
    pub(super) closing: bool,
}

impl Desk {
    pub(in crate::proxy) fn new(current: Arc<Current>) -> Self {
        Self { shared: current.get(), current, visitors: BTreeMap::new(), reloads: None, closing: false }
    }

    /// It takes wishes for another configuration.
    pub(in crate::proxy) fn reloading(self, reloads: Reloads) -> Self {
        Self { reloads: Some(reloads), ..self }
    }

    /// How many visitors there are. For tests.
    #[must_use]
    pub fn visitors(&self) -> usize {
        self.visitors.len()
    }
}

impl App for Desk {
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        self.shared = self.current.get();
        self.accept_admin(conn, origin.peer.ip(), cx);
    }

    fn connected(&mut self, _: &mut Cx, _: ConnId) {}

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.shared = self.current.get();
        self.admin_heard(conn, input, cx);
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.admin_took(conn, unsent, cx);
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        self.admin_ended(conn, cx);
    }

    fn failed(&mut self, _: &mut Cx, conn: ConnId, _: io::ErrorKind) {
        self.visitors.remove(&conn);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        if let TimerKey::Conn(conn) = key {
            self.admin_late(conn, cx);
        }
    }

    fn woken(&mut self, cx: &mut Cx) {
        self.shared = self.current.get();
        self.conclude_reloads(cx);
    }

    fn crowded(&mut self, cx: &mut Cx) {
        self.make_room_for_admin(cx);
    }

    fn drain(&mut self, cx: &mut Cx) {
        self.closing = true;
        self.drain_admins(cx);
    }
}
