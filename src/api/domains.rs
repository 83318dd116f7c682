//! `/v1/domains`: what an organization proves to be its own, by a DNS record.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Change, Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::domains::domains::{self, DomainView, NewDomain};
use crate::types::id::DomainId;
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainPath {
    id: DomainId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<DomainId>>,
}

/// A domain to be proven.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDomain", example = serde_json::json!({"name": "brand.example"}))]
pub struct NewDomainBody {
    /// As people write it: `bücher.example` is kept as `xn--bcher-kva.example`.
    #[schemars(length(min = 1, max = 1000))]
    name: String,
    /// Whether its sub-domains count as own, too; left out or null: as the installation says.
    include_subdomains: Option<bool>,
}

/// What is to change of a domain; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DomainChange")]
pub struct DomainChangeBody {
    /// null: as the installation says.
    #[serde(default)]
    include_subdomains: Change<bool>,
}

pub async fn list(
    call: Call,
    input: Input<NoPath, DomainQuery, NoBody>,
) -> Result<Answer<Page<DomainView>>, Problem> {
    let DomainQuery { limit, cursor } = input.query;
    let list = move |view: &mut View| domains::list(view, Cursor::place(cursor)?, limit.rows());
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.created_at, row.id),
        |row| row,
    )))
}

pub async fn get(
    call: Call,
    input: Input<DomainPath, NoQuery, NoBody>,
) -> Result<Answer<DomainView>, Problem> {
    let get = move |view: &mut View| domains::get(view, input.path.id);
    Ok(Answer::of(call.ask(call.organization()?, get).await?))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewDomainBody>,
) -> Result<Answer<DomainView>, Problem> {
    let NewDomainBody {
        name,
        include_subdomains,
    } = input.body;
    let new = NewDomain {
        name,
        include_subdomains,
        verification_token: domains::mint_verification_token(),
    };
    let create = move |desk: &mut Desk| {
        let made = domains::add(desk, &new)?;
        Ok((made.id.to_string(), made))
    };
    let again = |desk: &mut Desk, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        domains::get(&mut desk.view(), id)
    };
    let made = call.make(call.organization()?, create, again).await?;
    Ok(Answer::made(
        made,
        |row| format!("/v1/domains/{}", row.id),
        |row| row,
    ))
}

pub async fn change(
    call: Call,
    input: Input<DomainPath, NoQuery, DomainChangeBody>,
) -> Result<Answer<DomainView>, Problem> {
    let (id, wanted) = (input.path.id, input.body.include_subdomains.into_option());
    let change = move |desk: &mut Desk| match wanted {
        Some(include) => domains::choose_subdomains(desk, id, include),
        None => domains::get(&mut desk.view(), id),
    };
    Ok(Answer::of(call.change(call.organization()?, change).await?))
}

pub async fn delete(
    call: Call,
    input: Input<DomainPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let delete = move |desk: &mut Desk| domains::remove(desk, input.path.id);
    call.change(call.organization()?, delete).await?;
    Ok(Answer::none())
}

/// Looks for the record now.
pub async fn check(
    call: Call,
    input: Input<DomainPath, NoQuery, NoBody>,
) -> Result<Answer<DomainView>, Problem> {
    let organization = call.organization()?;
    Ok(Answer::of(
        call.app
            .check_domain(organization, &call.asker, input.path.id)
            .await?,
    ))
}
