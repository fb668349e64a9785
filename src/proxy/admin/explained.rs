//! `/explain` of the admin listener: which requests are explained, and each explanation, as text or as JSON.

use super::answer::Answer;
use crate::{
    http::{RequestHead, Status, members},
    proxy::shared::Shared,
};
use serde_json::json;

/// The answer where nothing is explained.
const OFF: &str = "no request is explained here: write [explain] in the file, with failures = true or a token\n";

/// `/explain`, or `/explain/ID`: `id` is what stands behind the second slash.
pub(super) fn shown(shared: &Shared, id: Option<&str>, head: &RequestHead) -> Answer {
    let Some(watcher) = &shared.explain else { return Answer::text(Status::NOT_FOUND, OFF) };
    let wants_json = wants_json(head);
    let Some(id) = id else {
        let all = watcher.book.all();
        if wants_json {
            let lines: Vec<String> = all.iter().map(|record| record.line()).collect();
            return Answer::json(Status::OK, &json!({ "explanations": lines }));
        }
        let lines: String = all.iter().map(|record| record.line() + "\n").collect();
        return Answer::text(Status::OK, if lines.is_empty() { "none yet\n".to_owned() } else { lines });
    };
    match id.parse().ok().and_then(|number| watcher.book.find(number)) {
        Some(record) if wants_json => Answer::json(Status::OK, &record.json()),
        Some(record) => Answer::text(Status::OK, record.text()),
        None => Answer::text(
            Status::NOT_FOUND,
            format!("there is no explanation {id:?}, or not any more; GET /explain lists those that there are\n"),
        ),
    }
}

/// Whether the visitor would rather have JSON: it names that, and no text before it.
fn wants_json(head: &RequestHead) -> bool {
    let accepted = head.fields.get_all("accept").flat_map(members);
    let kind = |member: &[u8]| {
        let essence = member.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        [&b"application/json"[..], b"text/plain"].iter().position(|known| essence.eq_ignore_ascii_case(known))
    };
    accepted.filter_map(kind).next() == Some(0)
}
