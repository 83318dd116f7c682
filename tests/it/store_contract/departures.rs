//! What a person holds in an organization, and how it ends.

use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::api_keys::ApiKey;
use countersign::store::application_secrets::NewSecret;
use countersign::store::authorizations::Authorization;
use countersign::store::members::WorkspaceMember;
use countersign::store::sessions::Session;
use countersign::store::{Error, Store, Subject, Tx};
use countersign::types::id::ApiKeyId;
use countersign::types::state::{ApiKeySecretState, ApiKeyState, AuthorizationState, ReachKind};

use super::{
    Acme, LATER, NOW, ends_what_is_remembered_of, open, read, unique_digest, workspace, write,
};
use crate::databases::{TestDatabase, both_databases};
use crate::store_contract::{api_keys, consents, sessions};

both_databases!(
    the_keys_of_an_owner_are_those_that_have_not_ended,
    keys_and_secrets_that_a_person_was_shown_are_listed_while_they_live,
    what_a_person_allowed_ends_with_its_tokens,
    the_sessions_that_a_person_made_there_end,
    a_key_loses_one_workspace_for_good,
    what_reaches_no_workspace_any_more_ends,
);

async fn key(store: &Store, acme: &Acme, reach: ReachKind) -> ApiKeyId {
    let row = ApiKey {
        reach,
        ..api_keys::key(acme)
    };
    let (id, workspaces) = (
        row.id,
        if reach == ReachKind::Workspaces {
            vec![acme.workspace]
        } else {
            Vec::new()
        },
    );
    write(store, move |tx| tx.insert_api_key(&row, &workspaces))
        .await
        .expect("a key");
    id
}

async fn the_keys_of_an_owner_are_those_that_have_not_ended(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, owner, place) = (acme.organization, acme.person, acme.workspace);
    let (whole, narrow, paused, ended) = (
        key(&store, &acme, ReachKind::Organization).await,
        key(&store, &acme, ReachKind::Workspaces).await,
        key(&store, &acme, ReachKind::Organization).await,
        key(&store, &acme, ReachKind::Workspaces).await,
    );
    write(&store, move |tx| {
        tx.change_api_key_state(
            organization,
            paused,
            ApiKeyState::Active,
            ApiKeyState::Paused,
            None,
        )
    })
    .await
    .expect("paused");
    write(&store, move |tx| {
        tx.change_api_key_state(
            organization,
            ended,
            ApiKeyState::Active,
            ApiKeyState::Deactivated,
            None,
        )
    })
    .await
    .expect("ended");
    let mut expected = [whole, narrow, paused];
    expected.sort();
    let ids = |keys: Vec<ApiKey>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(
        ids(read(&store, move |c| c
            .list_api_keys_of_owner(organization, owner))
        .await),
        expected
    );
    assert_eq!(
        ids(read(&store, move |c| c
            .list_api_keys_of_owner(organization, other.person))
        .await),
        []
    );
    assert_eq!(
        ids(read(&store, move |c| c.list_api_keys_of_owner_in(
            organization,
            owner,
            place
        ))
        .await),
        [narrow]
    );
    assert_eq!(
        ids(read(&store, move |c| c.list_api_keys_of_owner_in(
            organization,
            owner,
            other.workspace
        ))
        .await),
        []
    );
}

async fn keys_and_secrets_that_a_person_was_shown_are_listed_while_they_live(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, person) = (acme.organization, other.person);
    let id = key(&store, &acme, ReachKind::Organization).await;
    let secret = ApiKeySecret::first(
        id,
        format!("{:012x}", rand::random::<u64>() >> 16),
        unique_digest(),
        acme.person,
        NOW,
    );
    let shown = secret.id;
    let application = acme.application();
    let (own, hint) = (
        application.clone(),
        NewSecret {
            digest: unique_digest(),
            hint: "cs_a".to_owned(),
        },
    );
    let made = write(&store, move |tx| {
        tx.insert_api_key_secret(organization, &secret)?;
        tx.record_disclosure(shown.as_str(), person)?;
        tx.insert_application(&application, &[])?;
        let made = tx.insert_application_secret(&application, &hint)?;
        tx.record_disclosure(made.as_str(), person)?;
        Ok(made)
    })
    .await
    .expect("shown");
    let keys = read(&store, move |c| {
        c.list_api_keys_shown_to(organization, person)
    })
    .await;
    assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [id]);
    let secrets = read(&store, move |c| {
        c.list_application_secrets_shown_to(organization, person)
    })
    .await;
    assert_eq!(
        secrets
            .iter()
            .map(|(_, secret)| secret.id)
            .collect::<Vec<_>>(),
        [made]
    );
    assert_eq!(
        read(&store, move |c| c
            .list_api_keys_shown_to(other.organization, person))
        .await
        .len(),
        0
    );
    assert_eq!(
        read(&store, move |c| c.list_application_secrets_shown_to(
            other.organization,
            person
        ))
        .await
        .len(),
        0
    );
    write(&store, move |tx| {
        tx.change_api_key_secret_state(
            organization,
            shown,
            ApiKeySecretState::Active,
            ApiKeySecretState::Revoked,
            None,
        )?;
        tx.revoke_application_secret(&own, made)
    })
    .await
    .expect("revoked");
    assert_eq!(
        read(&store, move |c| c
            .list_api_keys_shown_to(organization, person))
        .await
        .len(),
        0
    );
    assert_eq!(
        read(&store, move |c| c
            .list_application_secrets_shown_to(organization, person))
        .await
        .len(),
        0
    );
}

async fn what_a_person_allowed_ends_with_its_tokens(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, person) = (acme.organization, acme.person);
    let allowed = acme.insert_authorization(&store).await;
    let (consent, place) = (
        consents::consent(&acme, allowed.application_id),
        acme.workspace,
    );
    write(&store, move |tx| tx.insert_consent(&consent, &[place]))
        .await
        .expect("a consent");
    assert_eq!(
        read(&store, move |c| c.count_consents_in(organization, person)).await,
        1
    );
    assert_eq!(
        read(&store, move |c| c
            .count_authorizations_in(organization, person))
        .await,
        1
    );
    assert_eq!(
        read(&store, move |c| c
            .count_consents_in(other.organization, person))
        .await,
        0
    );
    assert_eq!(
        read(&store, move |c| c
            .count_authorizations_in(organization, other.person))
        .await,
        0
    );
    let end = move |tx: &mut Tx| tx.revoke_consents_in(organization, person).map(drop);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), end).await;
    let end = move |tx: &mut Tx| {
        tx.revoke_authorizations_in(organization, person, "a test")
            .map(drop)
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), end).await;
    assert_eq!(
        write(&store, move |tx| tx
            .revoke_consents_in(organization, person))
        .await,
        Ok(0)
    );
    assert_eq!(
        write(&store, move |tx| tx.revoke_authorizations_in(
            organization,
            person,
            "a test"
        ))
        .await,
        Ok(0)
    );
    let found = read(&store, move |c| c.find_authorization(allowed.id))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.revoked_because.as_deref()),
        (AuthorizationState::Revoked, Some("a test"))
    );
}

async fn the_sessions_that_a_person_made_there_end(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, person) = (acme.organization, acme.person);
    let (own, free) = (unique_digest(), unique_digest());
    let confined = Session {
        confined_to: Some(organization),
        ..sessions::session(person, own.clone(), LATER)
    };
    let anywhere = sessions::session(person, free.clone(), LATER);
    write(&store, move |tx| {
        tx.insert_session(&confined)?;
        tx.insert_session(&anywhere)
    })
    .await
    .expect("made");
    assert_eq!(
        read(&store, move |c| c
            .count_confined_sessions_of(organization, person))
        .await,
        1
    );
    for (person, ended) in [(other.person, 0), (person, 1), (person, 0)] {
        assert_eq!(
            write(&store, move |tx| tx
                .delete_confined_sessions_of(organization, person))
            .await,
            Ok(ended)
        );
    }
    assert!(
        read(&store, move |c| c.find_session_by_digest(&[own]))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.find_session_by_digest(&[free]))
            .await
            .is_some(),
        "the person stays signed in elsewhere"
    );
}

async fn a_key_loses_one_workspace_for_good(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, first) = (acme.organization, acme.workspace);
    let second = workspace(organization, "Second");
    let (there, row) = (
        second.id,
        ApiKey {
            reach: ReachKind::Workspaces,
            ..api_keys::key(&acme)
        },
    );
    let id = row.id;
    write(&store, move |tx| {
        tx.insert_workspace(&second)
            .and_then(|()| tx.insert_api_key(&row, &[first, there]))
    })
    .await
    .expect("a key");
    let foreign = write(&store, move |tx| {
        tx.delete_api_key_workspace(other.organization, id, first)
    })
    .await;
    assert_eq!(foreign, Err(Error::NotFound));
    let lose = move |tx: &mut Tx| {
        tx.delete_api_key_workspace(organization, id, first)
            .map(|left| assert_eq!(left, 1))
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), lose).await;
    assert_eq!(
        write(&store, move |tx| tx.delete_api_key_workspace(
            organization,
            id,
            first
        ))
        .await,
        Err(Error::NotFound)
    );
    assert_eq!(
        write(&store, move |tx| tx.delete_api_key_workspace(
            organization,
            id,
            there
        ))
        .await,
        Ok(0)
    );
}

async fn what_reaches_no_workspace_any_more_ends(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, person, place) = (acme.organization, acme.person, acme.workspace);
    let second = workspace(organization, "Second");
    let there = second.id;
    let application = acme.insert_application(&store).await;
    let (narrow, wide) = (
        Authorization {
            reach: ReachKind::Workspaces,
            ..acme.authorization(application)
        },
        Authorization {
            reach: ReachKind::Workspaces,
            code_digest: Some(unique_digest()),
            ..acme.authorization(application)
        },
    );
    let whole = Authorization {
        code_digest: Some(unique_digest()),
        ..acme.authorization(application)
    };
    let (ended, kept, untouched, consent) = (
        narrow.id,
        wide.id,
        whole.id,
        consents::consent(&acme, application),
    );
    write(&store, move |tx| {
        tx.insert_workspace(&second)?;
        for workspace_id in [place, there] {
            let row = WorkspaceMember {
                workspace_id,
                user_id: person,
                role: "viewer".to_owned(),
                created_at: NOW,
            };
            tx.insert_workspace_member(organization, &row)?;
        }
        tx.insert_consent(&consent, &[place])?;
        tx.insert_authorization(&narrow, &[place])?;
        tx.insert_authorization(&wide, &[place, there])?;
        tx.insert_authorization(&whole, &[])
    })
    .await
    .expect("made");
    let leave = move |tx: &mut Tx| tx.drop_workspace_from_consents(organization, person, place);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), leave).await;
    for (id, state) in [
        (ended, AuthorizationState::Revoked),
        (kept, AuthorizationState::Pending),
        (untouched, AuthorizationState::Pending),
    ] {
        assert_eq!(
            read(&store, move |c| c.find_authorization(id))
                .await
                .expect("found")
                .state,
            state
        );
    }
    assert_eq!(
        read(&store, move |c| c.count_consents_in(organization, person)).await,
        0
    );
    assert_eq!(
        write(&store, move |tx| tx
            .delete_workspace_memberships(organization, person))
        .await,
        Ok(2)
    );
    assert_eq!(
        read(&store, move |c| c
            .list_workspace_roles(organization, person))
        .await,
        []
    );
}
