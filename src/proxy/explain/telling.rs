//! How a fact becomes a sentence.

use super::{CacheFact, Candidate, Fact, Known, Pooled, Second, Standing};
use crate::{
    backend::BackendId,
    cache::{Did, Forward, NotStored, Validate},
    http::BodyLength,
    proxy::failure::Failure,
    units::Counted,
};
use std::time::Duration;

impl Known {
    /// The name of a backend.
    pub(super) fn backend(&self, id: BackendId) -> &str {
        self.backends.iter().find(|(known, _)| *known == id).map_or("-", |(_, name)| name)
    }

    /// A fact in words, one sentence a line.
    pub(super) fn tell(&self, fact: &Fact) -> Vec<String> {
        vec![match fact {
            Fact::Parsed { bytes, fields, body } => {
                let fields = Counted::new(*fields, "field");
                format!("the head is right: {bytes} bytes, {fields}, {} (RFC 9112 §3, §5, §6.3)", length(*body))
            }
            Fact::Refused { failure, after } => {
                format!("refused by the rule \"{}\", after {after} bytes of content", failure.as_str())
            }
            Fact::Client { peer, client, trusted } if *trusted => {
                format!("from {peer}, which is trusted about its clients: the client is {client}")
            }
            Fact::Client { peer, client, .. } => {
                format!("from {peer}, which is not trusted about its clients: the client is {client}")
            }
            Fact::Routed { matched, failure } => self.routed(*matched, failure.map(Failure::as_str)),
            Fact::Cache(fact) => cache(fact),
            Fact::Candidates(list) => return self.candidates(list),
            Fact::Pool(pooled) => self.pooled(*pooled),
            Fact::Dialed { backend, address } => format!("connecting to {} at {address}", self.backend(*backend)),
            Fact::Peeked { quiet: true } => "the idle connection is quiet: it is used".to_owned(),
            Fact::Peeked { quiet: false } => {
                "something lies unread on the idle connection: a new one is used".to_owned()
            }
            Fact::Retry { failure, refused: None } => format!("sent again after: {}", failure.as_str()),
            Fact::Retry { failure, refused: Some(why) } => {
                format!("not sent again after: {}; because: {why}", failure.as_str())
            }
            Fact::Armed { timer, within } => format!("armed: {} within {}", timer.as_str(), readable(*within)),
            Fact::Fired { timer } => format!("fired: {}", timer.as_str()),
            Fact::Sent { head } => format!("the head of the request was sent: {} bytes", head.len()),
            Fact::Answered { head, body, .. } => {
                format!("the server answered {}, {}", head.status.code(), length(*body))
            }
            Fact::Own { failure, status } => {
                format!("the proxy answered {status} itself, because: {}", failure.as_str())
            }
            Fact::Moved { event, from, to } => format!("{event}: {from} → {to}"),
            Fact::Phase(phase) => format!("phase {}", phase.as_str()),
        }]
    }

    fn routed(&self, matched: Option<&str>, failure: Option<&str>) -> String {
        let mut said = match (&self.site, matched) {
            (Some(site), Some(matched)) => format!("site {site}, {matched}"),
            (Some(site), None) => format!("site {site}"),
            (None, _) => "no site: all requests go to the same servers".to_owned(),
        };
        if let Some(route) = &self.route {
            let why = if route.starts_with('=') { "the path itself" } else { "the longest that begins the path" };
            said += &format!("; route {route}, {why}");
        }
        if let Some(upstream) = &self.upstream {
            said += &format!("; upstream {upstream}");
        }
        match failure {
            Some(failure) => format!("{said}; it goes no further: {failure}"),
            None => said,
        }
    }

    fn candidates(&self, list: &[Candidate]) -> Vec<String> {
        if list.is_empty() {
            return vec!["there is no server to choose from".to_owned()];
        }
        let tell = |candidate: &Candidate| {
            let Candidate { backend, weight, in_flight, standing } = candidate;
            let why = match standing {
                Standing::Chosen => format!("chosen by {}", self.algorithm),
                Standing::NotPicked => "could have been chosen".to_owned(),
                Standing::Down(reason) => format!("not usable: {reason}"),
                Standing::Tried => "has failed this request already".to_owned(),
                Standing::NotAdmitted => "its breaker lets no trial through".to_owned(),
                Standing::Full => "all of its connections are busy".to_owned(),
            };
            format!("{}: {why} (weight {weight}, {in_flight} in flight)", self.backend(*backend))
        };
        list.iter().map(tell).collect()
    }

    fn pooled(&self, pooled: Pooled) -> String {
        match pooled {
            Pooled::Reused(backend) => format!("an idle connection to {}", self.backend(backend)),
            Pooled::Opened(backend) => format!("a new connection to {}: none is idle", self.backend(backend)),
            Pooled::Waits => "every server is at its limit of connections: it waits in the queue".to_owned(),
            Pooled::QueueFull => "every server is at its limit of connections, and the queue is full".to_owned(),
            Pooled::Nobody => "no server may be asked".to_owned(),
        }
    }
}

/// `a body of 5 bytes`.
fn length(body: BodyLength) -> String {
    match body {
        BodyLength::Empty => "no body".to_owned(),
        BodyLength::Exact(bytes) => format!("a body of {bytes} bytes"),
        BodyLength::Chunked => "a body in chunks".to_owned(),
        BodyLength::UntilClose => "a body that ends with the connection".to_owned(),
    }
}

/// In the unit in which people would say it: most of what happens to a request takes microseconds.
pub(super) fn readable(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        _ => format!("{:.3} s", time.as_secs_f64()),
    }
}

fn cache(fact: &CacheFact) -> String {
    let (said, section) = match fact {
        CacheFact::None => return "nothing is cached here".to_owned(),
        CacheFact::Validate(why) => validate(*why),
        CacheFact::Forward(why) => forward(*why),
        CacheFact::OnlyIfCached => {
            ("the client takes what is stored or nothing, and nothing that may be used is", "§5.2.1.7")
        }
        CacheFact::Used(did) => used(*did),
        CacheFact::Second(result) => return format!("the second level {}", second(*result)),
        CacheFact::Stored(Ok(())) => ("the response is being stored", "§3"),
        CacheFact::Stored(Err(None)) => ("the response is not stored: it does not fit, or belongs to others", "§3"),
        CacheFact::Stored(Err(Some(why))) => {
            let (said, section) = not_stored(*why);
            return format!("the response is not stored: {said} (RFC 9111 {section})");
        }
    };
    format!("{said} (RFC 9111 {section})")
}

fn validate(why: Validate) -> (&'static str, &'static str) {
    match why {
        Validate::RequestNoCache => ("the request says no-cache: what is stored has to be validated", "§5.2.1.4"),
        Validate::ResponseNoCache => ("the stored response says no-cache: it has to be validated", "§5.2.2.4"),
        Validate::RequestMaxAge => ("the stored response is older than the request's max-age", "§5.2.1.1"),
        Validate::RequestMinFresh => ("the stored response is not fresh for as long as min-fresh wants", "§5.2.1.3"),
        Validate::Unsaid => ("nothing says that this client may get the stored response", "§3.5"),
        Validate::Expired => ("the stored response is stale: it has to be validated", "§4.2.4"),
    }
}

fn forward(why: Forward) -> (&'static str, &'static str) {
    match why {
        Forward::Bypass => ("a server is asked: such requests are not for the cache", "§3"),
        Forward::Method => ("a server is asked: the method is not cached", "§3"),
        Forward::UriMiss => ("a server is asked: nothing is stored for the URI", "§4"),
        Forward::VaryMiss => ("a server is asked: what is stored is for other requests", "§4.1"),
        Forward::Request => ("a server is asked: the request wants it so", "§5.2.1"),
        Forward::Stale => ("a server is asked: what is stored is stale or has to be validated", "§4.3"),
        Forward::Partial => ("a server is asked: only a part is stored", "§3.3"),
    }
}

fn used(did: Did) -> (&'static str, &'static str) {
    match did {
        Did::Hit => ("a stored response is fresh, and the answer", "§4.2"),
        Did::HitStale => ("a stored response is stale, and the answer all the same", "§4.2.4"),
        Did::SecondLevel => ("a response that another proxy has stored is fresh, and the answer", "§4.2"),
        Did::Collapsed => ("the answer is what another client's request brought", "§4"),
        Did::Validated => ("the server said that a stored response is still good: it is the answer", "§4.3.3"),
        Did::IfError => ("a stored response is the answer, as no server gave one", "§4.2.4"),
        Did::Forwarded(why) => forward(why),
    }
}

fn second(result: Second) -> &'static str {
    match result {
        Second::Found => "has a response: it is in the first level now, and judged there",
        Second::NoNews => "has a response that is no better than what is stored here",
        Second::Nothing => "has no response",
        Second::Unreadable => "has something there that is no response of ours, or not all of it",
        Second::Late => "did not answer in time",
        Second::Unavailable => "cannot be asked now: there is no connection to the store",
    }
}

fn not_stored(why: NotStored) -> (&'static str, &'static str) {
    match why {
        NotStored::Method => ("the method is not one that is cached", "§3"),
        NotStored::RequestContent => ("the request had content", "§3"),
        NotStored::RequestNoStore => ("the request says no-store", "§5.2.1.5"),
        NotStored::Interim => ("it is not final", "§3"),
        NotStored::NotModified => ("a 304 is about another response", "§4.3.4"),
        NotStored::OneRequest => ("its status is about one request", "§3"),
        NotStored::NotUnderstood => ("it says must-understand, and its status is not known", "§5.2.2.3"),
        NotStored::NoStore => ("it says no-store", "§5.2.2.5"),
        NotStored::Private => ("it says private", "§5.2.2.7"),
        NotStored::Authorization => ("the request had Authorization, and it does not say that it is for all", "§3.5"),
        NotStored::NothingAllows => ("nothing says how long it is fresh, and it has no validator", "§3"),
        NotStored::SetCookie => ("it has Set-Cookie, and does not say that others may get it", "§7.3"),
        NotStored::ForOne => ("the request says who asks, and it has nothing to be validated by", "§3.5"),
        NotStored::VaryEverything => ("it says Vary: *", "§4.1"),
    }
}
