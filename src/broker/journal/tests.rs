use super::{super::message::Delivery, load::load as load_folder, *};
use crate::broker::{
    message::{LastWill, Message},
    outgoing::{Sent, Stage},
    record::{Receiver as To, SenderChange},
};
use crate::disk::{
    Folder,
    forgetful::{Failing, Forgetful},
};
use crate::mqtt::{Filter, PacketId, Property, QoS, RetainHandling, Subscription, Value, id};
use crate::service::testing::now;
use bytes::Bytes;
use std::{fs, path::Path, sync::Arc, time::Duration};

fn message(text: &str) -> Arc<Message> {
    let property = |id, value| Property { id, value };
    Arc::new(Message {
        topic: format!("a/{text}").as_str().into(),
        qos: QoS::ExactlyOnce,
        retain: true,
        properties: vec![
            property(id::USER_PROPERTY, Value::Pair("b".into(), "1".into())),
            property(id::CONTENT_TYPE, Value::Text("text".into())),
            property(id::USER_PROPERTY, Value::Pair("a".into(), "2".into())),
        ],
        payload: Bytes::from(text.to_owned()),
        expires: Some(1_800_000_000_000),
    })
}

fn packet_id(n: u16) -> PacketId {
    PacketId::new(n).unwrap()
}

fn to(key: usize, number: u64, sent: Option<u16>) -> To {
    To { key, number, qos: QoS::AtLeastOnce, retain: number == 1, ids: vec![7, 200_000_000], sent: sent.map(packet_id) }
}

/// One of each kind, and more.
fn records() -> Vec<Record> {
    let subscription = |filter: &str| Subscription {
        filter: Filter::new(filter.into()).unwrap(),
        qos: QoS::ExactlyOnce,
        no_local: !filter.starts_with('$'),
        retain_as_published: true,
        retain_handling: RetainHandling::IfNew,
    };
    let will = LastWill { message: message("will"), lives: Some(9), delay: 5 };
    vec![
        Record::Session { key: 3, client: "ann".into(), expiry: 3600 },
        Record::Session { key: 4, client: "bob".into(), expiry: u32::MAX },
        Record::Session { key: 5, client: "eve".into(), expiry: 1 },
        Record::Subscribed { key: 3, subscription: subscription("a/#"), id: Some(7) },
        Record::Subscribed { key: 3, subscription: subscription("$share/g/+"), id: None },
        Record::Subscribed { key: 4, subscription: subscription("b"), id: None },
        Record::Unsubscribed { key: 4, filter: "b".into() },
        Record::Will { key: 3, will: Some(will.clone()) },
        Record::Will { key: 4, will: Some(will) },
        Record::Will { key: 4, will: None },
        Record::Published {
            message: message("1"),
            retained: true,
            from: SenderChange::Incoming(4, packet_id(9)),
            to: vec![to(3, 0, Some(1)), to(4, 0, None), to(99, 0, None)],
        },
        Record::Published {
            message: message("2"),
            retained: true,
            from: SenderChange::Nothing,
            to: vec![to(3, 1, None), to(4, 1, None)],
        },
        Record::Published {
            message: message("3"),
            retained: false,
            from: SenderChange::Nothing,
            to: vec![to(3, 2, None), to(3, 3, None)],
        },
        Record::Unretained { topic: "a/2".into() },
        Record::Sent { key: 3, number: 1, id: packet_id(2) },
        Record::Received { key: 3, number: 1, id: packet_id(2) },
        Record::Done { key: 4, number: 0 },
        Record::Incoming { key: 3, id: packet_id(65_535) },
        Record::Incoming { key: 3, id: packet_id(5) },
        Record::Released { key: 3, id: packet_id(5) },
        Record::Away { key: 3, since: 1_700_000_000_000, expiry: 60 },
        Record::Gone { key: 5 },
    ]
}

fn image(records: impl IntoIterator<Item = Record>) -> Image {
    let mut image = Image::default();
    records.into_iter().for_each(|record| image.add(record));
    image
}

/// Writes records with a journal of its own, in pieces of one.
fn write(folder: &Path, records: impl IntoIterator<Item = Record>, worth: u64) {
    let (mut journal, _) = Journal::open(Arc::new(Folder::open_unlocked(folder)), Sync::Always).unwrap();
    journal.set_worth(worth);
    let now = now().instant;
    for (count, record) in (1..).zip(records) {
        journal.take(&[record]);
        assert_eq!(journal.write(now), Ok(count));
        if let Some(compaction) = journal.compact() {
            journal.compacted(compaction.run());
        }
    }
}

fn load(folder: &Path) -> Result<Image, String> {
    load_folder(&Folder::open_unlocked(folder)).map(|loaded| loaded.image)
}

#[test]
fn a_record_comes_back_and_no_part_of_one_does() {
    let (message, from) = (message("4"), SenderChange::Will(6));
    let will = Record::Published { message, retained: false, from, to: vec![to(99, 1, None)] };
    for record in records().into_iter().chain([will]) {
        let mut bytes = Vec::new();
        record.write(Mark::Behind, &mut bytes);
        let body = Bytes::copy_from_slice(&bytes[super::super::record::HEAD..]);
        assert_eq!(Record::read(body.clone()).unwrap(), record);
        for end in 0..body.len() {
            assert_ne!(Record::read(body.slice(..end)).ok(), Some(record.clone()), "cut at {end}");
        }
    }
}

#[test]
fn records_add_up_and_a_snapshot_adds_up_to_the_same() {
    let image = image(records());
    assert_eq!(image.sessions.len(), 2);
    let ann = &image.sessions[&3];
    assert_eq!((ann.away, ann.expiry, ann.subscriptions.len()), (Some(1_700_000_000_000), 60, 2));
    let numbers: Vec<_> = ann.waiting.keys().copied().collect();
    assert_eq!((numbers, ann.sent.len(), ann.incoming.len()), (vec![2, 3], 2, 1));
    assert_eq!(ann.sent[&1], Sent { id: packet_id(2), stage: Stage::Released });
    let Stage::Published(Delivery { retain, ids, .. }) = &ann.sent[&0].stage else { panic!("{ann:?}") };
    assert_eq!((*retain, ids.as_slice()), (false, &[7, 200_000_000][..]));
    assert_eq!((image.sessions[&4].waiting.len(), image.sessions[&4].incoming.len()), (1, 1));
    assert!(ann.will.is_some() && image.sessions[&4].will.is_none());
    assert_eq!(image.retained.keys().map(|topic| topic.to_string()).collect::<Vec<_>>(), ["a/1"]);
    assert_eq!(self::image(image.records()), image);
    let published = image.records().into_iter().filter(|record| matches!(record, Record::Published { .. })).count();
    assert_eq!(published, 3, "a message stands once");
}

#[test]
fn a_torn_end_is_cut_kept_beside_and_said() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), records(), WORTH);
    assert_eq!(load(folder.path()), Ok(image(records())));
    let path = folder.path().join("log-00000001");
    let whole = fs::read(&path).unwrap();
    let mut last = Vec::new();
    records().pop().unwrap().write(Mark::Confirmed, &mut last);
    let good = whole.len() - last.len();
    let torn = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        assert_eq!(load(folder.path()), Ok(image(records().into_iter().take(records().len() - 1))));
        assert_eq!(fs::metadata(&path).unwrap().len(), good as u64);
        fs::read(path.with_extension("torn")).unwrap()
    };
    for cut in 1..last.len() {
        assert_eq!(torn(&whole[..whole.len() - cut]), last[..last.len() - cut]);
    }
    // A file system may have grown the file, and not written it.
    for at in 0..last.len() {
        let mut zeros = whole.clone();
        zeros[good + at..].fill(0);
        if zeros != whole {
            torn(&zeros);
        }
    }
}

#[test]
fn damage_before_the_end_is_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), records(), WORTH);
    let path = folder.path().join("log-00000001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[12] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(load(folder.path()).is_err_and(|why| why.contains("log-00000001: damaged at byte 0")));
    bytes[12] ^= 1;
    fs::write(&path, &bytes).unwrap();
    fs::write(folder.path().join("log-00000002"), &bytes).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(load(folder.path()).is_err(), "only the last log may be torn");
    // The next one was begun, and that failed.
    fs::write(folder.path().join("log-00000002"), b"").unwrap();
    assert_eq!(load(folder.path()), Ok(image(records().into_iter().take(records().len() - 1))));
}

/// Of blocks that were on their way without power, a later one may be there, and an earlier one not.
#[test]
fn damage_in_a_group_that_was_not_confirmed_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(Arc::new(Folder::open_unlocked(folder.path())), Sync::Always).unwrap();
    let all = records();
    let (first, second) = all.split_at(4);
    journal.take(first);
    journal.write(now().instant).unwrap();
    let path = folder.path().join("log-00000001");
    let confirmed = fs::metadata(&path).unwrap().len() as usize;
    journal.take(second);
    journal.write(now().instant).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[confirmed + 12] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(load(folder.path()), Ok(image(first.to_vec())));
    // In the group before, the same is no crash.
    bytes[confirmed + 12] ^= 1;
    bytes[12] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(load(folder.path()).is_err_and(|why| why.contains("damaged at byte 0")));
}

/// The next log is begun and the disk fails, so the log before it grows on; then the process is killed.
#[test]
fn a_log_behind_which_an_empty_one_stands_is_on_the_disk_before_that_one_grows() {
    for sync in [Sync::Always, Sync::EverySecond, Sync::Never] {
        let disk = Forgetful::new();
        let open = || Journal::open(Arc::new(disk.clone()), sync).unwrap();
        let (mut journal, _) = open();
        journal.set_worth(1);
        let all = records();
        journal.take(&all[..4]);
        journal.write(now().instant).unwrap();
        journal.write(now().instant + Duration::from_secs(1)).unwrap();
        disk.fail(Failing::Names);
        assert!(journal.compact().is_none());
        assert!(disk.names().unwrap().contains(&"log-00000002".to_owned()));
        // Written, and not kept.
        disk.fail(Failing::Files);
        journal.take(&all[4..8]);
        let _ = journal.write(now().instant);
        drop(journal);
        disk.fail(Failing::None);
        let (mut journal, image) = open();
        assert!(image == self::image(all[..8].to_vec()), "{sync:?}");
        journal.take(&all[8..12]);
        journal.write(now().instant).unwrap();
        journal.finish().unwrap();
        drop(journal);
        disk.lose_power();
        let (_, image) = open();
        let kept = if sync == Sync::Never { 8 } else { 12 };
        assert!(image == self::image(all[..kept].to_vec()), "{sync:?}, without power");
    }
}

/// A will that is published is in no session any more, or its message comes twice after a crash between the two.
#[test]
fn a_will_is_published_and_gone_with_one_record() {
    let mut image = image(records());
    assert!(image.sessions[&3].will.is_some());
    let to = vec![to(4, 9, None)];
    image.add(Record::Published { message: message("will"), retained: false, from: SenderChange::Will(3), to });
    assert!(image.sessions[&3].will.is_none() && image.sessions[&4].waiting.contains_key(&9));
}

/// Another sync that succeeds proves nothing for what an earlier one has failed to keep.
#[test]
fn a_log_that_the_disk_failed_to_keep_is_written_again_before_the_next_one() {
    for is_killed in [false, true] {
        let disk = Forgetful::new();
        let open = || Journal::open(Arc::new(disk.clone()), Sync::Never).unwrap();
        let (mut journal, _) = open();
        journal.set_worth(1);
        let all = records();
        journal.take(&all[..4]);
        journal.write(now().instant).unwrap();
        disk.fail(Failing::Files);
        assert!(journal.compact().is_none());
        disk.fail(Failing::None);
        if is_killed {
            drop(journal);
            (journal, _) = open();
            journal.set_worth(1);
        }
        journal.take(&all[4..8]);
        journal.write(now().instant).unwrap();
        assert!(journal.compact().is_some());
        journal.take(&all[8..12]);
        journal.write(now().instant).unwrap();
        disk.write_back("log-00000002");
        drop(journal);
        disk.lose_power();
        let (_, image) = open();
        assert!(image == self::image(all[..12].to_vec()), "killed: {is_killed}");
    }
}

/// However often it happens, and wherever a crash leaves it: the state is what the records add up to.
#[test]
fn long_logs_become_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let many: Vec<Record> = (0..200).flat_map(|_| records()).collect();
    write(folder.path(), many.clone(), 2000);
    assert_eq!(load(folder.path()), Ok(image(many.clone())));
    let unlocked = Folder::open_unlocked(folder.path());
    let (logs, snapshots) = (Kind::Log.numbers(&unlocked).unwrap(), Kind::Snapshot.numbers(&unlocked).unwrap());
    let size: u64 = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(snapshots.len() == 1 && logs.iter().all(|log| *log >= snapshots[0]), "{logs:?} {snapshots:?}");
    let mut whole = Vec::new();
    many.iter().for_each(|record| record.write(Mark::Behind, &mut whole));
    assert!(size < whole.len() as u64 / 2, "{size} of {}", whole.len());
    // A crash behind the new name and before the old files are gone.
    let old = folder.path().join(Kind::Log.name(snapshots[0] - 1));
    fs::write(&old, b"old").unwrap();
    assert_eq!(load(folder.path()), Ok(image(many.clone())));
    // A snapshot that was not finished.
    fs::write(folder.path().join(Kind::Snapshot.name(999)).with_extension("new"), b"half").unwrap();
    assert_eq!(load(folder.path()), Ok(image(many)));
}
