//! The flags of the log that only a configuration file gives: where lines go, and in which form.

use super::{AccessFormat, AccessLog};
use crate::{
    cli::{self, EventFormat, Failure, Lines, LogFilter, LogGuard, Logging, Place, Places},
    units::{Flags, Pointless},
};
use clap::Args;

/// Where log lines go, and in which form.
#[derive(Debug, Clone, Default, Args)]
pub struct LogArgs {
    /// Where lines go: stderr, syslog, or a file, which is opened again on SIGUSR1
    #[arg(long, value_name = "PLACE", default_value = "stderr")]
    log_to: Place,
    /// The form of events
    #[arg(long, value_name = "text|json", default_value = "text", hide_possible_values = true)]
    log_format: EventFormat,
    /// Where lines about requests go [default: as all others]
    #[arg(long, value_name = "PLACE")]
    access_to: Option<Place>,
    /// The form of lines about requests [default: that of events]
    #[arg(long, value_name = "text|json|common|combined", hide_possible_values = true)]
    access_format: Option<AccessFormat>,
}

impl Flags for LogArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

impl LogArgs {
    fn format(&self) -> AccessFormat {
        self.access_format.unwrap_or(match self.log_format {
            EventFormat::Text => AccessFormat::Text,
            EventFormat::Json => AccessFormat::Json,
        })
    }

    /// Looks at the places as far as that can be done without opening them.
    ///
    /// # Errors
    ///
    /// A file whose folder is not there, or that is one itself.
    pub(in crate::proxy) fn check(&self) -> Result<(), Failure> {
        let places = [("--log-to", Some(&self.log_to)), ("--access-to", self.access_to.as_ref())];
        for (flag, place) in places {
            let Some(Place::File(path)) = place else { continue };
            if path.is_dir() {
                return Err(Failure::Usage(format!(
                    "{flag} {}: this is a folder: write the name of a file in it",
                    path.display()
                )));
            }
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                return Err(Failure::Usage(format!(
                    "{flag} {}: there is no folder {}",
                    path.display(),
                    folder.display()
                )));
            }
        }
        Ok(())
    }

    /// Starts the log.
    ///
    /// # Errors
    ///
    /// A place that cannot be opened.
    pub(in crate::proxy) fn start(&self, filter: &LogFilter) -> Result<(LogGuard, Lines, Places), Failure> {
        let logging = Logging {
            filter,
            to: &self.log_to,
            format: self.log_format,
            requests_to: self.access_to.as_ref().unwrap_or(&self.log_to),
            requests_are_events: self.format() == AccessFormat::Text,
        };
        cli::start(&logging).map_err(|error| {
            let about_requests =
                self.access_to.as_ref().is_some_and(|to| error.to_string().starts_with(&format!("{to}: ")));
            let flag = if about_requests { "--access-to" } else { "--log-to" };
            Failure::Usage(format!("{flag} {error}: it has to be a place that this user may write to"))
        })
    }

    /// The access log, if it is on.
    pub(in crate::proxy) fn access_log(&self, lines: Lines) -> AccessLog {
        match self.format() {
            AccessFormat::Text => AccessLog::Events,
            format => AccessLog::Lines(format, lines),
        }
    }
}
