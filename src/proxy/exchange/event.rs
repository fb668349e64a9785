//! The events that an exchange hears: from its client, its backend, the pool, the cache and the clock.

use crate::{
    app::{ConnId, Insecure},
    http::{self, BodyLength, Fields, ResponseHead},
    pool::Granted,
    proxy::{failure::Failure, upstream::Unconnected},
};
use std::io;

/// An event that an exchange hears.
#[derive(Debug)]
pub(in crate::proxy) enum Event<'a> {
    /// The head is here: look into the cache, choose a backend.
    Route,
    /// A request of our own: choose a backend.
    Fetch,
    /// Something that it waits for has changed, in the cache or among the names that are asked for: look again.
    News,
    /// The client has taken nearly all that waited for it.
    Drained,
    /// A place in the queue of the pool has come up: look again.
    Room(Granted<u32>),
    /// The connection asked for is established.
    Connected,
    /// The backend does not answer at one of its addresses: this connection, to the next one, is being opened instead.
    Redialed(ConnId),
    /// The pooled connection is quiet, or it is not.
    Peeked(bool),
    /// A part of the request body; in a tunnel, any bytes from the client.
    RequestData(&'a [u8]),
    /// The request is complete.
    RequestEnd(Fields),
    /// A 1xx response.
    Interim(ResponseHead),
    /// The final response head.
    Head(ResponseHead, BodyLength),
    /// 101: the backend speaks another protocol from here on.
    Switched(ResponseHead),
    /// A part of the response body; in a tunnel, any bytes from the backend.
    ResponseData(&'a [u8]),
    /// A part of the response body went to the client unseen: its bytes.
    ResponseSpliced(u64),
    /// The response is complete.
    ResponseEnd(Fields),
    /// The backend broke a rule of HTTP.
    UpstreamBad(http::Error),
    /// The backend sends nothing more, in the middle of something.
    UpstreamEnded,
    /// The connection to the backend is gone.
    UpstreamFailed(io::ErrorKind),
    /// It was to be protected and is not, or not any more.
    UpstreamInsecure(Insecure),
    /// The backend is late: see `proxy/late.rs`.
    UpstreamLate,
    /// The backend does not read.
    UpstreamStalled,
    /// The client has ended its side; some of what it sent may not be read yet.
    ClientClosed,
    /// The client sends nothing more, and all it sent is read.
    ClientEnded,
    /// The client's connection is gone, or must go.
    ClientLost(Failure),
    /// The client breaks a rule, or is too slow, in the middle of its request.
    RequestBad(Failure),
    /// The time of the whole exchange is over.
    Expired,
    /// That of a wait is: in the pool's queue, for another exchange, before another try, for those that read with its client.
    WaitOver,
}

impl Event<'_> {
    /// There is no connection to the backend.
    pub(in crate::proxy) fn of(why: Unconnected) -> Self {
        match why {
            Unconnected::Failed(error) => Self::UpstreamFailed(error),
            Unconnected::Insecure(why) => Self::UpstreamInsecure(why),
        }
    }
}
