//! In which order the addresses of a server are tried, and how long each of them may take: RFC 8305 in small.
//!
//! ```text
//!   round one   the address that worked last, then the others in the resolver's order; each one that is not known to work
//!               has 250 ms, and one that refuses makes way at once
//!   round two   those that said nothing in their 250 ms, with equal shares of the time that is left
//! ```
//!
//! RFC 8305 lets an attempt go on while the next one begins. Here it ends first: a server with a limit of ten connections
//! must not see eleven, and a pool counts what it opens. An address that is slow for good (a far network) costs that time
//! once: when it has worked, it comes first and has more than 250 ms.

use super::DeadlineBudget;
use crate::{backend::Addresses, time::Instant};
use std::{io::ErrorKind, net::SocketAddr, time::Duration};

/// How long an address may say nothing before the next one is tried: the Connection Attempt Delay (RFC 8305 §8).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// One try to connect to a server, whichever of its addresses it is at.
#[derive(Debug)]
pub struct Dial {
    addresses: Addresses,
    budget: DeadlineBudget,
    /// Positions of addresses that were not tried yet.
    untried: Positions,
    /// Positions of addresses that said nothing in round one.
    silent: Positions,
    current: Option<(usize, Round)>,
    verdict: Option<ErrorKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    One,
    Two,
}

impl Dial {
    /// All addresses together have the time of `budget`.
    #[must_use]
    pub fn new(addresses: &Addresses, budget: DeadlineBudget) -> Self {
        Self {
            untried: Positions::first(addresses.list().len()),
            silent: Positions::default(),
            addresses: addresses.clone(),
            budget,
            current: None,
            verdict: None,
        }
    }

    /// The next address to try, and for how long. `None`: there is none, or no time; [`Dial::verdict`] says why.
    pub fn next(&mut self, now: Instant) -> Option<(SocketAddr, Duration)> {
        let worked = self.addresses.worked();
        let trusted = worked.filter(|index| self.untried.contains(*index));
        let (index, round) = match trusted.or_else(|| self.untried.lowest()) {
            Some(index) => (index, Round::One),
            None => (self.silent.lowest()?, Round::Two),
        };
        self.untried.remove(index);
        self.silent.remove(index);
        let left = self.untried.count() + self.silent.count() + 1;
        let share = self.budget.for_try(now, left);
        let share =
            if left == 1 || round == Round::Two || trusted.is_some() { share } else { share.min(ATTEMPT_DELAY) };
        if share.is_zero() {
            return None;
        }
        self.current = Some((index, round));
        Some((self.addresses.list()[index], share))
    }

    /// There is no connection to the address of the last [`Dial::next`]; [`ErrorKind::TimedOut`]: it said nothing in its time.
    /// Tells whether that says more about the server than what the addresses before have said.
    pub fn failed(&mut self, error: ErrorKind) -> bool {
        if is_our_shortage(error) && error != ErrorKind::AddrNotAvailable {
            // No other address can be tried either, and what others said before is not why this ends.
            (self.untried, self.silent) = (Positions::default(), Positions::default());
            self.verdict = Some(error);
            return true;
        }
        if let (ErrorKind::TimedOut, Some((index, Round::One))) = (error, self.current) {
            self.silent.insert(index);
        }
        // The first one is the one that the user thinks of; but an address that this machine has no way to says nothing about
        // the server.
        let telling = match self.verdict {
            None => true,
            Some(before) => is_unreachable_from_here(before) && !is_unreachable_from_here(error),
        };
        if telling {
            self.verdict = Some(error);
        }
        telling
    }

    /// There is a connection to the address of the last [`Dial::next`]: the next [`Dial`] begins with it.
    pub fn connected(&self) {
        if let Some((index, _)) = self.current {
            self.addresses.remember(index);
        }
    }

    /// Why there is no connection.
    #[must_use]
    pub fn verdict(&self) -> ErrorKind {
        match self.verdict {
            // Where no connection was ever possible, it is not that all local ports are in use.
            Some(ErrorKind::AddrNotAvailable) if self.addresses.worked().is_none() => ErrorKind::HostUnreachable,
            Some(error) => error,
            None => ErrorKind::TimedOut,
        }
    }
}

/// Whether a connection failed for want of something on this side: descriptors, memory, local ports. No peer is to blame.
///
/// `net::connect` sees to it that a process without descriptors is told by [`ErrorKind::QuotaExceeded`].
#[must_use]
pub fn is_our_shortage(error: ErrorKind) -> bool {
    use ErrorKind::{AddrInUse, AddrNotAvailable, OutOfMemory, QuotaExceeded};
    matches!(error, QuotaExceeded | OutOfMemory | AddrNotAvailable | AddrInUse)
}

/// As IPv6 addresses are on a machine without IPv6.
fn is_unreachable_from_here(error: ErrorKind) -> bool {
    use ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable, Unsupported};
    matches!(error, AddrNotAvailable | HostUnreachable | NetworkUnreachable | Unsupported)
}

/// A set of positions in a list of at most [`crate::backend::MAX_ADDRESSES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Positions(u16);

impl Positions {
    fn first(count: usize) -> Self {
        let mut all = Self::default();
        (0..count).for_each(|index| all.insert(index));
        all
    }

    fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    fn remove(&mut self, index: usize) {
        self.0 &= !(1 << index);
    }

    fn lowest(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    fn count(self) -> u32 {
        self.0.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::base, *};
    use crate::backend::MAX_ADDRESSES;

    const SECOND: Duration = Duration::from_secs(1);
    const REFUSED: ErrorKind = ErrorKind::ConnectionRefused;
    const SILENT: ErrorKind = ErrorKind::TimedOut;

    fn addresses(n: u16) -> Addresses {
        Addresses::new(&(1..=n).map(|port| ([127, 0, 0, 1], port).into()).collect::<Vec<_>>())
    }

    /// Plays one dial: each address does what `fate` says of its port, `None`: it accepts. Gives what was tried, as port and
    /// milliseconds, and how long all of it took.
    fn play(dial: &mut Dial, start: Instant, fate: impl Fn(u16) -> Option<ErrorKind>) -> (Vec<(u16, u128)>, Duration) {
        let (mut now, mut tried) = (start, Vec::new());
        while let Some((address, share)) = dial.next(now) {
            tried.push((address.port(), share.as_millis()));
            match fate(address.port()) {
                None => {
                    dial.connected();
                    break;
                }
                Some(error) => {
                    now += if error == SILENT { share } else { Duration::ZERO };
                    dial.failed(error);
                }
            }
        }
        (tried, now - start)
    }

    #[test]
    fn one_address_has_all_the_time_and_refusals_cost_none() {
        let (start, budget) = (base(), |start| DeadlineBudget::new(5 * SECOND, start));
        let mut dial = Dial::new(&addresses(1), budget(start));
        assert_eq!(play(&mut dial, start, |_| Some(SILENT)), (vec![(1, 5000)], 5 * SECOND));
        assert_eq!(dial.verdict(), SILENT);
        let mut dial = Dial::new(&addresses(3), budget(start));
        let refuses = |port| (port != 3).then_some(REFUSED);
        assert_eq!(play(&mut dial, start, refuses), (vec![(1, 250), (2, 250), (3, 5000)], Duration::ZERO));
    }

    #[test]
    fn a_silent_address_makes_way_after_250_ms_and_has_a_second_chance() {
        let start = base();
        let two = addresses(2);
        let mut dial = Dial::new(&two, DeadlineBudget::new(5 * SECOND, start));
        let (tried, took) = play(&mut dial, start, |port| (port == 1).then_some(SILENT));
        assert_eq!((tried, took), (vec![(1, 250), (2, 250)], ATTEMPT_DELAY));
        // Both are silent: round two shares what is left, and the whole is over in time.
        let mut dial = Dial::new(&addresses(2), DeadlineBudget::new(5 * SECOND, start));
        let (tried, took) = play(&mut dial, start, |_| Some(SILENT));
        assert_eq!((tried, took), (vec![(1, 250), (2, 250), (1, 2250), (2, 2250)], 5 * SECOND));
        // One that refused has none.
        let mut dial = Dial::new(&addresses(2), DeadlineBudget::new(5 * SECOND, start));
        let (tried, _) = play(&mut dial, start, |port| Some(if port == 1 { REFUSED } else { SILENT }));
        assert_eq!(tried, [(1, 250), (2, 5000)]);
    }

    #[test]
    fn the_address_that_worked_comes_first_and_has_a_full_share() {
        let start = base();
        let three = addresses(3);
        let dial = |all: &Addresses| Dial::new(all, DeadlineBudget::new(6 * SECOND, start));
        play(&mut dial(&three), start, |port| (port != 3).then_some(REFUSED));
        assert_eq!(play(&mut dial(&three), start, |_| None).0, [(3, 2000)]);
        // It died: the others have their turn, and the one that accepts is remembered.
        let gone = |port| (port != 2).then_some(REFUSED);
        assert_eq!(play(&mut dial(&three), start, gone).0, [(3, 2000), (1, 250), (2, 6000)]);
        assert_eq!(three.worked(), Some(1));
    }

    #[test]
    fn little_time_is_shared_and_none_is_not_begun() {
        let start = base();
        let mut dial = Dial::new(&addresses(4), DeadlineBudget::new(Duration::from_millis(100), start));
        let (tried, took) = play(&mut dial, start, |_| Some(SILENT));
        assert_eq!(tried[..2], [(1, 25), (2, 18)]);
        assert!(took <= Duration::from_millis(100), "{took:?}");
        let mut late = Dial::new(&addresses(2), DeadlineBudget::new(SECOND, start));
        assert_eq!((late.next(start + SECOND), late.verdict()), (None, SILENT));
    }

    #[test]
    fn the_verdict_is_the_servers_and_not_that_of_a_family_which_this_machine_lacks() {
        use ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable, QuotaExceeded};
        const CASES: &[(&[ErrorKind], ErrorKind)] = &[
            (&[REFUSED, AddrNotAvailable], REFUSED),
            (&[AddrNotAvailable, REFUSED], REFUSED),
            (&[NetworkUnreachable, SILENT, NetworkUnreachable], SILENT),
            (&[SILENT, REFUSED], SILENT),
            (&[REFUSED, SILENT], REFUSED),
            (&[NetworkUnreachable, AddrNotAvailable], NetworkUnreachable),
            (&[AddrNotAvailable], HostUnreachable),
            (&[REFUSED, QuotaExceeded, REFUSED], QuotaExceeded),
        ];
        for (fates, verdict) in CASES {
            let mut dial = Dial::new(&addresses(fates.len() as u16), DeadlineBudget::new(5 * SECOND, base()));
            play(&mut dial, base(), |port| Some(fates[usize::from(port) - 1]));
            assert_eq!(dial.verdict(), *verdict, "{fates:?}");
        }
    }

    #[test]
    fn without_descriptors_no_second_address_is_tried_and_ports_run_out_only_where_some_were_had() {
        let (start, two) = (base(), addresses(2));
        let mut dial = Dial::new(&two, DeadlineBudget::new(SECOND, start));
        assert_eq!(play(&mut dial, start, |_| Some(ErrorKind::QuotaExceeded)).0.len(), 1);
        two.remember(0);
        let mut dial = Dial::new(&two, DeadlineBudget::new(SECOND, start));
        play(&mut dial, start, |_| Some(ErrorKind::AddrNotAvailable));
        assert_eq!(dial.verdict(), ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn as_many_addresses_as_there_may_be_are_tried() {
        let start = base();
        let mut dial = Dial::new(&addresses(40), DeadlineBudget::new(5 * SECOND, start));
        let (tried, _) = play(&mut dial, start, |_| Some(REFUSED));
        assert_eq!(tried.len(), MAX_ADDRESSES);
    }
}
