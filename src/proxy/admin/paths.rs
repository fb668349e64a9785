//! Which path of the admin listener gives which answer.

use super::{answer::Answer, desk::Desk, explained, live, upstreams::Place};
use crate::{
    app::{ConnId, Cx},
    backend::BackendId,
    health::Availability,
    http::{Method, RequestHead, Status},
    proxy::{groups::Group, metrics::wants_open_metrics},
    time::Instant,
};

/// The way in which a request is answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// This is the answer, and the connection may stay.
    Now(Answer),
    /// The answer takes a while, or has been given already. The connection ends with it, so that nothing is to be kept that came behind
    /// the request.
    Last,
    /// An order follows, about what this names.
    WithBody(Place),
}

impl Desk {
    /// Answers a request, or begins to.
    pub(super) fn reply(&mut self, conn: ConnId, head: &RequestHead, cx: &mut Cx) -> Reply {
        let now = cx.now();
        Reply::Now(match path_of(head) {
            "/" => shown(head, live::page),
            "/live.json" => shown(head, || live::numbers(&self.shared, now)),
            "/healthz" => shown(head, || self.healthz(now)),
            "/stats" => shown(head, || Answer::json(Status::OK, &self.shared.stats(now))),
            "/metrics" => shown(head, || {
                let (kind, body) = self.shared.metrics(wants_open_metrics(head), now);
                Answer::new(Status::OK, kind, body)
            }),
            "/purge" => {
                self.begin_purge(conn, head, cx);
                return Reply::Last;
            }
            "/reload" => {
                self.begin_reload(conn, head, cx);
                return Reply::Last;
            }
            path if path == "/explain" || path.starts_with("/explain/") => {
                shown(head, || explained::shown(&self.shared, path.strip_prefix("/explain/"), head))
            }
            path => {
                if let Some(place) = Place::of(path) {
                    return self.reply_about(place, head, now);
                }
                let there = paths(self.shared.cache.is_some(), self.reloads.is_some());
                Answer::text(Status::NOT_FOUND, format!("there are {there}\n"))
            }
        })
    }

    /// Ready if a request would find a backend; without any, and as a forward proxy, until it drains.
    fn healthz(&self, now: Instant) -> Answer {
        let draining = self.is_draining();
        let answer = |ready: bool, body: String| {
            Answer::text(if ready { Status::OK } else { Status::SERVICE_UNAVAILABLE }, body)
        };
        let members = || self.shared.groups.members();
        // A file may have fixed answers and redirects alone.
        if self.shared.forward.is_some() || members().next().is_none() {
            return answer(!draining, if draining { "draining\n" } else { "ready\n" }.to_owned());
        }
        let up =
            |(group, id): &(&Group, BackendId)| matches!(group.health.available(*id, now), Availability::Up { .. });
        let living = members().filter(up).count();
        let state = if draining { "draining" } else { "backends up" };
        answer(living > 0 && !draining, format!("{state}: {living} of {}\n", members().count()))
    }
}

/// The paths that can be asked for, as the start line and a 404 name them.
pub(in crate::proxy) fn paths(caches: bool, reloads: bool) -> String {
    let purge = caches.then_some("/purge");
    let of_file = reloads.then_some(["/reload", "/upstreams", "/explain"]).into_iter().flatten();
    let all: Vec<&str> = ["/", "/stats", "/metrics", "/healthz"].into_iter().chain(purge).chain(of_file).collect();
    let (last, others) = all.split_last().expect("four are always there");
    format!("{} and {last}", others.join(", "))
}

/// The path of a request, without its query.
fn path_of(head: &RequestHead) -> &str {
    head.target().split('?').next().unwrap_or_default()
}

/// The answer of something that can only be looked at.
fn shown(head: &RequestHead, answer: impl FnOnce() -> Answer) -> Answer {
    match head.method {
        Method::Get | Method::Head => answer(),
        _ => Answer::only("Allow: GET, HEAD\r\n", "GET or HEAD\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::paths;

    #[test]
    fn the_list_of_paths_is_a_part_of_a_sentence() {
        assert_eq!(paths(true, true), "/, /stats, /metrics, /healthz, /purge, /reload, /upstreams and /explain");
        assert_eq!(paths(false, true), "/, /stats, /metrics, /healthz, /reload, /upstreams and /explain");
        assert_eq!(paths(false, false), "/, /stats, /metrics and /healthz");
    }
}
