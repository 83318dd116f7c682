//! Sign-out, here or everywhere: sessions end on the server, and the browser forgets both cookies.

use actix_web::{HttpRequest, HttpResponse, web};

use super::with_cookies;
use crate::app::App;
use crate::domain::ensure;
use crate::domain::people::identities::Denial;
use crate::domain::people::sessions;
use crate::store::{self, Verdict};
use crate::web::cookies;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::visitor::Visitor;

/// `POST /logout`. A browser that is signed out already ends at the same page.
pub async fn submit(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    // without a session there is nothing to protect, and the page may be older than the session's end
    if let Some(signed_in) = visitor.signed_in() {
        visitor.check_csrf(&form)?;
        let session = signed_in.session.clone();
        app.store
            .write(facts.now, move |tx| {
                sessions::end(tx, &session).map(Verdict::<(), store::Error>::Done)
            })
            .await?;
    }
    leave(&app)
}

/// `POST /logout/everywhere`: every session of the person ends, this one as well.
pub async fn everywhere(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    let person = visitor.require()?;
    visitor.check_csrf(&form)?;
    ensure(
        person.session.confined_to.is_none(),
        PageError::Forbidden(Denial::Confined.to_string()),
    )?;
    let user = person.user.id;
    app.store
        .write(facts.now, move |tx| {
            sessions::end_all(tx, user).map(Verdict::<(), store::Error>::Done)
        })
        .await?;
    leave(&app)
}

fn leave(app: &App) -> Result<HttpResponse, PageError> {
    with_cookies(
        html::see_other("/login"),
        cookies::removals(app.issuer.is_secure()),
    )
}
