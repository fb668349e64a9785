//! The way to the thread that changes a proxy while it runs (`keeper.rs`): what others ask of it.

use super::orders::{Change, Refused};
use std::sync::mpsc::{Receiver, Sender, channel};

/// The way to the keeper.
#[derive(Debug, Clone)]
pub(super) struct Wishes(Sender<Wish>);

/// The receiver of the outcome of a reload: what has changed, or why nothing has.
pub(super) type Answer = Box<dyn FnOnce(Result<Vec<String>, String>) + Send>;

/// The receiver of the outcome of an order.
pub(super) type Followed = Box<dyn FnOnce(Result<(), Refused>) + Send>;

pub(super) enum Wish {
    Reload(Option<Answer>),
    /// An operator's word about a server.
    Order(Change, Followed),
    /// Another process of the program takes over.
    Upgrade,
    /// A name was asked for, and there is an answer.
    Answered,
    /// A server has begun to fail: the name of it may have other addresses by now.
    Failed,
}

impl Wishes {
    pub(super) fn new() -> (Self, Receiver<Wish>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }

    /// Another process, please.
    pub(super) fn upgrade(&self) {
        self.send(Wish::Upgrade);
    }

    /// A reload, please. `answer` hears of its outcome, if it is given.
    pub(super) fn reload(&self, answer: Option<Answer>) {
        self.send(Wish::Reload(answer));
    }

    /// This order, please. `followed` hears of the outcome.
    pub(super) fn order(&self, change: Change, followed: Followed) {
        self.send(Wish::Order(change, followed));
    }

    /// There is news of a name.
    pub(super) fn answered(&self) {
        self.send(Wish::Answered);
    }

    /// A server has begun to fail.
    pub(super) fn failed(&self) {
        self.send(Wish::Failed);
    }

    fn send(&self, wish: Wish) {
        // An error means that the keeper is gone: the process is about to end.
        let _ = self.0.send(wish);
    }
}
