//! `/upstreams` of the admin listener: the servers of each upstream, how they are, and what an operator has ordered for them.
//!
//! ```text
//!   GET  /upstreams                              all of them
//!   GET  /upstreams/NAME                         one
//!   POST /upstreams/NAME/servers/ADDR            {"state": "drain"}, {"weight": 3}, {"weight": null, "by": "alice"}
//! ```
//!
//! An order is followed by the thread that changes configurations (`keeper.rs`): it is one more change, and all workers have adopted it
//! when the visitor is answered.

use super::{answer::Answer, desk::Desk, guard::from_another_page, paths::Reply, purge::decoded};
use crate::{
    app::{ConnId, Cx},
    backend::BackendId,
    health::{BackendHealth, Order},
    http::{Method, RequestHead, Status},
    proxy::{
        groups::Group,
        orders::{By, Change, Ordered, Refused},
        shared::Shared,
    },
    time::Instant,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Bytes of an order, at most. One that says everything has less than a hundred.
pub(super) const ORDER_MAX: usize = 4096;

/// Characters of the name of an orderer.
const NAME_MAX: usize = 64;

const USAGE: &str = "write {\"state\": \"drain\"}, {\"state\": \"up\", \"weight\": 3} or {\"weight\": null, \"by\": \"alice\"}: \
                     state is \"up\", \"drain\" or \"down\", weight a number from 1 to 1000, or null for that of the file";

/// The part of a path behind `/upstreams`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    All,
    Upstream(String),
    Server(String, String),
}

impl Place {
    /// `None`: the path is another one.
    pub(super) fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/upstreams")?;
        let mut parts = rest.strip_prefix('/').unwrap_or(rest).split('/');
        let (first, more) = (parts.next().unwrap_or_default(), parts.collect::<Vec<_>>());
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let decoded = |text: &str| decoded(text).ok().filter(|text| !text.is_empty());
        match (first, &more[..]) {
            ("", []) => Some(Self::All),
            (name, [] | ["servers"]) => Some(Self::Upstream(decoded(name)?)),
            (name, ["servers", server @ ..]) => Some(Self::Server(decoded(name)?, decoded(&server.join("/"))?)),
            _ => None,
        }
    }
}

/// An order as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    state: Option<Order>,
    /// `null` is something else than nothing.
    #[serde(default, deserialize_with = "given")]
    weight: Option<Option<u32>>,
    by: Option<String>,
}

fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Reads an order.
///
/// # Errors
///
/// The mistake, and what to write instead.
fn read(body: &[u8]) -> Result<Sent, String> {
    let sent: Sent = serde_json::from_slice(body).map_err(|error| format!("{error}; {USAGE}"))?;
    if sent.state.is_none() && sent.weight.is_none() {
        return Err(format!("nothing is ordered; {USAGE}"));
    }
    if let Some(Some(weight)) = sent.weight.filter(|weight| weight.is_some_and(|weight| !(1..=1000).contains(&weight)))
    {
        return Err(format!("the weight {weight} is not from 1 to 1000; {USAGE}"));
    }
    let is_odd =
        |name: &&String| name.chars().count() > NAME_MAX || name.chars().any(char::is_control) || name.is_empty();
    if sent.by.as_ref().filter(is_odd).is_some() {
        return Err(format!("by: at most {NAME_MAX} letters, and no control characters"));
    }
    Ok(sent)
}

impl Desk {
    /// Answers what is about upstreams, or asks for the order that follows the head.
    pub(super) fn reply_about(&self, place: Place, head: &RequestHead, now: Instant) -> Reply {
        Reply::Now(match (&head.method, &place) {
            (Method::Get | Method::Head, _) => self.shared.show(&place, now),
            (Method::Post, Place::Server(..)) if from_another_page(head) => {
                Answer::text(Status::FORBIDDEN, "not from a page of another origin\n")
            }
            (Method::Post, Place::Server(..)) if self.reloads.is_none() => {
                Answer::text(Status::NOT_FOUND, "this proxy runs without a file, and takes no orders\n")
            }
            (Method::Post, Place::Server(..)) => return Reply::WithBody(place),
            (_, Place::Server(..)) => Answer::only("Allow: GET, HEAD, POST\r\n", "GET, HEAD or POST\n"),
            (_, Place::All | Place::Upstream(_)) => {
                Answer::only("Allow: GET, HEAD\r\n", "GET or HEAD; POST to /upstreams/NAME/servers/ADDR\n")
            }
        })
    }

    /// An order is complete. It is answered when it counts, or at once with why not.
    pub(super) fn begin_order(&mut self, conn: ConnId, place: Place, body: &[u8], cx: &mut Cx) {
        let sent = match read(body) {
            Ok(sent) => sent,
            Err(why) => return self.conclude(conn, &refused(Status::BAD_REQUEST, &why), false, cx),
        };
        let Some(visitor) = self.visitors.get(&conn) else { return };
        let (Place::Server(upstream, server), Some(reloads)) = (place, &self.reloads) else { return };
        let by = By { name: sent.by, from: visitor.from.to_canonical(), at: cx.clock().wall };
        reloads.order(conn, Change { upstream, server, state: sent.state, weight: sent.weight, by });
        self.wait_for_keeper(conn, cx);
    }
}

/// The answer to an order.
pub(super) fn answer(shared: &Shared, outcome: Result<(), Refused>, upstream: &str, now: Instant) -> Answer {
    match outcome {
        Ok(()) => shared.show(&Place::Upstream(upstream.to_owned()), now),
        Err(Refused::Unknown(why)) => refused(Status::NOT_FOUND, &why),
        Err(Refused::Wrong(why)) => refused(Status::UNPROCESSABLE_CONTENT, &why),
    }
}

fn refused(status: Status, why: &str) -> Answer {
    Answer::json(status, &json!({"changed": false, "why": why}))
}

impl Shared {
    /// The upstreams, one of them, or one of its servers.
    fn show(&self, place: &Place, now: Instant) -> Answer {
        let named = || self.groups.iter().filter_map(|group| Some((group.name.as_deref()?, group)));
        let wanted = match place {
            Place::All => {
                let all: Vec<Value> = named().map(|(name, group)| self.upstream(name, group, now)).collect();
                return Answer::json(Status::OK, &json!({ "upstreams": all }));
            }
            Place::Upstream(name) | Place::Server(name, _) => name,
        };
        let Some((name, group)) = named().find(|(name, _)| name == wanted) else {
            let names: Vec<&str> = named().map(|(name, _)| name).collect();
            let why = format!("there is no upstream {wanted:?}; there are: {}\n", names.join(", "));
            return Answer::text(Status::NOT_FOUND, why);
        };
        let mut upstream = self.upstream(name, group, now);
        let Place::Server(_, wanted) = place else { return Answer::json(Status::OK, &upstream) };
        let servers = upstream["servers"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let is = |row: &Value| {
            let name = row["name"].as_str().unwrap_or_default();
            let at = row["addresses"].as_array().into_iter().flatten().any(|at| at == wanted);
            name == wanted || at || name.split_once('@').is_some_and(|(name, _)| name == wanted)
        };
        let found: Vec<Value> = servers.into_iter().filter(is).collect();
        match found.is_empty() {
            false => Answer::json(Status::OK, &json!({ "upstream": name, "servers": found })),
            true => Answer::text(Status::NOT_FOUND, format!("upstream {name:?} has no server {wanted:?}\n")),
        }
    }

    fn upstream(&self, name: &str, group: &Group, now: Instant) -> Value {
        let health = group.health.snapshot(now);
        let servers = group.health.members().iter().zip(health).map(|(id, health)| self.server(name, *id, &health));
        json!({
            "name": name,
            "algorithm": group.algorithm.to_string(),
            "servers": servers.collect::<Vec<_>>(),
        })
    }

    fn server(&self, upstream: &str, id: BackendId, health: &BackendHealth) -> Value {
        let backend = &self.backends[id.index()];
        let ordered = self.orders.of(upstream, &backend.name);
        json!({
            "name": backend.name,
            "addresses": backend.addresses.list().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "state": ordered.map(|ordered| ordered.state).unwrap_or_default(),
            "health": health.state,
            "reason": health.reason,
            "weight": backend.weight,
            "weight_percent": health.weight_percent,
            "in_flight": self.load.of(id),
            "changed": ordered.map(changed),
        })
    }
}

fn changed(ordered: &Ordered) -> Value {
    let Ordered { state, weight, by, .. } = ordered;
    json!({
        "state": state,
        "weight": weight,
        "by": by.name,
        "from": by.from.to_string(),
        "at": written(by.at),
    })
}

fn written(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_an_upstream_and_a_server() {
        let upstream = |name: &str| Some(Place::Upstream(name.to_owned()));
        let server = |upstream: &str, name: &str| Some(Place::Server(upstream.to_owned(), name.to_owned()));
        for (path, place) in [
            ("/upstreams", Some(Place::All)),
            ("/upstreams/", Some(Place::All)),
            ("/upstreams/web", upstream("web")),
            ("/upstreams/web/servers", upstream("web")),
            ("/upstreams/a%20b", upstream("a b")),
            ("/upstreams/web/servers/10.0.0.1:80", server("web", "10.0.0.1:80")),
            ("/upstreams/web/servers/api:80@10.0.0.1", server("web", "api:80@10.0.0.1")),
            ("/upstreams/web/servers/[::1]:80", server("web", "[::1]:80")),
            ("/upstreams/web/servers/https://api:443", server("web", "https://api:443")),
            ("/upstreams/web/servers/https%3A%2F%2Fapi:443", server("web", "https://api:443")),
            ("/upstreams/web/server/a", None),
            ("/upstreams/web/servers/", None),
            ("/upstreams/%zz", None),
            ("/upstreamsx", None),
            ("/stats", None),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }

    #[test]
    fn an_order_that_is_wrong_is_told_what_to_write() {
        for (body, problem) in [
            ("", "EOF"),
            ("[]", "expected struct"),
            ("{}", "nothing is ordered"),
            (r#"{"by": "alice"}"#, "nothing is ordered"),
            (r#"{"state": "stop"}"#, "unknown variant `stop`, expected one of `up`, `drain`, `down`"),
            (r#"{"sate": "up"}"#, "unknown field `sate`, expected one of `state`, `weight`, `by`"),
            (r#"{"weight": 0}"#, "the weight 0 is not from 1 to 1000"),
            (r#"{"weight": 1001}"#, "the weight 1001 is not from 1 to 1000"),
            (r#"{"weight": "3"}"#, "invalid type"),
            (r#"{"weight": -1}"#, "invalid value"),
        ] {
            let why = read(body.as_bytes()).unwrap_err();
            assert!(why.contains(problem) && why.contains(USAGE), "{body}: {why}");
        }
        for name in ["", "a\nb", &"x".repeat(NAME_MAX + 1)] {
            let body = json!({"state": "up", "by": name}).to_string();
            assert!(read(body.as_bytes()).unwrap_err().starts_with("by: "), "{name:?}");
        }
    }

    #[test]
    fn null_is_the_weight_of_the_file_and_nothing_is_no_word_about_it() {
        for (body, weight) in
            [(r#"{"weight": null}"#, Some(None)), (r#"{"weight": 3}"#, Some(Some(3))), (r#"{"state": "down"}"#, None)]
        {
            assert_eq!(read(body.as_bytes()).unwrap().weight, weight, "{body}");
        }
    }
}
