//! An organization's own provider: whom it signs in, what that opens, and who may set it up.

use actix_web::http::Method;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::people::accounts;
use countersign::server::routes::table;
use countersign::types::id::OrganizationId;
use countersign::types::state::{OrganizationRole, ProductionAccess};
use reqwest::StatusCode;
use serde_json::json;

use super::fake::{CLIENT_ID, CLIENT_SECRET, Fake};
use super::{
    ADA, configure, count_people, find, give_provider, refused, sign_in, sign_in_at, start,
    start_with, verified,
};
use crate::databases::{TestDatabase, both_databases};
use crate::people::{self, OTHER_OWNER};
use crate::server::{Browser, REDIRECT_URI, Server, authorize_path, hidden, location};

both_databases!(
    a_member_is_recognized_by_a_verified_address_in_a_verified_domain,
    somebody_new_in_the_domain_becomes_a_plain_member,
    nobody_else_is_signed_in,
    a_provider_vouches_for_nobody_new_once_the_domain_is_not_the_organizations_any_more,
    what_one_provider_linked_means_nothing_to_another,
    a_session_by_an_organizations_provider_opens_that_organization_only,
    a_required_provider_bars_every_other_session_but_the_owners,
    consent_is_given_for_an_organization_by_its_own_session_only,
    every_path_of_an_organization_is_barred,
    an_owner_sets_it_up_and_an_admin_sees_it,
    wrong_settings_change_nothing,
    another_issuer_or_none_ends_what_the_former_vouched_for,
    an_address_inside_is_not_dialled_for_an_organization,
);

fn page_of(organization: OrganizationId) -> String {
    format!("/dev-centre/{organization}/single-sign-on")
}

/// A member of the planted organization and owner of another one.
async fn ada_of_both(server: &Server) -> OrganizationId {
    let ada = people::member(server, ADA, Some("admin")).await;
    let (other, _) = people::other_organization(server, ProductionAccess::Approved).await;
    server
        .write(move |tx| {
            Ok(accounts::add_member(
                tx,
                other,
                ada,
                OrganizationRole::Owner,
            )?)
        })
        .await;
    other
}

async fn opens(browser: &Browser<'_>, organization: OrganizationId) -> bool {
    browser
        .get(&format!("/dev-centre/{organization}/api-keys"))
        .await
        .status()
        == StatusCode::OK
}

async fn a_member_is_recognized_by_a_verified_address_in_a_verified_domain(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let ada = people::member(&server, ADA, Some("admin")).await;
    let path = give_provider(&server, &fake, false).await;
    let before = count_people(&server).await;
    let browser = server.browser();
    assert_eq!(
        sign_in_at(
            &browser,
            &fake,
            &path,
            verified("s-ada", "Ada@ACME.example")
        )
        .await
        .status(),
        StatusCode::SEE_OTHER
    );
    assert!(opens(&browser, server.planted.organization).await);
    assert_eq!(find(&server, ADA).await.expect("still there").id, ada);
    assert_eq!(count_people(&server).await, before);
    // from here on by the subject, whatever happens to the address
    let again = server.browser();
    assert_eq!(
        sign_in_at(
            &again,
            &fake,
            &path,
            json!({"sub": "s-ada", "email": ADMIN, "email_verified": true})
        )
        .await
        .status(),
        StatusCode::SEE_OTHER
    );
    assert!(
        again
            .get("/account/identity")
            .await
            .text()
            .await
            .expect("text")
            .contains(ADA)
    );
}

async fn somebody_new_in_the_domain_becomes_a_plain_member(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let path = give_provider(&server, &fake, true).await;
    let browser = server.browser();
    assert_eq!(
        sign_in_at(
            &browser,
            &fake,
            &path,
            verified("s-new", "new@acme.example")
        )
        .await
        .status(),
        StatusCode::SEE_OTHER
    );
    let person = find(&server, "new@acme.example").await.expect("created");
    assert!(!person.operator && person.password_hash.is_none());
    let (organization, now) = (server.planted.organization, server.clock.now());
    let member = server
        .app
        .store
        .read(move |c| c.find_member(organization, person.id, now))
        .await;
    let member: Result<_, countersign::store::Error> = member;
    assert_eq!(
        member.expect("an answer").expect("a member").role,
        OrganizationRole::Member
    );
}

async fn nobody_else_is_signed_in(db: TestDatabase) {
    let (server, fake) = start(db).await;
    people::person(&server, "guest@acme.example").await;
    let path = give_provider(&server, &fake, false).await;
    let operator = crate::tenants::person(&server, "operator@acme.example", true).await;
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            Ok(accounts::add_member(
                tx,
                organization,
                operator,
                OrganizationRole::Admin,
            )?)
        })
        .await;
    let before = count_people(&server).await;
    for (claims, reason) in [
        (
            json!({"email": ADMIN, "email_verified": false}),
            "does not vouch for your e-mail address",
        ),
        (
            json!({"email": ADMIN}),
            "does not vouch for your e-mail address",
        ),
        (
            verified("s-1", "new@elsewhere.example"),
            "not in a domain of this organization",
        ),
        (
            verified("s-1", "new@sub.acme.example"),
            "not in a domain of this organization",
        ),
        (
            verified("s-1", "new@acme.example.evil.example"),
            "not in a domain of this organization",
        ),
        (
            verified("s-1", "guest@acme.example"),
            "not a member of this organization",
        ),
        (
            verified("s-1", "operator@acme.example"),
            "Operators do not sign in",
        ),
    ] {
        fake.set(|answers| answers.userinfo = json!({"sub": "s-1"}));
        let (status, html) =
            refused(sign_in_at(&server.browser(), &fake, &path, claims.clone()).await).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{claims}");
        assert!(html.contains(reason), "{claims}: {html}");
    }
    assert_eq!(count_people(&server).await, before);
    // who left is let in no more, although the link is still there
    let ada = people::member(&server, ADA, None).await;
    assert_eq!(
        sign_in_at(&server.browser(), &fake, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    server
        .write(move |tx| Ok(tx.delete_member(organization, ada)?))
        .await;
    assert_eq!(
        refused(sign_in_at(&server.browser(), &fake, &path, verified("s-ada", ADA)).await)
            .await
            .0,
        StatusCode::FORBIDDEN
    );
}

async fn a_provider_vouches_for_nobody_new_once_the_domain_is_not_the_organizations_any_more(
    db: TestDatabase,
) {
    let (server, fake) = start(db).await;
    people::member(&server, ADA, Some("admin")).await;
    let path = give_provider(&server, &fake, false).await;
    assert_eq!(
        sign_in_at(&server.browser(), &fake, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    let organization = server.planted.organization;
    let lose = move |tx: &mut countersign::store::Tx| {
        let domain = tx
            .find_domain_by_name(organization, "acme.example")?
            .ok_or(countersign::domain::Refusal::NotFound)?;
        Ok(tx.lose_domain(organization, domain.id)?)
    };
    server.write(lose).await;
    let before = count_people(&server).await;
    for claims in [
        verified("s-new", "new@acme.example"),
        verified("s-admin", ADMIN),
    ] {
        let (status, html) =
            refused(sign_in_at(&server.browser(), &fake, &path, claims).await).await;
        assert!(
            status == StatusCode::FORBIDDEN
                && html.contains("not in a domain of this organization"),
            "{html}"
        );
    }
    assert_eq!(count_people(&server).await, before);
    // a slip in the DNS locks nobody out whom the organization knows
    assert_eq!(
        sign_in_at(&server.browser(), &fake, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
}

async fn what_one_provider_linked_means_nothing_to_another(db: TestDatabase) {
    // all three are at the same issuer: whoever controls an organization's client there must not reach beyond it
    let (server, fake) = start(db).await;
    let other = ada_of_both(&server).await;
    let path = give_provider(&server, &fake, false).await;
    let elsewhere = configure(
        &server,
        other,
        find(&server, OTHER_OWNER).await.expect("there").id,
        &fake,
        false,
    )
    .await;
    assert_eq!(
        sign_in_at(&server.browser(), &fake, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    let (_, html) = refused(sign_in(&server.browser(), &fake, verified("s-ada", ADA)).await).await;
    assert!(
        html.contains("There is an account with your e-mail address already"),
        "{html}"
    );
    let (_, html) =
        refused(sign_in_at(&server.browser(), &fake, &elsewhere, verified("s-ada", ADA)).await)
            .await;
    assert!(
        html.contains("not in a domain of this organization"),
        "{html}"
    );
    // nor the other way round
    assert_eq!(
        sign_in(
            &server.browser(),
            &fake,
            verified("s-free", "free@acme.example")
        )
        .await
        .status(),
        StatusCode::SEE_OTHER
    );
    let (_, html) = refused(
        sign_in_at(
            &server.browser(),
            &fake,
            &path,
            verified("s-free", "free@acme.example"),
        )
        .await,
    )
    .await;
    assert!(html.contains("not a member of this organization"), "{html}");
}

async fn a_session_by_an_organizations_provider_opens_that_organization_only(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let other = ada_of_both(&server).await;
    let path = give_provider(&server, &fake, false).await;
    let (free, confined) = (people::browser(&server, ADA).await, server.browser());
    assert!(opens(&free, server.planted.organization).await && opens(&free, other).await);
    assert_eq!(
        sign_in_at(&confined, &fake, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert!(opens(&confined, server.planted.organization).await);
    let (status, html) =
        refused(confined.get(&format!("/dev-centre/{other}/api-keys")).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("opens that organization only"), "{html}");
    // nor is the other one named anywhere
    assert!(
        location(confined.get("/dev-centre").await.headers())
            .contains(server.planted.organization.as_str())
    );
    let html = confined
        .get(&format!(
            "/dev-centre/{}/api-keys",
            server.planted.organization
        ))
        .await
        .text()
        .await
        .expect("text");
    assert!(!html.contains(other.as_str()), "{html}");
}

async fn a_required_provider_bars_every_other_session_but_the_owners(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let other = ada_of_both(&server).await;
    let (ada, owner) = (
        people::browser(&server, ADA).await,
        server.signed_in_browser().await,
    );
    let organization = server.planted.organization;
    let path = give_provider(&server, &fake, true).await;
    assert!(opens(&owner, organization).await, "the way back");
    assert!(opens(&ada, other).await, "it is nobody else's business");
    let keys = format!("/dev-centre/{organization}/api-keys?status=active");
    let (status, html) = refused(ada.get(&keys).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", &keys)
        .finish();
    assert!(
        html.contains("asks you to sign in with Acme ID")
            && html.contains(&format!("href=\"{path}?{query}\"")),
        "{html}"
    );
    let html = ada.get("/dev-centre").await.text().await.expect("text");
    assert!(
        html.contains("Acme: sign in with Acme ID") && html.contains(other.as_str()),
        "{html}"
    );
    let response = sign_in_at(
        &ada,
        &fake,
        &format!("{path}?{query}"),
        verified("s-ada", ADA),
    )
    .await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, keys)
    );
    assert!(opens(&ada, organization).await);
    // a stranger on the way there is offered the organization's own button
    let html = server
        .browser()
        .get(&format!(
            "/login?return_to=/dev-centre/{organization}/api-keys"
        ))
        .await
        .text()
        .await
        .expect("text");
    assert!(
        html.contains("Sign in with Acme ID") && html.contains("Sign in with Vendor ID"),
        "{html}"
    );
}

async fn consent_is_given_for_an_organization_by_its_own_session_only(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let other = ada_of_both(&server).await;
    let own = authorize_path(server.planted.application.as_str(), REDIRECT_URI, "read");
    let ada = people::browser(&server, ADA).await;
    assert_eq!(ada.get(&own).await.status(), StatusCode::OK);
    let path = give_provider(&server, &fake, true).await;
    // the planted application is a Sandbox one: only the planted organization can authorize it
    let (status, html) = refused(ada.get(&own).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        html.contains("asks you to sign in with Acme ID")
            && html.contains("return_to=%2Foauth2%2Fauthorize%3F"),
        "{html}"
    );
    let confined = server.browser();
    assert_eq!(
        sign_in_at(&confined, &fake, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    let html = confined.get(&own).await.text().await.expect("text");
    assert!(
        html.contains("name=\"decision\"") && !html.contains(other.as_str()),
        "{html}"
    );
    // a form can name what the page does not offer
    let (csrf, request) = (
        hidden(&html, "csrf").expect("a token"),
        hidden(&html, "request").expect("a request"),
    );
    let form = [
        ("csrf", csrf.as_str()),
        ("request", &request),
        ("organization", other.as_str()),
        ("workspace", "all"),
        ("decision", "allow"),
    ];
    let response = confined
        .client
        .post(server.url("/oauth2/authorize"))
        .form(&form)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(confined.allow(&own).await.contains("code="));
}

async fn every_path_of_an_organization_is_barred(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let other = ada_of_both(&server).await;
    let organization = server.planted.organization;
    let ada = find(&server, ADA).await.expect("there").id;
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                ada,
                OrganizationRole::Member,
                OrganizationRole::Admin,
            )?)
        })
        .await;
    let (free, confined) = (people::browser(&server, ADA).await, server.browser());
    let path = give_provider(&server, &fake, true).await;
    assert_eq!(
        sign_in_at(&confined, &fake, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    let mut count = 0;
    for (browser, organization) in [(&free, organization), (&confined, other)] {
        let html = browser
            .get("/account/identity")
            .await
            .text()
            .await
            .expect("text");
        let csrf = hidden(&html, "csrf").expect("a token");
        for route in table()
            .iter()
            .filter(|route| route.path.starts_with("/dev-centre/{organization}/"))
        {
            let id = if route.path.contains("/applications") {
                "app_0123456789ABCDEFGHIJKL"
            } else {
                "key_0123456789ABCDEFGHIJKL"
            };
            let path = route
                .path
                .replace("{organization}", organization.as_str())
                .replace("{id}", id)
                .replace("{secret}", "sec_0123456789ABCDEFGHIJKL");
            assert!(!path.contains('{'), "{path}");
            let response = if route.method == Method::GET {
                browser.get(&path).await
            } else {
                browser
                    .client
                    .post(server.url(&path))
                    .form(&[("csrf", &csrf)])
                    .send()
                    .await
                    .expect("an answer")
            };
            assert_eq!(
                response.status(),
                StatusCode::FORBIDDEN,
                "{} {path}",
                route.method
            );
            let html = response.text().await.expect("text");
            assert!(
                html.contains("asks you to sign in with")
                    || html.contains("opens that organization only"),
                "{} {path}: {html}",
                route.method
            );
            count += 1;
        }
    }
    assert!(count >= 28, "{count}");
}

fn settings<'f>(fake: &'f Fake, name: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("issuer", fake.issuer.as_str()),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("name", name),
    ]
}

async fn an_owner_sets_it_up_and_an_admin_sees_it(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let page = page_of(server.planted.organization);
    let (owner, organization) = (
        server.signed_in_browser().await,
        server.planted.organization,
    );
    let boss = people::member(&server, "boss@acme.example", None).await;
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                boss,
                OrganizationRole::Member,
                OrganizationRole::Admin,
            )?)
        })
        .await;
    let admin = people::browser(&server, "boss@acme.example").await;
    let html = owner.get(&page).await.text().await.expect("text");
    assert!(
        html.contains(&server.url("/login/oidc/callback"))
            && html.contains("acme.example")
            && !html.contains("/remove"),
        "{html}"
    );
    let response = owner
        .submit(&page, &page, &settings(&fake, "Acme ID"))
        .await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, page.clone())
    );
    let html = owner.get(&page).await.text().await.expect("text");
    assert!(
        html.contains("/login/oidc/idp_")
            && html.contains(&fake.issuer)
            && !html.contains(CLIENT_SECRET),
        "{html}"
    );
    assert!(
        !server
            .database
            .everything_in("identity_providers")
            .contains(CLIENT_SECRET)
    );
    // an empty secret keeps the one that is there
    let mut again = settings(&fake, "Acme SSO");
    again[2].1 = "";
    assert_eq!(
        owner.submit(&page, &page, &again).await.status(),
        StatusCode::SEE_OTHER
    );
    let html = owner.get(&page).await.text().await.expect("text");
    let start = html.find("/login/oidc/idp_").expect("an address");
    let path: String = html[start..].chars().take_while(|c| *c != '"').collect();
    assert_eq!(
        sign_in_at(
            &server.browser(),
            &fake,
            &path,
            verified("s-new", "new@acme.example")
        )
        .await
        .status(),
        StatusCode::SEE_OTHER
    );
    // who controls the provider could pose as an owner: admins only see it
    let html = admin.get(&page).await.text().await.expect("text");
    assert!(
        html.contains("Only an owner can change this") && !html.contains("name=\"client_secret\""),
        "{html}"
    );
    let csrf = hidden(&html, "csrf").expect("a token");
    for path in [page.clone(), format!("{page}/remove")] {
        let mut form = settings(&fake, "Mine");
        form.push(("csrf", &csrf));
        let response = admin
            .client
            .post(server.url(&path))
            .form(&form)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

async fn wrong_settings_change_nothing(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let page = page_of(server.planted.organization);
    let owner = server.signed_in_browser().await;
    let unused = "http://127.0.0.1:9";
    for (field, value, reason) in [
        ("issuer", "", "Enter the issuer"),
        ("issuer", "http://id.example", "Enter the issuer"),
        ("issuer", "https://u:p@id.example", "Enter the issuer"),
        ("issuer", "javascript:alert(1)", "Enter the issuer"),
        (
            "issuer",
            unused,
            "There is no OpenID Connect provider at this issuer",
        ),
        ("client_id", "", "Enter the client id"),
        ("client_id", "ä", "Enter the client id"),
        ("client_secret", "", "Enter the client secret"),
        ("client_secret", "a\u{7}b", "is not a client secret"),
        ("name", "", "Enter what the button says"),
        ("name", &"x".repeat(61), "Enter what the button says"),
    ] {
        let mut form = settings(&fake, "Acme ID");
        form.iter_mut()
            .filter(|(name, _)| *name == field)
            .for_each(|pair| pair.1 = value);
        let response = owner.submit(&page, &page, &form).await;
        let (status, html) = (response.status(), response.text().await.expect("text"));
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{field} {value}");
        assert!(
            html.contains(reason) && !html.contains(CLIENT_SECRET),
            "{field} {value}: {html}"
        );
    }
    let mut doubled = settings(&fake, "Acme ID");
    doubled.push(("issuer", "https://evil.example"));
    assert_eq!(
        owner.submit(&page, &page, &doubled).await.status(),
        StatusCode::BAD_REQUEST
    );
    // without a verified domain it would lock everybody out
    let (other, _) = people::other_organization(&server, ProductionAccess::None).await;
    let stranger = people::browser(&server, OTHER_OWNER).await;
    let mut required = settings(&fake, "Other ID");
    required.push(("enforced", "yes"));
    let response = stranger
        .submit(&page_of(other), &page_of(other), &required)
        .await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        response
            .text()
            .await
            .expect("text")
            .contains("no verified domain")
    );
    for organization in [server.planted.organization, other] {
        let found: Result<_, countersign::store::Error> = server
            .app
            .store
            .read(move |c| c.find_identity_provider_of(organization))
            .await;
        assert!(found.expect("an answer").is_none());
    }
}

async fn another_issuer_or_none_ends_what_the_former_vouched_for(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let (organization, page) = (
        server.planted.organization,
        page_of(server.planted.organization),
    );
    people::member(&server, ADA, Some("admin")).await;
    let path = give_provider(&server, &fake, false).await;
    let (owner, ada) = (server.signed_in_browser().await, server.browser());
    assert_eq!(
        sign_in_at(&ada, &fake, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    let halfway = server.browser();
    let left = super::leave(&halfway, &path).await;
    // the secret of the one is not sent to the other
    let next = Fake::start();
    let mut form = settings(&next, "Next");
    form[2].1 = "";
    assert_eq!(
        owner.submit(&page, &page, &form).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert!(opens(&ada, organization).await);
    form[2].1 = "another-secret";
    assert_eq!(
        owner.submit(&page, &page, &form).await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(!opens(&ada, organization).await, "its sessions have ended");
    assert_eq!(
        refused(super::come_back(&halfway, &fake, &left).await)
            .await
            .0,
        StatusCode::BAD_REQUEST,
        "nor does a code reach the other"
    );
    assert!(opens(&owner, organization).await, "and nobody else's");
    // the same subject at another issuer is somebody else
    let (status, _) =
        refused(sign_in_at(&server.browser(), &next, &path, json!({"sub": "s-ada"})).await).await;
    assert!(
        status == StatusCode::FORBIDDEN || status == StatusCode::BAD_GATEWAY,
        "{status}"
    );
    assert_eq!(
        sign_in_at(&ada, &next, &path, verified("s-ada", ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        owner
            .submit(&page, &format!("{page}/remove"), &[])
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert!(!opens(&ada, organization).await);
    assert_eq!(
        refused(server.browser().get(&path).await).await.0,
        StatusCode::BAD_REQUEST
    );
    let html = owner.get(&page).await.text().await.expect("text");
    let csrf = hidden(&html, "csrf").expect("a token");
    let again = owner
        .client
        .post(server.url(&format!("{page}/remove")))
        .form(&[("csrf", csrf)])
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        again.status(),
        StatusCode::SEE_OTHER,
        "what is gone is gone"
    );
}

async fn an_address_inside_is_not_dialled_for_an_organization(db: TestDatabase) {
    let (server, fake) =
        start_with(db, |config| config.identity.allow_private_providers = false).await;
    let page = page_of(server.planted.organization);
    let owner = server.signed_in_browser().await;
    let port = fake.issuer.rsplit(':').next().expect("a port").to_owned();
    let inside = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
    ];
    for issuer in inside
        .iter()
        .map(|host| format!("https://{host}:{port}"))
        .chain([fake.issuer.clone()])
    {
        let mut form = settings(&fake, "Acme ID");
        form[0].1 = &issuer;
        let response = owner.submit(&page, &page, &form).await;
        let (status, html) = (response.status(), response.text().await.expect("text"));
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{issuer}");
        assert!(
            html.contains("There is no OpenID Connect provider at this issuer")
                || html.contains("Enter the issuer"),
            "{issuer}: {html}"
        );
    }
    // the operator's own may be where it likes
    assert_eq!(
        sign_in(
            &server.browser(),
            &fake,
            verified("s-1", "new@elsewhere.example")
        )
        .await
        .status(),
        StatusCode::SEE_OTHER
    );
}
