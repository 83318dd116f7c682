//! Members ask for keys.

use countersign::store::Error;
use countersign::store::api_key_requests::ApiKeyRequest;
use countersign::types::environment::Environment;
use countersign::types::id::ApiKeyRequestId;
use countersign::types::state::{KeyRequestState, PermissionLevel, ReachKind};

use super::api_keys::key;
use super::{Acme, NOW, open, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(a_request_is_decided_once, requests_are_paged_and_counted);

pub fn request(acme: &Acme) -> ApiKeyRequest {
    ApiKeyRequest {
        id: ApiKeyRequestId::generate(NOW),
        organization_id: acme.organization,
        requester_id: acme.person,
        name: "Reports".to_owned(),
        reason: "Weekly".to_owned(),
        environment: Environment::Sandbox,
        reach: ReachKind::Workspaces,
        workspaces: acme.workspace.to_string(),
        permission_level: PermissionLevel::Full,
        expires_at: None,
        state: KeyRequestState::Open,
        decided_by: None,
        decided_at: None,
        decision_reason: None,
        api_key_id: None,
        created_at: NOW,
    }
}

async fn a_request_is_decided_once(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (written, made) = (request(&acme), key(&acme));
    let (id, key_id, stored) = (written.id, made.id, written.clone());
    write(&store, move |tx| {
        tx.insert_api_key(&made, &[])
            .and_then(|()| tx.insert_api_key_request(&stored))
    })
    .await
    .expect("a request");
    assert_eq!(
        read(&store, move |c| c
            .find_api_key_request(other.organization, id))
        .await,
        None
    );
    assert_eq!(
        read(&store, move |c| c.find_api_key_request_of_key(key_id)).await,
        None
    );
    let decided = ApiKeyRequest {
        state: KeyRequestState::Approved,
        decided_by: Some(acme.person),
        decided_at: Some(NOW),
        decision_reason: Some("Yes".to_owned()),
        api_key_id: Some(key_id),
        ..written
    };
    let change = |row: ApiKeyRequest| {
        write(&store, move |tx| {
            tx.change_api_key_request(&row, KeyRequestState::Open)
        })
    };
    let foreign = ApiKeyRequest {
        organization_id: other.organization,
        ..decided.clone()
    };
    assert_eq!(change(foreign).await, Err(Error::NotFound));
    change(decided.clone()).await.expect("decided");
    assert_eq!(change(decided.clone()).await, Err(Error::NotFound));
    let found = read(&store, move |c| {
        c.find_api_key_request(acme.organization, id)
    })
    .await;
    assert_eq!(
        (
            found.as_ref(),
            found.as_ref().map(ApiKeyRequest::workspaces)
        ),
        (Some(&decided), Some(vec![acme.workspace]))
    );
    assert_eq!(
        read(&store, move |c| c.find_api_key_request_of_key(key_id)).await,
        Some(decided)
    );
    // by who approved it; of who asked, unless they approved it themselves
    let waiting = async |organization| {
        let (approved, asked) = read(&store, move |c| {
            let approved = c.list_api_key_requests_approved_by(organization, acme.person)?;
            let asked = c.list_waiting_api_key_requests_of(organization, acme.person)?;
            Ok((approved, asked))
        })
        .await;
        (approved.len(), asked.len())
    };
    assert_eq!(waiting(acme.organization).await, (1, 0));
    assert_eq!(waiting(other.organization).await, (0, 0));
    let another = request(&acme);
    write(&store, move |tx| tx.insert_api_key_request(&another))
        .await
        .expect("a request");
    assert_eq!(waiting(acme.organization).await, (1, 1));
}

async fn requests_are_paged_and_counted(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let mut ids = Vec::new();
    for state in [
        KeyRequestState::Open,
        KeyRequestState::Refused,
        KeyRequestState::Open,
    ] {
        let written = ApiKeyRequest {
            state,
            ..request(&acme)
        };
        ids.push(written.id);
        write(&store, move |tx| tx.insert_api_key_request(&written))
            .await
            .expect("a request");
    }
    ids.sort_unstable();
    ids.reverse();
    let page = async |requester, state, after, most| {
        let rows = read(&store, move |c| {
            c.list_api_key_requests_page(acme.organization, requester, state, after, most)
        })
        .await;
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, None, None, 9).await, ids);
    assert_eq!(
        page(Some(acme.person), None, Some((NOW, ids[0])), 1).await,
        ids[1..2]
    );
    assert_eq!(
        page(None, Some(KeyRequestState::Refused), None, 9)
            .await
            .len(),
        1
    );
    assert!(page(Some(other.person), None, None, 9).await.is_empty());
    assert_eq!(
        read(&store, move |c| c
            .count_open_api_key_requests(acme.organization, acme.person))
        .await,
        2
    );
    assert_eq!(
        read(&store, move |c| c
            .count_open_api_key_requests(other.organization, acme.person))
        .await,
        0
    );
}
