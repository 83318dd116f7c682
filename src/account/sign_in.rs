//! Sign-in with an e-mail address and a password (NIST SP 800-63B §3.1.1, §3.2.2).
//!
//! Invariant: an unknown address, a wrong password, a suspended person and a service account get the same answer after the
//! same work; failures count for the address they come from, alone and with the account, never for the account alone, so
//! that nobody can lock somebody else out.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::SignInPage;
use super::with_cookies;
use crate::app::App;
use crate::config::Sessions;
use crate::crypto::digest::Purpose;
use crate::crypto::password::network;
use crate::domain::decision::limiter::Quota;
use crate::domain::people::accounts::{self, MOST_PASSWORD};
use crate::domain::people::identities;
use crate::domain::people::sessions;
use crate::store::users::User;
use crate::store::{self, Verdict};
use crate::types::email::Mailbox;
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PRODUCT, PageError};
use crate::web::page::{Link, Shell};
use crate::web::problem::RETRY_SECONDS;
use crate::web::provider::Provider;
use crate::web::return_to::local_path;
use crate::web::visitor::{Visitor, mint_session_token, removal_cookies, session_cookie};

const WRONG: &str = "The e-mail address or the password is wrong.";
/// Behind it, with its query, an application waits for the sign-in.
const AUTHORIZE: &str = "/oauth2/authorize?";

/// `GET /login?return_to=&with=`.
pub async fn form(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let query = Form::of_query(&request)?;
    let return_to = local_path(query.field("return_to"));
    if visitor.signed_in().is_some() {
        return Ok(html::see_other(return_to));
    }
    page(
        &app,
        &visitor,
        return_to,
        None,
        query.field("with") == "password",
    )
    .await
}

/// `POST /login` with `csrf email password return_to`.
pub async fn submit(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&["email", "password", "return_to"])?;
    let (email, return_to) = (form.field("email"), local_path(form.field("return_to")));
    match prove(&app, &facts, email, form.field("password")).await? {
        Some(person) => start(&app, &visitor, facts.now, person.id, None, return_to).await,
        None => page(&app, &visitor, return_to, Some(email), true).await,
    }
}

/// The person whose password this is.
pub(super) async fn prove(
    app: &App,
    facts: &Facts,
    email: &str,
    password: &str,
) -> Result<Option<User>, PageError> {
    if email.len() > MOST_PASSWORD || password.len() > MOST_PASSWORD {
        return Ok(None);
    }
    // what is no address is nobody's, and costs the same
    let account =
        Mailbox::parse(email).map_or_else(|_| email.to_owned(), |mailbox| mailbox.account_key());
    let failures = Failures::new(&app.config.sessions, &account, facts.address);
    failures.refuse_full(app, facts.now)?;
    let person = app
        .store
        .read(move |snapshot| accounts::find_person(snapshot, &account))
        .await?;
    let stored = person
        .as_ref()
        .and_then(|person| person.password_hash.clone());
    let verified = app
        .passwords
        .verify(facts.address, password.to_owned(), stored)
        .await;
    let verified = verified.map_err(|_| PageError::TooMany {
        retry_after_seconds: RETRY_SECONDS,
    })?;
    let proven = verified
        && person
            .as_ref()
            .is_some_and(|person| identities::has_password(&app.config.identity, person));
    // again: of many tries sent at once, those above the limit learn nothing
    failures.refuse_full(app, facts.now)?;
    if !proven {
        failures.count(app, facts.now);
    }
    Ok(person.filter(|_| proven))
}

/// What may fail from one network: at all, and at one account.
struct Failures {
    network: String,
    quotas: [Quota; 2],
}

impl Failures {
    fn new(config: &Sessions, account: &str, address: IpAddr) -> Self {
        let network = network(address).to_string();
        let from_address = Quota::new(
            "sign_in_address",
            network.as_str(),
            config.failures_per_address,
        );
        let at_account = Quota::new(
            "sign_in_account",
            format!("{account} {network}"),
            config.failures_per_account,
        );
        Self {
            network,
            quotas: [from_address, at_account],
        }
    }

    fn refuse_full(&self, app: &App, now: Timestamp) -> Result<(), PageError> {
        match self
            .quotas
            .iter()
            .find(|quota| !app.limiter.is_free(&self.network, quota, now))
        {
            Some(full) => Err(PageError::TooMany {
                retry_after_seconds: full.rate.window_seconds,
            }),
            None => Ok(()),
        }
    }

    /// One by one: a full one does not keep the other from counting.
    fn count(&self, app: &App, now: Timestamp) {
        for quota in &self.quotas {
            app.limiter
                .take(&self.network, std::slice::from_ref(quota), now);
        }
    }
}

/// Starts a session under a new id, ends the one that this browser had, and goes on.
pub(super) async fn start(
    app: &App,
    visitor: &Visitor,
    now: Timestamp,
    person: UserId,
    confined_to: Option<OrganizationId>,
    return_to: &str,
) -> Result<HttpResponse, PageError> {
    let token = mint_session_token();
    let digest = app.digester.digest(Purpose::Session, &token);
    let (settings, former) = (
        Arc::clone(&app.settings),
        visitor
            .signed_in()
            .map(|signed_in| signed_in.session.clone()),
    );
    let begin = move |tx: &mut store::Tx| {
        if let Some(former) = &former {
            sessions::end(tx, former)?;
        }
        sessions::start(tx, &settings.sessions, person, &digest, confined_to)
            .map(Verdict::<_, store::Error>::Done)
    };
    app.store.write(now, begin).await?;
    let secure = app.issuer.is_secure();
    let [_, stranger] = removal_cookies(secure);
    with_cookies(
        html::see_other(return_to),
        [session_cookie(secure, token), stranger],
    )
}

/// The form; `refused`: the address that was typed before. The password is never shown again. `asked`: for the form with
/// the password, which only operators have a use for while local accounts are off.
async fn page(
    app: &App,
    visitor: &Visitor,
    return_to: &str,
    refused: Option<&str>,
    asked: bool,
) -> Result<HttpResponse, PageError> {
    let waiting = waiting_application(app, return_to).await?;
    let with_password = app.config.identity.local_accounts || asked;
    let template = SignInPage {
        shell: Shell {
            title: "Sign in".to_owned(),
            product_name: PRODUCT.to_owned(),
            signed_in: None,
            active_section: None,
        },
        csrf: visitor.csrf(),
        email: refused.unwrap_or_default().to_owned(),
        error: refused.map(|_| WRONG.to_owned()),
        return_to: return_to.to_owned(),
        on_behalf_of: waiting.as_ref().map(|waiting| waiting.name.clone()),
        providers: providers(app, return_to).await?,
        with_password,
        password_href: (!with_password).then(|| password_path(return_to)),
        reset_href: None,
        sign_up_href: None,
    };
    let status = if refused.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let response = html::page(
        status,
        &template,
        waiting.as_ref().map(|waiting| waiting.form_action.as_str()),
    );
    with_cookies(response, visitor.cookie())
}

fn password_path(return_to: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("with", "password")
        .append_pair("return_to", return_to)
        .finish();
    format!("/login?{query}")
}

/// Buttons: to the provider of the organization that is waiting, and to the operator's.
async fn providers(app: &App, return_to: &str) -> Result<Vec<Link>, PageError> {
    let button = |realm: &str, name: &str| Link {
        href: Provider::href(realm, return_to),
        label: format!("Sign in with {name}"),
    };
    let mut found = Vec::new();
    if let Some(organization) = waiting_organization(return_to) {
        let own = Provider::of_organization(app, organization).await?;
        found.extend(own.map(|own| button(own.id.as_str(), &own.name)));
    }
    found.extend(
        Provider::operator(app).map(|operator| button(operator.realm.as_str(), &operator.name)),
    );
    Ok(found)
}

fn waiting_organization(return_to: &str) -> Option<OrganizationId> {
    let (organization, _) = return_to
        .strip_prefix("/dev-centre/")?
        .split_once(['/', '?'])?;
    organization.parse().ok()
}

/// The application behind the sign-in, and where the browser is sent in the end: Chromium holds `form-action` against
/// every redirect that follows the form.
struct Waiting {
    name: String,
    form_action: String,
}

async fn waiting_application(app: &App, return_to: &str) -> Result<Option<Waiting>, store::Error> {
    let Some((client, asked)) = authorization_asked(return_to) else {
        return Ok(None);
    };
    let Some(client) = app.client(client).await? else {
        return Ok(None);
    };
    let target = client.redirect_uri(asked.as_ref());
    Ok(target.map(|uri| Waiting {
        name: client.application.name.clone(),
        form_action: uri.form_action_source(),
    }))
}

/// Client and redirect URI of the authorization request that `return_to` goes back to.
fn authorization_asked(return_to: &str) -> Option<(ApplicationId, Option<RedirectUri>)> {
    let query = Form::parse(return_to.strip_prefix(AUTHORIZE)?).ok()?;
    let client = query.one("client_id").ok()??.parse().ok()?;
    let redirect_uri = query
        .one("redirect_uri")
        .ok()?
        .map(str::parse)
        .transpose()
        .ok()?;
    Some((client, redirect_uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "app_0123456789ABCDEFGHIJKL";

    #[test]
    fn the_waiting_application_is_read_from_the_way_back() {
        let asked = authorization_asked(&format!(
            "/oauth2/authorize?client_id={CLIENT}&redirect_uri=https%3A%2F%2Fa.example%2Fcb&state=x"
        ));
        let (client, redirect_uri) = asked.expect("an authorization request");
        assert_eq!(client.as_str(), CLIENT);
        assert_eq!(
            redirect_uri.map(|uri| uri.origin()).as_deref(),
            Some("https://a.example")
        );
        assert!(
            authorization_asked(&format!("/oauth2/authorize?client_id={CLIENT}"))
                .is_some_and(|(_, uri)| uri.is_none())
        );
    }

    #[test]
    fn what_is_no_authorization_request_names_nobody() {
        for return_to in [
            "/".to_owned(),
            "/oauth2/authorize".to_owned(),
            "/oauth2/authorize?client_id=app_1".to_owned(),
            format!("/oauth2/authorized?client_id={CLIENT}"),
            format!("/oauth2/authorize?client_id={CLIENT}&client_id={CLIENT}"),
            format!("/oauth2/authorize?client_id={CLIENT}&redirect_uri=javascript%3Aalert(1)"),
        ] {
            assert!(authorization_asked(&return_to).is_none(), "{return_to}");
        }
    }

    #[test]
    fn failures_never_count_for_an_account_alone() {
        let network_of = |address: [u8; 4]| {
            Failures::new(&Sessions::default(), "ada@acme.example", address.into())
        };
        let (owner, attacker) = (network_of([192, 0, 2, 1]), network_of([192, 0, 2, 2]));
        for (own, other) in owner.quotas.iter().zip(&attacker.quotas) {
            assert_ne!(own.subject, other.subject);
        }
    }
}
