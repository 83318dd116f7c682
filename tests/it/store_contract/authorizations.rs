//! Authorizations: redeemed once, revoked for good.

use countersign::store::authorizations::Authorization;
use countersign::store::{Error, Subject, Tx};
use countersign::types::id::{AuthorizationId, WorkspaceId};
use countersign::types::state::{AuthorizationState, GrantKind, ReachKind};

use super::{
    Acme, LATER, NOW, digest, is_constraint, open, read, scopes, unique_digest, workspace, write,
    write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_authorization_is_found_as_it_was_written,
    two_authorizations_never_share_a_code,
    its_workspaces_are_listed,
    a_refused_workspace_leaves_no_authorization_behind,
    an_authorization_never_reaches_another_organizations_workspace,
    only_the_live_client_credentials_authorization_is_found,
    a_code_is_redeemed_once,
    a_family_is_held_only_while_it_lives,
    a_family_is_marked_only_while_it_lives,
    a_revoked_code_is_not_redeemed,
    wrong_verifiers_are_counted,
    a_revocation_is_final_and_tells_the_first_reason,
    one_that_was_used_since_it_was_read_is_not_unused,
    only_what_an_application_does_as_itself_follows_its_scopes,
    the_live_ones_of_an_application_are_listed_by_organization,
);

async fn the_live_ones_of_an_application_are_listed_by_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (live, revoked) = (
        acme.insert_authorization(&store).await,
        acme.insert_authorization(&store).await,
    );
    let (application, ended) = (live.application_id, revoked.clone());
    write(&store, move |tx| tx.revoke_authorization(&ended, "a test"))
        .await
        .expect("revoked");
    let ids = |organization, application| {
        read(&store, move |c| {
            c.list_live_authorizations(organization, application)
        })
    };
    assert_eq!(
        ids(acme.organization, application)
            .await
            .iter()
            .map(|found| found.id)
            .collect::<Vec<_>>(),
        [live.id]
    );
    assert!(
        ids(other.organization, application).await.is_empty()
            && ids(acme.organization, revoked.application_id)
                .await
                .is_empty()
    );
}

async fn an_authorization_is_found_as_it_was_written(db: TestDatabase) {
    let store = open(&db);
    let written = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await;
    let (id, code) = (written.id, written.code_digest.clone().expect("a code"));
    let found = read(&store, move |c| c.find_authorization(id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert_eq!(
        read(&store, move |c| c
            .find_authorization_by_code(&[digest("newer key"), code]))
        .await
        .expect("found")
        .id,
        id
    );
    assert!(
        read(&store, |c| c
            .find_authorization(AuthorizationId::generate(NOW)))
        .await
        .is_none()
    );
    assert!(
        read(&store, |c| c
            .find_authorization_by_code(&[digest("unknown")]))
        .await
        .is_none()
    );
    assert!(
        read(&store, |c| c.find_authorization_by_code(&[]))
            .await
            .is_none()
    );
}

async fn two_authorizations_never_share_a_code(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let first = acme.insert_authorization(&store).await;
    let second = Authorization {
        code_digest: first.code_digest,
        ..acme.authorization(first.application_id)
    };
    let id = second.id;
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_authorization(&second, &[])).await
    ));
    assert!(
        read(&store, move |c| c.find_authorization(id))
            .await
            .is_none()
    );
    for _ in 0..2 {
        let without = Authorization {
            code_digest: None,
            ..acme.authorization(first.application_id)
        };
        write(&store, move |tx| tx.insert_authorization(&without, &[]))
            .await
            .expect("many have none");
    }
}

async fn its_workspaces_are_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let second = workspace(acme.organization, "Second");
    let written = Authorization {
        reach: ReachKind::Workspaces,
        ..acme.authorization(acme.insert_application(&store).await)
    };
    let (id, reached) = (written.id, [second.id, acme.workspace]);
    write(&store, move |tx| {
        tx.insert_workspace(&second)
            .and_then(|()| tx.insert_authorization(&written, &reached))
    })
    .await
    .expect("inserted");
    let (mut listed, mut expected) = (
        read(&store, move |c| c.list_authorization_workspaces(id)).await,
        reached,
    );
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let whole = acme.insert_authorization(&store).await.id;
    assert_eq!(
        read(&store, move |c| c.list_authorization_workspaces(whole)).await,
        []
    );
}

async fn a_refused_workspace_leaves_no_authorization_behind(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let written = acme.authorization(acme.insert_application(&store).await);
    let (id, reached) = (written.id, [acme.workspace, WorkspaceId::generate(NOW)]);
    write(&store, move |tx| {
        tx.insert_authorization(&written, &reached)
    })
    .await
    .expect_err("an unknown workspace");
    assert!(
        read(&store, move |c| c.find_authorization(id))
            .await
            .is_none()
    );
}

async fn an_authorization_never_reaches_another_organizations_workspace(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let written = acme.authorization(acme.insert_application(&store).await);
    assert_eq!(
        write(&store, move |tx| tx
            .insert_authorization(&written, &[other.workspace]))
        .await,
        Err(Error::NotFound)
    );
}

async fn only_the_live_client_credentials_authorization_is_found(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let by_code = acme.insert_authorization(&store).await;
    let application = by_code.application_id;
    let standing = Authorization {
        kind: GrantKind::ClientCredentials,
        state: AuthorizationState::Active,
        code_digest: None,
        ..acme.authorization(application)
    };
    let copy = standing.clone();
    assert!(
        read(&store, move |c| c
            .find_client_credentials_authorization(application))
        .await
        .is_none()
    );
    write(&store, move |tx| tx.insert_authorization(&copy, &[]))
        .await
        .expect("inserted");
    let id = standing.id;
    let found = read(&store, move |c| {
        c.find_client_credentials_authorization(application)
    })
    .await
    .expect("found");
    assert_eq!(found.id, id);
    write(&store, move |tx| {
        tx.revoke_authorization(&standing, "by its owner")
    })
    .await
    .expect("revoked");
    assert!(
        read(&store, move |c| c
            .find_client_credentials_authorization(application))
        .await
        .is_none()
    );
}

/// RFC 6749 §4.1.2: "The client MUST NOT use the authorization code more than once."
async fn a_code_is_redeemed_once(db: TestDatabase) {
    let store = std::sync::Arc::new(open(&db));
    let id = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await
        .id;
    let redeem = || write(&store, move |tx| tx.redeem_code(id, LATER));
    let answers = futures_util::future::join_all((0..20).map(|_| redeem())).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count(),
        1,
        "{answers:?}"
    );
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(()) | Err(Error::NotFound))),
        "{answers:?}"
    );
    assert_eq!(
        read(&store, move |c| c.find_authorization(id))
            .await
            .expect("found")
            .state,
        AuthorizationState::Active
    );
}

async fn a_revoked_code_is_not_redeemed(db: TestDatabase) {
    let store = open(&db);
    let authorization = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await;
    let id = authorization.id;
    write(&store, move |tx| {
        tx.revoke_authorization(&authorization, "by the person")
    })
    .await
    .expect("revoked");
    assert_eq!(
        write(&store, move |tx| tx.redeem_code(id, LATER)).await,
        Err(Error::NotFound)
    );
    assert_eq!(
        read(&store, move |c| c.find_authorization(id))
            .await
            .expect("found")
            .state,
        AuthorizationState::Revoked
    );
}

async fn wrong_verifiers_are_counted(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await
        .id;
    let answers = futures_util::future::join_all(
        (0..5).map(|_| write(&store, move |tx| tx.count_wrong_verifier(id))),
    )
    .await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(
        read(&store, move |c| c.find_authorization(id))
            .await
            .expect("found")
            .wrong_verifiers,
        5
    );
    let unknown = AuthorizationId::generate(NOW);
    assert_eq!(
        write(&store, move |tx| tx.count_wrong_verifier(unknown)).await,
        Err(Error::NotFound)
    );
}

async fn a_revocation_is_final_and_tells_the_first_reason(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let authorization = acme.insert_authorization(&store).await;
    let (id, subject, again) = (
        authorization.id,
        Subject::Organization(acme.organization),
        authorization.clone(),
    );
    let before = store.changes().stamp();
    write(&store, move |tx: &mut Tx| {
        tx.revoke_authorization(&authorization, "replayed")
    })
    .await
    .expect("revoked");
    assert!(!store.changes().is_current(before, [subject]));
    write_at(&store, LATER, move |tx| {
        tx.revoke_authorization(&again, "later")
    })
    .await
    .expect("one that has ended is no error");
    let found = read(&store, move |c| c.find_authorization(id))
        .await
        .expect("found");
    assert_eq!(
        (
            found.state,
            found.revoked_at,
            found.revoked_because.as_deref()
        ),
        (AuthorizationState::Revoked, Some(NOW), Some("replayed"))
    );
    let with_code = Authorization {
        code_digest: Some(unique_digest()),
        ..found
    };
    assert!(
        is_constraint(&write(&store, move |tx| tx.insert_authorization(&with_code, &[])).await),
        "an id is used once"
    );
}

async fn a_family_is_held_only_while_it_lives(db: TestDatabase) {
    let store = open(&db);
    let authorization = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await;
    let (id, later) = (authorization.id, LATER.plus_seconds(60));
    assert_eq!(
        write(&store, move |tx| tx.hold_family(id, later)).await,
        Err(Error::NotFound),
        "its code is not redeemed"
    );
    write(&store, move |tx| tx.redeem_code(id, LATER))
        .await
        .expect("redeemed");
    write_at(&store, LATER, move |tx| tx.hold_family(id, later))
        .await
        .expect("held");
    let found = read(&store, move |c| c.find_authorization(id))
        .await
        .expect("found");
    assert_eq!(
        (found.last_used_at, found.row_expires_at),
        (Some(LATER), Some(later))
    );
    write(&store, move |tx| {
        tx.revoke_authorization(&authorization, "revoked")
    })
    .await
    .expect("revoked");
    assert_eq!(
        write(&store, move |tx| tx.hold_family(id, later)).await,
        Err(Error::NotFound)
    );
    assert_eq!(
        read(&store, move |c| c.find_authorization(id))
            .await
            .expect("found")
            .row_expires_at,
        Some(NOW)
    );
}

async fn a_family_is_marked_only_while_it_lives(db: TestDatabase) {
    let store = open(&db);
    let authorization = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await;
    let id = authorization.id;
    let mark = |now| write_at(&store, now, move |tx| tx.mark_authorization(id));
    let marked = || {
        read(&store, move |c| {
            Ok(c.find_authorization(id)?.and_then(|own| own.marked_at))
        })
    };
    assert_eq!(mark(NOW).await, Err(Error::NotFound), "its code waits");
    write(&store, move |tx| tx.redeem_code(id, LATER))
        .await
        .expect("redeemed");
    assert_eq!(marked().await, None);
    for now in [NOW, LATER] {
        assert_eq!(mark(now).await, Ok(()));
        assert_eq!(marked().await, Some(now));
    }
    write(&store, move |tx| {
        tx.revoke_authorization(&authorization, "revoked")
    })
    .await
    .expect("revoked");
    assert_eq!(mark(NOW).await, Err(Error::NotFound));
}

async fn only_what_an_application_does_as_itself_follows_its_scopes(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let person = acme.insert_authorization(&store).await;
    let (organization, application) = (acme.organization, person.application_id);
    let own = Authorization {
        kind: GrantKind::ClientCredentials,
        state: AuthorizationState::Active,
        ..acme.authorization(application)
    };
    let (id, copy) = (own.id, own.clone());
    let (code, subject) = (
        acme.authorization(application),
        Subject::Organization(organization),
    );
    let stamp = store.changes().stamp();
    write(&store, move |tx| tx.insert_authorization(&code, &[]))
        .await
        .expect("inserted");
    assert!(
        store.changes().is_current(stamp, [subject]),
        "a code is no news"
    );
    write(&store, move |tx| tx.insert_authorization(&copy, &[]))
        .await
        .expect("inserted");
    assert!(
        !store.changes().is_current(stamp, [subject]),
        "what the remembered client can do by itself has changed"
    );
    let stamp = store.changes().stamp();
    write(&store, move |tx| {
        tx.change_own_scopes(application, organization, &scopes("documents:write"))
    })
    .await
    .expect("changed");
    assert!(
        !store
            .changes()
            .is_current(stamp, [Subject::Organization(organization)])
    );
    assert_eq!(
        read(&store, move |c| c.find_authorization(id))
            .await
            .expect("found")
            .scopes,
        scopes("documents:write")
    );
    assert_eq!(
        read(&store, move |c| c.find_authorization(person.id))
            .await
            .expect("found")
            .scopes,
        person.scopes
    );
    let none = acme.insert_application(&store).await;
    assert_eq!(
        write(&store, move |tx| tx.change_own_scopes(
            none,
            organization,
            &scopes("read")
        ))
        .await,
        Ok(())
    );
}

async fn one_that_was_used_since_it_was_read_is_not_unused(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let unread = acme.insert_authorization(&store).await;
    let (id, subject) = (unread.id, Subject::Organization(acme.organization));
    let end = |read: &Authorization| {
        let read = read.clone();
        move |tx: &mut Tx| tx.revoke_unused_authorization(&read, "unused")
    };
    db.execute("UPDATE authorizations SET state = 'active'");
    write(&store, move |tx| tx.hold_family(id, LATER))
        .await
        .expect("used");
    assert_eq!(write(&store, end(&unread)).await, Err(Error::NotFound));
    let found = async || {
        let found = read(&store, move |c| c.find_authorization(id)).await;
        found.expect("found")
    };
    let current = found().await;
    assert_eq!(current.state, AuthorizationState::Active);
    let before = store.changes().stamp();
    write(&store, end(&current)).await.expect("ended");
    assert!(!store.changes().is_current(before, [subject]));
    let ended = found().await;
    assert_eq!(
        (ended.state, ended.revoked_because.as_deref()),
        (AuthorizationState::Revoked, Some("unused"))
    );
    assert_eq!(write(&store, end(&current)).await, Err(Error::NotFound));
}
