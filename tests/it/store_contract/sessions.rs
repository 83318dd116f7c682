//! Signed-in browsers.

use countersign::crypto::digest::Digest;
use countersign::store::sessions::Session;
use countersign::types::id::{SessionId, UserId};
use countersign::types::time::Timestamp;

use super::{
    Acme, EARLIER, LATER, NOW, digest, is_constraint, open, read, unique_digest, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_session_is_found_with_its_user,
    a_sessions_last_use_is_recorded,
    a_session_that_has_ended_ends_again,
    all_sessions_of_a_user_end_and_nobody_elses,
    only_the_users_expired_sessions_are_removed,
    the_sessions_of_one_organizations_provider_end_together,
);

pub fn session(user: UserId, digest: Digest, expires_at: Timestamp) -> Session {
    Session {
        id: SessionId::generate(NOW),
        digest,
        user_id: user,
        created_at: NOW,
        last_seen_at: NOW,
        expires_at,
        confined_to: None,
        proven_at: NOW,
    }
}

async fn a_session_is_found_with_its_user(db: TestDatabase) {
    let store = open(&db);
    let user = Acme::insert(&store).await.person;
    write(&store, move |tx| {
        tx.insert_session(&session(user, digest("token"), LATER))
    })
    .await
    .expect("inserted");
    let (found, owner) = read(&store, |c| {
        c.find_session_by_digest(&[digest("newer key"), digest("token")])
    })
    .await
    .expect("found");
    assert!(found.user_id == user && owner.id == user && found.expires_at == LATER);
    assert!(
        read(&store, |c| c.find_session_by_digest(&[digest("unknown")]))
            .await
            .is_none()
    );
    let id = found.id;
    assert!(
        read(&store, move |c| c.is_session_live(id, NOW)).await
            && !read(&store, move |c| c.is_session_live(id, LATER)).await
    );
    assert!(!read(&store, |c| c.is_session_live(SessionId::generate(NOW), NOW)).await);
    assert!(
        read(&store, |c| c.find_session_by_digest(&[]))
            .await
            .is_none()
    );
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_session(&session(
            user,
            digest("token"),
            LATER
        )))
        .await
    ));
    let nobody = UserId::generate(NOW);
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_session(&session(
            nobody,
            unique_digest(),
            LATER
        )))
        .await
    ));
}

async fn a_sessions_last_use_is_recorded(db: TestDatabase) {
    let store = open(&db);
    let row = session(Acme::insert(&store).await.person, digest("token"), LATER);
    let id = row.id;
    write(&store, move |tx| tx.insert_session(&row))
        .await
        .expect("inserted");
    write_at(&store, LATER, move |tx| tx.record_session_use(id))
        .await
        .expect("recorded");
    let (found, _) = read(&store, |c| c.find_session_by_digest(&[digest("token")]))
        .await
        .expect("found");
    assert!(found.last_seen_at == LATER && found.created_at == NOW);
    write(&store, |tx| tx.record_session_use(SessionId::generate(NOW)))
        .await
        .expect("one that has just ended is no error");
}

async fn a_session_that_has_ended_ends_again(db: TestDatabase) {
    let store = open(&db);
    let row = session(Acme::insert(&store).await.person, digest("token"), LATER);
    let id = row.id;
    write(&store, move |tx| tx.insert_session(&row))
        .await
        .expect("inserted");
    for _ in 0..2 {
        write(&store, move |tx| tx.delete_session(id))
            .await
            .expect("ended");
        assert!(
            read(&store, |c| c.find_session_by_digest(&[digest("token")]))
                .await
                .is_none()
        );
    }
}

async fn all_sessions_of_a_user_end_and_nobody_elses(db: TestDatabase) {
    let store = open(&db);
    let (user, other) = (
        Acme::insert(&store).await.person,
        Acme::insert(&store).await.person,
    );
    write(&store, move |tx| {
        tx.insert_session(&session(user, digest("one"), LATER))?;
        tx.insert_session(&session(user, digest("two"), LATER))?;
        tx.insert_session(&session(other, digest("theirs"), LATER))
    })
    .await
    .expect("inserted");
    for ended in [2, 0] {
        assert_eq!(
            write(&store, move |tx| tx.delete_sessions_of(user)).await,
            Ok(ended)
        );
    }
    let theirs = read(&store, |c| c.find_session_by_digest(&[digest("theirs")])).await;
    assert!(theirs.is_some());
}

async fn only_the_users_expired_sessions_are_removed(db: TestDatabase) {
    let store = open(&db);
    let (user, other) = (
        Acme::insert(&store).await.person,
        Acme::insert(&store).await.person,
    );
    write(&store, move |tx| {
        tx.insert_session(&session(user, digest("expired"), EARLIER))?;
        tx.insert_session(&session(user, digest("live"), LATER))?;
        tx.insert_session(&session(other, digest("other"), EARLIER))
    })
    .await
    .expect("inserted");
    assert_eq!(
        write(&store, move |tx| tx.delete_expired_sessions(user)).await,
        Ok(1)
    );
    for (token, stays) in [("expired", false), ("live", true), ("other", true)] {
        assert_eq!(
            read(&store, move |c| c.find_session_by_digest(&[digest(token)]))
                .await
                .is_some(),
            stays,
            "{token}"
        );
    }
}

async fn the_sessions_of_one_organizations_provider_end_together(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (user, own, elsewhere) = (acme.person, acme.organization, other.organization);
    write(&store, move |tx| {
        tx.insert_session(&Session {
            confined_to: Some(own),
            ..session(user, digest("own"), LATER)
        })?;
        tx.insert_session(&Session {
            confined_to: Some(elsewhere),
            ..session(user, digest("elsewhere"), LATER)
        })?;
        tx.insert_session(&session(user, digest("free"), LATER))
    })
    .await
    .expect("inserted");
    assert_eq!(
        read(&store, |c| c.find_session_by_digest(&[digest("own")]))
            .await
            .expect("found")
            .0
            .confined_to,
        Some(own)
    );
    assert_eq!(
        write(&store, move |tx| tx.delete_confined_sessions(own)).await,
        Ok(1)
    );
    for (token, stays) in [("own", false), ("elsewhere", true), ("free", true)] {
        assert_eq!(
            read(&store, move |c| c.find_session_by_digest(&[digest(token)]))
                .await
                .is_some(),
            stays,
            "{token}"
        );
    }
    let nobody = Session {
        confined_to: Some(countersign::types::id::OrganizationId::generate(NOW)),
        ..session(user, unique_digest(), LATER)
    };
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_session(&nobody)).await
    ));
}
