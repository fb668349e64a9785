//! Which event loop runs an application: the one that was asked for, or epoll.
//!
//! io_uring costs little more than half for small messages, and less for most others (`docs/performance.md`). But not every system and
//! container allows it, and fewer people have tried it. So it has to be asked for.

#[cfg(target_os = "linux")]
use super::Proactor;
use super::{DriverConfig, Error, Reactor, Remote};
use crate::app::{App, ListenerId};
use clap::ValueEnum;
use std::{fmt, io, net::TcpListener};

/// The user's choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DriverKind {
    /// The one that is known to be good at everything: epoll.
    #[default]
    Auto,
    /// The kernel says which connections are ready, and the program reads and writes (on macOS: kqueue).
    Epoll,
    /// The kernel reads and writes, and says when it has done so.
    IoUring,
}

/// Which event loop runs, and why. Chosen once, for all threads of a program.
#[derive(Debug)]
pub struct DriverChoice {
    uses_io_uring: bool,
    why: Why,
}

/// Why it is the one that it is.
#[derive(Debug)]
enum Why {
    Asked,
    /// This system has both.
    Proven,
    /// This system has only one.
    Only(Error),
}

impl DriverKind {
    /// Asks the system what it has.
    ///
    /// # Errors
    ///
    /// [`Error::IoUring`]: io_uring was asked for, and this system does not allow it.
    pub fn choose(self) -> Result<DriverChoice, Error> {
        self.choose_from(match self {
            Self::Epoll => Ok(()),
            Self::Auto | Self::IoUring => io_uring_works(),
        })
    }

    fn choose_from(self, io_uring: Result<(), Error>) -> Result<DriverChoice, Error> {
        let choice = |uses_io_uring, why| Ok(DriverChoice { uses_io_uring, why });
        match (self, io_uring) {
            (Self::Epoll, _) => choice(false, Why::Asked),
            (Self::IoUring, Ok(())) => choice(true, Why::Asked),
            (Self::IoUring, Err(error)) => Err(error),
            (Self::Auto, Ok(())) => choice(false, Why::Proven),
            (Self::Auto, Err(error)) => choice(false, Why::Only(error)),
        }
    }
}

#[cfg(target_os = "linux")]
fn io_uring_works() -> Result<(), Error> {
    super::proactor::check()
}

#[cfg(not(target_os = "linux"))]
fn io_uring_works() -> Result<(), Error> {
    Err(Error::IoUring(io::ErrorKind::Unsupported.into()))
}

/// For the log: `driver io_uring: …`.
impl fmt::Display for DriverChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (self.uses_io_uring, cfg!(target_os = "linux")) {
            (true, _) => "io_uring",
            (false, true) => "epoll",
            (false, false) => "kqueue",
        };
        match &self.why {
            Why::Asked => write!(f, "driver {name}, as asked"),
            Why::Proven => write!(f, "driver {name}; this system has io_uring, too (driver io-uring)"),
            Why::Only(error) => write!(f, "driver {name}: {error}"),
        }
    }
}

/// An event loop of the kind that was chosen.
#[derive(Debug)]
pub enum Driver<A> {
    /// The kernel says what is ready.
    Reactor(Box<Reactor<A>>),
    /// The kernel says what is done.
    #[cfg(target_os = "linux")]
    Proactor(Box<Proactor<A>>),
}

impl<A: App> Driver<A> {
    /// An event loop without listeners.
    ///
    /// # Errors
    ///
    /// The system has no descriptors or no memory left for it.
    pub fn new(choice: &DriverChoice, app: A, config: DriverConfig) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if choice.uses_io_uring {
            return Proactor::new(app, config).map(Box::new).map(Self::Proactor).map_err(io::Error::other);
        }
        let _ = choice;
        Reactor::new(app, config).map(Box::new).map(Self::Reactor)
    }

    /// Accepts connections from `listener`, too. Its connections will send small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// There are 256 listeners already, or the system refuses to watch this one.
    pub fn listen(&mut self, listener: TcpListener) -> io::Result<ListenerId> {
        match self {
            Self::Reactor(reactor) => reactor.listen(listener),
            #[cfg(target_os = "linux")]
            Self::Proactor(proactor) => proactor.listen(listener),
        }
    }

    /// The application, until it runs: for what it needs of the event loop, such as a handle.
    pub fn app_mut(&mut self) -> &mut A {
        match self {
            Self::Reactor(reactor) => &mut reactor.app,
            #[cfg(target_os = "linux")]
            Self::Proactor(proactor) => &mut proactor.app,
        }
    }

    /// The same as [`Driver::listen`]; its connections come in by `id`.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn listen_as(&mut self, id: ListenerId, listener: TcpListener) -> io::Result<()> {
        match self {
            Self::Reactor(reactor) => reactor.listen_as(id, listener),
            #[cfg(target_os = "linux")]
            Self::Proactor(proactor) => proactor.listen_as(id, listener),
        }
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        match self {
            Self::Reactor(reactor) => reactor.remote(),
            #[cfg(target_os = "linux")]
            Self::Proactor(proactor) => proactor.remote(),
        }
    }

    /// Runs until it was told to stop, or to drain and the last connection has ended; gives the application back.
    ///
    /// # Errors
    ///
    /// The kernel refuses to work for us. Errors of a connection are told to the application instead.
    pub fn run(self) -> io::Result<A> {
        match self {
            Self::Reactor(reactor) => reactor.run(),
            #[cfg(target_os = "linux")]
            Self::Proactor(proactor) => proactor.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn without_io_uring_epoll_runs_unless_io_uring_was_asked_for() {
        for errno in [Errno::ENOSYS, Errno::EPERM, Errno::EINVAL, Errno::ENOMEM] {
            let refused = || Err(Error::IoUring(errno.into()));
            let choice = DriverKind::Auto.choose_from(refused()).unwrap();
            assert!(!choice.uses_io_uring);
            assert!(choice.to_string().contains("io_uring"), "it says why: {choice}");
            assert!(DriverKind::IoUring.choose_from(refused()).is_err());
            assert!(!DriverKind::Epoll.choose_from(refused()).unwrap().uses_io_uring);
        }
    }

    #[test]
    fn the_driver_that_was_asked_for_runs_where_there_is_a_choice() {
        for (asked, uses_io_uring, text) in [
            (DriverKind::Auto, false, "this system has io_uring, too"),
            (DriverKind::IoUring, true, "driver io_uring, as asked"),
            (DriverKind::Epoll, false, ", as asked"),
        ] {
            let choice = asked.choose_from(Ok(())).unwrap();
            assert_eq!(choice.uses_io_uring, uses_io_uring, "{asked:?}");
            assert!(choice.to_string().contains(text), "{choice}");
        }
    }
}
