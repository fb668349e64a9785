//! Which requests are explained: those that say the token, one in so many, and those that fail.

use super::{Book, Explanation, Known, Record, explanation::Why};
use crate::{
    backend::BackendId,
    http::{BodyLength, RequestHead},
    proxy::{
        failure::Failure,
        record::{Record as Line, printable},
    },
    time::Instant,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use rand::{Rng, RngExt as _};
use std::sync::Arc;

/// The field by which a request asks to be explained, and by which its answer names the explanation.
pub(in crate::proxy) const FIELD: &str = "Explain";

/// Which requests are explained. By default, none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExplainConfig {
    /// Those that say this.
    pub token: Option<Box<str>>,
    /// One in so many.
    pub one_in: Option<u32>,
    /// Those that fail.
    pub failures: bool,
}

/// The explanations of a proxy: which requests get one, and those that are kept.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Watcher {
    config: ExplainConfig,
    pub(in crate::proxy) book: Arc<Book>,
}

impl Watcher {
    /// The explanations that are kept already go on.
    pub(in crate::proxy) fn new(config: ExplainConfig, book: Arc<Book>) -> Self {
        Self { config, book }
    }

    /// The head of a request is here. It does not say the token any more: that is for us alone.
    pub(in crate::proxy) fn begin(
        &self,
        head: &mut RequestHead,
        body: BodyLength,
        now: Instant,
        random: &mut impl Rng,
    ) -> Option<Box<Explanation>> {
        let is_marked = match (&self.config.token, head.fields.get(FIELD)) {
            // In a time that does not depend on where they differ: a token is not found out byte by byte.
            (Some(token), Some(said)) => verify_slices_are_equal(token.as_bytes(), said).is_ok(),
            _ => false,
        };
        if head.fields.contains(FIELD) {
            head.fields.remove(FIELD);
        }
        let mut is_sampled = || self.config.one_in.is_some_and(|many| many == 1 || random.random_range(0..many) == 0);
        let why = if is_marked {
            Why::Marked
        } else if is_sampled() {
            Why::Sampled
        } else if self.config.failures {
            Why::MayFail
        } else {
            return None;
        };
        Some(Box::new(Explanation::new(self.book.number(), why, now, head.clone(), body)))
    }

    /// Of a request that is over: it is kept if it was asked for, or if the request has failed. `known`: the names of what it speaks of.
    pub(in crate::proxy) fn finish(
        &self,
        explanation: Explanation,
        line: &Line,
        outcome: Result<(), Failure>,
        known: impl FnOnce(Vec<BackendId>) -> Known,
        now: Instant,
    ) {
        let failed = outcome.is_err_and(Failure::is_error) || line.status >= 500;
        if failed || explanation.why != Why::MayFail {
            let known = known(explanation.backends());
            self.book.keep(explanation.finish(line, outcome, known, now));
        }
    }

    /// Bytes that were no request.
    pub(in crate::proxy) fn refuse(&self, bytes: &[u8], line: &Line, failure: Failure) {
        if self.config.failures {
            self.book.keep(Record::of_bytes(self.book.number(), &printable(bytes), line, failure));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;
    use rand::{SeedableRng as _, rngs::SmallRng};

    const TOKEN: &str = "0123456789abcdef";

    fn begin(config: ExplainConfig, said: Option<&str>) -> (Option<Why>, bool) {
        let mut head = RequestHead::new(Method::Get, "/").unwrap();
        head.fields = said.iter().map(|said| (FIELD, said)).collect();
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let watcher = Watcher::new(config, Arc::default());
        let explanation = watcher.begin(&mut head, BodyLength::Empty, now, &mut SmallRng::seed_from_u64(1));
        (explanation.map(|explanation| explanation.why), head.fields.contains(FIELD))
    }

    #[test]
    fn a_token_is_compared_whole_and_goes_no_further() {
        let config = || ExplainConfig { token: Some(TOKEN.into()), ..ExplainConfig::default() };
        for (said, marked) in [
            (Some(TOKEN), true),
            (Some("0123456789abcdeF"), false),
            (Some("0123456789abcde"), false),
            (Some("0123456789abcdef0"), false),
            (Some("0123456789abcdef0123456789abcdef"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(begin(config(), said), (marked.then_some(Why::Marked), false), "{said:?}");
        }
        let failures = ExplainConfig { failures: true, ..ExplainConfig::default() };
        assert_eq!(begin(failures, Some(TOKEN)), (Some(Why::MayFail), false), "without a token, nobody is marked");
    }

    #[test]
    fn a_sample_is_one_in_so_many() {
        let config = |many| ExplainConfig { one_in: Some(many), ..ExplainConfig::default() };
        assert_eq!(begin(config(1), None).0, Some(Why::Sampled));
        let watcher = Watcher::new(config(10), Arc::default());
        let mut random = SmallRng::seed_from_u64(7);
        let mut head = RequestHead::new(Method::Get, "/").unwrap();
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let mut begin = |_| watcher.begin(&mut head, BodyLength::Empty, now, &mut random).is_some();
        let sampled = (0..10_000).map(&mut begin).filter(|sampled| *sampled).count();
        assert!((850..1150).contains(&sampled), "{sampled}");
    }
}
