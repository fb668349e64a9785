//! The page, and what a browser may do on it.

use crate::websocket::base64;
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::OnceLock;

/// One file, with its style and its script in it.
pub(crate) const PAGE: &str = include_str!("page.html");

/// The page's `Content-Security-Policy`: its own style and script, known by their hashes, and connections to where it came from. So text
/// of other people stays text, whatever a mistake in the script made of it.
pub(crate) fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        format!(
            "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            hash_of("script"),
            hash_of("style"),
        )
    })
}

/// The hash of the text between an element's tags.
fn hash_of(element: &str) -> String {
    let inside = inside(element).unwrap_or_default();
    format!("'sha256-{}'", base64(digest(&SHA256, inside.as_bytes()).as_ref()))
}

fn inside(element: &str) -> Option<&'static str> {
    let (_, after) = PAGE.split_once(&format!("<{element}>"))?;
    Some(after.split_once(&format!("</{element}>"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_knows_one_script_and_one_style() {
        for element in ["script", "style"] {
            assert!(inside(element).is_some_and(|text| text.len() > 100), "{element}");
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1, "{element}");
        }
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=",
            " onclick",
            "http://",
        ] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
    }
}
