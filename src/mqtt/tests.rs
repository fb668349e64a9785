use super::*;
use bytes::Bytes;

fn id(n: u16) -> PacketId {
    PacketId::new(n).unwrap()
}

fn publish(version: Version) -> Publish {
    let mut properties = Properties::default();
    if version == Version::V5 {
        properties = properties
            .with(super::id::PAYLOAD_FORMAT, Value::Byte(1))
            .with(super::id::USER_PROPERTY, Value::Pair("a".into(), "1".into()))
            .with(super::id::MESSAGE_EXPIRY, Value::Four(70_000))
            .with(super::id::CORRELATION_DATA, Value::Binary(Bytes::from_static(b"\0\xff")))
            .with(super::id::USER_PROPERTY, Value::Pair("a".into(), "2".into()))
            .with(super::id::SUBSCRIPTION_ID, Value::Varint(200_000_000));
    }
    Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        retain: true,
        topic: "a/b".into(),
        id: Some(id(300)),
        properties,
        payload: Bytes::from(vec![7; 300]),
    }
}

fn connect(version: Version) -> Connect {
    let none = Properties::default;
    let will = Will {
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: "w".into(),
        properties: if version == Version::V5 { none().with(super::id::WILL_DELAY, Value::Four(5)) } else { none() },
        payload: Bytes::from_static(b"gone"),
    };
    Connect {
        is_bridge: false,
        version,
        clean: true,
        keep_alive: 60,
        properties: none(),
        client_id: "c".into(),
        will: Some(will),
        user_name: Some("u".into()),
        password: Some(Bytes::from_static(b"p")),
    }
}

fn packets(version: Version) -> Vec<Packet> {
    let none = Properties::default;
    let subscription = Subscription {
        filter: Filter::new("a/+".into()).unwrap(),
        qos: QoS::ExactlyOnce,
        no_local: version == Version::V5,
        retain_as_published: version == Version::V5,
        retain_handling: if version == Version::V5 { RetainHandling::Never } else { RetainHandling::Always },
    };
    let ack = || Ack::new(id(9), Reason::SUCCESS);
    let suback = |codes| SubAck { id: id(1), properties: none(), codes };
    let mut packets = vec![
        Packet::Connect(Box::new(connect(version))),
        Packet::ConnAck(ConnAck { session_present: true, code: 0, properties: none() }),
        Packet::Publish(publish(version)),
        Packet::PubAck(ack()),
        Packet::PubRec(ack()),
        Packet::PubRel(ack()),
        Packet::PubComp(ack()),
        Packet::Subscribe(Subscribe { id: id(1), properties: none(), filters: vec![subscription] }),
        Packet::SubAck(suback(vec![0, 2, 0x80])),
        Packet::Unsubscribe(Unsubscribe {
            id: id(1),
            properties: none(),
            filters: vec![Filter::new("#".into()).unwrap()],
        }),
        Packet::UnsubAck(suback(vec![])),
        Packet::PingReq,
        Packet::PingResp,
        Packet::Disconnect(Disconnect { reason: Reason::SUCCESS, properties: none() }),
    ];
    if version == Version::V5 {
        packets.extend(packets_with_reasons());
    }
    packets
}

/// Those that only MQTT 5 has.
fn packets_with_reasons() -> [Packet; 4] {
    let none = Properties::default;
    let properties = || none().with(super::id::REASON_STRING, Value::Text("why".into()));
    let reason = Reason::PACKET_ID_NOT_FOUND;
    [
        Packet::PubRel(Ack { id: id(9), reason, properties: properties() }),
        Packet::PubComp(Ack { id: id(9), reason, properties: none() }),
        Packet::Disconnect(Disconnect { reason: Reason::SERVER_BUSY, properties: properties() }),
        Packet::Auth(Auth { reason: Reason(0x18), properties: none() }),
    ]
}

fn read(bytes: &[u8], version: Version) -> Result<Option<(Packet, usize)>, Error> {
    let Some(frame) = frame(bytes)? else { return Ok(None) };
    let Some(body) = bytes.get(frame.head..frame.len()) else { return Ok(None) };
    decode(frame, Bytes::copy_from_slice(body), version).map(|packet| Some((packet, frame.len())))
}

#[test]
fn each_packet_comes_back_from_its_bytes() {
    for version in [Version::V3, Version::V5] {
        for packet in packets(version) {
            let mut bytes = Vec::new();
            encode(&packet, version, &mut bytes);
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut], version), Ok(None), "{packet:?} cut at {cut}");
            }
            let len = bytes.len();
            bytes.extend_from_slice(b"and more");
            assert_eq!(read(&bytes, version), Ok(Some((packet, len))));
        }
    }
}

/// A body that ends early is malformed, wherever it ends, or another packet in its own right.
#[test]
fn a_body_that_is_cut_is_no_panic() {
    for version in [Version::V3, Version::V5] {
        for packet in packets(version) {
            let mut bytes = Vec::new();
            encode(&packet, version, &mut bytes);
            let frame = frame(&bytes).unwrap().unwrap();
            for end in frame.head..bytes.len() {
                let body = Bytes::copy_from_slice(&bytes[frame.head..end]);
                let _ = decode(Frame { body: body.len(), ..frame }, body, version);
            }
        }
    }
}

#[test]
fn lengths_have_one_form() {
    const CASES: &[(u32, &[u8])] = &[
        (0, &[0]),
        (127, &[0x7F]),
        (128, &[0x80, 1]),
        (16_383, &[0xFF, 0x7F]),
        (16_384, &[0x80, 0x80, 1]),
        (2_097_151, &[0xFF, 0xFF, 0x7F]),
        (268_435_455, &[0xFF, 0xFF, 0xFF, 0x7F]),
    ];
    for (value, bytes) in CASES {
        let mut out = Vec::new();
        put_varint(&mut out, *value);
        assert_eq!(&out, bytes);
        assert_eq!(Reader::new(Bytes::from_static(bytes)).varint(), Ok(*value));
        let wire = [&[0xC0], *bytes].concat();
        assert_eq!(frame(&wire).map(|frame| frame.map(|frame| frame.body)), Ok(Some(*value as usize)));
    }
    for bytes in [&[0x80, 0x80, 0x80, 0x80, 1][..], &[0x80, 0]] {
        assert!(Reader::new(Bytes::copy_from_slice(bytes)).varint().is_err());
        assert!(frame(&[&[0xC0], bytes].concat()).is_err());
    }
}

/// Bodies and the rule that each breaks.
#[test]
fn broken_rules_have_names() {
    const CASES: &[(Version, &[u8], &str)] = &[
        (Version::V3, b"\x00\x00", "no such packet type"),
        (Version::V3, b"\xF0\x00", "no such packet type"),
        (Version::V3, b"\xC1\x00", "reserved flags of the fixed header"),
        (Version::V3, b"\x80\x00", "reserved flags of the fixed header"),
        (Version::V3, b"\x36\x05\x00\x01a\x00\x01", "a PUBLISH with QoS 3"),
        (Version::V3, b"\x38\x03\x00\x01a", "a PUBLISH with QoS 0 that says it is sent again"),
        (Version::V3, b"\x30\x02\x00\x00", "an empty topic name"),
        (Version::V3, b"\x30\x03\x00\x01#", "a wildcard in a topic name"),
        (Version::V3, b"\x30\x03\x00\x01\xff", "a string is not UTF-8"),
        (Version::V3, b"\x30\x05\x00\x03\xed\xa0\x80", "a string is not UTF-8"),
        (Version::V3, b"\x30\x03\x00\x01\x00", "a string contains U+0000"),
        (Version::V3, b"\x32\x05\x00\x01a\x00\x00", "packet identifier 0"),
        (Version::V3, b"\x82\x02\x00\x01", "a SUBSCRIBE without a filter"),
        (Version::V3, b"\x82\x06\x00\x01\x00\x01a\x04", "reserved bits of a subscription are set"),
        (Version::V3, b"\x82\x06\x00\x01\x00\x01a\x03", "a subscription with QoS 3"),
        (Version::V3, b"\xA2\x02\x00\x01", "an UNSUBSCRIBE without a filter"),
        (Version::V3, b"\xC0\x01\x00", "a packet is longer than its fields"),
        (Version::V5, b"\x30\x03\x00\x00\x00", "an empty topic name without an alias"),
        (Version::V5, b"\x30\x06\x00\x01a\x02\x01\x02", "a property that is 0 or 1 is neither"),
        (Version::V5, b"\x30\x06\x00\x01a\x02\x0b\x00", "a property is 0 that cannot be"),
        (Version::V5, b"\x30\x09\x00\x01a\x05\x11\x00\x00\x00\x01", "a property that this packet cannot have"),
        (Version::V5, b"\x30\x08\x00\x01a\x04\x01\x01\x01\x01", "a property stands twice"),
        (Version::V5, b"\x30\x06\x00\x01a\x02\x7e\x00", "no such property"),
        (Version::V5, b"\x30\x09\x00\x01a\x05\x08\x00\x02b#", "a wildcard in a topic name"),
        (Version::V5, b"\x82\x07\x00\x01\x00\x00\x01a\x30", "retain handling 3"),
        (Version::V5, b"\x82\x07\x00\x01\x00\x00\x01a\x40", "reserved bits of a subscription are set"),
        (Version::V5, b"\x82\x06\x00\x01\x00\x00\x00\x00", "an empty topic filter"),
        (Version::V5, b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04", "a shared subscription without local messages"),
        (Version::V5, b"\x40\x03\x00\x01\x92", "a reason code that this packet cannot have"),
    ];
    for (version, bytes, rule) in CASES {
        let error = read(bytes, *version).expect_err(rule);
        assert_eq!(error.rule, *rule);
    }
}
