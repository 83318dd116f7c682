//! What somebody has set up for later × every way in which they lose the right to it: nobody can use it then. A suspension
//! pauses it; after everything else it stays dead when its maker is back with all rights.

use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, mint_token};
use countersign::domain::Refusal;
use countersign::domain::clients::registration_tokens::{self, NewRegistrationToken};
use countersign::domain::desk::Desk;
use countersign::domain::lifecycle::departures;
use countersign::domain::lifecycle::provisioning::{self, WantedMember, WantedUser};
use countersign::domain::operations::operator_tokens as operator;
use countersign::domain::people::admission::{self, Grant};
use countersign::domain::people::invitations::{self, By};
use countersign::domain::rights::asker::Asker;
use countersign::store::users::User;
use countersign::store::{Tx, Verdict};
use countersign::types::environment::Environment;
use countersign::types::id::UserId;
use countersign::types::state::{Licence, OrganizationRole, UserState};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::api::{Program, manager, manager_of, operator_tokens, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people::at_desk;
use crate::server::{NOON, Server};
use crate::tenants::{Key, PASSWORD, admin, join_workspace, key, member, person};

both_databases!(
    a_suspension_pauses_what_somebody_set_up,
    what_ends_a_right_ends_what_was_set_up_by_it_for_good,
    a_narrower_role_in_a_workspace_ends_what_was_set_up_there,
    what_still_may_be_granted_stays,
    an_operator_token_vouches_for_nothing_once_it_has_ended,
    nobody_gets_an_account_by_a_dead_invitation,
    who_sends_an_invitation_again_vouches_for_it,
    an_expired_registration_token_widens_nothing,
);

/// What was set up, and how it is used.
#[derive(Debug, Clone)]
enum Planted {
    /// For a person who is no member.
    Invitation {
        link: String,
        guest: UserId,
    },
    /// The path of its page.
    Link(String),
    /// To a member.
    Offer {
        id: String,
        to: UserId,
    },
    /// Of a member, approved.
    Request {
        id: String,
        requester: UserId,
    },
    RegistrationToken(String),
}

impl Planted {
    /// Whether it works now. What works is used up, but for a link.
    async fn works(&self, server: &Server) -> bool {
        match self {
            Self::Invitation { link, guest } => {
                let candidates = server.app.digester.candidates(Purpose::Invitation, link);
                let by = By::Link(candidates);
                let accept = move |desk: &mut Desk| invitations::accept(desk, &by);
                let organization = server.planted.organization;
                at_desk(server, organization, Asker::person(*guest), accept)
                    .await
                    .is_ok()
            }
            Self::Link(path) => server.browser().get(path).await.status() == StatusCode::OK,
            Self::Offer { id, to } => {
                let accept = format!("/v1/api-key-transfers/{id}/accept");
                let to = manager_of(server, *to).await;
                to.post_empty(&accept).await.0 == StatusCode::CREATED
            }
            Self::Request { id, requester } => {
                let collect = format!("/v1/api-key-requests/{id}/collect");
                let requester = manager_of(server, *requester).await;
                requester.post_empty(&collect).await.0 == StatusCode::CREATED
            }
            Self::RegistrationToken(token) => {
                let name = format!("{:016x}", rand::random::<u64>());
                let metadata =
                    json!({"client_name": name, "redirect_uris": ["https://crm.example/cb"]});
                let request = server.post("/oauth2/register").bearer_auth(token);
                let answer = request.json(&metadata).send().await.expect("an answer");
                answer.status() == StatusCode::CREATED
            }
        }
    }
}

/// Every program here has an application of its own.
async fn start(db: TestDatabase) -> Server {
    Server::start_with(db, |config| {
        config.keys.max_applications_per_organization = 10_000
    })
    .await
}

fn somebody() -> String {
    format!("{:016x}@acme.example", rand::random::<u64>())
}

/// A key of the planted admin, which is as strong as keys are.
async fn strong_key(server: &Server) -> String {
    let made = key(server, Key::of(server, admin(server).await)).await;
    format!("/v1/api-keys/{}", made.id)
}

async fn invitation(program: &Program<'_>, query: &str, body: Value) -> String {
    let (status, made) = program
        .post(&format!("/v1/invitations{query}"), &body)
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    text(&made, "/link")
        .rsplit('/')
        .next()
        .expect("a token")
        .to_owned()
}

async fn link(program: &Program<'_>, key: &str, query: &str) -> String {
    let body = json!({"email": "a@b.example", "expires_in_seconds": 3600});
    let (status, made) = program
        .post(&format!("{key}/hand-over{query}"), &body)
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (_, token) = text(&made, "/link")
        .split_once("/hand-over/")
        .expect("a link");
    format!("/hand-over/{token}")
}

/// One of each, by an admin of the organization.
async fn plant(server: &Server, maker: UserId) -> Vec<Planted> {
    let program = manager_of(server, maker).await;
    let email = somebody();
    let guest = person(server, &email, false).await;
    let body = json!({"email": email, "role": "admin"});
    let invited = invitation(&program, "", body).await;

    let to = member(server, &somebody(), OrganizationRole::Admin).await;
    let offered = strong_key(server).await;
    let (status, offer) = program
        .post(&format!("{offered}/transfer"), &json!({"to": to}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{offer}");

    let requester = member(server, &somebody(), OrganizationRole::Member).await;
    join_workspace(server, server.planted.workspace, requester, "viewer").await;
    let asked = json!({
        "name": "Reports", "reason": "Weekly", "environment": "sandbox", "workspaces": [server.planted.workspace],
        "permission_level": "full", "expires_in_days": 30,
    });
    let (status, request) = manager_of(server, requester)
        .await
        .post("/v1/api-key-requests", &asked)
        .await;
    assert_eq!(status, StatusCode::CREATED, "{request}");
    let id = text(&request, "/id").to_owned();
    let approve = format!("/v1/api-key-requests/{id}/approve");
    let (status, approved) = program.post_empty(&approve).await;
    assert_eq!(status, StatusCode::OK, "{approved}");
    vec![
        Planted::Invitation {
            link: invited,
            guest,
        },
        Planted::Link(link(&program, &strong_key(server).await, "").await),
        Planted::Offer {
            id: text(&offer, "/id").to_owned(),
            to,
        },
        Planted::Request { id, requester },
        Planted::RegistrationToken(registration_token(server, maker, None).await),
    ]
}

async fn registration_token(server: &Server, maker: UserId, lives_seconds: Option<i64>) -> String {
    let token = mint_token("cs", TokenKind::InitialAccessToken)
        .expose()
        .to_owned();
    let new = NewRegistrationToken {
        name: "CI".to_owned(),
        environment: Environment::Sandbox,
        max_clients: 9,
        expires_at: lives_seconds.map(|seconds| server.clock.now().plus_seconds(seconds)),
        digest: server
            .app
            .digester
            .digest(Purpose::InitialAccessToken, &token),
    };
    let make = move |desk: &mut Desk| registration_tokens::create(desk, &new).map(drop);
    let organization = server.planted.organization;
    at_desk(server, organization, Asker::person(maker), make)
        .await
        .expect("it is made");
    token
}

async fn a_suspension_pauses_what_somebody_set_up(db: TestDatabase) {
    let server = start(db).await;
    let (owner, operator) = (manager(&server).await, Program::operator(&server));
    let maker = member(&server, "sid@acme.example", OrganizationRole::Admin).await;
    let as_member = async |state: &str| {
        let path = format!("/v1/members/{maker}");
        owner.patch(&path, &json!({"state": state})).await.0
    };
    let as_user = async |verb: &str| {
        let path = format!("/v1/users/{maker}/{verb}");
        operator.post_empty(&path).await.0
    };
    let planted = plant(&server, maker).await;
    assert_eq!(as_member("suspended").await, StatusCode::OK);
    for one in &planted {
        assert!(!one.works(&server).await, "{one:?} of a suspended member");
    }
    assert_eq!(as_member("active").await, StatusCode::OK);
    assert_eq!(as_user("suspend").await, StatusCode::OK);
    for one in &planted {
        assert!(!one.works(&server).await, "{one:?} of a suspended person");
    }
    assert_eq!(as_user("resume").await, StatusCode::OK);
    for one in &planted {
        assert!(one.works(&server).await, "{one:?} goes on");
    }
}

/// How somebody loses rights, and comes back.
const WAYS: [&str; 6] = [
    "removal",
    "end",
    "leaving",
    "demotion",
    "licence",
    "provisioning",
];

async fn lose(server: &Server, maker: UserId, way: &str) {
    let (owner, path) = (manager(server).await, format!("/v1/members/{maker}"));
    let patch = async |body: Value| {
        let (status, answer) = owner.patch(&path, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    };
    match way {
        "removal" => assert_eq!(owner.delete(&path).await.0, StatusCode::OK),
        "end" => {
            let end = server.clock.now().plus_seconds(10);
            patch(json!({"ends_at": end})).await;
            server.clock.step_seconds(10);
        }
        "leaving" => {
            let organization = server.planted.organization;
            let leave = |desk: &mut Desk| departures::leave(desk);
            at_desk(server, organization, Asker::person(maker), leave)
                .await
                .expect("left");
        }
        "demotion" => patch(json!({"role": "member"})).await,
        "licence" => patch(json!({"licence": "read_only"})).await,
        _ => provision(server, maker, "member").await,
    }
}

async fn come_back(server: &Server, maker: UserId, way: &str) {
    let (owner, path) = (manager(server).await, format!("/v1/members/{maker}"));
    match way {
        "removal" | "end" | "leaving" => {
            let grant = Grant {
                role: OrganizationRole::Admin,
                licence: Licence::Full,
                ends_at: None,
                workspaces: Vec::new(),
            };
            let admit = move |desk: &mut Desk| admission::admit(desk, maker, &grant).map(drop);
            let by = Asker::person(admin(server).await);
            at_desk(server, server.planted.organization, by, admit)
                .await
                .expect("admitted");
        }
        "demotion" => {
            let back = owner.patch(&path, &json!({"role": "admin"})).await;
            assert_eq!(back.0, StatusCode::OK, "{}", back.1);
        }
        "licence" => {
            let back = owner.patch(&path, &json!({"licence": "full"})).await;
            assert_eq!(back.0, StatusCode::OK, "{}", back.1);
        }
        _ => provision(server, maker, "admin").await,
    }
}

/// By the billing system, which knows the person and the organization.
async fn provision(server: &Server, maker: UserId, role: &str) {
    let organization = server.planted.organization;
    let name = move |tx: &mut Tx| -> Result<(), Refusal> {
        let user = tx.find_user(maker)?.ok_or(Refusal::NotFound)?;
        let external_id = Some(maker.to_string());
        Ok(tx.change_user(&User {
            external_id,
            ..user
        })?)
    };
    server.write(name).await;
    let role = role.parse().expect("a role");
    let wanted = WantedMember {
        role: Some(role),
        ..WantedMember::default()
    };
    let put = move |desk: &mut Desk| {
        let (id, user) = (maker.to_string(), WantedUser::default());
        provisioning::put_person(desk, &id, &user, &wanted).map(drop)
    };
    let operator = person(server, &somebody(), true).await;
    at_desk(server, organization, Asker::operator(operator), put)
        .await
        .expect("provisioned");
}

async fn what_ends_a_right_ends_what_was_set_up_by_it_for_good(db: TestDatabase) {
    let server = start(db).await;
    for way in WAYS {
        let maker = member(&server, &somebody(), OrganizationRole::Admin).await;
        let planted = plant(&server, maker).await;
        lose(&server, maker, way).await;
        for one in &planted {
            assert!(!one.works(&server).await, "{one:?} after {way}");
        }
        come_back(&server, maker, way).await;
        for one in &planted {
            assert!(!one.works(&server).await, "{one:?} revives after {way}");
        }
        // who is back sets up anew
        let fresh = plant(&server, maker).await;
        for one in &fresh {
            assert!(one.works(&server).await, "{one:?} is new after {way}");
        }
    }
}

async fn a_narrower_role_in_a_workspace_ends_what_was_set_up_there(db: TestDatabase) {
    let server = start(db).await;
    let (owner, workspace) = (manager(&server).await, server.planted.workspace);
    let all: Vec<&str> = server
        .app
        .config
        .permission
        .iter()
        .filter(|entry| !entry.operator && !entry.organization)
        .map(|entry| entry.name.as_str())
        .collect();
    let (_, role) = owner
        .post("/v1/roles", &json!({"name": "Lead", "permissions": all}))
        .await;
    let role = text(&role, "/id").to_owned();
    let narrow: Vec<&str> = all
        .iter()
        .copied()
        .filter(|name| *name != "documents:send")
        .collect();
    let maker = member(&server, "lead@acme.example", OrganizationRole::Member).await;
    let seat = format!("/v1/workspaces/{workspace}/members/{maker}");
    let give = async |role: &str| owner.put(&seat, &json!({"role": role})).await.0;
    let change = async |permissions: &[&str]| {
        let path = format!("/v1/roles/{role}");
        owner
            .patch(&path, &json!({"permissions": permissions}))
            .await
            .0
    };
    for way in ["another role", "a narrower role", "no role"] {
        assert_eq!(give(&role).await, StatusCode::NO_CONTENT);
        let program = manager_of(&server, maker).await;
        let planted = Planted::Link(link(&program, &strong_key(&server).await, "").await);
        assert!(planted.works(&server).await);
        let lost = match way {
            "another role" => give("viewer").await,
            "a narrower role" => change(&narrow).await,
            _ => owner.delete(&seat).await.0,
        };
        assert!(lost.is_success(), "{way}: {lost}");
        assert!(!planted.works(&server).await, "after {way}");
        assert_eq!(change(&all).await, StatusCode::OK);
        assert_eq!(give(&role).await, StatusCode::NO_CONTENT);
        assert!(!planted.works(&server).await, "revived after {way}");
    }
}

async fn what_still_may_be_granted_stays(db: TestDatabase) {
    let server = start(db).await;
    let maker = member(&server, "olga@acme.example", OrganizationRole::Owner).await;
    let program = manager_of(&server, maker).await;
    let mut planted = Vec::new();
    for role in ["owner", "admin"] {
        let email = somebody();
        let guest = person(&server, &email, false).await;
        let body = json!({"email": email, "role": role});
        let link = invitation(&program, "", body).await;
        planted.push(Planted::Invitation { link, guest });
    }
    let path = format!("/v1/members/{maker}");
    let demoted = manager(&server)
        .await
        .patch(&path, &json!({"role": "admin"}))
        .await;
    assert_eq!(demoted.0, StatusCode::OK, "{}", demoted.1);
    assert!(!planted[0].works(&server).await, "an admin makes no owner");
    assert!(planted[1].works(&server).await, "an admin makes an admin");
}

async fn an_operator_token_vouches_for_nothing_once_it_has_ended(db: TestDatabase) {
    let server = start(db).await;
    let query = format!("?organization={}", server.planted.organization);
    for way in ["revoked", "expired", "suspended"] {
        let end = server.clock.now().plus_seconds(100);
        let (row, token) = operator_tokens::make(&server, &[], Some(end)).await;
        let program = Program::new(&server, &token);
        let email = somebody();
        let guest = person(&server, &email, false).await;
        let body = json!({"email": email, "role": "owner"});
        let invited = invitation(&program, &query, body.clone()).await;
        let opened = link(&program, &strong_key(&server).await, &query).await;
        assert!(Planted::Link(opened.clone()).works(&server).await);
        match way {
            "revoked" => server.write(move |tx| operator::revoke(tx, row.id)).await,
            "expired" => server.clock.step_seconds(100),
            _ => {
                let suspend = move |tx: &mut Tx| {
                    Ok(tx.change_user_state(
                        row.user_id,
                        UserState::Active,
                        UserState::Suspended,
                    )?)
                };
                server.write(suspend).await;
            }
        }
        for one in [
            Planted::Link(opened),
            Planted::Invitation {
                link: invited,
                guest,
            },
        ] {
            assert!(
                !one.works(&server).await,
                "{one:?} of a token that is {way}"
            );
        }
        // the address is free for whoever may invite it
        let anew = manager(&server).await.post("/v1/invitations", &body).await;
        assert_eq!(anew.0, StatusCode::CREATED, "{}", anew.1);
    }
}

async fn nobody_gets_an_account_by_a_dead_invitation(db: TestDatabase) {
    let server = start(db).await;
    let (row, token) = operator_tokens::make(&server, &[], None).await;
    let query = format!("?organization={}", server.planted.organization);
    let program = Program::new(&server, &token);
    let body = json!({"email": "mallory@evil.example", "role": "owner"});
    let link = invitation(&program, &query, body).await;
    server.write(move |tx| operator::revoke(tx, row.id)).await;
    let (candidates, settings) = (
        server.app.digester.candidates(Purpose::Invitation, &link),
        std::sync::Arc::clone(&server.app.settings),
    );
    let create = move |tx: &mut Tx| {
        invitations::create_account(tx, &settings, &candidates, "Mallory", &PASSWORD.1)
            .map(Verdict::Done)
    };
    let made = server.app.store.write(NOON, create).await;
    assert!(matches!(made, Err(Refusal::Coded(..))), "{made:?}");
}

async fn who_sends_an_invitation_again_vouches_for_it(db: TestDatabase) {
    let server = start(db).await;
    let (owner, guest) = (manager(&server).await, "guest@elsewhere.example");
    let guest_id = person(&server, guest, false).await;
    let body = json!({"email": guest});
    let (_, made) = owner.post("/v1/invitations", &body).await;
    let sender = member(&server, "sid@acme.example", OrganizationRole::Admin).await;
    let resend = format!("/v1/invitations/{}/resend", text(&made, "/id"));
    let (status, sent) = manager_of(&server, sender).await.post_empty(&resend).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    let link = text(&sent, "/link")
        .rsplit('/')
        .next()
        .expect("a token")
        .to_owned();
    lose(&server, sender, "removal").await;
    let planted = Planted::Invitation {
        link,
        guest: guest_id,
    };
    assert!(
        !planted.works(&server).await,
        "whoever was removed knows this link"
    );
}

async fn an_expired_registration_token_widens_nothing(db: TestDatabase) {
    // RFC 7592 §2.2
    let server = start(db).await;
    let token = registration_token(&server, admin(&server).await, Some(100)).await;
    let metadata =
        json!({"client_name": "CRM", "redirect_uris": ["https://crm.example/cb"], "scope": "read"});
    let request = server.post("/oauth2/register").bearer_auth(&token);
    let registered = request.json(&metadata).send().await.expect("an answer");
    let (_, client) = crate::server::json(registered).await;
    let update = async |changes: [(&str, Value); 1]| {
        let mut body = metadata.clone();
        body["client_id"] = client["client_id"].clone();
        for (name, value) in changes {
            body[name] = value;
        }
        let uri = text(&client, "/registration_client_uri");
        let path = uri.strip_prefix(&server.base).expect("here").to_owned();
        let request = reqwest::Client::new().put(server.url(&path));
        let request = request.bearer_auth(text(&client, "/registration_access_token"));
        request
            .json(&body)
            .send()
            .await
            .expect("an answer")
            .status()
    };
    assert_eq!(
        update([("scope", json!("read write"))]).await,
        StatusCode::OK
    );
    server.clock.step_seconds(100);
    for more in [
        ("scope", json!("read write send")),
        ("redirect_uris", json!(["https://evil.example/cb"])),
    ] {
        assert_eq!(update([more]).await, StatusCode::BAD_REQUEST);
    }
    assert_eq!(update([("scope", json!("read"))]).await, StatusCode::OK);
}
