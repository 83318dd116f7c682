//! Departures: what ends when somebody leaves an organization or one of its workspaces, and what they were shown (A10).
//!
//! Invariant: what ends here ends for good, in one transaction: coming back revives nothing. Being demoted or suspended is no
//! departure: what the intersection takes away from one's own keys then, it gives back. What somebody set up for later ends with
//! a demotion, too (`people/planted.rs`).

use crate::domain::desk::{Desk, View};
use crate::domain::keys::api_keys::Minted;
use crate::domain::keys::rotation;
use crate::domain::keys::secrets;
use crate::domain::people::endings::{self, end};
use crate::domain::people::members::{ensure_below, ensure_free_standing, keeping_an_owner};
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::ApiKey;
use crate::store::application_secrets::ApplicationSecret;
use crate::store::applications::Application;
use crate::store::members::Member;
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, OrganizationId, UserId};
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, UserKind};
use crate::types::time::Timestamp;

/// Why a key was deactivated, for its detail.
const OWNER_REMOVED: &str = "owner_removed";
const LEFT: &str = "owner_left";

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
    /// Management tokens that act as the member.
    pub management_tokens: i64,
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
            (self.management_tokens, "management token"),
        ];
        all.into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
            .collect()
    }
}

/// What happens to secrets of others that the member was shown.
#[derive(Debug, Clone)]
pub enum ShownSecrets {
    Keep,
    /// Keys get a new secret, which the asker is shown; the old one dies once the new one is used and the grace is over.
    Rotate {
        grace_seconds: i64,
        /// One for each of [`Departure::shown_keys`].
        minted: Vec<(ApiKeyId, Minted)>,
    },
    /// Keys and application secrets end at once.
    Revoke,
}

/// What a removal has done.
#[derive(Debug)]
pub struct Removed {
    pub departure: Departure,
    /// Those that got their new secret.
    pub rotated: Vec<ApiKeyId>,
    pub revoked_keys: Vec<ApiKeyId>,
    pub revoked_application_secrets: Vec<(Application, ApplicationSecret)>,
}

/// What would stop if this member was removed.
pub fn preview(view: &mut View, id: UserId) -> Result<Departure, Refusal> {
    view.ensure(Right::MembersManage)?;
    find(view.snapshot, view.organization, id, view.now)
}

/// What would stop if the asker left.
pub fn preview_own(view: &mut View) -> Result<Departure, Refusal> {
    find(view.snapshot, view.organization, view.asker.user, view.now)
}

fn find(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    id: UserId,
    now: Timestamp,
) -> Result<Departure, Refusal> {
    let member = snapshot
        .find_member(organization, id, now)?
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
        management_tokens: snapshot.count_management_tokens_of(organization, id)?,
        member,
    })
}

/// Removes a member. Runs behind the organization's lock.
pub fn remove(desk: &mut Desk, id: UserId, shown: &ShownSecrets) -> Result<Removed, Refusal> {
    desk.ensure(Right::MembersManage)?;
    if !matches!(shown, ShownSecrets::Keep) {
        desk.ensure(Right::ApiKeysManage)?;
        desk.ensure(Right::ApplicationsManage)?;
    }
    let now = desk.now();
    let departure = find(desk.tx, desk.organization, id, now)?;
    ensure_below(desk, departure.member.role)?;
    ensure_free_standing(desk.tx, id)?;
    let mut removed = Removed {
        departure,
        rotated: Vec::new(),
        revoked_keys: Vec::new(),
        revoked_application_secrets: Vec::new(),
    };
    match shown {
        ShownSecrets::Keep => {}
        ShownSecrets::Rotate {
            grace_seconds,
            minted,
        } => rotate_shown(desk, *grace_seconds, minted, &mut removed)?,
        ShownSecrets::Revoke => revoke_shown(desk, &mut removed)?,
    }
    let by = Some(desk.asker.user);
    keeping_an_owner(desk, |desk| {
        Ok(end(desk.tx, desk.organization, id, by, OWNER_REMOVED)?)
    })?;
    Ok(removed)
}

/// The same; a person is not there.
pub fn remove_service_account(
    desk: &mut Desk,
    id: UserId,
    shown: &ShownSecrets,
) -> Result<Removed, Refusal> {
    desk.ensure(Right::MembersManage)?;
    let account = desk.tx.find_user(id)?;
    let is_one = account.is_some_and(|user| user.kind == UserKind::ServiceAccount);
    ensure(is_one, Refusal::NotFound)?;
    remove(desk, id, shown)
}

/// The asker leaves of their own accord; what they were shown stays as it is. Runs behind the organization's lock.
pub fn leave(desk: &mut Desk) -> Result<(), Refusal> {
    let (user, now) = (desk.asker.user, desk.now());
    desk.tx
        .find_member(desk.organization, user, now)?
        .ok_or(Refusal::NotFound)?;
    ensure_free_standing(desk.tx, user)?;
    keeping_an_owner(desk, |desk| {
        Ok(end(desk.tx, desk.organization, user, Some(user), LEFT)?)
    })
}

fn rotate_shown(
    desk: &mut Desk,
    grace_seconds: i64,
    minted: &[(ApiKeyId, Minted)],
    removed: &mut Removed,
) -> Result<(), Refusal> {
    let (now, by) = (desk.now(), desk.asker.user);
    for key in &removed.departure.shown_keys {
        // one that waits to be collected, or has expired, has shown nothing that works
        if !matches!(key.state, ApiKeyState::Active | ApiKeyState::Paused)
            || key.expires_at.is_some_and(|end| end <= now)
        {
            continue;
        }
        // shown since the secrets were minted
        let changed = "Meanwhile this member was shown another secret. Look again.";
        let (_, new) = minted
            .iter()
            .find(|(id, _)| *id == key.id)
            .ok_or_else(|| Refusal::Blocked(changed.to_owned()))?;
        secrets::ensure_may_hold(&mut desk.view(), key)?;
        let fresh = rotation::add_pending(desk.tx, key, by, grace_seconds, new.clone())?;
        desk.tx.record_disclosure(fresh.id.as_str(), by)?;
        removed.rotated.push(key.id);
    }
    Ok(())
}

fn revoke_shown(desk: &mut Desk, removed: &mut Removed) -> Result<(), Refusal> {
    let (organization, by) = (desk.organization, desk.asker.user);
    for key in &removed.departure.shown_keys {
        desk.tx.revoke_api_key(organization, key.id, by)?;
        desk.record(
            Event::ApiKeyRevoked,
            key.id.as_str(),
            "its secret was shown to a member who left",
        )?;
        removed.revoked_keys.push(key.id);
    }
    for (application, secret) in &removed.departure.shown_application_secrets {
        desk.tx.revoke_application_secret(application, secret.id)?;
        let event = Event::ApplicationSecretRevoked;
        desk.record(event, secret.id.as_str(), application.id.as_str())?;
        removed
            .revoked_application_secrets
            .push((application.clone(), secret.clone()));
    }
    Ok(())
}

/// Memberships that have ended by themselves, at most `most`: they end for good. How many.
pub fn end_ended(tx: &mut Tx, most: i64) -> Result<usize, Error> {
    let now = tx.now;
    let mut ended = tx.list_ended_members(now, most)?;
    // always in the same order, so that two that lock several organizations never wait for each other
    ended.sort_by_key(|member| member.organization_id);
    for member in &ended {
        tx.advance_generation(member.organization_id)?;
        let (organization, user) = (member.organization_id, member.user_id);
        // it may be gone meanwhile
        endings::end_if_over(tx, organization, user)?;
    }
    Ok(ended.len())
}
