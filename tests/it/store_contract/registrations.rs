//! What applications said of themselves when they registered.

use countersign::store::applications::Application;
use countersign::store::registrations::Registration;
use countersign::store::{Error, Store, Subject};
use countersign::types::grant_types::GrantTypes;
use countersign::types::id::{ApplicationId, ConsentId, RegistrationTokenId};
use countersign::types::state::{AuthorizationState, ConsentState, GrantKind, ReachKind};

use super::registration_tokens::token;
use super::{
    Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, read, redirect_uri,
    scopes, unique_digest, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_registration_is_found_by_its_application_token_and_metadata,
    two_live_ones_never_mean_the_same,
    they_are_counted_and_listed_apart_from_what_people_create,
    a_use_is_written_and_the_organization_takes_over,
    what_it_said_is_replaced,
    what_nobody_uses_is_listed_and_ends,
    what_has_ended_leaves_with_all_that_hangs_off_it,
    the_oldest_owner_is_found,
);

fn registration(application: ApplicationId) -> Registration {
    Registration {
        application_id: application,
        registration_token_id: None,
        management_digest: Some(unique_digest()),
        metadata: "{}".to_owned(),
        metadata_digest: Some(unique_digest()),
        created_at: NOW,
        last_used_at: NOW,
    }
}

async fn insert(store: &Store, acme: &Acme, by: Option<RegistrationTokenId>) -> Registration {
    let written = Registration {
        registration_token_id: by,
        ..registration(acme.insert_application(store).await)
    };
    let copy = written.clone();
    write(store, move |tx| tx.insert_registration(&copy))
        .await
        .expect("inserted");
    written
}

async fn a_registration_is_found_by_its_application_token_and_metadata(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let written = insert(&store, &acme, None).await;
    let (id, management, metadata) = (
        written.application_id,
        written.management_digest.clone(),
        written.metadata_digest.clone(),
    );
    let (management, metadata) = (management.expect("one"), metadata.expect("one"));
    let (token, same) = (management.clone(), metadata.clone());
    for found in [
        read(&store, move |c| c.find_registration(id)).await,
        read(&store, move |c| {
            c.find_registration_by_token(&[unique_digest(), token])
        })
        .await,
        read(&store, move |c| {
            c.find_registration_by_metadata(&[unique_digest(), same])
        })
        .await,
    ] {
        assert_eq!(
            format!("{:?}", found.expect("found")),
            format!("{written:?}")
        );
    }
    let organization = acme.organization;
    write(&store, move |tx| tx.delete_application(organization, id))
        .await
        .expect("deleted");
    assert!(
        read(&store, move |c| c.find_registration_by_token(&[management]))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c
            .find_registration_by_metadata(&[metadata]))
        .await
        .is_none()
    );
    assert!(
        read(&store, move |c| c.find_registration(id))
            .await
            .is_some()
    );
}

async fn two_live_ones_never_mean_the_same(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let first = insert(&store, &acme, None).await;
    let second = Registration {
        metadata_digest: first.metadata_digest.clone(),
        ..registration(acme.insert_application(&store).await)
    };
    let copy = second.clone();
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_registration(&copy)).await
    ));
    let (organization, id) = (acme.organization, first.application_id);
    write(&store, move |tx| tx.delete_application(organization, id))
        .await
        .expect("deleted");
    write(&store, move |tx| tx.insert_registration(&second))
        .await
        .expect("the first has ended");
}

async fn they_are_counted_and_listed_apart_from_what_people_create(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let organization = acme.organization;
    let token = token(&acme, NOW);
    let by = token.id;
    write(&store, move |tx| tx.insert_registration_token(&token))
        .await
        .expect("a token");
    let (by_token, open_one, deleted) = (
        insert(&store, &acme, Some(by)).await,
        insert(&store, &acme, None).await,
        insert(&store, &acme, Some(by)).await,
    );
    let created = acme.insert_application(&store).await;
    write(&store, move |tx| {
        tx.delete_application(organization, deleted.application_id)
    })
    .await
    .expect("deleted");
    let ids = |applications: Vec<Application>| {
        let mut ids: Vec<ApplicationId> = applications
            .into_iter()
            .map(|application| application.id)
            .collect();
        ids.sort();
        ids
    };
    let mut expected = vec![by_token.application_id, open_one.application_id];
    expected.sort();
    assert_eq!(
        ids(read(&store, move |c| c
            .list_registered_applications(organization, 9))
        .await),
        expected
    );
    assert_eq!(
        read(&store, move |c| c
            .list_registered_applications(organization, 1))
        .await
        .len(),
        1
    );
    assert_eq!(
        ids(read(&store, move |c| c.list_applications(organization, 9)).await),
        [created]
    );
    assert_eq!(
        read(&store, move |c| c
            .count_registered_applications(organization))
        .await,
        2
    );
    assert_eq!(
        read(&store, move |c| c.count_applications(organization)).await,
        1
    );
    assert_eq!(read(&store, move |c| c.count_clients_of_token(by)).await, 1);
}

async fn a_use_is_written_and_the_organization_takes_over(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (id, organization) = (
        insert(&store, &acme, None).await.application_id,
        acme.organization,
    );
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        tx.record_registration_use(organization, id)
    })
    .await;
    assert_eq!(
        read(&store, move |c| c.find_registration(id))
            .await
            .expect("found")
            .last_used_at,
        NOW
    );
    write(&store, move |tx| tx.take_over_registration(id))
        .await
        .expect("taken over");
    let found = read(&store, move |c| c.find_registration(id))
        .await
        .expect("found");
    assert_eq!(
        (found.management_digest, found.metadata_digest),
        (None, None)
    );
    let nobody = ApplicationId::generate(NOW);
    write(&store, move |tx| tx.take_over_registration(nobody))
        .await
        .expect("one that people created is no error");
    assert_eq!(
        write(&store, move |tx| tx
            .record_registration_use(organization, nobody))
        .await,
        Err(Error::NotFound)
    );
}

async fn what_it_said_is_replaced(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let id = insert(&store, &acme, None).await.application_id;
    let grants: GrantTypes = "authorization_code".parse().expect("a grant");
    let changed = Application {
        id,
        name: "Other".to_owned(),
        scopes: scopes("read"),
        grants,
        ..acme.application()
    };
    let (digest, organization, copy) = (unique_digest(), acme.organization, changed.clone());
    let same = digest.clone();
    write_at(&store, LATER, move |tx| {
        tx.change_registration(
            &copy,
            &[redirect_uri("https://b.example/cb")],
            "{\"a\":1}",
            Some(&same),
        )
    })
    .await
    .expect("changed");
    let found = read(&store, move |c| c.find_application(id))
        .await
        .expect("found");
    assert_eq!(
        (found.name, found.scopes, found.grants),
        (changed.name.clone(), changed.scopes.clone(), grants)
    );
    assert_eq!(
        read(&store, move |c| c.list_redirect_uris(id)).await,
        [redirect_uri("https://b.example/cb")]
    );
    let found = read(&store, move |c| c.find_registration(id))
        .await
        .expect("found");
    assert_eq!(
        (
            found.metadata.as_str(),
            found.metadata_digest,
            found.last_used_at
        ),
        ("{\"a\":1}", Some(digest), LATER)
    );
    write(&store, move |tx| tx.delete_application(organization, id))
        .await
        .expect("deleted");
    assert_eq!(
        write(&store, move |tx| tx.change_registration(
            &changed,
            &[],
            "{}",
            None
        ))
        .await,
        Err(Error::NotFound)
    );
}

async fn what_nobody_uses_is_listed_and_ends(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let organization = acme.organization;
    let (unused, allowed, authorized, robot) = (
        insert(&store, &acme, None).await,
        insert(&store, &acme, None).await,
        insert(&store, &acme, None).await,
        insert(&store, &acme, None).await,
    );
    // a robot's standing authorization says nothing of its use
    for (registration, kind) in [
        (&authorized, GrantKind::AuthorizationCode),
        (&robot, GrantKind::ClientCredentials),
    ] {
        let authorization = countersign::store::authorizations::Authorization {
            kind,
            state: AuthorizationState::Active,
            ..acme.authorization(registration.application_id)
        };
        write(&store, move |tx| {
            tx.insert_authorization(&authorization, &[])
        })
        .await
        .expect("an authorization");
    }
    let consent = countersign::store::consents::Consent {
        id: ConsentId::generate(NOW),
        user_id: acme.person,
        application_id: allowed.application_id,
        organization_id: organization,
        scopes: scopes("read"),
        reach: ReachKind::Workspaces,
        state: ConsentState::Active,
        created_at: NOW,
        updated_at: NOW,
        revoked_at: None,
        application_name: "An application".to_owned(),
        named_at: countersign::types::time::Timestamp::from_millis(0),
    };
    let consented = consent.id;
    write(&store, move |tx| tx.insert_consent(&consent, &[]))
        .await
        .expect("a consent");
    let listed = |before, most| read(&store, move |c| c.list_unused_registrations(before, most));
    assert!(
        listed(NOW, 9).await.is_empty(),
        "the instant itself is not past"
    );
    let mut expected = vec![
        (organization, unused.application_id),
        (organization, robot.application_id),
    ];
    expected.sort();
    let mut found = listed(LATER, 9).await;
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(listed(LATER, 1).await.len(), 1);
    let id = unused.application_id;
    assert_eq!(
        write(&store, move |tx| tx.end_unused_registration(
            organization,
            id,
            EARLIER
        ))
        .await,
        Err(Error::NotFound)
    );
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        tx.end_unused_registration(organization, id, LATER)
    })
    .await;
    let left = read(&store, move |c| {
        c.find_unused_open_registration(organization, LATER)
    })
    .await;
    assert_eq!(left, Some(robot.application_id));
    assert_eq!(
        read(&store, move |c| c
            .find_unused_open_registration(organization, NOW))
        .await,
        None
    );
    let stopped = insert(&store, &acme, None).await.application_id;
    let application = Application {
        id: stopped,
        ..acme.application()
    };
    write(&store, move |tx| {
        tx.set_application_stopped(&application, Some("abuse"))
    })
    .await
    .expect("stopped");
    assert!(!listed(LATER, 9).await.contains(&(organization, stopped)));
    write(&store, move |tx| tx.revoke_consent(consented))
        .await
        .expect("revoked");
    assert!(
        listed(LATER, 9)
            .await
            .contains(&(organization, allowed.application_id))
    );
}

async fn what_has_ended_leaves_with_all_that_hangs_off_it(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let organization = acme.organization;
    let (ended, live, remembered) = (
        insert(&store, &acme, None).await,
        insert(&store, &acme, None).await,
        insert(&store, &acme, None).await,
    );
    let application = Application {
        id: ended.application_id,
        ..acme.application()
    };
    let authorization = acme.authorization(remembered.application_id);
    let (id, kept) = (ended.application_id, remembered.application_id);
    write(&store, move |tx| {
        tx.insert_application_secret(&application, &unique_digest().into())?;
        tx.change_registration(
            &application,
            &[redirect_uri("https://b.example/cb")],
            "{}",
            None,
        )?;
        tx.insert_authorization(&authorization, &[])?;
        let registered = tx.find_application(id)?.ok_or(Error::NotFound)?;
        tx.approve_application(&registered, &[redirect_uri("https://b.example/cb")])?;
        tx.delete_application(organization, id)?;
        tx.delete_application(organization, kept)
    })
    .await
    .expect("ended");
    // what a person deleted that a person created is not touched
    let created = acme.insert_application(&store).await;
    write(&store, move |tx| {
        tx.delete_application(organization, created)
    })
    .await
    .expect("deleted");
    assert_eq!(
        write(&store, |tx| tx.sweep_ended_registrations(NOW, 9)).await,
        Ok(0)
    );
    assert_eq!(
        write(&store, |tx| tx.sweep_ended_registrations(LATER, 0)).await,
        Ok(0)
    );
    assert_eq!(
        write(&store, |tx| tx.sweep_ended_registrations(LATER, 9)).await,
        Ok(1)
    );
    assert_eq!(
        write(&store, |tx| tx.sweep_ended_registrations(LATER, 9)).await,
        Ok(0),
        "an authorization tells where it came from"
    );
    assert!(
        read(&store, move |c| c.find_application(id))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.find_registration(id))
            .await
            .is_none()
    );
    for other in [live.application_id, kept, created] {
        assert!(
            read(&store, move |c| c.find_application(other))
                .await
                .is_some()
        );
    }
}

async fn the_oldest_owner_is_found(db: TestDatabase) {
    use countersign::store::members::Member;
    use countersign::types::state::{Licence, OrganizationRole};
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    assert_eq!(
        read(&store, move |c| c.find_oldest_owner(organization)).await,
        None
    );
    for (user_id, role, created_at) in [
        (acme.person, OrganizationRole::Owner, NOW),
        (other.person, OrganizationRole::Admin, EARLIER),
    ] {
        let member = Member::new(organization, user_id, role, Licence::Full, created_at);
        write(&store, move |tx| tx.insert_member(&member))
            .await
            .expect("a member");
    }
    assert_eq!(
        read(&store, move |c| c.find_oldest_owner(organization)).await,
        Some(acme.person)
    );
    let second = other.person;
    write(&store, move |tx| {
        tx.change_member_role(
            organization,
            second,
            OrganizationRole::Admin,
            OrganizationRole::Owner,
        )
    })
    .await
    .expect("promoted");
    assert_eq!(
        read(&store, move |c| c.find_oldest_owner(organization)).await,
        Some(second)
    );
}
