//! The library's state machines, that of a server and that of a client, driven in one way: records in, records and plaintext out.

use super::Failure;
use rustls::{
    CommonState, Error,
    client::{ClientConnectionData, UnbufferedClientConnection},
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic},
};

/// One side's state machine.
pub(super) trait Machine {
    type Data;

    /// Goes on to the next state that has to be dealt with.
    fn step<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn common(&self) -> &CommonState;
}

impl Machine for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn step<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(records)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl Machine for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn step<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(records)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

/// The outcome of some records.
#[derive(Debug, Default)]
pub(super) struct Processed {
    /// Bytes of complete records.
    pub(super) used: usize,
    /// A `close_notify` was among them.
    pub(super) ended: bool,
    pub(super) error: Option<Error>,
}

/// Takes complete records from the front. Content is appended to `plain`, and what has to be sent to `out`.
pub(super) fn process(
    machine: &mut impl Machine,
    records: &mut [u8],
    plain: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Processed {
    let mut processed = Processed::default();
    loop {
        let UnbufferedStatus { mut discard, state } = machine.step(&mut records[processed.used..]);
        let mut blocked = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let Ok(record) = record else { break };
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(out, |buffer| data.encode(buffer)),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => processed.ended = true,
            Ok(_) => blocked = true,
            Err(error) => {
                processed.error = Some(error);
                blocked = true;
            }
        }
        processed.used += discard;
        if blocked {
            break;
        }
    }
    if processed.error.is_some() {
        take_alert(machine, out);
    }
    processed
}

/// After a failure: the alert that tells the peer, which is all that the library may be asked for from then on.
fn take_alert(machine: &mut impl Machine, out: &mut Vec<u8>) {
    while machine.common().wants_write()
        && let Ok(ConnectionState::EncodeTlsData(mut data)) = machine.step(&mut []).state
    {
        encode(out, |buffer| data.encode(buffer));
    }
}

/// Has `put` write records behind what is in `out`. `incoming` is the part of a record that is here: there is nothing in it to process
/// yet, and it stays as it is.
pub(super) fn write<M: Machine>(
    machine: &mut M,
    incoming: &mut [u8],
    out: &mut Vec<u8>,
    room: usize,
    mut put: impl FnMut(&mut WriteTraffic<'_, M::Data>, &mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Failure> {
    loop {
        match machine.step(incoming).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                return append(out, room, |buffer| put(&mut traffic, buffer));
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(out, |buffer| data.encode(buffer)),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => {}
            Ok(_) => return Err(Failure::Internal),
            Err(error) => return Err(Failure::from(&error)),
        }
    }
}

/// Has `put` write behind what is in `out`, with `room` for it, or with as much as it asks for.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    mut put: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Failure> {
    let (start, mut room) = (out.len(), room);
    loop {
        out.resize(start + room, 0);
        match put(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(more)) if more.required_size > room => room = more.required_size,
            Err(_) => {
                out.truncate(start);
                return Err(Failure::Internal);
            }
        }
    }
}

fn encode(out: &mut Vec<u8>, mut put: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let start = out.len();
    let Err(EncodeError::InsufficientSize(more)) = put(&mut []) else { return };
    out.resize(start + more.required_size, 0);
    let written = put(&mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}
