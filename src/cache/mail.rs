//! How exchanges that wait for a fetch are told, on whichever worker they are.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The address of a message: an exchange of a worker. The number may belong to another exchange by then, which does no
/// harm: a message only means "look again".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket {
    /// The worker's number.
    pub worker: u32,
    /// The worker's own number for the exchange that waits.
    pub who: u32,
}

/// One letter box per worker, and a way to ring.
pub struct Mail {
    boxes: Box<[Mutex<Vec<u32>>]>,
    ring: Arc<dyn Fn(usize) + Send + Sync>,
}

impl Mail {
    /// For `workers` workers; `ring` makes one of them look into its box soon, from any thread.
    #[must_use]
    pub fn new(workers: usize, ring: Arc<dyn Fn(usize) + Send + Sync>) -> Self {
        Self { boxes: std::iter::repeat_with(Mutex::default).take(workers).collect(), ring }
    }

    /// Tells all of them. A worker is woken once for all of its letters.
    pub fn post(&self, tickets: &[Ticket]) {
        for (worker, letters) in self.boxes.iter().enumerate() {
            let mut mine = tickets.iter().filter(|ticket| ticket.worker as usize == worker).peekable();
            if mine.peek().is_none() {
                continue;
            }
            let mut letters = letters.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = letters.is_empty();
            letters.extend(mine.map(|ticket| ticket.who));
            drop(letters);
            if was_empty {
                (self.ring)(worker);
            }
        }
    }

    /// Takes what is in the box of `worker`.
    #[must_use]
    pub fn take(&self, worker: usize) -> Vec<u32> {
        self.boxes
            .get(worker)
            .map(|letters| std::mem::take(&mut *letters.lock().unwrap_or_else(PoisonError::into_inner)))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("workers", &self.boxes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_rung_once_until_it_looks() {
        let rung = Arc::new(Mutex::new(Vec::new()));
        let bell = rung.clone();
        let mail = Mail::new(2, Arc::new(move |worker| bell.lock().unwrap().push(worker)));
        let to = |worker, who| Ticket { worker, who };
        mail.post(&[to(1, 5), to(0, 7), to(1, 6)]);
        mail.post(&[to(1, 8)]);
        assert_eq!(*rung.lock().unwrap(), [0, 1]);
        assert_eq!((mail.take(1), mail.take(1), mail.take(0)), (vec![5, 6, 8], vec![], vec![7]));
        mail.post(&[to(1, 9)]);
        assert_eq!(*rung.lock().unwrap(), [0, 1, 1]);
        assert_eq!(mail.take(2), [0; 0]);
    }
}
