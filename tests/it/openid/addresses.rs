//! Whose an address is: every way of proving one takes it from an account that has not.

use countersign::domain::people::accounts::{self, NewPerson};
use countersign::types::email::Mailbox;
use countersign::types::id::UserId;
use countersign::types::state::ProductionAccess;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::fake::Fake;
use super::{find, give_provider, is_signed_in, sign_in, sign_in_at, start, verified};
use crate::api::{Program, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server, hidden, location};
use crate::tenants::{self, Key, key};

both_databases!(
    whoever_proves_an_address_takes_it_from_who_has_not,
    who_knows_the_password_goes_on_with_that_account,
    a_question_is_answered_in_its_browser_and_in_time,
    what_proves_nothing_changes_nothing,
    by_an_invitation_nobody_learns_which_accounts_there_are,
    nobody_draws_an_operator_into_an_organization,
);

const PASSWORD: &str = "correct horse battery staple";
const CLAIM: &str = "/login/oidc/claim";

fn at(server: &Server, path: &str) -> String {
    let between = if path.contains('?') { '&' } else { '?' };
    format!(
        "{path}{between}organization={}",
        server.planted.organization
    )
}

/// The path of the link of an invitation into the planted organization and its workspace.
async fn invite(server: &Server, email: &str) -> String {
    let workspace = json!({"workspace": server.planted.workspace, "role": "member"});
    let body = json!({"email": email, "workspaces": [workspace]});
    let (status, made) = Program::operator(server)
        .post(&at(server, "/v1/invitations"), &body)
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let link = text(&made, "/link");
    link.strip_prefix(&server.base)
        .expect("a link to here")
        .to_owned()
}

async fn make_account(browser: &Browser<'_>, link: &str) -> Response {
    let fields = [("name", "Some Body"), ("password", PASSWORD)];
    browser
        .submit(link, &format!("{link}/account"), &fields)
        .await
}

/// Whoever invited the address has opened the link, made the account and got a key.
struct Squatter<'s> {
    browser: Browser<'s>,
    id: UserId,
    key: String,
}

async fn squatter<'s>(server: &'s Server, address: &str) -> Squatter<'s> {
    let link = invite(server, address).await;
    let browser = server.browser();
    let made = make_account(&browser, &link).await;
    assert_eq!(made.status(), StatusCode::SEE_OTHER);
    let joined = browser.submit(&link, &format!("{link}/accept"), &[]).await;
    assert_eq!(joined.status(), StatusCode::SEE_OTHER);
    let id = find(server, address).await.expect("an account").id;
    let key = key(server, Key::of(server, id)).await.secret;
    assert_eq!(code(server, &key).await, "valid");
    Squatter { browser, id, key }
}

async fn code(server: &Server, key: &str) -> Value {
    server.verify(json!({"credential": key})).await["code"].clone()
}

async fn sign_in_name(server: &Server, id: UserId) -> String {
    let found: Result<_, countersign::store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.find_user(id))
        .await;
    let user = found.expect("the store answers").expect("still there");
    user.email.expect("a name")
}

/// Answers the question that this page asks.
async fn answer(browser: &Browser<'_>, page: Response, answer: &str, password: &str) -> Response {
    let (status, html) = (page.status(), page.text().await.expect("text"));
    assert_eq!(status, StatusCode::OK, "{html}");
    assert!(html.contains("Is this account yours?"), "{html}");
    let value = |name| hidden(&html, name).expect("a hidden field");
    let (csrf, claim) = (value("csrf"), value("claim"));
    let fields = [
        ("csrf", csrf.as_str()),
        ("claim", &claim),
        ("answer", answer),
        ("password", password),
    ];
    let request = browser.client.post(browser.server.url(CLAIM)).form(&fields);
    request.send().await.expect("an answer")
}

const PROOFS: [&str; 6] = [
    "the operator's provider, not theirs",
    "the operator's provider, a wrong password",
    "the organization's provider",
    "provisioning of somebody new",
    "provisioning of a new address",
    "the operator's own command",
];

/// Somebody proves the address in this way.
async fn prove(server: &Server, fake: &Fake, provider: &str, way: &str, address: &str) {
    let (browser, operator) = (server.browser(), Program::operator(server));
    let claims = verified(&format!("s-{address}"), address);
    let person = json!({"email": address, "name": "The Owner"});
    match way {
        "the operator's provider, not theirs" => {
            let page = sign_in(&browser, fake, claims).await;
            assert!(is_signed_in(&answer(&browser, page, "not_mine", "").await));
        }
        "the operator's provider, a wrong password" => {
            let page = sign_in(&browser, fake, claims).await;
            assert!(is_signed_in(
                &answer(&browser, page, "mine", "a guess").await
            ));
        }
        "the organization's provider" => {
            let page = sign_in_at(&browser, fake, provider, claims).await;
            assert!(is_signed_in(&answer(&browser, page, "not_mine", "").await));
        }
        "provisioning of somebody new" => {
            let made = operator.put("/v1/users/by-external-id/new", &person).await;
            assert_eq!(made.0, StatusCode::OK, "{}", made.1);
            assert_eq!(text(&made.1, "/outcome"), "created");
        }
        "provisioning of a new address" => {
            let path = "/v1/users/by-external-id/known";
            let former = json!({"email": "former@acme.example", "name": "The Owner"});
            operator.put(path, &former).await;
            let made = operator.put(path, &person).await;
            assert_eq!(text(&made.1, "/outcome"), "updated", "{}", made.1);
        }
        _ => {
            let new = NewPerson {
                email: Mailbox::parse(address).expect("an address"),
                name: "The Owner".to_owned(),
                password_hash: "none".to_owned(),
                operator: false,
            };
            server
                .write(move |tx| accounts::create_person(tx, &new))
                .await;
        }
    }
}

async fn whoever_proves_an_address_takes_it_from_who_has_not(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let provider = give_provider(&server, &fake, false).await;
    let operator = Program::operator(&server);
    for (number, way) in PROOFS.into_iter().enumerate() {
        let address = format!("ceo{number}@acme.example");
        let Squatter { browser, id, key } = squatter(&server, &address).await;
        prove(&server, &fake, &provider, way, &address).await;
        let owner = find(&server, &address).await.expect("somebody has it");
        assert!(
            owner.id != id && owner.email_verified_at.is_some(),
            "{way}: somebody else has it"
        );
        // the other account is under another name, and opens nothing that the address got it
        let name = sign_in_name(&server, id).await;
        let digits = name.strip_prefix(&format!("{address}#")).expect(way);
        assert!(
            digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit()),
            "{way}: {name}"
        );
        let again = server.browser().sign_in(&name, PASSWORD).await;
        assert_eq!(again.status(), StatusCode::SEE_OTHER, "{way}");
        let former = server.browser().sign_in(&address, PASSWORD).await;
        assert_eq!(former.status(), StatusCode::UNPROCESSABLE_ENTITY, "{way}");
        let page = browser.get("/account/identity").await;
        assert!(page.text().await.expect("text").contains(&name), "{way}");
        assert_eq!(code(&server, &key).await, "suspended", "{way}");
        let keys = format!("/dev-centre/{}/api-keys", server.planted.organization);
        assert_ne!(browser.get(&keys).await.status(), StatusCode::OK, "{way}");
        // the admins see it, and confirm or end it
        let (_, waiting) = operator
            .get(&at(&server, "/v1/members?address_lost=true"))
            .await;
        assert_eq!(
            waiting["data"].as_array().map(Vec::len),
            Some(1),
            "{waiting}"
        );
        assert_eq!(text(&waiting, "/data/0/id"), id.as_str());
        assert!(
            waiting["data"][0]["address_lost_at"].is_string(),
            "{waiting}"
        );
        let member = at(&server, &format!("/v1/members/{id}"));
        if number % 2 == 0 {
            let (status, after) = operator.patch(&member, &json!({"state": "active"})).await;
            assert_eq!(status, StatusCode::OK, "{after}");
            assert_eq!(after["address_lost_at"], Value::Null);
            assert_eq!(code(&server, &key).await, "valid", "{way}: confirmed");
        } else {
            let (status, after) = operator.delete(&member).await;
            assert!(status.is_success(), "{after}");
            assert_ne!(code(&server, &key).await, "valid", "{way}: ended");
        }
    }
    let (_, none) = operator
        .get(&at(&server, "/v1/members?address_lost=true"))
        .await;
    assert_eq!(none["data"], json!([]));
    let events = ["user.address_lost", "member.address_lost"];
    assert_eq!(
        events.map(|event| server.database.count_events(event)),
        [6, 6]
    );
    // whom the vendor has provisioned is known at the vendor's provider
    let provisioned = find(&server, "ceo3@acme.example").await.expect("there");
    let first = sign_in(
        &server.browser(),
        &fake,
        verified("s-new", "ceo3@acme.example"),
    )
    .await;
    assert!(is_signed_in(&first));
    let owner = find(&server, "ceo3@acme.example").await.expect("there");
    assert_eq!(owner.id, provisioned.id);
    let other = verified("s-another", "ceo3@acme.example");
    let taken = sign_in(&server.browser(), &fake, other).await;
    assert_eq!(taken.status(), StatusCode::FORBIDDEN);
    // the owner of one is not asked again
    let again = sign_in(
        &server.browser(),
        &fake,
        verified("s-ceo0@acme.example", "ceo0@acme.example"),
    )
    .await;
    assert!(is_signed_in(&again));
}

async fn who_knows_the_password_goes_on_with_that_account(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let provider = give_provider(&server, &fake, false).await;
    let is_proven = async |address: &str, id: UserId| {
        let owner = find(&server, address).await.expect("an account");
        assert_eq!(owner.id, id, "{address}");
        owner.email_verified_at.is_some()
    };
    for (number, path) in ["/login/oidc", provider.as_str()].into_iter().enumerate() {
        let address = format!("ada{number}@acme.example");
        let own = squatter(&server, &address).await;
        let claims = verified(&format!("s-{number}"), &address);
        let browser = server.browser();
        let page = sign_in_at(&browser, &fake, path, claims.clone()).await;
        assert!(
            !is_proven(&address, own.id).await,
            "nothing is answered yet"
        );
        let done = answer(&browser, page, "mine", PASSWORD).await;
        assert!(is_signed_in(&done) && is_proven(&address, own.id).await);
        assert_eq!(code(&server, &own.key).await, "valid", "all goes on");
        let password = server.browser().sign_in(&address, PASSWORD).await;
        assert_eq!(password.status(), StatusCode::SEE_OTHER);
        let again = sign_in_at(&server.browser(), &fake, path, claims).await;
        assert!(is_signed_in(&again), "asked once");
    }
    // who is signed in as that account has shown the password already
    let own = squatter(&server, "ben@acme.example").await;
    let claims = verified("s-ben", "ben@acme.example");
    let done = sign_in(&own.browser, &fake, claims).await;
    assert!(is_signed_in(&done) && is_proven("ben@acme.example", own.id).await);
    assert_eq!(server.database.count_events("user.address_lost"), 0);
}

async fn a_question_is_answered_in_its_browser_and_in_time(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let own = squatter(&server, "ada@acme.example").await;
    let ask = async |browser: &Browser<'_>| {
        let claims = verified("s-ada", "ada@acme.example");
        let page = sign_in(browser, &fake, claims).await;
        let html = page.text().await.expect("text");
        let value = |name| hidden(&html, name).expect("a hidden field");
        (value("csrf"), value("claim"))
    };
    let send = async |browser: &Browser<'_>, csrf: &str, claim: &str, answer: &str| {
        let fields = [
            ("csrf", csrf),
            ("claim", claim),
            ("answer", answer),
            ("password", PASSWORD),
        ];
        let request = browser.client.post(server.url(CLAIM)).form(&fields);
        let response = request.send().await.expect("an answer");
        assert!(!is_signed_in(&response), "{answer}");
        response.status()
    };
    let (browser, other) = (server.browser(), server.browser());
    let (csrf, claim) = ask(&browser).await;
    let (own_csrf, _) = ask(&other).await;
    // login CSRF: another browser's form
    assert_eq!(
        send(&other, &csrf, &claim, "mine").await,
        StatusCode::FORBIDDEN
    );
    for spoilt in [
        String::new(),
        claim.replace('a', "b"),
        server.app.sealer.seal("sign-in at a provider", b"{}"),
    ] {
        assert_eq!(
            send(&other, &own_csrf, &spoilt, "mine").await,
            StatusCode::BAD_REQUEST
        );
    }
    for unclear in ["", "both"] {
        assert_eq!(
            send(&browser, &csrf, &claim, unclear).await,
            StatusCode::BAD_REQUEST
        );
    }
    server.clock.step_seconds(15 * 60);
    assert_eq!(
        send(&browser, &csrf, &claim, "mine").await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(sign_in_name(&server, own.id).await, "ada@acme.example");
    // whoever is signed in as somebody else is not exchanged
    let somebody = server.signed_in_browser().await;
    let refused = sign_in(&somebody, &fake, verified("s-ada", "ada@acme.example")).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(sign_in_name(&server, own.id).await, "ada@acme.example");
}

async fn what_proves_nothing_changes_nothing(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let own = squatter(&server, "ada@acme.example").await;
    for claims in [
        json!({"sub": "s-1", "email": "ada@acme.example", "email_verified": false}),
        json!({"sub": "s-1", "email": "ada@acme.example"}),
        json!({"sub": "s-1"}),
    ] {
        let refused = sign_in(&server.browser(), &fake, claims).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }
    // another invitation, and an account by its link, prove nothing either
    let link = {
        let (organization, _) = people::other_organization(&server, ProductionAccess::None).await;
        let body = json!({"email": "ada@acme.example"});
        let path = format!("/v1/invitations?organization={organization}");
        let (_, made) = Program::operator(&server).post(&path, &body).await;
        let link = text(&made, "/link").to_owned();
        link.strip_prefix(&server.base)
            .expect("a link to here")
            .to_owned()
    };
    let second = server.browser();
    assert_eq!(
        make_account(&second, &link).await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(sign_in_name(&server, own.id).await, "ada@acme.example");
    assert_eq!(code(&server, &own.key).await, "valid");
    assert_eq!(server.database.count_events("user.address_lost"), 0);
}

async fn by_an_invitation_nobody_learns_which_accounts_there_are(db: TestDatabase) {
    let (server, _fake) = start(db).await;
    people::person(&server, "person@elsewhere.example").await;
    tenants::person(&server, "boss@vendor.example", true).await;
    squatter(&server, "unproven@elsewhere.example").await;
    let id = find(&server, "unproven@elsewhere.example")
        .await
        .expect("an account")
        .id;
    let member = at(&server, &format!("/v1/members/{id}"));
    Program::operator(&server).delete(&member).await;
    let mut read = Vec::new();
    for address in [
        "nobody@elsewhere.example",
        "person@elsewhere.example",
        "boss@vendor.example",
        "unproven@elsewhere.example",
    ] {
        let link = invite(&server, address).await;
        let browser = server.browser();
        let page = async || {
            let html = browser.get(&link).await.text().await.expect("text");
            let csrf = hidden(&html, "csrf").unwrap_or_default();
            html.replace(&csrf, "CSRF")
                .replace(&link, "LINK")
                .replace(&link.replace('/', "%2F"), "LINK")
                .replace(address, "ADDRESS")
        };
        let before = page().await;
        let made = make_account(&browser, &link).await;
        assert_eq!(location(made.headers()), link);
        let (status, after) = (made.status(), page().await);
        let accepted = browser.submit(&link, &format!("{link}/accept"), &[]).await;
        read.push((before, status, after, accepted.status()));
    }
    for other in &read {
        assert_eq!(*other, read[0]);
    }
    assert_eq!(read[0].3, StatusCode::SEE_OTHER);
    // those who were there before are there as before
    let boss = find(&server, "boss@vendor.example").await.expect("there");
    assert!(boss.operator && boss.email_verified_at.is_some());
}

async fn nobody_draws_an_operator_into_an_organization(db: TestDatabase) {
    let (server, _fake) = start(db).await;
    let boss = "boss@acme.example";
    let id = tenants::person(&server, boss, true).await;
    let link = invite(&server, boss).await;
    let browser = server.browser();
    let signed_in = browser.sign_in(boss, &tenants::PASSWORD.0).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    let organizations = "/account/organizations";
    let own = server.planted.organization.as_str();
    for (page, action, fields) in [
        (link.as_str(), format!("{link}/accept"), vec![]),
        (
            organizations,
            format!("{organizations}/ask"),
            vec![("organization", own)],
        ),
        (
            organizations,
            organizations.to_owned(),
            vec![("name", "Mine")],
        ),
    ] {
        let refused = browser.submit(page, &action, &fields).await;
        assert_ne!(refused.status(), StatusCode::SEE_OTHER, "{action}");
    }
    let wanted = json!({"email": boss, "name": "Boss"});
    let (status, _) = Program::operator(&server)
        .put("/v1/users/by-external-id/boss", &wanted)
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let now = server.clock.now();
    let found: Result<_, countersign::store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.list_organizations_of(id, now))
        .await;
    assert!(found.expect("the store answers").is_empty());
}
