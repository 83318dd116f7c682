//! Lists of API keys: exactly those that are asked for.

use std::collections::BTreeSet;

use countersign::store::api_keys::{ApiKey, ApiKeyFilter, KeyStatus};
use countersign::store::members::{Member, WorkspaceMember};
use countersign::store::{Store, migrate};
use countersign::types::id::{ApiKeyId, UserId, WorkspaceId};
use countersign::types::state::{ApiKeyState, Licence, OrganizationRole, ReachKind};
use countersign::types::time::Timestamp;

use super::api_keys::key;
use super::{Acme, EARLIER, LATER, NOW, open, person, read, workspace, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    letters_of_a_name_are_found_in_any_case,
    a_changed_name_is_found_by_its_new_letters,
    a_name_beyond_ascii_from_before_is_folded_by_the_migration,
    unused_keys_are_neither_made_nor_used_since,
    a_key_leaves_the_list_when_it_is_revoked_and_some_time_after_it_expired,
    a_status_holds_exactly_the_keys_that_people_see_in_it,
);

async fn insert(store: &Store, keys: Vec<ApiKey>) {
    write(store, move |tx| {
        keys.iter().try_for_each(|key| tx.insert_api_key(key, &[]))
    })
    .await
    .expect("keys");
}

async fn list(store: &Store, acme: &Acme, filter: ApiKeyFilter) -> Vec<ApiKey> {
    let organization = acme.organization;
    read(store, move |c| {
        c.list_api_keys_page(organization, &filter, None, 1_000)
    })
    .await
}

async fn named(store: &Store, acme: &Acme, part: &str) -> Vec<String> {
    let filter = ApiKeyFilter {
        name: Some(part.to_owned()),
        ..ApiKeyFilter::default()
    };
    let found = list(store, acme, filter).await.into_iter();
    found.map(|key| key.name).collect()
}

async fn letters_of_a_name_are_found_in_any_case(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let names = [
        "Über Ämter",
        "CRM export",
        "50%_off",
        "500 off",
        "a\\b",
        "ΣΊΣΥΦΟΣ",
    ];
    let mut keys = names.map(|name| ApiKey {
        name: name.to_owned(),
        ..key(&acme)
    });
    keys[1].state = ApiKeyState::Revoked;
    insert(&store, keys.to_vec()).await;
    insert(&store, vec![key(&other)]).await;
    for (part, expected) in [
        ("über ä", "Über Ämter"),
        ("ÄMTER", "Über Ämter"),
        ("crm", "CRM export"),
        ("EXPORT", "CRM export"),
        ("50%_", "50%_off"),
        ("A\\B", "a\\b"),
        ("σίσυφος", "ΣΊΣΥΦΟΣ"),
    ] {
        assert_eq!(named(&store, &acme, part).await, [expected], "{part}");
    }
    for nothing in ["uber", "5__", "%%"] {
        assert!(named(&store, &acme, nothing).await.is_empty(), "{nothing}");
    }
}

async fn a_changed_name_is_found_by_its_new_letters(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let mut changed = key(&acme);
    insert(&store, vec![changed.clone()]).await;
    changed.name = "Überweisung".to_owned();
    write(&store, move |tx| tx.change_api_key(&changed, None))
        .await
        .expect("changed");
    assert!(named(&store, &acme, "crm").await.is_empty());
    assert_eq!(named(&store, &acme, "ÜBERWEIS").await, ["Überweisung"]);
}

async fn a_name_beyond_ascii_from_before_is_folded_by_the_migration(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let name = "Ämter".to_owned();
    insert(&store, vec![ApiKey { name, ..key(&acme) }]).await;
    db.execute("UPDATE api_keys SET name_folded = 'Ämter'");
    assert!(named(&store, &acme, "ämter").await.is_empty());
    migrate(&db.database).expect("nothing to migrate");
    assert_eq!(named(&store, &acme, "ämter").await, ["Ämter"]);
}

async fn unused_keys_are_neither_made_nor_used_since(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let made = |created_at, last_used_at| ApiKey {
        created_at,
        last_used_at,
        ..key(&acme)
    };
    let idle = [
        made(EARLIER, None),
        made(EARLIER, Some(NOW.plus_seconds(-1))),
    ];
    let ids: BTreeSet<ApiKeyId> = idle.iter().map(|key| key.id).collect();
    insert(&store, idle.to_vec()).await;
    let others = [made(NOW, None), made(EARLIER, Some(NOW))];
    insert(&store, others.to_vec()).await;
    let filter = ApiKeyFilter {
        unused_since: Some(NOW),
        ..ApiKeyFilter::default()
    };
    let found = list(&store, &acme, filter).await;
    assert_eq!(found.iter().map(|key| key.id).collect::<BTreeSet<_>>(), ids);
}

async fn a_key_leaves_the_list_when_it_is_revoked_and_some_time_after_it_expired(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let with = |state, expires_at| ApiKey {
        state,
        expires_at,
        ..key(&acme)
    };
    let shown = [
        with(ApiKeyState::Pending, None),
        with(ApiKeyState::Active, Some(NOW)),
        with(ApiKeyState::Paused, Some(LATER)),
        with(ApiKeyState::Deactivated, None),
    ];
    let ids: BTreeSet<ApiKeyId> = shown.iter().map(|key| key.id).collect();
    insert(&store, shown.to_vec()).await;
    let hidden = [
        with(ApiKeyState::Revoked, Some(LATER)),
        with(ApiKeyState::Active, Some(NOW.plus_seconds(-1))),
    ];
    insert(&store, hidden.to_vec()).await;
    let filter = ApiKeyFilter {
        shown_since: Some(NOW),
        ..ApiKeyFilter::default()
    };
    let found = list(&store, &acme, filter).await;
    assert_eq!(found.iter().map(|key| key.id).collect::<BTreeSet<_>>(), ids);
}

// --- status ---------------------------------------------------------------------------------------------------------

/// A user, and whether keys of theirs stand that reach the organization, and that name Acme's first workspace.
struct Owner {
    id: UserId,
    stands: (bool, bool),
}

async fn owner(
    store: &Store,
    acme: &Acme,
    member: Option<(OrganizationRole, Option<Timestamp>)>,
    role_in: Option<WorkspaceId>,
    stands: (bool, bool),
) -> Owner {
    let (user, organization) = (person(), acme.organization);
    let id = user.id;
    write(store, move |tx| {
        tx.insert_user(&user)?;
        if let Some((role, ends_at)) = member {
            let row = Member::new(organization, id, role, Licence::Full, NOW);
            tx.insert_member(&Member { ends_at, ..row })?;
        }
        let seat = role_in.map(|workspace_id| WorkspaceMember {
            workspace_id,
            user_id: id,
            role: "viewer".to_owned(),
            created_at: NOW,
        });
        seat.map_or(Ok(()), |seat| {
            tx.insert_workspace_member(organization, &seat)
        })
    })
    .await
    .expect("an owner");
    Owner { id, stands }
}

async fn owners(store: &Store, acme: &Acme) -> Vec<Owner> {
    let second = workspace(acme.organization, "Second");
    let (first, elsewhere) = (Some(acme.workspace), Some(second.id));
    write(store, move |tx| tx.insert_workspace(&second))
        .await
        .expect("a workspace");
    let member = |ends_at| Some((OrganizationRole::Member, ends_at));
    let admin = |ends_at| Some((OrganizationRole::Admin, ends_at));
    let top = Some((OrganizationRole::Owner, None));
    vec![
        owner(store, acme, top, None, (true, true)).await,
        owner(store, acme, admin(Some(LATER)), None, (true, true)).await,
        owner(store, acme, admin(Some(NOW)), first, (false, false)).await,
        owner(store, acme, member(None), first, (true, true)).await,
        owner(store, acme, member(Some(NOW)), first, (false, false)).await,
        owner(store, acme, member(None), elsewhere, (true, false)).await,
        owner(store, acme, member(None), None, (false, false)).await,
        owner(store, acme, None, first, (false, false)).await,
    ]
}

fn status(key: &ApiKey, stands: bool) -> KeyStatus {
    match key.state {
        ApiKeyState::Revoked | ApiKeyState::Deactivated | ApiKeyState::Pending => {
            KeyStatus::Stored(key.state)
        }
        _ if key.expires_at.is_some_and(|end| end <= NOW) => KeyStatus::Expired,
        _ if !stands => KeyStatus::Stored(ApiKeyState::Deactivated),
        state => KeyStatus::Stored(state),
    }
}

async fn a_status_holds_exactly_the_keys_that_people_see_in_it(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let states = [
        ApiKeyState::Pending,
        ApiKeyState::Active,
        ApiKeyState::Paused,
        ApiKeyState::Deactivated,
        ApiKeyState::Revoked,
    ];
    let mut keys = Vec::new();
    for owner in owners(&store, &acme).await {
        for state in states {
            for expires_at in [None, Some(NOW), Some(LATER)] {
                for reach in [ReachKind::Organization, ReachKind::Workspaces] {
                    let stands = match reach {
                        ReachKind::Organization => owner.stands.0,
                        ReachKind::Workspaces => owner.stands.1,
                    };
                    let written = ApiKey {
                        owner_id: owner.id,
                        state,
                        expires_at,
                        reach,
                        ..key(&acme)
                    };
                    keys.push((status(&written, stands), written));
                }
            }
        }
    }
    let (rows, workspace) = (keys.clone(), acme.workspace);
    write(&store, move |tx| {
        rows.iter().try_for_each(|(_, key)| match key.reach {
            ReachKind::Organization => tx.insert_api_key(key, &[]),
            ReachKind::Workspaces => tx.insert_api_key(key, &[workspace]),
        })
    })
    .await
    .expect("keys");
    let all = states.map(KeyStatus::Stored).into_iter();
    for wanted in all.chain([KeyStatus::Expired]) {
        let filter = ApiKeyFilter {
            status: Some((wanted, NOW)),
            ..ApiKeyFilter::default()
        };
        let found = list(&store, &acme, filter).await;
        let found: BTreeSet<ApiKeyId> = found.iter().map(|key| key.id).collect();
        let expected = keys.iter().filter(|(status, _)| *status == wanted);
        let expected: BTreeSet<ApiKeyId> = expected.map(|(_, key)| key.id).collect();
        assert!(!expected.is_empty());
        assert_eq!(found, expected, "{wanted:?}");
    }
}
