//! Tests of the requests that are sent again after a loss, and of those that are reported instead.

use super::*;

const ENDED: &str = "then: the server closed the connection";

#[test]
fn sending_again_depends_on_every_byte_that_was_written() {
    const WIRE: &str = "#1 PAY 1\n#2 GET a\n#3 PAY 2\n";
    for cut in 0..=WIRE.len() {
        let mut world = World::up(config());
        world.ask("PAY 1", false);
        world.ask("GET a", true);
        world.ask("PAY 2", false);
        world.write(cut);
        assert_eq!(world.wire, WIRE[..cut]);
        world.lose();
        let lost = |from: usize, to: usize| match cut {
            _ if cut <= from => None,
            _ if cut < to => Some(format!("may have been executed: sent in part, {ENDED}")),
            _ => Some(format!("may have been executed: sent and not answered, {ENDED}")),
        };
        let payments = [("PAY 1", lost(0, 9)), ("PAY 2", lost(18, 27))];
        let failed: Vec<_> = payments.iter().filter_map(|(name, lost)| Some((*name, lost.clone()?))).collect();
        assert_eq!(world.take_done(), failed, "cut at {cut}");
        // The rest is sent in its order, with new ids; what may be repeated is.
        world.come_back();
        let texts: Vec<_> = world.sent().lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
        let again: Vec<_> = ["PAY 1", "GET a", "PAY 2"]
            .into_iter()
            .filter(|name| failed.iter().all(|(lost, _)| lost != name))
            .collect();
        assert_eq!(texts, again, "cut at {cut}");
    }
}

#[test]
fn a_client_that_a_full_server_refuses_loses_nothing() {
    let mut world = World::up(config());
    world.ask("PAY 1", false);
    assert_eq!(world.sent(), "#1 PAY 1\n");
    world.hear("ERROR busy: try again later\n");
    assert_eq!((world.take_done(), world.closes), (vec![], 1));
    world.come_back();
    assert_eq!(world.sent(), "#2 PAY 1\n");
    // After an answer, it would be a line like any other that has no id.
    world.hear("#2 paid\n");
    world.ask("PAY 2", false);
    world.sent();
    world.hear("ERROR busy: try again later\n");
    assert!(world.take_done()[1].1.starts_with("may have been executed"));
}

#[test]
fn in_an_outage_repeated_requests_are_a_share_of_all() {
    let config = Config { in_flight: 1000, queue: 1000, policy: Policy { deadline: SECOND, tries: 3 }, ..config() };
    let mut world = World::up(config);
    for _ in 0..500 {
        world.ask("GET a", true);
    }
    let mut sent = 0;
    for _ in 0..100 {
        sent += world.sent().lines().count();
        world.pass(10 * MS);
    }
    assert_eq!(world.take_done().len(), 500);
    // One in five, ten a second, and as many at once.
    assert!((600..=500 + 100 + 20).contains(&sent), "{sent}");
}

#[test]
fn a_try_of_which_nothing_left_was_none() {
    let mut world = World::up(config());
    world.ask("GET a", true);
    world.sent();
    for _ in 0..3 {
        world.lose();
        world.come_back();
    }
    assert!(world.sent().ends_with(" GET a\n"));
    let id = world.link.correlation.next_id() - 1;
    world.hear(&format!("#{id} A\n"));
    assert_eq!(world.take_done(), [("GET a", "A (2)".to_owned())]);
    assert_eq!(world.link.stats().repeated, 1);
}
