//! `/v1/applications/{id}/secrets`: a second secret beside the first, so that rotation needs no downtime.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::application_views::SecretView;
use super::applications::ApplicationPath;
use super::call::Call;
use super::input::{Input, NoBody, NoQuery};
use crate::domain::Refusal;
use crate::domain::clients::secrets::{self, Others};
use crate::domain::desk::Desk;
use crate::store::application_secrets::ApplicationSecret;
use crate::types::id::{ApplicationId, ClientSecretId};
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
    let id = input.path.id;
    let others = if input.body.revoke_others {
        Others::Revoke
    } else {
        Others::Keep
    };
    let (secret, stored) = call.app.mint_client_secret();
    let create = move |desk: &mut Desk| {
        let (_, made) = secrets::create(desk, id, &stored, others)?;
        Ok((made.to_string(), secrets::get_made(desk, id, made)?))
    };
    let again = move |desk: &mut Desk, made: &str| {
        secrets::get_made(desk, id, made.parse().map_err(|_| Refusal::NotFound)?)
    };
    let made = call.make(call.organization()?, create, again).await?;
    let client_secret = (!made.replayed).then(|| secret.expose().to_owned());
    let location = |row: &ApplicationSecret| format!("/v1/applications/{id}/secrets/{}", row.id);
    Ok(Answer::made(made, location, |row| CreatedSecretView {
        secret: row.into(),
        client_secret,
    }))
}

pub async fn delete(
    call: Call,
    input: Input<SecretPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let SecretPath { id, secret } = input.path;
    let revoke = move |desk: &mut Desk| secrets::revoke(desk, id, secret);
    call.change(call.organization()?, revoke).await?;
    Ok(Answer::none())
}
