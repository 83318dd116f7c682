//! Signing keys by schedule (9700-44): published before use, kept past the last expiry, rotated without a restart.

use countersign::app::existing_secret_keys;
use countersign::config::Config;
use countersign::crypto::seal::Sealer;
use countersign::domain::operations::signing_keys::{self, Fresh, Rotation, Schedule};
use countersign::store::signing_keys::StoredSigningKey;
use countersign::store::{Error, Store, Verdict};
use countersign::types::state::SigningAlgorithm;
use countersign::types::time::Timestamp;
use reqwest::StatusCode;
use serde_json::Value;

use super::is_active;
use crate::databases::{TestDatabase, both_databases};
use crate::server::{NOON, Server};

both_databases!(
    a_key_is_published_before_it_signs_and_kept_past_the_last_expiry,
    the_schedule_prepares_one_key_in_time,
    a_schedule_of_zero_never_rotates,
    a_key_made_while_nobody_serves_is_published_first,
    an_urgent_key_signs_at_once_and_the_waiting_one_is_gone,
    an_urgent_key_takes_over_from_one_of_a_clock_that_was_ahead,
    two_rotations_at_once_make_one_key,
    a_clock_that_steps_back_changes_the_key_and_breaks_nothing,
    another_algorithm_starts_with_the_next_key,
    a_longer_lifetime_of_tokens_keeps_the_key_longer,
    a_removed_key_ends_its_tokens,
);

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

async fn own_token(server: &Server) -> String {
    let (status, body) = server.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    super::text(&body, "access_token").to_owned()
}

fn kid_of(token: &str) -> String {
    jsonwebtoken::decode_header(token)
        .expect("a JWT")
        .kid
        .expect("a kid")
}

/// The kids of the key set, the one that signs last first.
async fn published(server: &Server) -> Vec<String> {
    let set: Value = server
        .get("/.well-known/jwks.json")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    set["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| super::text(key, "kid").to_owned())
        .collect()
}

/// What the job does every few seconds.
async fn tend(server: &Server) {
    server
        .app
        .tend_signing_keys()
        .await
        .expect("the keys are kept");
}

async fn pass(server: &Server, seconds: i64) {
    server.clock.step_seconds(seconds);
    tend(server).await;
}

async fn stored(store: &Store) -> Vec<StoredSigningKey> {
    store
        .read(|snapshot| snapshot.list_signing_keys())
        .await
        .expect("keys")
}

/// As the command line does it, beside the running server.
async fn rotate_at(
    server: &Server,
    now: Timestamp,
    seen: &str,
    urgent: bool,
) -> Result<Rotation, Error> {
    let guest = Store::open_as_guest(&server.database.database).expect("a guest");
    let config = &server.app.config;
    let sealer = Sealer::new(&existing_secret_keys(config).expect("the secret key"));
    let fresh = Fresh::generate(SigningAlgorithm::EdDsa, &sealer).expect("a key");
    let (schedule, seen) = (Schedule::of(&config.oauth), seen.to_owned());
    guest
        .write(now, move |tx| {
            signing_keys::rotate(tx, schedule, &fresh, &seen, urgent).map(Verdict::Done)
        })
        .await
}

async fn rotate(server: &Server, urgent: bool) -> Rotation {
    let seen = stored(&server.app.store).await.remove(0).kid;
    rotate_at(server, server.clock.now(), &seen, urgent)
        .await
        .expect("a rotation")
}

fn made(rotation: Rotation) -> StoredSigningKey {
    let Rotation::Made(key) = rotation else {
        unreachable!("nothing was in the way")
    };
    key
}

async fn a_key_is_published_before_it_signs_and_kept_past_the_last_expiry(db: TestDatabase) {
    let server = Server::start(db).await;
    let old = own_token(&server).await;
    let next = made(rotate(&server, false).await).kid;
    assert!(
        matches!(rotate(&server, false).await, Rotation::Waiting(key) if key.kid == next),
        "one waits already"
    );
    assert_eq!(
        published(&server).await,
        [kid_of(&old)],
        "the server learns of it with its next look"
    );
    tend(&server).await;
    assert_eq!(
        published(&server).await,
        [next.clone(), kid_of(&old)],
        "published"
    );
    assert_eq!(
        kid_of(&own_token(&server).await),
        kid_of(&old),
        "and not used yet"
    );
    server.clock.step_seconds(DAY - 1);
    let last = own_token(&server).await;
    assert_eq!(kid_of(&last), kid_of(&old), "a second too early");
    // at its time, with no write and no look at the database in between
    server.clock.step_seconds(1);
    let new = own_token(&server).await;
    assert_eq!(kid_of(&new), next);
    for token in [&last, &new] {
        assert!(is_active(&server, token).await);
    }
    pass(&server, 15 * 60 + signing_keys::SLACK_SECONDS).await;
    assert_eq!(
        published(&server).await,
        [next.clone(), kid_of(&old)],
        "its last token has expired, but clocks differ"
    );
    pass(&server, 1).await;
    assert_eq!(published(&server).await, [next]);
    assert!(!is_active(&server, &last).await);
}

async fn the_schedule_prepares_one_key_in_time(db: TestDatabase) {
    let server = Server::start(db).await;
    let first = kid_of(&own_token(&server).await);
    pass(&server, 89 * DAY - 1).await;
    assert_eq!(published(&server).await, std::slice::from_ref(&first));
    pass(&server, 1).await;
    for _ in 0..3 {
        pass(&server, 60).await;
    }
    let keys = stored(&server.app.store).await;
    assert_eq!(keys.len(), 2, "one, however often the job looks");
    assert_eq!(
        (keys[0].signs_from, keys[0].published_at),
        (
            NOON.plus_seconds(90 * DAY),
            Some(NOON.plus_seconds(89 * DAY))
        )
    );
    assert_eq!(kid_of(&own_token(&server).await), first);
    pass(&server, DAY).await;
    assert_eq!(kid_of(&own_token(&server).await), keys[0].kid);
    // and so on for a year: never more than two, each with its time
    for _ in 0..365 {
        pass(&server, DAY).await;
        let keys = stored(&server.app.store).await;
        assert!((1..=2).contains(&keys.len()));
        assert!(keys.iter().all(|key| {
            key.published_at
                .is_some_and(|at| at.plus_seconds(DAY) <= key.signs_from)
        }));
        assert!(
            published(&server)
                .await
                .contains(&kid_of(&own_token(&server).await))
        );
    }
}

async fn a_schedule_of_zero_never_rotates(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.oauth.signing_key_seconds = 0).await;
    let first = kid_of(&own_token(&server).await);
    pass(&server, 10 * 365 * DAY).await;
    assert_eq!(published(&server).await, [first]);
    let next = made(rotate(&server, false).await).kid;
    tend(&server).await;
    pass(&server, DAY).await;
    assert_eq!(kid_of(&own_token(&server).await), next, "by hand it does");
}

async fn a_key_made_while_nobody_serves_is_published_first(db: TestDatabase) {
    // 9700-44: no key signs before resource servers could see it
    let server = Server::start(db).await;
    let first = kid_of(&own_token(&server).await);
    let next = made(rotate(&server, false).await).kid;
    // the server looks a week later only, as one that was stopped in between
    server.clock.step_seconds(7 * DAY);
    assert_eq!(kid_of(&own_token(&server).await), first);
    tend(&server).await;
    assert_eq!(
        kid_of(&own_token(&server).await),
        first,
        "its time had come, but nobody had seen it"
    );
    pass(&server, DAY - 1).await;
    assert_eq!(kid_of(&own_token(&server).await), first);
    pass(&server, 1).await;
    assert_eq!(kid_of(&own_token(&server).await), next);
}

async fn an_urgent_key_signs_at_once_and_the_waiting_one_is_gone(db: TestDatabase) {
    let server = Server::start(db).await;
    let old = own_token(&server).await;
    let waiting = made(rotate(&server, false).await).kid;
    tend(&server).await;
    server.clock.step_seconds(60);
    let urgent = made(rotate(&server, true).await).kid;
    tend(&server).await;
    assert_eq!(published(&server).await, [urgent.clone(), kid_of(&old)]);
    assert_eq!(kid_of(&own_token(&server).await), urgent);
    assert!(
        is_active(&server, &old).await,
        "what was signed before stays valid"
    );
    pass(&server, 2 * DAY).await;
    assert_eq!(published(&server).await, [urgent]);
    assert!(
        !stored(&server.app.store)
            .await
            .iter()
            .any(|key| key.kid == waiting)
    );
    // a command line whose clock is ahead does not make the server wait
    let seen = stored(&server.app.store).await.remove(0).kid;
    let ahead = rotate_at(&server, server.clock.now().plus_seconds(HOUR), &seen, true)
        .await
        .expect("a rotation");
    tend(&server).await;
    assert_eq!(kid_of(&own_token(&server).await), made(ahead).kid);
}

async fn an_urgent_key_takes_over_from_one_of_a_clock_that_was_ahead(db: TestDatabase) {
    let server = Server::start(db).await;
    let old = own_token(&server).await;
    pass(&server, -365 * DAY).await;
    assert_eq!(
        kid_of(&own_token(&server).await),
        kid_of(&old),
        "the only one there is"
    );
    let urgent = made(rotate(&server, true).await).kid;
    tend(&server).await;
    assert_eq!(kid_of(&own_token(&server).await), urgent);
    server.clock.step_seconds(366 * DAY);
    assert_eq!(
        kid_of(&own_token(&server).await),
        urgent,
        "the old one does not come back when its time comes"
    );
}

async fn two_rotations_at_once_make_one_key(db: TestDatabase) {
    let server = Server::start(db).await;
    for urgent in [false, true] {
        for _ in 0..5 {
            pass(&server, DAY).await;
            let before = stored(&server.app.store).await;
            let (seen, now) = (&before[0].kid, server.clock.now());
            let both = futures_util::future::join_all(
                (0..4).map(|_| rotate_at(&server, now, seen, urgent)),
            )
            .await;
            let count = both
                .iter()
                .filter(|answer| matches!(answer, Ok(Rotation::Made(_))))
                .count();
            assert_eq!(count, 1);
            for answer in both {
                let fits = matches!(
                    answer,
                    Ok(Rotation::Made(_) | Rotation::Overtaken(_) | Rotation::Waiting(_))
                        | Err(Error::Constraint(_) | Error::NotFound)
                );
                assert!(fits);
            }
            let new = stored(&server.app.store)
                .await
                .into_iter()
                .filter(|key| !before.iter().any(|own| own.kid == key.kid))
                .count();
            assert_eq!(new, 1);
            pass(&server, 0).await;
            own_token(&server).await;
        }
    }
    // the job and the command line
    let before = stored(&server.app.store).await;
    server.clock.step_seconds(365 * DAY);
    let (seen, now) = (&before[0].kid, server.clock.now());
    let (tended, _) = futures_util::future::join(
        server.app.tend_signing_keys(),
        rotate_at(&server, now, seen, false),
    )
    .await;
    tended.expect("the job goes on");
    tend(&server).await;
    assert_eq!(
        published(&server).await.len(),
        stored(&server.app.store).await.len()
    );
    let new = stored(&server.app.store)
        .await
        .into_iter()
        .filter(|key| !before.iter().any(|own| own.kid == key.kid))
        .count();
    assert_eq!(new, 1);
}

async fn a_clock_that_steps_back_changes_the_key_and_breaks_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let first = own_token(&server).await;
    let next = made(rotate(&server, false).await).kid;
    tend(&server).await;
    pass(&server, DAY).await;
    let second = own_token(&server).await;
    assert_eq!(kid_of(&second), next);
    pass(&server, -HOUR).await;
    assert_eq!(kid_of(&own_token(&server).await), kid_of(&first));
    assert!(is_active(&server, &second).await);
    pass(&server, -30 * DAY).await;
    assert_eq!(
        kid_of(&own_token(&server).await),
        kid_of(&first),
        "before the time of all of them the earliest signs"
    );
    pass(&server, 31 * DAY).await;
    assert_eq!(kid_of(&own_token(&server).await), next);
}

async fn another_algorithm_starts_with_the_next_key(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.oauth.signing_algorithm = "EdDSA".to_owned()
    })
    .await;
    // as if the server had been started with ES256 before
    let algorithms = async || -> Vec<SigningAlgorithm> {
        stored(&server.app.store)
            .await
            .iter()
            .map(|key| key.algorithm)
            .collect()
    };
    assert_eq!(algorithms().await, [SigningAlgorithm::EdDsa]);
    let sealer = Sealer::new(&existing_secret_keys(&server.app.config).expect("the secret key"));
    let fresh = Fresh::generate(SigningAlgorithm::Es256, &sealer).expect("a key");
    let (schedule, seen) = (
        Schedule::of(&server.app.config.oauth),
        stored(&server.app.store).await.remove(0).kid,
    );
    let rotation: Result<Rotation, Error> = server
        .app
        .store
        .write(server.clock.now(), move |tx| {
            signing_keys::rotate(tx, schedule, &fresh, &seen, true).map(Verdict::Done)
        })
        .await;
    made(rotation.expect("a rotation"));
    tend(&server).await;
    let old = own_token(&server).await;
    assert_eq!(
        jsonwebtoken::decode_header(&old).expect("a JWT").alg,
        jsonwebtoken::Algorithm::ES256
    );
    pass(&server, 89 * DAY).await;
    assert_eq!(
        algorithms().await,
        [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256]
    );
    let last = own_token(&server).await;
    assert_eq!(
        jsonwebtoken::decode_header(&last).expect("a JWT").alg,
        jsonwebtoken::Algorithm::ES256
    );
    server.clock.step_seconds(DAY);
    let new = own_token(&server).await;
    assert_eq!(
        jsonwebtoken::decode_header(&new).expect("a JWT").alg,
        jsonwebtoken::Algorithm::EdDSA
    );
    assert!(is_active(&server, &new).await);
}

async fn a_longer_lifetime_of_tokens_keeps_the_key_longer(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.oauth.access_token_seconds = 7 * DAY).await;
    // what an earlier start with a shorter lifetime had written; and a later one must not shorten it
    server
        .database
        .execute("UPDATE signing_keys SET longest_token_seconds = 900");
    tend(&server).await;
    assert_eq!(
        stored(&server.app.store).await[0].longest_token_seconds,
        7 * DAY
    );
    let shorter = Schedule {
        longest_token_seconds: 900,
        ..Schedule::of(&server.app.config.oauth)
    };
    assert!(signing_keys::is_on_schedule(
        &stored(&server.app.store).await,
        shorter,
        (server.clock.now(), true)
    ));
    made(rotate(&server, false).await);
    tend(&server).await;
    server.clock.step_seconds(DAY - 1);
    let last = own_token(&server).await;
    pass(&server, 7 * DAY - 1).await;
    assert!(is_active(&server, &last).await);
    assert!(published(&server).await.contains(&kid_of(&last)));
}

async fn a_removed_key_ends_its_tokens(db: TestDatabase) {
    let server = Server::start(db).await;
    let old = own_token(&server).await;
    let remove = async |kid: String| {
        let guest = Store::open_as_guest(&server.database.database).expect("a guest");
        guest
            .write(server.clock.now(), move |tx| {
                signing_keys::remove(tx, &kid).map(Verdict::Done)
            })
            .await
    };
    assert_eq!(
        remove(kid_of(&old)).await,
        Err(signing_keys::CannotRemove::Signs)
    );
    assert!(is_active(&server, &old).await, "and it is remembered");
    assert_eq!(
        remove("nobody".to_owned()).await,
        Err(signing_keys::CannotRemove::Unknown)
    );
    server.clock.step_seconds(1);
    let urgent = made(rotate(&server, true).await).kid;
    assert_eq!(remove(kid_of(&old)).await, Ok(()));
    tend(&server).await;
    assert_eq!(published(&server).await, [urgent]);
    assert!(!is_active(&server, &old).await);
    assert!(is_active(&server, &own_token(&server).await).await);
}

#[test]
fn the_schedule_is_the_configuration() {
    let config = Config::default();
    let schedule = Schedule::of(&config.oauth);
    assert_eq!(
        (
            schedule.seconds,
            schedule.publish_seconds,
            schedule.longest_token_seconds
        ),
        (90 * DAY, DAY, 15 * 60)
    );
}
