//! `/v1/applications/{id}/secrets`: a second secret beside the first, so that rotation needs no downtime.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::application_views::SecretView;
use super::applications::ApplicationPath;
use super::call::Call;
use super::input::{Input, NoBody, NoQuery};
use crate::domain::Refusal;
use crate::domain::clients::applications;
use crate::domain::clients::secrets::{self, Others};
use crate::store::application_secrets::ApplicationSecret;
use crate::store::{Snapshot, Tx};
use crate::types::id::{ApplicationId, ClientSecretId, OrganizationId};
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretPath {
    id: ApplicationId,
    secret: ClientSecretId,
}

/// A secret to be created.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApplicationSecret", example = serde_json::json!({}))]
pub struct NewSecretBody {
    /// Ends the other ones at once: somebody else may have them. Without it they go on working, and at most two do.
    #[serde(default)]
    revoke_others: bool,
}

/// What a create answers with: the only time that the secret is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedApplicationSecret")]
pub struct CreatedSecretView {
    #[serde(flatten)]
    secret: SecretView,
    /// null when the request was sent before.
    client_secret: Option<String>,
}

pub async fn create(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NewSecretBody>,
) -> Result<Answer<CreatedSecretView>, Problem> {
    let (organization, caller, id) = (call.organization()?, call.caller, input.path.id);
    call.ensure_for_organization()?;
    let others = if input.body.revoke_others {
        Others::Revoke
    } else {
        Others::Keep
    };
    let (secret, stored) = call.app.mint_client_secret();
    let create = move |tx: &mut Tx| {
        let (_, made) = secrets::create(tx, organization, caller, id, &stored, others)?;
        Ok((made.to_string(), find(tx, organization, id, made)?))
    };
    let again = move |tx: &mut Tx, made: &str| {
        applications::ensure_manager(tx, organization, caller)?;
        find(
            tx,
            organization,
            id,
            made.parse().map_err(|_| Refusal::NotFound)?,
        )
    };
    let made = call.create(organization, create, again).await?;
    let client_secret = (!made.replayed).then(|| secret.expose().to_owned());
    let location = |row: &ApplicationSecret| format!("/v1/applications/{id}/secrets/{}", row.id);
    Ok(Answer::made(made, location, |row| CreatedSecretView {
        secret: row.into(),
        client_secret,
    }))
}

fn find(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    id: ApplicationId,
    secret: ClientSecretId,
) -> Result<ApplicationSecret, Refusal> {
    applications::find_own(snapshot, organization, id)?;
    snapshot
        .find_application_secret(id, secret)?
        .ok_or(Refusal::NotFound)
}

pub async fn delete(
    call: Call,
    input: Input<SecretPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let (organization, caller) = (call.organization()?, call.caller);
    call.ensure_for_organization()?;
    let SecretPath { id, secret } = input.path;
    call.write(organization, move |tx| {
        secrets::revoke(tx, organization, caller, id, secret)
    })
    .await?;
    Ok(Answer::none())
}
