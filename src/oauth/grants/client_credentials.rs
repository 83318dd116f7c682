//! client_credentials — RFC 6749 §4.4: the application acts as its own service account.

use std::sync::Arc;

use crate::app::App;
use crate::domain::clients::authorizations::{self, Entitlement, Issuance, Terms, TokenExtent};
use crate::domain::clients::clients::Client;
use crate::domain::ensure;
use crate::oauth::error::{Code, Error};
use crate::oauth::{referee, resource, scope, token_response};
use crate::store::Verdict;
use crate::web::facts::Facts;
use crate::web::form::Form;

pub async fn exchange(
    app: &App,
    facts: &Facts,
    client: Arc<Client>,
    form: &Form,
) -> Result<Issuance, Error> {
    ensure(
        client.is_confidential(),
        Code::UnauthorizedClient.because("A public client cannot act as itself."),
    )?;
    let lost = || {
        Code::UnauthorizedClient
            .because("The application's service account, or its organization, has lost access.")
    };
    let (authorization, prospect) = client.own_authorization(facts.now).ok_or_else(lost)?;
    let allowed = &client.application.scopes;
    let asked = form.one("scope")?;
    let ours = scope::negotiate(&app.settings.catalogue, allowed, asked);
    let scopes = referee::client_credentials(&client, asked, ours)?;
    let environment = client.application.environment;
    let resources = resource::registered(app, resource::asked(form)?, environment).await?;
    let terms = Terms::of(&app.config.oauth, &client.application);
    let entitlement = Entitlement {
        authorization,
        extent: TokenExtent { scopes, resources },
        generation: 0,
    };
    // RFC 6749 §4.4.3: no refresh token
    let minted = token_response::mint(app, &client, false);
    if minted.access_token.is_none() {
        // a JWT has no row: nothing to write
        return Ok(authorizations::draft(
            facts.now,
            &terms,
            entitlement,
            minted,
            prospect,
        ));
    }
    let catalogue = Arc::clone(&app.settings.catalogue);
    app.store
        .write(facts.now, move |tx| {
            Ok(Verdict::Done(authorizations::issue(
                tx,
                &catalogue,
                &terms,
                entitlement.clone(),
                &minted,
            )?))
        })
        .await
}
