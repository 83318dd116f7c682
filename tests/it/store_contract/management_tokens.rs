//! Management tokens.

use countersign::store::management_tokens::ManagementToken;
use countersign::store::{Error, Subject};
use countersign::types::id::{ManagementTokenId, WorkspaceId};
use countersign::types::state::ReachKind;
use countersign::types::time::Timestamp;

use super::{Acme, EARLIER, LATER, NOW, is_constraint, open, read, unique_digest, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_token_is_found_by_its_digest_and_listed_by_pages,
    a_token_is_revoked_once_and_only_in_its_organization,
    the_tokens_of_one_maker_end_together,
    a_token_loses_a_workspace_with_its_maker_or_with_the_workspace,
    a_use_only_moves_forward_and_is_no_news
);

fn token(acme: &Acme, at: Timestamp) -> ManagementToken {
    ManagementToken {
        id: ManagementTokenId::generate(at),
        organization_id: acme.organization,
        user_id: acme.person,
        name: "Sync".to_owned(),
        digest: unique_digest(),
        hint: "cs_mt_ab12".to_owned(),
        permissions: "members:read".to_owned(),
        reach: ReachKind::Workspaces,
        created_at: at,
        expires_at: LATER,
        last_used_at: None,
        revoked_at: None,
    }
}

async fn a_token_is_found_by_its_digest_and_listed_by_pages(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (old, young) = (token(&acme, EARLIER), token(&acme, NOW));
    for row in [old.clone(), young.clone(), token(&other, NOW)] {
        write(&store, move |tx| tx.insert_management_token(&row, &[]))
            .await
            .expect("inserted");
    }
    let digest = young.digest.clone();
    let found = read(&store, move |c| {
        c.find_management_token_by_digest(&[unique_digest(), digest])
    })
    .await;
    assert_eq!(format!("{found:?}"), format!("{:?}", Some(young.clone())));
    let (own, elsewhere, id) = (acme.organization, other.organization, young.id);
    assert!(
        read(&store, move |c| c.find_management_token(own, id))
            .await
            .is_some()
    );
    assert!(
        read(&store, move |c| c.find_management_token(elsewhere, id))
            .await
            .is_none()
    );
    let page = |after| {
        read(&store, move |c| {
            c.list_management_tokens_page(own, after, 1)
        })
    };
    let ids = |rows: Vec<ManagementToken>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(page(None).await), [young.id]);
    assert_eq!(
        ids(page(Some((young.created_at, young.id))).await),
        [old.id]
    );
    assert!(page(Some((old.created_at, old.id))).await.is_empty());
    let count = |now| read(&store, move |c| c.count_live_management_tokens(own, now));
    assert_eq!((count(NOW).await, count(LATER).await), (2, 0));
    let twin = ManagementToken {
        id: ManagementTokenId::generate(NOW),
        ..young
    };
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_management_token(&twin, &[])).await
    ));
}

async fn a_token_is_revoked_once_and_only_in_its_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let row = token(&acme, NOW);
    let id = row.id;
    write(&store, move |tx| tx.insert_management_token(&row, &[]))
        .await
        .expect("inserted");
    for (organization, answer) in [
        (other.organization, Err(Error::NotFound)),
        (acme.organization, Ok(())),
        (acme.organization, Err(Error::NotFound)),
    ] {
        let revoked = write(&store, move |tx| {
            tx.revoke_management_token(organization, id)
        });
        assert_eq!(revoked.await, answer);
    }
    let own = acme.organization;
    assert!(
        read(&store, move |c| c.list_management_tokens_page(own, None, 9))
            .await
            .is_empty()
    );
}

async fn the_tokens_of_one_maker_end_together(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let elsewhere = token(&other, NOW);
    for row in [token(&acme, NOW), token(&acme, EARLIER), elsewhere.clone()] {
        write(&store, move |tx| tx.insert_management_token(&row, &[]))
            .await
            .expect("inserted");
    }
    let (organization, person) = (acme.organization, acme.person);
    let count = || {
        read(&store, move |c| {
            c.count_management_tokens_of(organization, person)
        })
    };
    assert_eq!(count().await, 2);
    assert_eq!(
        write(&store, move |tx| tx
            .revoke_management_tokens_by(organization, person))
        .await,
        Ok(2)
    );
    assert_eq!(count().await, 0);
    let (organization, id) = (other.organization, elsewhere.id);
    let left = read(&store, move |c| c.find_management_token(organization, id)).await;
    assert!(left.is_some_and(|row| row.revoked_at.is_none()));
}

async fn a_token_loses_a_workspace_with_its_maker_or_with_the_workspace(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let row = token(&acme, NOW);
    let (id, organization, person) = (row.id, acme.organization, acme.person);
    let second = super::workspace(organization, "Second");
    let (first, second_id) = (acme.workspace, second.id);
    write(&store, move |tx| {
        tx.insert_workspace(&second)?;
        tx.insert_management_token(&row, &[first, second_id])
    })
    .await
    .expect("inserted");
    let named = || read(&store, move |c| c.list_management_token_workspaces(id));
    let mut both = vec![first, second_id];
    both.sort_unstable();
    assert_eq!(named().await, both);
    let stranger = other.person;
    for (user, left) in [(stranger, 2), (person, 1)] {
        write(&store, move |tx| {
            tx.drop_workspace_from_management_tokens(organization, user, first)
        })
        .await
        .expect("dropped");
        assert_eq!(named().await.len(), left);
    }
    write(&store, move |tx| {
        tx.delete_workspace(organization, second_id)
    })
    .await
    .expect("deleted");
    assert!(named().await.is_empty());
    let foreign: WorkspaceId = other.workspace;
    let row = token(&acme, NOW);
    assert_eq!(
        write(&store, move |tx| tx
            .insert_management_token(&row, &[foreign]))
        .await,
        Err(Error::NotFound)
    );
}

async fn a_use_only_moves_forward_and_is_no_news(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let row = token(&acme, NOW);
    let (id, organization) = (row.id, acme.organization);
    write(&store, move |tx| tx.insert_management_token(&row, &[]))
        .await
        .expect("inserted");
    let before = store.changes().stamp();
    for (at, last) in [(NOW, NOW), (EARLIER, NOW), (LATER, LATER)] {
        write(&store, move |tx| tx.record_management_token_use(id, at))
            .await
            .expect("recorded");
        let found = read(&store, move |c| c.find_management_token(organization, id)).await;
        assert_eq!(found.and_then(|row| row.last_used_at), Some(last));
    }
    assert!(
        store
            .changes()
            .is_current(before, [Subject::Organization(organization)])
    );
}
