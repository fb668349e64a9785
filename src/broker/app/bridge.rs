//! The connection to another broker: it is made, greeted, kept alive, and when it ends made again.
//!
//! ```text
//!   away ── dial ──▶ connected: CONNECT ──▶ CONNACK ──▶ Open, as a client's: the packets are the same in both directions
//!    ▲ backoff              │ refused, failed              │ ended, failed, silent
//!    ╰──────────────────────┴──────────────────────────────╯ meanwhile messages of QoS 1 and 2 wait in its session
//! ```

use super::{Broker, Client, Phase};
use crate::{
    app::{ConnId, Cx, TimerKey},
    broker::bridge::{Rules, Target},
    mqtt::{ConnAck, Connect, Frame, Packet, Properties, Text, Value, Version, decode, encode, id},
    resilience::Backoff,
    time::Instant,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// When it is tried again, or pinged.
pub(super) const BRIDGE: TimerKey = TimerKey::App(2);

/// Seconds after which a silent connection is lost. Half of that is the time between two pings.
const KEEP_ALIVE: u16 = 30;

/// The wait before another try.
const BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(100), factor: 2.0, cap: Duration::from_secs(30), jitter: 0.25 };

/// A connection that has lasted for so long was a good one: the next try comes soon.
const STEADY: Duration = Duration::from_secs(5);

/// A bridge.
#[derive(Debug)]
pub(crate) struct Bridge {
    target: Target,
    rules: Arc<Rules>,
    /// A random number from 0 to 1.
    random: fn() -> f64,
    /// Tries since it was last up for some time.
    tries: u32,
    conn: Option<ConnId>,
    up_since: Option<Instant>,
    /// Why the connection has ended, if that is known.
    why: Option<String>,
    /// It was said that it is not up.
    is_told: bool,
}

impl Bridge {
    pub(crate) fn new(target: Target, rules: Arc<Rules>, random: fn() -> f64) -> Self {
        Self { target, rules, random, tries: 0, conn: None, up_since: None, why: None, is_told: false }
    }

    /// The topics that cross it.
    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Its first packet. The session outlives the connection, on both sides.
    fn connect(&self, inflight: u16, packet: usize) -> Packet {
        let properties = Properties::default()
            .with(id::SESSION_EXPIRY, Value::Four(u32::MAX))
            .with(id::RECEIVE_MAXIMUM, Value::Two(inflight))
            .with(id::MAXIMUM_PACKET_SIZE, Value::Four(u32::try_from(packet).unwrap_or(u32::MAX)))
            .with(id::USER_PROPERTY, self.rules.introduction());
        Packet::Connect(Box::new(Connect {
            version: Version::V5,
            is_bridge: false,
            clean: false,
            keep_alive: KEEP_ALIVE,
            properties,
            client_id: self.rules.id().clone(),
            will: None,
            user_name: self.target.user_name.as_deref().map(Text::from),
            password: self.target.password.clone().map(Bytes::from),
        }))
    }
}

impl Broker {
    /// Has a bridge to another broker from the start on.
    pub(crate) fn with_bridge(self, bridge: Bridge) -> Self {
        Self { bridge: Some(bridge), ..self }
    }

    /// Whether it is the connection to the other broker.
    pub(super) fn is_bridge(&self, conn: ConnId) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| bridge.conn == Some(conn))
    }

    /// It is time to dial, or to ping.
    pub(super) fn bridge_due(&mut self, cx: &mut Cx) {
        let Some(bridge) = self.bridge.as_mut().filter(|_| !self.draining) else { return };
        if let Some(conn) = bridge.conn {
            return self.ping(cx, conn);
        }
        let addresses = &bridge.target.addresses;
        let address = addresses[bridge.tries as usize % addresses.len()];
        let conn = cx.connect(address);
        (bridge.conn, bridge.why) = (Some(conn), None);
        let client = Client { phase: Phase::Greeting, ..Client::new(conn, address.ip(), cx.now()) };
        self.enter(cx, client);
    }

    /// The other broker can be reached.
    pub(super) fn greet(&mut self, cx: &mut Cx, conn: ConnId) {
        let limits = *self.core.limits();
        let Some(bridge) = self.bridge.as_ref().filter(|bridge| bridge.conn == Some(conn)) else { return };
        let mut bytes = Vec::new();
        encode(&bridge.connect(limits.inflight, limits.packet), Version::V5, &mut bytes);
        self.sent += bytes.len() as u64;
        cx.send(conn, bytes);
    }

    /// The other broker's first packet.
    pub(super) fn greeted(&mut self, cx: &mut Cx, conn: ConnId, frame: Frame, body: Bytes) {
        match decode(frame, body, Version::V5) {
            Ok(Packet::ConnAck(connack)) if connack.code == 0 => self.cross(cx, conn, &connack),
            Ok(Packet::ConnAck(ConnAck { code, properties, .. })) => {
                let why = properties.text(id::REASON_STRING).map(|text| format!(" ({text})")).unwrap_or_default();
                self.give_up_bridge(cx, conn, format!("it refuses the connection with reason {code:#04x}{why}"));
            }
            Ok(_) | Err(_) => self.give_up_bridge(cx, conn, "it does not answer as MQTT 5 demands".to_owned()),
        }
    }

    fn cross(&mut self, cx: &mut Cx, conn: ConnId, connack: &ConnAck) {
        let number = |id| connack.properties.number(id);
        if number(id::MAXIMUM_QOS).is_some() {
            return self.give_up_bridge(cx, conn, "it does not take messages of QoS 2".to_owned());
        }
        let window = number(id::RECEIVE_MAXIMUM).and_then(|most| u16::try_from(most).ok()).unwrap_or(u16::MAX);
        let most = number(id::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |most| most as usize);
        let Some(key) = self.core.cross(conn, connack.session_present, (window, most), cx.clock()) else { return };
        let Some(client) = self.client(conn) else { return };
        client.phase = Phase::Open { key, version: Version::V5, patience: None };
        cx.set_deadline(TimerKey::Conn(conn), None);
        cx.set_deadline(BRIDGE, Some(cx.now() + Duration::from_secs(KEEP_ALIVE.into()) / 2));
        let Some(bridge) = &mut self.bridge else { return };
        (bridge.up_since, bridge.is_told) = (Some(cx.now()), false);
        let session = if connack.session_present { "goes on" } else { "is new" };
        tracing::info!("bridge to {}: up, its session {session}", bridge.target.name);
    }

    fn ping(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(client) = self.client(conn) else { return };
        let patience = Duration::from_secs(KEEP_ALIVE.into());
        if cx.now() >= client.heard + patience {
            return self.give_up_bridge(cx, conn, "nothing was heard of it".to_owned());
        }
        let mut bytes = Vec::new();
        encode(&Packet::PingReq, Version::V5, &mut bytes);
        self.sent += bytes.len() as u64;
        cx.send(conn, bytes);
        cx.set_deadline(BRIDGE, Some(cx.now() + patience / 2));
    }

    /// A packet that only a server sends. `Some`: it is none, and has a rule.
    pub(super) fn of_bridge(&mut self, cx: &mut Cx, conn: ConnId, packet: Packet) -> Option<Packet> {
        match packet {
            Packet::PingResp | Packet::UnsubAck(_) => None,
            Packet::SubAck(suback) => {
                let refused = suback.codes.iter().filter(|code| **code >= 0x80).count();
                let name = self.bridge.as_ref().map_or("", |bridge| &*bridge.target.name);
                match refused {
                    0 => tracing::info!("bridge to {name}: topics come in"),
                    some => tracing::warn!("bridge to {name}: it refuses {some} of the topics"),
                }
                None
            }
            Packet::Disconnect(disconnect) => {
                let code = disconnect.reason.0;
                self.give_up_bridge(cx, conn, format!("it ends the connection with reason {code:#04x}"));
                None
            }
            other => Some(other),
        }
    }

    /// A connection has ended, for this reason: it may be that to the other broker.
    pub(super) fn bridge_ended(&mut self, conn: ConnId, why: impl FnOnce() -> String) {
        if let Some(bridge) = self.bridge.as_mut().filter(|bridge| bridge.conn == Some(conn)) {
            bridge.why = Some(why());
        }
    }

    /// The connection is of no more use.
    fn give_up_bridge(&mut self, cx: &mut Cx, conn: ConnId, why: String) {
        self.bridge.iter_mut().for_each(|bridge| bridge.why = Some(why.clone()));
        let key = self.client(conn).and_then(|client| client.key());
        self.forget(conn);
        key.into_iter().for_each(|key| self.core.lost(key, cx.clock()));
        cx.hang_up(conn);
    }

    /// Says goodbye to the other broker, which keeps the session.
    pub(super) fn leave_bridge(&mut self, cx: &mut Cx) {
        let Some(conn) = self.bridge.as_ref().and_then(|bridge| bridge.conn) else { return };
        let Some(key) = self.client(conn).and_then(|client| client.key()) else { return cx.abort(conn) };
        let output = self.core.take_last(key);
        self.send(cx, conn, output);
        let mut bytes = Vec::new();
        encode(&Packet::Disconnect(crate::mqtt::Disconnect::normal()), Version::V5, &mut bytes);
        cx.send(conn, bytes);
        self.give_up_bridge(cx, conn, "the broker is stopping".to_owned());
    }

    /// After each call: a connection that has ended is made again after a while.
    pub(super) fn tend_bridge(&mut self, cx: &mut Cx) {
        let Some(conn) = self.bridge.as_ref().and_then(|bridge| bridge.conn) else { return };
        let (is_gone, draining) = (self.client(conn).is_none(), self.draining);
        let Some(bridge) = self.bridge.as_mut().filter(|_| is_gone) else { return };
        bridge.conn = None;
        if draining {
            return;
        }
        if bridge.up_since.take().is_some_and(|since| cx.now() >= since + STEADY) {
            bridge.tries = 0;
        }
        let wait = BACKOFF.delay(bridge.tries, (bridge.random)());
        bridge.tries = bridge.tries.saturating_add(1);
        cx.set_deadline(BRIDGE, Some(cx.now() + wait));
        if !std::mem::replace(&mut bridge.is_told, true) {
            let why = bridge.why.take().unwrap_or_else(|| "the connection has ended".to_owned());
            tracing::warn!("bridge to {}: {why}; it is tried again until it is up", bridge.target.name);
        }
    }
}
