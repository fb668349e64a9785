//! A broker in two parts: the application of an event loop, and the writer of its log. `run` gives them threads; a simulated world runs both
//! in one, with a disk that breaks.

use super::{
    app::{Bridge, Broker, Config},
    args::BrokerArgs,
    core::Core,
    journal::Journal,
    shared::{Call, Shared},
    writer::Writer,
};
use crate::{cli::Failure, disk::Disk, time::Now};
use std::sync::{Arc, mpsc};

/// The parts.
#[derive(Debug)]
pub struct Parts {
    /// Hears clients. Runs on an event loop.
    pub app: Broker,
    /// Writes its records.
    pub writer: Writer,
    pub(super) shared: Arc<Shared>,
}

impl Parts {
    /// Makes them of the state that a disk has.
    ///
    /// # Errors
    ///
    /// The log cannot be read or begun, or a file that the arguments name cannot be used: one line that says what to do.
    pub fn new(args: &BrokerArgs, disk: Arc<dyn Disk>, now: Now) -> Result<Self, Failure> {
        let config = args.config()?;
        let bridge = args.bridge.bridge(args.listen.listen.port())?;
        let (journal, image) = Journal::open(disk, args.sync).map_err(Failure::Run)?;
        let mut core = Core::restore(args.limits(), image, now);
        core.set_bridge(bridge.as_ref().map(Bridge::rules), now);
        let mut parts = Self::of(core, config, journal);
        if let Some(bridge) = bridge {
            parts.app = parts.app.with_bridge(bridge);
        }
        Ok(parts)
    }

    fn of(core: Core, config: Config, journal: Journal) -> Self {
        let (records, written) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let store = Box::new(move |batch| records.send(batch).is_ok());
        Self {
            app: Broker::new(core, config, store, Arc::clone(&shared)),
            writer: Writer::new(journal, written, Arc::clone(&shared)),
            shared,
        }
    }

    /// The way from the writer to the event loop.
    pub fn attach(&self, caller: impl Fn(Call) + Send + Sync + 'static) {
        self.shared.attach(Box::new(caller));
    }
}
