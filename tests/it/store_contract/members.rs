//! Membership of organizations and workspaces.

use countersign::store::members::{Member, MemberFilter, WorkspaceMember};
use countersign::store::users::User;
use countersign::store::{Error, Store, Subject, Tx};
use countersign::types::id::{OrganizationId, UserId, WorkspaceId};
use countersign::types::state::{
    Licence, MemberState, OrganizationRole, OrganizationState, Suspension, UserKind, UserState,
};
use countersign::types::time::Timestamp;

use super::{
    Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, person, read, write,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_member_is_found_in_this_organization_only,
    a_user_is_a_member_once,
    a_role_changes_from_the_expected_one_only,
    a_licence_changes_from_the_expected_one_only,
    owners_are_counted_per_organization,
    a_member_leaves_once,
    members_who_lost_their_address_are_listed,
    a_workspace_role_is_listed_in_its_organization,
    a_workspace_role_changes_from_the_expected_one_only,
    a_member_leaves_a_workspace_once,
    seats_are_taken_by_people_whose_membership_stands,
    another_organizations_workspace_is_out_of_reach,
    members_are_listed_by_page_and_by_what_they_are,
    only_active_people_take_seats_and_only_they_keep_an_organization,
    a_workspaces_members_are_listed_by_page,
    a_membership_is_found_until_it_ends_with_who_is_suspended,
);

fn member(acme: &Acme, role: OrganizationRole) -> Member {
    Member::new(acme.organization, acme.person, role, Licence::Full, NOW)
}

fn seat(workspace: WorkspaceId, user: UserId) -> WorkspaceMember {
    WorkspaceMember {
        workspace_id: workspace,
        user_id: user,
        role: "viewer".to_owned(),
        created_at: NOW,
    }
}

async fn members_who_lost_their_address_are_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, user) = (acme.organization, acme.person);
    let row = member(&acme, OrganizationRole::Member);
    write(&store, move |tx| tx.insert_member(&row))
        .await
        .expect("inserted");
    let lost = async || {
        let filter = MemberFilter {
            address_lost: true,
            ..MemberFilter::default()
        };
        let found = read(&store, move |c| {
            c.list_members_page(organization, &filter, None, 9, NOW)
        })
        .await;
        let at = |(member, _): (Member, User)| member.address_lost_at;
        found.into_iter().map(at).collect::<Vec<_>>()
    };
    assert_eq!(lost().await, []);
    for at in [Some(NOW), None] {
        write(&store, move |tx| {
            tx.change_member_address_loss(organization, user, at)
        })
        .await
        .expect("changed");
        assert_eq!(lost().await, at.map(Some).into_iter().collect::<Vec<_>>());
    }
    let nobody = UserId::generate(NOW);
    assert_eq!(
        write(&store, move |tx| tx.change_member_address_loss(
            organization,
            nobody,
            None
        ))
        .await,
        Err(Error::NotFound)
    );
}

async fn a_member_is_found_in_this_organization_only(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let row = member(&acme, OrganizationRole::Admin);
    ends_what_is_remembered_of(&store, Subject::Organization(acme.organization), {
        let (organization_id, user_id) = (row.organization_id, row.user_id);
        move |tx| {
            tx.insert_member(&Member::new(
                organization_id,
                user_id,
                OrganizationRole::Admin,
                Licence::ReadOnly,
                NOW,
            ))
        }
    })
    .await;
    let found = read(&store, move |c| {
        c.find_member(acme.organization, acme.person, NOW)
    })
    .await
    .expect("found");
    assert!(found.role == OrganizationRole::Admin && found.licence == Licence::ReadOnly);
    assert!(
        read(&store, move |c| c.find_member(
            other.organization,
            acme.person,
            NOW
        ))
        .await
        .is_none()
    );
    assert!(
        read(&store, move |c| c.find_member(
            acme.organization,
            other.person,
            NOW
        ))
        .await
        .is_none()
    );
}

async fn a_user_is_a_member_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (first, second) = (
        member(&acme, OrganizationRole::Member),
        member(&acme, OrganizationRole::Owner),
    );
    write(&store, move |tx| tx.insert_member(&first))
        .await
        .expect("the first");
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_member(&second)).await
    ));
    let found = read(&store, move |c| {
        c.find_member(acme.organization, acme.person, NOW)
    })
    .await
    .expect("found");
    assert_eq!(found.role, OrganizationRole::Member);
}

async fn a_role_changes_from_the_expected_one_only(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, user, row) = (
        acme.organization,
        acme.person,
        member(&acme, OrganizationRole::Owner),
    );
    write(&store, move |tx| tx.insert_member(&row))
        .await
        .expect("inserted");
    let demote = move |tx: &mut Tx| {
        tx.change_member_role(
            organization,
            user,
            OrganizationRole::Owner,
            OrganizationRole::Member,
        )
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), demote).await;
    assert_eq!(write(&store, demote).await, Err(Error::NotFound));
    let other = Acme::insert(&store).await.organization;
    let foreign = write(&store, move |tx| {
        tx.change_member_role(
            other,
            user,
            OrganizationRole::Member,
            OrganizationRole::Owner,
        )
    })
    .await;
    assert_eq!(foreign, Err(Error::NotFound));
    assert_eq!(
        read(&store, move |c| c.find_member(organization, user, NOW))
            .await
            .expect("found")
            .role,
        OrganizationRole::Member
    );
}

async fn a_licence_changes_from_the_expected_one_only(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, user, row) = (
        acme.organization,
        acme.person,
        member(&acme, OrganizationRole::Member),
    );
    write(&store, move |tx| tx.insert_member(&row))
        .await
        .expect("inserted");
    let narrow = move |tx: &mut Tx| {
        tx.change_member_licence(organization, user, Licence::Full, Licence::ReadOnly)
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), narrow).await;
    assert_eq!(write(&store, narrow).await, Err(Error::NotFound));
    assert_eq!(
        read(&store, move |c| c.find_member(organization, user, NOW))
            .await
            .expect("found")
            .licence,
        Licence::ReadOnly
    );
}

async fn owners_are_counted_per_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let mut admin = member(&acme, OrganizationRole::Admin);
    admin.user_id = other.person;
    for row in [
        member(&acme, OrganizationRole::Owner),
        member(&other, OrganizationRole::Owner),
        admin,
    ] {
        write(&store, move |tx| tx.insert_member(&row))
            .await
            .expect("inserted");
    }
    assert_eq!(
        read(&store, move |c| c.count_owners(acme.organization, NOW)).await,
        1
    );
    assert_eq!(
        read(&store, |c| c
            .count_owners(OrganizationId::generate(NOW), NOW))
        .await,
        0
    );
}

async fn a_member_leaves_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, user, row) = (
        acme.organization,
        acme.person,
        member(&acme, OrganizationRole::Member),
    );
    write(&store, move |tx| tx.insert_member(&row))
        .await
        .expect("inserted");
    let leave = move |tx: &mut Tx| tx.delete_member(organization, user);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), leave).await;
    assert_eq!(write(&store, leave).await, Err(Error::NotFound));
    assert!(
        read(&store, move |c| c.find_member(organization, user, NOW))
            .await
            .is_none()
    );
}

async fn a_workspace_role_is_listed_in_its_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let Acme {
        organization,
        person,
        workspace,
    } = acme;
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        tx.insert_workspace_member(organization, &seat(workspace, person))
    })
    .await;
    let foreign = seat(other.workspace, person);
    write(&store, move |tx| {
        tx.insert_workspace_member(other.organization, &foreign)
    })
    .await
    .expect("a member of both");
    let again = write(&store, move |tx| {
        tx.insert_workspace_member(organization, &seat(workspace, person))
    })
    .await;
    assert!(is_constraint(&again), "{again:?}");
    assert_eq!(
        read(&store, move |c| c
            .list_workspace_roles(organization, person))
        .await,
        [(workspace, "viewer".to_owned())]
    );
    assert_eq!(
        read(&store, move |c| c
            .list_workspace_roles(organization, other.person))
        .await,
        []
    );
}

async fn a_workspace_role_changes_from_the_expected_one_only(db: TestDatabase) {
    let store = open(&db);
    let Acme {
        organization,
        person,
        workspace,
    } = Acme::insert(&store).await;
    write(&store, move |tx| {
        tx.insert_workspace_member(organization, &seat(workspace, person))
    })
    .await
    .expect("inserted");
    let promote = move |tx: &mut Tx| {
        tx.change_workspace_role(organization, workspace, person, "viewer", "admin")
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), promote).await;
    assert_eq!(write(&store, promote).await, Err(Error::NotFound));
    assert_eq!(
        read(&store, move |c| c
            .list_workspace_roles(organization, person))
        .await,
        [(workspace, "admin".to_owned())]
    );
}

async fn a_member_leaves_a_workspace_once(db: TestDatabase) {
    let store = open(&db);
    let Acme {
        organization,
        person,
        workspace,
    } = Acme::insert(&store).await;
    write(&store, move |tx| {
        tx.insert_workspace_member(organization, &seat(workspace, person))
    })
    .await
    .expect("inserted");
    let leave = move |tx: &mut Tx| tx.delete_workspace_member(organization, workspace, person);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), leave).await;
    assert_eq!(write(&store, leave).await, Err(Error::NotFound));
}

/// An admin of one organization who names a workspace of another one must not change it.
async fn another_organizations_workspace_is_out_of_reach(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (ours, theirs, workspace, user) = (
        acme.organization,
        other.organization,
        other.workspace,
        other.person,
    );
    let added = write(&store, move |tx| {
        tx.insert_workspace_member(ours, &seat(workspace, user))
    })
    .await;
    assert_eq!(added, Err(Error::NotFound));
    write(&store, move |tx| {
        tx.insert_workspace_member(theirs, &seat(workspace, user))
    })
    .await
    .expect("inserted");
    let changed = write(&store, move |tx| {
        tx.change_workspace_role(ours, workspace, user, "viewer", "admin")
    })
    .await;
    assert_eq!(changed, Err(Error::NotFound));
    let removed = write(&store, move |tx| {
        tx.delete_workspace_member(ours, workspace, user)
    })
    .await;
    assert_eq!(removed, Err(Error::NotFound));
    assert_eq!(
        read(&store, move |c| c.list_workspace_roles(theirs, user)).await,
        [(workspace, "viewer".to_owned())]
    );
}

async fn seats_are_taken_by_people_whose_membership_stands(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let mut robot = person();
    (robot.kind, robot.email, robot.email_verified_at) = (UserKind::ServiceAccount, None, None);
    let mut rows = vec![
        member(&acme, OrganizationRole::Member),
        Member {
            user_id: robot.id,
            ..member(&acme, OrganizationRole::Member)
        },
    ];
    let mut people = vec![robot];
    for (licence, state, ends_at) in [
        (Licence::Full, MemberState::Suspended, None),
        (Licence::Full, MemberState::Active, Some(NOW)),
        (Licence::Full, MemberState::Active, Some(LATER)),
        (Licence::ReadOnly, MemberState::Active, None),
    ] {
        let user = person();
        rows.push(Member {
            user_id: user.id,
            licence,
            state,
            ends_at,
            ..member(&acme, OrganizationRole::Member)
        });
        people.push(user);
    }
    write(&store, move |tx| {
        people.iter().try_for_each(|user| tx.insert_user(user))?;
        rows.iter().try_for_each(|row| tx.insert_member(row))
    })
    .await
    .expect("inserted");
    let count = |licence| {
        read(&store, move |c| {
            c.count_seats(acme.organization, licence, NOW)
        })
    };
    assert_eq!(
        (count(Licence::Full).await, count(Licence::ReadOnly).await),
        (2, 1)
    );
}

/// A new user who joins at `at`, changed by `edit`.
async fn join(
    store: &Store,
    acme: &Acme,
    at: Timestamp,
    edit: impl Fn(&mut Member, &mut User),
) -> UserId {
    let mut user = person();
    let mut row = Member::new(
        acme.organization,
        user.id,
        OrganizationRole::Member,
        Licence::Full,
        at,
    );
    edit(&mut row, &mut user);
    let id = user.id;
    write(store, move |tx| {
        tx.insert_user(&user).and_then(|()| tx.insert_member(&row))
    })
    .await
    .expect("a member");
    id
}

fn robot(_: &mut Member, user: &mut User) {
    (user.kind, user.email, user.password_hash) = (UserKind::ServiceAccount, None, None);
}

async fn members_are_listed_by_page_and_by_what_they_are(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    join(&store, &other, NOW, |_, _| {}).await;
    let old = join(&store, &acme, EARLIER, |row, _| {
        row.role = OrganizationRole::Admin
    })
    .await;
    let viewer = join(&store, &acme, NOW, |row, _| row.licence = Licence::ReadOnly).await;
    let resting = join(&store, &acme, NOW, |row, _| {
        row.state = MemberState::Suspended
    })
    .await;
    let robot = join(&store, &acme, LATER, robot).await;
    let (organization, workspace) = (acme.organization, acme.workspace);
    write(&store, move |tx| {
        tx.insert_workspace_member(organization, &seat(workspace, viewer))
    })
    .await
    .expect("a role");
    let page = |filter: MemberFilter, after, most| {
        let store = &store;
        async move {
            let rows = read(store, move |c| {
                c.list_members_page(organization, &filter, after, most, NOW)
            })
            .await;
            rows.into_iter()
                .map(|(member, user)| (member.created_at, user.id))
                .collect::<Vec<_>>()
        }
    };
    let all = page(MemberFilter::default(), None, 9).await;
    assert_eq!(
        (all.len(), all[0].1, all[3].1),
        (4, robot, old),
        "the newest first"
    );
    assert_eq!(page(MemberFilter::default(), None, 2).await, all[..2]);
    assert_eq!(
        page(MemberFilter::default(), Some(all[1]), 9).await,
        all[2..],
        "two of one instant are parted by their ids"
    );
    let email = read(&store, move |c| c.find_user(viewer))
        .await
        .expect("found")
        .email;
    for (filter, only) in [
        (
            MemberFilter {
                role: Some(OrganizationRole::Admin),
                ..MemberFilter::default()
            },
            old,
        ),
        (
            MemberFilter {
                licence: Some(Licence::ReadOnly),
                ..MemberFilter::default()
            },
            viewer,
        ),
        (
            MemberFilter {
                state: Some(MemberState::Suspended),
                ..MemberFilter::default()
            },
            resting,
        ),
        (
            MemberFilter {
                kind: Some(UserKind::ServiceAccount),
                ..MemberFilter::default()
            },
            robot,
        ),
        (
            MemberFilter {
                workspace: Some(workspace),
                ..MemberFilter::default()
            },
            viewer,
        ),
        (
            MemberFilter {
                only: Some(vec![workspace]),
                ..MemberFilter::default()
            },
            viewer,
        ),
        (
            MemberFilter {
                email,
                ..MemberFilter::default()
            },
            viewer,
        ),
    ] {
        let found: Vec<_> = page(filter.clone(), None, 9)
            .await
            .into_iter()
            .map(|(_, id)| id)
            .collect();
        assert_eq!(found, [only], "{filter:?}");
    }
    assert_eq!(
        page(
            MemberFilter {
                only: Some(Vec::new()),
                ..MemberFilter::default()
            },
            None,
            9
        )
        .await,
        []
    );
}

async fn only_active_people_take_seats_and_only_they_keep_an_organization(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let organization = acme.organization;
    let owner = |row: &mut Member| row.role = OrganizationRole::Owner;
    let sound = join(&store, &acme, NOW, |row, _| owner(row)).await;
    let ended = join(&store, &acme, EARLIER, |row, _| {
        owner(row);
        row.ends_at = Some(NOW);
    })
    .await;
    join(&store, &acme, NOW, |row, _| {
        owner(row);
        row.state = MemberState::Suspended;
    })
    .await;
    join(&store, &acme, NOW, |row, user| {
        owner(row);
        robot(row, user);
    })
    .await;
    assert_eq!(
        read(&store, move |c| c.count_seats(
            organization,
            Licence::Full,
            NOW
        ))
        .await,
        1
    );
    assert_eq!(
        read(&store, move |c| c.count_seats(
            organization,
            Licence::ReadOnly,
            NOW
        ))
        .await,
        0
    );
    assert_eq!(
        read(&store, move |c| c.count_seats(
            organization,
            Licence::Full,
            EARLIER
        ))
        .await,
        2,
        "it had not ended yet"
    );
    assert_eq!(
        read(&store, move |c| c.count_owners(organization, NOW)).await,
        1
    );
    for (at, is_over) in [(NOW, true), (EARLIER, false)] {
        assert_eq!(
            read(&store, move |c| c.has_ended_member(organization, ended, at)).await,
            is_over
        );
        let row = read(&store, move |c| c.find_member(organization, ended, at)).await;
        assert_eq!(row.is_some(), !is_over);
        let own = read(&store, move |c| c.list_organizations_of(ended, at)).await;
        assert_eq!(own.is_empty(), is_over);
        let filter = MemberFilter::default();
        let page = read(&store, move |c| {
            c.list_members_page(organization, &filter, None, 99, at)
        })
        .await;
        assert_eq!(page.iter().all(|(row, _)| row.user_id != ended), is_over);
    }
    assert!(
        !read(&store, move |c| c.has_ended_member(
            organization,
            sound,
            NOW
        ))
        .await
    );
    let listed = read(&store, move |c| c.list_ended_members(NOW, 9)).await;
    assert_eq!(
        listed
            .iter()
            .map(|member| member.user_id)
            .collect::<Vec<_>>(),
        [ended]
    );
    assert_eq!(
        read(&store, move |c| c.list_ended_members(NOW, 0))
            .await
            .len(),
        0
    );
    assert_eq!(
        read(&store, move |c| c.count_organizations_owned_by(sound, NOW)).await,
        1
    );
    assert_eq!(
        read(&store, |c| c
            .count_organizations_owned_by(UserId::generate(NOW), NOW))
        .await,
        0
    );
    write(&store, move |tx| {
        tx.change_user_state(sound, UserState::Active, UserState::Suspended)
    })
    .await
    .expect("suspended");
    assert_eq!(
        read(&store, move |c| c.count_owners(organization, NOW)).await,
        0,
        "who cannot sign in keeps nothing"
    );
}

async fn a_workspaces_members_are_listed_by_page(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, workspace) = (acme.organization, acme.workspace);
    let mut rows = Vec::new();
    for at in [EARLIER, NOW, NOW] {
        let id = join(&store, &acme, at, |_, _| {}).await;
        let row = WorkspaceMember {
            created_at: at,
            ..seat(workspace, id)
        };
        write(&store, move |tx| {
            tx.insert_workspace_member(organization, &row)
        })
        .await
        .expect("a role");
        rows.push((at, id));
    }
    rows.sort_by(|one, other| other.cmp(one));
    let page = |organization, after, most| {
        let store = &store;
        async move {
            let found = read(store, move |c| {
                c.list_workspace_members_page(organization, workspace, after, most, NOW)
            })
            .await;
            found
                .into_iter()
                .map(|(member, user)| (member.created_at, user.id))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(page(organization, None, 9).await, rows);
    assert_eq!(page(organization, Some(rows[0]), 1).await, rows[1..2]);
    assert_eq!(page(other.organization, None, 9).await, []);
}

async fn a_membership_is_found_until_it_ends_with_who_is_suspended(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    let find = async |organization, user, now| {
        read(&store, move |c| c.find_membership(organization, user, now)).await
    };
    let ends = join(&store, &acme, EARLIER, |row, _| row.ends_at = Some(NOW)).await;
    assert!(find(organization, ends, EARLIER).await.is_some());
    assert!(
        find(organization, ends, NOW).await.is_none(),
        "the end itself is behind it"
    );
    let user = join(&store, &acme, NOW, |_, _| {}).await;
    let found = find(organization, user, NOW).await.expect("a membership");
    assert_eq!(
        (found.member.user_id, found.user.id, found.organization.id),
        (user, user, organization)
    );
    assert_eq!(found.suspended, None);
    assert!(find(other.organization, user, NOW).await.is_none());
    assert!(find(organization, acme.person, NOW).await.is_none());
    let suspended = async || find(organization, user, NOW).await.expect("it").suspended;
    write(&store, move |tx| {
        tx.change_member_state(
            organization,
            user,
            MemberState::Active,
            MemberState::Suspended,
        )
    })
    .await
    .expect("suspended");
    assert_eq!(suspended().await, Some(Suspension::Member));
    write(&store, move |tx| {
        tx.change_user_state(user, UserState::Active, UserState::Suspended)
    })
    .await
    .expect("suspended");
    assert_eq!(suspended().await, Some(Suspension::User));
    write(&store, move |tx| {
        tx.change_organization_state(
            organization,
            OrganizationState::Active,
            OrganizationState::Suspended,
        )
    })
    .await
    .expect("suspended");
    assert_eq!(suspended().await, Some(Suspension::Organization));
}
