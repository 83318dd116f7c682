//! What is not the provider's word, or not for this server, this browser or this sign-in.

use reqwest::StatusCode;
use reqwest::header::COOKIE;
use serde_json::{Value, json};

use super::fake::{CLIENT_SECRET, Fake, key_set, merge, new_key, sign, sign_with_secret, unsigned};
use super::{
    Asked, bare, callback, come_back, count_people, find, leave, refused, sign_in, start,
    start_with, verified,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Server, location};

both_databases!(
    an_id_token_for_somebody_else_or_another_time_signs_nobody_in,
    only_the_providers_own_key_signs,
    a_new_key_is_asked_for_but_not_as_often_as_somebody_likes,
    the_answer_of_another_issuer_is_no_answer,
    an_answer_counts_in_its_own_browser_once_and_in_time,
    metadata_that_lies_is_not_used,
    endless_answers_and_redirects_end,
    the_cookie_is_bound_to_the_host_and_tells_nothing,
);

const EMAIL: &str = "new@elsewhere.example";

/// Makes an ID token of valid claims.
type Maker<'m> = Box<dyn Fn(Value) -> String + 'm>;

/// A sign-in whose ID token is what `make` makes of valid claims.
async fn try_token(
    server: &Server,
    fake: &Fake,
    make: impl FnOnce(Value) -> String,
) -> (StatusCode, String) {
    let browser = server.browser();
    let asked = leave(&browser, "/login/oidc").await;
    let claims = fake.claims(&server.clock, &asked.nonce, verified("s-1", EMAIL));
    fake.answer(&asked.nonce, make(claims));
    refused(come_back(&browser, fake, &asked).await).await
}

async fn an_id_token_for_somebody_else_or_another_time_signs_nobody_in(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let before = count_people(&server).await;
    let now = server.clock.now().seconds();
    let key = fake.get(|answers| answers.key.clone());
    // OpenID Connect Core §3.1.3.7
    for wrong in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": format!("{}/", fake.issuer)}),
        json!({"iss": null}),
        json!({"aud": "another-client"}),
        json!({"aud": ["countersign", "another-client"]}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"azp": "another-client"}),
        json!({"nonce": "another-nonce"}),
        json!({"nonce": null}),
        json!({"nonce": ""}),
        json!({"exp": now - 61}),
        json!({"exp": null}),
        json!({"exp": "soon"}),
        json!({"iat": now + 61, "exp": now + 600}),
        json!({"iat": null}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": "x".repeat(256)}),
        json!({"sub": "a\nb"}),
        json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
        json!({"email_verified": "maybe"}),
    ] {
        let (status, html) = try_token(&server, &fake, |mut claims| {
            merge(&mut claims, wrong.clone());
            sign(&key, &claims)
        })
        .await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{wrong}: {html}");
        assert!(
            !html.contains("evil") && !html.contains("another"),
            "{wrong}: {html}"
        );
    }
    for garbage in ["", "x", "a.b.c", "..", &"x".repeat(10_000)] {
        assert_eq!(
            try_token(&server, &fake, |_| garbage.to_owned()).await.0,
            StatusCode::BAD_GATEWAY,
            "{garbage}"
        );
    }
    assert_eq!(count_people(&server).await, before);
    // a minute is forgiven
    for near in [json!({"exp": now - 30}), json!({"iat": now + 30})] {
        let mut claims = verified("s-1", EMAIL);
        merge(&mut claims, near);
        assert_eq!(
            sign_in(&server.browser(), &fake, claims).await.status(),
            StatusCode::SEE_OTHER
        );
    }
}

async fn only_the_providers_own_key_signs(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let (key, stranger) = (fake.get(|answers| answers.key.clone()), new_key());
    let public = key_set(&key).to_string();
    let mut imposter = countersign::crypto::signer::PrivateKey {
        kid: key.kid.clone(),
        algorithm: stranger.algorithm,
        pkcs8: Vec::new(),
    };
    imposter.pkcs8.clone_from(&stranger.pkcs8);
    let makers: [(&str, Maker<'_>); 8] = [
        (
            "a key that nobody knows",
            Box::new(|claims| sign(&stranger, &claims)),
        ),
        (
            "under the right key's name",
            Box::new(|claims| sign(&imposter, &claims)),
        ),
        (
            "none",
            Box::new(|claims| unsigned(&json!({"alg": "none"}), &claims)),
        ),
        (
            "None",
            Box::new(|claims| unsigned(&json!({"alg": "None", "kid": key.kid}), &claims)),
        ),
        (
            "an ES256 without a signature",
            Box::new(|claims| unsigned(&json!({"alg": "ES256", "kid": key.kid}), &claims)),
        ),
        (
            "HS256 with the client's secret",
            Box::new(|claims| sign_with_secret(CLIENT_SECRET.as_bytes(), None, &claims)),
        ),
        (
            "HS256 with the public key",
            Box::new(|claims| sign_with_secret(public.as_bytes(), Some(&key.kid), &claims)),
        ),
        (
            "a key in the header",
            Box::new(|claims| {
                let header = json!({"alg": "ES256", "jwk": key_set(&stranger)["keys"][0], "jku": "https://evil.example/jwks"});
                let body = sign(&stranger, &claims);
                let (_, rest) = body.split_once('.').expect("a header");
                format!(
                    "{}.{rest}",
                    unsigned(&header, &json!({}))
                        .split('.')
                        .next()
                        .expect("a header")
                )
            }),
        ),
    ];
    for (name, make) in makers {
        let (status, _) = try_token(&server, &fake, make).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{name}");
    }
    assert!(find(&server, EMAIL).await.is_none());
    // another's token, by a key that is published, changed in one letter
    let (status, _) = try_token(&server, &fake, |claims| {
        let signed = sign(&key, &claims);
        let (rest, signature) = signed.rsplit_once('.').expect("a signature");
        let mut forged = claims.clone();
        merge(&mut forged, json!({"sub": "s-2"}));
        let payload = unsigned(&json!({}), &forged);
        format!(
            "{}.{}.{signature}",
            rest.split('.').next().expect("a header"),
            payload.split('.').nth(1).expect("a payload")
        )
    })
    .await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
}

async fn a_new_key_is_asked_for_but_not_as_often_as_somebody_likes(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let claims = verified("s-1", EMAIL);
    assert_eq!(
        sign_in(&server.browser(), &fake, claims.clone())
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(fake.get(|answers| answers.jwks_requests), 1);
    // OpenID Connect Core §10.1.1: the provider rotates
    fake.set(|answers| answers.key = new_key());
    for _ in 0..3 {
        assert_eq!(
            refused(sign_in(&server.browser(), &fake, claims.clone()).await)
                .await
                .0,
            StatusCode::BAD_GATEWAY
        );
    }
    assert_eq!(
        fake.get(|answers| answers.jwks_requests),
        1,
        "fetched less than a minute ago"
    );
    server.clock.step_seconds(60);
    assert_eq!(
        sign_in(&server.browser(), &fake, claims.clone())
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(fake.get(|answers| answers.jwks_requests), 2);
    // what was taken away counts no longer once the keys are an hour old
    let former = fake.get(|answers| answers.key.clone());
    fake.set(|answers| answers.published = Some(json!({"keys": []})));
    server.clock.step_seconds(60 * 60);
    assert_eq!(
        try_token(&server, &fake, |claims| sign(&former, &claims))
            .await
            .0,
        StatusCode::BAD_GATEWAY
    );
}

async fn the_answer_of_another_issuer_is_no_answer(db: TestDatabase) {
    // RFC 9207 §2.4, RFC 9700 §4.4
    let (server, fake) = start(db).await;
    let answer = async |iss: Option<&str>| {
        let browser = server.browser();
        let asked = leave(&browser, "/login/oidc").await;
        fake.vouch(&server.clock, &asked.nonce, verified("s-1", EMAIL));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("code", &asked.nonce), ("state", &asked.state)]);
        query.extend_pairs(iss.map(|iss| ("iss", iss)));
        browser
            .get(&format!("/login/oidc/callback?{}", query.finish()))
            .await
    };
    let sent = || fake.get(|answers| answers.token_requests.len());
    for iss in [
        Some("https://evil.example"),
        Some(&*format!("{}/", fake.issuer)),
        None,
    ] {
        let before = sent();
        assert_eq!(
            refused(answer(iss).await).await.0,
            StatusCode::BAD_GATEWAY,
            "{iss:?}"
        );
        assert_eq!(sent(), before, "the code went nowhere");
    }
    assert_eq!(
        answer(Some(&fake.issuer)).await.status(),
        StatusCode::SEE_OTHER
    );
    // a provider that does not announce the parameter need not send it; a wrong one is wrong all the same
    fake.set(|answers| {
        answers.metadata = json!({"authorization_response_iss_parameter_supported": null})
    });
    server.clock.step_seconds(60 * 60);
    assert_eq!(answer(None).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        refused(answer(Some("https://evil.example")).await).await.0,
        StatusCode::BAD_GATEWAY
    );
}

async fn an_answer_counts_in_its_own_browser_once_and_in_time(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let (own, other) = (server.browser(), server.browser());
    let vouched = async |browser: &crate::server::Browser<'_>| {
        let asked = leave(browser, "/login/oidc").await;
        fake.vouch(&server.clock, &asked.nonce, verified("s-1", EMAIL));
        asked
    };
    let not_started = |(status, html): (StatusCode, String)| {
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(html.contains("This sign-in cannot go on"), "{html}");
    };
    // login CSRF: somebody else's answer, in a browser that left for nowhere, and in one that left itself
    let asked = vouched(&own).await;
    not_started(refused(come_back(&other, &fake, &asked).await).await);
    let others = vouched(&other).await;
    not_started(refused(come_back(&other, &fake, &asked).await).await);
    not_started(
        refused(
            come_back(
                &other,
                &fake,
                &Asked {
                    state: String::new(),
                    ..others
                },
            )
            .await,
        )
        .await,
    );
    // twice
    assert_eq!(
        come_back(&own, &fake, &asked).await.status(),
        StatusCode::SEE_OTHER
    );
    not_started(refused(come_back(&own, &fake, &asked).await).await);
    // with the cookie kept: the provider redeems a code once
    let kept = bare();
    let response = kept
        .get(server.url("/login/oidc"))
        .send()
        .await
        .expect("an answer");
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    let asked = super::asked(location(response.headers()));
    fake.vouch(&server.clock, &asked.nonce, verified("s-1", EMAIL));
    let send = async || {
        kept.get(server.url(&callback(&fake, &asked)))
            .header(COOKIE, &cookie)
            .send()
            .await
            .expect("an answer")
    };
    assert_eq!(send().await.status(), StatusCode::SEE_OTHER);
    assert_eq!(refused(send().await).await.0, StatusCode::BAD_GATEWAY);
    // late
    let asked = vouched(&own).await;
    server.clock.step_seconds(15 * 60);
    not_started(refused(come_back(&own, &fake, &asked).await).await);
    // doubled, broken
    let asked = vouched(&own).await;
    let path = callback(&fake, &asked);
    for broken in [
        format!("{path}&state=x"),
        format!("{path}&code=x"),
        format!("{path}&iss=x"),
        format!("{path}&x=%ff"),
        format!("{path}%00"),
    ] {
        assert_eq!(
            refused(own.get(&broken).await).await.0,
            StatusCode::BAD_REQUEST,
            "{broken}"
        );
    }
}

async fn metadata_that_lies_is_not_used(db: TestDatabase) {
    let (server, fake) = start(db).await;
    for lie in [
        json!({"issuer": "https://evil.example"}),
        json!({"issuer": null}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"authorization_endpoint": "http://evil.example/authorize"}),
        json!({"authorization_endpoint": "nonsense"}),
        json!({"jwks_uri": "http://evil.example/jwks"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
        json!({"jwks_uri": null}),
    ] {
        fake.set(|answers| answers.metadata = lie.clone());
        let (status, html) = refused(server.browser().get("/login/oidc").await).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{lie}");
        assert!(
            html.contains("The provider does not answer") && !html.contains("evil"),
            "{lie}: {html}"
        );
    }
    fake.set(|answers| answers.metadata = json!({"token_endpoint": "http://evil.example/token"}));
    assert_eq!(
        refused(sign_in(&server.browser(), &fake, verified("s-1", EMAIL)).await)
            .await
            .0,
        StatusCode::BAD_GATEWAY
    );
}

async fn endless_answers_and_redirects_end(db: TestDatabase) {
    let (server, fake) = start(db).await;
    fake.set(|answers| {
        answers.published = Some(json!({"keys": [], "more": "x".repeat(300 * 1024)}))
    });
    assert_eq!(
        refused(server.browser().get("/login/oidc").await).await.0,
        StatusCode::BAD_GATEWAY
    );
    fake.set(|answers| (answers.published, answers.token_status) = (None, 307));
    assert_eq!(
        refused(sign_in(&server.browser(), &fake, verified("s-1", EMAIL)).await)
            .await
            .0,
        StatusCode::BAD_GATEWAY
    );
}

async fn the_cookie_is_bound_to_the_host_and_tells_nothing(db: TestDatabase) {
    let (server, _fake) = start_with(db, |config| {
        config.server.issuer = "https://id.example".to_owned()
    })
    .await;
    let at = format!(
        "http://{}/login/oidc?return_to=/dev-centre",
        server.app.config.server.listen
    );
    let response = bare()
        .get(at)
        .header("host", "id.example")
        .send()
        .await
        .expect("an answer");
    let line = response.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(line.starts_with("__Host-countersign_sign_in="), "{line}");
    for attribute in [
        "; Secure",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Path=/",
        "; Max-Age=900",
    ] {
        assert!(line.contains(attribute), "{line}");
    }
    let asked = super::asked(location(response.headers()));
    assert!(
        !line.contains("Domain")
            && !line.contains(&asked.nonce)
            && !line.contains(&asked.state)
            && !line.contains("dev-centre"),
        "{line}"
    );
}
