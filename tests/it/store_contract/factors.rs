//! What else decides about a credential: two secrets of a key, its state, plans, custom roles, endings, and who saw a secret.

use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::members::WorkspaceMember;
use countersign::store::roles::Role;
use countersign::store::subscriptions::Subscription;
use countersign::store::{Error, Subject};
use countersign::types::id::RoleId;
use countersign::types::state::{ApiKeySecretState, ApiKeyState, MemberState};

use super::{
    Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, read,
    unique_digest, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};
use crate::store_contract::api_keys::key;

both_databases!(
    a_secret_changes_from_the_expected_state_only_and_one_of_a_kind_lives,
    uses_of_a_secret_only_move_forward,
    a_key_changes_its_state_from_the_expected_one_and_revocation_ends_its_secrets,
    a_subscription_is_put_once_and_replaced,
    a_role_is_its_organizations_own,
    a_membership_is_suspended_and_ends,
    a_trial_starts_once_and_the_switch_is_news,
    who_saw_a_secret_is_kept,
);

fn secret(
    acme: &Acme,
    key: countersign::types::id::ApiKeyId,
    state: ApiKeySecretState,
) -> ApiKeySecret {
    let public_id = format!("{:012x}", rand::random::<u64>() >> 16);
    ApiKeySecret {
        state,
        ..ApiKeySecret::first(key, public_id, unique_digest(), acme.person, NOW)
    }
}

async fn a_secret_changes_from_the_expected_state_only_and_one_of_a_kind_lives(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let row = key(&acme);
    let (organization, id) = (acme.organization, row.id);
    write(&store, move |tx| tx.insert_api_key(&row, &[]))
        .await
        .expect("a key");
    let (first, second, pending) = (
        secret(&acme, id, ApiKeySecretState::Active),
        secret(&acme, id, ApiKeySecretState::Active),
        secret(&acme, id, ApiKeySecretState::Pending),
    );
    let foreign = first.clone();
    assert_eq!(
        write(&store, move |tx| tx
            .insert_api_key_secret(other.organization, &foreign))
        .await,
        Err(Error::NotFound)
    );
    let (kept, waiting) = (first.id, pending.id);
    write(&store, move |tx| {
        tx.insert_api_key_secret(organization, &first)
    })
    .await
    .expect("the one in use");
    write(&store, move |tx| {
        tx.insert_api_key_secret(organization, &pending)
    })
    .await
    .expect("a pending one beside it");
    // never two of a kind
    assert!(is_constraint(
        &write(&store, move |tx| tx
            .insert_api_key_secret(organization, &second))
        .await
    ));
    let retire = move |tx: &mut countersign::store::Tx<'_>| {
        tx.change_api_key_secret_state(
            organization,
            kept,
            ApiKeySecretState::Active,
            ApiKeySecretState::Retiring,
            Some(LATER),
        )
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), retire).await;
    assert_eq!(write(&store, retire).await, Err(Error::NotFound));
    let found = read(&store, move |c| c.find_api_key_secret(kept))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.expires_at),
        (ApiKeySecretState::Retiring, Some(LATER))
    );
    let listed: Vec<_> = read(&store, move |c| c.list_api_key_secrets(id))
        .await
        .into_iter()
        .map(|secret| secret.id)
        .collect();
    assert!(listed.len() == 2 && listed.contains(&kept) && listed.contains(&waiting));
}

async fn uses_of_a_secret_only_move_forward(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (row, organization) = (key(&acme), acme.organization);
    let made = secret(&acme, row.id, ApiKeySecretState::Active);
    let id = made.id;
    write(&store, move |tx| {
        tx.insert_api_key(&row, &[])
            .and_then(|()| tx.insert_api_key_secret(organization, &made))
    })
    .await
    .expect("made");
    for (at, from) in [(NOW, "192.0.2.0/24"), (EARLIER, "198.51.100.0/24")] {
        write(&store, move |tx| {
            tx.record_api_key_secret_use(id, at, Some(from))
        })
        .await
        .expect("noted");
    }
    write(&store, move |tx| tx.record_first_use_of_api_key_secret(id))
        .await
        .expect("the first use");
    assert_eq!(
        write_at(&store, LATER, move |tx| tx
            .record_first_use_of_api_key_secret(id))
        .await,
        Err(Error::NotFound)
    );
    let found = read(&store, move |c| c.find_api_key_secret(id))
        .await
        .expect("found");
    assert_eq!(
        (
            found.first_used_at,
            found.last_used_at,
            found.last_used_from.as_deref()
        ),
        (Some(NOW), Some(NOW), Some("192.0.2.0/24"))
    );
}

async fn a_key_changes_its_state_from_the_expected_one_and_revocation_ends_its_secrets(
    db: TestDatabase,
) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (row, organization, person) = (key(&acme), acme.organization, acme.person);
    let (id, made) = (row.id, secret(&acme, row.id, ApiKeySecretState::Active));
    write(&store, move |tx| {
        tx.insert_api_key(&row, &[])
            .and_then(|()| tx.insert_api_key_secret(organization, &made))
    })
    .await
    .expect("made");
    let pause = move |tx: &mut countersign::store::Tx<'_>| {
        tx.change_api_key_state(
            organization,
            id,
            ApiKeyState::Active,
            ApiKeyState::Paused,
            Some("a test"),
        )
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), pause).await;
    assert_eq!(write(&store, pause).await, Err(Error::NotFound));
    write(&store, move |tx| {
        tx.change_api_key_public_id(organization, id, "zzzzzzzzzzzz")
    })
    .await
    .expect("renamed");
    let found = read(&store, move |c| c.find_api_key(organization, id))
        .await
        .expect("found");
    assert_eq!(
        (
            found.state,
            found.state_reason.as_deref(),
            found.public_id.as_str()
        ),
        (ApiKeyState::Paused, Some("a test"), "zzzzzzzzzzzz")
    );
    write(&store, move |tx| {
        tx.revoke_api_key(organization, id, person)
    })
    .await
    .expect("a paused key is revoked, too");
    assert_eq!(
        read(&store, move |c| c.list_api_key_secrets(id)).await[0].state,
        ApiKeySecretState::Revoked
    );
}

async fn a_subscription_is_put_once_and_replaced(db: TestDatabase) {
    let store = open(&db);
    let Acme { organization, .. } = Acme::insert(&store).await;
    let subscription = |plan: &str, seats| Subscription {
        organization_id: organization,
        external_id: Some(format!("sub-{organization}")),
        plan: plan.to_owned(),
        full_seats: seats,
        read_only_seats: None,
        created_at: NOW,
        updated_at: NOW,
    };
    for row in [
        subscription("business", Some(5)),
        subscription("enterprise", None),
    ] {
        let put = row.clone();
        let before = store.changes().stamp();
        write(&store, move |tx| tx.put_subscription(&put))
            .await
            .expect("put");
        assert!(
            !store
                .changes()
                .is_current(before, [Subject::Organization(organization)])
        );
        assert_eq!(
            read(&store, move |c| c.find_subscription(organization)).await,
            Some(row.clone())
        );
        let name = row.external_id.clone().expect("named");
        assert_eq!(
            read(&store, move |c| c.find_subscription_by_external_id(&name)).await,
            Some(row)
        );
    }
}

async fn a_role_is_its_organizations_own(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    let role = Role {
        id: RoleId::generate(NOW),
        organization_id: organization,
        name: "Sender".to_owned(),
        description: String::new(),
        permissions: "documents:send".to_owned(),
        created_at: NOW,
    };
    let (id, insert, twin) = (
        role.id,
        role.clone(),
        Role {
            id: RoleId::generate(LATER),
            ..role.clone()
        },
    );
    write(&store, move |tx| tx.insert_role(&insert))
        .await
        .expect("a role");
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_role(&twin)).await
    ));
    let changed = Role {
        permissions: "documents:read".to_owned(),
        ..role
    };
    let (change, before) = (changed.clone(), store.changes().stamp());
    write(&store, move |tx| tx.change_role(&change))
        .await
        .expect("changed");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::Organization(organization)])
    );
    assert_eq!(
        read(&store, move |c| c.find_role(organization, id)).await,
        Some(changed.clone())
    );
    assert_eq!(
        read(&store, move |c| c.find_role(other.organization, id)).await,
        None
    );
    assert_eq!(
        read(&store, move |c| c.list_roles(organization)).await,
        std::slice::from_ref(&changed)
    );
    assert_eq!(
        read(&store, move |c| c.find_role_by_name(organization, "Sender")).await,
        Some(changed.clone())
    );
    assert_eq!(
        read(&store, move |c| c
            .find_role_by_name(other.organization, "Sender"))
        .await,
        None
    );
    assert_eq!(
        read(&store, move |c| c.list_roles_page(organization, None, 1)).await,
        std::slice::from_ref(&changed)
    );
    assert_eq!(
        read(&store, move |c| c.list_roles_page(
            organization,
            Some((changed.created_at, changed.id)),
            1
        ))
        .await,
        []
    );
    let seat = WorkspaceMember {
        workspace_id: acme.workspace,
        user_id: acme.person,
        role: id.to_string(),
        created_at: NOW,
    };
    write(&store, move |tx| {
        tx.insert_workspace_member(organization, &seat)
    })
    .await
    .expect("somebody holds it");
    assert_eq!(
        read(&store, move |c| c.list_workspaces_of_role(organization, id)).await,
        [(acme.workspace, "Main".to_owned())]
    );
    assert_eq!(
        read(&store, move |c| c
            .list_workspaces_of_role(other.organization, id))
        .await,
        []
    );
    for (organization, holders) in [
        (organization, vec![acme.person]),
        (other.organization, Vec::new()),
    ] {
        let listed = read(&store, move |c| c.list_holders_of_role(organization, id)).await;
        assert_eq!(listed, holders);
    }
    assert_eq!(
        write(&store, move |tx| tx.delete_role(other.organization, id)).await,
        Err(Error::NotFound)
    );
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        tx.delete_role(organization, id)
    })
    .await;
}

async fn a_membership_is_suspended_and_ends(db: TestDatabase) {
    use countersign::store::members::Member;
    use countersign::types::state::{Licence, OrganizationRole};
    let store = open(&db);
    let Acme {
        organization,
        person,
        ..
    } = Acme::insert(&store).await;
    let member = Member::new(
        organization,
        person,
        OrganizationRole::Member,
        Licence::Full,
        NOW,
    );
    write(&store, move |tx| tx.insert_member(&member))
        .await
        .expect("a member");
    let suspend = move |tx: &mut countersign::store::Tx<'_>| {
        tx.change_member_state(
            organization,
            person,
            MemberState::Active,
            MemberState::Suspended,
        )
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), suspend).await;
    assert_eq!(write(&store, suspend).await, Err(Error::NotFound));
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        tx.change_member_end(organization, person, Some(LATER))
    })
    .await;
    let found = read(&store, move |c| c.find_member(organization, person, NOW))
        .await
        .expect("a member");
    assert!(found.state == MemberState::Suspended && found.ends_at == Some(LATER));
    let stands = |at| read(&store, move |c| c.find_membership(organization, person, at));
    assert!(stands(LATER).await.is_none() && stands(NOW).await.is_some());
}

async fn a_trial_starts_once_and_the_switch_is_news(db: TestDatabase) {
    let store = open(&db);
    let Acme { organization, .. } = Acme::insert(&store).await;
    let start = move |tx: &mut countersign::store::Tx<'_>| tx.start_trial(organization, LATER);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), start).await;
    // row 7: once per organization, ever
    assert_eq!(write(&store, start).await, Err(Error::NotFound));
    for on in [Some(NOW), None] {
        ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
            tx.change_dev_centre(organization, on)
        })
        .await;
        let found = read(&store, move |c| c.find_organization(organization))
            .await
            .expect("found");
        assert_eq!(
            (found.dev_centre_enabled_at, found.trial_ends_at),
            (on, Some(LATER))
        );
    }
}

async fn who_saw_a_secret_is_kept(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let person = acme.person;
    for secret in ["ks_1", "sec_2"] {
        write(&store, move |tx| tx.record_disclosure(secret, person))
            .await
            .expect("noted");
    }
    assert!(is_constraint(
        &write(&store, move |tx| tx.record_disclosure("ks_1", person)).await
    ));
    let mut seen = read(&store, move |c| c.list_secrets_shown_to(person, 9)).await;
    seen.sort();
    assert_eq!(seen, ["ks_1", "sec_2"]);
    assert_eq!(
        read(&store, move |c| c.list_secrets_shown_to(other.person, 9)).await,
        Vec::<String>::new()
    );
}
