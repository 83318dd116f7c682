//! client_credentials — RFC 6749 §4.4: the application acts as its own service account.

use std::sync::Arc;

use crate::app::App;
use crate::domain::authorizations::{self, Issuance, negotiate_scopes};
use crate::domain::clients::Client;
use crate::domain::ensure;
use crate::oauth::error::{Code, Error};
use crate::oauth::{oxide, token_response};
use crate::store::Verdict;
use crate::web::facts::Facts;
use crate::web::form::Form;

pub async fn exchange(app: &App, facts: &Facts, client: Arc<Client>, form: &Form) -> Result<Issuance, Error> {
    ensure(client.is_confidential(), Code::UnauthorizedClient.because("A public client cannot act as itself."))?;
    let lost = || Code::UnauthorizedClient.because("The application's service account, or its organization, has lost access.");
    let authorization = client.own_authorization.clone().ok_or_else(lost)?;
    let allowed = &client.application.scopes;
    let scopes = oxide::referee_client_credentials(&client, form.one("scope")?, |asked| negotiate_scopes(&app.catalogue, allowed, asked))?;
    // RFC 6749 §4.4.3: no refresh token
    let minted = token_response::mint(app, &client, false);
    if minted.access_token.is_none() {
        // a JWT has no row: nothing to write
        return Ok(authorizations::draft(facts.now, &app.config.oauth, authorization, scopes, minted));
    }
    let (config, catalogue) = (Arc::clone(&app.config), Arc::clone(&app.catalogue));
    app.store
        .write(facts.now, move |tx| Ok(Verdict::Done(authorizations::issue(tx, &catalogue, &config.oauth, authorization, scopes, minted)?)))
        .await
}
