//! Departures: what ends when somebody leaves an organization or one of its workspaces, and what they were shown (A10).
//!
//! Invariant: what ends here ends for good, in one transaction: coming back revives nothing. Being demoted or suspended is no
//! departure: what the intersection takes away then, it gives back.

use crate::config::Catalogue;
use crate::crypto::Plaintext;
use crate::crypto::digest::Digest;
use crate::domain::Refusal;
use crate::domain::keys::api_keys;
use crate::domain::keys::rotation;
use crate::domain::people::members::{
    MANAGE, ensure_below, ensure_free_standing, keeping_an_owner,
};
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::store::api_keys::ApiKey;
use crate::store::application_secrets::ApplicationSecret;
use crate::store::applications::Application;
use crate::store::members::Member;
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, OrganizationId, UserId, WorkspaceId};
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, ReachKind};

/// Why a key was deactivated, for its detail.
const OWNER_REMOVED: &str = "owner_removed";
const LEFT: &str = "owner_left";
const WORKSPACES_LOST: &str = "workspaces_lost";
const MEMBERSHIP_ENDED: &str = "membership_ended";

/// What stops when this member leaves.
#[derive(Debug, Clone)]
pub struct Departure {
    pub member: Member,
    /// Live keys that act as the member: they are deactivated.
    pub keys: Vec<ApiKey>,
    /// Keys of others of which the member was shown a secret that still lives.
    pub shown_keys: Vec<ApiKey>,
    /// Live secrets of applications that the member was shown.
    pub shown_application_secrets: Vec<(Application, ApplicationSecret)>,
    pub consents: i64,
    pub authorizations: i64,
    pub sessions: i64,
    pub workspaces: i64,
    /// Invitations that the member has made and nobody has answered.
    pub invitations: i64,
}

impl Departure {
    /// The same in words: `3 live production keys`.
    pub fn in_words(&self) -> Vec<String> {
        let keys = |environment: Environment| {
            i64::try_from(
                self.keys
                    .iter()
                    .filter(|key| key.environment == environment)
                    .count(),
            )
            .unwrap_or(i64::MAX)
        };
        let all = [
            (keys(Environment::Production), "live production key"),
            (keys(Environment::Sandbox), "live sandbox key"),
            (self.consents, "connected application"),
            (self.sessions, "single sign-on session"),
            (self.workspaces, "workspace role"),
            (self.invitations, "pending invitation"),
        ];
        all.into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
            .collect()
    }
}

/// What happens to secrets of others that the member was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Keep,
    /// Keys get a new secret; the old one dies once the new one is used and the grace is over.
    Rotate {
        grace_seconds: i64,
    },
    /// Keys and application secrets end at once.
    Revoke,
}

/// A secret that was minted for a key.
#[derive(Debug)]
pub struct Minted {
    pub public_id: String,
    pub digest: Digest,
    pub secret: Plaintext,
}

/// What a removal has done.
#[derive(Debug)]
pub struct Removed {
    pub departure: Departure,
    /// The new secrets, shown once.
    pub rotated: Vec<(ApiKeyId, Minted)>,
    pub revoked_keys: Vec<ApiKeyId>,
    pub revoked_application_secrets: Vec<(Application, ApplicationSecret)>,
}

/// What would stop. For who manages members, and for the member.
pub fn preview(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: UserId,
) -> Result<Departure, Refusal> {
    if caller.operator || caller.user != id {
        rights::ensure_organization(snapshot, catalogue, organization, caller, MANAGE)?;
    }
    let member = snapshot
        .find_member(organization, id)?
        .ok_or(Refusal::NotFound)?;
    examine(snapshot, member)
}

fn examine(snapshot: &mut Snapshot, member: Member) -> Result<Departure, Refusal> {
    let (organization, id) = (member.organization_id, member.user_id);
    let keys = snapshot.list_api_keys_of_owner(organization, id)?;
    let mut shown_keys = snapshot.list_api_keys_shown_to(organization, id)?;
    shown_keys.retain(|key| key.owner_id != id);
    Ok(Departure {
        keys,
        shown_keys,
        shown_application_secrets: snapshot.list_application_secrets_shown_to(organization, id)?,
        consents: snapshot.count_consents_in(organization, id)?,
        authorizations: snapshot.count_authorizations_in(organization, id)?,
        sessions: snapshot.count_confined_sessions_of(organization, id)?,
        workspaces: i64::try_from(snapshot.list_workspace_roles(organization, id)?.len())
            .unwrap_or(i64::MAX),
        invitations: snapshot.count_invitations_of(organization, id)?,
        member,
    })
}

/// Removes a member; a member may leave. `mint` makes a key's new secret. Runs behind the organization's lock.
pub fn remove(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: UserId,
    shown: Shown,
    mint: impl Fn(&ApiKey) -> Minted,
) -> Result<Removed, Refusal> {
    if caller.operator || caller.user != id {
        rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    }
    if shown != Shown::Keep {
        rights::ensure_organization(tx, catalogue, organization, caller, Right::ApiKeysManage)?;
        rights::ensure_organization(
            tx,
            catalogue,
            organization,
            caller,
            Right::ApplicationsManage,
        )?;
    }
    let member = tx.find_member(organization, id)?.ok_or(Refusal::NotFound)?;
    ensure_below(tx, organization, caller, member.role)?;
    ensure_free_standing(tx, id)?;
    let departure = examine(tx, member)?;
    let mut removed = Removed {
        departure,
        rotated: Vec::new(),
        revoked_keys: Vec::new(),
        revoked_application_secrets: Vec::new(),
    };
    match shown {
        Shown::Keep => {}
        Shown::Rotate { grace_seconds } => {
            rotate_shown(tx, caller, grace_seconds, mint, &mut removed)?
        }
        Shown::Revoke => revoke_shown(tx, organization, caller, &mut removed)?,
    }
    keeping_an_owner(tx, organization, |tx| {
        Ok(end(tx, organization, id, Some(caller.user), OWNER_REMOVED)?)
    })?;
    Ok(removed)
}

/// The member leaves of their own accord; what they were shown stays as it is. Runs behind the organization's lock.
pub fn leave(tx: &mut Tx, organization: OrganizationId, user: UserId) -> Result<(), Refusal> {
    tx.find_member(organization, user)?
        .ok_or(Refusal::NotFound)?;
    ensure_free_standing(tx, user)?;
    keeping_an_owner(tx, organization, |tx| {
        Ok(end(tx, organization, user, Some(user), LEFT)?)
    })
}

fn rotate_shown(
    tx: &mut Tx,
    caller: &Caller,
    grace_seconds: i64,
    mint: impl Fn(&ApiKey) -> Minted,
    removed: &mut Removed,
) -> Result<(), Refusal> {
    let now = tx.now;
    for key in &removed.departure.shown_keys {
        // one that waits to be collected, or has expired, has shown nothing that works
        if !matches!(key.state, ApiKeyState::Active | ApiKeyState::Paused)
            || key.expires_at.is_some_and(|end| end <= now)
        {
            continue;
        }
        let minted = mint(key);
        let new = api_keys::Minted {
            public_id: minted.public_id.clone(),
            digest: minted.digest.clone(),
        };
        let fresh = rotation::add_pending(tx, key, caller.user, grace_seconds, new)?;
        tx.record_disclosure(fresh.id.as_str(), caller.user)?;
        removed.rotated.push((key.id, minted));
    }
    Ok(())
}

fn revoke_shown(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: &Caller,
    removed: &mut Removed,
) -> Result<(), Refusal> {
    for key in &removed.departure.shown_keys {
        tx.revoke_api_key(organization, key.id, caller.user)?;
        tx.record(
            Some(organization),
            Some(caller.user),
            Event::ApiKeyRevoked,
            key.id.as_str(),
            "its secret was shown to a member who left",
        )?;
        removed.revoked_keys.push(key.id);
    }
    for (application, secret) in &removed.departure.shown_application_secrets {
        tx.revoke_application_secret(application, secret.id)?;
        let event = Event::ApplicationSecretRevoked;
        tx.record(
            Some(organization),
            Some(caller.user),
            event,
            secret.id.as_str(),
            application.id.as_str(),
        )?;
        removed
            .revoked_application_secrets
            .push((application.clone(), secret.clone()));
    }
    Ok(())
}

/// Ends a membership, and everything that stands on it, for good. Runs behind the organization's lock.
pub fn end(
    tx: &mut Tx,
    organization: OrganizationId,
    id: UserId,
    by: Option<UserId>,
    because: &str,
) -> Result<(), Error> {
    let keys = tx.list_api_keys_of_owner(organization, id)?;
    for key in &keys {
        tx.change_api_key_state(
            organization,
            key.id,
            key.state,
            ApiKeyState::Deactivated,
            Some(because),
        )?;
        tx.record(
            Some(organization),
            by,
            Event::ApiKeyDeactivated,
            key.id.as_str(),
            because,
        )?;
    }
    let consents = tx.revoke_consents_in(organization, id)?;
    let authorizations =
        tx.revoke_authorizations_in(organization, id, "the member left the organization")?;
    let sessions = tx.delete_confined_sessions_of(organization, id)?;
    let tokens = tx.revoke_registration_tokens_by(organization, id)?;
    let invitations = tx.revoke_invitations_of(organization, id)?;
    tx.delete_workspace_memberships(organization, id)?;
    tx.delete_member(organization, id)?;
    let keys = keys.len();
    let detail = format!(
        "{because}: {keys} keys deactivated, {consents} consents, {authorizations} authorizations, {sessions} sessions, {tokens} registration tokens \
         and {invitations} invitations ended"
    );
    tx.record(
        Some(organization),
        by,
        Event::MemberRemoved,
        id.as_str(),
        &detail,
    )
}

/// Memberships that have ended by themselves, at most `most`: they end for good. How many.
pub fn end_ended(tx: &mut Tx, most: i64) -> Result<usize, Error> {
    let now = tx.now;
    let mut ended = tx.list_ended_members(now, most)?;
    // always in the same order, so that two that lock several organizations never wait for each other
    ended.sort_by_key(|member| member.organization_id);
    for member in &ended {
        tx.advance_generation(member.organization_id)?;
        // it may have been prolonged meanwhile
        if tx
            .find_member(member.organization_id, member.user_id)?
            .is_some_and(|member| member.has_ended(now))
        {
            end(
                tx,
                member.organization_id,
                member.user_id,
                None,
                MEMBERSHIP_ENDED,
            )?;
        }
    }
    Ok(ended.len())
}

/// Takes the role in a workspace away. A key of several workspaces loses this one for good; one that has none left is
/// deactivated; so is what applications were allowed there. Runs behind the organization's lock.
pub fn leave_workspace(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    workspace: WorkspaceId,
    id: UserId,
    by: UserId,
) -> Result<(), Refusal> {
    tx.delete_workspace_member(organization, workspace, id)?;
    tx.record(
        Some(organization),
        Some(by),
        Event::WorkspaceMemberRemoved,
        id.as_str(),
        workspace.as_str(),
    )?;
    // an admin of the organization reaches it all the same
    if rights::of_user(tx, catalogue, organization, id)?.reaches(workspace) {
        return Ok(());
    }
    for key in tx.list_api_keys_of_owner_in(organization, id, workspace)? {
        let left = tx.delete_api_key_workspace(organization, key.id, workspace)?;
        tx.record(
            Some(organization),
            Some(by),
            Event::ApiKeyWorkspaceLost,
            key.id.as_str(),
            workspace.as_str(),
        )?;
        if left == 0 && key.reach == ReachKind::Workspaces {
            tx.change_api_key_state(
                organization,
                key.id,
                key.state,
                ApiKeyState::Deactivated,
                Some(WORKSPACES_LOST),
            )?;
            tx.record(
                Some(organization),
                Some(by),
                Event::ApiKeyDeactivated,
                key.id.as_str(),
                WORKSPACES_LOST,
            )?;
        }
    }
    Ok(tx.drop_workspace_from_consents(organization, id, workspace)?)
}

/// The service account of what is deleted leaves the organization with it.
pub fn end_service_account(
    tx: &mut Tx,
    organization: OrganizationId,
    id: UserId,
    by: UserId,
) -> Result<(), Error> {
    if tx.find_member(organization, id)?.is_none() {
        return Ok(());
    }
    end(tx, organization, id, Some(by), "application_deleted")
}
