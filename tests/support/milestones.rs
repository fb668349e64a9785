//! Our binaries as tests see them: milestone N's suite runs against every binary from N on.
//!
//! ```text
//! from_milestone2! { dead_backends_are_skipped, }     becomes
//!     mod milestone2 { #[test] fn dead_backends_are_skipped() { … } }
//!     mod milestone3 { #[test] fn dead_backends_are_skipped() { … } }
//! ```

use super::{
    process::{PATIENCE, Process, start, start_listening},
    raw::Backend,
    tls::Site,
    tls_tunnel,
};
use assert_cmd::{Command, assert::Assert};

/// The hosts that tests ask for.
const HOSTS: &[&str] = &["test", "admin", "a", "b", "example", "example.com", "localhost", "127.0.0.1"];

/// One of the binaries.
#[derive(Debug, Clone, Copy)]
pub struct Milestone {
    pub number: u32,
    pub program: &'static str,
    /// The value of `--driver`; `None`: the program's own choice, or that of `make test-epoll` and `make test-io-uring`.
    pub driver: Option<&'static str>,
    /// Whether the test's clients speak TLS; the test does not notice.
    pub over_tls: bool,
}

impl Milestone {
    /// Runs it with exactly `args` to its end: for what is over at once, help and errors. One that serves instead is
    /// killed when our patience is at an end, and then has no exit code.
    pub fn run(&self, args: &[&str]) -> Assert {
        Command::new(self.program).args(args).timeout(PATIENCE).assert()
    }

    /// Starts it in front of `backends`. Without active health checks: a backend sees what the test's clients send, and
    /// nothing else.
    pub fn start(&self, backends: &[&Backend], flags: &[&str]) -> Process {
        self.start_probing(backends, &[self.since(2, &["--no-health"]), flags].concat())
    }

    /// The same with health checks, as they are without flags.
    pub fn start_probing(&self, backends: &[&Backend], flags: &[&str]) -> Process {
        let names: Vec<String> = backends.iter().map(|backend| backend.name()).collect();
        self.start_before(&names.iter().map(String::as_str).collect::<Vec<_>>(), flags)
    }

    /// Starts it in front of backends given as `HOST:PORT[,weight=N,max=N]`. The requests of tests go to a host named
    /// `test`, or `admin`, also those to the admin listener.
    pub fn start_before(&self, backends: &[&str], flags: &[&str]) -> Process {
        let backends = backends.iter().flat_map(|backend| ["--backend", backend]);
        let names =
            if flags.contains(&"--admin") { &["--admin-host", "test", "--admin-host", "admin"][..] } else { &[] };
        let driver = self.driver.into_iter().flat_map(|driver| ["--driver", driver]);
        let args = backends.chain(flags.iter().chain(names).copied()).chain(driver);
        if self.number < 5 {
            return start(self.program, &args.collect::<Vec<_>>());
        }
        let listen = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"];
        let mut args: Vec<&str> = listen.into_iter().chain(args).collect();
        if !self.over_tls {
            return start_listening(self.program, &args, 2);
        }
        let site = Site::new(HOSTS);
        args.extend(site.flags());
        let mut process = start_listening(self.program, &args, 2);
        process.ready[0] = tls_tunnel::open(process.tls_address(), HOSTS[0]);
        // The files are looked at while it runs.
        process.site = Some(site);
        process
    }

    /// `flags` for binaries that know them, nothing for earlier ones.
    pub fn since<'a>(&self, milestone: u32, flags: &'a [&'a str]) -> &'a [&'a str] {
        if self.number >= milestone { flags } else { &[] }
    }

    /// Flags with which a backend's failures have no consequences for the next request.
    pub fn forgiving(&self) -> &'static [&'static str] {
        self.since(2, &["--breaker-failures", "0", "--retries", "0"])
    }
}

/// One module per binary, with one test per function.
#[allow(unused_macros)]
macro_rules! against {
    ([$($name:ident $number:literal)+] $tests:tt) => { $(
        mod $name {
            const MILESTONE: $crate::support::milestones::Milestone = $crate::support::milestones::Milestone {
                number: $number,
                program: env!(concat!("CARGO_BIN_EXE_", stringify!($name))),
                driver: None,
                over_tls: false,
            };
            $crate::support::milestones::tests! { $tests }
        }
    )+ };
}

/// The tests of one such module.
#[allow(unused_macros)]
macro_rules! tests {
    ({ $($test:ident,)+ }) => { $(
        #[test]
        fn $test() {
            super::$test(&MILESTONE);
        }
    )+ };
}

/// Tests for all binaries.
#[allow(unused_macros)]
macro_rules! from_milestone1 {
    ($($test:ident,)+) => {
        $crate::support::milestones::against! { [milestone1 1 milestone2 2 milestone3 3 milestone4 4] { $($test,)+ } }
    };
}

/// Tests for those that balance.
#[allow(unused_macros)]
macro_rules! from_milestone2 {
    ($($test:ident,)+) => {
        $crate::support::milestones::against! { [milestone2 2 milestone3 3 milestone4 4] { $($test,)+ } }
    };
}

/// Tests for those that pool.
#[allow(unused_macros)]
macro_rules! from_milestone3 {
    ($($test:ident,)+) => { $crate::support::milestones::against! { [milestone3 3 milestone4 4] { $($test,)+ } } };
}

/// Tests for those that cache.
#[allow(unused_macros)]
macro_rules! from_milestone4 {
    ($($test:ident,)+) => { $crate::support::milestones::against! { [milestone4 4] { $($test,)+ } } };
}

#[allow(unused_imports)] // Each test binary uses its own.
pub(crate) use {against, from_milestone1, from_milestone2, from_milestone3, from_milestone4, tests};
