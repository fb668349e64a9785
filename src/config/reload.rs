//! The next configuration, from the same file: read, compared with the one that runs, and told in what it differs.

use super::{
    Settings, System,
    keys::{FIXED, GLOBAL},
};
use crate::{
    cli::Failure,
    proxy::{Next, Source, Teller},
};
use std::{path::PathBuf, sync::Arc};

/// A file that may change while the proxy runs.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    /// As the process began: what [`FIXED`] names counts as it was then.
    first: Arc<Settings>,
    /// In place.
    now: Option<Arc<Settings>>,
    /// Read, and not in place yet.
    next: Option<Arc<Settings>>,
}

impl Files {
    pub(super) fn new(path: PathBuf, first: Arc<Settings>) -> Self {
        Self { path, first, now: None, next: None }
    }
}

impl Source for Files {
    fn read(&mut self) -> Result<Next, Failure> {
        self.next = None;
        let next = Settings::read(&self.path, &System).map_err(Failure::Usage)?;
        let changes = self.now.as_ref().unwrap_or(&self.first).diff(&next);
        let (setup, fixed) = (next.setup(), fixed(&self.first, &next));
        self.next = Some(Arc::new(next));
        Ok(Next { setup, changes, fixed })
    }

    fn teller(&self) -> Teller {
        let settings = self.next.as_ref().or(self.now.as_ref()).unwrap_or(&self.first).clone();
        Arc::new(move |text| settings.place_text(text))
    }

    fn placed(&self, failure: Failure) -> Failure {
        match &self.next {
            Some(next) => next.placed(failure),
            None => failure,
        }
    }

    fn accept(&mut self) {
        self.now = self.next.take().or_else(|| self.now.take());
    }
}

/// The keys whose values count from the next start on.
fn fixed(first: &Settings, next: &Settings) -> Vec<String> {
    let of = |flag: &str| GLOBAL.iter().find(|key| key.flag == flag);
    let differs = |(flag, why): &(&str, &str)| {
        let key = of(flag)?;
        let (first, next) = (first.flags.shown(key), next.flags.shown(key));
        let line = || {
            let (path, was, will) = (key.path(), first.in_words(), next.in_words());
            format!("{path} stays {was} in this process, as {why}: {will} counts from the next start on")
        };
        (first.meaning != next.meaning).then(line)
    };
    FIXED.iter().filter_map(differs).collect()
}
