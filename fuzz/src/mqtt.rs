//! Packets of MQTT, from either side. Each that is accepted is the same when it is written and read again; what was written is framed in the
//! same way wherever it is cut; and a filter matches in a walk through its levels what it matches as a pattern.

use bytes::Bytes;
use socket_patterns::mqtt::{self, Error, Packet, Version, decode, encode, filter_matches, frame};

/// Panics if a rule is broken. The first byte chooses the version: an odd one is MQTT 5.
pub fn judge(data: &[u8]) {
    let Some((first, mut wire)) = data.split_first() else { return };
    let version = if first % 2 == 1 { Version::V5 } else { Version::V3 };
    while let Ok(Some((packet, len))) = read(wire, version) {
        let version = spoken(&packet, version);
        let mut again = Vec::new();
        encode(&packet, version, &mut again);
        assert!(again.len() <= len, "nothing is longer than the peer wrote it: {packet:?}");
        for cut in 0..again.len().min(64) {
            assert_eq!(read(&again[..cut], version), Ok(None), "cut at {cut}");
        }
        let written = read(&again, version);
        assert_eq!(written, Ok(Some((packet.clone(), again.len()))));
        topics(&packet);
        wire = &wire[len..];
    }
}

fn read(wire: &[u8], version: Version) -> Result<Option<(Packet, usize)>, Error> {
    let Some(frame) = frame(wire)? else { return Ok(None) };
    let Some(body) = wire.get(frame.head..frame.len()) else { return Ok(None) };
    decode(frame, Bytes::copy_from_slice(body), version).map(|packet| Some((packet, frame.len())))
}

/// A CONNECT says itself which version it is of.
fn spoken(packet: &Packet, version: Version) -> Version {
    if let Packet::Connect(connect) = packet { connect.version } else { version }
}

/// Each name matches itself, and `#` unless it is the server's.
fn topics(packet: &Packet) {
    if let Packet::Publish(publish) = packet
        && mqtt::check_name(&publish.topic).is_ok()
    {
        assert!(filter_matches(&publish.topic, &publish.topic));
        assert_eq!(filter_matches("#", &publish.topic), !mqtt::is_reserved(&publish.topic));
    }
}
