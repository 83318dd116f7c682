//! Invitations and the workspaces that they open.

use countersign::store::Error;
use countersign::store::invitations::Invitation;
use countersign::types::id::{InvitationId, OrganizationId};
use countersign::types::state::{InvitationState, Licence, OrganizationRole};
use countersign::types::time::Timestamp;

use super::{Acme, EARLIER, LATER, NOW, is_constraint, open, person, read, unique_digest, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_invitation_is_found_as_it_was_written_and_by_its_organization_only,
    an_address_is_invited_once_at_a_time,
    an_invitation_is_decided_once_and_renewed_while_it_waits,
    pages_hold_the_newest_first_and_one_state_if_asked,
    what_an_address_opened_is_found,
    those_open_for_an_address_are_listed_of_any_organization,
    what_a_member_made_is_counted_and_listed,
);

fn invitation(acme: &Acme, email: &str) -> Invitation {
    Invitation {
        id: InvitationId::generate(NOW),
        organization_id: acme.organization,
        email: email.to_owned(),
        role: OrganizationRole::Member,
        licence: Licence::ReadOnly,
        member_ends_at: Some(LATER),
        digest: unique_digest(),
        state: InvitationState::Pending,
        created_by: acme.person,
        created_at: NOW,
        expires_at: LATER,
        decided_at: None,
        accepted_by: None,
    }
}

async fn an_invitation_is_found_as_it_was_written_and_by_its_organization_only(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let written = invitation(&acme, "a@b.example");
    let (copy, id, digest, ours, workspace) = (
        written.clone(),
        written.id,
        written.digest.clone(),
        acme.organization,
        acme.workspace,
    );
    let foreign = (copy.clone(), other.workspace);
    let refused = write(&store, move |tx| {
        tx.insert_invitation(&foreign.0, &[(foreign.1, "viewer".to_owned())])
    })
    .await;
    assert_eq!(
        refused,
        Err(Error::NotFound),
        "another organization's workspace"
    );
    write(&store, move |tx| {
        tx.insert_invitation(&copy, &[(workspace, "viewer".to_owned())])
    })
    .await
    .expect("inserted");
    let found = read(&store, move |c| c.find_invitation(ours, id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert_eq!(
        read(&store, move |c| c
            .find_invitation_by_digest(&[unique_digest(), digest]))
        .await
        .expect("found")
        .id,
        id
    );
    assert_eq!(
        read(&store, move |c| c.list_invitation_workspaces(id)).await,
        [(workspace, "viewer".to_owned())]
    );
    assert!(
        read(&store, move |c| c.find_invitation(other.organization, id))
            .await
            .is_none()
    );
    assert!(
        read(&store, |c| c.find_invitation_by_digest(&[unique_digest()]))
            .await
            .is_none()
    );
}

async fn an_address_is_invited_once_at_a_time(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (first, twin, elsewhere) = (
        invitation(&acme, "a@b.example"),
        invitation(&acme, "a@b.example"),
        invitation(&other, "a@b.example"),
    );
    let (id, again, organization) = (first.id, twin.clone(), acme.organization);
    write(&store, move |tx| tx.insert_invitation(&first, &[]))
        .await
        .expect("the first");
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_invitation(&twin, &[])).await
    ));
    write(&store, move |tx| tx.insert_invitation(&elsewhere, &[]))
        .await
        .expect("another organization's");
    assert_eq!(
        read(&store, move |c| c
            .find_pending_invitation(organization, "a@b.example"))
        .await
        .expect("found")
        .id,
        id
    );
    assert_eq!(
        read(&store, move |c| c.count_pending_invitations(organization)).await,
        1
    );
    write(&store, move |tx| {
        tx.decide_invitation(id, InvitationState::Revoked, None)
    })
    .await
    .expect("revoked");
    assert!(
        read(&store, move |c| c
            .find_pending_invitation(organization, "a@b.example"))
        .await
        .is_none()
    );
    write(&store, move |tx| tx.insert_invitation(&again, &[]))
        .await
        .expect("again, once the first is decided");
}

async fn an_invitation_is_decided_once_and_renewed_while_it_waits(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let written = invitation(&acme, "a@b.example");
    let (id, old, new, organization, person) = (
        written.id,
        written.digest.clone(),
        unique_digest(),
        acme.organization,
        acme.person,
    );
    write(&store, move |tx| tx.insert_invitation(&written, &[]))
        .await
        .expect("inserted");
    let later = LATER.plus_seconds(5);
    let renewed = new.clone();
    let by = Acme::insert(&store).await.person;
    write(&store, move |tx| {
        tx.renew_invitation(id, by, &renewed, later)
    })
    .await
    .expect("renewed");
    assert!(
        read(&store, move |c| c.find_invitation_by_digest(&[old]))
            .await
            .is_none(),
        "the former link opens nothing"
    );
    let found = read(&store, move |c| c.find_invitation_by_digest(&[new]))
        .await
        .expect("found");
    assert_eq!((found.expires_at, found.created_by), (later, by));
    write(&store, move |tx| {
        tx.decide_invitation(id, InvitationState::Accepted, Some(person))
    })
    .await
    .expect("accepted");
    for to in [InvitationState::Accepted, InvitationState::Declined] {
        assert_eq!(
            write(&store, move |tx| tx.decide_invitation(id, to, None)).await,
            Err(Error::NotFound)
        );
    }
    assert_eq!(
        write(&store, move |tx| tx.renew_invitation(
            id,
            by,
            &unique_digest(),
            later
        ))
        .await,
        Err(Error::NotFound)
    );
    let found = read(&store, move |c| c.find_invitation(organization, id))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.decided_at, found.accepted_by),
        (InvitationState::Accepted, Some(NOW), Some(person))
    );
}

async fn what_an_address_opened_is_found(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let mut people = Vec::new();
    for verified_at in [None, None, Some(NOW)] {
        let mut row = person();
        row.email_verified_at = verified_at;
        people.push(row.id);
        write(&store, move |tx| tx.insert_user(&row))
            .await
            .expect("inserted");
    }
    for (row, by) in [
        (invitation(&acme, "a@b.example"), Some(people[0])),
        (invitation(&acme, "a@b.example"), Some(people[0])),
        (invitation(&acme, "a@b.example"), Some(people[2])),
        (invitation(&other, "a@b.example"), Some(people[1])),
        (invitation(&other, "a@b.example"), None),
        (invitation(&other, "c@b.example"), Some(people[0])),
    ] {
        let id = row.id;
        let to = by.map_or(InvitationState::Declined, |_| InvitationState::Accepted);
        write(&store, move |tx| {
            tx.insert_invitation(&row, &[])?;
            tx.decide_invitation(id, to, by)
        })
        .await
        .expect("answered");
    }
    let joined =
        async |email: &'static str| read(&store, move |c| c.list_joined_unproven(email)).await;
    let mut expected = vec![
        (acme.organization, people[0]),
        (other.organization, people[1]),
    ];
    expected.sort();
    assert_eq!(joined("a@b.example").await, expected);
    assert_eq!(
        joined("c@b.example").await,
        [(other.organization, people[0])]
    );
    assert_eq!(joined("d@b.example").await, []);
}

async fn pages_hold_the_newest_first_and_one_state_if_asked(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, foreign) = (acme.organization, invitation(&other, "x@b.example"));
    let mut rows = Vec::new();
    for (number, at) in [EARLIER, NOW, NOW].into_iter().enumerate() {
        let row = Invitation {
            created_at: at,
            ..invitation(&acme, &format!("{number}@b.example"))
        };
        rows.push((at, row.id));
        write(&store, move |tx| tx.insert_invitation(&row, &[]))
            .await
            .expect("inserted");
    }
    write(&store, move |tx| tx.insert_invitation(&foreign, &[]))
        .await
        .expect("inserted");
    let declined = rows[0].1;
    write(&store, move |tx| {
        tx.decide_invitation(declined, InvitationState::Declined, None)
    })
    .await
    .expect("declined");
    rows.sort_by(|one, other| other.cmp(one));
    let page = |state, after: Option<(Timestamp, InvitationId)>, most| {
        let store = &store;
        async move {
            let found = read(store, move |c| {
                c.list_invitations_page(organization, state, after, most)
            })
            .await;
            found
                .into_iter()
                .map(|row| (row.created_at, row.id))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(page(None, None, 9).await, rows);
    assert_eq!(page(None, Some(rows[0]), 1).await, rows[1..2]);
    assert_eq!(
        page(Some(InvitationState::Pending), None, 9).await,
        rows[..2]
    );
    assert_eq!(
        page(Some(InvitationState::Declined), None, 9).await,
        rows[2..]
    );
}

async fn those_open_for_an_address_are_listed_of_any_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (own, theirs) = (
        invitation(&acme, "a@b.example"),
        invitation(&other, "a@b.example"),
    );
    let (expired, nobody) = (
        Invitation {
            expires_at: NOW,
            ..invitation(&acme, "late@b.example")
        },
        invitation(&acme, "c@b.example"),
    );
    let mut expected = [own.id, theirs.id];
    expected.sort();
    for row in [own, theirs, expired, nobody] {
        write(&store, move |tx| tx.insert_invitation(&row, &[]))
            .await
            .expect("inserted");
    }
    let open = read(&store, |c| {
        c.list_open_invitations_for("a@b.example", NOW, 9)
    })
    .await;
    assert_eq!(open.iter().map(|row| row.id).collect::<Vec<_>>(), expected);
    assert_eq!(
        read(&store, |c| c.list_open_invitations_for(
            "a@b.example",
            NOW,
            1
        ))
        .await
        .len(),
        1
    );
    assert_eq!(
        read(&store, |c| c.list_open_invitations_for(
            "late@b.example",
            NOW,
            9
        ))
        .await
        .len(),
        0
    );
}

async fn what_a_member_made_is_counted_and_listed(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, person) = (acme.organization, acme.person);
    let by_other = Invitation {
        created_by: other.person,
        ..invitation(&acme, "c@b.example")
    };
    let decided = Invitation {
        state: InvitationState::Declined,
        ..invitation(&acme, "d@b.example")
    };
    for row in [
        invitation(&acme, "a@b.example"),
        invitation(&acme, "b@b.example"),
        by_other,
        decided,
    ] {
        write(&store, move |tx| tx.insert_invitation(&row, &[]))
            .await
            .expect("inserted");
    }
    assert_eq!(
        read(&store, move |c| c
            .count_invitations_of(organization, person))
        .await,
        2
    );
    for (organization, mails) in [
        (organization, vec!["a@b.example", "b@b.example"]),
        (OrganizationId::generate(NOW), Vec::new()),
    ] {
        let listed = read(&store, move |c| {
            c.list_pending_invitations_by(organization, person)
        })
        .await;
        let mut found: Vec<_> = listed.into_iter().map(|row| row.email).collect();
        found.sort();
        assert_eq!(found, mails);
    }
}
