//! The servers that say `Hello!` to each client and close: what the first exercises have in common.

use crate::{client::Client, problem::Problem, stage::Stage};

const HELLO: &[u8] = b"Hello!\n";

/// The whole conversation.
pub(crate) fn hears_hello(client: &mut Client) -> Result<(), Problem> {
    client.expect(HELLO, "the line `Hello!`")?;
    client.expect_end("FIN after the greeting")
}

/// One client, as simply as possible.
pub(crate) fn greets(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    hears_hello(&mut stage.connect()?)
}
