//! Connected applications: what a person lets applications do in their name, and the way to take it back.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::{ConnectedApp, ConnectedAppRevokePage, ConnectedAppsPage, Maker};
use crate::app::App;
use crate::config::Catalogue;
use crate::domain::Refusal;
use crate::domain::clients::consents::{self, Connected};
use crate::store::{Snapshot, Tx, Verdict};
use crate::types::id::ConsentId;
use crate::types::state::ReachKind;
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::ScopeRow;
use crate::web::visitor::Visitor;

const LIST: &str = "/account/applications";
/// `?done=revoked`: what the page says behind a revocation.
const REVOKED: &str = "revoked";

/// `GET /account/applications`.
pub async fn list(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let (user, only) = (
        visitor.require()?.user.id,
        visitor.require()?.session.confined_to,
    );
    let query = Form::of_query(&request)?;
    let mut connected = app
        .store
        .read(move |snapshot| consents::list_connected(snapshot, user))
        .await?;
    connected.retain(|own| only.is_none_or(|only| only == own.consent.organization_id));
    let template = ConnectedAppsPage {
        shell: visitor.shell("Connected applications"),
        revoked: query.field("done") == REVOKED,
        applications: connected
            .into_iter()
            .map(|own| row(&app.settings.catalogue, own, facts.now))
            .collect(),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /account/applications/{id}/revoke`.
pub async fn confirm_revoke(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let session = visitor.require()?.session.clone();
    let id = parse_id(&path)?;
    let find = move |snapshot: &mut Snapshot| {
        consents::ensure_within(snapshot, &session, id)?;
        consents::find_connected(snapshot, session.user_id, id)
    };
    let connected = app.store.read(find).await?;
    let template = ConnectedAppRevokePage {
        shell: visitor.shell("Take access back"),
        csrf: visitor.csrf(),
        application: row(&app.settings.catalogue, connected, facts.now),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /account/applications/{id}/revoke`. What was taken back already stays so.
pub async fn revoke(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let session = visitor.require()?.session.clone();
    let id = parse_id(&path)?;
    let revoke = move |tx: &mut Tx| {
        consents::ensure_within(tx, &session, id)?;
        consents::revoke(tx, session.user_id, id).map(Verdict::<_, Refusal>::Done)
    };
    app.store.write(facts.now, revoke).await?;
    Ok(html::see_other(&format!("{LIST}?done={REVOKED}")))
}

fn parse_id(text: &str) -> Result<ConsentId, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}

fn row(catalogue: &Catalogue, connected: Connected, now: Timestamp) -> ConnectedApp {
    let Connected {
        consent,
        application,
        made_by,
        is_own,
        organization_name,
        workspaces,
        last_used_at,
        marked_at,
    } = connected;
    ConnectedApp {
        maker: if is_own {
            Maker::Own
        } else if application.verified_at.is_some() {
            Maker::Verified
        } else {
            Maker::Unverified
        },
        stopped: application.stopped_at.is_some(),
        name: application.name,
        made_by,
        environment: application.environment,
        organization: organization_name,
        workspaces: (consent.reach == ReachKind::Workspaces).then_some(workspaces),
        scopes: ScopeRow::list(catalogue, |scope| consent.scopes.contains(&scope.name)),
        connected: consent.created_at.date_time(),
        last_used: last_used_at.map(|at| (at.date_time(), at.ago(now))),
        marked: marked_at.map(|at| (at.date_time(), at.ago(now))),
        revoke_href: format!("{LIST}/{}/revoke", consent.id),
    }
}
