//! The windows of limits, as of the last flush.

use countersign::store::limit_windows::LimitWindow;

use super::{EARLIER, LATER, NOW, is_constraint, open, read, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    windows_are_listed_by_name_in_bounded_pages,
    windows_are_replaced_together,
    what_has_run_out_leaves_in_bounded_batches
);

fn window(name: &str) -> LimitWindow {
    let admissions = format!("{}:1 {}:24", NOW.millis() - 7, NOW.millis());
    LimitWindow {
        name: name.to_owned(),
        owner: "org_1".to_owned(),
        window_millis: 60_000,
        admissions,
        ends_at: LATER,
    }
}

async fn windows_are_listed_by_name_in_bounded_pages(db: TestDatabase) {
    let store = open(&db);
    let rows = ["owner b", "owner a", "owner c"].map(window);
    write(&store, move |tx| tx.insert_limit_windows(&rows))
        .await
        .expect("inserted");
    let page = read(&store, |c| c.list_limit_windows("", NOW, 2)).await;
    assert_eq!(
        page,
        [window("owner a"), window("owner b")],
        "as it was written"
    );
    assert_eq!(
        read(&store, |c| c.list_limit_windows("owner b", NOW, 2)).await,
        [window("owner c")]
    );
    assert!(
        read(&store, |c| c.list_limit_windows("owner c", NOW, 2))
            .await
            .is_empty()
    );
    assert!(
        read(&store, |c| c.list_limit_windows("", LATER, 2))
            .await
            .is_empty(),
        "they have run out"
    );
}

async fn windows_are_replaced_together(db: TestDatabase) {
    let store = open(&db);
    let rows: Vec<LimitWindow> = (0..256)
        .map(|number| window(&format!("owner {number}")))
        .collect();
    let all = rows.clone();
    write(&store, move |tx| tx.insert_limit_windows(&all))
        .await
        .expect("inserted");
    let twice = window("owner 7");
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_limit_windows(&[twice])).await
    ));
    let newer: Vec<LimitWindow> = rows
        .iter()
        .map(|row| LimitWindow {
            admissions: "1:1".to_owned(),
            ..row.clone()
        })
        .collect();
    let copy = newer.clone();
    write(&store, move |tx| {
        let names: Vec<&str> = copy
            .iter()
            .map(|row| row.name.as_str())
            .chain(["owner none"])
            .collect();
        tx.delete_limit_windows(&names)?;
        tx.insert_limit_windows(&copy)
    })
    .await
    .expect("replaced");
    assert_eq!(
        read(&store, |c| c.list_limit_windows("", NOW, 1000))
            .await
            .len(),
        256
    );
    assert!(
        read(&store, |c| c.list_limit_windows("", NOW, 1000))
            .await
            .iter()
            .all(|row| row.admissions == "1:1")
    );
    for nothing in [vec![], vec!["owner none"]] {
        write(&store, move |tx| tx.delete_limit_windows(&nothing))
            .await
            .expect("no error");
    }
    write(&store, |tx| tx.insert_limit_windows(&[]))
        .await
        .expect("no error");
}

async fn what_has_run_out_leaves_in_bounded_batches(db: TestDatabase) {
    let store = open(&db);
    let ended = ["owner a", "owner b", "owner c"].map(|name| LimitWindow {
        ends_at: if name == "owner c" { NOW } else { EARLIER },
        ..window(name)
    });
    write(&store, move |tx| tx.insert_limit_windows(&ended))
        .await
        .expect("inserted");
    write(&store, |tx| tx.insert_limit_windows(&[window("owner d")]))
        .await
        .expect("inserted");
    for (swept, at) in [(2, NOW), (1, NOW), (0, NOW), (1, LATER)] {
        assert_eq!(
            write_at(&store, at, |tx| tx.sweep_limit_windows(2)).await,
            Ok(swept)
        );
    }
    assert!(
        read(&store, |c| c.list_limit_windows("", EARLIER, 10))
            .await
            .is_empty()
    );
}
