//! `/operator/resource-servers…`.

use reqwest::StatusCode;

use super::{Api, operator, read};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Browser, Server, hidden};
use crate::tenants;

both_databases!(
    a_registered_server_asks_with_what_is_shown_once,
    secrets_rotate_without_an_interruption,
    of_ten_new_secrets_at_once_one_is_made,
    a_resource_is_added_and_removed,
    what_is_no_resource_is_refused,
    a_resource_names_one_server,
    a_deleted_server_asks_nothing_more,
    a_broken_form_registers_nothing,
    every_obligation_is_chosen,
    obligations_are_edited,
);

async fn status(server: &Server, api: &Api, secret: &str) -> StatusCode {
    let request = server
        .post("/oauth2/introspect")
        .basic_auth(api.id, Some(secret))
        .form(&[("token", "x")]);
    request.send().await.expect("an answer").status()
}

async fn a_registered_server_asks_with_what_is_shown_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let api = Api::register(&browser, "Billing <API>", &[]).await;
    assert!(api.secret.starts_with("cs_cs_"));
    assert_eq!(
        api.verify(&server, &server.secrets.sandbox_key).await,
        "valid"
    );
    let html = read(&browser, &api.page()).await;
    assert!(
        !html.contains(&api.secret) && html.contains(&api.secret[..10]),
        "{html}"
    );
    assert!(
        html.contains("Billing &#60;API&#62;") && html.contains("Document names"),
        "{html}"
    );
    let list = read(&browser, "/operator/resource-servers").await;
    assert!(
        list.contains(&api.page()) && list.contains("Documents API"),
        "{list}"
    );
    let event = "resource_server.created";
    use diesel::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
        actor_id: Option<String>,
    }
    let mut conn = countersign::store::Conn::open(&server.database.database).expect("a connection");
    let sql = format!(
        "SELECT actor_id FROM audit_events WHERE event = '{event}' AND subject_id = '{}'",
        api.id
    );
    let rows: Vec<Row> = diesel::sql_query(sql).load(&mut conn).expect("a row");
    assert!(
        rows.len() == 1
            && rows[0]
                .actor_id
                .as_deref()
                .is_some_and(|id| id.starts_with("usr_"))
    );
}

async fn secrets_rotate_without_an_interruption(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let api = Api::register(&browser, "Billing", &[]).await;
    let secret_ids = async || {
        let html = read(&browser, &api.page()).await;
        html.split("name=\"secret\" value=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(secret_ids().await.is_empty(), "the only one stays");
    let add = async || {
        browser
            .submit(&api.page(), &format!("{}/secrets", api.page()), &[])
            .await
    };
    // the oldest first
    server.clock.step_seconds(1);
    let response = add().await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let second = Api::shown(&response.text().await.expect("text")).secret;
    assert_eq!(
        (
            status(&server, &api, &api.secret).await,
            status(&server, &api, &second).await
        ),
        (StatusCode::OK, StatusCode::OK)
    );
    // a third has to wait
    let response = add().await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        response
            .text()
            .await
            .expect("text")
            .contains("It has two secrets.")
    );
    let [old, new] = <[String; 2]>::try_from(secret_ids().await).expect("two");
    api.change(&browser, &[("change", "revoke_secret"), ("secret", &old)])
        .await;
    assert_eq!(
        (
            status(&server, &api, &api.secret).await,
            status(&server, &api, &second).await
        ),
        (StatusCode::UNAUTHORIZED, StatusCode::OK)
    );
    // what is revoked stays so, and the last one stays
    api.change(&browser, &[("change", "revoke_secret"), ("secret", &old)])
        .await;
    let response = api
        .try_change(&browser, &[("change", "revoke_secret"), ("secret", &new)])
        .await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(status(&server, &api, &second).await, StatusCode::OK);
}

async fn of_ten_new_secrets_at_once_one_is_made(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let browser = operator(&server).await;
    let api = Api::register(&browser, "Billing", &[]).await;
    let (page, action) = (api.page(), format!("{}/secrets", api.page()));
    let answers =
        futures_util::future::join_all((0..10).map(|_| browser.submit(&page, &action, &[]))).await;
    let made = answers
        .iter()
        .filter(|answer| answer.status() == StatusCode::OK)
        .count();
    assert_eq!(made, 1);
    assert!(answers.iter().all(|answer| {
        [StatusCode::OK, StatusCode::UNPROCESSABLE_ENTITY].contains(&answer.status())
    }));
}

async fn a_resource_is_added_and_removed(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let api = Api::register(
        &browser,
        "Billing",
        &["HTTPS://Billing.example/v1", "https://billing.example/v1"],
    )
    .await;
    let html = read(&browser, &api.page()).await;
    assert_eq!(
        html.matches("name=\"uri\" value=\"HTTPS://Billing.example/v1\"")
            .count(),
        1,
        "as it was written first, once: {html}"
    );
    assert!(
        html.contains("HTTPS://Billing.example/.well-known/oauth-protected-resource/v1"),
        "{html}"
    );
    for _ in 0..2 {
        api.change(
            &browser,
            &[
                ("change", "remove_resource"),
                ("uri", "https://billing.example/v1"),
            ],
        )
        .await;
    }
    assert!(!read(&browser, &api.page()).await.contains("illing.example"));
    for (change, shown) in [
        ("leave_default_audience", "It is not good at this API."),
        ("join_default_audience", "It is good at this API, too."),
    ] {
        api.change(&browser, &[("change", change)]).await;
        assert!(
            read(&browser, &api.page()).await.contains(shown),
            "{change}"
        );
    }
}

async fn refused(api: &Api, browser: &Browser<'_>, uri: &str) -> String {
    let response = api
        .try_change(browser, &[("change", "add_resource"), ("uri", uri)])
        .await;
    let (status, html) = (response.status(), response.text().await.expect("text"));
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{uri}");
    assert!(html.contains("uri-error"), "{uri}: {html}");
    html
}

async fn what_is_no_resource_is_refused(db: TestDatabase) {
    // RFC 8707 §2
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let api = Api::register(&browser, "Billing", &[]).await;
    let long = format!("https://a.example/{}", "x".repeat(500));
    for uri in [
        "",
        " ",
        "billing",
        "http://a.example",
        "urn:a",
        "https://a.example#b",
        "https://a@a.example",
        "https://a.example/ b",
        "\u{e4}",
        &long,
    ] {
        refused(&api, &browser, uri).await;
    }
    assert!(
        refused(&api, &browser, "https://a.example/<script>")
            .await
            .contains("&#60;script&#62;")
    );
    // the `aud` of tokens that name no resource
    assert!(
        refused(&api, &browser, &server.base)
            .await
            .contains("This is the address of this server itself.")
    );
    for fields in [
        &[("change", "")][..],
        &[("change", "everything")],
        &[
            ("change", "add_resource"),
            ("uri", "https://a.example"),
            ("uri", "https://b.example"),
        ],
    ] {
        assert_eq!(
            api.try_change(&browser, fields).await.status(),
            StatusCode::BAD_REQUEST,
            "{fields:?}"
        );
    }
    for fields in [
        [("change", "revoke_secret"), ("secret", "x")],
        [("change", "remove_resource"), ("uri", "x")],
    ] {
        assert_eq!(
            api.try_change(&browser, &fields).await.status(),
            StatusCode::NOT_FOUND,
            "{fields:?}"
        );
    }
    assert!(
        !read(&browser, &api.page())
            .await
            .contains("remove_resource")
    );
}

async fn a_resource_names_one_server(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let browser = operator(&server).await;
    let (first, second) = (
        Api::register(&browser, "First", &["https://a.example"]).await,
        Api::register(&browser, "Second", &[]).await,
    );
    assert!(
        refused(&second, &browser, "https://A.example/")
            .await
            .contains("This is what First is called")
    );
    // of two that take one at the same time, one gets it
    let add = [("change", "add_resource"), ("uri", "https://b.example")];
    let (one, other) = tokio::join!(
        first.try_change(&browser, &add),
        second.try_change(&browser, &add)
    );
    let mut statuses = [one.status(), other.status()];
    statuses.sort();
    assert_eq!(
        statuses,
        [StatusCode::SEE_OTHER, StatusCode::UNPROCESSABLE_ENTITY]
    );
    // a server changes its own only
    second
        .change(
            &browser,
            &[("change", "remove_resource"), ("uri", "https://a.example")],
        )
        .await;
    assert!(
        read(&browser, &first.page())
            .await
            .contains("https://a.example")
    );
}

async fn a_deleted_server_asks_nothing_more(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let api = Api::register(&browser, "Billing", &["https://billing.example"]).await;
    assert_eq!(status(&server, &api, &api.secret).await, StatusCode::OK);
    let confirm = format!("{}/delete", api.page());
    assert!(
        read(&browser, &confirm)
            .await
            .contains("https://billing.example")
    );
    assert_eq!(
        browser.submit(&confirm, &confirm, &[]).await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        status(&server, &api, &api.secret).await,
        StatusCode::UNAUTHORIZED
    );
    for path in [api.page(), confirm] {
        assert_eq!(browser.get(&path).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(
            browser
                .submit("/operator", &path, &[("change", "leave_default_audience")])
                .await
                .status(),
            StatusCode::NOT_FOUND
        );
    }
    // its name is free again
    Api::register(&browser, "Billing", &["https://billing.example"]).await;
    assert_eq!(
        server.introspect(&tenants::own_token(&server).await).await["active"],
        true
    );
}

async fn a_broken_form_registers_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let list = "/operator/resource-servers";
    let post = async |fields: &[(&str, &str)]| {
        browser
            .submit(&format!("{list}/new"), list, fields)
            .await
            .status()
    };
    let long = "x".repeat(101);
    for fields in [
        &[("name", "A")][..],
        &[("name", ""), ("environment", "both")],
        &[("name", &long), ("environment", "both")],
        &[("name", "a\u{202e}b"), ("environment", "both")],
        &[("name", "A"), ("environment", "live")],
        &[
            ("name", "A"),
            ("environment", "both"),
            ("obligation", "everything"),
        ],
    ] {
        assert_eq!(
            post(fields).await,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{fields:?}"
        );
    }
    assert_eq!(
        post(&[("name", "A"), ("name", "B"), ("environment", "both")]).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        read(&browser, list)
            .await
            .matches("role=\"rowheader\"")
            .count(),
        1,
        "that of quickstart"
    );
}

async fn every_obligation_is_chosen(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let list = "/operator/resource-servers";
    let new = format!("{list}/new");
    let html = read(&browser, &new).await;
    assert!(!html.contains("value=\"enforced\" checked"), "{html}");
    assert!(!html.contains("value=\"refused\" checked"), "{html}");
    let names = [
        "obligation_document_name",
        "obligation_watermark",
        "obligation_recipients",
    ];
    // each of them, in words that say what the API has to do
    for environment in ["both", "sandbox"] {
        for missing in names {
            let mut fields = vec![("name", "A"), ("environment", environment)];
            let others = names.into_iter().filter(|name| *name != missing);
            fields.extend(others.map(|name| (name, "refused")));
            for wrong in [None, Some((missing, "")), Some((missing, "yes"))] {
                let fields: Vec<_> = fields.iter().copied().chain(wrong).collect();
                let response = browser.submit(&new, list, &fields).await;
                assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
                let html = response.text().await.expect("text");
                assert!(
                    html.contains(&format!("href=\"#{missing}\""))
                        && html.contains("Choose whether your API does this."),
                    "{html}"
                );
            }
        }
    }
    // the policy does not apply to Production
    let live = [("name", "Live"), ("environment", "production")];
    let response = browser.submit(&new, list, &live).await;
    assert_eq!(response.status(), StatusCode::OK);
    let live = Api::shown(&response.text().await.expect("text"));
    assert!(
        !read(&browser, &live.page())
            .await
            .contains("set_obligations")
    );
    // what programs sent before the page had these choices
    let mut fields = vec![("name", "Old"), ("environment", "both")];
    fields.extend(["document_name", "watermark", "recipients"].map(|kind| ("obligation", kind)));
    let response = browser.submit(&new, list, &fields).await;
    let old = Api::shown(&response.text().await.expect("text"));
    assert_eq!(
        old.verify(&server, &server.secrets.sandbox_key).await,
        "valid"
    );
}

async fn obligations_are_edited(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let api = Api::register(&browser, "Billing", &[]).await;
    let code = async || api.verify(&server, &server.secrets.sandbox_key).await;
    assert_eq!(code().await, "valid");
    let choose = |watermark| {
        [
            ("change", "set_obligations"),
            ("obligation_document_name", "enforced"),
            ("obligation_watermark", watermark),
            ("obligation_recipients", "enforced"),
        ]
    };
    // it counts from the next request on, also for what is remembered
    for (watermark, expected) in [
        ("refused", "obligation_not_supported"),
        ("enforced", "valid"),
        ("refused", "obligation_not_supported"),
    ] {
        api.change(&browser, &choose(watermark)).await;
        assert_eq!(code().await, expected);
        let html = read(&browser, &api.page()).await;
        assert!(
            html.contains(&format!(
                "id=\"obligation_watermark-{watermark}\" name=\"obligation_watermark\" value=\"{watermark}\" checked"
            )),
            "{html}"
        );
    }
    let changed = "resource_server.obligations_changed";
    assert_eq!(server.database.count_events(changed), 3);
    // the same again changes nothing, and neither does half a form
    api.change(&browser, &choose("refused")).await;
    let response = api.try_change(&browser, &choose("")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let response = api.try_change(&browser, &choose("refused")[..2]).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(server.database.count_events(changed), 3);
    assert_eq!(code().await, "obligation_not_supported");
    // nobody else
    let admin = server.signed_in_browser().await;
    let csrf = hidden(&read(&admin, "/account/identity").await, "csrf").expect("a token");
    let mut fields = choose("enforced").to_vec();
    fields.push(("csrf", &csrf));
    let request = admin.client.post(server.url(&api.page())).form(&fields);
    assert_eq!(
        request.send().await.expect("an answer").status(),
        StatusCode::NOT_FOUND
    );
}
