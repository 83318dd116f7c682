//! Workspaces.

use countersign::store::api_keys::ApiKey;
use countersign::store::consents::Consent;
use countersign::store::members::WorkspaceMember;
use countersign::store::workspaces::{Workspace, WorkspaceFilter};
use countersign::store::{Error, Subject, Tx};
use countersign::types::id::{ConsentId, OrganizationId, WorkspaceId};
use countersign::types::state::{ConsentState, ReachKind};

use super::{
    Acme, EARLIER, LATER, NOW, api_keys, ends_what_is_remembered_of, is_constraint, open, read,
    scopes, workspace, write,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    the_oldest_workspace_comes_first,
    a_workspace_has_a_name_of_its_own_in_its_organization,
    a_workspace_is_found_in_its_organization,
    pages_go_from_the_newest_to_the_oldest,
    a_workspace_changes_and_is_deleted_with_what_hangs_off_it,
    a_built_in_service_account_is_set_once,
);

async fn a_built_in_service_account_is_set_once(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let of_workspace = move |tx: &mut Tx<'_>| {
        tx.set_workspace_service_account(acme.organization, acme.workspace, acme.person)
    };
    let foreign = move |tx: &mut Tx<'_>| {
        tx.set_workspace_service_account(other.organization, acme.workspace, acme.person)
    };
    assert_eq!(write(&store, foreign).await, Err(Error::NotFound));
    let of_organization =
        move |tx: &mut Tx<'_>| tx.set_organization_service_account(acme.organization, acme.person);
    write(&store, of_workspace).await.expect("the first");
    write(&store, of_organization).await.expect("the first");
    assert_eq!(write(&store, of_workspace).await, Err(Error::NotFound));
    assert_eq!(write(&store, of_organization).await, Err(Error::NotFound));
}

async fn the_oldest_workspace_comes_first(db: TestDatabase) {
    let store = open(&db);
    let (acme, _other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    for (name, at) in [("Youngest", LATER), ("Oldest", EARLIER)] {
        let mut row = workspace(organization, name);
        (row.id, row.created_at) = (WorkspaceId::generate(at), at);
        write(&store, move |tx| tx.insert_workspace(&row))
            .await
            .expect("inserted");
    }
    let names: Vec<String> = read(&store, move |c| c.list_workspaces(organization))
        .await
        .into_iter()
        .map(|found| found.name)
        .collect();
    assert_eq!(names, ["Oldest", "Main", "Youngest"]);
}

async fn a_workspace_has_a_name_of_its_own_in_its_organization(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await.organization;
    ends_what_is_remembered_of(&store, Subject::Organization(acme), move |tx| {
        tx.insert_workspace(&workspace(acme, "Sales"))
    })
    .await;
    assert!(is_constraint(
        &write(&store, move |tx| tx
            .insert_workspace(&workspace(acme, "Sales")))
        .await
    ));
    assert_eq!(
        read(&store, move |c| c.list_workspaces(acme)).await.len(),
        2
    );
    let nobody = OrganizationId::generate(NOW);
    assert!(is_constraint(
        &write(&store, move |tx| tx
            .insert_workspace(&workspace(nobody, "Sales")))
        .await
    ));
}

async fn a_workspace_is_found_in_its_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let row = Workspace {
        external_id: Some("crm-7".to_owned()),
        ..workspace(acme.organization, "Sales")
    };
    let (copy, id) = (row.clone(), row.id);
    write(&store, move |tx| tx.insert_workspace(&copy))
        .await
        .expect("inserted");
    let found = read(&store, move |c| c.find_workspace(acme.organization, id)).await;
    assert_eq!(format!("{found:?}"), format!("{:?}", Some(row)));
    assert!(
        read(&store, move |c| c.find_workspace(other.organization, id))
            .await
            .is_none()
    );
    assert_eq!(
        read(&store, move |c| c
            .find_workspace_by_name(acme.organization, "Sales"))
        .await
        .map(|row| row.id),
        Some(id)
    );
    assert!(
        read(&store, move |c| c
            .find_workspace_by_name(other.organization, "Sales"))
        .await
        .is_none()
    );
    assert_eq!(
        read(&store, |c| c.find_workspace_by_external_id("crm-7"))
            .await
            .map(|row| row.id),
        Some(id)
    );
    assert!(
        read(&store, |c| c.find_workspace_by_external_id("crm-8"))
            .await
            .is_none()
    );
    assert_eq!(
        read(&store, move |c| c.count_workspaces(acme.organization)).await,
        2
    );
}

async fn pages_go_from_the_newest_to_the_oldest(db: TestDatabase) {
    let store = open(&db);
    let (acme, _other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    for (name, at) in [("Youngest", LATER), ("Oldest", EARLIER), ("Twin", NOW)] {
        let row = Workspace {
            id: WorkspaceId::generate(at),
            created_at: at,
            ..workspace(organization, name)
        };
        write(&store, move |tx| tx.insert_workspace(&row))
            .await
            .expect("inserted");
    }
    let page = |filter: WorkspaceFilter, after, most| {
        read(&store, move |c| {
            c.list_workspaces_page(organization, &filter, after, most)
        })
    };
    let all = page(WorkspaceFilter::default(), None, 9).await;
    assert_eq!(
        (all[0].name.as_str(), all[3].name.as_str(), all.len()),
        ("Youngest", "Oldest", 4)
    );
    let (mut seen, mut after) = (Vec::new(), None);
    while let Some(row) = page(WorkspaceFilter::default(), after, 1).await.pop() {
        after = Some((row.created_at, row.id));
        seen.push(row.id);
    }
    assert_eq!(seen, all.iter().map(|row| row.id).collect::<Vec<_>>());
    let only = WorkspaceFilter {
        only: Some(vec![acme.workspace]),
        ..WorkspaceFilter::default()
    };
    assert_eq!(page(only, None, 9).await.len(), 1);
    assert!(
        page(
            WorkspaceFilter {
                only: Some(Vec::new()),
                ..WorkspaceFilter::default()
            },
            None,
            9
        )
        .await
        .is_empty()
    );
    assert_eq!(
        page(
            WorkspaceFilter {
                name: Some("Twin".to_owned()),
                ..WorkspaceFilter::default()
            },
            None,
            9
        )
        .await
        .len(),
        1
    );
    assert!(
        page(
            WorkspaceFilter {
                external_id: Some("x".to_owned()),
                ..WorkspaceFilter::default()
            },
            None,
            9
        )
        .await
        .is_empty()
    );
}

async fn a_workspace_changes_and_is_deleted_with_what_hangs_off_it(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, id, person) = (acme.organization, acme.workspace, acme.person);
    let application = acme.insert_application(&store).await;
    let expired = ApiKey {
        reach: ReachKind::Workspaces,
        expires_at: Some(EARLIER),
        ..api_keys::key(&acme)
    };
    let live = ApiKey {
        reach: ReachKind::Workspaces,
        ..api_keys::key(&acme)
    };
    let consent = Consent {
        id: ConsentId::generate(NOW),
        user_id: person,
        application_id: application,
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
    write(&store, move |tx| {
        tx.insert_api_key(&expired, &[id])?;
        tx.insert_api_key(&live, &[id])?;
        tx.insert_consent(&consent, &[id])?;
        let member = WorkspaceMember {
            workspace_id: id,
            user_id: person,
            role: "viewer".to_owned(),
            created_at: NOW,
        };
        tx.insert_workspace_member(organization, &member)
    })
    .await
    .expect("inserted");
    assert_eq!(
        read(&store, move |c| c.count_api_keys_of_workspace(id, NOW)).await,
        1,
        "the expired one reaches nothing"
    );
    assert_eq!(
        read(&store, move |c| c.count_consents_of_workspace(id)).await,
        1
    );
    let changed = Workspace {
        id,
        name: "Help".to_owned(),
        external_id: Some("x".to_owned()),
        ..workspace(organization, "")
    };
    let stamp = store.changes().stamp();
    write(&store, move |tx| tx.change_workspace(&changed))
        .await
        .expect("changed");
    assert!(
        !store
            .changes()
            .is_current(stamp, [Subject::Organization(organization)])
    );
    assert_eq!(
        read(&store, move |c| c.find_workspace(organization, id))
            .await
            .map(|row| row.name),
        Some("Help".to_owned())
    );
    assert_eq!(
        write(&store, move |tx| tx
            .delete_workspace(other.organization, id))
        .await,
        Err(Error::NotFound)
    );
    let stamp = store.changes().stamp();
    write(&store, move |tx| tx.delete_workspace(organization, id))
        .await
        .expect("deleted");
    assert!(
        !store
            .changes()
            .is_current(stamp, [Subject::Organization(organization)])
    );
    assert!(
        read(&store, move |c| c.find_workspace(organization, id))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c
            .list_workspace_roles(organization, person))
        .await
        .is_empty()
    );
    let gone = Workspace {
        id,
        ..workspace(organization, "Help")
    };
    assert_eq!(
        write(&store, move |tx| tx.change_workspace(&gone)).await,
        Err(Error::NotFound)
    );
}
