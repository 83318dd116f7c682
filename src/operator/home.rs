//! `/operator`: what waits, and the ways on.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::pages::HomePage;
use super::shell;
use crate::app::App;
use crate::domain::{Refusal, approval, resource_servers};
use crate::store::Snapshot;
use crate::web::html::{self, PageError};
use crate::web::visitor::Visitor;

/// `GET /operator`.
pub async fn show(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let id = operator.id;
    let count = move |snapshot: &mut Snapshot| -> Result<_, Refusal> {
        Ok((approval::list_waiting(snapshot, id)?.len(), resource_servers::list(snapshot, id)?.len()))
    };
    let (waiting, resource_servers) = app.store.read(count).await?;
    Ok(html::page(StatusCode::OK, &HomePage { shell: operator.shell("Operator"), waiting, resource_servers }, None))
}
