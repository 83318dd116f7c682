//! A member asks for a key, an admin approves or refuses, the member collects the secret once (A2).
//!
//! Invariants: the key belongs to the member and acts with the member's rights, so nobody gets more by asking; the secret is
//! made at the collection and shown to the member alone, while whoever approved still manages keys there; an approved key counts
//! against the caps from its approval on.

use crate::config::Keys;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::api_keys::{self, Minted};
use crate::domain::keys::changes;
use crate::domain::keys::expiry::Expiry;
use crate::domain::keys::lists;
use crate::domain::keys::places::KeyPlaces;
use crate::domain::plans::open;
use crate::domain::plans::plans;
use crate::domain::rights::asker::{Asker, Extent};
use crate::domain::{Refusal, ensure};
use crate::store::api_key_requests::ApiKeyRequest;
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::ApiKey;
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, ApiKeyRequestId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, KeyRequestState, PermissionLevel, ReachKind};
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

const MOST_REASON: usize = 500;
/// Of one member, not yet decided.
const MOST_OPEN: i64 = 10;
/// Rows that are read at once while a page is filled.
const BATCH: i64 = 200;

/// What a member asks for.
#[derive(Debug, Clone)]
pub struct NewKeyRequest {
    pub name: String,
    pub reason: String,
    pub environment: Environment,
    pub workspaces: Vec<WorkspaceId>,
    pub permission_level: PermissionLevel,
    pub expiry: Expiry,
}

/// A request with the requester's name.
#[derive(Debug, Clone)]
pub struct ListedRequest {
    pub request: ApiKeyRequest,
    pub requester_name: String,
}

/// Asks, for workspaces in which the member has a role. Runs behind the organization's lock.
pub fn ask(desk: &mut Desk, new: &NewKeyRequest) -> Result<ApiKeyRequest, Refusal> {
    let organization = desk
        .tx
        .find_organization(desk.organization)?
        .ok_or(Refusal::NotFound)?;
    let reached = reached(&mut desk.view())?;
    let (name, _) = api_keys::check_texts(desk.settings.keys.key_name, &new.name, "")?;
    let reason = parse_text(&new.reason, MOST_REASON)
        .map_err(|error| Refusal::field("reason", error.to_string()))?;
    let mut workspaces = new.workspaces.clone();
    workspaces.sort_unstable();
    workspaces.dedup();
    ensure(
        !workspaces.is_empty(),
        Refusal::field("workspaces", "Choose at least one workspace."),
    )?;
    let foreign = "You must be a member of every workspace that the key reaches.";
    ensure(
        workspaces.iter().all(|id| reached.contains(id)),
        Refusal::field("workspaces", foreign),
    )?;
    let (requester, now) = (desk.asker.user, desk.now());
    let expires_at = new
        .expiry
        .resolve(&desk.settings.keys, &organization.time_zone, now)?;
    let full = format!("You wait for an answer to {MOST_OPEN} requests already.");
    ensure(
        desk.tx
            .count_open_api_key_requests(desk.organization, requester)?
            < MOST_OPEN,
        Refusal::Coded(RefusalCode::RequestLimitReached, full),
    )?;
    let request = ApiKeyRequest {
        id: ApiKeyRequestId::generate(now),
        organization_id: desk.organization,
        requester_id: requester,
        name,
        reason,
        environment: new.environment,
        reach: ReachKind::Workspaces,
        workspaces: workspaces
            .iter()
            .map(WorkspaceId::as_str)
            .collect::<Vec<_>>()
            .join(" "),
        permission_level: new.permission_level,
        expires_at,
        state: KeyRequestState::Open,
        decided_by: None,
        decided_at: None,
        decision_reason: None,
        api_key_id: None,
        created_at: now,
    };
    desk.tx.insert_api_key_request(&request)?;
    desk.record(
        Event::ApiKeyRequestCreated,
        request.id.as_str(),
        request.environment.as_str(),
    )?;
    Ok(request)
}

/// The workspaces in which the member has any role, as far as the credential reaches. Not found for strangers and operators.
fn reached(view: &mut View) -> Result<Vec<WorkspaceId>, Refusal> {
    ensure(!view.asker.is_operator(), Refusal::NotFound)?;
    let rights = view.rights()?;
    // an organization admin asks for any workspace, with a role in it or without
    let all = rights.role.is_admin() && *view.asker.extent() == Extent::Whole;
    let workspaces = view.snapshot.list_workspaces(view.organization)?;
    let ids = workspaces.into_iter().map(|workspace| workspace.id);
    Ok(ids.filter(|id| all || rights.reaches(*id)).collect())
}

/// Makes a pending key of the requester's. Runs behind the organization's lock: the caps are counted.
pub fn approve(desk: &mut Desk, id: ApiKeyRequestId) -> Result<ApiKeyRequest, Refusal> {
    let request = to_decide(desk, id)?;
    let organization = desk
        .tx
        .find_organization(desk.organization)?
        .ok_or(Refusal::NotFound)?;
    let (now, workspaces) = (desk.now(), request.workspaces());
    let late = "The key would have expired by now: ask for another one.";
    ensure(
        request.expires_at.is_none_or(|end| end > now),
        Refusal::Coded(RefusalCode::RequestOutdated, late.to_owned()),
    )?;
    let requester = Asker::person(request.requester_id);
    let reached = match reached(&mut desk.view().by(&requester)) {
        Err(Refusal::NotFound) => Vec::new(),
        other => other?,
    };
    let left = "The member is not in every workspace of the request any more.";
    ensure(
        workspaces.iter().all(|id| reached.contains(id)),
        Refusal::Coded(RefusalCode::RequestOutdated, left.to_owned()),
    )?;
    let plan = open::ensure_open(
        desk.tx,
        &desk.settings.catalogue,
        &organization,
        request.environment,
        now,
    )?;
    api_keys::ensure_room(desk, &plan, &workspaces)?;
    let key = pending_key(&desk.settings.keys, &request, desk.asker.user, now);
    desk.tx.insert_api_key(&key, &workspaces)?;
    plans::start_trial(desk.tx, &plan, desk.organization)?;
    desk.record(
        Event::ApiKeyCreated,
        key.id.as_str(),
        key.environment.as_str(),
    )?;
    let approved = ApiKeyRequest {
        api_key_id: Some(key.id),
        state: KeyRequestState::Approved,
        ..request
    };
    decide(desk, approved, Event::ApiKeyRequestApproved)
}

fn pending_key(keys: &Keys, request: &ApiKeyRequest, by: UserId, now: Timestamp) -> ApiKey {
    ApiKey {
        id: ApiKeyId::generate(now),
        organization_id: request.organization_id,
        // whoever else keys belong to here, this one acts with the rights of who asked
        owner_id: request.requester_id,
        environment: request.environment,
        prefix: keys.prefix.clone(),
        marker: keys.marker(request.environment).to_owned(),
        public_id: String::new(),
        name: request.name.clone(),
        description: request.reason.clone(),
        reach: ReachKind::Workspaces,
        permission_level: request.permission_level,
        organization_operations: false,
        self_rotation: false,
        state: ApiKeyState::Pending,
        state_reason: Some("requested".to_owned()),
        simulates: None,
        simulates_until: None,
        expires_at: request.expires_at,
        last_used_at: None,
        created_by: by,
        created_at: now,
        revoked_by: None,
        revoked_at: None,
        owned_since: now,
    }
}

pub fn refuse(
    desk: &mut Desk,
    id: ApiKeyRequestId,
    reason: &str,
) -> Result<ApiKeyRequest, Refusal> {
    let request = to_decide(desk, id)?;
    let reason = parse_text(reason, MOST_REASON)
        .map_err(|error| Refusal::field("reason", error.to_string()))?;
    let refused = ApiKeyRequest {
        state: KeyRequestState::Refused,
        decision_reason: Some(reason),
        ..request
    };
    decide(desk, refused, Event::ApiKeyRequestRefused)
}

/// By who asked, or who decides, until it is collected; an approved key ends with it.
pub fn withdraw(desk: &mut Desk, id: ApiKeyRequestId) -> Result<(), Refusal> {
    let request = get(&mut desk.view(), id)?.request;
    if request.requester_id != desk.asker.user {
        ensure_decides(&mut desk.view(), &request)?;
    }
    ensure(
        matches!(
            request.state,
            KeyRequestState::Open | KeyRequestState::Approved
        ),
        closed(&request),
    )?;
    if let Some(key) = request.api_key_id {
        let key = desk
            .tx
            .find_api_key(desk.organization, key)?
            .ok_or(Refusal::NotFound)?;
        let because = "its request was withdrawn";
        changes::revoke_one(desk.tx, &key, desk.asker.user, because)?;
    }
    let from = request.state;
    let withdrawn = ApiKeyRequest {
        state: KeyRequestState::Withdrawn,
        ..request
    };
    desk.tx.change_api_key_request(&withdrawn, from)?;
    Ok(desk.record(Event::ApiKeyRequestWithdrawn, id.as_str(), "")?)
}

/// Makes the secret, for who asked and nobody else. Runs behind the organization's lock.
pub fn collect(desk: &mut Desk, id: ApiKeyRequestId, minted: &Minted) -> Result<ApiKey, Refusal> {
    let request = own(desk, id)?;
    ensure(request.state == KeyRequestState::Approved, closed(&request))?;
    ensure_still_approved(desk, &request)?;
    let key = request.api_key_id.ok_or(Refusal::NotFound)?;
    let key = desk
        .tx
        .find_api_key(desk.organization, key)?
        .ok_or(Refusal::NotFound)?;
    let collected = ApiKeyRequest {
        state: KeyRequestState::Collected,
        ..request
    };
    desk.tx
        .change_api_key_request(&collected, KeyRequestState::Approved)?;
    let user = desk.asker.user;
    Ok(begin(desk.tx, key, user, Some(user), minted)?.0)
}

fn ensure_still_approved(desk: &mut Desk, request: &ApiKeyRequest) -> Result<(), Refusal> {
    let gone = "Who approved the request does not manage keys there any more: ask for another one.";
    let outdated = || Refusal::Coded(RefusalCode::RequestOutdated, gone.to_owned());
    let (catalogue, now) = (&desk.settings.catalogue, desk.now());
    let decided_by = request.decided_by.ok_or_else(outdated)?;
    let approver = Asker::of_earlier(desk.tx, catalogue, decided_by, now)?;
    match ensure_decides(&mut desk.view().by(&approver), request) {
        Err(Refusal::Store(error)) => Err(Refusal::Store(error)),
        decides => decides.map_err(|_| outdated()),
    }
}

/// The first secret of a pending key. `shown_to`: a member; whoever has no account is told of otherwise.
pub fn begin(
    tx: &mut Tx,
    key: ApiKey,
    by: UserId,
    shown_to: Option<UserId>,
    minted: &Minted,
) -> Result<(ApiKey, ApiKeySecret), Refusal> {
    let now = tx.now;
    let waits = key.state == ApiKeyState::Pending && key.expires_at.is_none_or(|end| end > now);
    ensure(
        waits,
        Refusal::Coded(
            RefusalCode::WrongState,
            "The key does not wait any more: it has ended, or its secret was collected.".to_owned(),
        ),
    )?;
    let lost = "The key's owner has lost what it stands on.";
    ensure(
        lists::stands(tx, &key, now)?,
        Refusal::Coded(RefusalCode::WrongState, lost.to_owned()),
    )?;
    let Minted { public_id, digest } = minted.clone();
    let secret = ApiKeySecret::first(key.id, public_id.clone(), digest, by, now);
    tx.insert_api_key_secret(key.organization_id, &secret)?;
    if let Some(user) = shown_to {
        tx.record_disclosure(secret.id.as_str(), user)?;
    }
    tx.change_api_key_public_id(key.organization_id, key.id, &public_id)?;
    tx.change_api_key_state(
        key.organization_id,
        key.id,
        ApiKeyState::Pending,
        ApiKeyState::Active,
        None,
    )?;
    tx.record(
        Some(key.organization_id),
        Some(by),
        Event::ApiKeyCollected,
        key.id.as_str(),
        "",
    )?;
    Ok((
        ApiKey {
            state: ApiKeyState::Active,
            state_reason: None,
            public_id,
            ..key
        },
        secret,
    ))
}

/// A page of one's own requests, and of those that one may decide.
pub fn list(
    view: &mut View,
    state: Option<KeyRequestState>,
    after: Option<(Timestamp, ApiKeyRequestId)>,
    most: i64,
) -> Result<Vec<ListedRequest>, Refusal> {
    let places = KeyPlaces::of(view, Right::ApiKeysRead)?;
    let user = view.asker.user;
    let only = places.is_nowhere().then_some(user);
    let (mut listed, mut after) = (Vec::new(), after);
    loop {
        let batch = view.snapshot.list_api_key_requests_page(
            view.organization,
            only,
            state,
            after,
            BATCH,
        )?;
        let Some(last) = batch.last().map(|request| (request.created_at, request.id)) else {
            return Ok(listed);
        };
        after = Some(last);
        for request in batch {
            if !is_seen_by(user, &places, &request) {
                continue;
            }
            listed.push(with_name(view.snapshot, request)?);
            if i64::try_from(listed.len()).unwrap_or(most) >= most {
                return Ok(listed);
            }
        }
    }
}

fn is_seen_by(user: UserId, places: &KeyPlaces, request: &ApiKeyRequest) -> bool {
    request.requester_id == user || places.covers(&request.workspaces())
}

pub fn get(view: &mut View, id: ApiKeyRequestId) -> Result<ListedRequest, Refusal> {
    let places = KeyPlaces::of(view, Right::ApiKeysRead)?;
    let request = view
        .snapshot
        .find_api_key_request(view.organization, id)?
        .ok_or(Refusal::NotFound)?;
    ensure(
        is_seen_by(view.asker.user, &places, &request),
        Refusal::NotFound,
    )?;
    with_name(view.snapshot, request)
}

pub fn with_name(
    snapshot: &mut Snapshot,
    request: ApiKeyRequest,
) -> Result<ListedRequest, Refusal> {
    Ok(ListedRequest {
        requester_name: lists::name_of(snapshot, request.requester_id)?,
        request,
    })
}

/// An open request, for an admin of every workspace in it.
fn to_decide(desk: &mut Desk, id: ApiKeyRequestId) -> Result<ApiKeyRequest, Refusal> {
    let request = get(&mut desk.view(), id)?.request;
    ensure_decides(&mut desk.view(), &request)?;
    ensure(request.state == KeyRequestState::Open, closed(&request))?;
    Ok(request)
}

fn ensure_decides(view: &mut View, request: &ApiKeyRequest) -> Result<(), Refusal> {
    let places = KeyPlaces::of(view, Right::ApiKeysManage)?;
    ensure(
        places.covers(&request.workspaces()),
        Refusal::admin_only("Only an admin of every workspace in the request decides on it."),
    )
}

/// Stores an open request as it is decided.
fn decide(desk: &mut Desk, decided: ApiKeyRequest, event: Event) -> Result<ApiKeyRequest, Refusal> {
    let decided = ApiKeyRequest {
        decided_by: Some(desk.asker.user),
        decided_at: Some(desk.now()),
        ..decided
    };
    desk.tx
        .change_api_key_request(&decided, KeyRequestState::Open)?;
    desk.record(
        event,
        decided.id.as_str(),
        decided.api_key_id.as_ref().map_or("", ApiKeyId::as_str),
    )?;
    Ok(decided)
}

/// One's own; for others it is not there.
fn own(desk: &mut Desk, id: ApiKeyRequestId) -> Result<ApiKeyRequest, Refusal> {
    let request = desk
        .tx
        .find_api_key_request(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    ensure(desk.asker.is(request.requester_id), Refusal::NotFound)?;
    Ok(request)
}

fn closed(request: &ApiKeyRequest) -> Refusal {
    Refusal::Coded(
        RefusalCode::RequestClosed,
        format!("The request is {}.", request.state),
    )
}
