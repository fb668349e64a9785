//! Descriptors that are kept for connections which must be accepted when the process has none left.

use socket2::{Domain, Socket, Type};
use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

/// Copies of one descriptor, which is open for nothing: each can be exchanged for a connection. It is no listener's, because a listener of
/// which a copy is left stays open: its clients would wait where nobody accepts.
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
    pub(in crate::net) fn keep(&mut self, open: usize) {
        while self.kept.len() + open < self.most
            && let Ok(one) = self.another()
        {
            self.kept.push(one);
        }
    }

    fn another(&self) -> io::Result<OwnedFd> {
        match self.kept.first() {
            Some(one) => one.as_fd().try_clone_to_owned(),
            None => Ok(Socket::new(Domain::UNIX, Type::DGRAM, None)?.into()),
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

    #[test]
    fn each_connection_has_one_or_is_one() {
        let mut spare = Spare::new(2);
        spare.keep(1);
        assert_eq!([spare.release(), spare.release()], [true, false]);
        spare.keep(2);
        assert!(!spare.release());
        spare.keep(0);
        spare.keep(0);
        assert_eq!([spare.release(), spare.release(), spare.release()], [true, true, false]);
        let mut nobody = Spare::default();
        nobody.keep(0);
        assert!(!nobody.release());
    }
}
