//! One row for each thing that the standards demand, with its section. Time is made up.

mod dates;
mod directives;
mod freshness;
mod invalidate;
mod policy;
mod reuse;
mod targeted;

use crate::{
    http::{Fields, Method, RequestHead, ResponseHead, Status},
    time::{Instant, Now},
};
use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

/// The standards' own example of a time, `Sun, 06 Nov 1994 08:49:37 GMT`. The same at every call.
fn now() -> Now {
    static INSTANT: OnceLock<Instant> = OnceLock::new();
    // Any instant will do: nothing here reads the clock again.
    #[allow(clippy::disallowed_methods)]
    let instant = *INSTANT.get_or_init(Instant::now);
    Now { instant, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) }
}

/// The fields of `lines`, one a line of text: `Name: value`.
fn fields(lines: &str) -> Fields {
    lines.lines().map(|line| line.split_once(':').expect("a field line")).collect()
}

fn response(status: u16, lines: &str) -> ResponseHead {
    let mut head = ResponseHead::new(Status::new(status).unwrap());
    head.fields = fields(lines);
    head
}

fn request(method: &str, lines: &str) -> RequestHead {
    let mut head = RequestHead::new(method.parse::<Method>().unwrap(), "/").unwrap();
    head.fields = fields(lines);
    head
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
