//! The record of the server's clock, and the newest row.

use countersign::types::clock_watch::ClockRecord;
use countersign::types::event::Event;

use super::{EARLIER, LATER, NOW, open, read, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_record_replaces_the_one_before,
    the_newest_row_is_the_last_event_or_key
);

async fn a_record_replaces_the_one_before(db: TestDatabase) {
    let store = open(&db);
    assert_eq!(read(&store, |c| c.find_clock_record()).await, None);
    let first = ClockRecord {
        trusted_at: NOW,
        boot: "one".to_owned(),
        uptime_millis: 7,
        doubted_at: Some(LATER),
        dated_until: EARLIER,
    };
    let second = ClockRecord {
        boot: "two".to_owned(),
        doubted_at: None,
        ..first.clone()
    };
    for record in [first, second] {
        let put = record.clone();
        write(&store, move |tx| tx.put_clock_record(&put))
            .await
            .expect("written");
        assert_eq!(read(&store, |c| c.find_clock_record()).await, Some(record));
    }
}

async fn the_newest_row_is_the_last_event_or_key(db: TestDatabase) {
    let store = open(&db);
    assert_eq!(read(&store, |c| c.find_newest_instant()).await, None);
    for at in [EARLIER, NOW] {
        write_at(&store, at, |tx| {
            tx.record(None, None, Event::ClockAccepted, "", "")
        })
        .await
        .expect("recorded");
        assert_eq!(read(&store, |c| c.find_newest_instant()).await, Some(at));
    }
    db.execute(&format!(
        "INSERT INTO signing_keys (kid, algorithm, sealed_private_key, created_at, signs_from, replaces, longest_token_seconds)
         VALUES ('k', 'ES256', '', {0}, {0}, '', 1)",
        LATER.millis()
    ));
    assert_eq!(read(&store, |c| c.find_newest_instant()).await, Some(LATER));
}
