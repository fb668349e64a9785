//! How a request's body is waited for: before its request takes a connection, and while it holds one.

use super::{
    Proxy,
    downstream::PACE,
    exchange::{Event, Exchange},
    failure::Failure,
};
use crate::app::{ConnId, Cx};

impl Proxy {
    /// A request whose body has to come first goes on when enough of it is here. `came`: some of it has just come.
    pub(super) fn route_if_here(&mut self, cx: &mut Cx, conn: ConnId, came: bool) {
        let Some(client) = self.parts.table.downstream(conn) else { return };
        let Some(key) = client.exchange else { return };
        let Some(needed) = self.exchanges[key as usize].needs() else { return };
        if client.pending.len() >= needed.bytes {
            client.expect_input(cx, None);
            self.on(cx, key, Event::Route);
        } else if came {
            let left = needed.by.saturating_duration_since(cx.now());
            client.expect_input(cx, Some(self.parts.shared.config.deadlines.body.min(left)));
        }
    }

    /// A body that comes slowly harms nobody, until somebody waits for the connection that it goes to.
    pub(super) fn judge_pace(&mut self, cx: &mut Cx, conn: ConnId, key: u32) {
        let Some(client) = self.parts.table.downstream(conn) else { return };
        let least = self.parts.shared.config.body_rate.saturating_mul(PACE.as_secs());
        let slow = u64::from(client.take_pace(cx)) < least;
        let link = self.exchanges.get(key as usize).and_then(Exchange::link);
        if slow && link.is_some_and(|link| self.parts.shared.slots.wanted(link.backend)) {
            self.on(cx, key, Event::RequestBad(Failure::BodyTooSlow));
        }
    }
}
