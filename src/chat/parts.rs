//! A chat server in its parts: sessions for event loops, the writer of its file, and the guard that knows passwords. `run` gives them threads; a
//! simulated world runs all of them in one, with a disk that breaks.

use super::{
    args::ChatArgs,
    census::Census,
    guard::{self, Guard},
    hall::Hall,
    house::House,
    journal::Journal,
    session::Chat,
    talk::Config,
    writer::Writer,
};
use crate::{
    app::Origin,
    cli::Failure,
    disk::Disk,
    net::{Sessions, Traffic},
    time::Now,
};
use std::sync::{Arc, mpsc};

/// The clients of one event loop.
pub type Worker = Sessions<Box<dyn FnMut(Origin, Now) -> Chat + Send>, Chat>;

/// The parts.
#[derive(Debug)]
pub struct Parts {
    /// Writes what lasts.
    pub writer: Writer,
    /// Answers questions about passwords.
    pub guard: Guard,
    pub(super) door: Door,
}

/// The way into the house, for those who run it.
#[derive(Debug, Clone)]
pub struct Door {
    pub(super) house: Arc<House>,
    config: Arc<Config>,
    pub(super) traffic: Arc<Traffic>,
}

impl Parts {
    /// Makes them of the state that a disk has.
    ///
    /// # Errors
    ///
    /// The file cannot be read or begun: one line that says what to do.
    pub fn new(args: &ChatArgs, disk: Arc<dyn Disk>, now: Now) -> Result<Self, Failure> {
        let (journal, archive) = Journal::open(disk, args.history()).map_err(Failure::Run)?;
        let hall = Hall::new(args.limits(), archive, args.owner.as_deref(), now);
        let ((records, written), (asks, asked)) = (mpsc::channel(), mpsc::sync_channel(guard::QUEUE));
        let house = Arc::new(House::new(hall, records, asks, now));
        Ok(Self {
            writer: Writer::new(journal, written, Arc::clone(&house)),
            guard: Guard::new(Arc::clone(&house), asked),
            door: Door { house, config: Arc::new(args.config()), traffic: Arc::default() },
        })
    }

    /// The way into the house.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }
}

impl Door {
    /// The clients of one more event loop.
    #[must_use]
    pub fn worker(&self) -> Worker {
        let (house, config) = (Arc::clone(&self.house), Arc::clone(&self.config));
        let chat = move |_, now| Chat::new(Arc::clone(&house), Arc::clone(&config), now);
        Sessions::new(Box::new(chat) as Box<dyn FnMut(Origin, Now) -> Chat + Send>).counting(Arc::clone(&self.traffic))
    }

    /// Time has passed. Called once a second.
    pub fn tick(&self, now: Now) {
        self.house.tick(now);
    }

    /// Everybody is told that the server stops, and no one comes any more.
    pub fn close(&self) {
        self.house.close();
    }

    /// The chat in numbers.
    #[must_use]
    pub fn census(&self) -> Census {
        self.house.census()
    }
}
