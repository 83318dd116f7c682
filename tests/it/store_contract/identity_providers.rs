//! The providers of organizations.

use countersign::store::identity_providers::IdentityProvider;
use countersign::store::members::Member;
use countersign::store::{Error, Store};
use countersign::types::id::{IdentityProviderId, OrganizationId};
use countersign::types::state::{Licence, OrganizationRole};

use super::{Acme, NOW, is_constraint, open, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_organization_has_one_provider,
    a_provider_is_changed_and_removed,
    only_what_is_enforced_on_the_member_is_listed
);

fn provider(organization: OrganizationId, enforced: bool) -> IdentityProvider {
    IdentityProvider {
        id: IdentityProviderId::generate(NOW),
        organization_id: organization,
        issuer: "https://id.acme.example".into(),
        client_id: "countersign".into(),
        sealed_client_secret: "k1:sealed".into(),
        name: "Acme".into(),
        enforced,
        created_at: NOW,
    }
}

async fn insert(store: &Store, row: IdentityProvider) -> Result<IdentityProviderId, Error> {
    write(store, move |tx| {
        tx.insert_identity_provider(&row).map(|()| row.id)
    })
    .await
}

async fn an_organization_has_one_provider(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    let id = insert(&store, provider(acme, false))
        .await
        .expect("inserted");
    assert!(is_constraint(&insert(&store, provider(acme, true)).await));
    assert!(is_constraint(
        &insert(&store, provider(OrganizationId::generate(NOW), true)).await
    ));
    assert_eq!(
        read(&store, move |c| c.find_identity_provider(id))
            .await
            .expect("found")
            .organization_id,
        acme
    );
    let found = read(&store, move |c| c.find_identity_provider_of(acme))
        .await
        .expect("found");
    assert!(
        found.id == id
            && found.issuer == "https://id.acme.example"
            && found.created_at == NOW
            && !format!("{found:?}").contains("sealed")
    );
    assert!(
        read(&store, move |c| c.find_identity_provider_of(other))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c
            .find_identity_provider(IdentityProviderId::generate(NOW)))
        .await
        .is_none()
    );
}

async fn a_provider_is_changed_and_removed(db: TestDatabase) {
    let store = open(&db);
    let row = provider(Acme::insert(&store).await.organization, false);
    let (id, changed) = (
        row.id,
        IdentityProvider {
            issuer: "https://new.example".into(),
            enforced: true,
            ..row.clone()
        },
    );
    let again = changed.clone();
    assert_eq!(
        write(&store, move |tx| tx.change_identity_provider(&again)).await,
        Err(Error::NotFound)
    );
    insert(&store, row).await.expect("inserted");
    write(&store, move |tx| tx.change_identity_provider(&changed))
        .await
        .expect("changed");
    let found = read(&store, move |c| c.find_identity_provider(id))
        .await
        .expect("found");
    assert!(found.enforced && found.issuer == "https://new.example" && found.name == "Acme");
    write(&store, move |tx| tx.delete_identity_provider(id))
        .await
        .expect("removed");
    assert_eq!(
        write(&store, move |tx| tx.delete_identity_provider(id)).await,
        Err(Error::NotFound)
    );
    assert!(
        read(&store, move |c| c.find_identity_provider(id))
            .await
            .is_none()
    );
}

async fn only_what_is_enforced_on_the_member_is_listed(db: TestDatabase) {
    let store = open(&db);
    let (acme, offering, foreign) = (
        Acme::insert(&store).await,
        Acme::insert(&store).await,
        Acme::insert(&store).await,
    );
    let person = acme.person;
    for (organization, role) in [
        (acme.organization, OrganizationRole::Admin),
        (offering.organization, OrganizationRole::Member),
    ] {
        let member = Member::new(organization, person, role, Licence::Full, NOW);
        write(&store, move |tx| tx.insert_member(&member))
            .await
            .expect("a member");
    }
    for (organization, enforced) in [
        (acme.organization, true),
        (offering.organization, false),
        (foreign.organization, true),
    ] {
        insert(&store, provider(organization, enforced))
            .await
            .expect("inserted");
    }
    let listed = read(&store, move |c| c.list_enforced_providers(person)).await;
    let listed: Vec<_> = listed
        .into_iter()
        .map(|(provider, role)| (provider.organization_id, role))
        .collect();
    assert_eq!(listed, [(acme.organization, OrganizationRole::Admin)]);
}
