//! How much of anything a peer may do, and which flood it is called if it does more (RFC 9113 §10.5).
//!
//! Most limits are rates: so many at once, and so many a second in the long run. A count over a connection's life would punish
//! connections that live long, and those are the ones that HTTP/2 is made for.

use super::cause::Cause;
use crate::{http, time::Instant};
use std::time::Duration;

/// Streams that a client may have open at once. As most servers allow; the RFC recommends no less (§6.5.2).
pub const MAX_STREAMS: u32 = 100;

/// Content of a request that may wait for its backend: what HTTP/2 begins with, so that no client has to hear of it first.
pub const STREAM_WINDOW: u32 = 65_535;

/// Bytes of an unsent response below which its stream asks for more. One frame: the next one is there when this one has gone.
pub const LOW_WATER: usize = 16 * 1024;

/// The first goodbye needs a round trip before the second one says which streams it is about. A slow way around the earth takes
/// half a second; with no answer to our PING, the connection ends its service after this.
pub const GOODBYE: Duration = Duration::from_secs(2);

/// CONTINUATION frames of one field block. The largest block that is taken needs four of full size.
pub const MAX_CONTINUATIONS: u32 = 16;

/// A field block may be so many times as long as a head, counted in bytes on the wire. A head that is only a little too large
/// is answered with 431 and the connection goes on; beyond this it is a flood.
pub const BLOCK_FACTOR: usize = 4;

/// A field block may stand for so many times the bytes of a head. Each byte of it can name a line of 4,000 bytes.
pub const BOMB_FACTOR: usize = 16;

/// Bytes of answers to a peer's frames (acknowledgements, resets, windows) that may wait for it to read. Each is about 17 bytes.
pub const MAX_UNREAD: usize = 16 * 1024;

/// Settings in one frame that count as one frame. Nine are defined.
pub const SETTINGS_IN_FRAME: usize = 16;

/// A piece of content is tiny below this, unless it ends its message.
pub const TINY: u32 = 64;

/// Priorities of streams that have not begun, which are kept until they do (RFC 9218 §7.1).
pub const EARLY_PRIORITIES: usize = 16;

/// Streams of which is remembered that we have reset them: frames that were on their way are not held against the peer.
pub const REMEMBERED_RESETS: usize = 128;

/// Streams of which is remembered that they ended well: it decides between two error codes, and nothing else.
pub const REMEMBERED_ENDS: usize = 16;

/// A number at once, and a number a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// As many may come together.
    pub burst: u32,
    /// As many are forgotten each second.
    pub per_second: u32,
}

/// Requests that are given up before their response is complete. A browser gives up a page with all that it asked for; each response
/// that is complete makes up for one, so a client that gives up less than half of its requests is never over.
pub const RESETS: Rate = Rate { burst: 200, per_second: 20 };
/// Errors of streams. A correct client makes none.
pub const MADE_RESETS: Rate = Rate { burst: 100, per_second: 10 };
/// Streams beyond [`MAX_STREAMS`]. A client that has not read our settings may begin many.
pub const REFUSED: Rate = Rate { burst: 400, per_second: 50 };
/// Some clients send one for each piece that they read, to measure the way.
pub const PINGS: Rate = Rate { burst: 200, per_second: 20 };
/// Settings change when a connection begins, and hardly ever after that.
pub const SETTINGS: Rate = Rate { burst: 50, per_second: 5 };
/// A browser changes the priority of what it shows when a user scrolls.
pub const PRIORITIES: Rate = Rate { burst: 300, per_second: 50 };
/// Frames that make windows larger. Each DATA frame that we send earns two: one for the stream, one for the connection.
pub const WINDOW_UPDATES: Rate = Rate { burst: 1000, per_second: 100 };
/// DATA that neither carries nor ends anything.
pub const EMPTY_DATA: Rate = Rate { burst: 100, per_second: 10 };
/// Pieces below [`TINY`] bytes. Some programs write a body byte by byte.
pub const TINY_DATA: Rate = Rate { burst: 10_000, per_second: 2_000 };
/// Browsers send some, so that everybody keeps ignoring them.
pub const UNKNOWN_FRAMES: Rate = Rate { burst: 100, per_second: 10 };

/// Bounds of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Those of a message: as in HTTP/1.1, a head counts as many bytes as it would have as text.
    pub http: http::Limits,
    /// Streams that the peer may have open at once.
    pub max_streams: u32,
    /// Content of one stream that may wait for its application. That of the connection is this for each stream, so that no
    /// stream waits for another one's.
    pub stream_window: u32,
    /// Unsent bytes of a stream below which more is asked for.
    pub low_water: usize,
    /// Whether frames that come too often are a flood, by the rates above. A load generator says no: it asks for as much as the server
    /// can give, and a server that answers in tiny pieces is slow, not hostile.
    pub floods: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http: http::Limits::default(),
            max_streams: MAX_STREAMS,
            stream_window: STREAM_WINDOW,
            low_water: LOW_WATER,
            floods: true,
        }
    }
}

/// Things that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meter {
    Resets,
    MadeResets,
    Refused,
    Pings,
    Settings,
    Priorities,
    WindowUpdates,
    EmptyData,
    TinyData,
    Unknown,
}

const METERS: [(Rate, Cause); 10] = [
    (RESETS, Cause::RapidReset),
    (MADE_RESETS, Cause::MadeUsReset),
    (REFUSED, Cause::StreamFlood),
    (PINGS, Cause::PingFlood),
    (SETTINGS, Cause::SettingsFlood),
    (PRIORITIES, Cause::PriorityFlood),
    (WINDOW_UPDATES, Cause::WindowFlood),
    (EMPTY_DATA, Cause::EmptyData),
    (TINY_DATA, Cause::TinyData),
    (UNKNOWN_FRAMES, Cause::UnknownFlood),
];

/// How full each bucket is. They leak once a second.
#[derive(Debug)]
pub(super) struct Meters {
    since: Instant,
    levels: [u32; METERS.len()],
    /// Whether a full bucket matters.
    counts: bool,
}

impl Meters {
    pub(super) fn new(now: Instant, counts: bool) -> Self {
        Self { since: now, levels: [0; METERS.len()], counts }
    }

    /// One more of them, or several.
    pub(super) fn count(&mut self, meter: Meter, many: u32, now: Instant) -> Result<(), Cause> {
        self.leak(now);
        let (rate, cause) = METERS[meter as usize];
        let level = &mut self.levels[meter as usize];
        *level = level.saturating_add(many);
        if self.counts && *level > rate.burst { Err(cause) } else { Ok(()) }
    }

    /// Something made up for so many of them.
    pub(super) fn earn(&mut self, meter: Meter, many: u32) {
        let level = &mut self.levels[meter as usize];
        *level = level.saturating_sub(many);
    }

    fn leak(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.since).as_secs();
        if seconds == 0 {
            return;
        }
        self.since += Duration::from_secs(seconds);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        for (level, (rate, _)) in self.levels.iter_mut().zip(METERS) {
            *level = level.saturating_sub(rate.per_second.saturating_mul(seconds));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods)]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn each_meter_at_its_limit_and_one_past_it() {
        use Meter::*;
        for meter in
            [Resets, MadeResets, Refused, Pings, Settings, Priorities, WindowUpdates, EmptyData, TinyData, Unknown]
        {
            let (rate, cause) = METERS[meter as usize];
            let now = start();
            let mut meters = Meters::new(now, true);
            for _ in 0..rate.burst {
                assert_eq!(meters.count(meter, 1, now), Ok(()), "{meter:?}");
            }
            assert_eq!(meters.count(meter, 1, now), Err(cause));
            // A second later as many as the rate have been forgotten.
            let later = now + Duration::from_secs(1);
            assert_eq!(meters.count(meter, rate.per_second - 1, later), Ok(()));
            assert_eq!(meters.count(meter, 1, later + Duration::from_millis(999)), Err(cause));
            meters.earn(meter, 1);
            assert_eq!(meters.count(meter, 0, later), Ok(()));
            // After a long rest everything is.
            let much_later = later + Duration::from_secs(10_000_000_000);
            assert_eq!(meters.count(meter, rate.burst, much_later), Ok(()));
        }
    }

    #[test]
    fn one_does_not_count_for_another() {
        let now = start();
        let mut meters = Meters::new(now, true);
        meters.count(Meter::Pings, PINGS.burst, now).unwrap();
        assert_eq!(meters.count(Meter::Settings, SETTINGS.burst, now), Ok(()));
    }

    #[test]
    fn an_application_that_expects_no_flood_is_told_of_none() {
        let now = start();
        let mut meters = Meters::new(now, false);
        assert_eq!(meters.count(Meter::TinyData, u32::MAX, now), Ok(()));
        assert_eq!(meters.count(Meter::TinyData, 1, now), Ok(()));
    }
}
