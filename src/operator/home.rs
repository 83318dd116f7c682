//! `/operator`: what waits, and the ways on.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::pages::HomePage;
use super::shell;
use crate::app::App;
use crate::domain::clients::approval;
use crate::domain::operations::resource_servers;
use crate::domain::rights::asker::Asker;
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
    let count = |snapshot: &mut Snapshot, asker: &Asker| {
        let asking = OrganizationFilter {
            production_access: Some(ProductionAccess::Requested),
            ..OrganizationFilter::default()
        };
        let production = snapshot
            .list_organizations_page(&asking, None, MOST_COUNTED)?
            .len();
        Ok((
            approval::list_waiting(snapshot, asker)?.len(),
            production,
            resource_servers::list(snapshot, asker)?.len(),
        ))
    };
    let (waiting, production, resource_servers) =
        shell::ask_everywhere(&app, &operator, count).await?;
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
