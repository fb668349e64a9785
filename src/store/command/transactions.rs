//! MULTI and what belongs to it. EXEC itself runs other commands, so it is in `engine.rs`.

use super::{
    super::client::{Multi, Watched},
    Call, Outcome, refuse,
};

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
    let (db, now) = (call.db(), call.keys.now);
    for key in call.words.from(1) {
        let place = (db, key.into());
        if call.client.watching.iter().any(|watched| watched.place == place) {
            continue;
        }
        let entry = call.keys.dbs[db].keys.get(key);
        let was_expired = entry.is_some_and(|entry| entry.expires != 0 && entry.expires <= now);
        call.keys.watched.entry(place.clone()).or_default().push(call.client.id);
        call.client.watching.push(Watched { place, was_expired });
    }
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
