//! The first words of a proxy: on stdout where it listens, for programs; on stderr what runs and what to try, for people.

use super::secured::Secured;
use crate::{backend::Backend, cli, net::DriverChoice, units::Counted};
use std::net::SocketAddr;

/// Where a proxy listens.
pub(super) struct Places<'a> {
    pub(super) plain: Vec<SocketAddr>,
    pub(super) secure: Vec<SocketAddr>,
    /// Its clients name the server.
    pub(super) forward: bool,
    /// The names of its sites.
    pub(super) sites: Vec<String>,
    /// And what can be asked for there.
    pub(super) admin: Option<(SocketAddr, &'a str)>,
    pub(super) tls: Option<&'a Secured>,
}

impl Places<'_> {
    /// On stdout.
    pub(super) fn announce(&self) {
        self.plain.iter().copied().for_each(cli::ready);
        self.secure.iter().copied().for_each(cli::ready_tls);
    }

    /// On stderr.
    pub(super) fn greet(&self, driver: &DriverChoice, backends: &[Backend], workers: usize, demo: bool) {
        tracing::info!("{driver}");
        let workers = Counted::new(workers, "worker");
        let about = self.about(backends);
        for plain in &self.plain {
            tracing::info!("listening on http://{plain}, {workers}, {about}");
        }
        if let Some((admin, paths)) = self.admin {
            tracing::info!("admin on http://{admin}{paths}");
        }
        if let Some(secured) = self.tls {
            for at in &self.secure {
                tracing::info!("listening on https://{at}, certificates: {}", secured.describe());
            }
            if secured.is_self_signed() && !self.secure.is_empty() {
                let own = if self.sites.is_empty() { "with --certificate and --key" } else { "in [[site]]" };
                tracing::warn!("the certificate was made on the spot and no client trusts it: give your own {own}");
            }
        }
        if demo {
            self.suggest();
        }
        if self.forward {
            self.suggest_requests();
        }
    }

    /// The requests that it listens for.
    fn about(&self, backends: &[Backend]) -> String {
        if self.forward {
            return "for requests to any server".to_owned();
        }
        let names = backends.iter().map(|backend| &backend.name);
        match &self.sites[..] {
            [] => format!("backends: {}", first_of(names)),
            sites => format!("sites: {}, servers: {}", first_of(sites.iter()), first_of(names)),
        }
    }

    fn suggest_requests(&self) {
        let [address, ..] = &self.plain[..] else { return };
        cli::say(&format!(
            "\
Try, from another terminal:
  curl -x {address} -i http://example.com/        # the proxy asks for it
  curl -x {address} -i https://example.com/       # a tunnel: the proxy sees no more than the name
  curl -x {address} -i http://localhost:3000/     # 403: this machine's own addresses are out of bounds
With --allow 127.0.0.0/8 it goes there, too; --help shows everything. Ctrl-C ends it.
"
        ));
    }

    fn suggest(&self) {
        let [address, ..] = &self.plain[..] else { return };
        let tls = self.secure.first().map_or_else(String::new, |at| {
            format!(
                "  curl -ki https://localhost:{port}/           # over TLS; -k, because the certificate was made on the spot\n  \
                   curl -kv https://localhost:{port}/headers    # the handshake, and X-Forwarded-Proto: https\n",
                port = at.port()
            )
        });
        cli::say(&format!(
            "\
These are demo backends. Try, from another terminal:
  curl -i http://{address}/                # each request another backend
  curl -i http://{address}/headers         # what a backend gets to see
  curl -i http://{address}/max-age/60      # twice: with a cache it comes from memory then
  curl -o /dev/null http://{address}/bytes/1000000000
{tls}With --backend HOST:PORT it fronts your own servers; --help shows everything. Ctrl-C ends it.
"
        ));
    }
}

/// Names that are listed one by one. A line of the log is for people.
const LISTED: usize = 20;

/// The first of many names, and how many more there are.
fn first_of<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let listed: Vec<&str> = names.take(LISTED).map(String::as_str).collect();
    if more > 0 { format!("{} and {more} more", listed.join(" ")) } else { listed.join(" ") }
}
