//! What surrounds every page of the operator, and the way in.

use actix_web::{HttpRequest, web};

use crate::app::App;
use crate::types::id::UserId;
use crate::web::form::Form;
use crate::web::html::{PRODUCT, PageError};
use crate::web::page::{Shell, SignedIn};
use crate::web::visitor::Visitor;

/// An operator, and what the pages have around them.
pub struct Operator {
    pub id: UserId,
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
        id: user.id,
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
