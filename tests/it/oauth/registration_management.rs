//! `GET`, `PUT` and `DELETE /oauth2/register/{client_id}` (RFC 7592).

use countersign::domain::clients::settings::RefreshPolicy;
use countersign::domain::clients::settings::{self, ApplicationSettings};
use countersign::domain::desk::Desk;
use countersign::domain::rights::asker::Asker;
use countersign::store::applications::Application;
use countersign::types::id::ApplicationId;
use futures_util::future::join_all;
use reqwest::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{assert_oauth_error, authorize_with, send, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::Server;

both_databases!(
    a_client_reads_what_it_registered,
    a_client_replaces_what_it_registered,
    a_changed_redirect_uri_counts_at_once,
    other_scopes_end_the_tokens_of_before,
    what_may_not_be_replaced_is_refused,
    a_client_that_deletes_itself_ends_with_its_tokens,
    of_ten_deletions_one_succeeds,
    a_wrong_token_opens_nothing,
    two_that_come_to_mean_the_same_stay_two,
    another_name_or_host_is_verified_no_more,
    who_is_vouched_for_no_more_gets_nothing_new,
    a_maker_who_may_not_manage_applications_vouches_for_nothing_new,
    what_the_organization_changed_is_its_own,
);

async fn register(server: &Server, metadata: Value) -> Value {
    let (status, body) = send(
        server
            .post("/oauth2/register")
            .bearer_auth(&server.secrets.registration_token)
            .json(&metadata),
    )
    .await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body
}

async fn tool(server: &Server) -> Value {
    register(server, json!({"client_name": "Tool", "redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none"})).await
}

async fn robot(server: &Server) -> Value {
    register(
        server,
        json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": "read"}),
    )
    .await
}

fn request(server: &Server, method: &str, client: &Value) -> RequestBuilder {
    let path = format!("/oauth2/register/{}", text(client, "client_id"));
    let method: Method = method.parse().expect("a method");
    server
        .browser()
        .client
        .request(method, server.url(&path))
        .bearer_auth(text(client, "registration_access_token"))
}

/// What the client sends to replace its registration, as it was.
fn replacement(client: &Value, changes: Value) -> Value {
    let mut members = client.as_object().expect("an object").clone();
    for name in [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ] {
        members.remove(name);
    }
    members.extend(changes.as_object().expect("an object").clone());
    Value::Object(members)
}

async fn own_token(server: &Server, client: &Value) -> (StatusCode, Value) {
    let request = server
        .post("/oauth2/token")
        .basic_auth(text(client, "client_id"), client["client_secret"].as_str());
    send(request.form(&[("grant_type", "client_credentials")])).await
}

async fn a_client_reads_what_it_registered(db: TestDatabase) {
    // RFC 7592 §2.1, §3
    let server = Server::start(db).await;
    for client in [tool(&server).await, robot(&server).await] {
        let response = request(&server, "GET", &client)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            (response.status(), &response.headers()[CACHE_CONTROL]),
            (StatusCode::OK, &"no-store".parse().expect("a value"))
        );
        let read: Value = response.json().await.expect("JSON");
        let mut expected = client.as_object().expect("an object").clone();
        // it is stored as a digest: nobody can say it again
        expected.remove("client_secret");
        expected.remove("client_secret_expires_at");
        assert_eq!(read, Value::Object(expected));
    }
}

async fn a_client_replaces_what_it_registered(db: TestDatabase) {
    // RFC 7592 §2.2: what is left out falls back to its default
    let server = Server::start(db).await;
    let client = register(
        &server,
        json!({"client_name": "Tool", "client_uri": "https://a.example", "redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none"}),
    )
    .await;
    let change = json!({"client_name": "Better tool", "client_uri": null, "scope": "read"});
    let (status, changed) =
        send(request(&server, "PUT", &client).json(&replacement(&client, change))).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(
        (
            &changed["client_name"],
            changed.get("client_uri"),
            &changed["scope"]
        ),
        (&json!("Better tool"), None, &json!("read"))
    );
    assert_eq!(
        changed["client_id_issued_at"],
        client["client_id_issued_at"]
    );
    assert_eq!(send(request(&server, "GET", &client)).await.1, changed);
    let path = authorize_with(
        text(&client, "client_id"),
        &[("redirect_uri", Some("http://127.0.0.1:7/callback"))],
    );
    let html = server
        .signed_in_browser()
        .await
        .get(&path)
        .await
        .text()
        .await
        .expect("text");
    assert!(html.contains("Better tool"), "{html}");
    // a secret may be sent, if it is the current one
    let robot = robot(&server).await;
    assert_eq!(
        send(request(&server, "PUT", &robot).json(&replacement(&robot, json!({}))))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(own_token(&server, &robot).await.0, StatusCode::OK);
}

async fn a_changed_redirect_uri_counts_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let (client, browser) = (tool(&server).await, server.signed_in_browser().await);
    let at = |uri: &str| authorize_with(text(&client, "client_id"), &[("redirect_uri", Some(uri))]);
    assert_eq!(
        browser.get(&at("http://127.0.0.1/callback")).await.status(),
        StatusCode::OK
    );
    let change = json!({"redirect_uris": ["http://127.0.0.1/elsewhere"]});
    assert_eq!(
        send(request(&server, "PUT", &client).json(&replacement(&client, change)))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        browser.get(&at("http://127.0.0.1/callback")).await.status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        browser
            .get(&at("http://127.0.0.1/elsewhere"))
            .await
            .status(),
        StatusCode::OK
    );
}

async fn other_scopes_end_the_tokens_of_before(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = robot(&server).await;
    let before = own_token(&server, &client).await.1;
    assert!(super::is_active(&server, text(&before, "access_token")).await);
    let change = json!({"scope": "write"});
    assert_eq!(
        send(request(&server, "PUT", &client).json(&replacement(&client, change)))
            .await
            .0,
        StatusCode::OK
    );
    assert!(!super::is_active(&server, text(&before, "access_token")).await);
    assert_eq!(own_token(&server, &client).await.1["scope"], "write");
}

async fn what_may_not_be_replaced_is_refused(db: TestDatabase) {
    // RFC 7592 §2.2
    let server = Server::start(db).await;
    let (client, other) = (robot(&server).await, tool(&server).await);
    for change in [
        json!({"client_id": null}),
        json!({"client_id": other["client_id"]}),
        json!({"client_id": 5}),
        json!({"client_secret": "wrong"}),
        json!({"client_secret": ["x"]}),
        json!({"registration_access_token": client["registration_access_token"]}),
        json!({"registration_client_uri": client["registration_client_uri"]}),
        json!({"client_secret_expires_at": 0}),
        json!({"client_id_issued_at": 0}),
        json!({"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"], "redirect_uris": ["https://a.example/callback"],
            "response_types": ["code"]}),
        json!({"grant_types": ["password"]}),
        json!({"client_name": "a\u{0}"}),
    ] {
        let answer =
            send(request(&server, "PUT", &client).json(&replacement(&client, change.clone())))
                .await;
        assert_oauth_error(&answer, StatusCode::BAD_REQUEST, "invalid_client_metadata");
    }
    let wrong = send(request(&server, "PUT", &client).json(&replacement(
        &client,
        json!({"redirect_uris": ["http://a.example"]}),
    )))
    .await;
    assert_oauth_error(&wrong, StatusCode::BAD_REQUEST, "invalid_redirect_uri");
    let form =
        send(request(&server, "PUT", &client).form(&[("client_id", text(&client, "client_id"))]))
            .await;
    assert_oauth_error(&form, StatusCode::BAD_REQUEST, "invalid_request");
    let read = send(request(&server, "GET", &client)).await.1;
    assert_eq!(
        (&read["client_name"], &read["scope"]),
        (&json!("Robot"), &json!("read")),
        "nothing was changed"
    );
}

async fn a_client_that_deletes_itself_ends_with_its_tokens(db: TestDatabase) {
    // RFC 7592 §2.3
    let server = Server::start(db).await;
    let client = robot(&server).await;
    let token = own_token(&server, &client).await.1;
    assert!(super::is_active(&server, text(&token, "access_token")).await);
    let response = request(&server, "DELETE", &client)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (response.status(), &response.headers()[CACHE_CONTROL]),
        (
            StatusCode::NO_CONTENT,
            &"no-store".parse().expect("a value")
        )
    );
    assert!(!super::is_active(&server, text(&token, "access_token")).await);
    assert_oauth_error(
        &own_token(&server, &client).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
    for method in ["GET", "PUT", "DELETE"] {
        let answer =
            send(request(&server, method, &client).json(&replacement(&client, json!({})))).await;
        assert_oauth_error(&answer, StatusCode::UNAUTHORIZED, "invalid_token");
    }
}

async fn of_ten_deletions_one_succeeds(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let client = tool(&server).await;
    let answers = join_all((0..10).map(|_| send(request(&server, "DELETE", &client)))).await;
    assert_eq!(
        answers
            .iter()
            .filter(|(status, _)| *status == StatusCode::NO_CONTENT)
            .count(),
        1
    );
    for answer in answers
        .iter()
        .filter(|(status, _)| *status != StatusCode::NO_CONTENT)
    {
        assert_oauth_error(answer, StatusCode::UNAUTHORIZED, "invalid_token");
    }
}

async fn a_wrong_token_opens_nothing(db: TestDatabase) {
    // RFC 7592 §2.1
    let server = Server::start(db).await;
    let (client, other) = (tool(&server).await, robot(&server).await);
    let path = format!("/oauth2/register/{}", text(&client, "client_id"));
    for request in [
        server.get(&path),
        server
            .get(&path)
            .bearer_auth(text(&other, "registration_access_token")),
        server
            .get(&path)
            .bearer_auth(&server.secrets.registration_token),
        server
            .get(&path)
            .bearer_auth(format!("{}x", text(&client, "registration_access_token"))),
        server
            .get("/oauth2/register/app_x")
            .bearer_auth(text(&client, "registration_access_token")),
        server
            .get(&format!("/oauth2/register/{}", server.planted.application))
            .bearer_auth(text(&client, "registration_access_token")),
    ] {
        let response = request.send().await.expect("an answer");
        assert!(
            response.headers()[WWW_AUTHENTICATE]
                .to_str()
                .expect("text")
                .starts_with("Bearer ")
        );
        assert_oauth_error(
            &crate::server::json(response).await,
            StatusCode::UNAUTHORIZED,
            "invalid_token",
        );
    }
    let in_url = server.get(&format!(
        "{path}?access_token={}",
        text(&client, "registration_access_token")
    ));
    assert_oauth_error(
        &send(in_url).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    // one that the operator stopped cannot change itself
    let id: ApplicationId = text(&client, "client_id").parse().expect("an id");
    server
        .write(move |tx| {
            let application = tx.find_application(id)?.expect("registered");
            Ok(tx.set_application_stopped(&application, Some("abuse"))?)
        })
        .await;
    assert_oauth_error(
        &send(request(&server, "DELETE", &client)).await,
        StatusCode::UNAUTHORIZED,
        "invalid_token",
    );
}

async fn two_that_come_to_mean_the_same_stay_two(db: TestDatabase) {
    let server = Server::start(db).await;
    let first = tool(&server).await;
    let second =
        register(&server, json!({"client_name": "Other", "redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none"}))
            .await;
    let changed = send(
        request(&server, "PUT", &second)
            .json(&replacement(&second, json!({"client_name": "Tool"}))),
    )
    .await;
    assert_eq!(
        (changed.0, &changed.1["client_id"]),
        (StatusCode::OK, &second["client_id"])
    );
    assert_eq!(tool(&server).await["client_id"], first["client_id"]);
    let other =
        register(&server, json!({"client_name": "Other", "redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none"}))
            .await;
    assert_ne!(
        other["client_id"], second["client_id"],
        "nothing of that name is left"
    );
}

async fn application(server: &Server, client: &Value) -> Application {
    let id: ApplicationId = text(client, "client_id").parse().expect("an id");
    server
        .app
        .store
        .read(move |c| c.find_application(id))
        .await
        .expect("a read")
        .expect("found")
}

async fn another_name_or_host_is_verified_no_more(db: TestDatabase) {
    // the operator's word is of a name and of addresses
    let server = Server::start(db).await;
    let client = register(
        &server,
        json!({"client_name": "CRM", "redirect_uris": ["https://crm.example/cb"]}),
    )
    .await;
    for (change, kept) in [
        (
            json!({"redirect_uris": ["https://crm.example/other"]}),
            true,
        ),
        (json!({"redirect_uris": ["https://evil.example/cb"]}), false),
        (json!({"client_name": "Your Bank"}), false),
    ] {
        let before = application(&server, &client).await;
        server
            .write(move |tx| Ok(tx.set_application_verified(&before, true)?))
            .await;
        let (status, body) =
            send(request(&server, "PUT", &client).json(&replacement(&client, change.clone())))
                .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(
            application(&server, &client).await.verified_at.is_some(),
            kept,
            "{change}"
        );
    }
}

async fn who_is_vouched_for_no_more_gets_nothing_new(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register(&server, json!({"client_name": "CRM", "redirect_uris": ["https://crm.example/cb"], "scope": "read write"})).await;
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            for token in tx.list_registration_tokens(organization, 10)? {
                tx.revoke_registration_token(organization, token.id)?;
            }
            Ok(())
        })
        .await;
    for more in [
        json!({"scope": "read write send"}),
        json!({"grant_types": ["authorization_code", "client_credentials"]}),
    ] {
        let answer = send(request(&server, "PUT", &client).json(&replacement(&client, more))).await;
        assert_oauth_error(&answer, StatusCode::BAD_REQUEST, "invalid_client_metadata");
    }
    let less = json!({"scope": "read"});
    assert_eq!(
        send(request(&server, "PUT", &client).json(&replacement(&client, less)))
            .await
            .0,
        StatusCode::OK
    );
}

async fn a_maker_who_may_not_manage_applications_vouches_for_nothing_new(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register(&server, json!({"client_name": "CRM", "redirect_uris": ["https://crm.example/cb"], "scope": "read write"})).await;
    let update = async |scope: &str| {
        let body = replacement(&client, json!({"scope": scope}));
        send(request(&server, "PUT", &client).json(&body)).await
    };
    for lost in super::lost_management(&server) {
        server.database.execute(&lost);
        let answer = update("read write send").await;
        assert_oauth_error(&answer, StatusCode::BAD_REQUEST, "invalid_client_metadata");
        server.database.execute(super::FULL_MEMBERSHIPS);
    }
    assert_eq!(update("read write send").await.0, StatusCode::OK);
}

async fn what_the_organization_changed_is_its_own(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register(&server, json!({"client_name": "CRM", "redirect_uris": ["https://crm.example/cb"], "scope": "read write"})).await;
    let id = application(&server, &client).await.id;
    let admin = Asker::person(people::admin(&server).await.id);
    let settings = ApplicationSettings {
        name: "CRM".to_owned(),
        redirect_uris: vec!["https://crm.example/cb".parse().expect("a URI")],
        scopes: "read".parse().expect("scopes"),
        role: "viewer".to_owned(),
        grants: "authorization_code".parse().expect("a grant"),
        refresh: RefreshPolicy::default(),
    };
    let change = move |desk: &mut Desk| settings::change(desk, id, &settings);
    people::at_desk(&server, server.planted.organization, admin, change)
        .await
        .expect("the application is changed");
    // a PUT would undo it
    for method in ["GET", "PUT", "DELETE"] {
        let answer =
            send(request(&server, method, &client).json(&replacement(&client, json!({})))).await;
        assert_oauth_error(&answer, StatusCode::UNAUTHORIZED, "invalid_token");
    }
}
