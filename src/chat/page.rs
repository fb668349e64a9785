//! The page, and what a browser may do on it.

use crate::http::page_policy;
use std::sync::OnceLock;

/// One file, with its style and its script in it.
pub(crate) const PAGE: &str = include_str!("page.html");

/// The page's `Content-Security-Policy`.
pub(crate) fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| page_policy(PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page_faults;

    #[test]
    fn the_page_is_one_script_and_one_style_and_makes_no_elements_of_text() {
        assert_eq!(page_faults(PAGE), Vec::<String>::new());
    }
}
