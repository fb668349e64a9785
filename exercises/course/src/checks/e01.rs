//! Exercise 1, the life of a listening socket.

use crate::{
    catalog::Check,
    checks::greeting::{greets, hears_hello},
    checks::standing,
    problem::{Problem, Seen, Topic},
    process::ANY,
    stage::Stage,
    student::Limits,
};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "greets", promise: "it listens, says READY, greets a client and closes", run: greets },
    Check { name: "told-port", promise: "it listens at exactly the port that it is told", run: told_port },
    Check { name: "ipv6", promise: "an address may be one of IPv6", run: ipv6 },
    Check { name: "bad-address", promise: "a text that is no address ends it with exit code 2", run: bad_address },
    Check { name: "busy", promise: "an address that another program has: exit code 3", run: busy },
    Check {
        name: "two-copies",
        promise: "two copies cannot listen at the same address: the second ends with exit code 3",
        run: two_copies,
    },
    Check { name: "privileged", promise: "a port that this user may not take: exit code 4", run: privileged },
    Check { name: "not-ours", promise: "an address that this machine does not have: exit code 5", run: not_ours },
    Check {
        name: "rebind",
        promise: "it can be started again at once at the address where it has just closed connections",
        run: rebind,
    },
    Check { name: "goes-on", promise: "sixty clients leave nothing behind, whatever they do", run: goes_on },
];

/// A port of the loopback that nobody has at the moment.
fn free_port(ip: Ipv4Addr) -> Result<SocketAddr, Problem> {
    let found = TcpListener::bind((ip, 0)).and_then(|listener| listener.local_addr());
    found.map_err(|error| Problem::new("a free port", Seen::Grader(error)))
}

fn told_port(stage: &mut Stage) -> Result<(), Problem> {
    let told = free_port(Ipv4Addr::LOCALHOST)?;
    stage.serve_with(told, &[], Limits::default())?;
    hears_hello(&mut stage.connect()?)
}

fn ipv6(stage: &mut Stage) -> Result<(), Problem> {
    let told = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    if TcpListener::bind(told).is_err() {
        return Ok(()); // Not observable here: this machine has no IPv6.
    }
    stage.serve_with(told, &[], Limits::default()).map_err(|problem| problem.about(Topic::Ipv6))?;
    hears_hello(&mut stage.connect()?)
}

fn bad_address(stage: &mut Stage) -> Result<(), Problem> {
    for text in ["here", "127.0.0.1", "127.0.0.1:99999", ""] {
        stage.start(text, &[], Limits::default())?;
        stage.expect_refusal(2, &format!("exit code 2: {text:?} is no address with a port"))?;
    }
    Ok(())
}

fn busy(stage: &mut Stage) -> Result<(), Problem> {
    let taken = TcpListener::bind(ANY).map_err(|error| Problem::new("a port", Seen::Grader(error)))?;
    let address = taken.local_addr().map_err(|error| Problem::new("a port", Seen::Grader(error)))?;
    stage.start(&address.to_string(), &[], Limits::default())?;
    stage.expect_refusal(3, &format!("exit code 3: the grader itself listens at {address}"))
}

fn two_copies(stage: &mut Stage) -> Result<(), Problem> {
    stage.expect_no_second_copy(3)?;
    hears_hello(&mut stage.connect()?)
}

/// The ports below this one are for privileged programs. In containers often none is.
fn first_unprivileged() -> u16 {
    let said = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    said.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

fn privileged(stage: &mut Stage) -> Result<(), Problem> {
    let below = first_unprivileged();
    // One that nobody has, so that there is no other error. Root finds out by taking it for a moment; others cannot know.
    let candidate = (1..below).rev().find_map(|port| match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Some((port, true)),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Some((port, false)),
        Err(_) => None,
    });
    let Some((port, we_may)) = candidate else { return Ok(()) }; // Not observable here: no port is privileged.
    let listen = format!("127.0.0.1:{port}");
    if !we_may {
        stage.start(&listen, &[], Limits::default())?;
    } else if !stage.start_without_privilege(&listen)? {
        return Ok(()); // Not observable here: root cannot put its privilege down.
    }
    stage.expect_refusal(4, &format!("exit code 4: port {port} is below {below}, and this user may not take it"))
}

fn not_ours(stage: &mut Stage) -> Result<(), Problem> {
    // An address for documentation (RFC 5737): no machine has it.
    stage.start("192.0.2.1:0", &[], Limits::default())?;
    stage.expect_refusal(5, "exit code 5: no machine has the address 192.0.2.1")
}

fn rebind(stage: &mut Stage) -> Result<(), Problem> {
    let address = stage.serve_with(ANY, &[], Limits::default())?;
    for _ in 0..3 {
        // The server closes first: its end of the connection goes into TIME_WAIT.
        let mut client = stage.connect()?;
        hears_hello(&mut client)?;
        client.close();
    }
    stage.kill();
    stage.serve_with(address, &[], Limits::default()).map_err(|problem| problem.about(Topic::Restart))?;
    hears_hello(&mut stage.connect()?)
}

fn goes_on(stage: &mut Stage) -> Result<(), Problem> {
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..20 {
            visit(stage)?;
            stage.connect()?.close();
            stage.connect()?.abort();
        }
        hears_hello(&mut stage.connect()?)
    })
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    standing::running(stage)?;
    let mut client = stage.connect()?;
    hears_hello(&mut client)?;
    client.close();
    Ok(())
}
