//! Changes of servers while the file stays as it is: addresses of their names, and the words of an operator. Either is put in place
//! as the same configuration once more.

use super::Keeper;
use crate::{
    backend::BackendId,
    net::clock,
    proxy::{
        backend_spec::BackendSpec,
        orders::{Change, Refused},
        resolving::Resolving,
    },
};
use std::time::Duration;

impl Keeper {
    /// The servers of which no backend answers.
    fn failing(&self) -> Vec<BackendSpec> {
        let (shared, now) = (self.current.get(), clock::now().instant);
        let fails = |id: &BackendId| shared.groups.health_of(*id).is_none_or(|health| health.fails(*id, now));
        let servers = self.own.blueprint.servers.iter().zip(&self.places);
        servers.filter(|(_, ids)| ids.iter().all(fails)).map(|(server, _)| server.clone()).collect()
    }

    /// Has the names asked for at once of which no address answers.
    pub(super) fn ask_for_failing(&mut self) {
        let failing = self.failing();
        self.own.names.all_fail(failing.iter());
    }

    /// Takes the answers that came, and has asked for names that are due. Addresses that came or went are put in place. The time until
    /// the next name is due; `None`: nothing is, until something else happens.
    pub(super) fn follow_names(&mut self) -> Option<Duration> {
        if self.own.names.is_empty() || self.check_that_it_goes_on().is_err() {
            return None;
        }
        let failing = self.failing();
        self.own.names.look(|name| failing.iter().any(|server| Resolving::is_named(server, name)));
        if self.own.names.take_change()
            && let Err(why) = self.put_endpoints()
        {
            tracing::error!("the servers stay as they were: {why}");
        }
        self.own.names.next()
    }

    /// Follows an order of an operator, or refuses it, and all stays as it was.
    pub(super) fn order(&mut self, change: Change) -> Result<(), Refused> {
        self.check_that_it_goes_on().map_err(Refused::Wrong)?;
        let endpoints = self.own.names.endpoints(&self.own.blueprint.servers);
        let before = self.orders.clone();
        let line = change.to_string();
        self.orders.give(change, &self.own.blueprint.servers(&endpoints))?;
        match self.put_endpoints() {
            Ok(()) => {
                tracing::info!("{line}");
                Ok(())
            }
            Err(why) => {
                self.orders = before;
                Err(Refused::Wrong(why))
            }
        }
    }

    /// Puts the same configuration in place with the addresses that its servers have now, and with all orders about them.
    fn put_endpoints(&mut self) -> Result<(), String> {
        let endpoints = self.own.names.endpoints(&self.own.blueprint.servers);
        let endpoints = endpoints.weighted(&self.own.blueprint, &self.orders);
        let mut plan = self.own.blueprint.plan.clone();
        plan.place(&endpoints.counts);
        let old = self.current.get();
        let (shared, places) = self.succeed(plan, endpoints, self.orders.clone(), &old)?;
        let version = shared.version;
        let changes = self.install(shared, &old, None, places);
        changes.iter().for_each(|line| tracing::info!("{line}"));
        tracing::info!(version, "servers changed");
        Ok(())
    }
}
