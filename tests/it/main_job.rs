//! The main job from end to end, through HTTP: keys, tokens, policies, a document.

use serde_json::json;

use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    a_sandbox_key_obliges_and_a_foreign_recipient_is_refused,
    the_code_flow_gives_tokens_that_introspect_and_end
);

async fn a_sandbox_key_obliges_and_a_foreign_recipient_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let ask = |recipient: &str| json!({"credential": server.secrets.sandbox_key, "permission": "documents:send", "document_name": "Offer", "recipients": [recipient]});
    let allowed = server.verify(ask("bob@acme.example")).await;
    assert_eq!(allowed["code"], "valid");
    assert_eq!(allowed["obligations"]["document_name"], "[DEV] Offer");
    let refused = server.verify(ask("eve@elsewhere.example")).await;
    assert_eq!(
        (&refused["allowed"], &refused["code"]),
        (&json!(false), &json!("recipient_not_allowed"))
    );
    assert_eq!(
        refused["refused_recipients"][0]["address"],
        "eve@elsewhere.example"
    );
}

async fn the_code_flow_gives_tokens_that_introspect_and_end(db: TestDatabase) {
    let server = Server::start(db).await;
    let tokens = server.code_flow("read write").await;
    let access_token = tokens["access_token"].as_str().expect("a token");
    assert_eq!(server.introspect(access_token).await["active"], true);
    let revoked = server
        .as_application("/oauth2/revoke")
        .form(&[("token", access_token)])
        .send()
        .await
        .expect("an answer");
    assert!(revoked.status().is_success());
    assert_eq!(
        server.introspect(access_token).await,
        json!({"active": false})
    );
}
