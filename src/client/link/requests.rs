//! The requests of a link: admitted, sent, tried again, given up.

use super::{Action, Event, Link, State};
use crate::{
    client::{Answer, Attempts, Cause, Error, PeerError, Request, Verdict, Written, config::MAX_IN_FLIGHT},
    resilience::{Admit, BreakerState},
    time::Instant,
};

/// Bytes that are handed to the connection ahead of the kernel. Requests behind them can still be taken back when their
/// time is over.
const AHEAD: usize = 16 * 1024;

/// A request and its tries.
#[derive(Debug)]
pub(super) struct Job<T> {
    pub(super) token: T,
    request: Request,
    pub(super) attempts: Attempts,
    /// How often it left.
    pub(super) sent: u32,
    /// The breaker's answer to this try; `None`: not asked yet.
    admitted: Option<Admit>,
}

/// The question that an id stands for.
#[derive(Debug)]
pub(super) enum Entry<T> {
    Heartbeat,
    Job {
        job: Job<T>,
        /// When this try is over.
        expires: Instant,
    },
}

impl<T> Link<T> {
    /// A request: it waits for its turn, or is refused at once. `token` comes back with the answer, or with the error.
    pub fn submit(&mut self, token: T, request: Request, now: Instant) {
        self.stats.requests += 1;
        let attempts = Attempts::new(self.config.policy, request.is_idempotent(), now);
        let mut job = Job { token, request, attempts, sent: 0, admitted: None };
        let refusal = match self.state {
            State::Closed => Some(Cause::Closed),
            _ if self.queue.len() >= self.config.queue => Some(Cause::QueueFull),
            _ => self.admit(&mut job, now).err(),
        };
        if let Some(cause) = refusal {
            return self.fail(job, Error::NotSent(cause));
        }
        self.retries.request(now);
        self.look_at(job.attempts.ends());
        self.queue.push_back(job);
        if matches!(self.state, State::GaveUp) {
            self.connect(now);
        }
        self.pump(now);
    }

    /// Asks the breaker, once a try.
    fn admit(&mut self, job: &mut Job<T>, now: Instant) -> Result<(), Cause> {
        let Some(breaker) = &mut self.breaker else { return Ok(()) };
        if job.admitted.is_some() {
            return Ok(());
        }
        let before = breaker.state(now);
        match breaker.admit(now) {
            Admit::No { retry_at } => Err(Cause::BreakerOpen { retry_in: retry_at.saturating_duration_since(now) }),
            admit @ (Admit::Yes | Admit::Trial) => {
                job.admitted = Some(admit);
                if admit == Admit::Trial && before == BreakerState::HalfOpen && !self.half_open {
                    self.half_open = true;
                    self.actions.push_back(Action::Event(Event::Breaker(BreakerState::HalfOpen)));
                }
                Ok(())
            }
        }
    }

    /// Sends what may be sent.
    pub(super) fn pump(&mut self, now: Instant) {
        while matches!(self.state, State::Up { .. })
            && self.outgoing.len() < AHEAD
            && self.correlation.len() < self.config.in_flight.clamp(1, MAX_IN_FLIGHT)
            && let Some(mut job) = self.queue.pop_front()
        {
            if self.correlation.is_full() {
                self.queue.push_front(job);
                return self.disconnect(Cause::Protocol(PeerError::LeftBehind), now);
            }
            if let Err(cause) = self.admit(&mut job, now) {
                let error = job.attempts.error(cause);
                self.fail(job, error);
                continue;
            }
            let Some(within) = job.attempts.begin(now) else {
                let error = job.attempts.error(Cause::TimedOut);
                self.fail(job, error);
                continue;
            };
            job.sent += 1;
            self.stats.repeated += u64::from(job.sent > 1);
            let expires = now + within;
            self.look_at(expires);
            let id = self.correlation.next_id();
            let line = format!("#{id} {}\n", job.request.text()).into_bytes();
            self.correlation.send(Entry::Job { job, expires });
            self.outgoing.push(id, line);
        }
    }

    /// A try ended without an answer. The job, if it is to be tried again.
    pub(super) fn job_failed(
        &mut self,
        mut job: Job<T>,
        written: Written,
        cause: &Cause,
        now: Instant,
    ) -> Option<Job<T>> {
        if written == Written::Nothing {
            // This try was none; the breaker still holds its place.
            self.stats.repeated -= u64::from(job.sent > 1);
            job.sent -= 1;
        }
        match job.attempts.failed(written, cause.clone(), now) {
            Verdict::Again if written == Written::Nothing => Some(job),
            Verdict::Again if self.retries.may_retry(now) => {
                job.admitted = None;
                self.look_at(job.attempts.ends());
                Some(job)
            }
            Verdict::Again => {
                let error = job.attempts.error(cause.clone());
                self.fail(job, error);
                None
            }
            Verdict::GiveUp(error) => {
                self.fail(job, error);
                None
            }
        }
    }

    /// Ends the tries and the requests whose time is over.
    pub(super) fn expire_requests(&mut self, now: Instant) {
        self.earliest = None;
        let mut over = Vec::new();
        let mut next: Option<Instant> = None;
        for (id, entry) in self.correlation.waiting() {
            match entry {
                Entry::Job { expires, .. } if *expires <= now => over.push(id),
                Entry::Job { expires, .. } => next = Some(next.map_or(*expires, |at| at.min(*expires))),
                Entry::Heartbeat => {}
            }
        }
        let mut again = Vec::new();
        for id in over {
            let written = self.outgoing.written(id);
            // A request that has begun to leave has to leave whole; one that has not must not leave any more.
            let entry = match self.outgoing.withdraw(id) {
                true => self.correlation.withdraw(id),
                false => self.correlation.give_up(id),
            };
            if let Some(Entry::Job { mut job, .. }) = entry {
                self.breaker_failure(now);
                // It has heard of this try, whatever left of it.
                job.admitted = None;
                again.extend(self.job_failed(job, written, &Cause::TimedOut, now));
            }
        }
        for job in again.into_iter().rev() {
            self.queue.push_front(job);
        }
        self.expire_queue(now);
        if let Some(next) = next {
            self.look_at(next);
        }
    }

    /// Ends the requests in the queue whose time is over.
    fn expire_queue(&mut self, now: Instant) {
        for _ in 0..self.queue.len() {
            let Some(job) = self.queue.pop_front() else { return };
            if job.attempts.ends() <= now {
                let error = job.attempts.error(self.down.clone().unwrap_or(Cause::TimedOut));
                self.fail(job, error);
            } else {
                self.look_at(job.attempts.ends());
                self.queue.push_back(job);
            }
        }
    }

    fn look_at(&mut self, at: Instant) {
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
    }

    /// Reports an error.
    pub(super) fn fail(&mut self, job: Job<T>, error: Error) {
        self.stats.failed += 1;
        // It told nothing, and another trial may run in its place.
        if let (Some(Admit::Trial), Error::NotSent(_), Some(breaker)) = (job.admitted, &error, &mut self.breaker) {
            breaker.cancel_trial();
        }
        self.actions.push_back(Action::Done(job.token, Err(error)));
    }

    /// Reports everything that waits to be sent.
    pub(super) fn fail_queue(&mut self, cause: impl Fn(&Job<T>) -> Cause) {
        while let Some(job) = self.queue.pop_front() {
            let error = job.attempts.error(cause(&job));
            self.fail(job, error);
        }
    }

    pub(super) fn breaker_success(&mut self, now: Instant) {
        if let Some(state) = self.breaker.as_mut().and_then(|breaker| breaker.success(now)) {
            self.half_open = false;
            self.actions.push_back(Action::Event(Event::Breaker(state)));
        }
    }

    /// A failure of the peer. If that opens the breaker, requests that wait to be sent fail at once.
    pub(super) fn breaker_failure(&mut self, now: Instant) {
        let Some(breaker) = &mut self.breaker else { return };
        if let Some(state) = breaker.failure(now) {
            let retry_in = self.config.breaker.map(|config| config.open_for).unwrap_or_default();
            self.half_open = false;
            self.actions.push_back(Action::Event(Event::Breaker(state)));
            self.fail_queue(|_| Cause::BreakerOpen { retry_in });
        }
    }

    /// Gives the answer to the caller that asked.
    pub(super) fn succeed(&mut self, job: Job<T>, text: &[u8], now: Instant) {
        self.breaker_success(now);
        self.stats.answered += 1;
        let answer = Answer { text: String::from_utf8_lossy(text).into_owned(), tries: job.sent };
        self.actions.push_back(Action::Done(job.token, Ok(answer)));
    }
}
