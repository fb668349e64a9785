//! The flags of TLS.

use super::{
    redirect::{Redirect, strict_transport_security},
    servers::ServerArgs,
};
use crate::{
    cache::Pattern,
    cli::address,
    http::claims::{Claim, Says, claim},
    net::ListenOptions,
    tls::MinVersion,
    units::{Flags, Pointless, duration, nonzero_duration},
};
use clap::Args;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// Flags of milestone 5: TLS towards clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Address to listen on for HTTPS, beside --listen; with port 0 the system chooses one, and the READY-TLS line tells which
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443", value_parser = address)]
    pub(super) tls_listen: SocketAddr,

    /// A certificate and those that vouch for it, in PEM, the server's own first; may be given several times, each with its --key.
    /// Without any, one for localhost is made on the spot
    ///
    /// A client gets the certificate that is for the name it asks for, and the first one if none is.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) certificate: Vec<PathBuf>,

    /// The private key of the --certificate before it, in PEM (PKCS#8, PKCS#1 or SEC1), without a password
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(super) key: Vec<PathBuf>,

    /// The oldest version of TLS that is spoken
    #[arg(long, value_name = "1.2|1.3", default_value = "1.2", hide_possible_values = true)]
    pub(super) tls_min: MinVersion,

    /// Refuse a client that asks for a name without a certificate, or for none (alert unrecognized_name)
    #[arg(long)]
    pub(super) sni_strict: bool,

    /// Start with a certificate that has expired, or is not valid yet
    #[arg(long, requires = "certificate")]
    pub(super) allow_expired: bool,

    /// How long a client may resume its session without a full handshake; 0s: never
    ///
    /// A thief of the key of a ticket can read the connections that were resumed with it. The keys are in memory
    /// alone, and are replaced once in this time.
    #[arg(long, value_name = "TIME", default_value = "6h", value_parser = lifetime)]
    pub(super) ticket_lifetime: Duration,

    /// For a handshake; a client that takes longer is let go
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration)]
    pub(super) tls_handshake_timeout: Duration,

    /// Answer requests without TLS with a redirect (308) to the same path over TLS; to another PORT than that of --tls-listen, if
    /// clients see another one
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    redirect_https: Option<u16>,

    /// A path that --redirect-https leaves alone, with * for any number of any characters; may be given several times
    #[arg(long, value_name = "PATH", requires = "redirect_https")]
    redirect_except: Vec<Pattern>,

    /// Tell browsers to use nothing but TLS for so long (Strict-Transport-Security), in answers over TLS
    #[arg(long, value_name = "TIME", value_parser = duration)]
    hsts: Option<Duration>,

    /// With --hsts: for all names below the host's, too
    #[arg(long, requires = "hsts")]
    hsts_subdomains: bool,

    /// Ask clients for a certificate, which one of those in this file has to have signed
    #[arg(long, value_name = "FILE")]
    pub(super) client_ca: Option<PathBuf>,

    /// Tell backends the subject of the client's certificate in this field, for example X-SSL-Client-Subject
    ///
    /// The value is the common name, or the whole subject without one. Bytes other than letters, digits and signs are written as %XX.
    /// Fields of that name from clients are removed, so the name has to be one of those that only a gateway sends: X-SSL-*,
    /// SSL-Client-*, X-Client-Cert*, Remote-User or the like. Requests with a certificate are not answered from the cache then.
    #[arg(long, value_name = "NAME", requires = "client_ca", value_parser = gateways_field)]
    pub(in crate::proxy) client_cert_header: Option<Box<str>>,

    /// Hosts of a certificate that is made on the spot, beside localhost.
    #[arg(skip)]
    pub(in crate::proxy) demo_hosts: Vec<String>,

    #[command(flatten)]
    pub(in crate::proxy) backends: ServerArgs,
}

/// Seven days are the most that TLS 1.3 allows (RFC 8446 §4.6.1).
const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

fn lifetime(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    match time {
        _ if time > MAX_LIFETIME => Err("must be at most 7days".to_owned()),
        _ if time.subsec_nanos() > 0 => Err("must be whole seconds".to_owned()),
        _ => Ok(time),
    }
}

/// A name that strangers cannot send: fields of that name, and of those that servers take for it, are removed already.
fn gateways_field(text: &str) -> Result<Box<str>, String> {
    match claim(text.as_bytes()) {
        Claim::Gateway(Says::Other) => Ok(text.into()),
        Claim::None | Claim::Gateway(_) | Claim::Method | Claim::Disguise => {
            Err("backends must take nobody's word for it but ours: use a name like X-SSL-Client-Subject".to_owned())
        }
    }
}

impl Flags for TlsArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

impl TlsArgs {
    /// Where plain requests are sent. Its port is 0 until it is known.
    pub(in crate::proxy) fn redirect(&self) -> Option<Redirect> {
        self.redirect_https.map(|port| Redirect { port, except: self.redirect_except.clone() })
    }

    /// The words of answers over TLS about later ones.
    pub(in crate::proxy) fn hsts(&self) -> Option<Arc<str>> {
        self.hsts.map(|lifetime| strict_transport_security(lifetime, self.hsts_subdomains))
    }

    /// Where to listen.
    pub(in crate::proxy) fn options(&self, backlog: u32) -> ListenOptions {
        ListenOptions { backlog, ..ListenOptions::set_by("--tls-listen", self.tls_listen) }
    }

    /// Finds a contradiction between the flags.
    ///
    /// # Errors
    ///
    /// A line that says what to do.
    pub(in crate::proxy) fn check(&self, listen: SocketAddr) -> Result<(), String> {
        let (certificates, keys) = (self.certificate.len(), self.key.len());
        if certificates != keys {
            return Err(format!(
                "--certificate is given {certificates} times and --key {keys} times: each certificate needs its key"
            ));
        }
        if self.tls_listen == listen && listen.port() != 0 {
            return Err(format!("--listen and --tls-listen are both {listen}: each needs a port of its own"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Checked;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        tls: Checked<TlsArgs>,
    }

    fn parse(line: &str) -> Result<TlsArgs, String> {
        let cli = Cli::try_parse_from(["test"].into_iter().chain(line.split_whitespace()));
        cli.map(|cli| cli.tls.0).map_err(|error| error.to_string())
    }

    #[test]
    fn each_certificate_has_its_key() {
        let listen = "127.0.0.1:8080".parse().unwrap();
        let check = |line| parse(line).and_then(|args| args.check(listen));
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("--certificate a --key b --certificate c --key d"), Ok(()));
        for (line, problem) in [
            ("--certificate a", "--key <FILE>"),
            ("--key a", "--certificate <FILE>"),
            ("--certificate a --certificate b --key c", "given 2 times and --key 1 times"),
            ("--tls-listen 127.0.0.1:8080", "each needs a port of its own"),
            ("--allow-expired", "--certificate <FILE>"),
            ("--ticket-lifetime 8days", "at most 7days"),
            ("--ticket-lifetime 1500ms", "whole seconds"),
            ("--tls-min 1.1", "1.1"),
            ("--client-cert-header X-SSL-Client", "--client-ca <FILE>"),
            ("--client-ca a --client-cert-header X-Mine", "use a name like"),
            ("--client-ca a --client-cert-header Host", "use a name like"),
            ("--client-ca a --client-cert-header X_SSL_Client", "use a name like"),
            ("--client-ca a --client-cert-header X-Forwarded-For", "use a name like"),
        ] {
            let error = check(line).unwrap_err();
            assert!(error.contains(problem), "{line}: {error}");
        }
        assert_eq!(parse("--ticket-lifetime 7days").unwrap().ticket_lifetime, MAX_LIFETIME);
        for name in ["X-SSL-Client-Subject", "Remote-User", "Client-Cert-Subject"] {
            let args = parse(&format!("--client-ca a --client-cert-header {name}")).unwrap();
            assert_eq!(args.client_cert_header.as_deref(), Some(name));
        }
    }
}
