//! Whether a request is that of a user, where its route asks: what follows waits until that is known.

use super::{Failure, State, Step};
use crate::{
    http::{basic_user, hop},
    proxy::{
        access::{Barred, PATIENCE, Verdict},
        routing::Target,
    },
    time::Instant,
};

impl Step<'_> {
    /// Lets the request in if it is that of a user. `until`: it has waited for that already.
    pub(super) fn admit(&mut self, until: Option<Instant>) -> State {
        let shared = self.worker.shared.clone();
        let login = shared.policy(self.core.way).and_then(|policy| policy.login.as_ref());
        let (Some(login), Some(gate)) = (login, &shared.gate) else {
            return self.give_up(None, Failure::Barred(Barred::Busy));
        };
        let (client, now) = (self.core.record.client, self.cx.now());
        match gate.judge(login, &self.core.request.head.fields, client, self.ticket(), now) {
            Verdict::Right => {
                self.core.record.user = basic_user(&self.core.request.head.fields, "authorization");
                self.admitted()
            }
            Verdict::Wrong => self.give_up(None, Failure::Barred(Barred::Unauthenticated)),
            Verdict::Busy => self.give_up(None, Failure::Barred(Barred::Busy)),
            Verdict::Asked => {
                let until = until.unwrap_or(now + PATIENCE);
                self.wait_until(Some(until));
                self.ask_if_closed();
                State::Verify(until)
            }
        }
    }

    /// The request of a user goes on as any other does.
    fn admitted(&mut self) -> State {
        self.wait_until(None);
        if hop::max_forwards(&self.core.request.head) == Some(0) {
            return self.give_up(None, Failure::NoForwardsLeft);
        }
        let shared = self.worker.shared.clone();
        match shared.router.as_ref().and_then(|router| router.target(self.core.way)) {
            Some(Target::Redirect { status, .. } | Target::Respond { status, .. }) => {
                self.give_up(None, Failure::OfRoute(*status))
            }
            Some(Target::Group(_)) | None => {
                shared.edit_request(self.core.way, &mut self.core.request.head);
                self.go_in()
            }
        }
    }

    /// Whether the backend does not get to see the client's credentials: they are for this proxy. The cache does, and takes the response for
    /// that of one user (RFC 9111 §3.5).
    pub(super) fn keeps_credentials(&self) -> bool {
        let of_client = |policy: &crate::proxy::Policy| {
            let passes_on = policy.login.as_ref().is_none_or(|login| login.passes_on);
            !passes_on && !policy.request.sets("authorization")
        };
        self.core.way.guarded && self.worker.shared.policy(self.core.way).is_some_and(of_client)
    }
}
