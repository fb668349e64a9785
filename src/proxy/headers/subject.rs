//! The subject of the client's certificate, told to the backend (`--client-cert-header`).

use crate::{http::Fields, proxy::config::Forwarding};

/// Writes the field, if there is something to tell beside the request's `fields`. A gateway that we trust may have told the subject of its own client already.
pub(super) fn write(out: &mut Vec<u8>, subject: Option<&str>, fields: &Fields, forwarding: &Forwarding) {
    let (Some(name), Some(subject)) = (&forwarding.client_cert_header, subject) else { return };
    if fields.contains(name) {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    encode(out, subject);
    out.extend_from_slice(b"\r\n");
}

/// Letters, digits and signs as they are, all other bytes as `%XX`. An authority may sign any text, and no subject must pass for another
/// one: not by the end of a line in it, nor by spaces that its reader cuts off.
fn encode(out: &mut Vec<u8>, subject: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in subject.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_subject_passes_for_another() {
        for (subject, written) in [
            ("alice", "alice"),
            ("CN=a,O=b \"c\"", "CN=a,O=b%20\"c\""),
            (" alice", "%20alice"),
            ("%20alice", "%2520alice"),
            ("a\r\nX-Admin: 1", "a%0D%0AX-Admin:%201"),
            ("é\u{7f}", "%C3%A9%7F"),
        ] {
            let mut out = Vec::new();
            encode(&mut out, subject);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }
}
