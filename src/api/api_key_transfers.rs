//! `/v1/api-key-transfers`: keys that are offered to another owner, and `/v1/api-keys/{id}/transfer`, which offers one.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::api_key_views::{KeyWithSecretView, PersonView, word};
use super::api_keys::KeyPath;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::domain::Refusal;
use crate::domain::keys::api_keys;
use crate::domain::keys::transfers::{self, ListedTransfer};
use crate::store::api_key_transfers::ApiKeyTransfer;
use crate::store::{Snapshot, Tx};
use crate::types::id::{ApiKeyId, ApiKeyTransferId, OrganizationId, UserId};
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
    let (organization, by, config) = (
        call.organization()?,
        call.key_caller(),
        Arc::clone(&call.app.config),
    );
    let offer = move |tx: &mut Tx| {
        let transfer =
            transfers::offer(tx, &config, organization, &by, input.path.id, input.body.to)?;
        Ok((transfer.id.to_string(), transfers::listed(tx, transfer)?))
    };
    let again = move |tx: &mut Tx, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        let transfer = tx
            .find_api_key_transfer(organization, id)?
            .ok_or(Refusal::NotFound)?;
        transfers::listed(tx, transfer)
    };
    let made = call.create(organization, offer, again).await?;
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
    let (organization, by, config) = (
        call.organization()?,
        call.key_caller(),
        Arc::clone(&call.app.config),
    );
    let TransferQuery { limit, cursor } = input.query;
    let list = move |snapshot: &mut Snapshot| {
        transfers::list(
            snapshot,
            &config,
            organization,
            &by,
            Cursor::place(cursor),
            limit.rows(),
        )
    };
    let rows = call.read(list).await?;
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
    let (organization, by, config) = (
        call.organization()?,
        call.key_caller(),
        Arc::clone(&call.app.config),
    );
    let listed = call
        .read(move |snapshot| transfers::find(snapshot, &config, organization, &by, input.path.id))
        .await?;
    Ok(Answer::of(listed.into()))
}

/// The key with its new secret, which its new owner alone is shown.
pub async fn accept(
    call: Call,
    input: Input<TransferPath, NoQuery, NoBody>,
) -> Result<Answer<KeyWithSecretView>, Problem> {
    let (organization, by, config, now) = (
        call.organization()?,
        call.key_caller(),
        Arc::clone(&call.app.config),
        call.facts.now,
    );
    let id = input.path.id;
    let find = move |snapshot: &mut Snapshot| {
        let transfer = snapshot
            .find_api_key_transfer(organization, id)?
            .ok_or(Refusal::NotFound)?;
        snapshot
            .find_api_key(organization, transfer.api_key_id)?
            .ok_or(Refusal::NotFound)
    };
    let (minted, secret) = call.mint_for(&call.read(find).await?);
    let accept = move |tx: &mut Tx| {
        let key = transfers::accept(tx, &config, organization, &by, id, minted)?;
        Ok((key.id.to_string(), api_keys::listed_key(tx, key, now)?))
    };
    let again = move |tx: &mut Tx, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        let key = tx
            .find_api_key(organization, id)?
            .ok_or(Refusal::NotFound)?;
        api_keys::listed_key(tx, key, now)
    };
    let made = call.create(organization, accept, again).await?;
    let replayed = made.replayed;
    let view = |listed| KeyWithSecretView::of(listed, Some(secret), replayed, now);
    Ok(Answer::made(
        made,
        |listed| format!("/v1/api-keys/{}", listed.key.id),
        view,
    ))
}

async fn closed(
    call: Call,
    close: impl FnOnce(&mut Tx, OrganizationId) -> Result<ApiKeyTransfer, Refusal> + Send + 'static,
) -> Result<Answer<TransferView>, Problem> {
    let organization = call.organization()?;
    let change = move |tx: &mut Tx| {
        let transfer = close(tx, organization)?;
        transfers::listed(tx, transfer)
    };
    Ok(Answer::of(call.write(organization, change).await?.into()))
}

pub async fn decline(
    call: Call,
    input: Input<TransferPath, NoQuery, NoBody>,
) -> Result<Answer<TransferView>, Problem> {
    let by = call.key_caller();
    closed(call, move |tx, organization| {
        transfers::decline(tx, organization, &by, input.path.id)
    })
    .await
}

pub async fn withdraw(
    call: Call,
    input: Input<TransferPath, NoQuery, NoBody>,
) -> Result<Answer<TransferView>, Problem> {
    let (by, config) = (call.key_caller(), Arc::clone(&call.app.config));
    closed(call, move |tx, organization| {
        transfers::withdraw(tx, &config, organization, &by, input.path.id)
    })
    .await
}
