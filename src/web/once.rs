//! A form that makes something is good once.
//!
//! Invariant: the token of a form holds a number of the page it stands on, so a form that is sent again with the same
//! content (reload, double click, the back button, two at once) is known as the same. It makes nothing again, and no secret
//! is shown again: the answer is a page that leads to what the first one made. Its ticket commits with what it made
//! (`operations/idempotency.rs`), and is swept with the idempotency keys.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use super::desk;
use super::form::Form;
use super::html::{self, PageError};
use super::page::{Link, NoticePage, Shell};
use super::visitor::Visitor;
use crate::app::App;
use crate::crypto::digest::Purpose;
use crate::domain::Refusal;
use crate::domain::desk::Desk;
use crate::domain::operations::idempotency::{self, Ticket};
use crate::store::Tx;
use crate::types::id::OrganizationId;

/// What became of a form that makes something.
#[derive(Debug, Clone)]
pub enum Once<T> {
    Made(T),
    /// It was sent before: the id of what it made.
    MadeBefore(String),
}

/// The form as it was sent: by whom, from which page, where to, and with what in it.
pub fn ticket(
    app: &App,
    visitor: &Visitor,
    request: &HttpRequest,
    form: &Form,
) -> Result<Ticket, PageError> {
    let content = url::form_urlencoded::Serializer::new(format!("{}?", request.path()))
        .extend_pairs(form.pairs())
        .finish();
    let fingerprints = app.digester.candidates(Purpose::Request, &content);
    let key = fingerprints
        .first()
        .map(|digest| digest.as_str().to_owned())
        .unwrap_or_default();
    Ok(Ticket {
        caller: visitor.require()?.user.id.to_string(),
        route: format!("form {}", request.match_pattern().unwrap_or_default()),
        key,
        fingerprints,
    })
}

/// Makes something in the organization, once; `make` also returns the new id.
pub async fn make<T, F>(
    app: &App,
    visitor: &Visitor,
    organization: OrganizationId,
    ticket: Ticket,
    mut make: F,
) -> Result<Once<T>, Refusal>
where
    F: FnMut(&mut Desk<'_, '_>) -> Result<(String, T), Refusal> + Send + 'static,
    T: Send + 'static,
{
    let sent = ticket.clone();
    let change = move |desk: &mut Desk<'_, '_>| {
        let (settings, asker) = (desk.settings, desk.asker);
        enter(desk.tx, &sent, |tx| {
            make(&mut Desk {
                tx,
                settings,
                organization,
                asker,
            })
        })
    };
    let made = desk::change(app, visitor, organization, change).await;
    after_twin(app, ticket, made).await
}

/// Runs `make` unless the form was sent before.
pub fn enter<T>(
    tx: &mut Tx<'_>,
    ticket: &Ticket,
    make: impl FnOnce(&mut Tx<'_>) -> Result<(String, T), Refusal>,
) -> Result<Once<T>, Refusal> {
    match idempotency::once(tx, Some(ticket), make)? {
        idempotency::Once::Created(made) => Ok(Once::Made(made)),
        idempotency::Once::Replayed(id) => Ok(Once::MadeBefore(id)),
        // the ticket's key is the fingerprint itself
        idempotency::Once::Reused => Err(Refusal::Blocked(
            "This form was sent before, with something else in it.".to_owned(),
        )),
    }
}

/// Of two at once, the one that was too late is refused by what the other has made, if not by its ticket: now that is there.
pub async fn after_twin<T>(
    app: &App,
    ticket: Ticket,
    made: Result<Once<T>, Refusal>,
) -> Result<Once<T>, Refusal> {
    if made.is_ok() {
        return made;
    }
    let known = app
        .store
        .read(move |snapshot| {
            snapshot.find_idempotency_key(&ticket.caller, &ticket.route, &ticket.key)
        })
        .await;
    match known {
        Ok(Some(known)) => Ok(Once::MadeBefore(known.subject_id)),
        _ => made,
    }
}

/// The answer to a form that was sent again. `what` begins a sentence: "The API key".
pub fn made_before(shell: Shell, what: &str, way: Link) -> HttpResponse {
    let template = NoticePage {
        shell,
        heading: "Already made".to_owned(),
        message: format!(
            "{what} was already made, its secret was shown. You sent the same form again: nothing was made a second time, \
             and no secret is shown twice. If you did not copy it, make a new one and end this one."
        ),
        way_out: Some(way),
    };
    html::page(StatusCode::OK, &template, None)
}
