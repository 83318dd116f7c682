//! Static API keys and the workspaces they reach.

use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::api_keys::{ApiKey, ApiKeyFilter};
use countersign::store::{Error, Store, Subject, Tx};
use countersign::types::environment::Environment;
use countersign::types::id::{ApiKeyId, OrganizationId, WorkspaceId};
use countersign::types::state::{ApiKeyState, PermissionLevel, ReachKind, Simulation};
use countersign::types::time::Timestamp;

use super::{
    Acme, EARLIER, LATER, NOW, digest, ends_what_is_remembered_of, is_constraint, open, read,
    unique_digest, workspace, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    working_keys_and_applications_are_counted_by_environment,
    an_api_key_is_found_as_it_was_written,
    a_key_is_found_by_any_of_its_candidate_digests,
    another_organizations_key_is_not_found,
    two_keys_never_share_a_digest_or_a_public_id,
    the_workspaces_a_key_reaches_are_listed,
    a_refused_workspace_leaves_no_key_behind,
    a_key_never_reaches_another_organizations_workspace,
    the_newest_keys_are_listed_up_to_the_limit,
    revoked_and_expired_keys_do_not_count,
    pages_hold_what_the_filter_wants_and_go_on_where_the_last_one_ended,
    a_page_for_some_workspaces_holds_only_keys_wholly_within_them,
    keys_of_one_workspace_are_counted,
    a_changed_key_is_news_and_a_revoked_one_never_changes,
    a_simulation_starts_and_ends,
    states_and_shown_parts_change,
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
        owned_since: NOW,
    }
}

async fn insert(store: &Store, key: ApiKey) -> ApiKeyId {
    let id = key.id;
    write(store, move |tx| tx.insert_api_key(&key, &[]))
        .await
        .expect("a key");
    id
}

async fn an_api_key_is_found_as_it_was_written(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let written = key(&acme);
    let id = insert(&store, written.clone()).await;
    let found = read(&store, move |c| c.find_api_key(acme.organization, id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    let organization = acme.organization;
    assert!(read(&store, move |c| c.has_credentials(organization)).await);
}

async fn a_key_is_found_by_any_of_its_candidate_digests(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (id, stored) = (insert(&store, key(&acme)).await, unique_digest());
    let secret = ApiKeySecret::first(
        id,
        "aaaaaaaaaaaa".to_owned(),
        stored.clone(),
        acme.person,
        NOW,
    );
    write(&store, move |tx| {
        tx.insert_api_key_secret(acme.organization, &secret)
    })
    .await
    .expect("a secret");
    for candidates in [vec![stored.clone()], vec![digest("newer key"), stored]] {
        assert_eq!(
            read(&store, move |c| c.find_api_key_by_digest(&candidates))
                .await
                .expect("found")
                .0
                .id,
            id
        );
    }
    for candidates in [vec![], vec![digest("unknown")]] {
        assert!(
            read(&store, move |c| c.find_api_key_by_digest(&candidates))
                .await
                .is_none()
        );
    }
}

async fn another_organizations_key_is_not_found(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let id = insert(&store, key(&acme)).await;
    assert!(
        read(&store, move |c| c.find_api_key(other.organization, id))
            .await
            .is_none()
    );
    assert_eq!(
        write(&store, move |tx| tx.revoke_api_key(
            other.organization,
            id,
            other.person
        ))
        .await,
        Err(Error::NotFound)
    );
    assert_eq!(
        read(&store, move |c| c.find_api_key(acme.organization, id))
            .await
            .expect("found")
            .state,
        ApiKeyState::Active
    );
}

async fn two_keys_never_share_a_digest_or_a_public_id(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (one, other) = (
        insert(&store, key(&acme)).await,
        insert(&store, key(&acme)).await,
    );
    let first = ApiKeySecret::first(
        one,
        "aaaaaaaaaaaa".to_owned(),
        unique_digest(),
        acme.person,
        NOW,
    );
    let same_digest = ApiKeySecret::first(
        other,
        "bbbbbbbbbbbb".to_owned(),
        first.digest.clone(),
        acme.person,
        NOW,
    );
    let same_public_id = ApiKeySecret::first(
        other,
        "aaaaaaaaaaaa".to_owned(),
        unique_digest(),
        acme.person,
        NOW,
    );
    write(&store, move |tx| {
        tx.insert_api_key_secret(acme.organization, &first)
    })
    .await
    .expect("the first");
    for second in [same_digest, same_public_id] {
        assert!(is_constraint(
            &write(&store, move |tx| tx
                .insert_api_key_secret(acme.organization, &second))
            .await
        ));
    }
    assert_eq!(
        read(&store, move |c| c.list_api_key_secrets(other))
            .await
            .len(),
        0
    );
}

async fn the_workspaces_a_key_reaches_are_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let second = workspace(acme.organization, "Second");
    let (mut written, reached) = (key(&acme), [second.id, acme.workspace]);
    written.reach = ReachKind::Workspaces;
    let id = written.id;
    write(&store, move |tx| {
        tx.insert_workspace(&second)
            .and_then(|()| tx.insert_api_key(&written, &reached))
    })
    .await
    .expect("a key");
    let mut expected = [
        (acme.workspace, "Main".to_owned()),
        (reached[0], "Second".to_owned()),
    ];
    let mut listed = read(&store, move |c| c.list_api_key_workspaces(id)).await;
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
    let whole = insert(&store, key(&acme)).await;
    assert_eq!(
        read(&store, move |c| c.list_api_key_workspaces(whole)).await,
        []
    );
}

async fn a_refused_workspace_leaves_no_key_behind(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    for reached in [
        [acme.workspace, WorkspaceId::generate(NOW)],
        [acme.workspace, acme.workspace],
    ] {
        let written = key(&acme);
        write(&store, move |tx| tx.insert_api_key(&written, &reached))
            .await
            .expect_err("an unknown workspace, or one twice");
    }
    assert!(
        read(&store, move |c| c.list_api_keys_page(
            acme.organization,
            &ApiKeyFilter::default(),
            None,
            9
        ))
        .await
        .is_empty()
    );
}

async fn a_key_never_reaches_another_organizations_workspace(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (written, reached) = (key(&acme), [acme.workspace, other.workspace]);
    assert_eq!(
        write(&store, move |tx| tx.insert_api_key(&written, &reached)).await,
        Err(Error::NotFound)
    );
    assert!(
        read(&store, move |c| c.list_api_keys_page(
            acme.organization,
            &ApiKeyFilter::default(),
            None,
            9
        ))
        .await
        .is_empty()
    );
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
    let listed = |most| {
        read(&store, move |c| {
            c.list_api_keys_page(acme.organization, &ApiKeyFilter::default(), None, most)
        })
    };
    let times = |keys: Vec<ApiKey>| {
        keys.into_iter()
            .map(|key| key.created_at)
            .collect::<Vec<_>>()
    };
    assert_eq!(times(listed(9).await), [LATER, NOW, EARLIER]);
    assert_eq!(times(listed(2).await), [LATER, NOW]);
}

async fn revoked_and_expired_keys_do_not_count(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let expiring = |at: Option<Timestamp>| ApiKey {
        expires_at: at,
        ..key(&acme)
    };
    let revoked = insert(&store, key(&acme)).await;
    write(&store, move |tx| {
        tx.revoke_api_key(acme.organization, revoked, acme.person)
    })
    .await
    .expect("revoked");
    for written in [
        expiring(None),
        expiring(Some(LATER)),
        expiring(Some(NOW)),
        expiring(Some(EARLIER)),
        key(&other),
    ] {
        insert(&store, written).await;
    }
    assert_eq!(
        read(&store, move |c| c
            .count_active_api_keys(acme.organization, NOW))
        .await,
        2
    );
    assert_eq!(
        read(&store, |c| c
            .count_active_api_keys(OrganizationId::generate(NOW), NOW))
        .await,
        0
    );
}

async fn an_api_key_is_revoked_once(db: TestDatabase) {
    let store = open(&db);
    let Acme {
        organization,
        person,
        ..
    } = Acme::insert(&store).await;
    let id = insert(
        &store,
        key(&Acme {
            organization,
            person,
            workspace: WorkspaceId::generate(NOW),
        }),
    )
    .await;
    let revoke = move |tx: &mut Tx| tx.revoke_api_key(organization, id, person);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), revoke).await;
    assert_eq!(write_at(&store, LATER, revoke).await, Err(Error::NotFound));
    let found = read(&store, move |c| c.find_api_key(organization, id))
        .await
        .expect("found");
    assert!(
        found.state == ApiKeyState::Revoked
            && found.revoked_by == Some(person)
            && found.revoked_at == Some(NOW)
    );
}

async fn the_last_use_only_moves_forward_and_is_no_news(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, id) = (acme.organization, insert(&store, key(&acme)).await);
    let before = store.changes().stamp();
    for at in [NOW, LATER, EARLIER] {
        write(&store, move |tx| tx.record_api_key_use(id, at))
            .await
            .expect("recorded, or known to be older");
    }
    assert_eq!(
        read(&store, move |c| c.find_api_key(organization, id))
            .await
            .expect("found")
            .last_used_at,
        Some(LATER)
    );
    assert!(
        store
            .changes()
            .is_current(before, [Subject::Organization(organization)])
    );
}

async fn pages_hold_what_the_filter_wants_and_go_on_where_the_last_one_ended(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        // all in the same millisecond
        ids.push(insert(&store, key(&acme)).await);
    }
    let other = insert(
        &store,
        ApiKey {
            environment: Environment::Sandbox,
            permission_level: PermissionLevel::Full,
            ..key(&acme)
        },
    )
    .await;
    let page = |filter: ApiKeyFilter, after, most| {
        let ids = |keys: Vec<ApiKey>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
        let listed = read(&store, move |c| {
            c.list_api_keys_page(acme.organization, &filter, after, most)
        });
        async move { ids(listed.await) }
    };
    let production = || ApiKeyFilter {
        environment: Some(Environment::Production),
        ..ApiKeyFilter::default()
    };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let some = page(production(), after, 2).await;
        let Some(last) = some.last() else { break };
        after = Some((NOW, *last));
        seen.extend(some);
    }
    ids.sort_unstable();
    ids.reverse();
    assert_eq!(seen, ids);
    for filter in [
        ApiKeyFilter {
            environment: Some(Environment::Sandbox),
            ..ApiKeyFilter::default()
        },
        ApiKeyFilter {
            permission_level: Some(PermissionLevel::Full),
            ..ApiKeyFilter::default()
        },
    ] {
        assert_eq!(page(filter, None, 9).await, [other]);
    }
    for (filter, count) in [
        (
            ApiKeyFilter {
                owner: Some(acme.person),
                state: Some(ApiKeyState::Active),
                ..ApiKeyFilter::default()
            },
            6,
        ),
        (
            ApiKeyFilter {
                state: Some(ApiKeyState::Paused),
                ..ApiKeyFilter::default()
            },
            0,
        ),
        (
            ApiKeyFilter {
                live: true,
                ..ApiKeyFilter::default()
            },
            6,
        ),
        (
            ApiKeyFilter {
                reach: Some(ReachKind::Workspaces),
                ..ApiKeyFilter::default()
            },
            0,
        ),
        (
            ApiKeyFilter {
                workspace: Some(acme.workspace),
                ..ApiKeyFilter::default()
            },
            0,
        ),
    ] {
        assert_eq!(page(filter, None, 9).await.len(), count);
    }
}

/// A second workspace, and keys for the first, the second, both and the organization.
async fn four_keys(store: &Store, acme: &Acme) -> (WorkspaceId, [ApiKeyId; 4]) {
    let second = workspace(acme.organization, "Second");
    let (one, two, id) = (acme.workspace, second.id, second.id);
    write(store, move |tx| tx.insert_workspace(&second))
        .await
        .expect("a workspace");
    let mut ids = Vec::new();
    for reached in [vec![one], vec![two], vec![one, two], vec![]] {
        let reach = if reached.is_empty() {
            ReachKind::Organization
        } else {
            ReachKind::Workspaces
        };
        let written = ApiKey { reach, ..key(acme) };
        ids.push(written.id);
        write(store, move |tx| tx.insert_api_key(&written, &reached))
            .await
            .expect("a key");
    }
    (id, ids.try_into().expect("four"))
}

async fn a_page_for_some_workspaces_holds_only_keys_wholly_within_them(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (second, [in_first, in_second, in_both, _]) = four_keys(&store, &acme).await;
    for (only, expected) in [
        (vec![acme.workspace], vec![in_first]),
        (vec![second], vec![in_second]),
        (
            vec![acme.workspace, second],
            vec![in_first, in_second, in_both],
        ),
        (vec![], vec![]),
    ] {
        let filter = ApiKeyFilter {
            only: Some(only),
            ..ApiKeyFilter::default()
        };
        let listed = read(&store, move |c| {
            c.list_api_keys_page(acme.organization, &filter, None, 9)
        })
        .await;
        let (mut listed, mut expected): (Vec<_>, Vec<_>) =
            (listed.into_iter().map(|key| key.id).collect(), expected);
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }
}

async fn keys_of_one_workspace_are_counted(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (second, [in_first, ..]) = four_keys(&store, &acme).await;
    let count = |id, now| {
        read(&store, move |c| {
            c.count_active_api_keys_of_workspace(id, now)
        })
    };
    assert_eq!(
        (
            count(acme.workspace, NOW).await,
            count(second, NOW).await,
            count(second, LATER).await
        ),
        (2, 2, 0)
    );
    write(&store, move |tx| {
        tx.revoke_api_key(acme.organization, in_first, acme.person)
    })
    .await
    .expect("revoked");
    assert_eq!(count(acme.workspace, NOW).await, 1);
}

async fn a_changed_key_is_news_and_a_revoked_one_never_changes(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, id) = (acme.organization, insert(&store, key(&acme)).await);
    let changed = move |tx: &mut Tx<'_>, reached: WorkspaceId| {
        let before = tx.find_api_key(organization, id)?.ok_or(Error::NotFound)?;
        let after = ApiKey {
            name: "Robot".to_owned(),
            reach: ReachKind::Workspaces,
            owned_since: LATER,
            expires_at: Some(EARLIER),
            ..before
        };
        tx.change_api_key(&after, Some(&[reached]))
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        changed(tx, acme.workspace)
    })
    .await;
    let found = read(&store, move |c| c.find_api_key(organization, id))
        .await
        .expect("found");
    assert!(
        (
            found.name.as_str(),
            found.reach,
            found.owned_since,
            found.expires_at
        ) == ("Robot", ReachKind::Workspaces, LATER, Some(EARLIER))
    );
    assert_eq!(
        read(&store, move |c| c.list_api_key_workspaces(id)).await,
        [(acme.workspace, "Main".to_owned())]
    );
    assert_eq!(
        write(&store, move |tx| changed(tx, other.workspace)).await,
        Err(Error::NotFound),
        "another organization's workspace"
    );
    write(&store, move |tx| {
        tx.revoke_api_key(organization, id, acme.person)
    })
    .await
    .expect("revoked");
    assert_eq!(
        write(&store, move |tx| changed(tx, acme.workspace)).await,
        Err(Error::NotFound)
    );
}

async fn a_simulation_starts_and_ends(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, id) = (acme.organization, insert(&store, key(&acme)).await);
    let start = move |tx: &mut Tx<'_>| {
        tx.change_api_key_simulation(organization, id, Some((Simulation::Expired, LATER)))
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), start).await;
    let found = read(&store, move |c| c.find_api_key(organization, id))
        .await
        .expect("found");
    assert_eq!(
        (found.simulates, found.simulates_until),
        (Some(Simulation::Expired), Some(LATER))
    );
    assert_eq!(
        write(&store, move |tx| tx.change_api_key_simulation(
            other.organization,
            id,
            None
        ))
        .await,
        Err(Error::NotFound)
    );
    write(&store, move |tx| {
        tx.change_api_key_simulation(organization, id, None)
    })
    .await
    .expect("ended");
    assert_eq!(
        read(&store, move |c| c.find_api_key(organization, id))
            .await
            .expect("found")
            .simulates,
        None
    );
}

async fn states_and_shown_parts_change(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, id) = (acme.organization, insert(&store, key(&acme)).await);
    let pause = move |tx: &mut Tx<'_>| {
        tx.change_api_key_state(
            organization,
            id,
            ApiKeyState::Active,
            ApiKeyState::Paused,
            Some("a pause"),
        )
    };
    write(&store, pause).await.expect("paused");
    assert_eq!(
        write(&store, pause).await,
        Err(Error::NotFound),
        "compare and swap"
    );
    // an unnamed key is remembered by it
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        tx.change_api_key_public_id(organization, id, "cccccccccccc")
    })
    .await;
    let found = read(&store, move |c| c.find_api_key(organization, id))
        .await
        .expect("found");
    assert_eq!(
        (
            found.state,
            found.state_reason.as_deref(),
            found.public_id.as_str()
        ),
        (ApiKeyState::Paused, Some("a pause"), "cccccccccccc")
    );
}

async fn working_keys_and_applications_are_counted_by_environment(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, application) = (acme.organization, acme.insert_application(&store).await);
    let (live, mut paused, mut expired, mut sandbox) =
        (key(&acme), key(&acme), key(&acme), key(&acme));
    (paused.state, expired.expires_at, sandbox.environment) =
        (ApiKeyState::Paused, Some(NOW), Environment::Sandbox);
    write(&store, move |tx| {
        [live, paused, expired, sandbox]
            .iter()
            .try_for_each(|key| tx.insert_api_key(key, &[]))
    })
    .await
    .expect("keys");
    for environment in Environment::ALL {
        assert_eq!(
            read(&store, move |c| c.count_working_api_keys(
                organization,
                environment,
                NOW
            ))
            .await,
            1,
            "{environment}"
        );
    }
    let applications = |environment| {
        read(&store, move |c| {
            c.count_working_applications(organization, environment)
        })
    };
    assert_eq!(
        (
            applications(Environment::Sandbox).await,
            applications(Environment::Production).await
        ),
        (1, 0)
    );
    write(&store, move |tx| {
        let row = tx.find_application(application)?.ok_or(Error::NotFound)?;
        tx.set_application_stopped(&row, Some("no"))
    })
    .await
    .expect("stopped");
    assert_eq!(applications(Environment::Sandbox).await, 0);
}
