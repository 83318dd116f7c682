//! The few static files, embedded.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};

use crate::web::html::PageError;

/// Name, content type, content.
const FILES: [(&str, &str, &[u8]); 2] = [
    (
        "countersign.css",
        "text/css; charset=utf-8",
        include_bytes!("../../static/countersign.css"),
    ),
    (
        "logo.svg",
        "image/svg+xml",
        include_bytes!("../../static/logo.svg"),
    ),
];

pub async fn get(name: web::Path<String>) -> Result<HttpResponse, PageError> {
    let (_, content_type, content) = FILES
        .iter()
        .find(|(own, ..)| *own == name.as_str())
        .ok_or(PageError::NotFound)?;
    Ok(HttpResponse::Ok()
        .content_type(*content_type)
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .body(*content))
}
