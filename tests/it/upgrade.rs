//! A database from before a migration: what it holds works as before.
#![expect(clippy::panic, reason = "a test fails by it")]

use countersign::crypto::digest::{Digester, Purpose};
use countersign::crypto::format::mint_key;
use countersign::crypto::secret_key::SecretKeys;
use countersign::store::migrate;
use countersign::types::id::ApplicationId;
use serde_json::json;

use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    keys_from_before_the_upgrade_verify_as_before,
    what_was_approved_and_allowed_before_the_upgrade_still_is,
);

const KEY: &str = "k1 abababababababababababababababababababababababababababababababab\n";
const VENDOR_RULES: &str = "2026-11-21-040000";
const RESOURCE_NAMES: &str = "2026-11-30-020000";

/// Runs the migrations before `next`, and writes them down as diesel does.
fn migrate_to_before(db: &TestDatabase, next: &str) {
    db.execute(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    );
    let mut names: Vec<String> = std::fs::read_dir("migrations")
        .expect("migrations/")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.retain(|name| name.as_str() < next);
    names.sort();
    for name in names {
        db.execute(&std::fs::read_to_string(format!("migrations/{name}/up.sql")).expect("up.sql"));
        let version: String = name.split('_').next().unwrap_or_default().replace('-', "");
        db.execute(&format!(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}')"
        ));
    }
}

async fn keys_from_before_the_upgrade_verify_as_before(db: TestDatabase) {
    db.unmigrate();
    migrate_to_before(&db, VENDOR_RULES);
    let digester = Digester::new(&SecretKeys::parse(KEY).expect("a key file"));
    let id = |kind: &str, number: u32| format!("{kind}_{number:022}");
    let (organization, owner, left, workspace) =
        (id("org", 1), id("usr", 1), id("usr", 2), id("ws", 1));
    db.execute(&format!("INSERT INTO organizations VALUES ('{organization}', 'Old', NULL, 'active', 'approved', 7, 1000)"));
    for (user, email) in [(&owner, "old@acme.example"), (&left, "left@acme.example")] {
        db.execute(&format!("INSERT INTO users VALUES ('{user}', 'person', '{email}', 1000, 'Old', NULL, 'active', FALSE, NULL, 1000)"));
    }
    db.execute(&format!(
        "INSERT INTO members VALUES ('{organization}', '{owner}', 'owner', 'full', 1000)"
    ));
    db.execute(&format!(
        "INSERT INTO workspaces VALUES ('{workspace}', '{organization}', 'Main', NULL, 1000)"
    ));
    let key = |number: u32, owner: &str, environment: &str, state: &str| {
        let (public_id, plaintext) = mint_key("cs", environment);
        let digest = digester.digest(Purpose::ApiKey, plaintext.expose());
        let revoked = if state == "revoked" {
            format!("'{owner}', 3000")
        } else {
            "NULL, NULL".to_owned()
        };
        db.execute(&format!(
            "INSERT INTO api_keys VALUES ('{id}', '{organization}', '{owner}', '{environment}', 'cs', '{environment}', '{public_id}', '{digest}', \
             'Key {number}', '', 'workspaces', 'full', FALSE, '{state}', NULL, 2500, '{owner}', 2000, {revoked})",
            id = id("key", number),
            digest = digest.as_str(),
        ));
        db.execute(&format!(
            "INSERT INTO api_key_workspaces VALUES ('{}', '{workspace}')",
            id("key", number)
        ));
        plaintext.expose().to_owned()
    };
    let keys = [
        (key(1, &owner, "sandbox", "active"), "valid"),
        (key(2, &owner, "production", "active"), "valid"),
        (key(3, &owner, "production", "revoked"), "not_found"),
        (key(4, &left, "production", "active"), "not_found"),
    ];
    let applied = migrate(&db.database).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        applied.iter().any(|version| version == "20261121040000"),
        "{applied:?}"
    );
    let server = Server::start_with(db, |config| config.secret.key = KEY.to_owned()).await;
    for (secret, code) in &keys {
        let answer = server.verify(json!({"credential": secret, "permission": "documents:read", "workspace": workspace})).await;
        assert_eq!(answer["code"], *code, "{answer}");
    }
    // a rotation's table has one secret each, under the key's own name
    assert_eq!(
        server.verify(json!({"credential": keys[0].0})).await["credential"]["name"],
        "Key 1"
    );
}

async fn what_was_approved_and_allowed_before_the_upgrade_still_is(db: TestDatabase) {
    db.unmigrate();
    migrate_to_before(&db, RESOURCE_NAMES);
    let id = |kind: &str, number: u32| format!("{kind}_{number:022}");
    let (organization, owner) = (id("org", 1), id("usr", 1));
    db.execute(&format!(
        "INSERT INTO organizations (id, name, state, production_access, generation, created_at) \
         VALUES ('{organization}', 'Old', 'active', 'approved', 7, 1000)"
    ));
    db.execute(&format!(
        "INSERT INTO users (id, kind, email, name, state, operator, created_at) \
         VALUES ('{owner}', 'person', 'old@acme.example', 'Old', 'active', FALSE, 1000)"
    ));
    for (number, approval) in [(1, "approved"), (2, "requested")] {
        let application = id("app", number);
        db.execute(&format!(
            "INSERT INTO applications (id, organization_id, environment, name, client_type, access_token_format, scopes, \
             state, created_by, created_at, approval) VALUES ('{application}', '{organization}', 'production', 'CRM {number}', \
             'public', 'jwt', 'read write', 'active', '{owner}', 1000, '{approval}')"
        ));
        for uri in ["https://a.example/cb", "https://b.example/cb"] {
            db.execute(&format!(
                "INSERT INTO application_redirect_uris (application_id, uri) VALUES ('{application}', '{uri}')"
            ));
        }
        db.execute(&format!(
            "INSERT INTO consents (id, user_id, application_id, organization_id, scopes, reach, state, created_at, updated_at) \
             VALUES ('{}', '{owner}', '{application}', '{organization}', 'read', 'organization', 'active', 1000, 1000)",
            id("con", number)
        ));
    }
    let api = id("rs", 1);
    db.execute(&format!(
        "INSERT INTO resource_servers (id, name, obligations, created_at) VALUES ('{api}', 'Old API', '', 1000)"
    ));
    db.execute(&format!(
        "INSERT INTO resources (uri, resource_server_id, created_at) VALUES ('https://api.example', '{api}', 1000)"
    ));
    let applied = migrate(&db.database).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        applied.iter().any(|version| version == "20261130020100"),
        "{applied:?}"
    );
    let store = crate::store_contract::open(&db);
    for (number, approved) in [(1, Some("CRM 1")), (2, None)] {
        let application: ApplicationId = id("app", number).parse().expect("an id");
        let found = crate::store_contract::read(&store, move |c| c.find_application(application))
            .await
            .expect("found");
        // its version of now counts as approved
        assert_eq!(found.approved_name.as_deref(), approved);
        assert_eq!(
            found.approved_scopes,
            approved.map(|_| "read write".parse().expect("scopes"))
        );
        let uris = crate::store_contract::read(&store, move |c| {
            c.list_approved_redirect_uris(application)
        })
        .await;
        assert_eq!(uris.len(), if approved.is_some() { 2 } else { 0 });
        // bound to what is registered now: nobody is asked again because of an upgrade
        let owner = owner.parse().expect("an id");
        let consents =
            crate::store_contract::read(&store, move |c| c.list_live_consents(owner, application))
                .await;
        assert_eq!(consents[0].application_name, format!("CRM {number}"));
    }
    let asked = "https://API.example/".parse().expect("a resource");
    let found =
        crate::store_contract::read(&store, move |c| c.find_resource_server_by_uri(&asked)).await;
    let (server, written) = found.expect("found");
    assert_eq!(
        (server.id.as_str(), written.as_str()),
        (api.as_str(), "https://api.example")
    );
}
