//! `POST /reload` of the admin listener: the next configuration, and what is different in it, or why it cannot be had.
//!
//! Another thread reads it (`keeper.rs`), and the visitor waits for that thread's answer. The event loop does not.

use super::{answer::Answer, desk::Desk, guard::from_another_page, upstreams};
use crate::{
    app::{ConnId, Cx},
    http::{Method, RequestHead, Status},
    net::Remote,
    proxy::{
        orders::{Change, Refused},
        wishes::Wishes,
    },
};
use serde_json::json;
use std::sync::{
    Arc, OnceLock,
    mpsc::{Receiver, Sender, channel},
};

/// The outcome of what a visitor asked for.
type Outcome = (ConnId, Done);

#[derive(Debug)]
enum Done {
    Reload(Result<Vec<String>, String>),
    /// An order about a server of that upstream.
    Order(String, Result<(), Refused>),
}

/// The way to the keeper and back.
#[derive(Debug)]
pub(in crate::proxy) struct Reloads {
    wishes: Wishes,
    done: (Sender<Outcome>, Receiver<Outcome>),
    /// Wakes the event loop of the admin listener.
    waker: Arc<OnceLock<Remote>>,
}

impl Reloads {
    /// The second of the pair takes the event loop's waker, as soon as there is one.
    pub(in crate::proxy) fn new(wishes: Wishes) -> (Self, Arc<OnceLock<Remote>>) {
        let waker = Arc::<OnceLock<Remote>>::default();
        (Self { wishes, done: channel(), waker: waker.clone() }, waker)
    }

    /// Asks for one.
    fn begin(&self, conn: ConnId) {
        let tell = self.teller(conn);
        self.wishes.reload(Some(Box::new(move |outcome| tell(Done::Reload(outcome)))));
    }

    /// Passes an order on, about a server of that upstream.
    pub(super) fn order(&self, conn: ConnId, change: Change) {
        let (tell, upstream) = (self.teller(conn), change.upstream.clone());
        self.wishes.order(change, Box::new(move |outcome| tell(Done::Order(upstream, outcome))));
    }

    /// The way back to a visitor.
    fn teller(&self, conn: ConnId) -> impl FnOnce(Done) + Send + 'static {
        let (sender, waker) = (self.done.0.clone(), self.waker.clone());
        move |done| {
            // An error means that the admin listener has ended.
            let _ = sender.send((conn, done));
            waker.get().into_iter().for_each(Remote::wake);
        }
    }
}

impl Desk {
    /// A visitor asks for `/reload`. It is answered when that is over, or at once with why not.
    pub(super) fn begin_reload(&mut self, conn: ConnId, head: &RequestHead, cx: &mut Cx) {
        let brief = head.method == Method::Head;
        let refused = match (&self.reloads, &head.method) {
            (None, _) => Some(Answer::text(Status::NOT_FOUND, "there is no file that could be read again\n")),
            (_, Method::Post) if from_another_page(head) => {
                Some(Answer::text(Status::FORBIDDEN, "not from a page of another origin\n"))
            }
            (Some(reloads), Method::Post) => {
                reloads.begin(conn);
                None
            }
            _ => Some(Answer::only("Allow: POST\r\n", "POST\n")),
        };
        match refused {
            Some(answer) => self.conclude(conn, &answer, brief, cx),
            None => self.wait_for_keeper(conn, cx),
        }
    }

    /// Answers those whose reloads are over, or whose orders.
    pub(super) fn conclude_reloads(&mut self, cx: &mut Cx) {
        let done: Vec<Outcome> = self.reloads.iter().flat_map(|reloads| reloads.done.1.try_iter()).collect();
        for (conn, outcome) in done {
            if self.visitors.contains_key(&conn) {
                let answer = match outcome {
                    Done::Reload(outcome) => answer(outcome),
                    Done::Order(upstream, outcome) => upstreams::answer(&self.shared, outcome, &upstream, cx.now()),
                };
                self.conclude(conn, &answer, false, cx);
            }
        }
    }
}

fn answer(outcome: Result<Vec<String>, String>) -> Answer {
    let (status, body) = match outcome {
        Ok(changes) => (Status::OK, json!({"reloaded": true, "changes": changes})),
        Err(why) => (Status::UNPROCESSABLE_CONTENT, json!({"reloaded": false, "why": why})),
    };
    Answer::json(status, &body)
}
