//! One connection as the broker's application has it: what has come of its next packet, and how far it is let in.

use super::{core::End, message::Key};
use crate::{
    app::ConnId,
    mqtt::{Connect, Error, Frame, Kind, Reason, Version, frame},
    time::Instant,
};
use bytes::Bytes;
use std::{net::IpAddr, time::Duration};

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) conn: ConnId,
    pub(super) peer: IpAddr,
    pub(super) phase: Phase,
    /// Bytes of packets that are not whole, or that wait for their turn.
    pub(super) tail: Vec<u8>,
    /// When something last came.
    pub(super) heard: Instant,
    /// It is not read.
    pub(super) is_paused: bool,
    /// It sends nothing more.
    pub(super) has_ended: bool,
}

/// How far a client is let in.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its CONNECT has not come.
    New,
    /// It is another broker, which was sent a CONNECT.
    Greeting,
    /// Its password is looked at.
    Checking(Box<Connect>),
    /// It has a session.
    Open {
        key: Key,
        version: Version,
        /// Silence after which it is lost: half as much again as its keep-alive [MQTT-3.1.2-22].
        patience: Option<Duration>,
    },
    /// It has no session any more, and its last answers wait for the disk.
    Leaving(Box<End>),
}

/// The next packet of some input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More has to come.
    Partial,
    Whole(Frame, Bytes),
}

impl Client {
    pub(super) fn new(conn: ConnId, peer: IpAddr, now: Instant) -> Self {
        Self { conn, peer, phase: Phase::New, tail: Vec::new(), heard: now, is_paused: false, has_ended: false }
    }

    pub(super) fn key(&self) -> Option<Key> {
        match self.phase {
            Phase::Open { key, .. } => Some(key),
            Phase::New | Phase::Greeting | Phase::Checking(_) | Phase::Leaving(_) => None,
        }
    }

    /// The first packet of `input`, of at most so many bytes.
    pub(super) fn next(&self, input: &[u8], most: usize) -> Result<Next, Error> {
        let Some(frame) = frame(input)? else { return Ok(Next::Partial) };
        if matches!(self.phase, Phase::New) && frame.kind != Kind::Connect {
            return Err(Error::protocol("the first packet is not a CONNECT"));
        }
        if frame.len() > most {
            return Err(Error { reason: Reason::PACKET_TOO_LARGE, rule: "a packet is longer than the server takes" });
        }
        let body = input.get(frame.head..frame.len());
        Ok(body.map_or(Next::Partial, |body| Next::Whole(frame, Bytes::copy_from_slice(body))))
    }
}
