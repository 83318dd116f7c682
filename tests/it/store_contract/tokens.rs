//! Refresh tokens, opaque access tokens and revoked ids.
#![expect(clippy::panic, reason = "a test fails by it")]

use countersign::store::tokens::{AccessToken, RefreshToken};
use countersign::store::{Error, Subject};
use countersign::types::id::{AccessTokenId, AuthorizationId, RefreshTokenId};
use countersign::types::state::RefreshTokenState;

use super::{
    Acme, LATER, NOW, digest, is_constraint, open, read, scopes, unique_digest, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_refresh_token_is_found_by_any_of_its_candidate_digests,
    a_refresh_token_is_consumed_once,
    a_family_has_one_live_refresh_token,
    a_pair_is_replaced_only_while_nobody_has_seen_it,
    a_refresh_token_that_does_not_rotate_lives_on,
    a_replaced_refresh_token_may_be_used_after_all,
    an_opaque_access_token_is_found_as_it_was_written,
    an_access_token_is_revoked_as_often_as_asked,
    access_tokens_revoked_at_the_same_time_are_all_answered,
);

fn refresh_token(authorization: AuthorizationId) -> RefreshToken {
    RefreshToken {
        id: RefreshTokenId::generate(NOW),
        authorization_id: authorization,
        digest: unique_digest(),
        state: RefreshTokenState::Active,
        created_at: NOW,
        expires_at: LATER,
        consumed_at: None,
        generation: 3,
        access_token_id: Some(AccessTokenId::generate(NOW)),
        access_token_expires_at: Some(LATER),
        received_at: None,
    }
}

async fn a_refresh_token_is_found_by_any_of_its_candidate_digests(db: TestDatabase) {
    let store = open(&db);
    let token = refresh_token(
        Acme::insert(&store)
            .await
            .insert_authorization(&store)
            .await
            .id,
    );
    let (written, candidates) = (token.clone(), [digest("newer key"), token.digest.clone()]);
    write(&store, move |tx| tx.insert_refresh_token(&token))
        .await
        .expect("inserted");
    let found = read(&store, move |c| c.find_refresh_token_by_digest(&candidates))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert!(
        read(&store, |c| c
            .find_refresh_token_by_digest(&[digest("unknown")]))
        .await
        .is_none()
    );
    assert!(
        read(&store, |c| c.find_refresh_token_by_digest(&[]))
            .await
            .is_none()
    );
    let orphan = refresh_token(AuthorizationId::generate(NOW));
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_refresh_token(&orphan)).await
    ));
}

/// RFC 9700 §4.14.2: of two uses of one refresh token, one is a replay.
async fn a_refresh_token_is_consumed_once(db: TestDatabase) {
    let store = open(&db);
    let token = refresh_token(
        Acme::insert(&store)
            .await
            .insert_authorization(&store)
            .await
            .id,
    );
    let (id, stored) = (token.id, token.digest.clone());
    write(&store, move |tx| tx.insert_refresh_token(&token))
        .await
        .expect("inserted");
    let answers = futures_util::future::join_all(
        (0..20).map(|_| write(&store, move |tx| tx.consume_refresh_token(id))),
    )
    .await;
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count(),
        1,
        "{answers:?}"
    );
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(()) | Err(Error::NotFound))),
        "{answers:?}"
    );
    let found = read(&store, move |c| c.find_refresh_token_by_digest(&[stored]))
        .await
        .expect("found");
    assert!(found.state == RefreshTokenState::Consumed && found.consumed_at == Some(NOW));
}

async fn an_opaque_access_token_is_found_as_it_was_written(db: TestDatabase) {
    let store = open(&db);
    let written = AccessToken {
        id: AccessTokenId::generate(NOW),
        authorization_id: Acme::insert(&store)
            .await
            .insert_authorization(&store)
            .await
            .id,
        digest: digest("token"),
        scopes: scopes(""),
        created_at: NOW,
        expires_at: LATER,
        resources: "https://a.example https://b.example"
            .parse()
            .expect("resources"),
    };
    let copy = written.clone();
    write(&store, move |tx| tx.insert_access_token(&copy))
        .await
        .expect("inserted");
    let found = read(&store, |c| {
        c.find_access_token_by_digest(&[digest("newer key"), digest("token")])
    })
    .await
    .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert!(
        read(&store, |c| c
            .find_access_token_by_digest(&[digest("unknown")]))
        .await
        .is_none()
    );
    let second = AccessToken {
        id: AccessTokenId::generate(NOW),
        ..written
    };
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_access_token(&second)).await
    ));
}

/// RFC 7009 §2.2: a token that is invalid already is no error.
async fn an_access_token_is_revoked_as_often_as_asked(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (authorization, id) = (
        acme.insert_authorization(&store).await,
        AccessTokenId::generate(NOW),
    );
    assert!(!read(&store, move |c| c.is_token_revoked(id)).await);
    let before = store.changes().stamp();
    for _ in 0..2 {
        let authorization = authorization.clone();
        write(&store, move |tx| {
            tx.revoke_access_token(&authorization, id, LATER)
        })
        .await
        .expect("revoked");
        assert!(read(&store, move |c| c.is_token_revoked(id)).await);
    }
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::Organization(acme.organization)])
    );
    assert!(!read(&store, |c| c.is_token_revoked(AccessTokenId::generate(NOW))).await);
}

async fn access_tokens_revoked_at_the_same_time_are_all_answered(db: TestDatabase) {
    let store = open(&db);
    let authorization = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await;
    for _ in 0..20 {
        let id = AccessTokenId::generate(NOW);
        let revoke = |authorization| {
            write(&store, move |tx| {
                tx.revoke_access_token(&authorization, id, LATER)
            })
        };
        let answers =
            futures_util::future::join_all((0..8).map(|_| revoke(authorization.clone()))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
}

/// 9700-34: the tree never forks, whatever a rule forgets.
async fn a_family_has_one_live_refresh_token(db: TestDatabase) {
    let store = open(&db);
    let authorization = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await
        .id;
    assert!(
        read(&store, move |c| c.find_live_refresh_token(authorization))
            .await
            .is_none()
    );
    let (first, second, third) = (
        refresh_token(authorization),
        refresh_token(authorization),
        refresh_token(authorization),
    );
    let (id, third_id) = (first.id, third.id);
    write(&store, move |tx| tx.insert_refresh_token(&first))
        .await
        .expect("the first");
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_refresh_token(&second)).await
    ));
    assert_eq!(
        read(&store, move |c| c.find_live_refresh_token(authorization))
            .await
            .expect("live")
            .id,
        id
    );
    write(&store, move |tx| {
        tx.consume_refresh_token(id)
            .and_then(|()| tx.insert_refresh_token(&third))
    })
    .await
    .expect("in its place");
    assert_eq!(
        read(&store, move |c| c.find_live_refresh_token(authorization))
            .await
            .expect("live")
            .id,
        third_id
    );
}

/// 9700-36: seen and replaced exclude each other, whoever comes first.
async fn a_pair_is_replaced_only_while_nobody_has_seen_it(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    for round in 0..20 {
        let token = refresh_token(acme.insert_authorization(&store).await.id);
        let (id, access, digests) = (
            token.id,
            token.access_token_id.expect("one"),
            [token.digest.clone()],
        );
        write(&store, move |tx| tx.insert_refresh_token(&token))
            .await
            .expect("inserted");
        assert!(read(&store, move |c| c.is_receipt_open(access)).await);
        let (seen, replaced) = futures_util::future::join(
            write(&store, move |tx| tx.note_receipt(access)),
            write(&store, move |tx| tx.replace_refresh_token(id)),
        )
        .await;
        let found = read(&store, move |c| c.find_refresh_token_by_digest(&digests))
            .await
            .expect("found");
        match (seen, replaced) {
            (Ok(true), Err(Error::NotFound)) => assert!(
                found.state == RefreshTokenState::Active && found.received_at == Some(NOW),
                "{round}"
            ),
            (Ok(false), Ok(())) => assert!(
                found.state == RefreshTokenState::Replaced && found.received_at.is_none(),
                "{round}"
            ),
            other => panic!("{other:?}"),
        }
    }
    let never = AccessTokenId::generate(NOW);
    assert!(!read(&store, move |c| c.is_receipt_open(never)).await);
}

async fn a_refresh_token_that_does_not_rotate_lives_on(db: TestDatabase) {
    let store = open(&db);
    let token = refresh_token(
        Acme::insert(&store)
            .await
            .insert_authorization(&store)
            .await
            .id,
    );
    let (id, digests) = (token.id, [token.digest.clone()]);
    write(&store, move |tx| tx.insert_refresh_token(&token))
        .await
        .expect("inserted");
    let later = LATER.plus_seconds(60);
    write(&store, move |tx| tx.extend_refresh_token(id, later))
        .await
        .expect("extended");
    let found = read(&store, move |c| c.find_refresh_token_by_digest(&digests))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.expires_at, found.received_at),
        (RefreshTokenState::Active, later, Some(NOW))
    );
    write(&store, move |tx| tx.consume_refresh_token(id))
        .await
        .expect("consumed");
    assert_eq!(
        write(&store, move |tx| tx.extend_refresh_token(id, later)).await,
        Err(Error::NotFound)
    );
}

/// 9700-34: presenting a twin is a use, once.
async fn a_replaced_refresh_token_may_be_used_after_all(db: TestDatabase) {
    let store = open(&db);
    let authorization = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await
        .id;
    let token = refresh_token(authorization);
    let (id, digests) = (token.id, [token.digest.clone()]);
    write(&store, move |tx| tx.insert_refresh_token(&token))
        .await
        .expect("inserted");
    let end_of = |generation| {
        read(&store, move |c| {
            c.find_end_of_generation(authorization, generation)
        })
    };
    let use_it = || write_at(&store, LATER, move |tx| tx.use_replaced_refresh_token(id));
    assert_eq!(use_it().await, Err(Error::NotFound), "it is live");
    write(&store, move |tx| tx.replace_refresh_token(id))
        .await
        .expect("replaced");
    assert_eq!(end_of(3).await, None);
    assert_eq!(use_it().await, Ok(()));
    assert_eq!(use_it().await, Err(Error::NotFound), "it was used");
    let found = read(&store, move |c| c.find_refresh_token_by_digest(&digests))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.consumed_at),
        (RefreshTokenState::Consumed, Some(LATER))
    );
    assert_eq!((end_of(3).await, end_of(4).await), (Some(LATER), None));
}
