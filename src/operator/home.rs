//! `/operator`: what waits, and the ways on.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::pages::HomePage;
use super::shell;
use crate::app::App;
use crate::domain::Refusal;
use crate::domain::clients::approval;
use crate::domain::decision::resource_servers;
use crate::store::Snapshot;
use crate::store::organizations::OrganizationFilter;
use crate::types::state::ProductionAccess;
use crate::web::html::{self, PageError};
use crate::web::visitor::Visitor;

/// Requests that are counted one by one.
const MOST_COUNTED: i64 = 200;

/// `GET /operator`.
pub async fn show(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let id = operator.id;
    let (catalogue, asker) = (Arc::clone(&app.catalogue), visitor.operator()?);
    let count = move |snapshot: &mut Snapshot| -> Result<_, Refusal> {
        let asking = OrganizationFilter {
            production_access: Some(ProductionAccess::Requested),
            ..OrganizationFilter::default()
        };
        let production = snapshot
            .list_organizations_page(&asking, None, MOST_COUNTED)?
            .len();
        Ok((
            approval::list_waiting(snapshot, &catalogue, &asker)?.len(),
            production,
            resource_servers::list(snapshot, id)?.len(),
        ))
    };
    let (waiting, production, resource_servers) = app.store.read(count).await?;
    Ok(html::page(
        StatusCode::OK,
        &HomePage {
            shell: operator.shell("Operator"),
            waiting,
            production,
            resource_servers,
        },
        None,
    ))
}
