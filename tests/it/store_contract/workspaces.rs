//! Workspaces.

use countersign::store::Subject;
use countersign::types::id::{OrganizationId, WorkspaceId};

use super::{Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, read, workspace, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(the_oldest_workspace_comes_first, a_workspace_has_a_name_of_its_own_in_its_organization);

async fn the_oldest_workspace_comes_first(db: TestDatabase) {
    let store = open(&db);
    let (acme, _other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    for (name, at) in [("Youngest", LATER), ("Oldest", EARLIER)] {
        let mut row = workspace(organization, name);
        (row.id, row.created_at) = (WorkspaceId::generate(at), at);
        write(&store, move |tx| tx.insert_workspace(&row)).await.expect("inserted");
    }
    let names: Vec<String> = read(&store, move |c| c.list_workspaces(organization)).await.into_iter().map(|found| found.name).collect();
    assert_eq!(names, ["Oldest", "Main", "Youngest"]);
}

async fn a_workspace_has_a_name_of_its_own_in_its_organization(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await.organization;
    ends_what_is_remembered_of(&store, Subject::Organization(acme), move |tx| tx.insert_workspace(&workspace(acme, "Sales"))).await;
    assert!(is_constraint(&write(&store, move |tx| tx.insert_workspace(&workspace(acme, "Sales"))).await));
    assert_eq!(read(&store, move |c| c.list_workspaces(acme)).await.len(), 2);
    let nobody = OrganizationId::generate(NOW);
    assert!(is_constraint(&write(&store, move |tx| tx.insert_workspace(&workspace(nobody, "Sales"))).await));
}
