//! Organizations.

use countersign::store::Subject;
use countersign::store::members::Member;
use countersign::store::organizations::OrganizationFilter;
use countersign::store::subscriptions::Subscription;
use countersign::types::id::{OrganizationId, UserId};
use countersign::types::state::{
    Licence, MemberState, OrganizationRole, OrganizationState, ProductionAccess, UserState,
};

use super::{
    Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, organization,
    person, read, write,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    organizations_are_listed_by_what_they_are,
    a_name_an_external_id_and_a_time_zone_change_together,
    a_trial_starts_once,
    the_dev_centre_is_switched,
    production_is_decided_from_the_expected_state_only,
    an_organization_is_found_as_it_was_written,
    an_external_id_belongs_to_one_organization,
    production_access_changes_from_the_expected_state_only,
    an_organization_is_suspended_from_the_expected_state_only,
    the_generation_moves_by_one_and_needs_an_organization,
    only_verified_addresses_of_active_members_are_listed,
    the_organizations_of_a_user_are_listed_by_name,
    of_two_organizations_of_one_name_the_older_is_found,
);

async fn an_organization_is_found_as_it_was_written(db: TestDatabase) {
    let store = open(&db);
    let mut written = organization("Ünïted \"Quotes\" 🦊");
    written.external_id = Some("vendor-7".to_owned());
    let (id, copy) = (written.id, written.clone());
    write(&store, move |tx| tx.insert_organization(&copy))
        .await
        .expect("inserted");
    let found = read(&store, move |c| c.find_organization(id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    let by_name = read(&store, move |c| c.find_organization_by_name(&written.name))
        .await
        .expect("found");
    assert_eq!(by_name.id, id);
    assert!(
        read(&store, |c| c
            .find_organization(OrganizationId::generate(NOW)))
        .await
        .is_none()
    );
    assert!(
        read(&store, |c| c.find_organization_by_name("ünïted"))
            .await
            .is_none()
    );
}

async fn an_external_id_belongs_to_one_organization(db: TestDatabase) {
    let store = open(&db);
    let (mut first, mut second) = (organization("First"), organization("Second"));
    (first.external_id, second.external_id) = (Some("same".to_owned()), Some("same".to_owned()));
    let id = second.id;
    write(&store, move |tx| tx.insert_organization(&first))
        .await
        .expect("the first");
    let refused = write(&store, move |tx| tx.insert_organization(&second)).await;
    assert!(is_constraint(&refused), "{refused:?}");
    assert!(
        read(&store, move |c| c.find_organization(id))
            .await
            .is_none()
    );
    for name in ["Third", "Fourth"] {
        write(&store, move |tx| {
            tx.insert_organization(&organization(name))
        })
        .await
        .expect("many may have none");
    }
}

async fn production_access_changes_from_the_expected_state_only(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    ends_what_is_remembered_of(&store, Subject::Organization(id), move |tx| {
        tx.change_production_access(id, ProductionAccess::None, ProductionAccess::Requested)
    })
    .await;
    let again = write(&store, move |tx| {
        tx.change_production_access(id, ProductionAccess::None, ProductionAccess::Approved)
    })
    .await;
    assert_eq!(again, Err(countersign::store::Error::NotFound));
    let found = read(&store, move |c| c.find_organization(id))
        .await
        .expect("found");
    assert_eq!(found.production_access, ProductionAccess::Requested);
}

async fn an_organization_is_suspended_from_the_expected_state_only(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    let suspend = move |tx: &mut countersign::store::Tx| {
        tx.change_organization_state(id, OrganizationState::Active, OrganizationState::Suspended)
    };
    ends_what_is_remembered_of(&store, Subject::Organization(id), suspend).await;
    assert_eq!(
        write(&store, suspend).await,
        Err(countersign::store::Error::NotFound)
    );
    assert_eq!(
        read(&store, move |c| c.find_organization(id))
            .await
            .expect("found")
            .state,
        OrganizationState::Suspended
    );
}

async fn the_generation_moves_by_one_and_needs_an_organization(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    let before = store.changes().stamp();
    write(&store, move |tx| tx.advance_generation(id))
        .await
        .expect("advanced");
    assert_eq!(
        read(&store, move |c| c.find_organization(id))
            .await
            .expect("found")
            .generation,
        1
    );
    assert!(
        store
            .changes()
            .is_current(before, [Subject::Organization(id)]),
        "a lock is no news"
    );
    let unknown = OrganizationId::generate(NOW);
    assert_eq!(
        write(&store, move |tx| tx.advance_generation(unknown)).await,
        Err(countersign::store::Error::NotFound)
    );
}

fn member(organization: OrganizationId, user: UserId) -> Member {
    Member::new(
        organization,
        user,
        OrganizationRole::Member,
        Licence::Full,
        NOW,
    )
}

async fn only_verified_addresses_of_active_members_are_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await.organization;
    let (verified, mut claimed, mut suspended, mut robot, stranger) =
        (person(), person(), person(), person(), person());
    let (left, idle) = (person(), person());
    claimed.email_verified_at = None;
    suspended.state = UserState::Suspended;
    (robot.email, robot.email_verified_at) = (None, None);
    let expected = verified.email.clone().expect("an address");
    write(&store, move |tx| {
        for user in [&verified, &claimed, &suspended, &robot] {
            tx.insert_user(user)?;
            tx.insert_member(&member(acme, user.id))?;
        }
        tx.insert_user(&left)?;
        tx.insert_member(&Member {
            ends_at: Some(NOW),
            ..member(acme, left.id)
        })?;
        tx.insert_user(&idle)?;
        tx.insert_member(&Member {
            state: MemberState::Suspended,
            ..member(acme, idle.id)
        })?;
        tx.insert_user(&stranger)
    })
    .await
    .expect("members");
    assert_eq!(
        read(&store, move |c| c.list_verified_member_addresses(acme, NOW)).await,
        [expected]
    );
}

async fn the_organizations_of_a_user_are_listed_by_name(db: TestDatabase) {
    let store = open(&db);
    let user = person();
    let id = user.id;
    write(&store, move |tx| {
        tx.insert_user(&user)?;
        for name in ["Zulu", "Alpha"] {
            let organization = organization(name);
            tx.insert_organization(&organization)?;
            tx.insert_member(&member(organization.id, id))?;
        }
        tx.insert_organization(&organization("Not theirs"))
    })
    .await
    .expect("organizations");
    let names: Vec<String> = read(&store, move |c| c.list_organizations_of(id, NOW))
        .await
        .into_iter()
        .map(|found| found.name)
        .collect();
    assert_eq!(names, ["Alpha", "Zulu"]);
}

async fn of_two_organizations_of_one_name_the_older_is_found(db: TestDatabase) {
    let store = open(&db);
    let (young, mut old) = (organization("Acme"), organization("Acme"));
    old.created_at = EARLIER;
    let (expected, touched) = (old.id, old.id);
    write(&store, move |tx| {
        tx.insert_organization(&young)
            .and_then(|()| tx.insert_organization(&old))
    })
    .await
    .expect("both");
    write(&store, move |tx| tx.advance_generation(touched))
        .await
        .expect("PostgreSQL moves the row");
    assert_eq!(
        read(&store, |c| c.find_organization_by_name("Acme"))
            .await
            .expect("one of them")
            .id,
        expected
    );
}

async fn organizations_are_listed_by_what_they_are(db: TestDatabase) {
    let store = open(&db);
    let (mut old, mut new, plain) = (
        organization("Old"),
        organization("New"),
        organization("Plain"),
    );
    (old.created_at, old.external_id, old.state) = (
        EARLIER,
        Some("v-1".to_owned()),
        OrganizationState::Suspended,
    );
    (new.created_at, new.production_access) = (LATER, ProductionAccess::Requested);
    let (first, last) = (new.id, old.id);
    write(&store, move |tx| {
        for organization in [&old, &new, &plain] {
            tx.insert_organization(organization)?;
        }
        tx.put_subscription(&Subscription::new(old.id, "business", NOW))?;
        tx.put_subscription(&Subscription::new(new.id, "enterprise", NOW))
    })
    .await
    .expect("inserted");
    let names = |filter: OrganizationFilter| {
        let store = &store;
        async move {
            read(store, move |c| c.list_organizations_page(&filter, None, 9))
                .await
                .into_iter()
                .map(|row| row.name)
                .collect::<Vec<_>>()
        }
    };
    let any = OrganizationFilter::default;
    assert_eq!(
        names(any()).await,
        ["New", "Plain", "Old"],
        "the newest first"
    );
    assert_eq!(
        names(OrganizationFilter {
            external_id: Some("v-1".to_owned()),
            ..any()
        })
        .await,
        ["Old"]
    );
    assert_eq!(
        names(OrganizationFilter {
            name: Some("Plain".to_owned()),
            ..any()
        })
        .await,
        ["Plain"]
    );
    assert_eq!(
        names(OrganizationFilter {
            state: Some(OrganizationState::Active),
            ..any()
        })
        .await,
        ["New", "Plain"]
    );
    assert_eq!(
        names(OrganizationFilter {
            production_access: Some(ProductionAccess::Requested),
            ..any()
        })
        .await,
        ["New"]
    );
    let containing = |text: &str| OrganizationFilter {
        search: Some(text.to_owned()),
        ..any()
    };
    assert_eq!(names(containing("LAI")).await, ["Plain"]);
    assert_eq!(
        names(containing("v-1")).await,
        ["Old"],
        "the whole external id"
    );
    assert_eq!(names(containing(last.as_str())).await, ["Old"]);
    assert!(names(containing("%")).await.is_empty() && names(containing("v-")).await.is_empty());
    let on = |plan: &str, plan_is_default| OrganizationFilter {
        plan: Some(plan.to_owned()),
        plan_is_default,
        ..any()
    };
    assert_eq!(names(on("business", false)).await, ["Old"]);
    assert_eq!(
        names(on("enterprise", true)).await,
        ["New", "Plain"],
        "without a subscription: the default plan"
    );
    let rest = read(&store, move |c| {
        c.list_organizations_page(&OrganizationFilter::default(), Some((LATER, first)), 9)
    })
    .await;
    assert_eq!(rest.len(), 2);
    assert!(
        read(&store, move |c| c.list_organizations_page(
            &OrganizationFilter::default(),
            Some((EARLIER, last)),
            9
        ))
        .await
        .is_empty()
    );
}

async fn a_name_an_external_id_and_a_time_zone_change_together(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    ends_what_is_remembered_of(&store, Subject::Organization(id), move |tx| {
        let mut row = tx
            .find_organization(id)?
            .ok_or(countersign::store::Error::NotFound)?;
        (row.name, row.external_id, row.time_zone) = (
            "Next".to_owned(),
            Some("v-2".to_owned()),
            "Europe/Berlin".to_owned(),
        );
        tx.change_organization(&row)
    })
    .await;
    let found = read(&store, |c| c.find_organization_by_external_id("v-2"))
        .await
        .expect("found");
    assert_eq!(
        (found.id, found.name.as_str(), found.time_zone.as_str()),
        (id, "Next", "Europe/Berlin")
    );
    assert!(
        read(&store, |c| c.find_organization_by_external_id("V-2"))
            .await
            .is_none()
    );
    let unknown = organization("Nobody");
    assert_eq!(
        write(&store, move |tx| tx.change_organization(&unknown)).await,
        Err(countersign::store::Error::NotFound)
    );
}

async fn a_trial_starts_once(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    ends_what_is_remembered_of(&store, Subject::Organization(id), move |tx| {
        tx.start_trial(id, LATER)
    })
    .await;
    assert_eq!(
        write(&store, move |tx| tx.start_trial(id, LATER.plus_seconds(1))).await,
        Err(countersign::store::Error::NotFound)
    );
    let found = read(&store, move |c| c.find_organization(id))
        .await
        .expect("found");
    assert_eq!(
        (found.trial_started_at, found.trial_ends_at),
        (Some(NOW), Some(LATER))
    );
}

async fn the_dev_centre_is_switched(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    for enabled in [Some(NOW), None] {
        write(&store, move |tx| tx.change_dev_centre(id, enabled))
            .await
            .expect("switched");
        assert_eq!(
            read(&store, move |c| c.find_organization(id))
                .await
                .expect("found")
                .dev_centre_enabled_at,
            enabled
        );
    }
    ends_what_is_remembered_of(&store, Subject::Organization(id), move |tx| {
        tx.change_dev_centre(id, Some(LATER))
    })
    .await;
}

async fn production_is_decided_from_the_expected_state_only(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    let mut decided = read(&store, move |c| c.find_organization(id))
        .await
        .expect("found");
    decided.production_access = ProductionAccess::Refused;
    (decided.production_use_case, decided.production_reason) =
        (Some("Contracts".to_owned()), Some("No.".to_owned()));
    (
        decided.production_requested_at,
        decided.production_decided_at,
    ) = (Some(EARLIER), Some(NOW));
    let (copy, again) = (decided.clone(), decided.clone());
    let before = store.changes().stamp();
    write(&store, move |tx| {
        tx.change_production(ProductionAccess::None, &copy)
    })
    .await
    .expect("decided");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::Organization(id)]),
        "what was remembered ends"
    );
    let found = read(&store, move |c| c.find_organization(id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{decided:?}"));
    let late = write(&store, move |tx| {
        tx.change_production(ProductionAccess::None, &again)
    })
    .await;
    assert_eq!(late, Err(countersign::store::Error::NotFound));
}
