//! Keeps the signing keys on their schedule, and takes over what `signing-keys rotate` made beside the running server.

use std::time::Duration;

use actix_web::web;

use crate::app::App;

/// One small query; also how late the server learns of an urgent rotation.
const EVERY: Duration = Duration::from_secs(10);

/// Runs until the server's runtime ends.
pub async fn run(app: web::Data<App>) {
    loop {
        actix_web::rt::time::sleep(EVERY).await;
        if let Err(error) = app.tend_signing_keys().await {
            // the keys at hand go on signing
            tracing::error!("The signing keys could not be looked after: {error}");
        }
    }
}
