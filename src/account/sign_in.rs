//! Sign-in with an e-mail address and a password (NIST SP 800-63B §3.1.1, §3.2.2).
//!
//! Invariants:
//!
//! - An unknown address, a wrong password, a suspended person and a service account get the same answer after the same work.
//! - A *known device*, in which the person has signed in before, has a budget of its own: nothing that others do stops it.
//! - Elsewhere failures count for the address they come from with the account. When an address has failed at many accounts, each
//!   account is tried once from there: whoever shares the address and types the right password comes in.
//! - After [`MOST_WRONG_PASSWORDS`](crate::domain::people::passwords::MOST_WRONG_PASSWORDS) in a row, from whatever addresses, the
//!   password alone signs in from known devices only. A right one there, a new one, or the operator's provider is the way back.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, REFRESH};
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::SignInPage;
use super::{known_devices, with_cookies};
use crate::app::App;
use crate::config::Sessions;
use crate::crypto::digest::Purpose;
use crate::crypto::password::{Turn, network};
use crate::domain::decision::limiter::{Limiter, Quota};
use crate::domain::people::identities;
use crate::domain::people::passwords::{self, MOST_PASSWORD};
use crate::domain::people::sessions;
use crate::domain::people::{accounts, addresses};
use crate::store::users::User;
use crate::store::{self, Tx, Verdict};
use crate::types::id::{ApplicationId, OrganizationId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::time::Timestamp;
use crate::web::cookies::{self, mint_session_token};
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PRODUCT, PageError};
use crate::web::page::{Link, NoticePage, Shell};
use crate::web::provider::Provider;
use crate::web::return_to::local_path;
use crate::web::visitor::Visitor;

/// The same for everybody: it must not tell which accounts there are.
const WRONG: &str = "The e-mail address or the password is wrong. If many wrong ones were tried lately, sign in where you have signed in before, or with a provider, or ask whoever runs this service.";
/// Behind it, with its query, an application waits for the sign-in.
const AUTHORIZE: &str = "/oauth2/authorize?";
const CONTINUE: &str = "/login/continue?";
const STALE: &str = "This page was no longer up to date. Enter your password once more.";

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
    let asked = query.field("with") == "password";
    page(&app, &visitor, return_to, None, asked).await
}

/// `GET /login/continue?…`: between a sign-in and the authorization request with this query. Chromium holds the sign-in
/// form's `form-action` against every redirect behind it, and an application that was allowed before redirects on to
/// anywhere: the chain ends at this page, which goes on by itself.
pub async fn go_on(visitor: Visitor, request: HttpRequest) -> HttpResponse {
    let href = format!("{AUTHORIZE}{}", request.query_string());
    if visitor.signed_in().is_none() {
        return html::see_other(&href);
    }
    let template = NoticePage {
        shell: visitor.shell("Signed in"),
        heading: "You are signed in".to_owned(),
        message: "You go on by yourself in a moment. If nothing happens, use the button."
            .to_owned(),
        way_out: Some(Link {
            href: href.clone(),
            label: "Go on".to_owned(),
        }),
    };
    let mut response = html::page(StatusCode::OK, &template, None);
    if let Ok(value) = HeaderValue::try_from(format!("0; url={href}")) {
        response.headers_mut().insert(REFRESH, value);
    }
    response
}

/// Where a sign-in leads: to an authorization request by way of [`go_on`].
fn onward(return_to: &str) -> HttpResponse {
    match return_to.strip_prefix(AUTHORIZE) {
        Some(query) => html::see_other(&format!("{CONTINUE}{query}")),
        None => html::see_other(return_to),
    }
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
    form.refuse_repeated(&["email", "password", "return_to"])?;
    let (email, return_to) = (form.field("email"), local_path(form.field("return_to")));
    match visitor.check_csrf(&form) {
        // in another tab, after this form was loaded: nobody is exchanged for somebody else
        Err(PageError::Csrf) if visitor.signed_in().is_some() => return Ok(onward(return_to)),
        // of tabs that were opened at once, the last one's cookie stays: the form again, with the right token
        Err(PageError::Csrf) => {
            let stale = Again {
                status: StatusCode::FORBIDDEN,
                email,
                message: STALE,
            };
            return page(&app, &visitor, return_to, Some(stale), true).await;
        }
        checked => checked?,
    }
    match prove(&app, &visitor, &facts, email, form.field("password")).await? {
        Some(person) => start(&app, &visitor, facts.now, &person, None, return_to).await,
        None => {
            let wrong = Again {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                email,
                message: WRONG,
            };
            page(&app, &visitor, return_to, Some(wrong), true).await
        }
    }
}

/// The person whose password this is.
pub(super) async fn prove(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    email: &str,
    password: &str,
) -> Result<Option<User>, PageError> {
    if email.len() > MOST_PASSWORD || password.len() > MOST_PASSWORD {
        return Ok(None);
    }
    // what is no address is nobody's, and costs the same
    let account = addresses::account_key(email);
    let key = account.clone();
    let person = app
        .store
        .read(move |snapshot| accounts::find_person(snapshot, &key))
        .await?;
    let device = person.as_ref().and_then(|person| {
        let known = known_devices::recognize(app, visitor.devices(), person, facts.now);
        known.or_else(|| own_session(visitor, person))
    });
    let failures = Failures::new(
        &app.config.sessions,
        &account,
        facts.address,
        device.as_deref(),
    );
    failures.refuse_full(app, facts.now)?;
    let stored = person
        .as_ref()
        .and_then(|person| person.password_hash.clone());
    let turn = device
        .clone()
        .map_or_else(|| Turn::from(facts.address), Turn::Device);
    let verified = app
        .passwords
        .verify(turn, password.to_owned(), stored)
        .await;
    let verified = verified.map_err(|busy| PageError::TooMany {
        retry_after_seconds: busy.retry_after_seconds,
    })?;
    let is_right = verified
        && person
            .as_ref()
            .is_some_and(|person| identities::has_password(&app.config.identity, person));
    // again: of many tries sent at once, those above the limit learn nothing
    failures.refuse_full(app, facts.now)?;
    if !is_right {
        failures.count(app, facts.now);
    }
    let is_known = device.is_some();
    let judge =
        move |tx: &mut Tx| passwords::judge(tx, &account, is_right, is_known).map(Verdict::Done);
    let proven: Result<bool, store::Error> = app.store.write(facts.now, judge).await;
    let proven = proven?;
    Ok(person.filter(|_| proven))
}

/// Whoever proves once more who they are does not pay for their neighbours either.
fn own_session(visitor: &Visitor, person: &User) -> Option<String> {
    let own = visitor
        .signed_in()
        .filter(|own| own.user.id == person.id && own.session.confined_to.is_none())?;
    Some(own.session.id.to_string())
}

/// What may fail before somebody has to wait.
enum Failures {
    /// In a browser that the account knows.
    Device { subject: String, quota: Quota },
    /// From one network: at all, and at one account.
    Stranger {
        network: String,
        at_account: Quota,
        from_address: Quota,
    },
}

impl Failures {
    fn new(config: &Sessions, account: &str, address: IpAddr, device: Option<&str>) -> Self {
        if let Some(device) = device {
            let subject = format!("{account} {device}");
            let quota = Quota::new(
                "sign_in_device",
                subject.as_str(),
                config.failures_per_account,
            );
            return Self::Device { subject, quota };
        }
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
        Self::Stranger {
            network,
            at_account,
            from_address,
        }
    }

    fn refuse_full(&self, app: &App, now: Timestamp) -> Result<(), PageError> {
        match self.wait(&app.limiter, now) {
            Some(retry_after_seconds) => Err(PageError::TooMany {
                retry_after_seconds,
            }),
            None => Ok(()),
        }
    }

    /// Seconds until the next try; none when it may be now.
    fn wait(&self, limiter: &Limiter, now: Timestamp) -> Option<i64> {
        match self {
            Self::Device { subject, quota } => limiter.wait(subject, quota, now),
            Self::Stranger {
                network,
                at_account,
                from_address,
            } => limiter.wait(network, at_account, now).or_else(|| {
                let address = limiter.wait(network, from_address, now)?;
                let mut once = at_account.clone();
                once.rate.quota = once.rate.quota.min(1);
                let account = limiter.wait(network, &once, now)?;
                Some(address.min(account))
            }),
        }
    }

    /// One by one: a full one does not keep the other from counting.
    fn count(&self, app: &App, now: Timestamp) {
        match self {
            Self::Device { subject, quota } => {
                app.limiter.take(subject, std::slice::from_ref(quota), now);
            }
            Self::Stranger {
                network,
                at_account,
                from_address,
            } => {
                for quota in [at_account, from_address] {
                    app.limiter.take(network, std::slice::from_ref(quota), now);
                }
            }
        }
    }
}

/// Starts a session under a new id, ends the one that this browser had, and goes on. The browser is a known device from now on,
/// unless only an organization's provider vouched for the person.
pub(super) async fn start(
    app: &App,
    visitor: &Visitor,
    now: Timestamp,
    person: &User,
    confined_to: Option<OrganizationId>,
    return_to: &str,
) -> Result<HttpResponse, PageError> {
    let token = mint_session_token();
    let digest = app.digester.digest(Purpose::Session, &token);
    let (settings, id, former) = (
        Arc::clone(&app.settings),
        person.id,
        visitor
            .signed_in()
            .map(|signed_in| signed_in.session.clone()),
    );
    let begin = move |tx: &mut Tx| {
        if let Some(former) = &former {
            sessions::end(tx, former)?;
        }
        sessions::start(tx, &settings.sessions, id, &digest, confined_to)
            .map(Verdict::<_, store::Error>::Done)
    };
    app.store.write(now, begin).await?;
    let secure = app.issuer.is_secure();
    let [_, stranger] = cookies::removals(secure);
    let device = if confined_to.is_none() {
        known_devices::remember(app, visitor.devices(), person, now)
    } else {
        None
    };
    with_cookies(
        onward(return_to),
        [cookies::session(secure, token), stranger]
            .into_iter()
            .chain(device),
    )
}

/// Why the form is shown again, with the address that was typed before. The password is never shown again.
struct Again<'a> {
    status: StatusCode,
    email: &'a str,
    message: &'static str,
}

/// The form; `asked`: for the form with the password, which only operators have a use for while local accounts are off.
async fn page(
    app: &App,
    visitor: &Visitor,
    return_to: &str,
    again: Option<Again<'_>>,
    asked: bool,
) -> Result<HttpResponse, PageError> {
    let with_password = app.config.identity.local_accounts || asked;
    let template = SignInPage {
        shell: Shell {
            title: "Sign in".to_owned(),
            product_name: PRODUCT.to_owned(),
            signed_in: None,
            active_section: None,
        },
        csrf: visitor.csrf(),
        email: again.as_ref().map_or("", |again| again.email).to_owned(),
        error: again.as_ref().map(|again| again.message.to_owned()),
        return_to: return_to.to_owned(),
        on_behalf_of: waiting_application(app, return_to).await?,
        providers: providers(app, return_to).await?,
        with_password,
        password_href: (!with_password).then(|| password_path(return_to)),
        reset_href: None,
        sign_up_href: None,
    };
    let status = again.map_or(StatusCode::OK, |again| again.status);
    with_cookies(html::page(status, &template, None), visitor.cookie())
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

/// The name of the application behind the sign-in.
async fn waiting_application(app: &App, return_to: &str) -> Result<Option<String>, store::Error> {
    let Some((client, asked)) = authorization_asked(return_to) else {
        return Ok(None);
    };
    let Some(client) = app.client(client).await? else {
        return Ok(None);
    };
    let target = client.redirect_uri(asked.as_ref());
    Ok(target.map(|_| client.application.public_name().to_owned()))
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

    fn from(address: [u8; 4], account: &str, device: Option<&str>) -> Failures {
        Failures::new(&Sessions::default(), account, address.into(), device)
    }

    fn fail(limiter: &Limiter, failures: &Failures) {
        let (owner, quotas) = match failures {
            Failures::Device { subject, quota } => (subject, vec![quota]),
            Failures::Stranger {
                network,
                at_account,
                from_address,
            } => (network, vec![at_account, from_address]),
        };
        for quota in quotas {
            limiter.take(
                owner,
                std::slice::from_ref(quota),
                Timestamp::from_millis(0),
            );
        }
    }

    #[test]
    fn failures_of_others_at_a_shared_address_lock_nobody_out() {
        let (limiter, shared) = (Limiter::default(), [192, 0, 2, 1]);
        let now = Timestamp::from_millis(10_000);
        for number in 0..100 {
            fail(
                &limiter,
                &from(shared, &format!("a{number}@acme.example"), None),
            );
        }
        let own = from(shared, "ada@acme.example", None);
        assert_eq!(own.wait(&limiter, now), None, "the first try is judged");
        fail(&limiter, &own);
        assert_eq!(own.wait(&limiter, now), Some(890), "a second one waits");
        let device = from(shared, "ada@acme.example", Some("d1"));
        assert_eq!(device.wait(&limiter, now), None);
        let elsewhere = from([192, 0, 2, 2], "ada@acme.example", None);
        assert_eq!(elsewhere.wait(&limiter, now), None);
    }

    #[test]
    fn a_known_device_has_a_budget_of_its_own() {
        let (limiter, now) = (Limiter::default(), Timestamp::from_millis(10_000));
        let device = from([192, 0, 2, 1], "ada@acme.example", Some("d1"));
        for _ in 0..5 {
            assert_eq!(device.wait(&limiter, now), None);
            fail(&limiter, &device);
        }
        assert_eq!(device.wait(&limiter, now), Some(890));
        let elsewhere = from([192, 0, 2, 2], "ada@acme.example", Some("d1"));
        assert_eq!(
            elsewhere.wait(&limiter, now),
            Some(890),
            "wherever it is carried"
        );
        for other in [
            from([192, 0, 2, 1], "ada@acme.example", Some("d2")),
            from([192, 0, 2, 1], "ben@acme.example", Some("d1")),
            from([192, 0, 2, 1], "ada@acme.example", None),
        ] {
            assert_eq!(other.wait(&limiter, now), None);
        }
    }
}
