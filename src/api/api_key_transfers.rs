//! `/v1/api-key-transfers`: keys that are offered to another owner, and `/v1/api-keys/{id}/transfer`, which offers one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::api_key_views::{KeyWithSecretView, PersonView, word};
use super::api_keys::{self, KeyPath, listed};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::transfers::{self, ListedTransfer};
use crate::store::api_key_transfers::ApiKeyTransfer;
use crate::types::id::{ApiKeyId, ApiKeyTransferId, UserId};
use crate::types::state::TransferState;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferPath {
    id: ApiKeyTransferId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<ApiKeyTransferId>>,
}

/// Who is to own the key: a person who manages every workspace that it reaches.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TransferOffer")]
pub struct OfferBody {
    to: UserId,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TransferredApiKey")]
pub struct TransferredKeyView {
    id: ApiKeyId,
    name: String,
}

/// An API key that is offered to another owner.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyTransfer")]
pub struct TransferView {
    id: ApiKeyTransferId,
    api_key: TransferredKeyView,
    from: PersonView,
    to: PersonView,
    offered_by: UserId,
    /// open, accepted, declined or withdrawn.
    #[serde(serialize_with = "word")]
    state: TransferState,
    created_at: Timestamp,
    decided_at: Option<Timestamp>,
}

impl From<ListedTransfer> for TransferView {
    fn from(listed: ListedTransfer) -> Self {
        let ListedTransfer {
            transfer,
            key_name,
            from_name,
            to_name,
        } = listed;
        Self {
            id: transfer.id,
            api_key: TransferredKeyView {
                id: transfer.api_key_id,
                name: key_name,
            },
            from: PersonView {
                id: transfer.from_id,
                name: from_name,
            },
            to: PersonView {
                id: transfer.to_id,
                name: to_name,
            },
            offered_by: transfer.offered_by,
            state: transfer.state,
            created_at: transfer.created_at,
            decided_at: transfer.decided_at,
        }
    }
}

pub async fn offer(
    call: Call,
    input: Input<KeyPath, NoQuery, OfferBody>,
) -> Result<Answer<TransferView>, Problem> {
    let offer = move |desk: &mut Desk| {
        let transfer = transfers::offer(desk, input.path.id, input.body.to)?;
        let id = transfer.id.to_string();
        Ok((id, transfers::listed(desk.tx, transfer)?))
    };
    let again = move |desk: &mut Desk, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        let transfer = desk
            .tx
            .find_api_key_transfer(desk.organization, id)?
            .ok_or(Refusal::NotFound)?;
        transfers::listed(desk.tx, transfer)
    };
    let made = call.make(call.organization()?, offer, again).await?;
    Ok(Answer::made(
        made,
        |listed| format!("/v1/api-key-transfers/{}", listed.transfer.id),
        TransferView::from,
    ))
}

pub async fn list(
    call: Call,
    input: Input<NoPath, TransferQuery, NoBody>,
) -> Result<Answer<Page<TransferView>>, Problem> {
    let TransferQuery { limit, cursor } = input.query;
    let list = move |view: &mut View| transfers::list(view, Cursor::place(cursor)?, limit.rows());
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |listed| (listed.transfer.created_at, listed.transfer.id),
        TransferView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<TransferPath, NoQuery, NoBody>,
) -> Result<Answer<TransferView>, Problem> {
    let get = move |view: &mut View| transfers::find(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

/// The key with its new secret, which its new owner alone is shown.
pub async fn accept(
    call: Call,
    input: Input<TransferPath, NoQuery, NoBody>,
) -> Result<Answer<KeyWithSecretView>, Problem> {
    let (organization, id) = (call.organization()?, input.path.id);
    let find = move |view: &mut View| {
        let transfer = view
            .snapshot
            .find_api_key_transfer(organization, id)?
            .ok_or(Refusal::NotFound)?;
        view.snapshot
            .find_api_key(organization, transfer.api_key_id)?
            .ok_or(Refusal::NotFound)
    };
    let (minted, secret) = call.mint_for(&call.ask(organization, find).await?);
    let accept = move |desk: &mut Desk| {
        let key = transfers::accept(desk, id, &minted)?;
        listed(desk, key)
    };
    let made = call.make(organization, accept, api_keys::again).await?;
    let (replayed, now) = (made.replayed, call.facts.now);
    let view = |listed| KeyWithSecretView::of(listed, Some(secret), replayed, now);
    Ok(Answer::made(
        made,
        |listed| format!("/v1/api-keys/{}", listed.key.id),
        view,
    ))
}

async fn closed(
    call: Call,
    mut close: impl FnMut(&mut Desk<'_, '_>) -> Result<ApiKeyTransfer, Refusal> + Send + 'static,
) -> Result<Answer<TransferView>, Problem> {
    let change = move |desk: &mut Desk| {
        let transfer = close(desk)?;
        transfers::listed(desk.tx, transfer)
    };
    Ok(Answer::of(
        call.change(call.organization()?, change).await?.into(),
    ))
}

pub async fn decline(
    call: Call,
    input: Input<TransferPath, NoQuery, NoBody>,
) -> Result<Answer<TransferView>, Problem> {
    closed(call, move |desk| transfers::decline(desk, input.path.id)).await
}

pub async fn withdraw(
    call: Call,
    input: Input<TransferPath, NoQuery, NoBody>,
) -> Result<Answer<TransferView>, Problem> {
    closed(call, move |desk| transfers::withdraw(desk, input.path.id)).await
}
