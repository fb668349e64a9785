//! Tunnels in which nothing happens hold next to nothing, and go on as if they had held all of it.

use super::{SECOND, World};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

fn parked(world: &World) -> usize {
    world.proxy.worker.table.parked().len()
}

/// A tunnel through a world.
fn tunnel(flags: &[&str]) -> (World, crate::app::ConnId, crate::app::ConnId) {
    let mut world = World::new(flags);
    let (client, backend) = world.exchange(UPGRADE);
    world.say(backend, SWITCH);
    world.sent(client);
    world.sent(backend);
    (world, client, backend)
}

#[test]
fn a_tunnel_is_parked_while_it_is_silent() {
    let (mut world, client, backend) = tunnel(&["--tunnel-timeout", "10s"]);
    let census = world.proxy.census();
    assert_eq!((parked(&world), world.proxy.exchanges.len()), (1, 0));
    world.say(client, "ping");
    assert_eq!((parked(&world), world.sent(backend).as_str()), (0, "ping"));
    assert_eq!(world.proxy.census(), census, "a parked tunnel counts as the tunnel that it is");
    // Each word is a reason to wait for another.
    for _ in 0..3 {
        world.pass(SECOND / 2);
        world.say(backend, "pong");
        assert_eq!(parked(&world), 0);
    }
    world.pass(3 * SECOND);
    assert_eq!((parked(&world), world.sent(client).as_str()), (1, "pongpongpong"));
    // Its deadline is counted from the last word, whether it was parked meanwhile or not.
    world.pass(6 * SECOND);
    assert_eq!((parked(&world), world.ended(client)), (1, "-"));
    world.pass(2 * SECOND);
    assert_eq!([world.ended(client), world.ended(backend)], ["abort", "abort"]);
    assert_eq!(world.proxy.census(), crate::proxy::Census::default());
    assert_eq!(world.stats()["errors"]["tunnel idle"], 1);
}

#[test]
fn a_tunnel_of_which_something_is_under_way_is_not_parked() {
    let (mut world, client, backend) = tunnel(&["--tunnel-timeout", "60s", "--write-timeout", "60s"]);
    world.say(backend, "much");
    world.unsent(client, 1 << 20);
    world.pass(5 * SECOND);
    assert_eq!(parked(&world), 0, "the client has not taken all of it");
    world.unsent(client, 0);
    world.pass(3 * SECOND);
    assert_eq!(parked(&world), 1);
    world.end(client);
    world.pass(5 * SECOND);
    assert_eq!((parked(&world), world.ended(backend)), (0, "finish"), "one side has ended, and the other may go on");
    world.say(backend, "the rest");
    assert!(world.sent(client).ends_with("the rest"));
    world.end(backend);
    assert_eq!(world.proxy.census(), crate::proxy::Census::default());
}

#[test]
fn a_parked_tunnel_ends_as_others_do() {
    for (side, other) in [(0, 1), (1, 0)] {
        let (mut world, client, backend) = tunnel(&[]);
        let ends = [client, backend];
        assert_eq!(parked(&world), 1);
        world.fail(ends[side]);
        assert_eq!(world.ended(ends[other]), "abort");
        assert_eq!(world.proxy.census(), crate::proxy::Census::default());
    }
    let (mut world, client, backend) = tunnel(&[]);
    world.drain();
    assert_eq!((parked(&world), world.ended(client)), (1, "-"));
    world.cut_off();
    assert_eq!([world.ended(client), world.ended(backend)], ["abort", "abort"]);
    assert_eq!((world.proxy.cut_off_at_end(), world.proxy.census()), (1, crate::proxy::Census::default()));
}
