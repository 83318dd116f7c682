//! Organizations.

use countersign::store::Subject;
use countersign::store::members::Member;
use countersign::types::id::{OrganizationId, UserId};
use countersign::types::state::{Licence, OrganizationRole, OrganizationState, ProductionAccess, UserState};

use super::{Acme, EARLIER, NOW, ends_what_is_remembered_of, is_constraint, open, organization, person, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_organization_is_found_as_it_was_written,
    an_external_id_belongs_to_one_organization,
    production_access_changes_from_the_expected_state_only,
    an_organization_is_suspended_from_the_expected_state_only,
    the_generation_moves_by_one_and_needs_an_organization,
    only_verified_addresses_of_active_members_are_listed,
    the_organizations_of_a_user_are_listed_by_name,
    of_two_organizations_of_one_name_the_older_is_found,
    pages_of_organizations_go_from_the_newest_to_the_oldest,
);

async fn an_organization_is_found_as_it_was_written(db: TestDatabase) {
    let store = open(&db);
    let mut written = organization("Ünïted \"Quotes\" 🦊");
    written.external_id = Some("vendor-7".to_owned());
    let (id, copy) = (written.id, written.clone());
    write(&store, move |tx| tx.insert_organization(&copy)).await.expect("inserted");
    let found = read(&store, move |c| c.find_organization(id)).await.expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    let by_name = read(&store, move |c| c.find_organization_by_name(&written.name)).await.expect("found");
    assert_eq!(by_name.id, id);
    assert!(read(&store, |c| c.find_organization(OrganizationId::generate(NOW))).await.is_none());
    assert!(read(&store, |c| c.find_organization_by_name("ünïted")).await.is_none());
}

async fn an_external_id_belongs_to_one_organization(db: TestDatabase) {
    let store = open(&db);
    let (mut first, mut second) = (organization("First"), organization("Second"));
    (first.external_id, second.external_id) = (Some("same".to_owned()), Some("same".to_owned()));
    let id = second.id;
    write(&store, move |tx| tx.insert_organization(&first)).await.expect("the first");
    let refused = write(&store, move |tx| tx.insert_organization(&second)).await;
    assert!(is_constraint(&refused), "{refused:?}");
    assert!(read(&store, move |c| c.find_organization(id)).await.is_none());
    for name in ["Third", "Fourth"] {
        write(&store, move |tx| tx.insert_organization(&organization(name))).await.expect("many may have none");
    }
}

async fn production_access_changes_from_the_expected_state_only(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    ends_what_is_remembered_of(&store, Subject::Organization(id), move |tx| {
        tx.change_production_access(id, ProductionAccess::None, ProductionAccess::Requested)
    })
    .await;
    let again = write(&store, move |tx| tx.change_production_access(id, ProductionAccess::None, ProductionAccess::Approved)).await;
    assert_eq!(again, Err(countersign::store::Error::NotFound));
    let found = read(&store, move |c| c.find_organization(id)).await.expect("found");
    assert_eq!(found.production_access, ProductionAccess::Requested);
}

async fn an_organization_is_suspended_from_the_expected_state_only(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    let suspend = move |tx: &mut countersign::store::Tx| tx.change_organization_state(id, OrganizationState::Active, OrganizationState::Suspended);
    ends_what_is_remembered_of(&store, Subject::Organization(id), suspend).await;
    assert_eq!(write(&store, suspend).await, Err(countersign::store::Error::NotFound));
    assert_eq!(read(&store, move |c| c.find_organization(id)).await.expect("found").state, OrganizationState::Suspended);
}

async fn the_generation_moves_by_one_and_needs_an_organization(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    let before = store.changes().stamp();
    write(&store, move |tx| tx.advance_generation(id)).await.expect("advanced");
    assert_eq!(read(&store, move |c| c.find_organization(id)).await.expect("found").generation, 1);
    assert!(store.changes().is_current(before, [Subject::Organization(id)]), "a lock is no news");
    let unknown = OrganizationId::generate(NOW);
    assert_eq!(write(&store, move |tx| tx.advance_generation(unknown)).await, Err(countersign::store::Error::NotFound));
}

fn member(organization: OrganizationId, user: UserId) -> Member {
    Member::new(organization, user, OrganizationRole::Member, Licence::Full, NOW)
}

async fn only_verified_addresses_of_active_members_are_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await.organization;
    let (verified, mut claimed, mut suspended, mut robot, stranger) = (person(), person(), person(), person(), person());
    claimed.email_verified_at = None;
    suspended.state = UserState::Suspended;
    (robot.email, robot.email_verified_at) = (None, None);
    let expected = verified.email.clone().expect("an address");
    write(&store, move |tx| {
        for user in [&verified, &claimed, &suspended, &robot] {
            tx.insert_user(user)?;
            tx.insert_member(&member(acme, user.id))?;
        }
        tx.insert_user(&stranger)
    })
    .await
    .expect("members");
    assert_eq!(read(&store, move |c| c.list_verified_member_addresses(acme)).await, [expected]);
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
    let names: Vec<String> = read(&store, move |c| c.list_organizations_of(id)).await.into_iter().map(|found| found.name).collect();
    assert_eq!(names, ["Alpha", "Zulu"]);
}

async fn of_two_organizations_of_one_name_the_older_is_found(db: TestDatabase) {
    let store = open(&db);
    let (young, mut old) = (organization("Acme"), organization("Acme"));
    old.created_at = EARLIER;
    let (expected, touched) = (old.id, old.id);
    write(&store, move |tx| tx.insert_organization(&young).and_then(|()| tx.insert_organization(&old))).await.expect("both");
    write(&store, move |tx| tx.advance_generation(touched)).await.expect("PostgreSQL moves the row");
    assert_eq!(read(&store, |c| c.find_organization_by_name("Acme")).await.expect("one of them").id, expected);
}

async fn pages_of_organizations_go_from_the_newest_to_the_oldest(db: TestDatabase) {
    let store = open(&db);
    for (name, at) in [("Old", EARLIER), ("New", NOW), ("Twin", NOW)] {
        let mut row = organization(name);
        (row.id, row.created_at, row.external_id) = (OrganizationId::generate(at), at, Some(format!("vendor-{name}")));
        write(&store, move |tx| tx.insert_organization(&row)).await.expect("inserted");
    }
    let page = |after, most| read(&store, move |c| c.list_organizations_page(None, after, most));
    let all = page(None, 9).await;
    assert_eq!((all.len(), all[2].name.as_str()), (3, "Old"));
    let behind = page(Some((all[0].created_at, all[0].id)), 9).await;
    assert_eq!(behind.iter().map(|row| row.id).collect::<Vec<_>>(), [all[1].id, all[2].id]);
    assert_eq!(read(&store, |c| c.list_organizations_page(Some("vendor-New"), None, 9)).await.len(), 1);
}
