//! The first words of a proxy: on stdout where it listens, for programs; on stderr what runs and what to try, for people.

use super::secured::Secured;
use crate::{backend::Backend, cli, units::Counted};
use std::net::SocketAddr;

/// Where a proxy listens.
pub(super) struct Places<'a> {
    pub(super) plain: SocketAddr,
    /// Its clients name the server.
    pub(super) forward: bool,
    /// And what can be asked for there.
    pub(super) admin: Option<(SocketAddr, &'static str)>,
    pub(super) tls: Option<&'a Secured>,
}

impl Places<'_> {
    /// On stdout.
    pub(super) fn announce(&self) {
        cli::ready(self.plain);
        self.tls_address().into_iter().for_each(cli::ready_tls);
    }

    fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.and_then(Secured::address)
    }

    /// On stderr.
    pub(super) fn greet(&self, backends: &[Backend], workers: usize, demo: bool) {
        let list: Vec<&str> = backends.iter().map(|backend| backend.name.as_str()).collect();
        let workers = Counted::new(workers, "worker");
        if self.forward {
            tracing::info!("listening on http://{}, {workers}, for requests to any server", self.plain);
        } else {
            tracing::info!("listening on http://{}, {workers}, backends: {}", self.plain, list.join(" "));
        }
        if let Some((admin, paths)) = self.admin {
            tracing::info!("admin on http://{admin}{paths}");
        }
        if let (Some(secured), Some(at)) = (self.tls, self.tls_address()) {
            tracing::info!("listening on https://{at}, certificates: {}", secured.describe());
            if secured.is_self_signed() {
                tracing::warn!(
                    "the certificate was made on the spot and no client trusts it: give your own with --certificate and --key"
                );
            }
        }
        if demo {
            self.suggest();
        }
        if self.forward {
            self.suggest_requests();
        }
    }

    fn suggest_requests(&self) {
        let address = self.plain;
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
        let address = self.plain;
        let tls = self.tls_address().map_or_else(String::new, |at| {
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
