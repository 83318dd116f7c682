//! `domain/approval.rs`, attacked: who decides, about what, and two at once.

use std::sync::Arc;

use countersign::domain::Refusal;
use countersign::domain::clients::applications;
use countersign::domain::clients::approval;
use countersign::domain::desk::Desk;
use countersign::domain::lifecycle::quickstart::{ADMIN, OPERATOR};
use countersign::domain::rights::asker::Asker;
use countersign::domain::rights::rights;
use countersign::store::{self, Tx, Verdict};
use countersign::types::environment::Environment;
use countersign::types::id::{ApplicationId, UserId};
use countersign::types::permission::PermissionSet;
use countersign::types::right::Right;
use countersign::types::state::{Approval, UserState};
use futures_util::future::join_all;

use crate::databases::{TestDatabase, both_databases};
use crate::people::at_desk;
use crate::server::Server;
use crate::tenants;

both_databases!(
    only_an_operator_decides,
    only_an_admin_of_its_organization_asks,
    there_is_nothing_to_approve_in_sandbox,
    of_ten_operators_that_decide_at_once_every_answer_is_true,
    what_is_so_already_is_not_told_twice,
    a_reason_holds_no_tricks,
    other_organizations_use_it_as_long_as_it_is_approved,
);

async fn user(server: &Server, email: &'static str) -> UserId {
    let found: Result<_, store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.find_user_by_email(email))
        .await;
    found.expect("the store answers").expect("there is one").id
}

async fn production(server: &Server) -> ApplicationId {
    let admin = user(server, ADMIN).await;
    tenants::application(
        server,
        server.planted.organization,
        admin,
        Environment::Production,
        "viewer",
    )
    .await
    .id
}

/// What the rule answers in the planted organization. No lock makes two of them wait.
async fn attempt<T: Send + 'static>(
    server: &Server,
    asker: &Asker,
    mut rule: impl FnMut(&mut Desk<'_, '_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (settings, asker) = (Arc::clone(&server.app.settings), asker.clone());
    let organization = server.planted.organization;
    let write = move |tx: &mut Tx| {
        let mut desk = Desk {
            tx,
            settings: &settings,
            organization,
            asker: &asker,
        };
        rule(&mut desk).map(Verdict::Done)
    };
    server.app.store.write(server.clock.now(), write).await
}

/// Who administers the planted organization.
async fn member(server: &Server) -> Asker {
    Asker::person(user(server, ADMIN).await)
}

async fn operator(server: &Server) -> Asker {
    Asker::operator(user(server, OPERATOR).await)
}

async fn approval_of(server: &Server, id: ApplicationId) -> Approval {
    let found: Result<_, store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.find_application(id))
        .await;
    found
        .expect("the store answers")
        .expect("there is one")
        .approval
}

/// How many audit events of this kind the planted organization has.
async fn events(server: &Server, event: &str) -> usize {
    let organization = server.planted.organization;
    let all: Result<_, store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.list_audit_events(organization, 1000))
        .await;
    all.expect("the store answers")
        .iter()
        .filter(|own| own.event == event)
        .count()
}

async fn only_an_operator_decides(db: TestDatabase) {
    let server = Server::start(db).await;
    let id = production(&server).await;
    let (admin, operator) = (member(&server).await, operator(&server).await);
    attempt(&server, &admin, move |desk| {
        approval::request(desk, id).map(drop)
    })
    .await
    .expect("asked");
    let suspended = tenants::person(&server, "old@vendor.example", true).await;
    server
        .write(move |tx| {
            Ok(tx.change_user_state(suspended, UserState::Active, UserState::Suspended)?)
        })
        .await;
    let robot: Result<_, store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.find_application(id))
        .await;
    let robot = robot
        .expect("the store answers")
        .and_then(|application| application.service_account_id)
        .expect("a service account");
    // the organization's own admin, its robot, an operator who is suspended, and nobody at all
    let nobody = UserId::generate(server.clock.now());
    for person in [
        admin,
        Asker::person(robot),
        Asker::operator(suspended),
        Asker::operator_token(suspended, PermissionSet::ALL),
        Asker::person(nobody),
        Asker::operator(nobody),
    ] {
        assert_eq!(
            attempt(&server, &person, move |desk| rights::ensure_vendor(
                desk.tx,
                &desk.settings.catalogue,
                desk.asker,
                Right::OperatorApprovals
            ))
            .await,
            Err(Refusal::NotFound)
        );
        assert_eq!(
            attempt(&server, &person, move |desk| approval::approve(
                desk, id, None
            )
            .map(drop))
            .await,
            Err(Refusal::NotFound)
        );
        assert_eq!(
            attempt(&server, &person, move |desk| approval::refuse(
                desk, id, "no"
            )
            .map(drop))
            .await,
            Err(Refusal::NotFound)
        );
        assert_eq!(
            attempt(&server, &person, move |desk| approval::set_verified(
                desk, id, true
            ))
            .await,
            Err(Refusal::NotFound)
        );
        assert_eq!(
            attempt(&server, &person, move |desk| approval::stop(desk, id, "no")
                .map(drop))
            .await,
            Err(Refusal::NotFound)
        );
        assert_eq!(
            attempt(&server, &person, move |desk| approval::resume(desk, id)
                .map(drop))
            .await,
            Err(Refusal::NotFound)
        );
        assert!(matches!(
            attempt(&server, &person, move |desk| approval::list_waiting(
                desk.tx, desk.asker
            ))
            .await,
            Err(Refusal::NotFound)
        ));
        assert!(matches!(
            attempt(&server, &person, move |desk| approval::search(
                desk.tx,
                desk.asker,
                &Default::default()
            ))
            .await,
            Err(Refusal::NotFound)
        ));
        assert!(matches!(
            attempt(&server, &person, move |desk| approval::get(
                &mut desk.view(),
                id
            ))
            .await,
            Err(Refusal::NotFound)
        ));
    }
    assert_eq!(approval_of(&server, id).await, Approval::Requested);
    assert_eq!(
        attempt(&server, &operator, move |desk| approval::approve(
            desk, id, None
        )
        .map(drop))
        .await,
        Ok(())
    );
    assert_eq!(
        (
            approval_of(&server, id).await,
            events(&server, "application.approved").await
        ),
        (Approval::Approved, 1)
    );
}

async fn only_an_admin_of_its_organization_asks(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, organization) = (production(&server).await, server.planted.organization);
    let outsider = Asker::person(user(&server, OPERATOR).await);
    let (other, owner, _) = tenants::organization(&server, "owner@other.example").await;
    let owner = Asker::person(owner);
    for (organization, person) in [
        (organization, outsider),
        (organization, owner.clone()),
        (other, owner),
    ] {
        let ask = move |desk: &mut Desk| approval::request(desk, id).map(drop);
        let asked = at_desk(&server, organization, person, ask).await;
        assert_eq!(asked, Err(Refusal::NotFound));
    }
    assert_eq!(approval_of(&server, id).await, Approval::None);
    // who has asked waits, and asks again only after a refusal
    let (admin, operator) = (member(&server).await, operator(&server).await);
    let ask = || {
        attempt(&server, &admin, move |desk| {
            approval::request(desk, id).map(drop)
        })
    };
    assert_eq!(ask().await, Ok(()));
    assert!(matches!(ask().await, Err(Refusal::Blocked(_))));
    attempt(&server, &operator, move |desk| {
        approval::refuse(desk, id, "no").map(drop)
    })
    .await
    .expect("refused");
    assert_eq!(ask().await, Ok(()));
}

async fn there_is_nothing_to_approve_in_sandbox(db: TestDatabase) {
    let server = Server::start(db).await;
    let (operator, admin) = (operator(&server).await, member(&server).await);
    let id = server.planted.application;
    assert!(matches!(
        attempt(&server, &admin, move |desk| approval::request(desk, id)).await,
        Err(Refusal::Blocked(_))
    ));
    assert!(matches!(
        attempt(&server, &operator, move |desk| approval::approve(
            desk, id, None
        )
        .map(drop))
        .await,
        Err(Refusal::Blocked(_))
    ));
    assert!(matches!(
        attempt(&server, &operator, move |desk| approval::refuse(
            desk, id, "no"
        )
        .map(drop))
        .await,
        Err(Refusal::Blocked(_))
    ));
    assert_eq!(approval_of(&server, id).await, Approval::None);
    // nor anything to refuse where nobody has asked
    let id = production(&server).await;
    assert!(matches!(
        attempt(&server, &operator, move |desk| approval::refuse(
            desk, id, "no"
        )
        .map(drop))
        .await,
        Err(Refusal::Blocked(_))
    ));
    // nor to decide about what is deleted
    attempt(&server, &admin, move |desk| applications::delete(desk, id))
        .await
        .expect("deleted");
    assert_eq!(
        attempt(&server, &operator, move |desk| approval::approve(
            desk, id, None
        )
        .map(drop))
        .await,
        Err(Refusal::NotFound)
    );
    assert_eq!(
        attempt(&server, &operator, move |desk| approval::stop(
            desk, id, "no"
        )
        .map(drop))
        .await,
        Err(Refusal::NotFound)
    );
}

async fn of_ten_operators_that_decide_at_once_every_answer_is_true(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.database.connections = 8).await;
    let id = production(&server).await;
    let (admin, operator) = (member(&server).await, operator(&server).await);
    for _ in 0..10 {
        attempt(&server, &admin, move |desk| {
            approval::request(desk, id).map(drop)
        })
        .await
        .expect("asked");
        let before = (
            events(&server, "application.approved").await,
            events(&server, "application.refused").await,
        );
        let decide = |number: usize| {
            attempt(&server, &operator, move |desk| match number % 2 {
                0 => approval::approve(desk, id, None).map(drop),
                _ => approval::refuse(desk, id, "no").map(drop),
            })
        };
        let answers = join_all((0..10).map(decide)).await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Ok(()) | Err(Refusal::Blocked(_)))),
            "{answers:?}"
        );
        let after = (
            events(&server, "application.approved").await,
            events(&server, "application.refused").await,
        );
        // each change was told once, and they alternate
        assert!(
            (after.0 - before.0).abs_diff(after.1 - before.1) <= 1 && after != before,
            "{before:?} {after:?}"
        );
        attempt(&server, &operator, move |desk| {
            approval::approve(desk, id, None).map(drop)
        })
        .await
        .expect("approved");
        attempt(&server, &operator, move |desk| {
            approval::refuse(desk, id, "no").map(drop)
        })
        .await
        .expect("taken back");
    }
}

async fn what_is_so_already_is_not_told_twice(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.database.connections = 8).await;
    let (id, operator) = (production(&server).await, operator(&server).await);
    for _ in 0..2 {
        attempt(&server, &operator, move |desk| {
            approval::approve(desk, id, None).map(drop)
        })
        .await
        .expect("approved");
        attempt(&server, &operator, move |desk| {
            approval::set_verified(desk, id, true)
        })
        .await
        .expect("verified");
        attempt(&server, &operator, move |desk| {
            approval::resume(desk, id).map(drop)
        })
        .await
        .expect("it runs");
    }
    let stop = |number: usize| {
        attempt(&server, &operator, move |desk| {
            approval::stop(desk, id, &format!("reason {number}")).map(drop)
        })
    };
    assert!(join_all((0..10).map(stop)).await.iter().all(Result::is_ok));
    for (event, count) in [
        ("approved", 1),
        ("verified", 1),
        ("resumed", 0),
        ("stopped", 1),
    ] {
        assert_eq!(
            events(&server, &format!("application.{event}")).await,
            count,
            "{event}"
        );
    }
}

async fn a_reason_holds_no_tricks(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, operator) = (production(&server).await, operator(&server).await);
    attempt(&server, &operator, move |desk| {
        approval::approve(desk, id, None).map(drop)
    })
    .await
    .expect("approved");
    let long = "\u{1F511}".repeat(501);
    for reason in [
        "",
        " \t",
        "a\0b",
        "a\nb",
        "\u{1b}[2J",
        "\u{202e}x",
        "\u{200b}",
        &long,
    ] {
        let (first, second) = (reason.to_owned(), reason.to_owned());
        for answer in [
            attempt(&server, &operator, move |desk| {
                approval::refuse(desk, id, &first).map(drop)
            })
            .await,
            attempt(&server, &operator, move |desk| {
                approval::stop(desk, id, &second).map(drop)
            })
            .await,
        ] {
            assert!(
                matches!(&answer, Err(Refusal::Invalid(errors)) if errors[0].0 == "reason"),
                "{reason:?}: {answer:?}"
            );
        }
    }
    assert_eq!(approval_of(&server, id).await, Approval::Approved);
    let longest = "\u{1F511}".repeat(500);
    attempt(&server, &operator, move |desk| {
        approval::stop(desk, id, &longest).map(drop)
    })
    .await
    .expect("the longest one");
}

async fn other_organizations_use_it_as_long_as_it_is_approved(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, operator) = (production(&server).await, operator(&server).await);
    let (other, owner, workspace) = tenants::organization(&server, "owner@other.example").await;
    let ground = |organization, owner, workspace| {
        let key = tenants::Key::of(&server, owner).production();
        tenants::Key {
            organization,
            workspaces: Some(vec![workspace]),
            ..key
        }
    };
    let foreign = tenants::token(&server, id, ground(other, owner, workspace), "read")
        .await
        .token;
    let admin = user(&server, ADMIN).await;
    let own = tenants::token(
        &server,
        id,
        ground(server.planted.organization, admin, server.planted.workspace),
        "read",
    )
    .await
    .token;
    let active = async |token: &str| server.introspect(token).await["active"] == true;
    assert_eq!((active(&foreign).await, active(&own).await), (false, true));
    attempt(&server, &operator, move |desk| {
        approval::approve(desk, id, None).map(drop)
    })
    .await
    .expect("approved");
    assert_eq!((active(&foreign).await, active(&own).await), (true, true));
    attempt(&server, &operator, move |desk| {
        approval::refuse(desk, id, "abuse").map(drop)
    })
    .await
    .expect("taken back");
    assert_eq!(
        (active(&foreign).await, active(&own).await),
        (false, true),
        "at once, and only the others"
    );
    attempt(&server, &operator, move |desk| {
        approval::approve(desk, id, None).map(drop)
    })
    .await
    .expect("approved");
    attempt(&server, &operator, move |desk| {
        approval::stop(desk, id, "abuse").map(drop)
    })
    .await
    .expect("stopped");
    assert_eq!(
        (active(&foreign).await, active(&own).await),
        (false, false),
        "everywhere"
    );
}
