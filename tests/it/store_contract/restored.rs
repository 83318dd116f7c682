//! A database that was restored, and the keys that its secrets are under.

use countersign::store::Store;
use countersign::store::restored::RESTORED;
use countersign::types::id::ResourceServerId;
use countersign::types::state::{
    ApiKeyState, AuthorizationState, ConsentState, GrantKind, KeyRequestState, StandingSecret,
};

use super::api_key_requests::request;
use super::api_keys::key;
use super::consents::consent;
use super::registration_tokens::token;
use super::sessions::session;
use super::{Acme, LATER, NOW, digest, open, read, unique_digest, write};
use crate::databases::{TestDatabase, both_databases};
use countersign::store::api_key_requests::ApiKeyRequest;
use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::api_keys::ApiKey;
use countersign::store::resource_servers::ResourceServer;

both_databases!(
    what_was_issued_ends_and_applications_go_on_as_themselves,
    an_approved_request_ends_with_its_key,
    standing_secrets_are_paused_and_resumed_one_by_one,
    the_ids_of_the_secret_keys_are_those_before_the_colon,
    a_restore_is_dated,
);

async fn what_was_issued_ends_and_applications_go_on_as_themselves(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let connected = acme.insert_authorization(&store).await;
    let own = countersign::store::authorizations::Authorization {
        kind: GrantKind::ClientCredentials,
        state: AuthorizationState::Active,
        code_digest: None,
        ..acme.authorization(connected.application_id)
    };
    let (agreed, secret) = (consent(&acme, connected.application_id), unique_digest());
    let open = session(acme.person, secret.clone(), LATER);
    let (own_id, agreed_id, person) = (own.id, agreed.id, acme.person);
    write(&store, move |tx| {
        tx.insert_authorization(&own, &[])?;
        tx.insert_consent(&agreed, &[])?;
        tx.insert_session(&open)?;
        tx.end_what_was_issued()
    })
    .await
    .expect("ended");
    let state = async |id| {
        let found = read(&store, move |c| c.find_authorization(id)).await;
        found.map(|found| (found.state, found.revoked_because))
    };
    assert_eq!(
        state(connected.id).await,
        Some((AuthorizationState::Revoked, Some(RESTORED.to_owned())))
    );
    assert_eq!(
        state(own_id).await,
        Some((AuthorizationState::Active, None))
    );
    let agreed = read(&store, move |c| c.find_consent(person, agreed_id)).await;
    let state = agreed.map(|agreed| agreed.state);
    assert_eq!(state, Some(ConsentState::Revoked));
    let found = read(&store, move |c| c.find_session_by_digest(&[secret])).await;
    assert!(found.is_none());
}

async fn an_approved_request_ends_with_its_key(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let waiting = ApiKey {
        state: ApiKeyState::Pending,
        ..key(&acme)
    };
    let approved = ApiKeyRequest {
        state: KeyRequestState::Approved,
        api_key_id: Some(waiting.id),
        ..request(&acme)
    };
    let open = request(&acme);
    let (key_id, approved_id, open_id) = (waiting.id, approved.id, open.id);
    let organization = acme.organization;
    let (key, requests) = write(&store, move |tx| {
        tx.insert_api_key(&waiting, &[])?;
        tx.insert_api_key_request(&approved)?;
        tx.insert_api_key_request(&open)?;
        tx.end_what_was_issued()?;
        let key = tx.find_api_key(organization, key_id)?;
        let requests = [approved_id, open_id].map(|id| tx.find_api_key_request(organization, id));
        Ok((key, requests))
    })
    .await
    .expect("ended");
    let state = key.map(|key| (key.state, key.revoked_at));
    assert_eq!(state, Some((ApiKeyState::Revoked, Some(NOW))));
    let states = requests.map(|found| found.expect("read").map(|request| request.state));
    assert_eq!(
        states,
        [
            Some(KeyRequestState::Withdrawn),
            Some(KeyRequestState::Open)
        ]
    );
}

async fn standing_secrets_are_paused_and_resumed_one_by_one(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (one, other, planting) = (key(&acme), key(&acme), token(&acme, NOW));
    let (one_id, organization, planting_id) = (one.id, acme.organization, planting.id);
    let (first, second) = (unique_digest(), unique_digest());
    let server = ResourceServer {
        id: ResourceServerId::generate(NOW),
        name: "Documents".to_owned(),
        environment: None,
        obligations: String::new(),
        created_at: NOW,
        default_audience: false,
    };
    let server_id = server.id;
    let (one_digest, other_digest) = (first.clone(), second.clone());
    write(&store, move |tx| {
        for (key, digest) in [(&one, one_digest), (&other, other_digest)] {
            tx.insert_api_key(key, &[])?;
            let secret =
                ApiKeySecret::first(key.id, key.public_id.clone(), digest, acme.person, NOW);
            tx.insert_api_key_secret(key.organization_id, &secret)?;
        }
        tx.insert_registration_token(&planting)?;
        tx.insert_resource_server(&server, &unique_digest(), "cs_cs_ab")?;
        tx.pause_standing_secrets()?;
        // what is paused already stays as it is
        tx.pause_standing_secrets()
    })
    .await
    .expect("paused");
    let kinds = async |store: &Store| -> Vec<StandingSecret> {
        let paused = read(store, |c| c.list_paused_secrets()).await;
        paused.iter().map(|secret| secret.kind).collect()
    };
    assert_eq!(
        kinds(&store).await,
        [
            StandingSecret::ApiKey,
            StandingSecret::ApiKey,
            StandingSecret::ResourceServerSecret,
            StandingSecret::RegistrationToken
        ]
    );
    let live = first.clone();
    let found = read(&store, move |c| c.find_api_key_by_digest(&[live])).await;
    assert!(found.is_none(), "no presented secret has that digest");
    let shown = read(&store, move |c| c.find_api_key(organization, one_id)).await;
    let shown = shown.expect("it is there");
    assert_eq!(
        (shown.state, shown.state_reason.as_deref()),
        (ApiKeyState::Paused, Some(RESTORED))
    );
    for (id, rows) in [
        ("nobody' OR '1' = '1".to_owned(), 0),
        ("rs_nobody".to_owned(), 0),
        (one_id.to_string(), 2),
        (server_id.to_string(), 1),
        (planting_id.to_string(), 1),
    ] {
        let resumed = write(&store, move |tx| tx.resume_standing_secrets(Some(&id))).await;
        assert_eq!(resumed, Ok(rows));
    }
    assert_eq!(kinds(&store).await, [StandingSecret::ApiKey]);
    let found = read(&store, move |c| c.find_api_key_by_digest(&[first])).await;
    assert_eq!(
        found.map(|(key, _)| (key.id, key.state, key.state_reason)),
        Some((one_id, ApiKeyState::Active, None))
    );
    let rest = write(&store, |tx| tx.resume_standing_secrets(None)).await;
    assert_eq!(rest, Ok(2));
    let found = read(&store, move |c| c.find_api_key_by_digest(&[second])).await;
    assert!(found.is_some());
}

async fn the_ids_of_the_secret_keys_are_those_before_the_colon(db: TestDatabase) {
    let store = open(&db);
    let ids = async || read(&store, |c| c.list_secret_key_ids()).await;
    assert!(ids().await.is_empty());
    let acme = Acme::insert(&store).await;
    let open = session(acme.person, digest("abc"), LATER);
    write(&store, move |tx| tx.insert_session(&open))
        .await
        .expect("inserted");
    assert_eq!(ids().await.into_iter().collect::<Vec<_>>(), ["k"]);
}

async fn a_restore_is_dated(db: TestDatabase) {
    let store = open(&db);
    assert_eq!(read(&store, |c| c.find_restore()).await, None);
    assert_eq!(read(&store, |c| c.find_snapshot()).await, None);
    for _ in 0..2 {
        write(&store, |tx| tx.note_restore()).await.expect("noted");
    }
    assert_eq!(read(&store, |c| c.find_restore()).await, Some(NOW));
}
