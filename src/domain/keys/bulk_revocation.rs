//! Many keys end in one step, after an incident (A4): by owner, workspace, age or disuse; or the tokens of an application.

use crate::domain::desk::Desk;
use crate::domain::keys::changes;
use crate::domain::keys::places::KeyPlaces;
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::ApiKeyFilter;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, ApplicationId, UserId, WorkspaceId};
use crate::types::right::Right;
use crate::types::time::Timestamp;

/// Rows that are read at once.
const BATCH: i64 = 500;

/// Which; all conditions together. Without any, nothing is revoked.
#[derive(Debug, Clone, Default)]
pub struct Which {
    pub owner: Option<UserId>,
    pub workspace: Option<WorkspaceId>,
    pub created_before: Option<Timestamp>,
    pub unused_since: Option<Timestamp>,
    /// Its tokens in this organization; stands alone.
    pub application: Option<ApplicationId>,
}

impl Which {
    fn has_condition_of_keys(&self) -> bool {
        self.owner.is_some()
            || self.workspace.is_some()
            || self.created_before.is_some()
            || self.unused_since.is_some()
    }
}

/// What was revoked, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    pub api_keys: Vec<ApiKeyId>,
    /// Each with all of its tokens.
    pub authorizations: usize,
}

/// Runs in one transaction, behind the organization's lock. `dry_run` only tells.
pub fn revoke(desk: &mut Desk, which: &Which, dry_run: bool) -> Result<Revoked, Refusal> {
    let of_keys = which.has_condition_of_keys();
    match which.application {
        Some(_) if of_keys => Err(Refusal::field(
            "application",
            "stands alone: its tokens have no other condition",
        )),
        Some(application) => revoke_tokens(desk, application, dry_run),
        None => {
            ensure(
                of_keys,
                Refusal::field("owner", "Name at least one condition."),
            )?;
            revoke_keys(desk, which, dry_run)
        }
    }
}

fn revoke_keys(desk: &mut Desk, which: &Which, dry_run: bool) -> Result<Revoked, Refusal> {
    let places = KeyPlaces::some(&mut desk.view(), Right::ApiKeysManage)?;
    let rows = ApiKeyFilter {
        owner: which.owner,
        workspace: which.workspace,
        created_before: which.created_before,
        unused_since: which.unused_since,
        live: true,
        only: places.only(),
        ..ApiKeyFilter::default()
    };
    let mut revoked = Revoked::default();
    let mut after = None;
    loop {
        let batch = desk
            .tx
            .list_api_keys_page(desk.organization, &rows, after, BATCH)?;
        let Some(last) = batch.last().map(|key| (key.created_at, key.id)) else {
            break;
        };
        after = Some(last);
        for key in &batch {
            if !dry_run {
                changes::revoke_one(desk.tx, key, desk.asker.user, "in bulk")?;
            }
            revoked.api_keys.push(key.id);
        }
    }
    if !dry_run {
        let detail = format!("{} API keys", revoked.api_keys.len());
        let organization = desk.organization;
        desk.record(Event::ApiKeysBulkRevoked, organization.as_str(), &detail)?;
    }
    Ok(revoked)
}

/// Consents stay: a person may use the application again.
fn revoke_tokens(
    desk: &mut Desk,
    application: ApplicationId,
    dry_run: bool,
) -> Result<Revoked, Refusal> {
    let places = KeyPlaces::some(&mut desk.view(), Right::ApiKeysManage)?;
    ensure(
        places.is_everywhere(),
        Refusal::admin_only("Tokens of an application are revoked by an organization admin."),
    )?;
    let live = desk
        .tx
        .list_live_authorizations(desk.organization, application)?;
    let own = desk
        .tx
        .find_application(application)?
        .is_some_and(|application| application.organization_id == desk.organization);
    ensure(own || !live.is_empty(), Refusal::NotFound)?;
    if !dry_run {
        for authorization in &live {
            desk.tx
                .revoke_authorization(authorization, "bulk revocation")?;
        }
        let detail = format!("{} authorizations", live.len());
        desk.record(Event::TokensBulkRevoked, application.as_str(), &detail)?;
    }
    Ok(Revoked {
        api_keys: Vec::new(),
        authorizations: live.len(),
    })
}
