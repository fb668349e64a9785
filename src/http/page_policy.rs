//! The `Content-Security-Policy` of a page in one file: its own style and script, known by their hashes, and requests to where it came
//! from. So text of other people stays text, whatever a mistake in the script made of it.

use crate::units::base64;
use aws_lc_rs::digest::{SHA256, digest};

/// The policy for a page with one `<script>` and one `<style>` in it.
#[must_use]
pub fn page_policy(page: &str) -> String {
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'",
        hash_of(page, "script"),
        hash_of(page, "style"),
    )
}

/// The hash of the text between an element's tags.
fn hash_of(page: &str, element: &str) -> String {
    let inside = inside(page, element).unwrap_or_default();
    format!("'sha256-{}'", base64(digest(&SHA256, inside.as_bytes()).as_ref()))
}

fn inside<'a>(page: &'a str, element: &str) -> Option<&'a str> {
    let (_, after) = page.split_once(&format!("<{element}>"))?;
    Some(after.split_once(&format!("</{element}>"))?.0)
}

/// Says what stands against such a page: more than the policy knows, and ways to make elements of text.
#[cfg(test)]
pub(crate) fn page_faults(page: &str) -> Vec<String> {
    const FORBIDDEN: [&str; 8] =
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick", "http://"];
    let mut faults: Vec<String> =
        FORBIDDEN.into_iter().filter(|word| page.contains(word)).map(ToOwned::to_owned).collect();
    for element in ["script", "style"] {
        let is_long = inside(page, element).is_some_and(|text| text.len() > 100);
        if !is_long || page.matches(&format!("<{element}")).count() != 1 {
            faults.push(format!("one <{element}>"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_has_the_hashes_of_script_and_style() {
        let policy = page_policy("<style>a</style><script>b</script>");
        // printf a | openssl dgst -sha256 -binary | base64
        assert!(policy.contains("style-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='"), "{policy}");
        assert!(policy.contains("script-src 'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='"), "{policy}");
    }

    #[test]
    fn a_page_of_two_scripts_has_a_fault() {
        let page = |more: &str| format!("<style>{0}</style><script>{0}</script>{more}", "x".repeat(101));
        assert_eq!(page_faults(&page("")), Vec::<String>::new());
        assert_eq!(page_faults(&page("<script src=x></script>")), ["one <script>"]);
        assert_eq!(page_faults(&page("<p style=x>")), [" style="]);
    }
}
