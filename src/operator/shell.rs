//! What surrounds every page of the operator, the way in, and the way to the rules.

use std::sync::Arc;

use actix_web::{HttpRequest, web};

use crate::app::App;
use crate::domain::Refusal;
use crate::domain::desk::{Desk, VendorDesk, VendorView, View};
use crate::domain::operations::idempotency::Ticket;
use crate::domain::rights::asker::Asker;
use crate::store::{Snapshot, Tx, Verdict};
use crate::types::id::OrganizationId;
use crate::types::time::Timestamp;
use crate::web::form::Form;
use crate::web::html::{PRODUCT, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{Shell, SignedIn};
use crate::web::visitor::Visitor;

/// An operator, and what the pages have around them.
pub struct Operator {
    pub asker: Asker,
    /// The instant of the request.
    pub now: Timestamp,
    signed_in: SignedIn,
}

impl Operator {
    pub fn shell(&self, title: &str) -> Shell {
        Shell {
            title: title.to_owned(),
            product_name: PRODUCT.to_owned(),
            signed_in: Some(self.signed_in.clone()),
            active_section: None,
        }
    }

    /// The token of this page's forms.
    pub fn csrf(&self) -> String {
        self.signed_in.csrf.clone()
    }
}

pub fn enter(visitor: &Visitor) -> Result<Operator, PageError> {
    let user = &visitor.require_operator()?.user;
    let email = user.email.clone().unwrap_or_default();
    Ok(Operator {
        asker: visitor.operator()?,
        now: visitor.now(),
        signed_in: SignedIn {
            email,
            csrf: visitor.csrf(),
            operator: true,
            ..SignedIn::default()
        },
    })
}

/// The operator and the form they sent. Who is none learns nothing of the form.
pub async fn submitted(
    app: &App,
    visitor: &Visitor,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Operator, Form), PageError> {
    let operator = enter(visitor)?;
    let form = Form::read(request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    Ok((operator, form))
}

/// Asks one question about the organization, in one snapshot.
pub async fn ask<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    organization: OrganizationId,
    question: impl FnOnce(&mut View<'_, '_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (settings, asker, now) = (
        Arc::clone(&app.settings),
        operator.asker.clone(),
        operator.now,
    );
    let read = move |snapshot: &mut Snapshot| {
        question(&mut View {
            snapshot,
            settings: &settings,
            organization,
            asker: &asker,
            now,
        })
    };
    app.store.read(read).await
}

/// Changes something in the organization, behind its lock. The closure may run twice: it borrows what it captured.
pub async fn change<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    organization: OrganizationId,
    mut change: impl FnMut(&mut Desk<'_, '_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (settings, asker) = (Arc::clone(&app.settings), operator.asker.clone());
    let write = move |tx: &mut Tx| {
        let mut desk = Desk {
            tx,
            settings: &settings,
            organization,
            asker: &asker,
        };
        change(&mut desk).map(Verdict::Done)
    };
    app.store
        .write_organization(organization, operator.now, write)
        .await
}

/// Makes something that belongs to no organization, by a form that is good once; `make` also returns the new id.
pub async fn make_everywhere<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    ticket: Ticket,
    mut make: impl FnMut(&mut Tx<'_>, &Asker) -> Result<(String, T), Refusal> + Send + 'static,
) -> Result<Once<T>, Refusal> {
    let sent = ticket.clone();
    let change = move |tx: &mut Tx<'_>, asker: &Asker| once::enter(tx, &sent, |tx| make(tx, asker));
    let made = change_everywhere(app, operator, change).await;
    once::after_twin(app, ticket, made).await
}

/// Asks by a rule of the vendor's, in one snapshot.
pub async fn ask_vendor<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    question: impl FnOnce(&mut VendorView<'_, '_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (settings, asker) = (Arc::clone(&app.settings), operator.asker.clone());
    let read = move |snapshot: &mut Snapshot| {
        question(&mut VendorView {
            snapshot,
            settings: &settings,
            asker: &asker,
        })
    };
    app.store.read(read).await
}

/// Changes something by a rule of the vendor's. The closure may run twice: it borrows what it captured.
pub async fn change_vendor<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    mut change: impl FnMut(&mut VendorDesk<'_, '_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (settings, asker) = (Arc::clone(&app.settings), operator.asker.clone());
    let write = move |tx: &mut Tx| {
        let mut desk = VendorDesk {
            tx,
            settings: &settings,
            asker: &asker,
        };
        change(&mut desk).map(Verdict::Done)
    };
    app.store.write(operator.now, write).await
}

/// Makes something by a rule of the vendor's, by a form that is good once; `make` also returns the new id.
pub async fn make_vendor<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    ticket: Ticket,
    mut make: impl FnMut(&mut VendorDesk<'_, '_>) -> Result<(String, T), Refusal> + Send + 'static,
) -> Result<Once<T>, Refusal> {
    let sent = ticket.clone();
    let change = move |desk: &mut VendorDesk<'_, '_>| {
        let (settings, asker) = (desk.settings, desk.asker);
        once::enter(desk.tx, &sent, |tx| {
            make(&mut VendorDesk {
                tx,
                settings,
                asker,
            })
        })
    };
    let made = change_vendor(app, operator, change).await;
    once::after_twin(app, ticket, made).await
}

/// Asks about what belongs to no organization, in one snapshot.
pub async fn ask_everywhere<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    question: impl FnOnce(&mut Snapshot<'_>, &Asker) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let asker = operator.asker.clone();
    app.store
        .read(move |snapshot| question(snapshot, &asker))
        .await
}

/// Changes what belongs to no organization. The closure may run twice: it borrows what it captured.
pub async fn change_everywhere<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    mut change: impl FnMut(&mut Tx<'_>, &Asker) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let asker = operator.asker.clone();
    let write = move |tx: &mut Tx| change(tx, &asker).map(Verdict::Done);
    app.store.write(operator.now, write).await
}
