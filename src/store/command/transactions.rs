//! MULTI and what belongs to it. EXEC itself runs other commands, so it is in `engine.rs`.

use super::{super::client::Multi, Call, Outcome, refuse};

pub(crate) fn multi(call: &mut Call<'_>) -> Outcome {
    if call.client.multi.is_some() {
        return refuse("ERR MULTI calls can not be nested");
    }
    call.client.multi = Some(Multi::default());
    call.out.ok();
    Ok(())
}

/// Without MULTI.
pub(crate) fn exec(_: &mut Call<'_>) -> Outcome {
    refuse("ERR EXEC without MULTI")
}

pub(crate) fn discard(call: &mut Call<'_>) -> Outcome {
    if call.client.multi.take().is_none() {
        return refuse("ERR DISCARD without MULTI");
    }
    forget(call);
    call.out.ok();
    Ok(())
}

pub(crate) fn watch(call: &mut Call<'_>) -> Outcome {
    if call.client.multi.is_some() {
        return refuse("ERR WATCH inside MULTI is not allowed");
    }
    let words = call.words;
    words.from(1).for_each(|key| call.keys.watch(call.client, key));
    call.out.ok();
    Ok(())
}

pub(crate) fn unwatch(call: &mut Call<'_>) -> Outcome {
    forget(call);
    call.out.ok();
    Ok(())
}

/// The client watches nothing any more.
pub(crate) fn forget(call: &mut Call<'_>) {
    call.keys.unwatch(call.client);
}
