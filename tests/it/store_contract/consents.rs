//! Consents: one live one per person, application and organization.

use countersign::store::authorizations::Authorization;
use countersign::store::consents::Consent;
use countersign::store::{Error, Store};
use countersign::types::id::{ApplicationId, ConsentId, UserId, WorkspaceId};
use countersign::types::state::{ConsentState, ReachKind};

use super::{Acme, LATER, NOW, is_constraint, open, read, scopes, workspace, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_consent_is_found_by_its_own_person_only,
    a_second_live_consent_is_refused,
    what_was_allowed_is_changed_as_long_as_it_lives,
    a_consent_is_revoked_once_and_held_never_again,
    its_authorizations_and_their_last_use_are_listed,
    another_organizations_workspace_is_refused,
);

pub fn consent(acme: &Acme, application: ApplicationId) -> Consent {
    Consent {
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
        named_at: countersign::types::time::Timestamp::from_millis(0),
    }
}

async fn insert(store: &Store, acme: &Acme) -> Consent {
    let written = consent(acme, acme.insert_application(store).await);
    let (copy, workspace) = (written.clone(), acme.workspace);
    write(store, move |tx| tx.insert_consent(&copy, &[workspace]))
        .await
        .expect("inserted");
    written
}

async fn a_consent_is_found_by_its_own_person_only(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let written = insert(&store, &acme).await;
    let (id, user, application) = (written.id, written.user_id, written.application_id);
    let found = read(&store, move |c| c.find_consent(user, id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    let stranger = UserId::generate(NOW);
    assert!(
        read(&store, move |c| c.find_consent(stranger, id))
            .await
            .is_none()
    );
    assert_eq!(
        read(&store, move |c| c.list_live_consents(user, application))
            .await
            .len(),
        1
    );
    assert_eq!(
        read(&store, move |c| c.list_live_consents(stranger, application))
            .await
            .len(),
        0
    );
    assert_eq!(
        read(&store, move |c| c.list_consents_of(user, 10))
            .await
            .len(),
        1
    );
    assert_eq!(
        read(&store, move |c| c.list_consents_of(user, 0))
            .await
            .len(),
        0
    );
    assert_eq!(
        read(&store, move |c| c.count_consents(application)).await,
        1
    );
    // a person counts once, in however many organizations
    let elsewhere = Acme::insert(&store).await.organization;
    let second = Consent {
        id: ConsentId::generate(NOW),
        organization_id: elsewhere,
        reach: ReachKind::Organization,
        ..written.clone()
    };
    write(&store, move |tx| tx.insert_consent(&second, &[]))
        .await
        .expect("inserted");
    assert_eq!(
        read(&store, move |c| c.count_consents(application)).await,
        1
    );
    assert_eq!(
        read(&store, move |c| c.list_consent_workspaces(id)).await,
        [acme.workspace]
    );
}

async fn a_second_live_consent_is_refused(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let first = insert(&store, &acme).await;
    let (id, second, third) = (
        first.id,
        consent(&acme, first.application_id),
        consent(&acme, first.application_id),
    );
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_consent(&second, &[])).await
    ));
    write(&store, move |tx| tx.revoke_consent(id))
        .await
        .expect("revoked");
    write(&store, move |tx| tx.insert_consent(&third, &[]))
        .await
        .expect("a new one behind a revoked one");
}

async fn what_was_allowed_is_changed_as_long_as_it_lives(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let first = insert(&store, &acme).await;
    let (id, user, second) = (
        first.id,
        first.user_id,
        workspace(acme.organization, "Second"),
    );
    let (other, again) = (second.id, first.clone());
    write(&store, move |tx| tx.insert_workspace(&second))
        .await
        .expect("a workspace");
    let wider = Consent {
        scopes: scopes("read write"),
        application_name: "Another name".to_owned(),
        ..first
    };
    write_at(&store, LATER, move |tx| tx.change_consent(&wider, &[other]))
        .await
        .expect("changed");
    let found = read(&store, move |c| c.find_consent(user, id))
        .await
        .expect("found");
    assert_eq!(
        (found.scopes, found.created_at, found.updated_at),
        (scopes("read write"), NOW, LATER)
    );
    assert_eq!(found.application_name, "Another name");
    assert_eq!(
        read(&store, move |c| c.list_consent_workspaces(id)).await,
        [other]
    );
    write(&store, move |tx| tx.revoke_consent(id))
        .await
        .expect("revoked");
    let whole = Consent {
        reach: ReachKind::Organization,
        ..again
    };
    let late = write(&store, move |tx| tx.change_consent(&whole, &[])).await;
    assert_eq!(late, Err(Error::NotFound));
}

async fn a_consent_is_revoked_once_and_held_never_again(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let written = insert(&store, &acme).await;
    let (id, user, application) = (written.id, written.user_id, written.application_id);
    write(&store, move |tx| tx.hold_consent(id))
        .await
        .expect("held");
    let answers = futures_util::future::join_all(
        (0..10).map(|_| write_at(&store, LATER, move |tx| tx.revoke_consent(id))),
    )
    .await;
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(
        write(&store, move |tx| tx.hold_consent(id)).await,
        Err(Error::NotFound)
    );
    let found = read(&store, move |c| c.find_consent(user, id))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.revoked_at),
        (ConsentState::Revoked, Some(LATER))
    );
    assert_eq!(
        read(&store, move |c| c.list_live_consents(user, application))
            .await
            .len(),
        0
    );
    assert_eq!(
        read(&store, move |c| c.count_consents(application)).await,
        0
    );
}

async fn its_authorizations_and_their_last_use_are_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let written = insert(&store, &acme).await;
    let id = written.id;
    assert_eq!(read(&store, move |c| c.last_use_of_consent(id)).await, None);
    let of_it = || Authorization {
        consent_id: Some(id),
        ..acme.authorization(written.application_id)
    };
    let (first, second) = (of_it(), of_it());
    let (used, ended) = (first.id, second.clone());
    write(&store, move |tx| {
        tx.insert_authorization(&first, &[])
            .and_then(|()| tx.insert_authorization(&second, &[]))
    })
    .await
    .expect("inserted");
    assert_eq!(read(&store, move |c| c.last_use_of_consent(id)).await, None);
    write_at(&store, LATER, move |tx| tx.redeem_code(used, LATER))
        .await
        .expect("redeemed");
    assert_eq!(
        read(&store, move |c| c.last_use_of_consent(id)).await,
        Some(LATER)
    );
    assert_eq!(
        read(&store, move |c| c.list_authorizations_of_consent(id))
            .await
            .len(),
        2
    );
    write(&store, move |tx| tx.revoke_authorization(&ended, "ended"))
        .await
        .expect("revoked");
    let left: Vec<_> = read(&store, move |c| c.list_authorizations_of_consent(id))
        .await
        .iter()
        .map(|own| own.id)
        .collect();
    assert_eq!(left, [used]);
}

async fn another_organizations_workspace_is_refused(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let written = consent(&acme, acme.insert_application(&store).await);
    let (foreign, unknown, copy) = (other.workspace, WorkspaceId::generate(NOW), written.clone());
    assert_eq!(
        write(&store, move |tx| tx.insert_consent(&written, &[foreign])).await,
        Err(Error::NotFound)
    );
    assert_eq!(
        write(&store, move |tx| tx.insert_consent(&copy, &[unknown])).await,
        Err(Error::NotFound)
    );
}
