//! A certificate for localhost, made on the spot, so that HTTPS can be tried without any files. No client trusts it.

use crate::tls::{Pair, Problem};
use rcgen::{CertificateParams, KeyPair};
use rustls::{crypto::CryptoProvider, pki_types::PrivateKeyDer};
use std::time::{Duration, SystemTime};

/// The names by which a program on this machine is asked for.
const NAMES: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// A year: longer than any trial runs.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// Clocks of virtual machines differ.
const EARLIER: Duration = Duration::from_secs(3600);

/// A pair that is valid from now on, for this machine and these `hosts`.
///
/// # Errors
///
/// This machine has no randomness.
pub(super) fn self_signed(hosts: &[String], now: SystemTime, provider: &CryptoProvider) -> Result<Pair, Problem> {
    let made = || {
        let key = KeyPair::generate()?;
        let more = hosts.iter().map(|host| host.trim_matches(['[', ']'])).filter(|host| !NAMES.contains(host));
        let names: Vec<String> = NAMES.iter().copied().chain(more).map(str::to_owned).collect();
        let mut parameters = CertificateParams::new(names)?;
        parameters.not_before = (now - EARLIER).into();
        parameters.not_after = (now + LIFETIME).into();
        Ok((parameters.self_signed(&key)?.der().clone(), key.serialize_der()))
    };
    let (certificate, key) = made().map_err(|_: rcgen::Error| Problem::Unsupported)?;
    Pair::of(vec![certificate], PrivateKeyDer::Pkcs8(key.into()), Some(now), provider)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{net::clock, tls};

    #[test]
    fn it_is_for_this_machine_and_works() {
        let now = clock::now().wall;
        let pair = self_signed(&["shop.localhost".to_owned()], now, &tls::provider()).unwrap();
        for host in ["localhost", "127.0.0.1", "[::1]", "shop.localhost"] {
            assert!(pair.names.cover(host), "{host}");
        }
        assert!(!pair.names.cover("example.com") && !pair.ends_soon(now));
    }
}
