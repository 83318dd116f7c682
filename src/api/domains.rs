//! `/v1/domains`: what an organization proves to be its own, by a DNS record.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Change, Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::domains::domains::{self, NewDomain, Shown};
use crate::store::Tx;
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

fn config(call: &Call) -> Arc<Config> {
    Arc::clone(&call.app.config)
}

pub async fn list(
    call: Call,
    input: Input<NoPath, DomainQuery, NoBody>,
) -> Result<Answer<Page<Shown>>, Problem> {
    let (organization, caller, config) = (call.organization()?, call.caller, config(&call));
    let DomainQuery { limit, cursor } = input.query;
    let rows = call
        .read(move |snapshot| {
            domains::list(
                snapshot,
                &config,
                organization,
                caller,
                Cursor::place(cursor),
                limit.rows(),
            )
        })
        .await?;
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
) -> Result<Answer<Shown>, Problem> {
    let (organization, caller, config, id) = (
        call.organization()?,
        call.caller,
        config(&call),
        input.path.id,
    );
    Ok(Answer::of(
        call.read(move |snapshot| domains::get(snapshot, &config, organization, caller, id))
            .await?,
    ))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewDomainBody>,
) -> Result<Answer<Shown>, Problem> {
    let (organization, caller, config) = (call.organization()?, call.caller, config(&call));
    let NewDomainBody {
        name,
        include_subdomains,
    } = input.body;
    let settings = Arc::clone(&config);
    let create = move |tx: &mut Tx| {
        let owner = tx
            .find_organization(organization)?
            .ok_or(Refusal::NotFound)?;
        let made = domains::add(
            tx,
            &settings,
            &owner,
            caller,
            &NewDomain {
                name,
                include_subdomains,
            },
        )?;
        Ok((made.id.to_string(), made))
    };
    let again = move |tx: &mut Tx, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        domains::get(tx, &config, organization, caller, id)
    };
    let made = call.create(organization, create, again).await?;
    Ok(Answer::made(
        made,
        |row| format!("/v1/domains/{}", row.id),
        |row| row,
    ))
}

pub async fn change(
    call: Call,
    input: Input<DomainPath, NoQuery, DomainChangeBody>,
) -> Result<Answer<Shown>, Problem> {
    let (organization, caller, config, id) = (
        call.organization()?,
        call.caller,
        config(&call),
        input.path.id,
    );
    let wanted = input.body.include_subdomains.into_option();
    let change = move |tx: &mut Tx| match wanted {
        Some(include) => domains::choose_subdomains(tx, &config, organization, caller, id, include),
        None => domains::get(tx, &config, organization, caller, id),
    };
    Ok(Answer::of(call.write(organization, change).await?))
}

pub async fn delete(
    call: Call,
    input: Input<DomainPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let (organization, caller, config, id) = (
        call.organization()?,
        call.caller,
        config(&call),
        input.path.id,
    );
    call.write(organization, move |tx| {
        domains::remove(tx, &config, organization, caller, id)
    })
    .await?;
    Ok(Answer::none())
}

/// Looks for the record now.
pub async fn check(
    call: Call,
    input: Input<DomainPath, NoQuery, NoBody>,
) -> Result<Answer<Shown>, Problem> {
    let organization = call.organization()?;
    Ok(Answer::of(
        call.app
            .check_domain(organization, call.caller, input.path.id)
            .await?,
    ))
}
