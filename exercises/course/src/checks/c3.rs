//! Clinic 3, a server that cannot be started again.

use crate::{
    catalog::Check,
    checks::{standing, working::pattern},
    client::Client,
    problem::{Problem, Topic},
    process::ANY,
    stage::Stage,
    student::Limits,
};
use std::time::Duration;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "answers", promise: "a client gets the page and then the end of the stream", run: answers },
    Check { name: "a-slow-reader", promise: "a client that reads slowly gets all of the page, too", run: slow_reader },
    Check {
        name: "two-copies",
        promise: "two copies cannot listen at the same address: the second ends with exit code 1",
        run: two_copies,
    },
    Check {
        name: "starts-again",
        promise: "it can be started again at once at the address where it has just closed connections",
        run: starts_again,
    },
    Check {
        name: "starts-again-amid",
        promise: "it can be started again at once if it was ended in the middle of an answer",
        run: starts_again_amid,
    },
    Check { name: "leaves-nothing", promise: "sixty clients leave nothing behind", run: leaves_nothing },
];

const PAGE: usize = 300_000;

fn hears_page(client: &mut Client) -> Result<(), Problem> {
    client.expect(&pattern(PAGE), "the page: 300,000 bytes that count from 0 to 250, over and over")?;
    client.expect_end("FIN after the page")
}

fn answers(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut first = stage.connect()?;
    hears_page(&mut first)?;
    // The first one has not closed its side.
    hears_page(&mut stage.connect()?).map_err(|problem| problem.about(Topic::AfterGoodbye))
}

fn slow_reader(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut client = stage.connect_narrow()?;
    let wanted = "the next bytes of the page";
    client.expect_slowly(&pattern(PAGE), 20_000, Duration::from_millis(2), wanted)?;
    client.expect_end("FIN after the page")
}

fn two_copies(stage: &mut Stage) -> Result<(), Problem> {
    stage.expect_no_second_copy(1)?;
    hears_page(&mut stage.connect()?)
}

fn starts_again(stage: &mut Stage) -> Result<(), Problem> {
    let address = stage.serve_with(ANY, &[], Limits::default())?;
    for _ in 0..3 {
        let mut client = stage.connect()?;
        hears_page(&mut client)?;
        client.close();
    }
    again(stage, address)
}

fn starts_again_amid(stage: &mut Stage) -> Result<(), Problem> {
    let address = stage.serve_with(ANY, &[], Limits::default())?;
    let mut client = stage.connect()?;
    hears_page(&mut client)?;
    client.close();
    // This one has not taken all of its page, and is still there.
    let mut client = stage.connect_narrow()?;
    client.expect(&pattern(1000), "the first bytes of the page")?;
    again(stage, address)?;
    drop(client);
    Ok(())
}

fn again(stage: &mut Stage, address: std::net::SocketAddr) -> Result<(), Problem> {
    stage.kill();
    stage.serve_with(address, &[], Limits::default()).map_err(|problem| problem.about(Topic::Restart))?;
    hears_page(&mut stage.connect()?)
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    hears_page(&mut client)?;
    client.close();
    Ok(())
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..20 {
            visit(stage)?;
            stage.connect()?.close();
            stage.connect()?.abort();
        }
        visit(stage)
    })
}
