//! The hot path (DESIGN §4): answers come from memory, and no answer from memory is ever older than a change's own answer.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use countersign::app::Lookup;
use countersign::config::{Config, Rate};
use countersign::crypto::format::mint_key;
use countersign::domain::decision::memory::Memory;
use countersign::store::{Database, migrate};
use countersign::telemetry::metrics::MemoryLabels;
use countersign::types::id::ApiKeyId;
use countersign::types::state::{ApiKeyState, OrganizationRole};
use futures_util::future::join_all;
use reqwest::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::databases::{TestDatabase, block_on, both_databases, offered};
use crate::process::Process;
use crate::server::{Browser, NOON, Server, hidden, json};
use crate::tenants::{self, Key, Made, admin, key};

both_databases!(
    a_slow_reader_cannot_put_a_stale_entry_back,
    no_verify_is_valid_once_its_revoke_was_answered,
    the_first_request_after_a_revoke_in_the_console_is_refused,
    the_first_request_after_an_application_is_deleted_is_refused,
    the_first_request_after_a_token_is_revoked_is_refused,
    the_first_request_after_a_member_is_demoted_or_removed_is_refused,
    a_revoke_whose_asker_has_gone_holds_once_committed,
    a_credential_expires_without_any_write,
    a_remembered_credential_needs_no_query,
    an_unknown_credential_is_looked_up_once,
    unknown_credentials_have_a_budget_per_client_address,
    a_second_process_on_the_database_is_refused,
);

async fn code(server: &Server, credential: &str) -> Value {
    server.verify(json!({"credential": credential})).await["code"].clone()
}

/// A Production key of the planted admin.
async fn live_key(server: &Server) -> Made {
    key(server, Key::of(server, admin(server).await).production()).await
}

/// Look-ups that went to the database.
fn misses(server: &Server) -> u64 {
    server
        .app
        .metrics
        .access_memory
        .get_or_create(&MemoryLabels { result: "miss" })
        .get()
}

async fn a_slow_reader_cannot_put_a_stale_entry_back(db: TestDatabase) {
    let server = Server::start(db).await;
    let (made, by, organization) = (
        live_key(&server).await,
        admin(&server).await,
        server.planted.organization,
    );
    let memory = Memory::new(8);
    let changes = server.app.store.changes();
    // the reader takes its stamp and reads ...
    let stamp = changes.stamp();
    let Ok(Lookup::Found(read)) = server.app.access(&made.secret, None, NOON).await else {
        unreachable!("the key lives")
    };
    memory.put(0, stamp, &read);
    assert!(
        memory.get(&0, changes).is_some(),
        "as long as nothing changes"
    );
    // ... falls asleep, the key is revoked, and only then remembers what it read
    server
        .write(move |tx| Ok(tx.revoke_api_key(organization, made.id, by)?))
        .await;
    memory.put(1, stamp, &read);
    assert!(memory.get(&0, changes).is_none() && memory.get(&1, changes).is_none());
    // another organization's change is nothing to it
    let (other, other_owner, _) = tenants::organization(&server, "zoe@other.example").await;
    let stamp = changes.stamp();
    memory.put(2, stamp, &read);
    let change = move |tx: &mut countersign::store::Tx<'_>| {
        Ok(tx.change_member_role(
            other,
            other_owner,
            OrganizationRole::Owner,
            OrganizationRole::Admin,
        )?)
    };
    server.write(change).await;
    assert!(memory.get(&2, changes).is_some());
}

/// The token of all forms of this session.
async fn csrf(browser: &Browser<'_>) -> String {
    let page = browser
        .get(&format!(
            "/dev-centre/{}/api-keys/new",
            browser.server.planted.organization
        ))
        .await;
    hidden(&page.text().await.expect("text"), "csrf").expect("a token")
}

fn revoke_path(server: &Server, id: ApiKeyId) -> String {
    format!(
        "/dev-centre/{}/api-keys/{id}/revoke",
        server.planted.organization
    )
}

async fn no_verify_is_valid_once_its_revoke_was_answered(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 4)
    })
    .await;
    let browser = server.signed_in_browser().await;
    let csrf = csrf(&browser).await;
    let mut keys = Vec::new();
    for _ in 0..24 {
        keys.push((live_key(&server).await, AtomicBool::new(false)));
    }
    let (valid, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let verifiers = keys
        .iter()
        .flat_map(|key| [key, key])
        .map(async |(made, revoked)| {
            let mut after = 0;
            while after < 5 {
                let was_revoked = revoked.load(Ordering::SeqCst);
                let is_valid = code(&server, &made.secret).await == "valid";
                assert!(
                    !(was_revoked && is_valid),
                    "{} was revoked before it was asked about",
                    made.id
                );
                if is_valid { &valid } else { &refused }.fetch_add(1, Ordering::SeqCst);
                after += usize::from(was_revoked);
            }
        });
    let revokers = keys.chunks(8).map(async |own| {
        for (made, revoked) in own {
            let revoke = || {
                browser
                    .client
                    .post(server.url(&revoke_path(&server, made.id)))
                    .form(&[("csrf", &csrf)])
                    .send()
            };
            let mut status = revoke().await.expect("an answer").status();
            // a machine that is busy elsewhere may be too slow for the database: nothing was promised then
            for _ in 0..20 {
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    status = revoke().await.expect("an answer").status();
                }
            }
            assert_eq!(status, StatusCode::SEE_OTHER);
            revoked.store(true, Ordering::SeqCst);
        }
    });
    futures_util::future::join(join_all(verifiers), join_all(revokers)).await;
    assert!(valid.into_inner() > 0 && refused.into_inner() >= 24 * 2 * 5);
}

async fn the_first_request_after_a_revoke_in_the_console_is_refused(db: TestDatabase) {
    // row 35
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    for _ in 0..10 {
        let made = live_key(&server).await;
        assert_eq!(code(&server, &made.secret).await, "valid");
        let path = revoke_path(&server, made.id);
        assert_eq!(
            browser.submit(&path, &path, &[]).await.status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(code(&server, &made.secret).await, "not_found");
        let whoami = server
            .get("/v1/whoami")
            .bearer_auth(&made.secret)
            .send()
            .await
            .expect("an answer");
        assert_eq!(whoami.status(), StatusCode::UNAUTHORIZED);
    }
    // its neighbours live on, and so does the owner's session (row 36)
    assert_eq!(code(&server, &server.secrets.production_key).await, "valid");
    assert_eq!(
        browser
            .get(&format!(
                "/dev-centre/{}/api-keys",
                server.planted.organization
            ))
            .await
            .status(),
        StatusCode::OK
    );
}

async fn the_first_request_after_an_application_is_deleted_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let planted = &server.planted;
    let jwt = tenants::own_token(&server).await;
    let opaque = tenants::token(
        &server,
        planted.application,
        Key::of(&server, admin(&server).await),
        "read",
    )
    .await
    .token;
    let browser = server.signed_in_browser().await;
    assert_eq!(
        (code(&server, &jwt).await, code(&server, &opaque).await),
        (json!("valid"), json!("valid"))
    );
    let path = format!(
        "/dev-centre/{}/applications/{}/delete",
        planted.organization, planted.application
    );
    assert_eq!(
        browser.submit(&path, &path, &[]).await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        (code(&server, &jwt).await, code(&server, &opaque).await),
        (json!("not_found"), json!("not_found"))
    );
    assert_eq!(server.introspect(&jwt).await, json!({"active": false}));
    let (status, _) = server.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

async fn the_first_request_after_a_token_is_revoked_is_refused(db: TestDatabase) {
    // 9700-43
    let server = Server::start(db).await;
    let own = tenants::own_token(&server).await;
    let opaque = tenants::token(
        &server,
        server.planted.application,
        Key::of(&server, admin(&server).await),
        "read",
    )
    .await
    .token;
    for token in [own, opaque] {
        assert_eq!(
            (
                code(&server, &token).await,
                server.introspect(&token).await["active"].clone()
            ),
            (json!("valid"), json!(true))
        );
        let revoked = server
            .as_application("/oauth2/revoke")
            .form(&[("token", &token)])
            .send()
            .await
            .expect("an answer");
        assert_eq!(revoked.status(), StatusCode::OK);
        assert_eq!(code(&server, &token).await, "not_found");
        assert_eq!(server.introspect(&token).await, json!({"active": false}));
    }
    // with the refresh token, everything that came of it
    let tokens = server.code_flow("read").await;
    let access_token = tokens["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(code(&server, &access_token).await, "valid");
    let form = [("token", tokens["refresh_token"].as_str().expect("a token"))];
    assert_eq!(
        server
            .as_application("/oauth2/revoke")
            .form(&form)
            .send()
            .await
            .expect("an answer")
            .status(),
        StatusCode::OK
    );
    assert_eq!(code(&server, &access_token).await, "not_found");
}

async fn the_first_request_after_a_member_is_demoted_or_removed_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, owner) = (server.planted.organization, admin(&server).await);
    let successor = tenants::member(&server, "cole@acme.example", OrganizationRole::Admin).await;
    let theirs = key(&server, Key::of(&server, successor).production())
        .await
        .secret;
    let ask = async |credential: &str| {
        server
            .verify(json!({"credential": credential, "permission": "templates:write"}))
            .await["code"]
            .clone()
    };
    assert_eq!(
        (
            ask(&server.secrets.production_key).await,
            ask(&theirs).await
        ),
        (json!("valid"), json!("valid"))
    );
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                owner,
                OrganizationRole::Owner,
                OrganizationRole::Member,
            )?)
        })
        .await;
    // a member without a workspace reaches nothing
    assert_eq!(
        (
            ask(&server.secrets.production_key).await,
            ask(&theirs).await
        ),
        (json!("not_found"), json!("valid"))
    );
    server
        .write(move |tx| Ok(tx.delete_member(organization, successor)?))
        .await;
    assert_eq!(ask(&theirs).await, "not_found");
}

/// The session's cookie, for requests that no client makes.
async fn session_cookie(server: &Server) -> (String, String) {
    let (browser, client) = (
        server.browser(),
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client"),
    );
    let response = browser
        .sign_in(
            countersign::domain::lifecycle::quickstart::ADMIN,
            &server.secrets.password,
        )
        .await;
    let set = response
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let cookie = set
        .filter_map(|value| value.split(';').next())
        .find(|pair| pair.starts_with("countersign_session="))
        .expect("a session")
        .to_owned();
    let page = client
        .get(server.url(&format!(
            "/dev-centre/{}/api-keys/new",
            server.planted.organization
        )))
        .header(COOKIE, &cookie);
    let html = page
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    (cookie, hidden(&html, "csrf").expect("a token"))
}

async fn a_revoke_whose_asker_has_gone_holds_once_committed(db: TestDatabase) {
    let server = Server::start(db).await;
    let (cookie, csrf) = session_cookie(&server).await;
    let (organization, host) = (
        server.planted.organization,
        server.base.trim_start_matches("http://").to_owned(),
    );
    let mut committed = 0;
    for _ in 0..20 {
        let made = live_key(&server).await;
        assert_eq!(code(&server, &made.secret).await, "valid");
        let body = format!("csrf={csrf}");
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n",
            revoke_path(&server, made.id)
        );
        let form = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = TcpStream::connect(&host).expect("the server listens");
        connection
            .write_all(format!("{head}{form}").as_bytes())
            .expect("it reads");
        drop(connection);
        let id = made.id;
        for _ in 0..50 {
            let row = server
                .app
                .store
                .read(move |snapshot| snapshot.find_api_key(organization, id))
                .await;
            let row: Result<_, countersign::store::Error> = row;
            if row.expect("a read").expect("a row").state == ApiKeyState::Revoked {
                // behind the COMMIT come the news, from the lane that wrote: nobody waits for them here
                let mut tries = 0;
                while code(&server, &made.secret).await != "not_found" {
                    tries += 1;
                    assert!(tries < 1000, "the news never came");
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                committed += 1;
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert!(committed > 0, "not one of the requests was carried out");
}

async fn a_credential_expires_without_any_write(db: TestDatabase) {
    let server = Server::start(db).await;
    let expires_at = Some(NOON.plus_seconds(3600));
    let made = key(
        &server,
        Key {
            expires_at,
            ..Key::of(&server, admin(&server).await).production()
        },
    )
    .await;
    let token = tenants::own_token(&server).await;
    for credential in [&made.secret, &token] {
        assert_eq!(code(&server, credential).await, "valid");
    }
    let before = misses(&server);
    server.clock.step_seconds(3599);
    assert_eq!(code(&server, &made.secret).await, "valid");
    server.clock.step_seconds(1);
    for credential in [&made.secret, &token] {
        assert_eq!(code(&server, credential).await, "expired");
    }
    assert_eq!(server.introspect(&token).await, json!({"active": false}));
    assert_eq!(misses(&server), before, "from memory all the while");
}

async fn a_remembered_credential_needs_no_query(db: TestDatabase) {
    let server = Server::start(db).await;
    let before = misses(&server);
    for _ in 0..20 {
        assert_eq!(code(&server, &server.secrets.production_key).await, "valid");
    }
    let whoami = server
        .get("/v1/whoami")
        .bearer_auth(&server.secrets.production_key)
        .send()
        .await
        .expect("an answer");
    assert_eq!(whoami.status(), StatusCode::OK);
    assert_eq!(misses(&server), before + 1);
}

async fn an_unknown_credential_is_looked_up_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let unknown = mint_key("cs", "production").1.expose().to_owned();
    let before = misses(&server);
    for _ in 0..5 {
        assert_eq!(code(&server, &unknown).await, "not_found");
    }
    assert_eq!(misses(&server), before + 1);
    // mistyped ones are not looked up at all
    for miss in [
        &unknown[..unknown.len() - 1],
        &unknown.replace("production", "sandbox"),
        "cs_at_x",
        "",
    ] {
        assert_eq!(code(&server, miss).await, "not_found");
    }
    assert_eq!(misses(&server), before + 1);
    // a key that is made later is found at once
    let made = live_key(&server).await;
    assert_eq!(code(&server, &made.secret).await, "valid");
}

async fn unknown_credentials_have_a_budget_per_client_address(db: TestDatabase) {
    let budget = Rate {
        quota: 3,
        window_seconds: 60,
    };
    let server = Server::start_with(db, move |config: &mut Config| {
        config.limits.unknown_credentials = budget
    })
    .await;
    let ask = async |client_ip: Option<&str>, credential: &str| {
        let answer = server
            .verify(json!({"credential": credential, "client_ip": client_ip}))
            .await;
        (
            answer["code"].clone(),
            answer["retry_after_seconds"].clone(),
        )
    };
    let fresh = || mint_key("cs", "production").1.expose().to_owned();
    assert_eq!(
        ask(Some("192.0.2.7"), &server.secrets.production_key)
            .await
            .0,
        "valid"
    );
    for address in ["192.0.2.7", "2001:db8::1"] {
        for _ in 0..3 {
            assert_eq!(ask(Some(address), &fresh()).await.0, "not_found");
        }
    }
    assert_eq!(
        ask(Some("192.0.2.7"), &fresh()).await,
        (json!("rate_limited"), json!(60))
    );
    // the same address in another spelling, and another host of one customer's network
    assert_eq!(
        ask(Some("::ffff:192.0.2.7"), &fresh()).await.0,
        "rate_limited"
    );
    assert_eq!(
        ask(Some("2001:db8::ffff"), &fresh()).await.0,
        "rate_limited"
    );
    // right ones go on there, remembered or not, as do other addresses and those who tell none
    for right in [&server.secrets.production_key, &server.secrets.sandbox_key] {
        assert_eq!(ask(Some("192.0.2.7"), right).await.0, "valid");
    }
    assert_eq!(ask(Some("192.0.2.8"), &fresh()).await.0, "not_found");
    for _ in 0..5 {
        assert_eq!(ask(None, &fresh()).await.0, "not_found");
    }
    server.clock.step_seconds(60);
    assert_eq!(ask(Some("192.0.2.7"), &fresh()).await.0, "not_found");
}

async fn a_second_process_on_the_database_is_refused(db: TestDatabase) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = match &db.database {
        Database::Sqlite(path) => format!("sqlite:{path}"),
        Database::Postgres(url) => url.clone(),
    };
    let variables = [
        ("COUNTERSIGN_DATABASE_URL", url),
        (
            "COUNTERSIGN_SECRET_KEY_FILE",
            folder.path().join("secret.key").display().to_string(),
        ),
        ("COUNTERSIGN_SERVER_LISTEN", "127.0.0.1:0".to_owned()),
    ];
    let first = Process::serve(&variables)
        .map_err(|ended| ended.output)
        .expect("it serves");
    let Err(second) = Process::serve(&variables) else {
        unreachable!("two processes serve one database")
    };
    assert!(!second.status.success());
    assert!(
        second.output.contains("another Countersign process uses"),
        "{}",
        second.output
    );
    // the first one is none the worse for it
    let ready = reqwest::get(format!("{}/readyz", first.issuer))
        .await
        .expect("an answer");
    assert_eq!(ready.status(), StatusCode::OK);
    assert!(first.stop().status.success());
}

/// Polls until the answer's status is as wanted: a bound that only ends a test that has failed.
async fn until(status: StatusCode, ask: impl AsyncFn() -> Response) -> Response {
    for _ in 0..1200 {
        let response = ask().await;
        if response.status() == status {
            return response;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("never {status}");
}

#[test]
fn without_its_database_a_node_stops_answering_and_recovers_by_itself() {
    let Some(ctl) = offered("POSTGRES_CTL", "POSTGRES") else {
        return;
    };
    let cluster = Arc::new(Cluster::create(ctl));
    let database = cluster.start();
    migrate(&database).expect("migrated");
    block_on(async {
        let server = Server::start(TestDatabase::given(database)).await;
        let question = json!({"credential": server.secrets.production_key});
        let ask = async || {
            server
                .as_resource_server("/v1/verify")
                .json(&question)
                .send()
                .await
                .expect("an answer")
        };
        assert_eq!(ask().await.status(), StatusCode::OK);
        cluster.stop();
        // what is not remembered cannot be told, from the first request on
        let unknown = server
            .as_resource_server("/v1/verify")
            .json(&json!({"credential": mint_key("cs", "production").1.expose()}));
        assert_unavailable(unknown.send().await.expect("an answer")).await;
        // what is remembered, only as long as the lock counts as proven: somebody else might write by now
        assert_unavailable(until(StatusCode::SERVICE_UNAVAILABLE, ask).await).await;
        for _ in 0..3 {
            assert_unavailable(ask().await).await;
        }
        assert_unavailable(server.get("/readyz").send().await.expect("an answer")).await;
        assert_unavailable(
            server
                .get("/v1/whoami")
                .bearer_auth(&server.secrets.production_key)
                .send()
                .await
                .expect("an answer"),
        )
        .await;
        let stranger = server
            .get("/dev-centre")
            .header(COOKIE, format!("countersign_session={}", "x".repeat(43)))
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            (
                stranger.status(),
                stranger.headers().contains_key(RETRY_AFTER)
            ),
            (StatusCode::SERVICE_UNAVAILABLE, true)
        );
        assert_eq!(
            server
                .get("/healthz")
                .send()
                .await
                .expect("an answer")
                .status(),
            StatusCode::OK
        );
        cluster.start();
        // connections of their own: the kept one may have been closed while this thread waited for PostgreSQL
        until(StatusCode::OK, async || {
            server.browser().get("/readyz").await
        })
        .await;
        // memory works again, and forgets at once what is revoked
        assert_eq!(code(&server, &server.secrets.production_key).await, "valid");
        let before = misses(&server);
        assert_eq!(code(&server, &server.secrets.production_key).await, "valid");
        assert_eq!(misses(&server), before);
        let browser = server.signed_in_browser().await;
        let csrf = csrf(&browser).await;
        let made = live_key(&server).await;
        assert_eq!(code(&server, &made.secret).await, "valid");
        let path = revoke_path(&server, made.id);
        let revoked = browser
            .client
            .post(server.url(&path))
            .form(&[("csrf", &csrf)])
            .send()
            .await
            .expect("an answer");
        assert_eq!(revoked.status(), StatusCode::SEE_OTHER);
        assert_eq!(code(&server, &made.secret).await, "not_found");
    });
}

async fn assert_unavailable(response: Response) {
    assert!(response.headers().contains_key(RETRY_AFTER));
    let (status, body) = json(response).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
}
