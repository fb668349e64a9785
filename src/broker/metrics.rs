//! The broker's numbers: a line for its log, and topics under `$SYS/broker` with the names that users of other brokers know.

use super::core::Numbers;
use crate::units::Counted;

/// Bytes of all connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// Topics with their values.
pub(crate) fn topics(numbers: &Numbers, uptime: u64, bytes: Bytes) -> Vec<(&'static str, String)> {
    let counts = numbers.counts;
    vec![
        ("$SYS/broker/version", concat!(env!("CARGO_PKG_NAME"), " broker ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("$SYS/broker/uptime", format!("{uptime} seconds")),
        ("$SYS/broker/clients/connected", numbers.connected.to_string()),
        ("$SYS/broker/clients/disconnected", numbers.away.to_string()),
        ("$SYS/broker/clients/total", (numbers.connected + numbers.away).to_string()),
        ("$SYS/broker/subscriptions/count", numbers.subscriptions.to_string()),
        ("$SYS/broker/retained messages/count", numbers.retained.to_string()),
        ("$SYS/broker/store/messages/count", (numbers.waiting + numbers.inflight).to_string()),
        ("$SYS/broker/store/messages/bytes", numbers.queued_bytes.to_string()),
        ("$SYS/broker/messages/inflight", numbers.inflight.to_string()),
        ("$SYS/broker/publish/messages/received", counts.received.to_string()),
        ("$SYS/broker/publish/messages/sent", counts.sent.to_string()),
        ("$SYS/broker/publish/messages/dropped", counts.dropped.to_string()),
        ("$SYS/broker/publish/messages/expired", counts.expired.to_string()),
        ("$SYS/broker/bytes/received", bytes.received.to_string()),
        ("$SYS/broker/bytes/sent", bytes.sent.to_string()),
    ]
}

/// The same as a line.
pub(crate) fn line(numbers: &Numbers, received: u64, sent: u64) -> String {
    let counts = numbers.counts;
    format!(
        "{} connected and {} away, {}, {} retained, {} in and {} out, {} waiting and {} on their way, {} dropped, {} expired, {} refused, \
         {} received, {} sent",
        Counted(numbers.connected as u64, "client"),
        numbers.away,
        Counted(numbers.subscriptions as u64, "subscription"),
        Counted(numbers.retained as u64, "message"),
        Counted(counts.received, "message"),
        counts.sent,
        numbers.waiting,
        numbers.inflight,
        counts.dropped,
        counts.expired,
        Counted(counts.refused, "client"),
        Counted(received, "byte"),
        Counted(sent, "byte"),
    )
}
