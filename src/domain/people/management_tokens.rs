//! Management tokens: an admin of an organization makes one, and a program manages the organization with it.
//!
//! Invariants:
//!
//! - A token does what it was made for, in the workspaces it was made for, and never more than its maker may do at that
//!   moment ([`PresentedToken::asker`], judged by `rights::of` at each use).
//! - Only a person makes one, at the browser, after they have proved who they are: no token makes or shows another.
//! - It ends for good with its maker's membership and with their role as an admin (`endings`). A suspension pauses it.

use crate::config::{Catalogue, PermissionEntry};
use crate::crypto::digest::Digest;
use crate::domain::desk::{Desk, View};
use crate::domain::people::members;
use crate::domain::people::sessions::PROOF_SECONDS;
use crate::domain::plans::open;
use crate::domain::rights::asker::{Asker, Extent};
use crate::domain::rights::rights::MISSING;
use crate::domain::{Refusal, ensure};
use crate::store::management_tokens::ManagementToken;
use crate::store::workspaces::Workspace;
use crate::store::{self, Snapshot};
use crate::types::event::Event;
use crate::types::id::{ManagementTokenId, UserId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::right::Right;
use crate::types::state::ReachKind;
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

const MOST_NAME: usize = 100;
/// Live tokens of one organization: also what its page lists.
pub const MOST_TOKENS: i64 = 50;
/// The latest end, from the making on.
pub const MOST_DAYS: i64 = 365;
pub const DEFAULT_DAYS: i64 = 30;
const SECONDS_A_DAY: i64 = 24 * 60 * 60;
const ADMINS_ONLY: &str = "Only owners and admins of the organization make management tokens.";
const UNPROVEN: &str = "Confirm who you are first: that was more than 15 minutes ago.";

/// What an admin asks for. The token was minted at the door; only its digest and its hint come here.
#[derive(Debug, Clone)]
pub struct NewManagementToken {
    pub name: String,
    /// Names of the catalogue.
    pub permissions: Vec<String>,
    /// None: the whole organization.
    pub workspaces: Option<Vec<WorkspaceId>>,
    /// 1 to [`MOST_DAYS`].
    pub days: i64,
    pub digest: Digest,
    pub hint: String,
    /// When the session's person last proved who they are.
    pub proven_at: Timestamp,
}

/// A token with what lists show.
#[derive(Debug, Clone)]
pub struct ListedManagementToken {
    pub token: ManagementToken,
    pub maker_name: String,
    pub workspaces: Vec<WorkspaceId>,
}

/// A page of those that are not revoked, the newest first, at most `most`.
pub fn list(
    view: &mut View,
    after: Option<(Timestamp, ManagementTokenId)>,
    most: i64,
) -> Result<Vec<ListedManagementToken>, Refusal> {
    view.ensure(Right::OrganizationRead)?;
    let page = view
        .snapshot
        .list_management_tokens_page(view.organization, after, most)?;
    page.into_iter()
        .map(|token| Ok(listed(view.snapshot, token)?))
        .collect()
}

pub fn get(view: &mut View, id: ManagementTokenId) -> Result<ListedManagementToken, Refusal> {
    view.ensure(Right::OrganizationRead)?;
    let token = view
        .snapshot
        .find_management_token(view.organization, id)?
        .ok_or(Refusal::NotFound)?;
    Ok(listed(view.snapshot, token)?)
}

fn listed(
    snapshot: &mut Snapshot,
    token: ManagementToken,
) -> Result<ListedManagementToken, store::Error> {
    let maker = snapshot.find_user(token.user_id)?;
    Ok(ListedManagementToken {
        maker_name: maker.map(|user| user.name).unwrap_or_default(),
        workspaces: snapshot.list_management_token_workspaces(token.id)?,
        token,
    })
}

/// What the page offers.
#[derive(Debug, Clone)]
pub struct Choices {
    /// What the asker may give a token.
    pub permissions: Vec<PermissionEntry>,
    pub workspaces: Vec<Workspace>,
}

/// Refuses whoever may make none.
pub fn choices(view: &mut View) -> Result<Choices, Refusal> {
    ensure_admin(view)?;
    let (held, catalogue) = (view.rights()?.organization, &view.settings.catalogue);
    let offered = offered(catalogue) & held;
    Ok(Choices {
        permissions: offered
            .iter()
            .map(|permission| catalogue.entry(permission).clone())
            .collect(),
        workspaces: view.snapshot.list_workspaces(view.organization)?,
    })
}

/// What the management API asks for: a token for anything else would do nothing.
fn offered(catalogue: &Catalogue) -> PermissionSet {
    (catalogue.management() | catalogue.organization()) & catalogue.all()
}

fn ensure_admin(view: &mut View) -> Result<(), Refusal> {
    let member = members::find_acting(view)?;
    ensure(member.role.is_admin(), Refusal::admin_only(ADMINS_ONLY))
}

/// Makes a token that acts as the asker. Runs behind the organization's lock: the cap is counted.
pub fn create(desk: &mut Desk, new: &NewManagementToken) -> Result<ManagementToken, Refusal> {
    let choices = choices(&mut desk.view())?;
    open::ensure_not_suspended(desk.tx, desk.organization)?;
    let now = desk.now();
    ensure(
        new.proven_at.plus_seconds(PROOF_SECONDS) > now,
        Refusal::Forbidden(UNPROVEN),
    )?;
    let (name, permissions) = check(&choices, new)?;
    let full = format!(
        "This organization has reached its limit of {MOST_TOKENS} management tokens. Revoke one that is not needed any more."
    );
    ensure(
        desk.tx
            .count_live_management_tokens(desk.organization, now)?
            < MOST_TOKENS,
        Refusal::Blocked(full),
    )?;
    let token = ManagementToken {
        id: ManagementTokenId::generate(now),
        organization_id: desk.organization,
        user_id: desk.asker.user,
        name,
        digest: new.digest.clone(),
        hint: new.hint.clone(),
        permissions,
        reach: if new.workspaces.is_some() {
            ReachKind::Workspaces
        } else {
            ReachKind::Organization
        },
        created_at: now,
        expires_at: now.plus_seconds(new.days * SECONDS_A_DAY),
        last_used_at: None,
        revoked_at: None,
    };
    desk.tx
        .insert_management_token(&token, new.workspaces.as_deref().unwrap_or_default())?;
    desk.record(
        Event::ManagementTokenCreated,
        token.id.as_str(),
        &token.permissions,
    )?;
    Ok(token)
}

/// The name and the permissions as they are stored.
fn check(choices: &Choices, new: &NewManagementToken) -> Result<(String, String), Refusal> {
    let mut errors = Vec::new();
    let name =
        parse_text(&new.name, MOST_NAME).map_err(|error| errors.push(("name", error.to_string())));
    let held = |name: &String| choices.permissions.iter().any(|own| own.name == *name);
    if new.permissions.is_empty() {
        errors.push(("permission", "Choose what it may do.".to_owned()));
    } else if !new.permissions.iter().all(held) {
        let beyond = "Choose among what you may do yourself.";
        errors.push(("permission", beyond.to_owned()));
    }
    let known = |id: &WorkspaceId| choices.workspaces.iter().any(|own| own.id == *id);
    if let Some(workspaces) = &new.workspaces
        && (workspaces.is_empty() || !workspaces.iter().all(known))
    {
        errors.push(("workspace", "Choose at least one workspace.".to_owned()));
    }
    if !(1..=MOST_DAYS).contains(&new.days) {
        errors.push(("days", format!("Choose a number from 1 to {MOST_DAYS}.")));
    }
    match name {
        Ok(name) if errors.is_empty() => {
            let named = |entry: &&PermissionEntry| new.permissions.contains(&entry.name);
            let permissions: Vec<&str> = choices
                .permissions
                .iter()
                .filter(named)
                .map(|entry| entry.name.as_str())
                .collect();
            Ok((name, permissions.join(" ")))
        }
        _ => Err(Refusal::Invalid(errors)),
    }
}

/// Ends it at once, for its maker and for whoever manages the organization. One that is revoked already stays so. Runs
/// behind the organization's lock.
pub fn revoke(desk: &mut Desk, id: ManagementTokenId) -> Result<(), Refusal> {
    let manages = desk.ensure(Right::OrganizationManage);
    let token = match (
        desk.tx.find_management_token(desk.organization, id)?,
        manages,
    ) {
        (Some(token), Ok(())) => token,
        (Some(token), Err(Refusal::Forbidden(_))) if is_own(desk, token.user_id) => token,
        (None, Ok(())) => return Err(Refusal::NotFound),
        (_, Err(Refusal::Forbidden(_))) => return Err(Refusal::Forbidden(MISSING)),
        (_, Err(other)) => return Err(other),
    };
    match desk.tx.revoke_management_token(desk.organization, token.id) {
        Ok(()) => Ok(desk.record(Event::ManagementTokenRevoked, id.as_str(), "")?),
        // it was revoked before
        Err(store::Error::NotFound) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

fn is_own(desk: &Desk, maker: UserId) -> bool {
    desk.asker.is(maker)
}

/// A token that was presented, as of one snapshot. It may have expired.
#[derive(Debug, Clone)]
pub struct PresentedToken {
    pub token: ManagementToken,
    workspaces: Vec<WorkspaceId>,
    /// The organization, the maker or their membership is suspended: it works again afterwards.
    pub is_suspended: bool,
}

impl PresentedToken {
    /// What it was made for. A permission that is not configured any more is none.
    pub fn permissions(&self, catalogue: &Catalogue) -> PermissionSet {
        catalogue.of_names(self.token.permissions.split(' ')) & offered(catalogue)
    }

    pub fn asker(&self, catalogue: &Catalogue) -> Asker {
        let extent = match self.token.reach {
            ReachKind::Organization => Extent::Whole,
            ReachKind::Workspaces => Extent::Workspaces {
                only: self.workspaces.clone(),
                organization: false,
            },
        };
        Asker::management_token(
            self.token.user_id,
            self.token.organization_id,
            self.permissions(catalogue),
            extent,
        )
    }
}

/// The token, unless it is revoked or its maker is no admin of the organization.
pub fn find_live(
    snapshot: &mut Snapshot,
    candidates: &[Digest],
    now: Timestamp,
) -> Result<Option<PresentedToken>, store::Error> {
    let Some(token) = snapshot
        .find_management_token_by_digest(candidates)?
        .filter(|token| token.revoked_at.is_none())
    else {
        return Ok(None);
    };
    let maker = snapshot
        .find_membership(token.organization_id, token.user_id, now)?
        .filter(|maker| maker.member.role.is_admin());
    let Some(maker) = maker else {
        return Ok(None);
    };
    Ok(Some(PresentedToken {
        workspaces: snapshot.list_management_token_workspaces(token.id)?,
        is_suspended: maker.suspended.is_some(),
        token,
    }))
}
