//! `/v1/operator-tokens`: the credentials of the vendor's own programs, made and ended by another of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use crate::crypto::digest::Purpose;
use crate::crypto::format::{self, TokenKind};
use crate::domain::Refusal;
use crate::domain::desk::{VendorDesk, VendorView};
use crate::domain::operations::operator_tokens::{self, NewOperatorToken};
use crate::store::operator_tokens::OperatorToken;
use crate::types::id::OperatorTokenId;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// An operator token, by what may be shown of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OperatorToken")]
pub struct OperatorTokenView {
    id: OperatorTokenId,
    name: String,
    /// How it starts.
    hint: String,
    /// Names of the permission catalogue; `*` is all of them.
    permissions: Vec<String>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl From<OperatorToken> for OperatorTokenView {
    fn from(row: OperatorToken) -> Self {
        Self {
            id: row.id,
            name: row.name,
            hint: row.hint,
            permissions: row.permissions.split(' ').map(str::to_owned).collect(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// The newest first, revoked ones too.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OperatorTokens {
    data: Vec<OperatorTokenView>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorTokenPath {
    id: OperatorTokenId,
}

/// A token to be made: it holds no more than the one that makes it, ends no later, and ends with it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOperatorToken")]
pub struct NewOperatorTokenBody {
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// Names of the permission catalogue.
    #[schemars(length(min = 1, max = 200))]
    permissions: Vec<String>,
    /// Left out or null: it does not expire.
    expires_at: Option<Timestamp>,
}

/// What a create answers with: the only time that the token is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedOperatorToken")]
pub struct CreatedTokenView {
    #[serde(flatten)]
    row: OperatorTokenView,
    /// null when the request was sent before.
    token: Option<String>,
}

pub async fn list(
    call: Call,
    _: Input<NoPath, NoQuery, NoBody>,
) -> Result<Answer<OperatorTokens>, Problem> {
    let list = |view: &mut VendorView| operator_tokens::list(view);
    let data = call.ask_vendor(list).await?;
    let data = data.into_iter().map(OperatorTokenView::from).collect();
    Ok(Answer::of(OperatorTokens { data }))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewOperatorTokenBody>,
) -> Result<Answer<CreatedTokenView>, Problem> {
    let NewOperatorTokenBody {
        name,
        permissions,
        expires_at,
    } = input.body;
    // the rule takes an empty list for everything: here everything is named
    if permissions.is_empty() {
        return Err(Refusal::field("permissions", "must name at least one").into());
    }
    let token = format::mint_token(&call.app.config.keys.prefix, TokenKind::OperatorToken);
    let new = NewOperatorToken {
        name,
        permissions,
        expires_at,
        digest: call
            .app
            .digester
            .digest(Purpose::OperatorToken, token.expose()),
        hint: format::hint(&token),
    };
    let create = move |desk: &mut VendorDesk| {
        let made = operator_tokens::grant(desk, &new)?;
        Ok((made.id.to_string(), made))
    };
    let again = |desk: &mut VendorDesk, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        desk.tx.find_operator_token(id)?.ok_or(Refusal::NotFound)
    };
    let made = call.make_vendor(create, again).await?;
    let token = (!made.replayed).then(|| token.expose().to_owned());
    let location = |row: &OperatorToken| format!("/v1/operator-tokens/{}", row.id);
    Ok(Answer::made(made, location, |row| CreatedTokenView {
        row: row.into(),
        token,
    }))
}

pub async fn delete(
    call: Call,
    input: Input<OperatorTokenPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let end = move |desk: &mut VendorDesk| operator_tokens::end(desk, input.path.id);
    call.change_vendor(end).await?;
    Ok(Answer::none())
}
