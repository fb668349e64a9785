//! Our binaries as tests see them: milestone N's suite runs against every binary from N on.
//!
//! ```text
//! from_milestone4! { over_http2 { hits_are_counted, } }     becomes
//!     mod milestone4 { #[test] fn hits_are_counted() { … } }
//!     mod milestone5 { #[test] fn hits_are_counted() { … } }
//!     mod milestone5_over_http2 { #[test] fn hits_are_counted() { … } }
//! ```

use super::{
    absolute_form::Named,
    http2_gateway,
    process::{PATIENCE, Process, start, start_listening},
    raw::{Backend, Conn},
    tls::Site,
    tls_tunnel,
    wire::Message,
};
use assert_cmd::{Command, assert::Assert};

/// The hosts that tests ask for.
const HOSTS: &[&str] =
    &["test", "admin", "a", "b", "example", "example.com", "localhost", "127.0.0.1", "t", "h", "evil", "www.example"];

/// One of the binaries.
#[derive(Debug, Clone, Copy)]
pub struct Milestone {
    pub number: u32,
    pub program: &'static str,
    /// The value of `--driver`; `None`: the program's own choice, or that of `make test-epoll` and `make test-io-uring`.
    pub driver: Option<&'static str>,
    /// `None`: HTTP/1.1 over TCP, or the choice of `make test-over-tls`.
    pub client: Option<Client>,
}

/// The words of a test's clients on their way to the proxy. The test says HTTP/1.1 in plain and does not notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// As they are.
    Plain,
    /// Over TLS: `tls_tunnel.rs`.
    Tls,
    /// As HTTP/2 over TLS: `http2_gateway.rs`.
    Http2,
    /// To a forward proxy, to which they name the server: `absolute_form.rs`.
    Named,
}

impl Milestone {
    pub const fn new(number: u32, program: &'static str) -> Self {
        Self { number, program, driver: None, client: None }
    }

    /// The newest.
    pub const fn last() -> Self {
        Self::new(5, env!("CARGO_BIN_EXE_milestone5"))
    }

    /// The forward proxy, which has all that milestone 4 has but for what chooses among backends: its clients choose.
    pub const fn forward() -> Self {
        Self::new(4, env!("CARGO_BIN_EXE_forward-proxy")).with(Client::Named)
    }

    /// The same, for clients of one kind.
    pub const fn with(self, client: Client) -> Self {
        Self { client: Some(client), ..self }
    }

    /// The kind of its clients.
    fn client(&self) -> Client {
        self.client.unwrap_or_else(|| match std::env::var("TEST_CLIENT").as_deref() {
            Ok("tls") if self.number >= 5 => Client::Tls,
            Ok("tls") | Err(_) => Client::Plain,
            Ok(other) => panic!("TEST_CLIENT={other}"),
        })
    }

    /// Whether the proxy hears HTTP/2: then an answer ends its stream, and the connection goes on.
    pub fn hears_http2(&self) -> bool {
        self.client() == Client::Http2
    }

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
        let names =
            if flags.contains(&"--admin") { &["--admin-host", "test", "--admin-host", "admin"][..] } else { &[] };
        let driver = self.driver.into_iter().flat_map(|driver| ["--driver", driver]);
        let flags = flags.iter().chain(names).copied().chain(driver);
        if self.client() == Client::Named {
            return self.start_named(backends, &flags.collect::<Vec<_>>());
        }
        let args = backends.iter().flat_map(|backend| ["--backend", backend]).chain(flags);
        if self.number < 5 {
            return start(self.program, &args.collect::<Vec<_>>());
        }
        let listen = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"];
        let mut args: Vec<&str> = listen.into_iter().chain(args).collect();
        let client = self.client();
        if client == Client::Plain {
            return start_listening(self.program, &args, 2);
        }
        let site = Site::new(HOSTS);
        args.extend(site.flags());
        let mut process = start_listening(self.program, &args, 2);
        let over_tls = |protocols| tls_tunnel::open(process.tls_address(), HOSTS[0], protocols);
        process.ready[0] = match client {
            Client::Http2 => http2_gateway::open(over_tls(&["h2"])),
            Client::Tls | Client::Plain | Client::Named => over_tls(&[]),
        };
        // The files are looked at while it runs.
        process.site = Some(site);
        process
    }

    /// Starts the forward proxy for clients that name the first of these backends, with the cache and the pool that a reverse proxy
    /// has without flags.
    fn start_named(&self, backends: &[&str], flags: &[&str]) -> Process {
        let usual = |flag: &'static str, value: &'static str| {
            if flags.contains(&flag) { Vec::new() } else { vec![flag, value] }
        };
        let usual = [usual("--cache-size", "256m"), usual("--pool-max", "1024")].concat();
        let mut process = start(self.program, &[&["--allow", "127.0.0.1"], &usual[..], flags].concat());
        process.named = Some(Named::new(process.address(), backends[0]));
        process
    }

    /// `flags` for binaries that know them, nothing for others. The forward proxy knows none of milestone 2.
    pub fn since<'a>(&self, milestone: u32, flags: &'a [&'a str]) -> &'a [&'a str] {
        let knows = self.number >= milestone && !(milestone == 2 && self.client() == Client::Named);
        if knows { flags } else { &[] }
    }

    /// The scheme of a request, as backends and the cache hear of it.
    pub fn scheme(&self) -> &'static str {
        match self.client() {
            Client::Plain | Client::Named => "http",
            Client::Tls | Client::Http2 => "https",
        }
    }

    /// The port that the scheme means.
    pub fn default_port(&self) -> u16 {
        if self.scheme() == "http" { 80 } else { 443 }
    }

    /// A text with URLs of `http` and `https`, with those of the scheme that clients of this one use in the place of `http`, and the
    /// other way round.
    pub fn in_its_scheme(&self, text: &str) -> String {
        match self.scheme() {
            "https" => text.replace("https:", "other:").replace("http:", "https:").replace("other:", "http:"),
            _ => text.to_owned(),
        }
    }

    /// The version in which the proxy has received a request, as `Via` says it.
    pub fn version(&self) -> &'static str {
        if self.hears_http2() { "2.0" } else { "1.1" }
    }

    /// Behind an answer after which the rest of the request cannot be told from the next one, a connection of HTTP/1.1 has to end,
    /// and says so. In HTTP/2 its stream ends alone.
    pub fn expect_its_end(&self, client: &mut Conn, answer: &Message) {
        let says = answer.field("connection");
        if self.hears_http2() {
            return assert_eq!(says, None, "{answer}");
        }
        assert_eq!(says, Some("close"), "{answer}");
        client.expect_end();
    }

    /// Flags for a listener on any free port beside `--listen`, for a binary that has one: for tests that start it by themselves.
    pub fn any_port(&self) -> &'static [&'static str] {
        self.since(5, &["--tls-listen", "127.0.0.1:0"])
    }

    /// Flags with which a backend's failures have no consequences for the next request.
    pub fn forgiving(&self) -> &'static [&'static str] {
        self.since(2, &["--breaker-failures", "0", "--retries", "0"])
    }
}

/// The newest, for clients that speak HTTP/1.1 over TLS.
pub const OVER_TLS: Milestone = Milestone::last().with(Client::Tls);
/// The newest, for clients that speak HTTP/2 over TLS.
pub const OVER_HTTP2: Milestone = Milestone::last().with(Client::Http2);

/// One module per binary, and two more for what can lie beneath the clients of the last one. `cargo test` runs a suite against the milestone
/// that brings its subject and against the newest; those in between have the code of both, and `make test-all` tries them, too. A suite says
/// of each test which clients it is for:
///
/// | group | run by clients of milestone 5 that speak |
/// |---|---|
/// | `over_both` | HTTP/1.1 over TCP, HTTP/1.1 over TLS, HTTP/2 over TLS: the two say it in different ways |
/// | `over_http2` | HTTP/1.1 over TCP, HTTP/2 over TLS: what it shows over the first of TLS and HTTP/2, it shows of the second as well |
/// | `over_tls` | HTTP/1.1 over TCP, HTTP/1.1 over TLS, with the reason |
/// | `in_plain` | HTTP/1.1 over TCP, with the reason |
#[allow(unused_macros)]
macro_rules! against {
    ([$($which:ident $name:ident $number:literal)+] $tests:tt) => {
        $(
            mod $name {
                const MILESTONE: $crate::support::milestones::Milestone = $crate::support::milestones::Milestone::new(
                    $number,
                    env!(concat!("CARGO_BIN_EXE_", stringify!($name))),
                );
                $crate::support::milestones::groups! { $which $tests }
            }
        )+
        mod milestone5_over_tls {
            $crate::support::milestones::groups! { tls $tests }
        }
        mod milestone5_over_http2 {
            $crate::support::milestones::groups! { http2 $tests }
        }
    };
}

/// One more module: clients that name the server, through the forward proxy. It stands on the parts of milestones 1, 3 and 4, and has to
/// keep what they promise. Tests with which it has nothing to do are in a group of their own, `for_reverse_proxies`, with the reason; within
/// it are the groups from above.
#[allow(unused_macros)]
macro_rules! through_forward_proxy {
    ($tests:tt) => {
        mod forward_proxy {
            $crate::support::milestones::groups! { named $tests }
        }
    };
}

/// The tests of one such module.
#[allow(unused_macros)]
macro_rules! groups {
    ($which:ident {
        $(over_both { $($both:ident,)+ })?
        $(over_http2 { $($http2:ident,)+ })?
        $(over_tls $why_tls:literal { $($tls:ident,)+ })*
        $(in_plain $why_plain:literal { $($plain:ident,)+ })*
        $(for_reverse_proxies $why_reverse:literal {
            $(over_both { $($reverse_both:ident,)+ })?
            $(over_http2 { $($reverse_http2:ident,)+ })?
            $(over_tls $why_reverse_tls:literal { $($reverse_tls:ident,)+ })*
            $(in_plain $why_reverse_plain:literal { $($reverse_plain:ident,)+ })*
        })*
    }) => {
        $crate::support::milestones::parts! {
            $which
            ([$($($both)+)?] [$($($http2)+)?] [$($($tls)+)*] [$($($plain)+)*])
            ([$($($($reverse_both)+)?)*] [$($($($reverse_http2)+)?)*] [$($($($reverse_tls)+)*)*] [$($($($reverse_plain)+)*)*])
        }
    };
}

/// Tests for all, and those for reverse proxies.
#[allow(unused_macros)]
macro_rules! parts {
    (named ($([$($test:ident)*])*) $reverse:tt) => {
        $crate::support::milestones::run! { $crate::support::milestones::Milestone::forward(), $($($test)*)* }
    };
    ($which:ident ($([$($test:ident)*])*) ($([$($reverse:ident)*])*)) => {
        $crate::support::milestones::tests! { $which $([$($test)* $($reverse)*])* }
    };
}

#[allow(unused_macros)]
macro_rules! tests {
    (run [$($both:ident)*] [$($http2:ident)*] [$($tls:ident)*] [$($plain:ident)*]) => {
        $crate::support::milestones::run! { MILESTONE, $($both)* $($http2)* $($tls)* }
        $crate::support::milestones::run! { MILESTONE.with($crate::support::milestones::Client::Plain), $($plain)* }
    };
    (between [$($both:ident)*] [$($http2:ident)*] [$($tls:ident)*] [$($plain:ident)*]) => {
        $crate::support::milestones::run! { between MILESTONE, $($both)* $($http2)* $($tls)* }
        $crate::support::milestones::run! { between MILESTONE.with($crate::support::milestones::Client::Plain), $($plain)* }
    };
    (tls [$($both:ident)*] [$($http2:ident)*] [$($tls:ident)*] [$($plain:ident)*]) => {
        $crate::support::milestones::run! { $crate::support::milestones::OVER_TLS, $($both)* $($tls)* }
    };
    (http2 [$($both:ident)*] [$($http2:ident)*] [$($tls:ident)*] [$($plain:ident)*]) => {
        $crate::support::milestones::run! { $crate::support::milestones::OVER_HTTP2, $($both)* $($http2)* }
    };
}

#[allow(unused_macros)]
macro_rules! run {
    (between $milestone:expr, $($test:ident)*) => { $(
        #[test]
        #[ignore = "a milestone in between: make test-all"]
        fn $test() {
            super::$test(&$milestone);
        }
    )* };
    ($milestone:expr, $($test:ident)*) => { $(
        #[test]
        fn $test() {
            super::$test(&$milestone);
        }
    )* };
}

/// Tests for all binaries.
#[allow(unused_macros)]
macro_rules! from_milestone1 {
    ($($tests:tt)+) => {
        $crate::support::milestones::against! {
            [run milestone1 1 between milestone2 2 between milestone3 3 between milestone4 4 run milestone5 5] { $($tests)+ }
        }
        $crate::support::milestones::through_forward_proxy! { { $($tests)+ } }
    };
}

/// Tests for those that balance.
#[allow(unused_macros)]
macro_rules! from_milestone2 {
    ($($tests:tt)+) => {
        $crate::support::milestones::against! {
            [run milestone2 2 between milestone3 3 between milestone4 4 run milestone5 5] { $($tests)+ }
        }
    };
}

/// Tests for those that pool.
#[allow(unused_macros)]
macro_rules! from_milestone3 {
    ($($tests:tt)+) => {
        $crate::support::milestones::against! { [run milestone3 3 between milestone4 4 run milestone5 5] { $($tests)+ } }
        $crate::support::milestones::through_forward_proxy! { { $($tests)+ } }
    };
}

/// Tests for those that cache.
#[allow(unused_macros)]
macro_rules! from_milestone4 {
    ($($tests:tt)+) => {
        $crate::support::milestones::against! { [run milestone4 4 run milestone5 5] { $($tests)+ } }
        $crate::support::milestones::through_forward_proxy! { { $($tests)+ } }
    };
}

#[allow(unused_imports)] // Each test binary uses its own.
pub(crate) use {
    against, from_milestone1, from_milestone2, from_milestone3, from_milestone4, groups, parts, run, tests,
    through_forward_proxy,
};
