//! How a request's body is waited for before its request takes a connection.

use super::{Proxy, exchange::Event};
use crate::app::{ConnId, Cx};

impl Proxy {
    /// A request whose body has to come first goes on when enough of it is here. `came`: some of it has just come.
    pub(super) fn route_if_here(&mut self, cx: &mut Cx, conn: ConnId, came: bool) {
        let Some(client) = self.worker.table.downstream(conn) else { return };
        let Some(key) = client.exchange else { return };
        let exchange = &mut self.exchanges[key as usize];
        let Some(needed) = exchange.needs() else { return };
        if client.pending.len() >= needed.bytes {
            exchange.await_body(cx, None);
            self.on(cx, key, Event::Route);
        } else if came {
            let next = cx.now() + self.worker.shared.config.deadlines.body;
            exchange.await_body(cx, Some(next.min(needed.by)));
        }
    }
}
