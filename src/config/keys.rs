//! Which key of the file stands for which flag of the milestones. The values of a key are those of its flag, and the
//! same code reads and checks both: what a flag refuses, its key refuses.
//!
//! A test holds this table against the flags: a flag that is added needs a key here, or a reason. Some flags are there for their
//! keys alone: no milestone has those of the log and of marks.

use crate::{
    cache::CacheArgs,
    pool::PoolArgs,
    proxy::{
        AnnounceArgs, BalanceArgs, ExplainArgs, Http2Args, LogArgs, MarkArgs, ProxyArgs, SecondLevelArgs, ServerArgs,
        SharingArgs, TlsArgs,
    },
    units::Checked,
};
use clap::{Command, CommandFactory as _, Parser};
use std::sync::LazyLock;

/// A key, and the flag that it stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The table that it is in; empty for the outermost one.
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// Without dashes in front.
    pub(super) flag: &'static str,
}

const fn key(section: &'static str, name: &'static str, flag: &'static str) -> Key {
    Key { section, name, flag }
}

impl Key {
    /// Whether `false` is what the flag says.
    pub(super) fn is_negated(&self) -> bool {
        self.flag.starts_with("no-")
    }

    /// As it is written in messages: `cache.size`.
    pub(super) fn path(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }
}

/// The flags that count for the whole proxy.
#[derive(Debug, Parser)]
pub(super) struct Global {
    #[command(flatten)]
    pub(super) proxy: Checked<ProxyArgs>,
    #[command(flatten)]
    pub(super) pool: Checked<PoolArgs>,
    /// In front of the cache's: whether it means something depends on one of those, which is taken out when it is read.
    #[command(flatten)]
    pub(super) second: Checked<SecondLevelArgs>,
    #[command(flatten)]
    pub(super) cache: Checked<CacheArgs>,
    #[command(flatten)]
    pub(super) tls: Checked<TlsArgs>,
    #[command(flatten)]
    pub(super) http2: Checked<Http2Args>,
    #[command(flatten)]
    pub(super) log: Checked<LogArgs>,
    #[command(flatten)]
    pub(super) marks: Checked<MarkArgs>,
    #[command(flatten)]
    pub(super) explain: Checked<ExplainArgs>,
    #[command(flatten)]
    pub(super) store: Checked<SharingArgs>,
}

/// Their command line.
pub(super) static GLOBAL_FLAGS: LazyLock<Command> = LazyLock::new(Global::command);

/// The keys for them.
pub(super) const GLOBAL: &[Key] = &[
    key("", "workers", "workers"),
    key("", "driver", "driver"),
    key("", "backlog", "backlog"),
    key("", "max-connections", "max-connections"),
    key("", "on-client-close", "on-client-close"),
    key("", "drain-timeout", "drain-timeout"),
    key("", "log-level", "log-level"),
    key("", "access-log", "access-log"),
    key("", "store", "store"),
    key("", "store-ca", "store-ca"),
    key("", "store-certificate", "store-certificate"),
    key("", "store-key", "store-key"),
    key("log", "to", "log-to"),
    key("log", "format", "log-format"),
    key("log", "access-to", "access-to"),
    key("log", "access-format", "access-format"),
    key("limits", "max-head", "max-head"),
    key("limits", "max-request-line", "max-request-line"),
    key("limits", "max-fields", "max-fields"),
    key("limits", "max-body", "max-body"),
    key("limits", "body-rate", "body-rate"),
    key("limits", "keep-alive-requests", "keep-alive-requests"),
    key("deadlines", "head", "head-timeout"),
    key("deadlines", "body", "body-timeout"),
    key("deadlines", "idle", "idle-timeout"),
    key("deadlines", "connect", "connect-timeout"),
    key("deadlines", "first-byte", "first-byte-timeout"),
    key("deadlines", "response", "response-timeout"),
    key("deadlines", "write", "write-timeout"),
    key("deadlines", "tunnel", "tunnel-timeout"),
    key("deadlines", "request", "request-timeout"),
    key("deadlines", "drain-grace", "drain-grace"),
    key("forwarding", "trusted-proxies", "trusted-proxy"),
    key("forwarding", "client-from", "client-from"),
    key("forwarding", "forwarded", "forwarded"),
    key("forwarding", "request-id", "request-id"),
    key("forwarding", "request-id-field", "request-id-field"),
    key("forwarding", "trace-context", "trace-context"),
    key("queue", "limit", "pool-queue"),
    key("queue", "timeout", "pool-queue-timeout"),
    key("cache", "size", "cache-size"),
    key("cache", "max-object", "cache-max-object"),
    key("cache", "default-ttl", "cache-default-ttl"),
    key("cache", "stale-if-error", "cache-stale-if-error"),
    key("cache", "exclude", "cache-exclude"),
    key("cache", "wait", "cache-wait"),
    key("cache", "store", "cache-store"),
    key("cache", "store-ca", "cache-store-ca"),
    key("cache", "store-certificate", "cache-store-certificate"),
    key("cache", "store-key", "cache-store-key"),
    key("cache", "store-max-object", "cache-store-max-object"),
    key("cache", "store-timeout", "cache-store-timeout"),
    key("cache", "status", "no-cache-status"),
    key("cache", "status-key", "cache-status-key"),
    key("tls", "min", "tls-min"),
    key("tls", "sni-strict", "sni-strict"),
    key("tls", "allow-expired", "allow-expired"),
    key("tls", "ticket-lifetime", "ticket-lifetime"),
    key("tls", "handshake-timeout", "tls-handshake-timeout"),
    key("tls", "redirect-https", "redirect-https"),
    key("tls", "redirect-except", "redirect-except"),
    key("tls", "hsts", "hsts"),
    key("tls", "hsts-subdomains", "hsts-subdomains"),
    key("tls", "client-ca", "client-ca"),
    key("tls", "client-cert-header", "client-cert-header"),
    key("http2", "enabled", "http2"),
    key("http2", "streams", "http2-streams"),
    key("admin", "listen", "admin"),
    key("admin", "public", "admin-public"),
    key("admin", "hosts", "admin-host"),
    key("explain", "token", "explain-token"),
    key("explain", "sample", "explain-sample"),
    key("explain", "failures", "explain-failures"),
];

/// Why the files of a connection with TLS are fixed: their names are, and their content is not.
const READ_AGAIN: &str = "the process has it from its start, and reads the file again for each connection";

/// Flags of which only the start of a process can change the value, and why.
pub(super) const FIXED: &[(&str, &str)] = &[
    ("workers", "each has connections of its own"),
    ("driver", "all connections are in its hands"),
    ("backlog", "listeners have theirs from their beginning"),
    ("max-connections", "descriptors are shared out at the start"),
    ("drain-timeout", "the process has it from its start"),
    ("log-level", "the log is the process's"),
    ("log-to", "the log is the process's"),
    ("log-format", "the log is the process's"),
    ("access-to", "the log is the process's"),
    ("access-format", "the log is the process's"),
    ("store", "limits are being counted in it"),
    ("store-ca", READ_AGAIN),
    ("store-certificate", READ_AGAIN),
    ("store-key", READ_AGAIN),
    ("cache-store", "responses are in it"),
    ("cache-store-ca", READ_AGAIN),
    ("cache-store-certificate", READ_AGAIN),
    ("cache-store-key", READ_AGAIN),
    ("cache-store-max-object", "the process has it from its start"),
    ("cache-store-timeout", "the process has it from its start"),
    ("cache-size", "what is stored would be lost"),
    ("cache-max-object", "what is stored would be lost"),
    ("pool-queue", "requests are waiting in it"),
    ("ticket-lifetime", "clients have tickets for that time"),
    ("tls-handshake-timeout", "the process has it from its start"),
    ("admin", "the operator is on that line"),
];

/// Flags that are said by the structure of the file, and where.
pub(super) const STRUCTURE: &[(&str, &str)] = &[
    ("listen", "address in [[listen]]"),
    ("tls-listen", "address in [[listen]]"),
    ("backend", "servers in [upstream.NAME]"),
    ("certificate", "certificate in [[site]]"),
    ("key", "key in [[site]]"),
];

/// The flags that count for one upstream.
#[derive(Debug, Parser)]
pub(super) struct Group {
    #[command(flatten)]
    pub(super) balance: Checked<BalanceArgs>,
    #[command(flatten)]
    pub(super) pool: Checked<PoolArgs>,
    #[command(flatten)]
    pub(super) tls: Checked<ServerArgs>,
    #[command(flatten)]
    pub(super) announce: Checked<AnnounceArgs>,
}

/// Their command line.
pub(super) static UPSTREAM_FLAGS: LazyLock<Command> = LazyLock::new(Group::command);

/// The keys for them.
pub(super) const UPSTREAM: &[Key] = &[
    key("", "algorithm", "algorithm"),
    key("", "retries", "retries"),
    key("", "retry-backoff", "retry-backoff"),
    key("", "slow-start", "slow-start"),
    key("", "proxy-protocol", "proxy-protocol"),
    key("health", "probes", "no-health"),
    key("health", "path", "health-path"),
    key("health", "host", "health-host"),
    key("health", "headers", "health-header"),
    key("health", "interval", "health-interval"),
    key("health", "max-interval", "health-max-interval"),
    key("health", "timeout", "health-timeout"),
    key("health", "status", "health-status"),
    key("health", "fail-after", "fail-after"),
    key("health", "recover-after", "recover-after"),
    key("breaker", "failures", "breaker-failures"),
    key("breaker", "open", "breaker-open"),
    key("breaker", "successes", "breaker-successes"),
    key("breaker", "keep", "breaker-keep"),
    key("pool", "max", "pool-max"),
    key("pool", "idle", "pool-idle"),
    key("pool", "idle-timeout", "pool-idle-timeout"),
    key("pool", "lifetime", "pool-lifetime"),
    key("pool", "requests", "pool-requests"),
    key("backend-tls", "ca", "backend-ca"),
    key("backend-tls", "min", "backend-tls-min"),
    key("backend-tls", "certificate", "backend-certificate"),
    key("backend-tls", "key", "backend-key"),
];

/// Values that are not shown: they may hold a password.
pub(super) const SECRET: &[&str] = &["health-header", "explain-token", "store", "cache-store"];

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args as _;
    use std::collections::BTreeSet;

    #[test]
    fn every_flag_of_the_milestones_has_its_key() {
        let command = Command::new("all");
        let command = Checked::<ProxyArgs>::augment_args(command);
        let command = Checked::<BalanceArgs>::augment_args(command);
        let command = Checked::<PoolArgs>::augment_args(command);
        let command = Checked::<CacheArgs>::augment_args(command);
        let command = Checked::<TlsArgs>::augment_args(command);
        let command = Checked::<Http2Args>::augment_args(command);
        let command = Checked::<LogArgs>::augment_args(command);
        let command = Checked::<MarkArgs>::augment_args(command);
        let command = Checked::<ExplainArgs>::augment_args(command);
        let command = Checked::<AnnounceArgs>::augment_args(command);
        let command = Checked::<SharingArgs>::augment_args(command);
        let command = Checked::<SecondLevelArgs>::augment_args(command);
        let flags: BTreeSet<String> =
            command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
        let keys = GLOBAL.iter().chain(UPSTREAM).map(|key| key.flag).chain(STRUCTURE.iter().map(|(flag, _)| *flag));
        let mut known = BTreeSet::new();
        for flag in keys {
            assert!(known.insert(flag.to_owned()), "{flag} has two keys");
        }
        assert_eq!(flags, known);
        assert!(known.len() > 75, "{}", known.len());
    }

    #[test]
    fn no_key_is_there_twice() {
        for keys in [GLOBAL, UPSTREAM] {
            let paths: BTreeSet<String> = keys.iter().map(Key::path).collect();
            assert_eq!(paths.len(), keys.len());
        }
        Global::command().debug_assert();
        Group::command().debug_assert();
    }
}
