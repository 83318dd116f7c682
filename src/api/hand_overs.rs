//! `/v1/api-keys/{id}/hand-over`: one-time links by which somebody outside collects a key's secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::api_key_views::word;
use super::api_keys::KeyPath;
use super::call::Call;
use super::input::{Input, NoBody, NoQuery};
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, mint_token};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::hand_overs::{self, NewHandOver};
use crate::store::hand_overs::HandOver;
use crate::types::id::{ApiKeyId, ApiKeySecretId, HandOverId, UserId};
use crate::types::state::HandOverState;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// A link for one address. An open link of the same key ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewHandOver")]
pub struct NewHandOverBody {
    /// Whoever opens the link has to name it.
    #[schemars(length(min = 3, max = 254))]
    email: String,
    #[schemars(range(min = 60, max = 604_800))]
    expires_in_seconds: i64,
    /// For a key in use: how long its secret lives on from the first use of the one that is handed over.
    #[serde(default)]
    #[schemars(range(min = 0, max = 604_800))]
    grace_seconds: i64,
}

/// A link by which somebody outside collects a secret.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HandOver")]
pub struct HandOverView {
    id: HandOverId,
    api_key: ApiKeyId,
    email: String,
    /// open, used or revoked.
    #[serde(serialize_with = "word")]
    state: HandOverState,
    /// Tries with another address.
    wrong_addresses: i64,
    grace_seconds: i64,
    /// Which secret was made when the link was used.
    secret: Option<ApiKeySecretId>,
    created_by: UserId,
    created_at: Timestamp,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
}

impl From<HandOver> for HandOverView {
    fn from(row: HandOver) -> Self {
        Self {
            id: row.id,
            api_key: row.api_key_id,
            email: row.email,
            state: row.state,
            wrong_addresses: row.wrong_addresses,
            grace_seconds: row.grace_seconds,
            secret: row.secret_id,
            created_by: row.created_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_at: row.used_at,
        }
    }
}

/// A link that was just made: this answer is the only one that ever shows it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HandOverWithLink")]
pub struct HandOverWithLinkView {
    #[serde(flatten)]
    hand_over: HandOverView,
    /// null in the answer to a repeated request.
    link: Option<String>,
}

/// The links of a key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HandOvers")]
pub struct HandOversView {
    /// The newest first, a hundred at most.
    data: Vec<HandOverView>,
}

pub async fn create(
    call: Call,
    input: Input<KeyPath, NoQuery, NewHandOverBody>,
) -> Result<Answer<HandOverWithLinkView>, Problem> {
    let token = mint_token(&call.app.config.keys.prefix, TokenKind::HandOver);
    let digest = call.app.digester.digest(Purpose::HandOver, token.expose());
    let NewHandOverBody {
        email,
        expires_in_seconds,
        grace_seconds,
    } = input.body;
    let new = NewHandOver {
        email,
        expires_in_seconds,
        grace_seconds,
        digest,
    };
    let create = move |desk: &mut Desk| {
        let made = hand_overs::create(desk, input.path.id, &new)?;
        Ok((made.id.to_string(), made))
    };
    let again = move |desk: &mut Desk, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        desk.tx
            .find_hand_over(desk.organization, id)?
            .ok_or(Refusal::NotFound)
    };
    let link = format!("{}/hand-over/{}", call.app.issuer.as_str(), token.expose());
    let made = call.make(call.organization()?, create, again).await?;
    let link = (!made.replayed).then_some(link);
    let view = |row: HandOver| HandOverWithLinkView {
        hand_over: row.into(),
        link,
    };
    Ok(Answer::made(
        made,
        |row| format!("/v1/api-keys/{}/hand-over", row.api_key_id),
        view,
    ))
}

pub async fn list(
    call: Call,
    input: Input<KeyPath, NoQuery, NoBody>,
) -> Result<Answer<HandOversView>, Problem> {
    let list = move |view: &mut View| hand_overs::list(view, input.path.id);
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(HandOversView {
        data: rows.into_iter().map(HandOverView::from).collect(),
    }))
}

/// Ends the open link.
pub async fn delete(
    call: Call,
    input: Input<KeyPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let revoke = move |desk: &mut Desk| hand_overs::revoke(desk, input.path.id);
    call.change(call.organization()?, revoke).await?;
    Ok(Answer::none())
}
