//! The proxy without a file: two sites and their servers on this machine, so that there is something to try.

use super::{Memory, Settings};
use crate::{
    cli::{self, Failure},
    proxy::{self, Demo},
};
use std::{collections::BTreeMap, path::Path};

/// Its file, which is read like any other. `SERVER-1` and so on stand for servers that listen where the system chooses.
const FILE: &str = include_str!("demo.toml");

/// The servers of the demo.
const SERVERS: usize = 3;

const SUGGESTIONS: &str = "\
This is a demo: two sites, and servers of the proxy's own. Try, from another terminal:
  curl -i http://shop.localhost:8080/            # one site; each request another server
  curl -i http://shop.localhost:8080/status/200  # the same site, another route: another upstream
  curl -i http://blog.localhost:8080/            # another site
  curl -i http://other.localhost:8080/           # 421: no site has this host
  curl -ki https://shop.localhost:8443/          # over TLS; -k, because the certificate was made on the spot
  curl -s http://127.0.0.1:9090/stats            # what the proxy knows of itself
The log names what was chosen for each request: site=, route=, upstream=. With --config FILE it runs what your file says.
";

/// Runs it until a signal ends it.
pub(super) fn run() -> Result<(), Failure> {
    let servers = Demo::start(SERVERS)?;
    let mut text = FILE.to_owned();
    for (number, address) in (1..).zip(&servers.addresses) {
        text = text.replace(&format!("SERVER-{number}"), &address.to_string());
    }
    let world = Memory { files: BTreeMap::from([("demo".to_owned(), text)]), ..Memory::default() };
    let settings = Settings::read(Path::new("demo"), &world).map_err(Failure::Usage)?;
    let setup = settings.setup().saying(|| cli::say(SUGGESTIONS));
    proxy::serve(setup, None).map_err(|failure| settings.placed(failure))
}
