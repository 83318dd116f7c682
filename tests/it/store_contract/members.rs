//! Membership of organizations and workspaces.

use countersign::store::members::{Member, WorkspaceMember};
use countersign::store::{Error, Subject, Tx};
use countersign::types::id::{OrganizationId, UserId, WorkspaceId};
use countersign::types::state::{Licence, MemberState, OrganizationRole, UserKind};

use super::{Acme, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, person, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_member_is_found_in_this_organization_only,
    a_user_is_a_member_once,
    a_role_changes_from_the_expected_one_only,
    a_licence_changes_from_the_expected_one_only,
    owners_are_counted_per_organization,
    a_member_leaves_once,
    a_workspace_role_is_listed_in_its_organization,
    a_workspace_role_changes_from_the_expected_one_only,
    a_member_leaves_a_workspace_once,
    seats_are_taken_by_people_whose_membership_stands,
    another_organizations_workspace_is_out_of_reach,
);

fn member(acme: &Acme, role: OrganizationRole) -> Member {
    Member::new(acme.organization, acme.person, role, Licence::Full, NOW)
}

fn seat(workspace: WorkspaceId, user: UserId) -> WorkspaceMember {
    WorkspaceMember { workspace_id: workspace, user_id: user, role: "viewer".to_owned(), created_at: NOW }
}

async fn a_member_is_found_in_this_organization_only(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let row = member(&acme, OrganizationRole::Admin);
    ends_what_is_remembered_of(&store, Subject::Organization(acme.organization), {
        let (organization_id, user_id) = (row.organization_id, row.user_id);
        move |tx| tx.insert_member(&Member::new(organization_id, user_id, OrganizationRole::Admin, Licence::ReadOnly, NOW))
    })
    .await;
    let found = read(&store, move |c| c.find_member(acme.organization, acme.person)).await.expect("found");
    assert!(found.role == OrganizationRole::Admin && found.licence == Licence::ReadOnly);
    assert!(read(&store, move |c| c.find_member(other.organization, acme.person)).await.is_none());
    assert!(read(&store, move |c| c.find_member(acme.organization, other.person)).await.is_none());
}

async fn a_user_is_a_member_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (first, second) = (member(&acme, OrganizationRole::Member), member(&acme, OrganizationRole::Owner));
    write(&store, move |tx| tx.insert_member(&first)).await.expect("the first");
    assert!(is_constraint(&write(&store, move |tx| tx.insert_member(&second)).await));
    let found = read(&store, move |c| c.find_member(acme.organization, acme.person)).await.expect("found");
    assert_eq!(found.role, OrganizationRole::Member);
}

async fn a_role_changes_from_the_expected_one_only(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, user, row) = (acme.organization, acme.person, member(&acme, OrganizationRole::Owner));
    write(&store, move |tx| tx.insert_member(&row)).await.expect("inserted");
    let demote = move |tx: &mut Tx| tx.change_member_role(organization, user, OrganizationRole::Owner, OrganizationRole::Member);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), demote).await;
    assert_eq!(write(&store, demote).await, Err(Error::NotFound));
    let other = Acme::insert(&store).await.organization;
    let foreign = write(&store, move |tx| tx.change_member_role(other, user, OrganizationRole::Member, OrganizationRole::Owner)).await;
    assert_eq!(foreign, Err(Error::NotFound));
    assert_eq!(read(&store, move |c| c.find_member(organization, user)).await.expect("found").role, OrganizationRole::Member);
}

async fn a_licence_changes_from_the_expected_one_only(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, user, row) = (acme.organization, acme.person, member(&acme, OrganizationRole::Member));
    write(&store, move |tx| tx.insert_member(&row)).await.expect("inserted");
    let narrow = move |tx: &mut Tx| tx.change_member_licence(organization, user, Licence::Full, Licence::ReadOnly);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), narrow).await;
    assert_eq!(write(&store, narrow).await, Err(Error::NotFound));
    assert_eq!(read(&store, move |c| c.find_member(organization, user)).await.expect("found").licence, Licence::ReadOnly);
}

async fn owners_are_counted_per_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let mut admin = member(&acme, OrganizationRole::Admin);
    admin.user_id = other.person;
    for row in [member(&acme, OrganizationRole::Owner), member(&other, OrganizationRole::Owner), admin] {
        write(&store, move |tx| tx.insert_member(&row)).await.expect("inserted");
    }
    assert_eq!(read(&store, move |c| c.count_owners(acme.organization)).await, 1);
    assert_eq!(read(&store, |c| c.count_owners(OrganizationId::generate(NOW))).await, 0);
}

async fn a_member_leaves_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, user, row) = (acme.organization, acme.person, member(&acme, OrganizationRole::Member));
    write(&store, move |tx| tx.insert_member(&row)).await.expect("inserted");
    let leave = move |tx: &mut Tx| tx.delete_member(organization, user);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), leave).await;
    assert_eq!(write(&store, leave).await, Err(Error::NotFound));
    assert!(read(&store, move |c| c.find_member(organization, user)).await.is_none());
}

async fn a_workspace_role_is_listed_in_its_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let Acme { organization, person, workspace } = acme;
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        tx.insert_workspace_member(organization, &seat(workspace, person))
    })
    .await;
    let foreign = seat(other.workspace, person);
    write(&store, move |tx| tx.insert_workspace_member(other.organization, &foreign)).await.expect("a member of both");
    let again = write(&store, move |tx| tx.insert_workspace_member(organization, &seat(workspace, person))).await;
    assert!(is_constraint(&again), "{again:?}");
    assert_eq!(read(&store, move |c| c.list_workspace_roles(organization, person)).await, [(workspace, "viewer".to_owned())]);
    assert_eq!(read(&store, move |c| c.list_workspace_roles(organization, other.person)).await, []);
}

async fn a_workspace_role_changes_from_the_expected_one_only(db: TestDatabase) {
    let store = open(&db);
    let Acme { organization, person, workspace } = Acme::insert(&store).await;
    write(&store, move |tx| tx.insert_workspace_member(organization, &seat(workspace, person))).await.expect("inserted");
    let promote = move |tx: &mut Tx| tx.change_workspace_role(organization, workspace, person, "viewer", "admin");
    ends_what_is_remembered_of(&store, Subject::Organization(organization), promote).await;
    assert_eq!(write(&store, promote).await, Err(Error::NotFound));
    assert_eq!(read(&store, move |c| c.list_workspace_roles(organization, person)).await, [(workspace, "admin".to_owned())]);
}

async fn a_member_leaves_a_workspace_once(db: TestDatabase) {
    let store = open(&db);
    let Acme { organization, person, workspace } = Acme::insert(&store).await;
    write(&store, move |tx| tx.insert_workspace_member(organization, &seat(workspace, person))).await.expect("inserted");
    let leave = move |tx: &mut Tx| tx.delete_workspace_member(organization, workspace, person);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), leave).await;
    assert_eq!(write(&store, leave).await, Err(Error::NotFound));
}

/// An admin of one organization who names a workspace of another one must not change it.
async fn another_organizations_workspace_is_out_of_reach(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (ours, theirs, workspace, user) = (acme.organization, other.organization, other.workspace, other.person);
    let added = write(&store, move |tx| tx.insert_workspace_member(ours, &seat(workspace, user))).await;
    assert_eq!(added, Err(Error::NotFound));
    write(&store, move |tx| tx.insert_workspace_member(theirs, &seat(workspace, user))).await.expect("inserted");
    let changed = write(&store, move |tx| tx.change_workspace_role(ours, workspace, user, "viewer", "admin")).await;
    assert_eq!(changed, Err(Error::NotFound));
    let removed = write(&store, move |tx| tx.delete_workspace_member(ours, workspace, user)).await;
    assert_eq!(removed, Err(Error::NotFound));
    assert_eq!(read(&store, move |c| c.list_workspace_roles(theirs, user)).await, [(workspace, "viewer".to_owned())]);
}

async fn seats_are_taken_by_people_whose_membership_stands(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let mut robot = person();
    (robot.kind, robot.email, robot.email_verified_at) = (UserKind::ServiceAccount, None, None);
    let mut rows = vec![member(&acme, OrganizationRole::Member), Member { user_id: robot.id, ..member(&acme, OrganizationRole::Member) }];
    let mut people = vec![robot];
    for (licence, state, ends_at) in [
        (Licence::Full, MemberState::Suspended, None),
        (Licence::Full, MemberState::Active, Some(NOW)),
        (Licence::Full, MemberState::Active, Some(LATER)),
        (Licence::ReadOnly, MemberState::Active, None),
    ] {
        let user = person();
        rows.push(Member { user_id: user.id, licence, state, ends_at, ..member(&acme, OrganizationRole::Member) });
        people.push(user);
    }
    write(&store, move |tx| {
        people.iter().try_for_each(|user| tx.insert_user(user))?;
        rows.iter().try_for_each(|row| tx.insert_member(row))
    })
    .await
    .expect("inserted");
    let count = |licence| read(&store, move |c| c.count_seats(acme.organization, licence, NOW));
    assert_eq!((count(Licence::Full).await, count(Licence::ReadOnly).await), (2, 1));
}
