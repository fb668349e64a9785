//! The backends' side: bytes become responses.

use super::{
    Proxy,
    exchange::Event,
    table::Role,
    upstream::{Unconnected, connect},
    worker::Worker,
};
use crate::{
    app::{ConnId, Cx, Insecure},
    http::{Fields, ResponseEvent},
    pool::NotKept,
};
use std::io;

impl Proxy {
    /// Bytes from a backend.
    pub(super) fn hear_backend(&mut self, cx: &mut Cx, conn: ConnId, mut input: &[u8]) {
        let Some(key) = self.worker.table.upstream(conn).and_then(|upstream| upstream.exchange) else {
            // No request asked for it, and the next one must not take it for its answer.
            return self.drop_idle(cx, conn, NotKept::Lost);
        };
        let version = self.exchanges.get(key as usize).map(|exchange| exchange.core.version);
        let older = version.and_then(|version| self.worker.versions.of(version));
        let limits = older.unwrap_or(&self.worker.shared).config.response_limits();
        loop {
            if self.exchanges.get(key as usize).is_some_and(super::Exchange::is_tunnel) {
                if !input.is_empty() {
                    self.on(cx, key, Event::ResponseData(input));
                }
                return;
            }
            let Some(upstream) = self.worker.table.upstream(conn) else { return };
            let event = match upstream.reader.next(&mut input, &limits) {
                Ok(None) => return self.splice_rest(cx, conn, key),
                Ok(Some(ResponseEvent::End(trailers))) => {
                    self.on(cx, key, Event::ResponseEnd(trailers));
                    return self.after_response(cx, conn, key, input);
                }
                Ok(Some(ResponseEvent::Interim(head))) => Event::Interim(head),
                Ok(Some(ResponseEvent::Head(head, body))) => Event::Head(head, body),
                Ok(Some(ResponseEvent::Switched(head))) => Event::Switched(head),
                Ok(Some(ResponseEvent::Data(data))) => {
                    let mut gathered = std::mem::take(&mut self.worker.gathered);
                    let Some(upstream) = self.worker.table.upstream(conn) else { return };
                    let content = upstream.reader.gather(data, &mut input, &limits, &mut gathered);
                    self.on(cx, key, Event::ResponseData(content));
                    self.worker.gathered = gathered;
                    continue;
                }
                Err(error) => return self.on(cx, key, Event::UpstreamBad(error)),
            };
            self.on(cx, key, event);
        }
    }

    /// The rest of a long body may not be worth looking at.
    fn splice_rest(&mut self, cx: &mut Cx, conn: ConnId, key: u32) {
        let Some(upstream) = self.worker.table.upstream(conn).filter(|upstream| !upstream.splicing) else { return };
        let Some(left) = upstream.reader.left() else { return };
        let Some(exchange) = self.exchanges.get(key as usize) else { return };
        if let Some(client) = exchange.splice_to(left, self.worker.shared.config.unseen) {
            upstream.splicing = true;
            cx.splice(conn, client, left);
        }
    }

    /// `moved` bytes of a body went to the client unseen.
    pub(super) fn backend_spliced(&mut self, cx: &mut Cx, conn: ConnId, moved: u64) {
        let Some(upstream) = self.worker.table.upstream(conn) else { return };
        upstream.reader.skip(moved);
        upstream.splicing = upstream.reader.left() != Some(0);
        if let Some(key) = upstream.exchange {
            self.on(cx, key, Event::ResponseSpliced(moved));
            self.hear_backend(cx, conn, &[]);
        }
    }

    /// Bytes after a complete response belong to no request: the connection cannot be trusted with another.
    fn after_response(&mut self, cx: &mut Cx, conn: ConnId, key: u32, rest: &[u8]) {
        if rest.is_empty() {
            return;
        }
        match self.worker.table.upstream(conn).map(|upstream| upstream.exchange) {
            Some(Some(_)) => self.on(cx, key, Event::UpstreamEnded),
            Some(None) => self.drop_idle(cx, conn, NotKept::Lost),
            None => {}
        }
    }

    /// An idle connection is no longer fit for a request.
    pub(super) fn drop_idle(&mut self, cx: &mut Cx, conn: ConnId, reason: NotKept) {
        if self.worker.remove_upstream(conn, reason) {
            cx.hang_up(conn);
        }
    }

    /// The backend sends nothing more.
    pub(super) fn backend_ended(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(upstream) = self.worker.table.upstream(conn) else { return };
        let Some(key) = upstream.exchange else {
            return self.drop_idle(cx, conn, NotKept::Lost);
        };
        let tunnel = self.exchanges.get(key as usize).is_some_and(super::Exchange::is_tunnel);
        // A body without a length ends here, properly (RFC 9112 §6.3, rule 8).
        let event = match upstream.reader.end() {
            Ok(true) if !tunnel => Event::ResponseEnd(Fields::new()),
            _ => Event::UpstreamEnded,
        };
        self.on(cx, key, event);
    }

    /// A connection that was asked for is established.
    pub(super) fn backend_connected(&mut self, cx: &mut Cx, conn: ConnId) {
        let Worker { table, shared, .. } = &mut self.worker;
        let Some(upstream) = table.upstream(conn) else { return };
        let is_secured = shared.backend(upstream.backend, upstream.origin.as_ref()).secured.is_some();
        let first = upstream.opened(is_secured);
        let exchange = upstream.exchange;
        cx.send(conn, first);
        if let Some(key) = exchange {
            self.on(cx, key, Event::Connected);
        }
    }

    /// Goes on to the next address of a backend that does not answer at one of them. The new connection has the place of the
    /// old one: in the exchange, and in the pool's count. `Err`: there is no other address, or it was no attempt to connect.
    pub(super) fn redial(&mut self, cx: &mut Cx, conn: ConnId, why: Unconnected) -> Result<(), Unconnected> {
        let Some(upstream) = self.worker.table.upstream(conn) else { return Err(why) };
        let (address, share) = upstream.next_address(why, cx.now()).ok_or(why)??;
        let Role::Upstream(upstream) = self.worker.table.remove(conn) else { return Err(why) };
        let next = connect(
            cx,
            self.worker.shared.backend(upstream.backend, upstream.origin.as_ref()),
            address,
            &upstream.first,
        );
        let mut upstream = upstream.renamed(cx, next);
        upstream.expect(cx, Some(cx.now() + share));
        let exchange = upstream.exchange;
        self.worker.table.insert(next, Role::Upstream(upstream));
        if let Some(key) = exchange {
            self.on(cx, key, Event::Redialed(next));
        }
        Ok(())
    }

    /// The connection is gone, or never was.
    pub(super) fn backend_failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        self.without_connection(cx, conn, Unconnected::Failed(error));
    }

    /// It is not protected, or not any more.
    pub(super) fn backend_insecure(&mut self, cx: &mut Cx, conn: ConnId, why: Insecure) {
        self.without_connection(cx, conn, Unconnected::Insecure(why));
    }

    fn without_connection(&mut self, cx: &mut Cx, conn: ConnId, why: Unconnected) {
        let Err(why) = self.redial(cx, conn, why) else { return };
        let exchange = self.worker.table.upstream(conn).and_then(|upstream| upstream.exchange);
        self.worker.remove_upstream(conn, NotKept::Lost);
        if let Some(key) = exchange {
            self.on(cx, key, Event::of(why));
        }
    }

    /// `unsent` bytes wait for the backend: the client waits with it.
    pub(super) fn backend_took(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        let Worker { shared, table, .. } = &mut self.worker;
        let Some(upstream) = table.upstream(conn) else { return };
        upstream.unsent(cx, unsent, &shared.config.deadlines);
        let Some(key) = upstream.exchange else { return };
        self.exchanges[key as usize].backend_took(unsent, &mut self.worker, cx);
    }
}
