//! What may become of a key: other words, less reach, a pause, an end.
//!
//! Invariant: a key's scope, permission and expiry only ever narrow; no change lets it do anything more.

use crate::domain::desk::Desk;
use crate::domain::keys::api_keys::{self, check_texts};
use crate::domain::keys::secrets;
use crate::domain::rights::key_rights;
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::ApiKey;
use crate::store::restored::RESTORED;
use crate::store::{self, Tx};
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, PermissionLevel, ReachKind};
use crate::types::time::Timestamp;

/// What is to change; none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub permission_level: Option<PermissionLevel>,
    pub workspaces: Option<Vec<WorkspaceId>>,
    pub expires_at: Option<Timestamp>,
    pub organization_operations: Option<bool>,
    pub self_rotation: Option<bool>,
}

fn widens(what: &str) -> Refusal {
    Refusal::Coded(
        RefusalCode::OnlyNarrows,
        format!("{what} Create another key for more."),
    )
}

/// Changes words, or narrows. Runs behind the organization's lock.
pub fn change(desk: &mut Desk, id: ApiKeyId, wanted: &KeyChange) -> Result<ApiKey, Refusal> {
    let (before, named) = api_keys::find(&mut desk.view(), Right::ApiKeysManage, id)?;
    ensure(
        before.state != ApiKeyState::Revoked,
        Refusal::Coded(
            RefusalCode::KeyRevoked,
            "A revoked key does not change any more.".to_owned(),
        ),
    )?;
    let name = wanted.name.as_ref().unwrap_or(&before.name);
    let description = wanted.description.as_ref().unwrap_or(&before.description);
    let (name, description) = check_texts(desk.settings.keys.key_name, name, description)?;
    let mut after = ApiKey {
        name,
        description,
        ..before.clone()
    };
    narrow_switches(&mut after, wanted)?;
    if let Some(end) = wanted.expires_at {
        narrow_expiry(&mut after, end, desk.now())?;
    }
    let workspaces = wanted
        .workspaces
        .as_ref()
        .map(|wanted| narrow_reach(&mut after, &named, wanted))
        .transpose()?;
    if let Some(workspaces) = &workspaces {
        for id in workspaces {
            desk.tx
                .find_workspace(desk.organization, *id)?
                .ok_or_else(|| {
                    Refusal::field("workspaces", "Choose workspaces of this organization.")
                })?;
        }
        if before.reach == ReachKind::Organization {
            api_keys::ensure_workspace_room(desk, workspaces)?;
        }
        ensure_less((&before, &named), (&after, workspaces), desk)?;
    }
    desk.tx.change_api_key(&after, workspaces.as_deref())?;
    desk.record(Event::ApiKeyChanged, id.as_str(), &after.name)?;
    Ok(after)
}

/// Less reach is not always less power: where service workspaces make keys strong (C4), a key that keeps nothing else gains.
fn ensure_less(
    (before, named): (&ApiKey, &[WorkspaceId]),
    (after, left): (&ApiKey, &[WorkspaceId]),
    desk: &mut Desk,
) -> Result<(), Refusal> {
    let (catalogue, now) = (&desk.settings.catalogue, desk.now());
    let had = key_rights::of_key(desk.tx, catalogue, before, named, now)?;
    let has = key_rights::of_key(desk.tx, catalogue, after, left, now)?;
    ensure(
        has.is_within(&had),
        widens("In these workspaces alone the key could do more."),
    )
}

/// An earlier end, which is still to come.
pub fn narrow_expiry(key: &mut ApiKey, end: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    ensure(
        end > now,
        Refusal::field("expires_at", "must be in the future"),
    )?;
    ensure(
        key.expires_at.is_none_or(|before| end <= before),
        widens("An expiry only ever comes earlier."),
    )?;
    key.expires_at = Some(end);
    Ok(())
}

fn narrow_switches(key: &mut ApiKey, wanted: &KeyChange) -> Result<(), Refusal> {
    if let Some(level) = wanted.permission_level {
        ensure(
            level == key.permission_level || level == PermissionLevel::ReadOnly,
            widens("A read-only key stays read-only."),
        )?;
        key.permission_level = level;
    }
    if let Some(operations) = wanted.organization_operations {
        ensure(
            key.organization_operations || !operations,
            widens("Organization operations are switched on at creation only."),
        )?;
        key.organization_operations = operations;
    }
    if let Some(self_rotation) = wanted.self_rotation {
        ensure(
            key.self_rotation || !self_rotation,
            widens("Self-rotation is switched on at creation only."),
        )?;
        key.self_rotation = self_rotation;
    }
    Ok(())
}

/// An empty list never means the organization.
fn narrow_reach(
    key: &mut ApiKey,
    named: &[WorkspaceId],
    wanted: &[WorkspaceId],
) -> Result<Vec<WorkspaceId>, Refusal> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    ensure(
        !wanted.is_empty(),
        Refusal::field("workspaces", "Choose at least one workspace."),
    )?;
    match key.reach {
        ReachKind::Organization => {
            (key.reach, key.organization_operations) = (ReachKind::Workspaces, false)
        }
        ReachKind::Workspaces => ensure(
            wanted.iter().all(|id| named.contains(id)),
            widens("A key never reaches another workspace."),
        )?,
    }
    Ok(wanted)
}

/// Revokes at once and for good; one that is revoked already stays so.
pub fn revoke(desk: &mut Desk, id: ApiKeyId) -> Result<(), Refusal> {
    let key = api_keys::find_managed(desk, id)?;
    revoke_one(desk.tx, &key, desk.asker.user, "")
}

/// A key ends itself: who holds its secret may do that.
pub fn revoke_itself(desk: &mut Desk, id: ApiKeyId) -> Result<(), Refusal> {
    let key = desk
        .tx
        .find_api_key(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    revoke_one(desk.tx, &key, key.owner_id, "by itself")
}

/// For a rule that has asked whether the key may end.
pub fn revoke_one(tx: &mut Tx, key: &ApiKey, by: UserId, detail: &str) -> Result<(), Refusal> {
    if key.state == ApiKeyState::Revoked {
        return Ok(());
    }
    match tx.revoke_api_key(key.organization_id, key.id, by) {
        Ok(()) => Ok(tx.record(
            Some(key.organization_id),
            Some(by),
            Event::ApiKeyRevoked,
            key.id.as_str(),
            detail,
        )?),
        // somebody else was quicker: it is revoked, as asked
        Err(store::Error::NotFound) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// Stops the key until it is resumed (A3).
pub fn pause(desk: &mut Desk, id: ApiKeyId) -> Result<ApiKey, Refusal> {
    let (from, to) = (ApiKeyState::Active, ApiKeyState::Paused);
    toggle(desk, id, (from, to), Event::ApiKeyPaused)
}

/// Lets a paused key work again: for its owner, or who holds all that it can do; for the vendor alone, when it is paused since
/// the database was restored.
pub fn resume(desk: &mut Desk, id: ApiKeyId) -> Result<ApiKey, Refusal> {
    let key = api_keys::find_managed(desk, id)?;
    let is_restored = key.state_reason.as_deref() == Some(RESTORED);
    // it may have been revoked after the backup: only the vendor can know
    let by_operator =
        "The key is paused since the database was restored from a backup: an operator lifts that.";
    ensure(
        !is_restored || desk.asker.is_operator(),
        Refusal::Coded(RefusalCode::WrongState, by_operator.to_owned()),
    )?;
    secrets::ensure_may_hold(&mut desk.view(), &key)?;
    let (from, to) = (ApiKeyState::Paused, ApiKeyState::Active);
    let resumed = toggle(desk, id, (from, to), Event::ApiKeyResumed)?;
    if is_restored {
        desk.tx.resume_standing_secrets(Some(id.as_str()))?;
    }
    Ok(resumed)
}

fn toggle(
    desk: &mut Desk,
    id: ApiKeyId,
    (from, to): (ApiKeyState, ApiKeyState),
    event: Event,
) -> Result<ApiKey, Refusal> {
    let key = api_keys::find_managed(desk, id)?;
    if key.state != to {
        let wrong = format!(
            "The key is {}: only one that is {from} becomes {to}.",
            key.state
        );
        ensure(
            key.state == from,
            Refusal::Coded(RefusalCode::WrongState, wrong),
        )?;
        desk.tx
            .change_api_key_state(desk.organization, id, from, to, None)?;
        desk.record(event, id.as_str(), "")?;
    }
    Ok(ApiKey {
        state: to,
        state_reason: None,
        ..key
    })
}
