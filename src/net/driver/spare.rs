//! Descriptors that are kept for connections which must be accepted when the process has none left.

use std::os::fd::{AsFd, OwnedFd};

/// Copies of some descriptor: what they are open for does not matter, only that each can be exchanged for a connection.
#[derive(Debug, Default)]
pub(in crate::net) struct Spare {
    kept: Vec<OwnedFd>,
    /// For so many connections, those that are open included.
    most: usize,
}

impl Spare {
    /// For `most` connections; none are kept yet.
    pub(in crate::net) fn new(most: usize) -> Self {
        Self { kept: Vec::new(), most }
    }

    /// Keeps one for each connection that may still come, as far as there are any; `open` connections have theirs.
    pub(in crate::net) fn keep(&mut self, of: &impl AsFd, open: usize) {
        while self.kept.len() + open < self.most
            && let Ok(copy) = of.as_fd().try_clone_to_owned()
        {
            self.kept.push(copy);
        }
    }

    /// Gives one up, for whatever is opened next. `false`: there is none.
    pub(in crate::net) fn release(&mut self) -> bool {
        self.kept.pop().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn each_connection_has_one_or_is_one() {
        let file = File::open("/dev/null").unwrap();
        let mut spare = Spare::new(2);
        spare.keep(&file, 1);
        assert_eq!([spare.release(), spare.release()], [true, false]);
        spare.keep(&file, 2);
        assert!(!spare.release());
        spare.keep(&file, 0);
        spare.keep(&file, 0);
        assert_eq!([spare.release(), spare.release(), spare.release()], [true, true, false]);
        let mut nobody = Spare::default();
        nobody.keep(&file, 0);
        assert!(!nobody.release());
    }
}
