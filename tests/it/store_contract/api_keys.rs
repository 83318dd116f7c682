//! Static API keys and the workspaces they reach.

use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::api_keys::ApiKey;
use countersign::store::{Error, Store, Subject, Tx};
use countersign::types::environment::Environment;
use countersign::types::id::{ApiKeyId, OrganizationId, WorkspaceId};
use countersign::types::state::{ApiKeyState, PermissionLevel, ReachKind};
use countersign::types::time::Timestamp;

use super::{Acme, EARLIER, LATER, NOW, digest, ends_what_is_remembered_of, is_constraint, open, read, unique_digest, workspace, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_api_key_is_found_as_it_was_written,
    a_key_is_found_by_any_of_its_candidate_digests,
    another_organizations_key_is_not_found,
    two_keys_never_share_a_digest_or_a_public_id,
    the_workspaces_a_key_reaches_are_listed,
    a_refused_workspace_leaves_no_key_behind,
    a_key_never_reaches_another_organizations_workspace,
    the_newest_keys_are_listed_up_to_the_limit,
    revoked_and_expired_keys_do_not_count,
    an_api_key_is_revoked_once,
    the_last_use_only_moves_forward_and_is_no_news,
);

pub fn key(acme: &Acme) -> ApiKey {
    let id = ApiKeyId::generate(NOW);
    ApiKey {
        id,
        organization_id: acme.organization,
        owner_id: acme.person,
        environment: Environment::Production,
        prefix: "cs".to_owned(),
        marker: String::new(),
        public_id: format!("{:012x}", rand::random::<u64>() >> 16),
        name: "CRM".to_owned(),
        description: String::new(),
        reach: ReachKind::Organization,
        permission_level: PermissionLevel::ReadOnly,
        organization_operations: true,
        self_rotation: false,
        state: ApiKeyState::Active,
        state_reason: None,
        simulates: None,
        simulates_until: None,
        expires_at: Some(LATER),
        last_used_at: None,
        created_by: acme.person,
        created_at: NOW,
        revoked_by: None,
        revoked_at: None,
    }
}

async fn insert(store: &Store, key: ApiKey) -> ApiKeyId {
    let id = key.id;
    write(store, move |tx| tx.insert_api_key(&key, &[])).await.expect("a key");
    id
}

async fn an_api_key_is_found_as_it_was_written(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let written = key(&acme);
    let id = insert(&store, written.clone()).await;
    let found = read(&store, move |c| c.find_api_key(acme.organization, id)).await.expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
}

async fn a_key_is_found_by_any_of_its_candidate_digests(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (id, stored) = (insert(&store, key(&acme)).await, unique_digest());
    let secret = ApiKeySecret::first(id, "aaaaaaaaaaaa".to_owned(), stored.clone(), acme.person, NOW);
    write(&store, move |tx| tx.insert_api_key_secret(acme.organization, &secret)).await.expect("a secret");
    for candidates in [vec![stored.clone()], vec![digest("newer key"), stored]] {
        assert_eq!(read(&store, move |c| c.find_api_key_by_digest(&candidates)).await.expect("found").0.id, id);
    }
    for candidates in [vec![], vec![digest("unknown")]] {
        assert!(read(&store, move |c| c.find_api_key_by_digest(&candidates)).await.is_none());
    }
}

async fn another_organizations_key_is_not_found(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let id = insert(&store, key(&acme)).await;
    assert!(read(&store, move |c| c.find_api_key(other.organization, id)).await.is_none());
    assert_eq!(write(&store, move |tx| tx.revoke_api_key(other.organization, id, other.person)).await, Err(Error::NotFound));
    assert_eq!(read(&store, move |c| c.find_api_key(acme.organization, id)).await.expect("found").state, ApiKeyState::Active);
}

async fn two_keys_never_share_a_digest_or_a_public_id(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (one, other) = (insert(&store, key(&acme)).await, insert(&store, key(&acme)).await);
    let first = ApiKeySecret::first(one, "aaaaaaaaaaaa".to_owned(), unique_digest(), acme.person, NOW);
    let same_digest = ApiKeySecret::first(other, "bbbbbbbbbbbb".to_owned(), first.digest.clone(), acme.person, NOW);
    let same_public_id = ApiKeySecret::first(other, "aaaaaaaaaaaa".to_owned(), unique_digest(), acme.person, NOW);
    write(&store, move |tx| tx.insert_api_key_secret(acme.organization, &first)).await.expect("the first");
    for second in [same_digest, same_public_id] {
        assert!(is_constraint(&write(&store, move |tx| tx.insert_api_key_secret(acme.organization, &second)).await));
    }
    assert_eq!(read(&store, move |c| c.list_api_key_secrets(other)).await.len(), 0);
}

async fn the_workspaces_a_key_reaches_are_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let second = workspace(acme.organization, "Second");
    let (mut written, reached) = (key(&acme), [second.id, acme.workspace]);
    written.reach = ReachKind::Workspaces;
    let id = written.id;
    write(&store, move |tx| tx.insert_workspace(&second).and_then(|()| tx.insert_api_key(&written, &reached))).await.expect("a key");
    let mut expected = [(acme.workspace, "Main".to_owned()), (reached[0], "Second".to_owned())];
    let mut listed = read(&store, move |c| c.list_api_key_workspaces(id)).await;
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
    let whole = insert(&store, key(&acme)).await;
    assert_eq!(read(&store, move |c| c.list_api_key_workspaces(whole)).await, []);
}

async fn a_refused_workspace_leaves_no_key_behind(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    for reached in [[acme.workspace, WorkspaceId::generate(NOW)], [acme.workspace, acme.workspace]] {
        let written = key(&acme);
        write(&store, move |tx| tx.insert_api_key(&written, &reached)).await.expect_err("an unknown workspace, or one twice");
    }
    assert!(read(&store, move |c| c.list_api_keys(acme.organization, 9)).await.is_empty());
}

async fn a_key_never_reaches_another_organizations_workspace(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (written, reached) = (key(&acme), [acme.workspace, other.workspace]);
    assert_eq!(write(&store, move |tx| tx.insert_api_key(&written, &reached)).await, Err(Error::NotFound));
    assert!(read(&store, move |c| c.list_api_keys(acme.organization, 9)).await.is_empty());
}

async fn the_newest_keys_are_listed_up_to_the_limit(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    insert(&store, key(&other)).await;
    for at in [NOW, EARLIER, LATER] {
        let mut written = key(&acme);
        (written.id, written.created_at) = (ApiKeyId::generate(at), at);
        insert(&store, written).await;
    }
    let listed = |most| read(&store, move |c| c.list_api_keys(acme.organization, most));
    let times = |keys: Vec<ApiKey>| keys.into_iter().map(|key| key.created_at).collect::<Vec<_>>();
    assert_eq!(times(listed(9).await), [LATER, NOW, EARLIER]);
    assert_eq!(times(listed(2).await), [LATER, NOW]);
}

async fn revoked_and_expired_keys_do_not_count(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let expiring = |at: Option<Timestamp>| ApiKey { expires_at: at, ..key(&acme) };
    let revoked = insert(&store, key(&acme)).await;
    write(&store, move |tx| tx.revoke_api_key(acme.organization, revoked, acme.person)).await.expect("revoked");
    for written in [expiring(None), expiring(Some(LATER)), expiring(Some(NOW)), expiring(Some(EARLIER)), key(&other)] {
        insert(&store, written).await;
    }
    assert_eq!(read(&store, move |c| c.count_active_api_keys(acme.organization, NOW)).await, 2);
    assert_eq!(read(&store, |c| c.count_active_api_keys(OrganizationId::generate(NOW), NOW)).await, 0);
}

async fn an_api_key_is_revoked_once(db: TestDatabase) {
    let store = open(&db);
    let Acme { organization, person, .. } = Acme::insert(&store).await;
    let id = insert(&store, key(&Acme { organization, person, workspace: WorkspaceId::generate(NOW) })).await;
    let revoke = move |tx: &mut Tx| tx.revoke_api_key(organization, id, person);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), revoke).await;
    assert_eq!(write_at(&store, LATER, revoke).await, Err(Error::NotFound));
    let found = read(&store, move |c| c.find_api_key(organization, id)).await.expect("found");
    assert!(found.state == ApiKeyState::Revoked && found.revoked_by == Some(person) && found.revoked_at == Some(NOW));
}

async fn the_last_use_only_moves_forward_and_is_no_news(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, id) = (acme.organization, insert(&store, key(&acme)).await);
    let before = store.changes().stamp();
    for at in [NOW, LATER, EARLIER] {
        write(&store, move |tx| tx.record_api_key_use(id, at)).await.expect("recorded, or known to be older");
    }
    assert_eq!(read(&store, move |c| c.find_api_key(organization, id)).await.expect("found").last_used_at, Some(LATER));
    assert!(store.changes().is_current(before, [Subject::Organization(organization)]));
}
