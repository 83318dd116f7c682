//! `/`: the way in.

use actix_web::HttpResponse;

use crate::web::html;
use crate::web::visitor::Visitor;

/// `GET /`.
pub async fn show(visitor: Visitor) -> HttpResponse {
    html::see_other(if visitor.signed_in().is_some() {
        "/dev-centre"
    } else {
        "/login"
    })
}
