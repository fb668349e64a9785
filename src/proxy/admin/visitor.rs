//! Visitors of the admin listener: who is connected, and for how long. There are few places, and one that asks without reading, or says
//! nothing, loses its own.

use super::{
    answer::Answer,
    desk::Desk,
    guard::names_us,
    paths::Reply,
    purge::Purging,
    upstreams::{ORDER_MAX, Place},
};
use crate::{
    app::{ConnId, Cx, TimerKey},
    http::{self, Method, ReadPhase, RequestEvent, RequestHead, RequestReader, Status},
    time::Instant,
};
use std::{net::IpAddr, sync::atomic::Ordering::Relaxed};

/// Bytes of answers that may wait for a client of the admin listener, beside its longest one: that is as long as the configuration
/// makes it. There are few such clients.
const UNREAD_MAX: usize = 128 * 1024;

/// A client of the admin listener.
#[derive(Debug)]
pub(super) struct Visitor {
    reader: RequestReader,
    /// When it said something last, or came.
    heard: Instant,
    /// Bytes of its longest answer.
    longest: usize,
    /// A purge that it waits for: nothing else is read until that is over.
    pub(super) purging: Option<Purging>,
    /// It waits for another thread.
    pub(super) waits: bool,
    /// Its address.
    pub(super) from: IpAddr,
    /// An order that it sends, as far as that is here.
    order: Option<(Place, Vec<u8>)>,
}

impl Desk {
    pub(super) fn accept_admin(&mut self, conn: ConnId, from: IpAddr, cx: &mut Cx) {
        let (heard, reader) = (cx.now(), RequestReader::new());
        let visitor = Visitor { reader, heard, longest: 0, purging: None, waits: false, from, order: None };
        self.visitors.insert(conn, visitor);
        self.admin_deadline(conn, cx);
    }

    fn admin_deadline(&self, conn: ConnId, cx: &mut Cx) {
        cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + self.shared.config.deadlines.idle));
    }

    /// Answers every request in the input.
    pub(super) fn admin_heard(&mut self, conn: ConnId, mut input: &[u8], cx: &mut Cx) {
        loop {
            let Some(visitor) = self.visitors.get_mut(&conn) else { return };
            visitor.heard = cx.now();
            match visitor.reader.next(&mut input, &self.shared.config.limits) {
                Ok(None) => return self.admin_deadline(conn, cx),
                Ok(Some(RequestEvent::Head(head, _))) => {
                    if !self.answers(conn, &head, cx) {
                        return;
                    }
                }
                Ok(Some(RequestEvent::Data(data))) => {
                    let Some((_, body)) = &mut visitor.order else { continue };
                    body.extend_from_slice(data);
                    if body.len() > ORDER_MAX {
                        let answer = Answer::text(Status::CONTENT_TOO_LARGE, format!("at most {ORDER_MAX} bytes\n"));
                        return self.conclude(conn, &answer, false, cx);
                    }
                }
                Ok(Some(RequestEvent::End(_))) => {
                    if let Some((place, body)) = visitor.order.take() {
                        return self.begin_order(conn, place, &body, cx);
                    }
                }
                Err(error) => {
                    let answer = Answer::text(error.status(), format!("{}\n", error.as_str()));
                    return self.conclude(conn, &answer, false, cx);
                }
            }
        }
    }

    /// Answers one request. `false`: that was the last one that this visitor may ask.
    fn answers(&mut self, conn: ConnId, head: &RequestHead, cx: &mut Cx) -> bool {
        let brief = head.method == Method::Head;
        if !names_us(head, &self.shared.config.admin_hosts) {
            let why = "this listener answers to addresses, localhost, and hosts named by --admin-host or in a file by admin.hosts\n";
            self.conclude(conn, &Answer::text(Status::MISDIRECTED_REQUEST, why), false, cx);
            return false;
        }
        let answer = match self.reply(conn, head, cx) {
            Reply::Now(answer) => answer,
            Reply::Last => return false,
            Reply::WithBody(place) => {
                if let Some(visitor) = self.visitors.get_mut(&conn) {
                    visitor.order = Some((place, Vec::new()));
                }
                return true;
            }
        };
        let persist = http::persistent_without_tunnels(head).is_ok() && !self.is_draining();
        let answer = answer.written(persist, brief);
        if let Some(visitor) = self.visitors.get_mut(&conn) {
            visitor.longest = visitor.longest.max(answer.len());
        }
        cx.send(conn, answer);
        if !persist {
            self.admin_close(conn, cx);
        }
        persist
    }

    /// It is answered by another thread, and says nothing meanwhile.
    pub(super) fn wait_for_keeper(&mut self, conn: ConnId, cx: &mut Cx) {
        if let Some(visitor) = self.visitors.get_mut(&conn) {
            visitor.waits = true;
        }
        cx.set_reading(conn, false);
        cx.set_deadline(TimerKey::Conn(conn), None);
    }

    /// Its deadline has passed: the next step of a purge, or it was idle for too long.
    pub(super) fn admin_late(&mut self, conn: ConnId, cx: &mut Cx) {
        match self.visitors.get(&conn) {
            Some(visitor) if visitor.purging.is_some() => self.step_purge(conn, cx),
            Some(_) => self.admin_close(conn, cx),
            None => {}
        }
    }

    /// The client sends nothing more; one that waits for a purge still gets its answer.
    pub(super) fn admin_ended(&mut self, conn: ConnId, cx: &mut Cx) {
        if self.visitors.get(&conn).is_none_or(|visitor| visitor.purging.is_none() && !visitor.waits) {
            self.admin_close(conn, cx);
        }
    }

    /// Answers, and ends the connection. `brief`: without the body.
    pub(super) fn conclude(&mut self, conn: ConnId, answer: &Answer, brief: bool, cx: &mut Cx) {
        cx.send(conn, answer.written(false, brief));
        self.admin_close(conn, cx);
    }

    /// `unsent` bytes wait for the client. One that asks on and does not read is let go.
    pub(super) fn admin_took(&mut self, conn: ConnId, unsent: usize, cx: &mut Cx) {
        let longest = self.visitors.get(&conn).map_or(0, |visitor| visitor.longest);
        if unsent > UNREAD_MAX + longest {
            self.visitors.remove(&conn);
            cx.abort(conn);
        }
    }

    /// All places are taken: the visitor that has said nothing for the longest time goes, unless it waits for a purge.
    pub(super) fn make_room_for_admin(&mut self, cx: &mut Cx) {
        let idle = self.visitors.iter().filter(|(_, visitor)| visitor.purging.is_none() && !visitor.waits);
        if let Some((conn, _)) = idle.min_by_key(|(_, visitor)| visitor.heard) {
            let conn = *conn;
            self.visitors.remove(&conn);
            cx.hang_up(conn);
        }
    }

    /// The process ends: it does not wait for admin connections without a request.
    pub(super) fn drain_admins(&mut self, cx: &mut Cx) {
        let idle = |(conn, visitor): (&ConnId, &Visitor)| (visitor.reader.phase() == ReadPhase::Idle).then_some(*conn);
        let conns: Vec<ConnId> = self.visitors.iter().filter_map(idle).collect();
        for conn in conns {
            self.visitors.remove(&conn);
            cx.hang_up(conn);
        }
    }

    pub(super) fn admin_close(&mut self, conn: ConnId, cx: &mut Cx) {
        self.visitors.remove(&conn);
        cx.close(conn);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.closing || self.shared.draining.load(Relaxed)
    }
}
