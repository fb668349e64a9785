//! When it tries again to connect, and when it stops trying.

use super::*;

#[test]
fn it_gives_up_after_its_tries_and_begins_anew_when_asked() {
    let mut world = World::up(Config { reconnects: 3, ..config() });
    let refuse = |world: &mut World| {
        let (before, began) = (world.connects, world.now);
        while world.connects == before {
            world.pass(MS);
        }
        world.link.connect_failed(Cause::Connect(io::ErrorKind::ConnectionRefused), world.now);
        world.settle();
        world.now - began
    };
    world.lose();
    for wait in [100, 200, 400] {
        let waited = refuse(&mut world);
        assert!((wait * MS * 3 / 4..=wait * MS * 5 / 4 + MS).contains(&waited), "{waited:?} for {wait} ms");
        if wait == 100 {
            world.ask("PAY 1", false);
        }
    }
    assert_eq!(world.take_done(), [("PAY 1", "not sent: gave up after 3 tries (nothing listens there)".to_owned())]);
    assert_eq!(world.events.last().map(String::as_str), Some("gave up after 3"));
    world.pass(3600 * SECOND);
    assert_eq!(world.connects, 3);
    world.ask("PAY 2", false);
    assert_eq!(world.connects, 4);
    world.link.connected(world.now);
    assert_eq!(world.sent(), "#1 PAY 2\n");
}

#[test]
fn a_server_that_accepts_and_closes_is_not_asked_for_ever() {
    let mut world = World::up(Config { reconnects: 3, ..config() });
    for _ in 0..3 {
        world.lose();
        world.come_back();
    }
    world.lose();
    assert_eq!(world.take_events().last().map(String::as_str), Some("gave up after 3"));
}
