//! The tools that the checks of HTTP servers share.

use crate::{
    checks::standing,
    client::Client,
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
    web::{Answer, Wanted},
    web_subject::Web,
};

/// A topic for what has none yet.
pub(crate) fn about(web: Web) -> impl Fn(Problem) -> Problem {
    move |problem| problem.or_about(Topic::Web(web))
}

/// Sends a request and waits for its answer.
pub(crate) fn asks(client: &mut Client, request: &[u8], wanted: &Wanted<'_>, web: Web) -> Result<Answer, Problem> {
    client.send(request).map_err(about(web))?;
    client.expect_reply(wanted).map_err(about(web))
}

/// Sends a bad request on a connection of its own, with another behind it; the first must be refused, and be the last that is
/// answered.
pub(crate) fn refused(
    stage: &mut Stage,
    request: &[u8],
    statuses: &[u16],
    name: &str,
    web: Web,
) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let text = format!("{}, and then the end: {name}", statuses.first().unwrap_or(&400));
    let hidden = b"GET /behind-the-bad-one HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(&[request, hidden].concat()).map_err(about(web))?;
    client.expect_reply(&Wanted::status(statuses, &text)).map_err(about(web))?;
    ends(&mut client)
}

/// The end after a refusal.
pub(crate) fn ends(client: &mut Client) -> Result<(), Problem> {
    client
        .expect_end("then the end: what comes behind a bad request cannot be trusted")
        .map_err(about(Web::AfterRefusal))
}

/// The content of a request that a server refuses, or does not want: more than a first read takes, and less than any server that reads the
/// rest before it closes gives up on.
pub(crate) const UNREAD: usize = 40_000;

/// A request with [`UNREAD`] bytes behind its head.
pub(crate) fn with_unread(head: &str) -> Vec<u8> {
    [format!("{head}Content-Length: {UNREAD}\r\n\r\n").as_bytes(), &[b'x'; UNREAD]].concat()
}

/// The end after an answer, although the client has sent [`UNREAD`] bytes that were not wanted.
pub(crate) fn ends_without_reset(stage: &Stage, client: &mut Client, web: Web) -> Result<(), Problem> {
    standing::ends_without_reset(stage, client, "then FIN, and no reset behind it: the rest was read before the close")
        .map_err(about(web))
}

/// Complains if the memory has grown by more than `room` KiB since `before`.
pub(crate) fn flat(stage: &Stage, before: Option<u64>, room: u64, wanted: &str, web: Web) -> Result<(), Problem> {
    match before.zip(stage.amount(Resource::Memory)).filter(|(from, to)| *to > from + room) {
        None => Ok(()),
        Some((from, to)) => {
            Err(Problem::new(wanted, Seen::Grew { what: Resource::Memory, from, to })).map_err(about(web))
        }
    }
}
