//! Tests of refused requests, and of the end.

use super::*;

#[test]
fn too_many_requests_are_refused_and_a_closed_client_takes_none() {
    let mut world = World::up(Config { in_flight: 1, queue: 1, ..config() });
    for text in ["a", "b", "c"] {
        world.ask(text, false);
    }
    assert_eq!(world.take_done(), [("c", "not sent: too many requests wait already".to_owned())]);
    assert_eq!(world.sent(), "#1 a\n");
    world.link.close();
    world.settle();
    let a = "may have been executed: sent and not answered, then: the client is closed";
    let closed = "not sent: the client is closed";
    world.ask("d", true);
    assert_eq!(world.take_done(), [("a", a.to_owned()), ("b", closed.to_owned()), ("d", closed.to_owned())]);
    assert!(world.link.is_done() && world.link.deadline().is_none());
}

#[test]
fn it_ends_when_everything_is_answered() {
    let mut world = World::up(config());
    world.ask("a", false);
    world.sent();
    world.link.finish();
    assert!(!world.link.is_done());
    world.hear("#1 A\n");
    assert!(world.link.is_done());
    // A server that closes now is not connected to again.
    world.lose();
    assert_eq!((world.link.deadline(), world.link.is_done()), (None, true));
}

#[test]
fn a_client_that_sends_far_ahead_waits_and_does_not_blame_the_server() {
    let mut world = World::up(Config { in_flight: usize::MAX, queue: usize::MAX, ..config() });
    let mut sent = 0;
    for _ in 0..=MAX_WINDOW {
        world.ask("a", false);
        sent += world.sent().lines().count();
    }
    assert_eq!((world.closes, world.take_done()), (0, vec![]));
    // Slowly, but in order: each answer lets another request go.
    for id in 1..=MAX_WINDOW + 1 {
        assert!(sent >= id, "{sent}");
        world.hear(&format!("#{id} x\n"));
        sent += world.sent().lines().count();
    }
    assert_eq!((world.closes, world.take_done().len()), (0, MAX_WINDOW + 1));
}
