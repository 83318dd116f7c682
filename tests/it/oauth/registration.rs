//! `POST /oauth2/register` (RFC 7591), and what becomes of an application that registered by itself.

use countersign::config::{Config, Rate};
use countersign::domain::Refusal;
use countersign::domain::clients::consents;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::people::accounts;
use countersign::jobs::sweep;
use countersign::store;
use countersign::store::Tx;
use countersign::store::consents::Consent;
use countersign::store::organizations::Organization;
use countersign::types::id::{ApplicationId, ConsentId};
use countersign::types::state::{ConsentState, OrganizationRole, ReachKind};
use futures_util::future::join_all;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{assert_error_page, assert_oauth_error, authorize_with, send, text, user};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Server, VERIFIER, parameter};

both_databases!(
    all_metadata_is_echoed_with_the_defaults_filled_in,
    a_registered_public_client_connects_as_any_other,
    a_registered_confidential_client_acts_as_itself_with_the_least_role,
    what_clients_of_today_send_is_registered,
    names_may_stand_in_several_languages,
    a_wrong_redirect_uri_is_named,
    wrong_metadata_is_named_by_its_member,
    a_body_that_is_no_object_of_metadata_registers_nothing,
    without_a_token_nothing_is_registered,
    a_token_stops_with_its_revocation_its_end_and_its_makers_role,
    a_token_registers_nothing_while_its_maker_may_not_manage_applications,
    the_same_metadata_gives_the_same_public_client,
    a_confidential_client_is_a_new_one_each_time,
    of_fifty_identical_registrations_one_client_comes,
    where_registration_is_open_nobody_can_change_what_others_share,
    open_registration_never_gets_client_credentials,
    the_caps_hold,
    where_registration_is_open_the_longest_unused_makes_room,
    new_clients_are_counted_by_address_and_repetitions_are_free,
    an_unused_client_ends_and_the_way_out_is_named,
    a_client_that_is_used_or_allowed_stays,
    an_ended_client_registers_again_as_a_new_one,
    the_address_is_advertised_where_anybody_may_register,
);

/// What a native program sends.
fn tool() -> Value {
    json!({"client_name": "Tool", "redirect_uris": ["http://127.0.0.1:49152/callback"], "token_endpoint_auth_method": "none"})
}

fn with(base: Value, changes: Value) -> Value {
    let (Value::Object(mut base), Value::Object(changes)) = (base, changes) else {
        unreachable!("objects")
    };
    base.extend(changes);
    Value::Object(base)
}

fn request(server: &Server) -> RequestBuilder {
    server
        .post("/oauth2/register")
        .bearer_auth(&server.secrets.registration_token)
}

async fn register(server: &Server, metadata: &Value) -> (StatusCode, Value) {
    send(request(server).json(metadata)).await
}

#[track_caller]
fn created((status, body): (StatusCode, Value)) -> Value {
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body
}

/// How many live applications registered by themselves.
async fn count(server: &Server) -> i64 {
    let open = !server.app.config.registration.open_organization.is_empty();
    let organization = if open {
        COMMONS.parse().expect("an id")
    } else {
        server.planted.organization
    };
    let counted: Result<_, store::Error> = server
        .app
        .store
        .read(move |c| c.count_registered_applications(organization))
        .await;
    counted.expect("a count")
}

/// The organization to which belongs what anybody registers.
const COMMONS: &str = "org_0000000000000000000001";

/// A server at which anybody may register; the admin owns the organization that it belongs to.
pub(super) async fn open(db: TestDatabase, change: impl FnOnce(&mut Config)) -> Server {
    let server = Server::start_with(db, |config| {
        config.registration.open_organization = COMMONS.to_owned();
        change(config);
    })
    .await;
    let found = server.planted.organization;
    let create = move |tx: &mut Tx| {
        let owner = user(tx, ADMIN)?;
        let commons = tx.find_organization(found)?.map(|acme| Organization {
            id: COMMONS.parse().expect("an id"),
            name: "Commons".to_owned(),
            ..acme
        });
        let commons = commons.expect("planted");
        tx.insert_organization(&commons)?;
        Ok(accounts::add_member(
            tx,
            commons.id,
            owner,
            OrganizationRole::Owner,
        )?)
    };
    server.write(create).await;
    server
}

async fn all_metadata_is_echoed_with_the_defaults_filled_in(db: TestDatabase) {
    // RFC 7591 §2, §3.2.1
    let server = Server::start(db).await;
    let sent = json!({
        "client_name": "CRM", "redirect_uris": ["https://crm.example/cb", "https://crm.example/cb"], "client_uri": "https://crm.example",
        "logo_uri": "https://crm.example/logo.png", "tos_uri": "https://crm.example/terms", "policy_uri": "https://crm.example/privacy",
        "jwks_uri": "https://crm.example/keys", "contacts": ["ada@crm.example"], "software_id": "crm", "software_version": "1.0",
        "scope": "write read offline_access", "example_extension_parameter": {"deep": [1]}, "logo_uri#": "x", "default_max_age": null,
    });
    let response = request(&server)
        .json(&sent)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (response.status(), &response.headers()[CACHE_CONTROL]),
        (StatusCode::CREATED, &"no-store".parse().expect("a value"))
    );
    let body: Value = response.json().await.expect("JSON");
    for (name, value) in [
        ("client_name", json!("CRM")),
        ("redirect_uris", json!(["https://crm.example/cb"])),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("grant_types", json!(["authorization_code"])),
        ("response_types", json!(["code"])),
        ("application_type", json!("web")),
        // what is not offered here is left out
        ("scope", json!("read write")),
        ("client_secret_expires_at", json!(0)),
        ("client_id_issued_at", json!(server.clock.now().seconds())),
        (
            "registration_client_uri",
            json!(format!(
                "{}/oauth2/register/{}",
                server.base,
                text(&body, "client_id")
            )),
        ),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
    for name in [
        "client_uri",
        "logo_uri",
        "tos_uri",
        "policy_uri",
        "jwks_uri",
        "contacts",
        "software_id",
        "software_version",
    ] {
        assert_eq!(body[name], sent[name], "{name}");
    }
    assert!(
        text(&body, "client_secret").starts_with("cs_cs_")
            && text(&body, "registration_access_token").starts_with("cs_ra_")
    );
    for name in [
        "example_extension_parameter",
        "logo_uri#",
        "default_max_age",
    ] {
        assert!(body.get(name).is_none(), "{name} means nothing here");
    }
}

async fn a_registered_public_client_connects_as_any_other(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = created(
        register(
            &server,
            &with(
                tool(),
                json!({"grant_types": ["authorization_code", "refresh_token"]}),
            ),
        )
        .await,
    );
    assert!(
        client.get("client_secret").is_none() && client.get("client_secret_expires_at").is_none()
    );
    let id = text(&client, "client_id");
    // RFC 8252 §7.3: another port than the registered one
    let path = authorize_with(
        id,
        &[("redirect_uri", Some("http://127.0.0.1:5000/callback"))],
    );
    let code =
        parameter(&server.signed_in_browser().await.allow(&path).await, "code").expect("a code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", "http://127.0.0.1:5000/callback"),
        ("code_verifier", VERIFIER),
        ("client_id", id),
    ];
    let (status, tokens) = send(server.post("/oauth2/token").form(&form)).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert!(
        tokens["refresh_token"].is_string(),
        "it registered the grant"
    );
    assert_eq!(
        server.introspect(text(&tokens, "access_token")).await["client_id"],
        id
    );
    let form = [("grant_type", "client_credentials"), ("client_id", id)];
    assert_oauth_error(
        &send(server.post("/oauth2/token").form(&form)).await,
        StatusCode::BAD_REQUEST,
        "unauthorized_client",
    );
}

async fn a_registered_confidential_client_acts_as_itself_with_the_least_role(db: TestDatabase) {
    let server = Server::start(db).await;
    let client =
        created(register(&server, &json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_post"})).await);
    assert_eq!(
        (
            &client["response_types"],
            &client["redirect_uris"],
            client.get("client_name")
        ),
        (&json!([]), &json!([]), None)
    );
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", text(&client, "client_id")),
        ("client_secret", text(&client, "client_secret")),
    ];
    let (status, tokens) = send(server.post("/oauth2/token").form(&form)).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let answer = server
        .verify(json!({"credential": tokens["access_token"], "permission": "documents:read"}))
        .await;
    assert_eq!(
        (&answer["code"], &answer["environment"]),
        (&json!("valid"), &json!("sandbox")),
        "{answer}"
    );
    let answer = server
        .verify(json!({"credential": tokens["access_token"], "permission": "documents:write"}))
        .await;
    assert_eq!(answer["code"], "forbidden", "a viewer");
}

async fn what_clients_of_today_send_is_registered(db: TestDatabase) {
    let server = Server::start(db).await;
    let refresh = json!(["authorization_code", "refresh_token"]);
    for (sent, method, grants, kind) in [
        (
            json!({"client_name": "Claude", "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
                "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
                "response_types": ["code"], "token_endpoint_auth_method": "none", "scope": "claudeai"}),
            "none",
            &refresh,
            "web",
        ),
        (
            json!({"client_name": "Claude Code (documents)", "redirect_uris": ["http://localhost:51763/callback"],
                "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none"}),
            "none",
            &refresh,
            "native",
        ),
        (
            json!({"client_name": "Visual Studio Code", "client_uri": "https://code.visualstudio.com",
                "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
                "response_types": ["code"], "token_endpoint_auth_method": "none", "application_type": "native",
                "redirect_uris": ["https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://localhost/",
                    "http://127.0.0.1/", "http://localhost:33418/", "http://127.0.0.1:33418/"]}),
            "none",
            &refresh,
            "native",
        ),
        (
            json!({"redirect_uris": ["http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"],
                "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                "client_name": "MCP Inspector", "client_uri": "https://github.com/modelcontextprotocol/inspector", "scope": ""}),
            "none",
            &refresh,
            "native",
        ),
        (
            json!({"client_name": "ChatGPT", "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
                "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"]}),
            "none",
            &refresh,
            "web",
        ),
    ] {
        let body = created(register(&server, &sent).await);
        assert_eq!(
            (
                &body["token_endpoint_auth_method"],
                &body["grant_types"],
                &body["application_type"]
            ),
            (&json!(method), grants, &json!(kind))
        );
        assert_eq!(
            (&body["redirect_uris"], &body["client_name"]),
            (&sent["redirect_uris"], &sent["client_name"])
        );
        assert_eq!(
            body["scope"], "read send webhooks write",
            "a scope of another server's is none here"
        );
    }
    // Cursor: a scheme that every program on the machine may claim (RFC 8252 §7.1)
    let cursor = json!({"client_name": "Cursor", "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"],
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none"});
    let refused = register(&server, &cursor).await;
    assert_oauth_error(&refused, StatusCode::BAD_REQUEST, "invalid_redirect_uri");
    assert!(
        text(&refused.1, "error_description")
            .contains("private-use scheme such as com.example.app"),
        "{refused:?}"
    );
}

async fn names_may_stand_in_several_languages(db: TestDatabase) {
    // RFC 7591 §2.2
    let server = Server::start(db).await;
    let names = json!({"client_name": "Offers", "client_name#de": "Angebote", "tos_uri#ja-Hani-JP": "https://a.example/条".replace('条', "x"),
        "client_name#<b>": "x", "scope#de": "x"});
    let body = created(register(&server, &with(tool(), names)).await);
    assert_eq!(
        (&body["client_name"], &body["client_name#de"]),
        (&json!("Offers"), &json!("Angebote"))
    );
    assert_eq!(body["tos_uri#ja-Hani-JP"], "https://a.example/x");
    assert!(body.get("client_name#<b>").is_none() && body.get("scope#de").is_none());
    let refused = register(
        &server,
        &with(tool(), json!({"client_name#de": "a\u{202e}b"})),
    )
    .await;
    assert_oauth_error(&refused, StatusCode::BAD_REQUEST, "invalid_client_metadata");
}

async fn a_wrong_redirect_uri_is_named(db: TestDatabase) {
    // RFC 7591 §3.2.2, 9700-3, 9700-4
    let server = Server::start(db).await;
    for uris in [
        json!([]),
        json!(null),
        json!("https://a.example/cb"),
        json!([1]),
        json!([["https://a.example/cb"]]),
        json!(["http://a.example/cb"]),
        json!(["javascript:alert(1)"]),
        json!(["myapp:/cb"]),
        json!(["https://a.example/cb#x"]),
        json!(["https://a.example/cb", "/cb"]),
        json!(["https://*.example/cb"]),
        json!(["https://a.example/\u{0}"]),
        json!(["https://a.example/".to_owned() + &"x".repeat(2000)]),
        json!(
            (0..21)
                .map(|number| format!("https://a.example/{number}"))
                .collect::<Vec<_>>()
        ),
    ] {
        let answer = register(&server, &with(tool(), json!({"redirect_uris": uris}))).await;
        assert_oauth_error(&answer, StatusCode::BAD_REQUEST, "invalid_redirect_uri");
    }
    let web = register(&server, &with(tool(), json!({"application_type": "web"}))).await;
    assert_oauth_error(&web, StatusCode::BAD_REQUEST, "invalid_redirect_uri");
    let missing = register(&server, &json!({"token_endpoint_auth_method": "none"})).await;
    assert_oauth_error(&missing, StatusCode::BAD_REQUEST, "invalid_redirect_uri");
    assert_eq!(count(&server).await, 0);
}

async fn wrong_metadata_is_named_by_its_member(db: TestDatabase) {
    // RFC 7591 §3.2.2
    let server = Server::start(db).await;
    for (member, value) in [
        ("client_name", json!(5)),
        ("client_name", json!("x".repeat(101))),
        ("client_name", json!("a\u{0}b")),
        ("client_uri", json!("http://a.example")),
        ("client_uri", json!("https://ada:secret@a.example")),
        ("logo_uri", json!("javascript:alert(1)")),
        ("logo_uri", json!("https://a.example/\"><script>")),
        ("tos_uri", json!(["https://a.example"])),
        ("policy_uri", json!({"url": "https://a.example"})),
        ("jwks_uri", json!("data:,x")),
        ("scope", json!(["read"])),
        ("scope", json!("read\"write")),
        ("contacts", json!("ada@a.example")),
        ("contacts", json!([1])),
        ("contacts", json!(vec!["a"; 11])),
        ("software_id", json!(true)),
        ("grant_types", json!("authorization_code")),
        ("grant_types", json!([])),
        ("grant_types", json!(["password", "implicit"])),
        ("grant_types", json!(["refresh_token"])),
        ("grant_types", json!(["client_credentials"])),
        ("response_types", json!(["token"])),
        ("response_types", json!([])),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
        ("token_endpoint_auth_method", json!(["none"])),
        ("application_type", json!("desktop")),
    ] {
        let answer = register(&server, &with(tool(), json!({member: value}))).await;
        assert_oauth_error(&answer, StatusCode::BAD_REQUEST, "invalid_client_metadata");
        assert!(
            text(&answer.1, "error_description").contains(member),
            "{member}: {answer:?}"
        );
    }
    for changes in [
        json!({"jwks": {"keys": []}, "jwks_uri": "https://a.example/keys"}),
        json!({"token_endpoint_auth_method": null, "token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
        json!({"token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"], "response_types": ["code"]}),
    ] {
        assert_oauth_error(
            &register(&server, &with(tool(), changes)).await,
            StatusCode::BAD_REQUEST,
            "invalid_client_metadata",
        );
    }
    assert_eq!(count(&server).await, 0);
}

async fn a_body_that_is_no_object_of_metadata_registers_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let good = tool().to_string();
    let deep = |open: &str, close: &str| {
        format!(
            "{{\"contacts\": {}1{}}}",
            open.repeat(2000),
            close.repeat(2000)
        )
        .into_bytes()
    };
    for body in [
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{".to_vec(),
        b"{} {}".to_vec(),
        b"{\"client_name\": \"\xff\"}".to_vec(),
        b"{\"client_name\": \"\\ud800\"}".to_vec(),
        b"{\"client_name\": \"a\", \"client_name\": \"b\"}".to_vec(),
        b"{\"x\": 1, \"x\": 2}".to_vec(),
        good.replacen('{', "{\"redirect_uris\": [\"https://evil.example\"], ", 1)
            .into_bytes(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
    ] {
        let answer = send(
            request(&server)
                .header(CONTENT_TYPE, "application/json")
                .body(body),
        )
        .await;
        assert_oauth_error(&answer, StatusCode::BAD_REQUEST, "invalid_client_metadata");
    }
    let huge = with(tool(), json!({"x": "x".repeat(20_000)})).to_string();
    for (content_type, body) in [
        ("application/json", huge),
        (
            "application/x-www-form-urlencoded",
            "redirect_uris=https://a.example/cb".to_owned(),
        ),
        ("text/plain", good.clone()),
        ("application/jose", good.clone()),
    ] {
        let answer = send(
            request(&server)
                .header(CONTENT_TYPE, content_type)
                .body(body),
        )
        .await;
        assert_oauth_error(&answer, StatusCode::BAD_REQUEST, "invalid_request");
    }
    assert_oauth_error(
        &send(request(&server).body(good)).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    let in_url = server
        .post("/oauth2/register?client_name=x")
        .bearer_auth(&server.secrets.registration_token)
        .json(&tool());
    assert_oauth_error(
        &send(in_url).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    // deep below a member that means nothing, and a charset that says nothing new
    let nested = format!(
        "{{\"x\": {}{}, {}",
        "[".repeat(5000),
        "]".repeat(5000),
        &tool().to_string()[1..]
    );
    created(
        send(
            request(&server)
                .header(CONTENT_TYPE, "Application/JSON; charset=utf-8")
                .body(nested),
        )
        .await,
    );
    assert_eq!(count(&server).await, 1);
}

async fn without_a_token_nothing_is_registered(db: TestDatabase) {
    // RFC 7591 §3, RFC 6750 §3
    let server = Server::start(db).await;
    let post = || server.post("/oauth2/register").json(&tool());
    for request in [
        post(),
        post().bearer_auth("x"),
        post().bearer_auth(&server.secrets.sandbox_key),
        post().bearer_auth(format!("{}x", server.secrets.registration_token)),
        post().bearer_auth(
            countersign::crypto::format::mint_token(
                "cs",
                countersign::crypto::format::TokenKind::InitialAccessToken,
            )
            .expose(),
        ),
        post().basic_auth(
            server.planted.application,
            Some(&server.secrets.client_secret),
        ),
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
    let in_url = server
        .post(&format!(
            "/oauth2/register?access_token={}",
            server.secrets.registration_token
        ))
        .json(&tool());
    assert_oauth_error(
        &send(in_url).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    assert_eq!(count(&server).await, 0);
}

async fn a_token_stops_with_its_revocation_its_end_and_its_makers_role(db: TestDatabase) {
    let server = Server::start(db).await;
    let organization = server.planted.organization;
    let registered = created(register(&server, &tool()).await);
    let role = |from: OrganizationRole, to: OrganizationRole| {
        server.write(move |tx: &mut Tx| {
            let admin = user(tx, ADMIN)?;
            Ok(tx.change_member_role(organization, admin, from, to)?)
        })
    };
    role(OrganizationRole::Owner, OrganizationRole::Member).await;
    assert_oauth_error(
        &register(&server, &tool()).await,
        StatusCode::UNAUTHORIZED,
        "invalid_token",
    );
    role(OrganizationRole::Member, OrganizationRole::Admin).await;
    created(register(&server, &tool()).await);
    server.database.execute(&format!(
        "UPDATE registration_tokens SET expires_at = {}",
        server.clock.now().millis() + 1000
    ));
    created(register(&server, &tool()).await);
    server.clock.step_seconds(1);
    assert_oauth_error(
        &register(&server, &tool()).await,
        StatusCode::UNAUTHORIZED,
        "invalid_token",
    );
    server
        .database
        .execute("UPDATE registration_tokens SET expires_at = NULL, state = 'revoked'");
    assert_oauth_error(
        &register(&server, &tool()).await,
        StatusCode::UNAUTHORIZED,
        "invalid_token",
    );
    // what was registered stays
    let response = server
        .signed_in_browser()
        .await
        .get(&authorize_with(
            text(&registered, "client_id"),
            &[("redirect_uri", Some("http://127.0.0.1/callback"))],
        ))
        .await;
    assert_eq!(response.status(), StatusCode::OK);
}

async fn a_token_registers_nothing_while_its_maker_may_not_manage_applications(db: TestDatabase) {
    let server = Server::start(db).await;
    created(register(&server, &tool()).await);
    for lost in super::lost_management(&server) {
        server.database.execute(&lost);
        let answer = register(&server, &tool()).await;
        assert_oauth_error(&answer, StatusCode::UNAUTHORIZED, "invalid_token");
        server.database.execute(super::FULL_MEMBERSHIPS);
        created(register(&server, &tool()).await);
    }
}

async fn the_same_metadata_gives_the_same_public_client(db: TestDatabase) {
    let server = Server::start(db).await;
    let first = created(
        register(
            &server,
            &with(
                tool(),
                json!({"scope": "read write", "contacts": ["a@a.example", "b@a.example"]}),
            ),
        )
        .await,
    );
    for same in [
        // another port, another order, what was left to the defaults, what means nothing
        json!({"redirect_uris": ["http://127.0.0.1:50000/callback"], "scope": "write read", "contacts": ["b@a.example", "a@a.example"]}),
        json!({"redirect_uris": ["http://127.0.0.1/callback"], "scope": "read write offline_access", "contacts": ["a@a.example", "b@a.example"],
            "grant_types": ["authorization_code"], "response_types": ["code"], "application_type": "native", "x": 1}),
    ] {
        let again = created(register(&server, &with(tool(), same.clone())).await);
        assert_eq!(
            (&again["client_id"], &again["client_id_issued_at"]),
            (&first["client_id"], &first["client_id_issued_at"])
        );
        assert_eq!(
            again["redirect_uris"], same["redirect_uris"],
            "it is told what it said"
        );
        // the say over it stays with who registered it: another holder of the initial token gets the client only
        assert_eq!(again.get("registration_access_token"), None);
    }
    let old = server
        .get(&format!("/oauth2/register/{}", text(&first, "client_id")))
        .bearer_auth(text(&first, "registration_access_token"));
    assert_eq!(send(old).await.0, StatusCode::OK);
    for other in [
        json!({"client_name": "Tool 2"}),
        json!({"redirect_uris": ["http://localhost:49152/callback"]}),
        json!({"redirect_uris": ["https://127.0.0.1:49152/callback"]}),
        json!({"scope": "read"}),
    ] {
        assert_ne!(
            created(register(&server, &with(tool(), other)).await)["client_id"],
            first["client_id"]
        );
    }
    assert_eq!(count(&server).await, 5);
}

async fn a_confidential_client_is_a_new_one_each_time(db: TestDatabase) {
    let server = Server::start(db).await;
    let confidential = with(
        tool(),
        json!({"token_endpoint_auth_method": "client_secret_basic"}),
    );
    let (first, second) = (
        created(register(&server, &confidential).await),
        created(register(&server, &confidential).await),
    );
    assert_ne!(
        (&first["client_id"], &first["client_secret"]),
        (&second["client_id"], &second["client_secret"])
    );
}

async fn of_fifty_identical_registrations_one_client_comes(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let bodies = (0..50).map(|port| {
        with(
            tool(),
            json!({"redirect_uris": [format!("http://127.0.0.1:{}/callback", 50_000 + port)]}),
        )
    });
    let bodies: Vec<Value> = bodies.collect();
    let answers = join_all(bodies.iter().map(|body| register(&server, body))).await;
    let ids: std::collections::BTreeSet<String> = answers
        .into_iter()
        .map(|answer| text(&created(answer), "client_id").to_owned())
        .collect();
    assert_eq!((ids.len(), count(&server).await), (1, 1));
}

async fn where_registration_is_open_nobody_can_change_what_others_share(db: TestDatabase) {
    let server = open(db, |_| {}).await;
    let anybody = async || created(send(server.post("/oauth2/register").json(&tool())).await);
    let (first, second) = (anybody().await, anybody().await);
    assert_eq!(first["client_id"], second["client_id"]);
    for name in ["registration_access_token", "registration_client_uri"] {
        assert!(
            first.get(name).is_none() && second.get(name).is_none(),
            "{name}"
        );
    }
    // with a token it is another one, which others cannot reach
    assert_ne!(
        created(register(&server, &tool()).await)["client_id"],
        first["client_id"]
    );
    let path = authorize_with(
        text(&first, "client_id"),
        &[("redirect_uri", Some("http://127.0.0.1:1/callback"))],
    );
    // nor does it look as if the organization had made it
    let html = server
        .signed_in_browser()
        .await
        .get(&path)
        .await
        .text()
        .await
        .expect("text");
    assert!(
        html.contains("Not verified")
            && html.contains("it registered by itself")
            && !html.contains("Your organization"),
        "{html}"
    );
    let id: ApplicationId = text(&first, "client_id").parse().expect("an id");
    let connected = server.write(move |tx| made_by_of(tx, id)).await;
    assert!(connected.contains("it registered by itself"), "{connected}");
    let wrong = server
        .post("/oauth2/register")
        .bearer_auth("x")
        .json(&tool());
    assert_oauth_error(
        &send(wrong).await,
        StatusCode::UNAUTHORIZED,
        "invalid_token",
    );
}

/// As the page of connected applications says it, once the admin has allowed it something.
fn made_by_of(tx: &mut Tx, application: ApplicationId) -> Result<String, Refusal> {
    let person = user(tx, ADMIN)?;
    let commons = COMMONS.parse().expect("an id");
    let consent = Consent {
        id: ConsentId::generate(tx.now),
        user_id: person,
        application_id: application,
        organization_id: commons,
        scopes: "read".parse().expect("a scope"),
        reach: ReachKind::Organization,
        state: ConsentState::Active,
        created_at: tx.now,
        updated_at: tx.now,
        revoked_at: None,
        application_name: "An application".to_owned(),
        named_at: countersign::types::time::Timestamp::from_millis(0),
    };
    tx.insert_consent(&consent, &[])?;
    Ok(consents::find_connected(tx, person, consent.id)?.made_by)
}

async fn open_registration_never_gets_client_credentials(db: TestDatabase) {
    let server = open(db, |config| {
        config.registration.scopes = vec!["read".to_owned()]
    })
    .await;
    let ask = async |changes: Value| {
        send(server.post("/oauth2/register").json(&with(tool(), changes))).await
    };
    let only = ask(json!({"token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"]})).await;
    assert_oauth_error(&only, StatusCode::BAD_REQUEST, "invalid_client_metadata");
    let both = json!({"token_endpoint_auth_method": "client_secret_basic", "grant_types": ["authorization_code", "client_credentials"], "scope": "send"});
    let client = created(ask(both).await);
    assert_eq!(
        (&client["grant_types"], &client["scope"]),
        (&json!(["authorization_code"]), &json!("read"))
    );
    let own = server
        .post("/oauth2/token")
        .basic_auth(text(&client, "client_id"), client["client_secret"].as_str());
    assert_oauth_error(
        &send(own.form(&[("grant_type", "client_credentials")])).await,
        StatusCode::BAD_REQUEST,
        "unauthorized_client",
    );
}

async fn the_caps_hold(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    server
        .database
        .execute("UPDATE registration_tokens SET max_clients = 3");
    let bodies: Vec<Value> = (0..10)
        .map(|number| with(tool(), json!({"client_name": format!("Tool {number}")})))
        .collect();
    let answers = join_all(bodies.iter().map(|body| register(&server, body))).await;
    assert_eq!(
        answers
            .iter()
            .filter(|(status, _)| *status == StatusCode::CREATED)
            .count(),
        3
    );
    for answer in answers
        .iter()
        .filter(|(status, _)| *status != StatusCode::CREATED)
    {
        assert_oauth_error(answer, StatusCode::FORBIDDEN, "access_denied");
    }
    // what is there is still found, and what people create has a cap of its own
    let known = answers
        .iter()
        .position(|(status, _)| *status == StatusCode::CREATED)
        .expect("one");
    created(register(&server, &bodies[known]).await);
    assert_eq!(count(&server).await, 3);
    super::register(&server, |_| {}).await;
}

async fn where_registration_is_open_the_longest_unused_makes_room(db: TestDatabase) {
    let server = open(db, |config| config.registration.max_clients = 2).await;
    let anybody = async |name: &str| {
        send(
            server
                .post("/oauth2/register")
                .json(&with(tool(), json!({"client_name": name}))),
        )
        .await
    };
    let first = created(anybody("first").await);
    server.clock.step_seconds(10);
    let second = created(anybody("second").await);
    assert_oauth_error(
        &anybody("third").await,
        StatusCode::FORBIDDEN,
        "access_denied",
    );
    server.clock.step_seconds(60 * 60 - 5);
    created(anybody("third").await);
    assert_eq!(count(&server).await, 2);
    assert_eq!(
        created(anybody("second").await)["client_id"],
        second["client_id"]
    );
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", text(&first, "client_id")),
    ];
    assert_oauth_error(
        &send(server.post("/oauth2/token").form(&form)).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
}

async fn new_clients_are_counted_by_address_and_repetitions_are_free(db: TestDatabase) {
    let server = open(db, |config| {
        config.limits.registrations = Rate {
            quota: 2,
            window_seconds: 60,
        }
    })
    .await;
    let anybody = async |name: &str| {
        server
            .post("/oauth2/register")
            .json(&with(tool(), json!({"client_name": name})))
            .send()
            .await
            .expect("an answer")
    };
    for _ in 0..5 {
        assert_eq!(anybody("one").await.status(), StatusCode::CREATED);
    }
    assert_eq!(anybody("two").await.status(), StatusCode::CREATED);
    let refused = anybody("three").await;
    assert_eq!(refused.headers()["retry-after"], "60");
    assert_oauth_error(
        &crate::server::json(refused).await,
        StatusCode::TOO_MANY_REQUESTS,
        "temporarily_unavailable",
    );
    assert_eq!(anybody("one").await.status(), StatusCode::CREATED);
    // a token has a window of its own
    created(register(&server, &with(tool(), json!({"client_name": "three"}))).await);
    server.clock.step_seconds(60);
    assert_eq!(anybody("three").await.status(), StatusCode::CREATED);
}

const DAY: i64 = 24 * 60 * 60;

async fn swept(server: &Server) {
    sweep::round(&server.app).await.expect("swept");
}

async fn an_unused_client_ends_and_the_way_out_is_named(db: TestDatabase) {
    // RFC 6749 §5.2: 401 is what makes a client register again
    let server =
        Server::start_with(db, |config| config.sessions.absolute_seconds = 1000 * DAY).await;
    let public = created(register(&server, &tool()).await);
    let confidential =
        created(register(&server, &json!({"grant_types": ["client_credentials"]})).await);
    server.clock.step_seconds(30 * DAY);
    swept(&server).await;
    assert_eq!(count(&server).await, 2, "not before");
    server.clock.step_seconds(1);
    swept(&server).await;
    assert_eq!(count(&server).await, 0);
    let id = text(&public, "client_id");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", id),
    ];
    assert_oauth_error(
        &send(server.post("/oauth2/token").form(&form)).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
    let own = server.post("/oauth2/token").basic_auth(
        text(&confidential, "client_id"),
        confidential["client_secret"].as_str(),
    );
    assert_oauth_error(
        &send(own.form(&[("grant_type", "client_credentials")])).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
    let page = server
        .signed_in_browser()
        .await
        .get(&authorize_with(
            id,
            &[("redirect_uri", Some("http://127.0.0.1/callback"))],
        ))
        .await;
    let html = assert_error_page(page, StatusCode::BAD_REQUEST).await;
    assert!(
        html.contains("disconnect it there and connect it again"),
        "{html}"
    );
    // a day later nothing is left of them, and the page is the same
    server.clock.step_seconds(2 * DAY);
    swept(&server).await;
    swept(&server).await;
    for id in [id, text(&confidential, "client_id")] {
        let id: ApplicationId = id.parse().expect("an id");
        let found: Result<_, store::Error> =
            server.app.store.read(move |c| c.find_application(id)).await;
        assert!(found.expect("an answer").is_none(), "{id}");
    }
    let page = server
        .signed_in_browser()
        .await
        .get(&authorize_with(id, &[]))
        .await;
    assert!(
        assert_error_page(page, StatusCode::BAD_REQUEST)
            .await
            .contains("connect it again")
    );
}

async fn a_client_that_is_used_or_allowed_stays(db: TestDatabase) {
    let server =
        Server::start_with(db, |config| config.sessions.absolute_seconds = 1000 * DAY).await;
    let named = |name: &str| with(tool(), json!({"client_name": name}));
    let allowed = created(register(&server, &named("allowed")).await);
    let repeated = created(register(&server, &named("repeated")).await);
    let looked_at = created(register(&server, &named("looked at")).await);
    let own = created(register(&server, &json!({"grant_types": ["client_credentials"]})).await);
    let unused = created(register(&server, &named("unused")).await);
    let at = |client: &Value| {
        authorize_with(
            text(client, "client_id"),
            &[("redirect_uri", Some("http://127.0.0.1/callback"))],
        )
    };
    server.signed_in_browser().await.allow(&at(&allowed)).await;
    server.clock.step_seconds(20 * DAY);
    assert_eq!(
        created(register(&server, &named("repeated")).await)["client_id"],
        repeated["client_id"]
    );
    assert_eq!(
        server
            .signed_in_browser()
            .await
            .get(&at(&looked_at))
            .await
            .status(),
        StatusCode::OK
    );
    let token = server
        .post("/oauth2/token")
        .basic_auth(text(&own, "client_id"), own["client_secret"].as_str());
    assert_eq!(
        send(token.form(&[("grant_type", "client_credentials")]))
            .await
            .0,
        StatusCode::OK
    );
    server.clock.step_seconds(20 * DAY);
    swept(&server).await;
    assert_eq!(count(&server).await, 4);
    let again = created(register(&server, &named("unused")).await);
    assert_ne!(again["client_id"], unused["client_id"]);
    server.clock.step_seconds(400 * DAY);
    swept(&server).await;
    assert_eq!(
        count(&server).await,
        1,
        "what a person allowed and did not take back"
    );
    assert_eq!(
        created(register(&server, &named("allowed")).await)["client_id"],
        allowed["client_id"]
    );
}

async fn an_ended_client_registers_again_as_a_new_one(db: TestDatabase) {
    let server = Server::start(db).await;
    let first = created(register(&server, &tool()).await);
    super::delete_application(&server, text(&first, "client_id").parse().expect("an id")).await;
    let second = created(register(&server, &tool()).await);
    assert_ne!(first["client_id"], second["client_id"]);
}

async fn the_address_is_advertised_where_anybody_may_register(db: TestDatabase) {
    // RFC 8414 §2, 9700-49
    let server = open(db, |_| {}).await;
    let (_, metadata) = send(server.get("/.well-known/oauth-authorization-server")).await;
    assert_eq!(
        metadata["registration_endpoint"],
        format!("{}/oauth2/register", server.base)
    );
}
