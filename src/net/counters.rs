//! Numbers that several threads count with, and if asked for, children of a fork, too.
//!
//! After a fork parent and child have a copy of everything. Numbers that both are to see have to lie in memory that was
//! mapped as shared before the fork. Then the counts of a child are still there when it crashes.

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use std::{io, num::NonZeroUsize, ops::Deref, sync::atomic::AtomicU64};

/// `N` numbers that start at 0.
#[derive(Debug)]
pub(crate) enum Counters<const N: usize> {
    /// For the threads of one process.
    Own([AtomicU64; N]),
    /// In a mapping that is never taken back: a process that forks has a handful of them, for its whole life.
    Inherited(&'static [AtomicU64; N]),
}

impl<const N: usize> Counters<N> {
    /// Numbers that this process shares with the children that it forks from now on, and they with theirs.
    ///
    /// # Errors
    ///
    /// The system has no memory left.
    #[allow(unsafe_code)]
    pub(crate) fn inherited() -> io::Result<Self> {
        let size = NonZeroUsize::new(size_of::<[AtomicU64; N]>())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no numbers"))?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists. It starts at a page,
        // is at least `size` bytes, all zero, and a zero is a valid `AtomicU64`. It is never unmapped, so it may be
        // borrowed for ever; and all processes that share it use it as atomics only.
        let numbers = unsafe { mmap_anonymous(None, size, access, MapFlags::MAP_SHARED)?.cast().as_ref() };
        Ok(Self::Inherited(numbers))
    }
}

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self::Own([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> Deref for Counters<N> {
    type Target = [AtomicU64; N];

    fn deref(&self) -> &[AtomicU64; N] {
        match self {
            Self::Own(numbers) => numbers,
            Self::Inherited(numbers) => numbers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn all_start_at_zero_and_count() {
        for counters in [Counters::<3>::default(), Counters::inherited().unwrap()] {
            assert!(counters.iter().all(|number| number.load(Relaxed) == 0));
            counters[2].fetch_add(7, Relaxed);
            assert_eq!(counters.iter().map(|number| number.load(Relaxed)).collect::<Vec<_>>(), [0, 0, 7]);
        }
        assert!(Counters::<0>::inherited().is_err());
    }

    #[test]
    #[allow(unsafe_code)]
    fn a_parent_sees_the_counts_of_its_child() {
        let counters = Counters::<2>::inherited().unwrap();
        let own = Counters::<1>::default();
        // SAFETY: the child touches atomics and leaves by `_exit`: no lock, no allocation.
        match unsafe { nix::unistd::fork() }.unwrap() {
            nix::unistd::ForkResult::Child => {
                counters[1].store(41, Relaxed);
                own[0].store(41, Relaxed);
                // SAFETY: as above.
                unsafe { nix::libc::_exit(0) }
            }
            nix::unistd::ForkResult::Parent { child } => {
                nix::sys::wait::waitpid(child, None).unwrap();
                assert_eq!((counters[1].load(Relaxed), own[0].load(Relaxed)), (41, 0));
            }
        }
    }
}
