//! A member asks for a key, an admin approves or refuses, the member collects the secret once (A2).
//!
//! Invariants: the key belongs to the member and acts with the member's rights, so nobody gets more by asking; the secret is
//! made at the collection and shown to the member alone; an approved key counts against the caps from its approval on.

use crate::config::Config;
use crate::domain::keys::api_keys::{self, Minted};
use crate::domain::keys::changes;
use crate::domain::keys::expiry::Expiry;
use crate::domain::plans::open;
use crate::domain::plans::plans;
use crate::domain::rights::key_admins::{self, KeyCaller, MANAGE, READ};
use crate::domain::{Refusal, ensure};
use crate::store::api_key_requests::ApiKeyRequest;
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::ApiKey;
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, ApiKeyRequestId, OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
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
pub fn ask(
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    new: NewKeyRequest,
) -> Result<ApiKeyRequest, Refusal> {
    let organization = tx
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    let reached = workspaces_of(tx, organization.id, by)?;
    let (name, _) = api_keys::check_texts(config.keys.key_name, &new.name, "")?;
    let reason = parse_text(&new.reason, MOST_REASON)
        .map_err(|error| Refusal::field("reason", error.to_string()))?;
    let mut workspaces = new.workspaces;
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
    let now = tx.now;
    let expires_at = new
        .expiry
        .resolve(&config.keys, &organization.time_zone, now)?;
    let full = format!("You wait for an answer to {MOST_OPEN} requests already.");
    ensure(
        tx.count_open_api_key_requests(organization.id, by.user())? < MOST_OPEN,
        Refusal::Coded(RefusalCode::RequestLimitReached, full),
    )?;
    let request = ApiKeyRequest {
        id: ApiKeyRequestId::generate(now),
        organization_id: organization.id,
        requester_id: by.user(),
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
    tx.insert_api_key_request(&request)?;
    tx.record(
        Some(organization.id),
        Some(by.user()),
        Event::ApiKeyRequestCreated,
        request.id.as_str(),
        request.environment.as_str(),
    )?;
    Ok(request)
}

/// Those in which the member has any role, and that the credential reaches. Not found for strangers and operators.
fn workspaces_of(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    by: &KeyCaller,
) -> Result<Vec<WorkspaceId>, Refusal> {
    let member = snapshot
        .find_member(organization, by.user())?
        .filter(|_| !by.caller.operator)
        .ok_or(Refusal::NotFound)?;
    let mut reached: Vec<WorkspaceId> = if member.role.is_admin() {
        snapshot
            .list_workspaces(organization)?
            .into_iter()
            .map(|workspace| workspace.id)
            .collect()
    } else {
        snapshot
            .list_workspace_roles(organization, by.user())?
            .into_iter()
            .map(|(id, _)| id)
            .collect()
    };
    if let Some(within) = &by.within {
        reached.retain(|id| within.contains(id));
    }
    Ok(reached)
}

/// Makes a pending key of the requester's. Runs behind the organization's lock: the caps are counted.
pub fn approve(
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyRequestId,
) -> Result<ApiKeyRequest, Refusal> {
    let request = to_decide(tx, config, organization, by, id)?;
    let organization = tx
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    let (now, workspaces) = (tx.now, request.workspaces());
    let late = "The key would have expired by now: ask for another one.";
    ensure(
        request.expires_at.is_none_or(|end| end > now),
        Refusal::Coded(RefusalCode::RequestOutdated, late.to_owned()),
    )?;
    let reached = match workspaces_of(
        tx,
        organization.id,
        &KeyCaller::person(request.requester_id),
    ) {
        Err(Refusal::NotFound) => Vec::new(),
        other => other?,
    };
    let left = "The member is not in every workspace of the request any more.";
    ensure(
        workspaces.iter().all(|id| reached.contains(id)),
        Refusal::Coded(RefusalCode::RequestOutdated, left.to_owned()),
    )?;
    let plan = open::ensure_open(
        tx,
        &config
            .catalogue()
            .map_err(|error| Refusal::Blocked(error.to_string()))?,
        &organization,
        request.environment,
        now,
    )?;
    api_keys::ensure_room(tx, config, &plan, organization.id, &workspaces)?;
    let key = pending_key(config, &request, by.user(), now);
    tx.insert_api_key(&key, &workspaces)?;
    plans::start_trial(tx, &plan, organization.id)?;
    tx.record(
        Some(organization.id),
        Some(by.user()),
        Event::ApiKeyCreated,
        key.id.as_str(),
        key.environment.as_str(),
    )?;
    let approved = ApiKeyRequest {
        api_key_id: Some(key.id),
        ..request
    };
    decide(
        tx,
        approved,
        by.user(),
        KeyRequestState::Approved,
        None,
        Event::ApiKeyRequestApproved,
    )
}

fn pending_key(config: &Config, request: &ApiKeyRequest, by: UserId, now: Timestamp) -> ApiKey {
    ApiKey {
        id: ApiKeyId::generate(now),
        organization_id: request.organization_id,
        // whoever else keys belong to here, this one acts with the rights of who asked
        owner_id: request.requester_id,
        environment: request.environment,
        prefix: config.keys.prefix.clone(),
        marker: config.keys.marker(request.environment).to_owned(),
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
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyRequestId,
    reason: &str,
) -> Result<ApiKeyRequest, Refusal> {
    let request = to_decide(tx, config, organization, by, id)?;
    let reason = parse_text(reason, MOST_REASON)
        .map_err(|error| Refusal::field("reason", error.to_string()))?;
    decide(
        tx,
        request,
        by.user(),
        KeyRequestState::Refused,
        Some(reason),
        Event::ApiKeyRequestRefused,
    )
}

/// By who asked, or who decides, until it is collected; an approved key ends with it.
pub fn withdraw(
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyRequestId,
) -> Result<ApiKeyRequest, Refusal> {
    let request = get(tx, config, organization, by, id)?.request;
    if request.requester_id != by.user() {
        ensure_decides(tx, config, organization, by, &request)?;
    }
    ensure(
        matches!(
            request.state,
            KeyRequestState::Open | KeyRequestState::Approved
        ),
        closed(&request),
    )?;
    if let Some(key) = request.api_key_id {
        let key = tx
            .find_api_key(organization, key)?
            .ok_or(Refusal::NotFound)?;
        changes::revoke_one(tx, &key, by.user(), "its request was withdrawn")?;
    }
    let from = request.state;
    let withdrawn = ApiKeyRequest {
        state: KeyRequestState::Withdrawn,
        ..request
    };
    tx.change_api_key_request(&withdrawn, from)?;
    tx.record(
        Some(organization),
        Some(by.user()),
        Event::ApiKeyRequestWithdrawn,
        id.as_str(),
        "",
    )?;
    Ok(withdrawn)
}

/// Makes the secret, for who asked and nobody else. Runs behind the organization's lock.
pub fn collect(
    tx: &mut Tx,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyRequestId,
    minted: Minted,
) -> Result<ApiKey, Refusal> {
    let request = own(tx, organization, by, id)?;
    ensure(request.state == KeyRequestState::Approved, closed(&request))?;
    let key = request.api_key_id.ok_or(Refusal::NotFound)?;
    let key = tx
        .find_api_key(organization, key)?
        .ok_or(Refusal::NotFound)?;
    let collected = ApiKeyRequest {
        state: KeyRequestState::Collected,
        ..request
    };
    tx.change_api_key_request(&collected, KeyRequestState::Approved)?;
    Ok(begin(tx, key, by.user(), Some(by.user()), minted)?.0)
}

/// The first secret of a pending key. `shown_to`: a member; whoever has no account is told of otherwise.
pub fn begin(
    tx: &mut Tx,
    key: ApiKey,
    by: UserId,
    shown_to: Option<UserId>,
    minted: Minted,
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
        api_keys::stands(tx, &key, now)?,
        Refusal::Coded(RefusalCode::WrongState, lost.to_owned()),
    )?;
    let Minted { public_id, digest } = minted;
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
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    state: Option<KeyRequestState>,
    after: Option<(Timestamp, ApiKeyRequestId)>,
    most: i64,
) -> Result<Vec<ListedRequest>, Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    let admin = key_admins::find(snapshot, &catalogue, organization, by, READ)?;
    let decides = admin.is_organization_admin() || !admin.workspaces.is_empty();
    let only = (!decides).then_some(by.user());
    let (mut listed, mut after) = (Vec::new(), after);
    loop {
        let batch = snapshot.list_api_key_requests_page(organization, only, state, after, BATCH)?;
        let Some(last) = batch.last().map(|request| (request.created_at, request.id)) else {
            return Ok(listed);
        };
        after = Some(last);
        let sees = |request: &ApiKeyRequest| {
            request.requester_id == by.user()
                || admin.is_organization_admin()
                || admin.covers(&request.workspaces())
        };
        for request in batch.into_iter().filter(sees) {
            listed.push(with_name(snapshot, request)?);
            if i64::try_from(listed.len()).unwrap_or(most) >= most {
                return Ok(listed);
            }
        }
    }
}

pub fn get(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyRequestId,
) -> Result<ListedRequest, Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    let admin = key_admins::find(snapshot, &catalogue, organization, by, READ)?;
    let request = snapshot
        .find_api_key_request(organization, id)?
        .ok_or(Refusal::NotFound)?;
    let sees = request.requester_id == by.user()
        || admin.is_organization_admin()
        || admin.covers(&request.workspaces());
    ensure(sees, Refusal::NotFound)?;
    with_name(snapshot, request)
}

pub fn with_name(
    snapshot: &mut Snapshot,
    request: ApiKeyRequest,
) -> Result<ListedRequest, Refusal> {
    Ok(ListedRequest {
        requester_name: api_keys::name_of(snapshot, request.requester_id)?,
        request,
    })
}

/// An open request, for an admin of every workspace in it.
fn to_decide(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyRequestId,
) -> Result<ApiKeyRequest, Refusal> {
    let request = get(snapshot, config, organization, by, id)?.request;
    ensure_decides(snapshot, config, organization, by, &request)?;
    ensure(request.state == KeyRequestState::Open, closed(&request))?;
    Ok(request)
}

fn ensure_decides(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    request: &ApiKeyRequest,
) -> Result<(), Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    let admin = key_admins::find(snapshot, &catalogue, organization, by, MANAGE)?;
    let decides = admin.is_organization_admin() || admin.covers(&request.workspaces());
    ensure(
        decides,
        Refusal::admin_only("Only an admin of every workspace in the request decides on it."),
    )
}

fn decide(
    tx: &mut Tx,
    request: ApiKeyRequest,
    by: UserId,
    state: KeyRequestState,
    decision_reason: Option<String>,
    event: Event,
) -> Result<ApiKeyRequest, Refusal> {
    let decided = ApiKeyRequest {
        state,
        decided_by: Some(by),
        decided_at: Some(tx.now),
        decision_reason,
        ..request
    };
    tx.change_api_key_request(&decided, KeyRequestState::Open)?;
    tx.record(
        Some(decided.organization_id),
        Some(by),
        event,
        decided.id.as_str(),
        decided.api_key_id.as_ref().map_or("", ApiKeyId::as_str),
    )?;
    Ok(decided)
}

/// One's own; for others it is not there.
fn own(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyRequestId,
) -> Result<ApiKeyRequest, Refusal> {
    let request = snapshot
        .find_api_key_request(organization, id)?
        .ok_or(Refusal::NotFound)?;
    ensure(
        request.requester_id == by.user() && !by.caller.operator,
        Refusal::NotFound,
    )?;
    Ok(request)
}

fn closed(request: &ApiKeyRequest) -> Refusal {
    Refusal::Coded(
        RefusalCode::RequestClosed,
        format!("The request is {}.", request.state),
    )
}
