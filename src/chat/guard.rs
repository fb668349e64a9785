//! Passwords: their hashes (argon2id, RFC 9106), on threads of their own.
//!
//! A hash takes a tenth of a second and 19 MiB, so that a stolen file of hashes is of little use. On an event loop all clients would wait
//! meanwhile. The threads are few and their queue is short: people who log in wait for each other, and one too many is told to try again.

use super::{
    hall::{Ask, PersonId, Verdict},
    house::House,
};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Receiver},
    thread::{self, JoinHandle},
};

/// Passwords that may wait: the last of them waits for some seconds.
pub(crate) const QUEUE: usize = 64;

/// Hashes at once: 38 MiB, and a part of the processors.
const THREADS: usize = 2;

type Asked = Receiver<(PersonId, Ask)>;

/// Answers what is asked about passwords.
#[derive(Debug, Clone)]
pub struct Guard {
    house: Arc<House>,
    asked: Arc<Mutex<Asked>>,
    argon2: Argon2<'static>,
}

impl Guard {
    pub(super) fn new(house: Arc<House>, asked: Asked) -> Self {
        Self { house, asked: Arc::new(Mutex::new(asked)), argon2: Argon2::default() }
    }

    /// From now on, hashes are made that take no time and keep no secret: for a simulated world, in which nobody steals them.
    pub fn weaken(&mut self) {
        let weakest = Params::new(Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST, None);
        self.argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, weakest.unwrap_or_default());
    }

    /// Answers one question, if there is one.
    pub fn work(&self) -> bool {
        let asked = self.lock().try_recv().ok();
        asked.map(|ask| self.answer(ask)).is_some()
    }

    /// Starts the threads. They end when nothing can be asked any more.
    pub(super) fn start(&self) -> io::Result<Vec<JoinHandle<()>>> {
        let start = |number| {
            let guard = self.clone();
            thread::Builder::new().name(format!("guard-{number}")).spawn(move || {
                while let Some(ask) = guard.next() {
                    guard.answer(ask);
                }
            })
        };
        (0..THREADS).map(start).collect()
    }

    fn next(&self) -> Option<(PersonId, Ask)> {
        self.lock().recv().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, (id, ask): (PersonId, Ask)) {
        self.house.judged(id, judge(&self.argon2, ask));
    }
}

fn judge(argon2: &Argon2<'_>, ask: Ask) -> Verdict {
    match ask {
        Ask::Hash { name, password } => match argon2.hash_password(password.as_bytes()) {
            Ok(hash) => Verdict::Hashed { name, hash: hash.to_string() },
            Err(error) => {
                tracing::error!("a password could not be hashed: {error}");
                Verdict::Busy
            }
        },
        Ask::Verify { name, hash, password } => {
            let right = argon2.verify_password(password.as_bytes(), hash.as_str());
            if right.is_ok() { Verdict::Right { name } } else { Verdict::Wrong }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_each_hash_is_another() {
        let argon2 = Argon2::default();
        let hash = || match judge(&argon2, Ask::Hash { name: "ann".to_owned(), password: "correct horse".to_owned() }) {
            Verdict::Hashed { hash, .. } => hash,
            other => panic!("{other:?}"),
        };
        let (first, second) = (hash(), hash());
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && first != second, "{first} {second}");
        let verify = |hash: &str, password: &str| {
            let (name, hash, password) = ("ann".to_owned(), hash.to_owned(), password.to_owned());
            judge(&argon2, Ask::Verify { name, hash, password })
        };
        assert_eq!(verify(&first, "correct horse"), Verdict::Right { name: "ann".to_owned() });
        assert_eq!(verify(&first, "correct horsf"), Verdict::Wrong);
        assert_eq!(verify("no hash", "correct horse"), Verdict::Wrong);
    }
}
