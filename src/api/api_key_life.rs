//! What an API key goes through: rotation, pause, simulation, and the end of many at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::api_key_views::{KeyView, KeyWithSecretView};
use super::api_keys::{KeyPath, again, listed};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::bulk_revocation::{self, Which};
use crate::domain::keys::changes;
use crate::domain::keys::lists;
use crate::domain::keys::rotation::{self, KeyRotation, RotatedBy};
use crate::domain::keys::simulation;
use crate::store::Snapshot;
use crate::store::api_keys::ApiKey;
use crate::types::id::{
    ApiKeyId, ApiKeySecretId, ApplicationId, OrganizationId, UserId, WorkspaceId,
};
use crate::types::state::Simulation;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// A rotation: the new secret is pending until its first use, and only then does the old one's grace begin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiKeyRotation")]
pub struct RotationBody {
    /// How long the old secret lives on from the first use of the new one.
    #[schemars(range(min = 0, max = 604_800))]
    grace_seconds: i64,
    /// Only ever earlier than before.
    expires_at: Option<Timestamp>,
}

/// By who manages the key, or by the key itself.
pub async fn rotate(
    call: Call,
    input: Input<KeyPath, NoQuery, RotationBody>,
) -> Result<Answer<KeyWithSecretView>, Problem> {
    let (organization, id) = (call.organization()?, input.path.id);
    let by = call
        .own_key(id)?
        .map_or(RotatedBy::Manager, RotatedBy::Itself);
    let key = move |view: &mut View| find(view.snapshot, organization, id);
    let key = call.ask(organization, key).await?;
    let (minted, secret) = call.mint_for(&key);
    let wanted = KeyRotation {
        grace_seconds: input.body.grace_seconds,
        expires_at: input.body.expires_at,
        minted,
    };
    let rotate = move |desk: &mut Desk| {
        let key = rotation::rotate(desk, by, id, &wanted)?;
        listed(desk, key)
    };
    let made = call.make(organization, rotate, again).await?;
    let (replayed, now) = (made.replayed, call.facts.now);
    Ok(Answer::made(
        made,
        |listed| format!("/v1/api-keys/{}", listed.key.id),
        |listed| KeyWithSecretView::of(listed, Some(secret), replayed, now),
    ))
}

fn find(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    id: ApiKeyId,
) -> Result<ApiKey, Refusal> {
    snapshot
        .find_api_key(organization, id)?
        .ok_or(Refusal::NotFound)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretPath {
    id: ApiKeyId,
    secret: ApiKeySecretId,
}

/// A change that gives the key as it is then.
async fn changed(
    call: Call,
    mut change: impl FnMut(&mut Desk<'_, '_>) -> Result<ApiKey, Refusal> + Send + 'static,
) -> Result<Answer<KeyView>, Problem> {
    let change = move |desk: &mut Desk| {
        let key = change(desk)?;
        // as it is stored now
        let key = find(desk.tx, desk.organization, key.id)?;
        lists::listed_key(&mut desk.view(), key)
    };
    let changed = call.change(call.organization()?, change).await?;
    Ok(Answer::of(KeyView::of(changed, call.facts.now)))
}

pub async fn revoke_secret(
    call: Call,
    input: Input<SecretPath, NoQuery, NoBody>,
) -> Result<Answer<KeyView>, Problem> {
    let SecretPath { id, secret } = input.path;
    changed(call, move |desk| rotation::revoke_secret(desk, id, secret)).await
}

pub async fn pause(
    call: Call,
    input: Input<KeyPath, NoQuery, NoBody>,
) -> Result<Answer<KeyView>, Problem> {
    changed(call, move |desk| changes::pause(desk, input.path.id)).await
}

pub async fn resume(
    call: Call,
    input: Input<KeyPath, NoQuery, NoBody>,
) -> Result<Answer<KeyView>, Problem> {
    changed(call, move |desk| changes::resume(desk, input.path.id)).await
}

/// What a Sandbox key is to play, and for how long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SimulationStart")]
pub struct SimulationBody {
    what: SimulationWord,
    #[schemars(range(min = 1, max = 60))]
    minutes: i64,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SimulationWord {
    Revoked,
    Expired,
    RateLimited,
    Forbidden,
}

impl From<SimulationWord> for Simulation {
    fn from(word: SimulationWord) -> Self {
        match word {
            SimulationWord::Revoked => Self::Revoked,
            SimulationWord::Expired => Self::Expired,
            SimulationWord::RateLimited => Self::RateLimited,
            SimulationWord::Forbidden => Self::Forbidden,
        }
    }
}

pub async fn simulate(
    call: Call,
    input: Input<KeyPath, NoQuery, SimulationBody>,
) -> Result<Answer<KeyView>, Problem> {
    let SimulationBody { what, minutes } = input.body;
    changed(call, move |desk| {
        simulation::start(desk, input.path.id, what.into(), minutes)
    })
    .await
}

pub async fn stop_simulation(
    call: Call,
    input: Input<KeyPath, NoQuery, NoBody>,
) -> Result<Answer<KeyView>, Problem> {
    changed(call, move |desk| simulation::stop(desk, input.path.id)).await
}

/// Which keys end; all conditions together, at least one. `application` stands alone: its tokens end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BulkRevocation")]
pub struct BulkBody {
    owner: Option<UserId>,
    workspace: Option<WorkspaceId>,
    created_before: Option<Timestamp>,
    /// Neither made nor used since then.
    unused_since: Option<Timestamp>,
    application: Option<ApplicationId>,
    /// Only tells what would end.
    #[serde(default)]
    dry_run: bool,
}

/// What ended, or would.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BulkRevoked")]
pub struct BulkView {
    dry_run: bool,
    api_keys: usize,
    /// Each with all of its tokens.
    authorizations: usize,
    /// The newest first.
    api_key_ids: Vec<ApiKeyId>,
}

pub async fn bulk_revoke(
    call: Call,
    input: Input<NoPath, NoQuery, BulkBody>,
) -> Result<Answer<BulkView>, Problem> {
    let BulkBody {
        owner,
        workspace,
        created_before,
        unused_since,
        application,
        dry_run,
    } = input.body;
    let which = Which {
        owner,
        workspace,
        created_before,
        unused_since,
        application,
    };
    let revoke = move |desk: &mut Desk| bulk_revocation::revoke(desk, &which, dry_run);
    let revoked = call.change(call.organization()?, revoke).await?;
    let (api_keys, authorizations) = (revoked.api_keys.len(), revoked.authorizations);
    Ok(Answer::of(BulkView {
        dry_run,
        api_keys,
        authorizations,
        api_key_ids: revoked.api_keys,
    }))
}
