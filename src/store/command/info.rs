//! INFO: the state of the server, for people and for what watches it.

use super::{super::world::FileState, Call, Outcome, connection::VERSION};
use std::fmt::Write as _;

const SECTIONS: [&str; 8] =
    ["server", "clients", "memory", "persistence", "stats", "replication", "cluster", "keyspace"];

pub(crate) fn info(call: &mut Call<'_>) -> Outcome {
    let asked: Vec<String> =
        call.words.from(1).map(|word| String::from_utf8_lossy(word).to_ascii_lowercase()).collect();
    let all = asked.is_empty() || asked.iter().any(|word| matches!(word.as_str(), "all" | "default" | "everything"));
    let mut text = String::new();
    for section in SECTIONS {
        if all || asked.iter().any(|word| word == section) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            for line in lines(call, section) {
                text.push_str(&line);
                text.push_str("\r\n");
            }
        }
    }
    call.out.verbatim(text.as_bytes());
    Ok(())
}

/// The lines of a section, its heading first.
fn lines(call: &Call<'_>, section: &str) -> Vec<String> {
    match section {
        "server" => server(call),
        "clients" => {
            let waiting = call.world.clients.iter().filter(|client| client.wait.is_some()).count();
            vec![
                "# Clients".to_owned(),
                format!("connected_clients:{}", call.world.clients.len()),
                format!("maxclients:{}", call.world.config.max_clients),
                format!("blocked_clients:{waiting}"),
            ]
        }
        "memory" => memory(call),
        "persistence" => persistence(call),
        "stats" => stats(call),
        "replication" => vec![
            "# Replication".to_owned(),
            "role:master".to_owned(),
            "connected_slaves:0".to_owned(),
            format!("master_replid:{}", call.world.run_id),
            "master_repl_offset:0".to_owned(),
        ],
        "cluster" => vec!["# Cluster".to_owned(), "cluster_enabled:0".to_owned()],
        _ => keyspace(call),
    }
}

fn server(call: &Call<'_>) -> Vec<String> {
    let world = &call.world;
    let up = world.now.instant.saturating_duration_since(world.started.instant).as_secs();
    vec![
        "# Server".to_owned(),
        format!("redis_version:{VERSION}"),
        "server_name:store".to_owned(),
        "redis_mode:standalone".to_owned(),
        format!("os:{} {}", std::env::consts::OS, std::env::consts::ARCH),
        format!("arch_bits:{}", usize::BITS),
        format!("process_id:{}", std::process::id()),
        format!("run_id:{}", world.run_id),
        format!("tcp_port:{}", world.config.port),
        format!("uptime_in_seconds:{up}"),
        format!("uptime_in_days:{}", up / 86_400),
    ]
}

/// A number of bytes as people read it.
fn human(bytes: usize) -> String {
    #[allow(clippy::cast_precision_loss)] // Two digits are shown.
    let value = bytes as f64;
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{:.2}K", value / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.2}M", value / 1_048_576.0),
        _ => format!("{:.2}G", value / 1_073_741_824.0),
    }
}

fn memory(call: &Call<'_>) -> Vec<String> {
    let (world, used) = (&call.world, call.keys.used);
    let peak = world.peak.max(used);
    let mut lines = vec!["# Memory".to_owned()];
    for (name, bytes) in [
        ("used_memory", used),
        ("used_memory_rss", world.resident),
        ("used_memory_peak", peak),
        ("maxmemory", world.config.max_memory),
    ] {
        lines.push(format!("{name}:{bytes}"));
        lines.push(format!("{name}_human:{}", human(bytes)));
    }
    lines.push(format!("used_memory_dataset:{used}"));
    lines.push(format!("maxmemory_policy:{}", world.config.policy.name()));
    lines
}

fn persistence(call: &Call<'_>) -> Vec<String> {
    let FileState { size, base, behind, is_rewriting, has_failed, is_stuck } = call.world.file;
    vec![
        "# Persistence".to_owned(),
        "loading:0".to_owned(),
        "async_loading:0".to_owned(),
        format!("rdb_changes_since_last_save:{}", call.keys.changes),
        "rdb_bgsave_in_progress:0".to_owned(),
        format!("aof_enabled:{}", u8::from(call.world.config.append_only)),
        format!("aof_rewrite_in_progress:{}", u8::from(is_rewriting)),
        format!("aof_last_write_status:{}", if is_stuck { "err" } else { "ok" }),
        format!("aof_last_bgrewrite_status:{}", if has_failed { "err" } else { "ok" }),
        format!("aof_current_size:{size}"),
        format!("aof_base_size:{base}"),
        format!("aof_buffer_length:{behind}"),
    ]
}

fn stats(call: &Call<'_>) -> Vec<String> {
    let (world, counts) = (&call.world, &call.keys.counts);
    vec![
        "# Stats".to_owned(),
        format!("total_connections_received:{}", world.connections),
        format!("total_commands_processed:{}", world.commands),
        format!("rejected_connections:{}", world.refused),
        format!("expired_keys:{}", counts.expired),
        format!("evicted_keys:{}", counts.evicted),
        format!("keyspace_hits:{}", counts.hits),
        format!("keyspace_misses:{}", counts.misses),
        format!("pubsub_channels:{}", world.channels.channels.len()),
        format!("pubsub_patterns:{}", world.channels.patterns.len()),
        format!("pubsubshard_channels:{}", world.channels.shards.len()),
        format!("total_error_replies:{}", world.errors),
    ]
}

fn keyspace(call: &Call<'_>) -> Vec<String> {
    let mut lines = vec!["# Keyspace".to_owned()];
    for (number, db) in call.keys.dbs.iter().enumerate().filter(|(_, db)| !db.keys.is_empty()) {
        let mut line = String::new();
        // A string takes all that is written to it.
        let _ = write!(line, "db{number}:keys={},expires={},avg_ttl=0", db.keys.len(), db.volatile.len());
        lines.push(line);
    }
    lines
}
