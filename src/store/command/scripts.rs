//! SCRIPT and FUNCTION: there are no scripts here, and so none to list and none to remove. Test frameworks and tools that clean up
//! ask for that before anything else.

use super::{Call, Outcome, subcommands};

pub(crate) fn script(call: &mut Call<'_>) -> Outcome {
    match &*call.word(1).to_ascii_lowercase() {
        b"exists" => {
            let asked = call.words.len() - 2;
            call.out.array(asked);
            (0..asked).for_each(|_| call.out.int(0));
        }
        b"flush" => call.out.ok(),
        _ => return subcommands::unknown(call.words),
    }
    Ok(())
}

pub(crate) fn function(call: &mut Call<'_>) -> Outcome {
    match &*call.word(1).to_ascii_lowercase() {
        b"list" => call.out.array(0),
        b"flush" => call.out.ok(),
        _ => return subcommands::unknown(call.words),
    }
    Ok(())
}
