//! `/v1/organizations`: a credential sees its own; an operator token all of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::domain::{Refusal, ensure};
use crate::store::organizations::Organization;
use crate::types::id::OrganizationId;
use crate::types::state::{OrganizationState, ProductionAccess};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// An organization.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
pub struct OrganizationView {
    pub id: OrganizationId,
    pub name: String,
    /// The vendor's own name for it.
    pub external_id: Option<String>,
    #[serde(serialize_with = "word")]
    pub state: OrganizationState,
    #[serde(serialize_with = "word")]
    pub production_access: ProductionAccess,
    pub created_at: Timestamp,
}

fn word<W: std::fmt::Display, S: serde::Serializer>(word: &W, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(word)
}

impl From<Organization> for OrganizationView {
    fn from(row: Organization) -> Self {
        let Organization { id, name, external_id, state, production_access, created_at, .. } = row;
        Self { id, name, external_id, state, production_access, created_at }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationPath {
    id: OrganizationId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<OrganizationId>>,
    external_id: Option<String>,
}

pub async fn list(call: Call, input: Input<NoPath, OrganizationQuery, NoBody>) -> Result<Answer<Page<OrganizationView>>, Problem> {
    let OrganizationQuery { limit, cursor, external_id } = input.query;
    let own = call.organization;
    let rows = call
        .read(move |snapshot| match own {
            None => Ok(snapshot.list_organizations_page(external_id.as_deref(), Cursor::place(cursor), limit.rows())?),
            // one is a page
            Some(_) if cursor.is_some() => Ok(Vec::new()),
            Some(own) => {
                let named = |row: &Organization| external_id.is_none() || row.external_id == external_id;
                Ok::<_, Refusal>(snapshot.find_organization(own)?.filter(named).into_iter().collect())
            }
        })
        .await?;
    Ok(Answer::of(Page::of(limit, rows, |row| (row.created_at, row.id), OrganizationView::from)))
}

pub async fn get(call: Call, input: Input<OrganizationPath, NoQuery, NoBody>) -> Result<Answer<OrganizationView>, Problem> {
    let id = input.path.id;
    ensure(call.organization.is_none_or(|own| own == id), Problem::from(Refusal::NotFound))?;
    let found = call.read(move |snapshot| snapshot.find_organization(id)?.ok_or(Refusal::NotFound)).await?;
    Ok(Answer::of(found.into()))
}
