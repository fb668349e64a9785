//! A configuration whose servers are names: what has to be built again when an address of a name comes or goes.
//!
//! ```text
//!   servers = ["10.0.0.1:80", "api:3000"]        what the file says
//!                    │           ├──────────╮    what the resolver says
//!               10.0.0.1:80  api:3000@…1  api:3000@…2     backends: each with health, connections and a breaker of its own
//! ```

use super::{
    Plan,
    backend_spec::BackendSpec,
    orders::{Orders, Server},
};
use crate::backend::{Addresses, Backend, BackendId};
use std::net::{IpAddr, SocketAddr};

/// A configuration, and its servers as they are written.
#[derive(Debug, Clone)]
pub(super) struct Blueprint {
    pub(super) plan: Plan,
    pub(super) servers: Vec<BackendSpec>,
}

/// Servers with their addresses.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    /// Numbered from 0. Those of one server follow each other.
    pub(super) backends: Vec<Backend>,
    /// How many each server has, in the order of the servers.
    pub(super) counts: Vec<usize>,
}

impl Blueprint {
    /// Its servers, with their addresses.
    pub(super) fn servers<'a>(&'a self, endpoints: &'a Endpoints) -> Vec<Server<'a>> {
        let mut rest = &endpoints.backends[..];
        let mut servers = Vec::with_capacity(self.servers.len());
        for ((spec, count), upstream) in self.servers.iter().zip(&endpoints.counts).zip(self.plan.owners()) {
            let (backends, others) = rest.split_at(*count);
            rest = others;
            let (name, authority) = (spec.name(), spec.authority.to_string());
            servers.push(Server { upstream, name, authority, weight: spec.weight, backends });
        }
        servers
    }
}

impl Endpoints {
    /// The weights are those that were ordered, where some were.
    pub(super) fn weighted(mut self, blueprint: &Blueprint, orders: &Orders) -> Self {
        let mut rest = self.backends.iter_mut();
        for (upstream, count) in blueprint.plan.owners().zip(&self.counts) {
            for backend in rest.by_ref().take(*count) {
                let ordered = orders.of(upstream, &backend.name).and_then(|ordered| ordered.weight);
                backend.weight = ordered.unwrap_or(backend.weight);
            }
        }
        self
    }

    /// `at`: the places of a server, each with the address that its name stands for, if it was a name.
    pub(super) fn of(
        servers: &[BackendSpec],
        at: impl Fn(&BackendSpec) -> Vec<(Option<IpAddr>, Vec<SocketAddr>)>,
    ) -> Self {
        let (mut backends, mut counts) = (Vec::new(), Vec::with_capacity(servers.len()));
        for server in servers {
            let places = at(server);
            counts.push(places.len());
            for (ip, addresses) in places {
                // More than there can be are refused before one of them is used.
                let id = BackendId(u16::try_from(backends.len()).unwrap_or(u16::MAX));
                let mut backend = server.backend(id, Addresses::new(&addresses));
                if let Some(ip) = ip {
                    backend.name = format!("{}@{ip}", backend.name);
                }
                backends.push(backend);
            }
        }
        Self { backends, counts }
    }

    /// Each one as its own server.
    pub(super) fn single(backends: Vec<Backend>) -> Self {
        Self { counts: vec![1; backends.len()], backends }
    }

    /// Things that each backend has, by the servers that they belong to.
    pub(super) fn by_server<T: Copy>(&self, of_backends: &[T]) -> Vec<Vec<T>> {
        let mut rest = of_backends.iter().copied();
        self.counts.iter().map(|count| rest.by_ref().take(*count).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_of_a_name_is_a_backend_and_each_number_is_one() {
        let servers: Vec<BackendSpec> =
            ["localhost:80", "api:3000,weight=3", "gone:1", "https://api"].map(|text| text.parse().unwrap()).into();
        let ips: [IpAddr; 2] = [[192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()];
        let endpoints = Endpoints::of(&servers, |server| match server.authority.to_string().as_str() {
            "localhost:80" => vec![(None, vec![([127, 0, 0, 1], 80).into(), "[::1]:80".parse().unwrap()])],
            "gone:1" => vec![],
            _ => ips.map(|ip| (Some(ip), vec![SocketAddr::new(ip, server.authority.port)])).into(),
        });
        let shown = endpoints.backends.iter().map(|it| (it.id.0, &*it.name, it.authority(), it.addresses.to_string()));
        let expected = [
            (0, "localhost:80", "localhost:80", "127.0.0.1:80, [::1]:80"),
            (1, "api:3000@192.0.2.1", "api:3000", "192.0.2.1:3000"),
            (2, "api:3000@2001:db8::1", "api:3000", "[2001:db8::1]:3000"),
            (3, "https://api:443@192.0.2.1", "api", "192.0.2.1:443"),
            (4, "https://api:443@2001:db8::1", "api", "[2001:db8::1]:443"),
        ];
        let expected = expected.map(|(id, name, authority, at)| (id, name, authority, at.to_owned()));
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        assert_eq!(endpoints.backends.iter().map(|it| it.weight).collect::<Vec<_>>(), [1, 3, 3, 1, 1]);
        assert_eq!(endpoints.by_server(&[0, 1, 2, 3, 4]), [vec![0], vec![1, 2], vec![], vec![3, 4]]);
    }
}
