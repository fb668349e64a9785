//! Passwords: their hashes (argon2id, RFC 9106), on threads of their own.
//!
//! A hash takes a tenth of a second and 19 MiB, so that a stolen file of hashes is of little use. On an event loop all clients would wait
//! meanwhile. The threads are few and their queue is short: people who log in wait for each other, and one too many is told to try again.

use super::{
    hall::{Ask, PersonId, Verdict},
    house::House,
};
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    thread::{self, JoinHandle},
};

/// Passwords that may wait: the last of them waits for some seconds.
pub(crate) const QUEUE: usize = 64;

/// Hashes at once: 38 MiB, and a part of the processors.
const THREADS: usize = 2;

type Asked = Receiver<(PersonId, Ask)>;

/// Starts the threads. They end when nothing can be asked any more.
pub(crate) fn start(house: &Arc<House>, asked: Asked) -> io::Result<Vec<JoinHandle<()>>> {
    let asked = Arc::new(Mutex::new(asked));
    let start = |number| {
        let (house, asked) = (Arc::clone(house), Arc::clone(&asked));
        thread::Builder::new().name(format!("guard-{number}")).spawn(move || {
            while let Some((id, ask)) = next(&asked) {
                house.judged(id, judge(ask));
            }
        })
    };
    (0..THREADS).map(start).collect()
}

fn next(asked: &Mutex<Asked>) -> Option<(PersonId, Ask)> {
    asked.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn judge(ask: Ask) -> Verdict {
    let argon2 = Argon2::default();
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
        let hash = || match judge(Ask::Hash { name: "ann".to_owned(), password: "correct horse".to_owned() }) {
            Verdict::Hashed { hash, .. } => hash,
            other => panic!("{other:?}"),
        };
        let (first, second) = (hash(), hash());
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && first != second, "{first} {second}");
        let verify = |hash: &str, password: &str| {
            judge(Ask::Verify { name: "ann".to_owned(), hash: hash.to_owned(), password: password.to_owned() })
        };
        assert_eq!(verify(&first, "correct horse"), Verdict::Right { name: "ann".to_owned() });
        assert_eq!(verify(&first, "correct horsf"), Verdict::Wrong);
        assert_eq!(verify("no hash", "correct horse"), Verdict::Wrong);
    }
}
