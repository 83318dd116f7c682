//! The sweep takes what has ended, in bounded batches, and nothing else.

use countersign::store::Store;
use countersign::store::authorization_requests::AuthorizationRequest;
use countersign::store::authorizations::Authorization;
use countersign::store::consents::Consent;
use countersign::store::sessions::Session;
use countersign::store::tokens::{AccessToken, RefreshToken};
use countersign::types::id::{
    AccessTokenId, AuthorizationRequestId, ConsentId, RefreshTokenId, SessionId,
};
use countersign::types::resource::Resources;
use countersign::types::state::{ConsentState, ReachKind, RefreshTokenState};
use countersign::types::time::Timestamp;

use super::{
    Acme, EARLIER, LATER, NOW, open, read, redirect_uri, scopes, unique_digest, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    every_kind_leaves_when_it_has_ended_and_not_before,
    a_batch_is_bounded,
    a_consumed_refresh_token_stays_while_its_return_is_to_be_noticed,
    a_consent_stays_while_an_authorization_of_it_does,
    what_stands_next_to_a_live_refresh_token_stays,
    the_tokens_of_an_authorization_go_before_it_in_bounded_batches,
);

/// One row of every kind that ends at `end`, hanging off one authorization.
async fn plant(store: &Store, acme: &Acme, end: Timestamp) -> Authorization {
    let application = acme.insert_application(store).await;
    let authorization = Authorization {
        row_expires_at: Some(end),
        marked_at: None,
        ..acme.authorization(application)
    };
    let person = acme.person;
    let copy = authorization.clone();
    write(store, move |tx| {
        tx.insert_authorization(&copy, &[])?;
        tx.insert_refresh_token(&refresh_token(&copy, end))?;
        tx.insert_access_token(&AccessToken {
            id: AccessTokenId::generate(NOW),
            authorization_id: copy.id,
            digest: unique_digest(),
            scopes: scopes(""),
            created_at: NOW,
            expires_at: end,
            resources: Resources::default(),
        })?;
        tx.revoke_access_token(&copy, AccessTokenId::generate(NOW), end)?;
        tx.insert_session(&Session {
            id: SessionId::generate(NOW),
            digest: unique_digest(),
            user_id: person,
            created_at: NOW,
            last_seen_at: NOW,
            expires_at: end,
            confined_to: None,
            proven_at: NOW,
        })?;
        tx.insert_authorization_request(&AuthorizationRequest {
            id: AuthorizationRequestId::generate(NOW),
            session_id: SessionId::generate(NOW),
            application_id: application,
            redirect_uri: redirect_uri("https://crm.example/cb"),
            scopes: scopes("read"),
            resources: Resources::default(),
            state: None,
            code_challenge: None,
            expires_at: end,
            answer: None,
        })
    })
    .await
    .expect("planted");
    authorization
}

fn refresh_token(authorization: &Authorization, end: Timestamp) -> RefreshToken {
    RefreshToken {
        id: RefreshTokenId::generate(NOW),
        authorization_id: authorization.id,
        digest: unique_digest(),
        state: RefreshTokenState::Active,
        created_at: NOW,
        expires_at: end,
        consumed_at: None,
        generation: 0,
        access_token_id: None,
        access_token_expires_at: None,
        received_at: None,
    }
}

async fn sweep(store: &Store, before: Timestamp, most: i64) -> [usize; 6] {
    write(store, move |tx| {
        Ok([
            tx.sweep_authorization_requests(before, most)?,
            tx.sweep_sessions(before, most)?,
            tx.sweep_access_tokens(before, most)?,
            tx.sweep_revoked_tokens(before, most)?,
            tx.sweep_refresh_tokens(before, most)?,
            tx.sweep_authorizations(before, most)?,
        ])
    })
    .await
    .expect("swept")
}

async fn every_kind_leaves_when_it_has_ended_and_not_before(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (old, live) = (
        plant(&store, &acme, EARLIER).await.id,
        plant(&store, &acme, LATER).await.id,
    );
    assert_eq!(read(&store, |c| c.count_expired(EARLIER)).await, 0);
    assert_eq!(read(&store, |c| c.count_expired(NOW)).await, 6);
    assert_eq!(
        sweep(&store, EARLIER, 10).await,
        [0; 6],
        "the instant itself is not past"
    );
    assert_eq!(sweep(&store, NOW, 10).await, [1; 6]);
    assert_eq!(sweep(&store, NOW, 10).await, [0; 6]);
    assert_eq!(read(&store, |c| c.count_expired(NOW)).await, 0);
    assert!(
        read(&store, move |c| c.find_authorization(old))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.find_authorization(live))
            .await
            .is_some()
    );
}

async fn a_batch_is_bounded(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    for _ in 0..3 {
        plant(&store, &acme, EARLIER).await;
    }
    assert_eq!(sweep(&store, NOW, 2).await, [2; 6]);
    assert_eq!(sweep(&store, NOW, 2).await, [1; 6]);
}

/// 9700-35: what is gone reads like what never was, so it must not go too early.
async fn a_consumed_refresh_token_stays_while_its_return_is_to_be_noticed(db: TestDatabase) {
    let store = open(&db);
    let authorization = plant(&store, &Acme::insert(&store).await, LATER).await.id;
    let live = read(&store, move |c| c.find_live_refresh_token(authorization))
        .await
        .expect("live");
    assert_eq!(
        write(&store, |tx| tx.sweep_consumed_refresh_tokens(LATER, 10)).await,
        Ok(0),
        "a live one is not consumed"
    );
    write(&store, move |tx| tx.consume_refresh_token(live.id))
        .await
        .expect("consumed");
    assert_eq!(
        write(&store, |tx| tx.sweep_consumed_refresh_tokens(NOW, 10)).await,
        Ok(0)
    );
    assert_eq!(
        write(&store, |tx| tx.sweep_consumed_refresh_tokens(LATER, 10)).await,
        Ok(1)
    );
}

async fn a_consent_stays_while_an_authorization_of_it_does(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let application = acme.insert_application(&store).await;
    let consent = Consent {
        id: ConsentId::generate(NOW),
        user_id: acme.person,
        application_id: application,
        organization_id: acme.organization,
        scopes: scopes("read"),
        reach: ReachKind::Workspaces,
        state: ConsentState::Active,
        created_at: NOW,
        updated_at: NOW,
        revoked_at: None,
        application_name: "An application".to_owned(),
        named_at: Timestamp::from_millis(0),
    };
    let (id, workspace) = (consent.id, acme.workspace);
    let authorization = Authorization {
        consent_id: Some(id),
        row_expires_at: Some(NOW),
        marked_at: None,
        ..acme.authorization(application)
    };
    write(&store, move |tx| {
        tx.insert_consent(&consent, &[workspace])
            .and_then(|()| tx.insert_authorization(&authorization, &[]))
    })
    .await
    .expect("both");
    let sweep = || write(&store, |tx| tx.sweep_consents(LATER.plus_seconds(1), 10));
    assert_eq!(sweep().await, Ok(0), "it lives");
    write_at(&store, LATER, move |tx| tx.revoke_consent(id))
        .await
        .expect("revoked");
    assert_eq!(
        sweep().await,
        Ok(0),
        "an authorization tells where it came from"
    );
    assert_eq!(
        write(&store, |tx| tx.sweep_authorizations(LATER, 10)).await,
        Ok(1)
    );
    assert_eq!(sweep().await, Ok(1));
}

/// 9700-36: without its predecessor a lost answer would lock the client out.
async fn what_stands_next_to_a_live_refresh_token_stays(db: TestDatabase) {
    let store = open(&db);
    let authorization = plant(&store, &Acme::insert(&store).await, LATER).await;
    let first = read(&store, move |c| c.find_live_refresh_token(authorization.id))
        .await
        .expect("live");
    let next = |generation| RefreshToken {
        generation,
        ..refresh_token(&authorization, LATER)
    };
    let (second, third) = (next(1), next(2));
    let (second_id, first_id) = (second.id, first.id);
    let turn = move |tx: &mut countersign::store::Tx| {
        tx.consume_refresh_token(first_id)
            .and_then(|()| tx.insert_refresh_token(&second))
    };
    write_at(&store, EARLIER, turn).await.expect("a refresh");
    let sweep = async || {
        let consumed = write(&store, |tx| tx.sweep_consumed_refresh_tokens(NOW, 10))
            .await
            .expect("swept");
        let after = LATER.plus_seconds(1);
        (
            consumed,
            read(&store, move |c| c.count_expired(after)).await,
        )
    };
    // the authorization, its two other tokens, the session and the request have ended by then, and the live token
    assert_eq!(sweep().await, (0, 6));
    let turn = move |tx: &mut countersign::store::Tx| {
        tx.consume_refresh_token(second_id)
            .and_then(|()| tx.insert_refresh_token(&third))
    };
    write_at(&store, EARLIER, turn).await.expect("another");
    assert_eq!(
        sweep().await,
        (1, 6),
        "two generations back tells of nothing but a theft"
    );
    // when the live one has gone, its predecessor goes with the next batch
    let after = LATER.plus_seconds(1);
    assert_eq!(
        write(&store, move |tx| tx.sweep_refresh_tokens(after, 10)).await,
        Ok(1)
    );
    assert_eq!(
        write(&store, move |tx| tx.sweep_refresh_tokens(after, 10)).await,
        Ok(1)
    );
}

async fn the_tokens_of_an_authorization_go_before_it_in_bounded_batches(db: TestDatabase) {
    let store = open(&db);
    let authorization = plant(&store, &Acme::insert(&store).await, LATER).await;
    let id = authorization.id;
    for _ in 0..3 {
        let live = read(&store, move |c| c.find_live_refresh_token(id))
            .await
            .expect("live")
            .id;
        let next = refresh_token(&authorization, LATER);
        write(&store, move |tx| {
            tx.consume_refresh_token(live)
                .and_then(|()| tx.insert_refresh_token(&next))
        })
        .await
        .expect("a refresh");
    }
    write(&store, move |tx| {
        tx.revoke_authorization(&authorization, "ended")
    })
    .await
    .expect("revoked");
    // four refresh tokens, one access token, and then the authorization
    let mut batches = Vec::new();
    for _ in 0..4 {
        batches.push(
            write(&store, |tx| tx.sweep_authorizations(LATER, 2))
                .await
                .expect("swept"),
        );
    }
    assert_eq!(batches, [3, 2, 1, 0]);
}
