//! `countersign migrate`.

use super::Place;
use crate::databases::{TestDatabase, both_databases};

both_databases!(migrating_brings_a_fresh_database_up_to_date_and_nothing_more);

async fn migrating_brings_a_fresh_database_up_to_date_and_nothing_more(db: TestDatabase) {
    db.unmigrate();
    let place = Place::new(&db);
    let first = place.run(&["migrate"]);
    assert!(
        first.succeeded && first.output.contains("Applied "),
        "{}{}",
        first.output,
        first.said
    );
    for _ in 0..2 {
        let again = place.run(&["migrate"]);
        assert!(again.succeeded, "{}", again.said);
        assert_eq!(again.output, "The schema is up to date.\n");
    }
    let mut serving = place.start(&["serve"]);
    serving.issuer();
}
