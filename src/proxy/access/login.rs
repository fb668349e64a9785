//! Whether a request is that of a user: `Authorization: Basic` (RFC 9110 §11.6, RFC 7617).
//!
//! ```text
//!   credentials ──▶ HMAC ──▶ known lately? ──▶ right, wrong
//!                              │ no
//!                              ▼
//!                            queue ──▶ two threads: bcrypt, argon2 ──▶ mail to the workers that wait
//! ```
//!
//! A browser sends the password with each request, and its hash takes a tenth of a second. So the hash is computed on threads of its own,
//! once for all requests that come with the same credentials meanwhile, and what came of it is remembered for a while. No password is
//! kept for that: what is remembered is a keyed digest of it, whose key is in this process only.
//!
//! A password that was wrong is remembered, too, but not for long. Guesses keep the threads busy: so one client has but a few of them in
//! the queue, and users that were right lately do not need it.

use super::{Passwords, rates::client_key};
use crate::{
    cache::{Mail, Ticket},
    http::{Fields, basic_credentials},
    proxy::questions::{Bounds, Look, Questions},
    time::Instant,
};
use aws_lc_rs::hmac;
use std::{
    fmt, io,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// How long a right password is known.
const KEPT: Duration = Duration::from_secs(300);

/// And a wrong one. Long enough for all that wait for the same answer.
const WRONG_KEPT: Duration = Duration::from_secs(2);

/// Credentials that are remembered. A hash stands for each, so that nobody fills this in five minutes who is not a user.
const MOST: usize = 16 * 1024;

/// Passwords that wait or are being verified: the last of them waits for some seconds.
const MOST_ASKED: usize = 64;

/// Of these, those of one client.
const MOST_ASKED_BY_ONE: usize = 4;

/// Hashes at once: a part of the processors, and of the memory.
const THREADS: usize = 2;

/// A request waits no longer for its turn.
pub(in crate::proxy) const PATIENCE: Duration = Duration::from_secs(10);

/// The users that a route is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The users.
    pub users: Arc<Passwords>,
    /// The name of the place, as a browser shows it to its user.
    pub realm: Box<str>,
    /// Whether the backend gets to see the credentials.
    pub passes_on: bool,
}

/// The verdict on a request's sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Verdict {
    /// A user.
    Right,
    /// None.
    Wrong,
    /// It is being found out: a ticket comes by mail.
    Asked,
    /// There is no room for another one.
    Busy,
}

/// The logins of all workers.
pub(in crate::proxy) struct Logins {
    key: hmac::Key,
    queue: SyncSender<Job>,
    known: Arc<Known>,
}

/// The knowledge that the threads add to.
struct Known {
    questions: Mutex<Questions<Box<[u8]>, bool>>,
    mail: Mail,
}

/// Credentials to be verified.
struct Job {
    digest: Box<[u8]>,
    users: Arc<Passwords>,
    credentials: Vec<u8>,
}

impl Logins {
    /// Starts the threads, which end with it. `secret`: another one in each process.
    pub(in crate::proxy) fn start(mail: Mail, secret: &[u8]) -> io::Result<Self> {
        let kept = |right: &bool| if *right { KEPT } else { WRONG_KEPT };
        let bounds = Bounds { most: MOST, asked: MOST_ASKED, asked_by_one: MOST_ASKED_BY_ONE, kept };
        let known = Arc::new(Known { questions: Mutex::new(Questions::new(bounds)), mail });
        let (queue, jobs) = sync_channel(MOST_ASKED);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..THREADS {
            let (known, jobs) = (known.clone(), jobs.clone());
            thread::Builder::new().name(format!("login-{number}")).spawn(move || {
                while let Some(Job { digest, users, credentials }) = next(&jobs) {
                    known.answered(&digest, users.verify(&credentials));
                }
            })?;
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), queue, known })
    }

    /// Whether a request of `client` with these fields is that of a user. The exchange `who` gets mail if that has to wait: then it
    /// asks again.
    pub(in crate::proxy) fn judge(
        &self,
        login: &Login,
        fields: &Fields,
        client: IpAddr,
        who: Ticket,
        now: Instant,
    ) -> Verdict {
        let Some(credentials) = basic_credentials(fields, "authorization") else { return Verdict::Wrong };
        let mut digest = hmac::Context::with_key(&self.key);
        digest.update(login.users.digest());
        digest.update(&credentials);
        let digest = digest.sign();
        // A client that has one address of IPv6 has many.
        let client = IpAddr::V6(client_key(client).into());
        match self.known.lock().look(digest.as_ref(), client, who, now) {
            Look::Known(true, _) => return Verdict::Right,
            Look::Known(false, _) => return Verdict::Wrong,
            Look::Wait => return Verdict::Asked,
            Look::Busy => return Verdict::Busy,
            Look::Ask => {}
        }
        let job = Job { digest: digest.as_ref().into(), users: login.users.clone(), credentials };
        // No more are asked than it takes, so it has room as long as the threads live.
        match self.queue.try_send(job) {
            Ok(()) => Verdict::Asked,
            Err(_) => {
                self.known.answered(digest.as_ref(), false);
                Verdict::Busy
            }
        }
    }

    /// The exchanges of a worker for which there is news.
    pub(in crate::proxy) fn take_mail(&self, worker: usize) -> Vec<u32> {
        self.known.mail.take(worker)
    }
}

fn next(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Questions<Box<[u8]>, bool>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, digest: &[u8], right: bool) {
        let waiting = self.lock().answered(digest, right);
        self.mail.post(&waiting);
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::passwords::tests::file, *};
    use std::sync::mpsc::channel;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn fields(value: &str) -> Fields {
        [("Authorization", value)].into_iter().collect()
    }

    #[test]
    fn a_password_is_verified_once_for_all_that_ask_and_then_known() {
        let (rung, bell) = channel();
        let mail = Mail::new(1, Arc::new(move |worker| rung.send(worker).unwrap()));
        let logins = Logins::start(mail, &[7; 32]).unwrap();
        let users = Arc::new(Passwords::parse(&file()).unwrap());
        let login = Login { users, realm: "r".into(), passes_on: false };
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let judge = |login: &Login, value: &str, who, now| {
            logins.judge(login, &fields(value), CLIENT, Ticket { worker: 0, who }, now)
        };
        // ann:secret, ann:wrong
        let (right, wrong) = ("Basic YW5uOnNlY3JldA==", "Basic YW5uOndyb25n");
        for (value, verdict) in [(right, Verdict::Right), (wrong, Verdict::Wrong)] {
            let first = judge(&login, value, 1, now);
            assert_eq!(first, Verdict::Asked);
            bell.recv().unwrap();
            assert_eq!((logins.take_mail(0), judge(&login, value, 3, now)), (vec![1], verdict));
        }
        for none in ["", "Basic", "Bearer YW5uOnNlY3JldA==", "Basic YW5u"] {
            assert_eq!(judge(&login, none, 1, now), Verdict::Wrong, "{none}");
        }
        // After a while it is verified again, and so it is for other users.
        assert_eq!(judge(&login, right, 1, now + KEPT), Verdict::Asked);
        bell.recv().unwrap();
        let others = Arc::new(Passwords::parse(&(file() + "#\n")).unwrap());
        assert_eq!(judge(&Login { users: others, ..login }, right, 1, now), Verdict::Asked);
    }
}
