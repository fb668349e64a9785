//! Settings: what each side tells the other about itself (RFC 9113 §6.5, RFC 8441 §3, RFC 9218 §2.1).

use super::{
    cause::Cause,
    frame::{self, Kind, MAX_31, MAX_ANNOUNCED, MAX_PAYLOAD},
    hpack,
};

/// The window of a stream, and of the connection, before anybody says otherwise (RFC 9113 §6.9.2).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;
const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
const NO_RFC7540_PRIORITIES: u16 = 0x9;

/// Which side of a connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes requests.
    Server,
    /// Makes requests.
    Client,
}

/// The settings of a peer. One that we have no use for is checked and forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// Bytes of the table that its decoder offers to our encoder.
    pub(super) header_table: u32,
    /// Streams that we may have open at once.
    pub(super) max_streams: u32,
    /// Bytes that we may send on a new stream.
    pub(super) initial_window: u32,
    /// Bytes of a payload that we send.
    pub(super) max_payload: u32,
    /// Whether a server takes extended `CONNECT` (RFC 8441).
    pub(super) connect_protocol: bool,
}

impl Default for Settings {
    /// Before the peer has said anything.
    fn default() -> Self {
        Self {
            header_table: hpack::DEFAULT_TABLE as u32,
            max_streams: u32::MAX,
            initial_window: DEFAULT_WINDOW,
            max_payload: MAX_PAYLOAD as u32,
            connect_protocol: false,
        }
    }
}

impl Settings {
    /// Takes over what the payload of a SETTINGS frame says to us in this role: in its order, so that of two values for one
    /// setting the last counts. Unknown settings are ignored.
    pub(super) fn apply(&mut self, payload: &[u8], role: Role) -> Result<(), Cause> {
        for (name, value) in read(payload) {
            match name {
                HEADER_TABLE_SIZE => self.header_table = value,
                // A server that would promise something has to be a server of the old days; a client may want it or not.
                ENABLE_PUSH if value > 1 || value == 1 && role == Role::Client => return Err(Cause::BadSetting),
                MAX_CONCURRENT_STREAMS => self.max_streams = value,
                INITIAL_WINDOW_SIZE if value > MAX_31 => return Err(Cause::SettingOverflow),
                INITIAL_WINDOW_SIZE => self.initial_window = value,
                MAX_FRAME_SIZE if !(MAX_PAYLOAD as u32..=MAX_ANNOUNCED).contains(&value) => {
                    return Err(Cause::BadSetting);
                }
                MAX_FRAME_SIZE => self.max_payload = value,
                // RFC 8441 §3: it cannot be taken back.
                ENABLE_CONNECT_PROTOCOL if value > 1 || self.connect_protocol && value == 0 => {
                    return Err(Cause::BadSetting);
                }
                ENABLE_CONNECT_PROTOCOL => self.connect_protocol = value == 1,
                NO_RFC7540_PRIORITIES if value > 1 => return Err(Cause::BadSetting),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The settings in a payload, whose length is a multiple of six.
pub(super) fn read(payload: &[u8]) -> impl ExactSizeIterator<Item = (u16, u32)> {
    payload.chunks_exact(6).map(|setting| {
        let [a, b, value @ ..] = setting.first_chunk::<6>().copied().unwrap_or_default();
        (u16::from_be_bytes([a, b]), u32::from_be_bytes(value))
    })
}

/// Our own settings, the first frame that we send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours {
    pub(super) role: Role,
    pub(super) max_streams: u32,
    pub(super) initial_window: u32,
    pub(super) max_list: u32,
}

impl Ours {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let of_server =
            [(MAX_CONCURRENT_STREAMS, self.max_streams), (ENABLE_CONNECT_PROTOCOL, 1), (NO_RFC7540_PRIORITIES, 1)];
        let of_client = [(ENABLE_PUSH, 0)];
        let of_both = [(INITIAL_WINDOW_SIZE, self.initial_window), (MAX_HEADER_LIST_SIZE, self.max_list)];
        let own = match self.role {
            Role::Server => &of_server[..],
            Role::Client => &of_client[..],
        };
        let mut payload = Vec::with_capacity(6 * (own.len() + of_both.len()));
        for (name, value) in own.iter().chain(&of_both) {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        frame::write(Kind::Settings, 0, 0, &payload, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(settings: &[(u16, u32)]) -> Vec<u8> {
        settings.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect()
    }

    fn applied(settings: &[(u16, u32)], role: Role) -> Result<Settings, Cause> {
        let mut heard = Settings::default();
        heard.apply(&payload(settings), role).map(|()| heard)
    }

    #[test]
    fn values_at_their_edges() {
        use Role::{Client, Server};
        for (setting, role, expected) in [
            ((ENABLE_PUSH, 0), Server, Ok(())),
            ((ENABLE_PUSH, 1), Server, Ok(())),
            ((ENABLE_PUSH, 2), Server, Err(Cause::BadSetting)),
            ((ENABLE_PUSH, 0), Client, Ok(())),
            ((ENABLE_PUSH, 1), Client, Err(Cause::BadSetting)),
            ((INITIAL_WINDOW_SIZE, 0), Server, Ok(())),
            ((INITIAL_WINDOW_SIZE, MAX_31), Server, Ok(())),
            ((INITIAL_WINDOW_SIZE, MAX_31 + 1), Server, Err(Cause::SettingOverflow)),
            ((MAX_FRAME_SIZE, 16_383), Server, Err(Cause::BadSetting)),
            ((MAX_FRAME_SIZE, 16_384), Server, Ok(())),
            ((MAX_FRAME_SIZE, 16_777_215), Server, Ok(())),
            ((MAX_FRAME_SIZE, 16_777_216), Server, Err(Cause::BadSetting)),
            ((MAX_CONCURRENT_STREAMS, 0), Server, Ok(())),
            ((HEADER_TABLE_SIZE, u32::MAX), Server, Ok(())),
            ((MAX_HEADER_LIST_SIZE, u32::MAX), Server, Ok(())),
            ((ENABLE_CONNECT_PROTOCOL, 1), Client, Ok(())),
            ((ENABLE_CONNECT_PROTOCOL, 2), Client, Err(Cause::BadSetting)),
            ((NO_RFC7540_PRIORITIES, 1), Server, Ok(())),
            ((NO_RFC7540_PRIORITIES, 2), Server, Err(Cause::BadSetting)),
            ((0x7777, u32::MAX), Server, Ok(())),
            ((0, 0), Server, Ok(())),
        ] {
            assert_eq!(applied(&[setting], role).map(drop), expected, "{setting:x?} {role:?}");
        }
    }

    #[test]
    fn the_last_value_counts() {
        let heard = applied(&[(INITIAL_WINDOW_SIZE, 1), (9, 1), (INITIAL_WINDOW_SIZE, 2)], Role::Server).unwrap();
        assert_eq!(heard, Settings { initial_window: 2, ..Settings::default() });
        let taken_back = [(ENABLE_CONNECT_PROTOCOL, 1), (ENABLE_CONNECT_PROTOCOL, 0)];
        assert_eq!(applied(&taken_back, Role::Client), Err(Cause::BadSetting));
    }

    #[test]
    fn our_own_are_read_by_the_other_side() {
        for (ours, theirs) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
            let mut out = Vec::new();
            Ours { role: ours, max_streams: 7, initial_window: 8, max_list: 9 }.write(&mut out);
            let mut heard = Settings::default();
            heard.apply(&out[frame::HEAD..], theirs).unwrap();
            let is_server = ours == Role::Server;
            let max_streams = if is_server { 7 } else { u32::MAX };
            let expected =
                Settings { max_streams, initial_window: 8, connect_protocol: is_server, ..Settings::default() };
            assert_eq!(heard, expected, "{ours:?}");
        }
    }
}
