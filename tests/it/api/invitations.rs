//! `/v1/invitations` and `/v1/join-requests`.

use countersign::crypto::digest::Purpose;
use countersign::domain::Refusal;
use countersign::domain::desk::Desk;
use countersign::domain::people::invitations::{self, By};
use countersign::domain::people::join_requests;
use countersign::domain::rights::asker::Asker;
use countersign::types::id::{OrganizationId, UserId};
use countersign::types::refusal_code::RefusalCode;
use countersign::types::state::{OrganizationRole, PermissionLevel};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::Server;
use crate::tenants::{self, Key, admin, key, member, person};

both_databases!(
    the_link_is_shown_once_and_a_new_one_ends_it,
    a_repeated_create_does_not_show_the_link_again,
    nobody_invites_to_more_than_they_hold,
    an_acceptance_is_judged_again,
    an_invitation_accepted_many_times_at_once_makes_one_member,
    who_leaves_takes_their_invitations_along,
    a_key_with_organization_operations_creates_users_with_no_more_than_it_holds,
    wrong_invitations_are_told_field_by_field,
    a_request_to_join_is_approved_or_refused_with_words,
    only_people_of_a_verified_domain_may_ask,
);

async fn owner(server: &Server) -> Program<'_> {
    Program::of(server, admin(server).await).await
}

/// What the link's page asks for.
fn by_link(server: &Server, link: &str) -> By {
    let token = link.rsplit('/').next().expect("a token");
    By::Link(server.app.digester.candidates(Purpose::Invitation, token))
}

async fn accept(server: &Server, user: UserId, by: By) -> Result<(), Refusal> {
    let accept = move |desk: &mut Desk| invitations::accept(desk, &by);
    people::at_desk(
        server,
        server.planted.organization,
        Asker::person(user),
        accept,
    )
    .await
}

fn coded(answer: Result<(), Refusal>) -> &'static str {
    match answer {
        Err(Refusal::Coded(code, _)) => code.as_str(),
        Err(Refusal::NotFound) => "not_found",
        other => unreachable!("{other:?}"),
    }
}

async fn the_link_is_shown_once_and_a_new_one_ends_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let ends = server.clock.now().plus_seconds(86_400).rfc3339();
    let workspaces = json!([{"workspace": server.planted.workspace, "role": "viewer"}]);
    let wanted = json!({"email": "Guest@Elsewhere.example", "licence": "read_only", "member_ends_at": ends, "workspaces": workspaces});
    let (status, made) = owner.post("/v1/invitations", &wanted).await;
    assert_eq!(
        (status, &made["email"], &made["state"]),
        (
            StatusCode::CREATED,
            &json!("guest@elsewhere.example"),
            &json!("pending")
        ),
        "{made}"
    );
    assert_eq!(
        (&made["member_ends_at"], &made["workspaces"]),
        (&json!(ends), &workspaces)
    );
    let first = text(&made, "/link").to_owned();
    assert!(
        first.starts_with(&format!("{}/invitations/", server.app.issuer.as_str())),
        "{first}"
    );
    let path = format!("/v1/invitations/{}", text(&made, "/id"));
    assert_eq!(owner.get(&path).await.1["link"], Value::Null, "never again");
    assert_eq!(
        problem(owner.post("/v1/invitations", &wanted).await),
        (409, "already_invited".to_owned())
    );
    let (status, sent) = owner.post_empty(&format!("{path}/resend")).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    let guest = person(&server, "guest@elsewhere.example", false).await;
    assert_eq!(
        coded(accept(&server, guest, by_link(&server, &first)).await),
        "not_found"
    );
    assert_eq!(
        accept(&server, guest, by_link(&server, text(&sent, "/link"))).await,
        Ok(())
    );
    let joined = owner.get(&format!("/v1/members/{guest}")).await.1;
    assert_eq!(
        (
            &joined["licence"],
            &joined["ends_at"],
            &joined["workspaces"]
        ),
        (&json!("read_only"), &json!(ends), &workspaces),
        "{joined}"
    );
    assert_eq!(
        owner.get("/v1/invitations?state=accepted").await.1["data"][0]["id"],
        made["id"]
    );
    assert_eq!(
        problem(owner.post("/v1/invitations", &wanted).await),
        (409, "already_member".to_owned())
    );
    assert_eq!(
        problem(owner.post_empty(&format!("{path}/resend")).await),
        (409, "not_pending".to_owned())
    );
    assert_eq!(
        owner.delete(&path).await.0,
        StatusCode::NO_CONTENT,
        "what was answered stays as it is"
    );
    assert_eq!(owner.get(&path).await.1["state"], "accepted");
}

async fn a_repeated_create_does_not_show_the_link_again(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let body = json!({"email": "guest@elsewhere.example"});
    let create = || {
        super::json(
            owner
                .request(Method::POST, "/v1/invitations")
                .header("Idempotency-Key", "once")
                .json(&body),
        )
    };
    let (first, second) = (create().await, create().await);
    assert!(
        first.1["link"].is_string() && second.1["link"].is_null(),
        "{} {}",
        first.1,
        second.1
    );
    assert_eq!(
        (&first.1["id"], second.0.is_success()),
        (&second.1["id"], true)
    );
    assert_eq!(server.database.count_events("invitation.created"), 1);
}

async fn nobody_invites_to_more_than_they_hold(db: TestDatabase) {
    let server = Server::start(db).await;
    let mia = Program::of(
        &server,
        member(&server, "mia@acme.example", OrganizationRole::Admin).await,
    )
    .await;
    let owner = owner(&server).await;
    assert_eq!(
        mia.post(
            "/v1/invitations",
            &json!({"email": "a@b.example", "role": "admin"})
        )
        .await
        .0,
        StatusCode::CREATED
    );
    assert_eq!(
        problem(
            mia.post(
                "/v1/invitations",
                &json!({"email": "c@b.example", "role": "owner"})
            )
            .await
        )
        .0,
        403
    );
    // an owner's invitation to be an owner is the owner's to send again
    let made = owner
        .post(
            "/v1/invitations",
            &json!({"email": "c@b.example", "role": "owner"}),
        )
        .await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    let resend = format!("/v1/invitations/{}/resend", text(&made.1, "/id"));
    assert_eq!(problem(mia.post_empty(&resend).await).0, 403);
}

async fn an_acceptance_is_judged_again(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Admin).await,
    );
    let by_mia = Program::of(&server, mia).await;
    let guest = person(&server, "guest@elsewhere.example", false).await;
    let stranger = person(&server, "stranger@elsewhere.example", false).await;
    let made = by_mia
        .post(
            "/v1/invitations",
            &json!({"email": "guest@elsewhere.example", "role": "admin"}),
        )
        .await
        .1;
    let link = text(&made, "/link").to_owned();
    assert_eq!(
        coded(accept(&server, stranger, by_link(&server, &link)).await),
        "another_address",
        "it is bound to the address"
    );
    let member_path = format!("/v1/members/{mia}");
    let suspended = json!({"state": "suspended"});
    assert_eq!(
        owner.patch(&member_path, &suspended).await.0,
        StatusCode::OK
    );
    assert_eq!(
        coded(accept(&server, guest, by_link(&server, &link)).await),
        "invitation_outdated"
    );
    assert_eq!(
        owner
            .patch(&member_path, &json!({"state": "active"}))
            .await
            .0,
        StatusCode::OK
    );
    // the last seat may be gone meanwhile: those who are there take all of them
    let organization = server.planted.organization;
    let seats = |full| {
        server.write(move |tx| {
            let now = tx.now;
            let before = tx.find_subscription(organization)?;
            let before = before.unwrap_or_else(|| {
                countersign::store::subscriptions::Subscription::new(
                    organization,
                    "enterprise",
                    now,
                )
            });
            Ok(
                tx.put_subscription(&countersign::store::subscriptions::Subscription {
                    full_seats: full,
                    ..before
                })?,
            )
        })
    };
    seats(Some(2)).await;
    assert_eq!(
        coded(accept(&server, guest, by_link(&server, &link)).await),
        "seats_exhausted"
    );
    seats(Some(3)).await;
    server
        .clock
        .step_seconds(server.app.config.invitations.expire_seconds);
    assert_eq!(
        coded(accept(&server, guest, by_link(&server, &link)).await),
        "not_found",
        "too late"
    );
    // the token has expired, too
    let by_mia = Program::of(&server, mia).await;
    let fresh = by_mia
        .post(
            "/v1/invitations",
            &json!({"email": "guest@elsewhere.example"}),
        )
        .await;
    assert_eq!(
        fresh.0,
        StatusCode::CREATED,
        "an expired one makes room: {}",
        fresh.1
    );
    assert_eq!(
        accept(&server, guest, by_link(&server, text(&fresh.1, "/link"))).await,
        Ok(())
    );
    // a demotion ends an invitation for good (docs/access.md)
    let owner = self::owner(&server).await;
    let another = json!({"email": "stranger@elsewhere.example", "role": "admin"});
    let (_, another) = by_mia.post("/v1/invitations", &another).await;
    let link = text(&another, "/link").to_owned();
    for role in ["member", "admin"] {
        let change = json!({"role": role});
        assert_eq!(owner.patch(&member_path, &change).await.0, StatusCode::OK);
        assert_eq!(
            coded(accept(&server, stranger, by_link(&server, &link)).await),
            "not_found",
            "{change}"
        );
    }
}

async fn an_invitation_accepted_many_times_at_once_makes_one_member(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let guest = person(&server, "guest@elsewhere.example", false).await;
    let link = text(
        &owner
            .post(
                "/v1/invitations",
                &json!({"email": "guest@elsewhere.example"}),
            )
            .await
            .1,
        "/link",
    )
    .to_owned();
    let before = server.database.count_events("member.added");
    let accept = || accept(&server, guest, by_link(&server, &link));
    let (one, two, three) = tokio::join!(accept(), accept(), accept());
    assert_eq!(
        [&one, &two, &three]
            .iter()
            .filter(|answer| answer.is_ok())
            .count(),
        1,
        "{one:?} {two:?} {three:?}"
    );
    assert_eq!(
        (
            server.database.count_events("invitation.accepted"),
            server.database.count_events("member.added")
        ),
        (1, before + 1)
    );
}

async fn who_leaves_takes_their_invitations_along(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Admin).await,
    );
    let guest = person(&server, "guest@elsewhere.example", false).await;
    let made = Program::of(&server, mia)
        .await
        .post(
            "/v1/invitations",
            &json!({"email": "guest@elsewhere.example"}),
        )
        .await
        .1;
    let (status, gone) = owner.delete(&format!("/v1/members/{mia}")).await;
    assert_eq!(
        (status, &gone["removed"]["invitations"]),
        (StatusCode::OK, &json!(1)),
        "{gone}"
    );
    assert_eq!(
        coded(accept(&server, guest, by_link(&server, text(&made, "/link"))).await),
        "not_found"
    );
    assert_eq!(
        owner.get("/v1/invitations?state=revoked").await.1["data"][0]["id"],
        made["id"]
    );
}

async fn wrong_invitations_are_told_field_by_field(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    for (field, wrong) in [
        ("email", json!({"email": "nobody"})),
        ("email", json!({"email": "a\r\nBcc: b@c.example"})),
        (
            "email",
            json!({"email": format!("{}@b.example", "x".repeat(10_000))}),
        ),
        ("email", json!({"email": "a\u{202e}@b.example"})),
        (
            "member_ends_at",
            json!({"email": "a@b.example", "member_ends_at": "2001-01-01T00:00:00Z"}),
        ),
        (
            "member_ends_at",
            json!({"email": "a@b.example", "role": "owner", "member_ends_at": "2099-01-01T00:00:00Z"}),
        ),
        (
            "workspaces",
            json!({"email": "a@b.example", "workspaces": [{"workspace": "ws_0123456789ABCDEFGHIJKL", "role": "viewer"}]}),
        ),
        (
            "role",
            json!({"email": "a@b.example", "workspaces": [{"workspace": server.planted.workspace, "role": "boss"}]}),
        ),
    ] {
        let (status, body) = owner.post("/v1/invitations", &wrong).await;
        assert_eq!(
            (status, &body["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{wrong}: {body}"
        );
    }
    for wrong in [
        json!({}),
        json!({"email": 5}),
        json!({"email": "a@b.example", "role": "boss"}),
        json!({"email": "a@b.example", "boss": 1}),
    ] {
        assert_eq!(
            problem(owner.post("/v1/invitations", &wrong).await),
            (400, "invalid_body".to_owned()),
            "{wrong}"
        );
    }
    let (foreign, ..) = tenants::organization(&server, "owner@other.example").await;
    let theirs = Program::operator(&server)
        .post(
            &format!("/v1/invitations?organization={foreign}"),
            &json!({"email": "a@b.example"}),
        )
        .await;
    assert_eq!(theirs.0, StatusCode::CREATED, "{}", theirs.1);
    let path = format!("/v1/invitations/{}", text(&theirs.1, "/id"));
    assert_eq!(problem(owner.get(&path).await).0, 404);
    assert_eq!(problem(owner.delete(&path).await).0, 404);
    assert_eq!(
        problem(owner.post_empty(&format!("{path}/resend")).await).0,
        404
    );
    let body = json!({"email": "twin@b.example"});
    let (one, two) = tokio::join!(
        owner.post("/v1/invitations", &body),
        owner.post("/v1/invitations", &body)
    );
    assert_eq!(
        [&one, &two]
            .iter()
            .filter(|answer| answer.0 == StatusCode::CREATED)
            .count(),
        1,
        "{one:?} {two:?}"
    );
}

async fn ask(
    server: &Server,
    user: UserId,
    organization: OrganizationId,
    message: &'static str,
) -> Result<String, Refusal> {
    let ask = move |desk: &mut Desk| Ok(join_requests::ask(desk, message)?.id.to_string());
    people::at_desk(server, organization, Asker::person(user), ask).await
}

async fn a_request_to_join_is_approved_or_refused_with_words(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, organization) = (owner(&server).await, server.planted.organization);
    let (mia, cole) = (
        person(&server, "mia@acme.example", false).await,
        person(&server, "cole@acme.example", false).await,
    );
    let first = ask(&server, mia, organization, "I am new in sales")
        .await
        .expect("asked");
    assert!(matches!(
        ask(&server, mia, organization, "").await,
        Err(Refusal::Coded(RefusalCode::AlreadyAsked, _))
    ));
    let second = ask(&server, cole, organization, "").await.expect("asked");
    let pending = owner.get("/v1/join-requests?state=pending").await.1;
    assert_eq!(
        pending["data"].as_array().map(Vec::len),
        Some(2),
        "{pending}"
    );
    let path = format!("/v1/join-requests/{first}");
    assert_eq!(owner.get(&path).await.1["message"], "I am new in sales");
    let grant = json!({"licence": "read_only", "workspaces": [{"workspace": server.planted.workspace, "role": "viewer"}]});
    let approve = format!("{path}/approve");
    let (one, two) = tokio::join!(owner.post(&approve, &grant), owner.post(&approve, &grant));
    let (taken, late): (Vec<_>, Vec<_>) = [one, two]
        .into_iter()
        .partition(|answer| answer.0 == StatusCode::OK);
    assert_eq!(
        (
            taken.len(),
            problem(late.into_iter().next().expect("one is late"))
        ),
        (1, (409, "not_pending".to_owned()))
    );
    assert_eq!(taken[0].1["state"], "approved");
    assert_eq!(
        owner.get(&format!("/v1/members/{mia}")).await.1["licence"],
        "read_only"
    );
    let refuse = format!("/v1/join-requests/{second}/refuse");
    assert_eq!(
        problem(owner.post(&refuse, &json!({"reason": "a\u{202e}b"})).await),
        (422, "invalid_fields".to_owned())
    );
    let (status, refused) = owner
        .post(&refuse, &json!({"reason": "Ask your lead first."}))
        .await;
    assert_eq!(
        (status, &refused["state"], &refused["reason"]),
        (
            StatusCode::OK,
            &json!("refused"),
            &json!("Ask your lead first.")
        ),
        "{refused}"
    );
    assert_eq!(
        problem(owner.get(&format!("/v1/members/{cole}")).await).0,
        404
    );
    ask(&server, cole, organization, "Now I have")
        .await
        .expect("a refusal is not for ever");
}

async fn only_people_of_a_verified_domain_may_ask(db: TestDatabase) {
    let server = Server::start(db).await;
    let organization = server.planted.organization;
    let (other, ..) = tenants::organization(&server, "owner@other.example").await;
    for email in ["a@elsewhere.example", "a@sub.acme.example", "a@gmail.com"] {
        let id = person(&server, email, false).await;
        assert_eq!(
            ask(&server, id, organization, "").await,
            Err(Refusal::NotFound),
            "{email}"
        );
    }
    let mia = person(&server, "mia@acme.example", false).await;
    assert_eq!(
        ask(&server, mia, other, "").await,
        Err(Refusal::NotFound),
        "an organization without the domain is not there"
    );
    let made = ask(&server, mia, organization, "").await.expect("asked");
    // the domain is judged again
    let removed = server
        .app
        .store
        .read(move |c| c.find_domain_by_name(organization, "acme.example"))
        .await;
    let removed: Result<_, countersign::store::Error> = removed;
    let domain = removed.expect("the store answers").expect("planted").id;
    server
        .write(move |tx| Ok(tx.delete_domain(organization, domain)?))
        .await;
    let refused = owner(&server)
        .await
        .post(&format!("/v1/join-requests/{made}/approve"), &json!({}))
        .await;
    assert_eq!(problem(refused), (409, "join_request_outdated".to_owned()));
}

/// S2: "Create Workspace, Create User".
async fn a_key_with_organization_operations_creates_users_with_no_more_than_it_holds(
    db: TestDatabase,
) {
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let able = Key {
        operations: true,
        ..Key::of(&server, owner).for_organization()
    };
    let able = Program::new(&server, &key(&server, able).await.secret);
    let (_, made) = able
        .post("/v1/workspaces", &json!({"name": "New customer"}))
        .await;
    let place = text(&made, "/id").to_owned();
    let invite = |email: &str, role: &str, workspaces: Value| {
        let wanted = json!({"email": email, "role": role, "workspaces": workspaces});
        let able = &able;
        async move { able.post("/v1/invitations", &wanted).await }
    };
    let at = |workspace: &str, role: &str| json!([{"workspace": workspace, "role": role}]);
    let (status, made) = invite("new@acme.example", "member", at(&place, "member")).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let user = person(&server, "new@acme.example", false).await;
    accept(&server, user, by_link(&server, text(&made, "/link")))
        .await
        .expect("the user is in");
    let operator = Program::operator(&server);
    let path = format!(
        "/v1/members/{user}?organization={}",
        server.planted.organization
    );
    let (_, shown) = operator.get(&path).await;
    assert_eq!(shown["workspaces"], at(&place, "member"), "{shown}");
    // nobody who manages, and nobody above a member
    let planted = server.planted.workspace.to_string();
    for (role, workspaces) in [
        ("owner", json!([])),
        ("admin", json!([])),
        ("member", at(&planted, "admin")),
    ] {
        let (status, body) = invite("more@acme.example", role, workspaces).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{role}: {body}");
    }
    // it manages nobody: what is there stays
    let id = text(&made, "/id");
    for answer in [
        able.get("/v1/invitations").await,
        able.get("/v1/members").await,
        able.delete(&format!("/v1/members/{user}")).await,
        able.post_empty(&format!("/v1/invitations/{id}/resend"))
            .await,
    ] {
        assert_eq!(
            problem(answer),
            (403, "insufficient_permission".to_owned()),
            "[24]"
        );
    }
    for weak in [
        Key::of(&server, owner).for_organization(),
        Key {
            operations: true,
            ..Key::of(&server, owner)
        },
        Key {
            operations: true,
            level: PermissionLevel::ReadOnly,
            ..Key::of(&server, owner).for_organization()
        },
    ] {
        let weak = Program::new(&server, &key(&server, weak).await.secret);
        assert_eq!(
            problem(
                weak.post("/v1/invitations", &json!({"email": "no@acme.example"}))
                    .await
            ),
            (403, "insufficient_permission".to_owned())
        );
    }
}
