//! Which answer belongs to which request.

use super::*;

#[test]
fn answers_come_in_any_order_and_cut_anywhere() {
    const ANSWERS: &str = "#2 B\r\n#3 \n#1 A\n";
    for cut in 0..=ANSWERS.len() {
        let mut world = World::up(config());
        for text in ["a", "b", "c"] {
            world.ask(text, false);
        }
        assert_eq!(world.sent(), "#1 a\n#2 b\n#3 c\n");
        world.hear(&ANSWERS[..cut]);
        world.hear(&ANSWERS[cut..]);
        let said = [("b", "B (1)"), ("c", " (1)"), ("a", "A (1)")].map(|(name, said)| (name, said.to_owned()));
        assert_eq!(world.take_done(), said);
    }
}

#[test]
fn a_late_answer_is_not_given_to_anybody() {
    let mut world = World::up(config());
    world.ask("GET a", true);
    assert_eq!(world.sent(), "#1 GET a\n");
    // A third of the time, for three tries.
    world.pass(4 * SECOND);
    assert_eq!(world.sent(), "#2 GET a\n");
    world.ask("PAY 1", false);
    assert_eq!(world.sent(), "#3 PAY 1\n");
    world.hear("#1 old\n");
    assert_eq!((world.take_done(), world.take_events()), (vec![], vec!["connected".into(), "late #1".into()]));
    world.hear("#3 paid\n#2 new\n");
    assert_eq!(world.take_done(), [("PAY 1", "paid (1)".to_owned()), ("GET a", "new (2)".to_owned())]);
    assert_eq!(world.link.stats().late, 1);
}

#[test]
fn a_peer_that_breaks_the_rules_is_left() {
    let long = format!("#1 {}", "x".repeat(MAX_ANSWER));
    for (said, why) in [
        ("#7 x\n", "the server sent an answer to a request that was never sent"),
        ("#0 x\n", "the server sent a second answer to a request"),
        ("hello\n", "the server sent a line without a request id"),
        (&long, "the server sent an endless line"),
    ] {
        let mut world = World::up(config());
        world.ask("PAY 1", false);
        world.sent();
        world.hear(said);
        // Later bytes from it are not heard.
        world.hear("#1 x\n");
        assert_eq!(world.closes, 1, "{said:?}");
        let expected = format!("may have been executed: sent and not answered, then: {why}");
        assert_eq!(world.take_done(), [("PAY 1", expected)]);
        world.come_back();
    }
}
