//! OAuth applications and their redirect URIs.

use countersign::store::applications::{Application, ApplicationFilter, OwnApplicationFilter};
use countersign::store::{Error, Store, Subject, Tx};
use countersign::types::environment::Environment;
use countersign::types::id::ApplicationId;
use countersign::types::state::{ApplicationStanding, ApplicationState, Approval, ClientType};

use super::{
    Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, read, redirect_uri,
    scopes, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_application_is_found_as_it_was_written,
    its_redirect_uris_are_listed_as_they_were_written,
    a_redirect_uri_twice_leaves_no_application_behind,
    the_newest_applications_are_listed_up_to_the_limit,
    a_page_of_applications_is_filtered_and_goes_on_where_the_last_ended,
    an_application_is_deleted_once_and_still_found,
    of_two_decisions_about_one_application_one_is_kept,
    an_application_is_verified_and_not_any_more,
    an_application_is_stopped_once_and_resumed_once,
    requests_wait_in_their_order_over_all_organizations,
    an_approved_version_stays_beside_the_current_one,
    production_applications_are_found_by_part_of_a_name_or_a_whole_id,
    production_applications_are_found_by_what_was_decided,
    production_applications_come_in_pages,
    what_may_change_of_an_application_is_written_whole,
    a_use_of_an_application_only_moves_forward_and_is_no_news,
    an_application_becomes_first_party_once,
);

async fn an_application_is_found_as_it_was_written(db: TestDatabase) {
    let store = open(&db);
    let written = Acme::insert(&store).await.application();
    let (id, copy) = (written.id, written.clone());
    write(&store, move |tx| tx.insert_application(&copy, &[]))
        .await
        .expect("inserted");
    let found = read(&store, move |c| c.find_application(id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    let own = written.organization_id;
    assert!(read(&store, move |c| c.has_credentials(own)).await);
    let other = Acme::insert(&store).await.organization;
    assert!(!read(&store, move |c| c.has_credentials(other)).await);
    assert!(
        read(&store, |c| c.find_application(ApplicationId::generate(NOW)))
            .await
            .is_none()
    );
}

async fn its_redirect_uris_are_listed_as_they_were_written(db: TestDatabase) {
    let store = open(&db);
    let application = Acme::insert(&store).await.application();
    let id = application.id;
    let uris = [
        "com.example.app:/cb",
        "https://crm.example/cb",
        "https://crm.example/cb?x=%2F",
    ]
    .map(redirect_uri);
    let given = uris.clone();
    write(&store, move |tx| {
        tx.insert_application(&application, &given)
    })
    .await
    .expect("inserted");
    assert_eq!(read(&store, move |c| c.list_redirect_uris(id)).await, uris);
}

async fn a_redirect_uri_twice_leaves_no_application_behind(db: TestDatabase) {
    let store = open(&db);
    let application = Acme::insert(&store).await.application();
    let id = application.id;
    let uris = [
        redirect_uri("https://crm.example/cb"),
        redirect_uri("https://crm.example/cb"),
    ];
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_application(&application, &uris)).await
    ));
    assert!(
        read(&store, move |c| c.find_application(id))
            .await
            .is_none()
    );
}

async fn the_newest_applications_are_listed_up_to_the_limit(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    let (deleted, _) = (
        acme.insert_application(&store).await,
        other.insert_application(&store).await,
    );
    write(&store, move |tx| {
        tx.delete_application(organization, deleted)
    })
    .await
    .expect("deleted");
    for at in [NOW, EARLIER, LATER] {
        let application = Application {
            id: ApplicationId::generate(at),
            created_at: at,
            ..acme.application()
        };
        write(&store, move |tx| tx.insert_application(&application, &[]))
            .await
            .expect("inserted");
    }
    let listed = |most| read(&store, move |c| c.list_applications(organization, most));
    let times = |applications: Vec<Application>| {
        applications
            .into_iter()
            .map(|found| found.created_at)
            .collect::<Vec<_>>()
    };
    assert_eq!(times(listed(9).await), [LATER, NOW, EARLIER]);
    assert_eq!(times(listed(1).await), [LATER]);
    assert_eq!(
        read(&store, move |c| c.count_applications(organization)).await,
        3
    );
}

async fn a_page_of_applications_is_filtered_and_goes_on_where_the_last_ended(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    let (deleted, _) = (
        acme.insert_application(&store).await,
        other.insert_application(&store).await,
    );
    write(&store, move |tx| {
        tx.delete_application(organization, deleted)
    })
    .await
    .expect("deleted");
    let mut made = Vec::new();
    for (at, client_type) in [
        (EARLIER, ClientType::Public),
        (NOW, ClientType::Confidential),
        (NOW, ClientType::Confidential),
    ] {
        let application = Application {
            id: ApplicationId::generate(at),
            created_at: at,
            client_type,
            name: format!("{client_type}"),
            ..acme.application()
        };
        made.push(application.id);
        write(&store, move |tx| tx.insert_application(&application, &[]))
            .await
            .expect("inserted");
    }
    let page = async |filter: OwnApplicationFilter, after, most| {
        let found = read(&store, move |c| {
            c.list_applications_page(organization, &filter, after, most)
        })
        .await;
        found
            .into_iter()
            .map(|found| (found.created_at, found.id))
            .collect::<Vec<_>>()
    };
    let all = page(OwnApplicationFilter::default(), None, 9).await;
    let (one, other) = (made[1].max(made[2]), made[1].min(made[2]));
    assert_eq!(all, [(NOW, one), (NOW, other), (EARLIER, made[0])]);
    assert_eq!(
        page(OwnApplicationFilter::default(), None, 1).await,
        all[..1]
    );
    assert_eq!(
        page(OwnApplicationFilter::default(), Some(all[0]), 9).await,
        all[1..]
    );
    let none = OwnApplicationFilter::default;
    for (filter, count) in [
        (
            OwnApplicationFilter {
                name: Some("public".to_owned()),
                ..none()
            },
            1,
        ),
        (
            OwnApplicationFilter {
                client_type: Some(ClientType::Confidential),
                ..none()
            },
            2,
        ),
        (
            OwnApplicationFilter {
                environment: Some(acme.application().environment),
                ..none()
            },
            3,
        ),
        (
            OwnApplicationFilter {
                approval: Some(Approval::Approved),
                ..none()
            },
            0,
        ),
        (
            OwnApplicationFilter {
                registered: Some(true),
                ..none()
            },
            0,
        ),
        (
            OwnApplicationFilter {
                registered: Some(false),
                ..none()
            },
            3,
        ),
    ] {
        assert_eq!(
            page(filter.clone(), None, 9).await.len(),
            count,
            "{filter:?}"
        );
    }
}

async fn an_application_is_deleted_once_and_still_found(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, id) = (acme.organization, acme.insert_application(&store).await);
    assert_eq!(
        write(&store, move |tx| tx
            .delete_application(other.organization, id))
        .await,
        Err(Error::NotFound)
    );
    let delete = move |tx: &mut Tx| tx.delete_application(organization, id);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), delete).await;
    assert_eq!(write_at(&store, LATER, delete).await, Err(Error::NotFound));
    let found = read(&store, move |c| c.find_application(id))
        .await
        .expect("found");
    assert!(found.state == ApplicationState::Deleted && found.deleted_at == Some(NOW));
    assert_eq!(
        read(&store, move |c| c.count_applications(organization)).await,
        0
    );
}

async fn insert(store: &Store, application: Application) -> Application {
    let copy = application.clone();
    write(store, move |tx| tx.insert_application(&copy, &[]))
        .await
        .expect("inserted");
    application
}

fn production(acme: &Acme, name: &str) -> Application {
    Application {
        environment: Environment::Production,
        name: name.to_owned(),
        ..acme.application()
    }
}

async fn get(store: &Store, id: ApplicationId) -> Application {
    read(store, move |c| c.find_application(id))
        .await
        .expect("found")
}

async fn of_two_decisions_about_one_application_one_is_kept(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let seen = insert(&store, production(&acme, "CRM")).await;
    let (id, organization, copy) = (seen.id, acme.organization, seen.clone());
    let before = store.changes().stamp();
    write(&store, move |tx| {
        tx.change_approval(&copy, Approval::Refused, Some("no"))
    })
    .await
    .expect("the first");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::Organization(organization)])
    );
    let late = write(&store, move |tx| tx.approve_application(&seen, &[])).await;
    assert_eq!(late, Err(Error::NotFound));
    let found = get(&store, id).await;
    assert_eq!(
        (found.approval, found.approval_reason.as_deref()),
        (Approval::Refused, Some("no"))
    );
}

async fn an_application_is_verified_and_not_any_more(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let application = insert(&store, production(&acme, "CRM")).await;
    let (id, organization) = (application.id, acme.organization);
    for verified in [true, false] {
        let (before, copy) = (store.changes().stamp(), application.clone());
        write_at(&store, LATER, move |tx| {
            tx.set_application_verified(&copy, verified)
        })
        .await
        .expect("set");
        assert!(
            !store
                .changes()
                .is_current(before, [Subject::Organization(organization)])
        );
        assert_eq!(get(&store, id).await.verified_at, verified.then_some(LATER));
    }
}

async fn an_application_is_stopped_once_and_resumed_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let application = insert(&store, acme.application()).await;
    let (id, organization) = (application.id, acme.organization);
    let set = |because: Option<&'static str>| {
        let copy = application.clone();
        write_at(&store, LATER, move |tx| {
            tx.set_application_stopped(&copy, because)
        })
    };
    assert_eq!(set(None).await, Err(Error::NotFound), "it runs");
    let before = store.changes().stamp();
    set(Some("abuse")).await.expect("stopped");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::Organization(organization)])
    );
    assert_eq!(
        set(Some("other")).await,
        Err(Error::NotFound),
        "the first reason stays"
    );
    let found = get(&store, id).await;
    assert_eq!(
        (
            found.stopped_at,
            found.stopped_because.as_deref(),
            found.is_live()
        ),
        (Some(LATER), Some("abuse"), false)
    );
    let before = store.changes().stamp();
    set(None).await.expect("resumed");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::Organization(organization)])
    );
    let found = get(&store, id).await;
    assert_eq!(
        (found.stopped_at, found.stopped_because, found.state),
        (None, None, ApplicationState::Active)
    );
}

async fn requests_wait_in_their_order_over_all_organizations(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let mut waiting = Vec::new();
    for (owner, at) in [(&acme, NOW), (&other, EARLIER), (&acme, LATER)] {
        let request = Application {
            approval: Approval::Requested,
            created_at: at,
            id: ApplicationId::generate(at),
            ..production(owner, "CRM")
        };
        waiting.push((at, insert(&store, request).await.id));
    }
    let (organization, gone) = (acme.organization, waiting[2].1);
    write(&store, move |tx| tx.delete_application(organization, gone))
        .await
        .expect("deleted");
    let listed = |most| read(&store, move |c| c.list_applications_to_approve(most));
    let ids =
        |applications: Vec<Application>| applications.iter().map(|own| own.id).collect::<Vec<_>>();
    let requests = [waiting[1].1, waiting[0].1];
    assert_eq!(ids(listed(9).await), requests);
    assert_eq!(ids(listed(1).await), [waiting[1].1]);
    // an approved one waits again when its name, its scopes or its redirect URIs are others
    let (one, two) = (
        redirect_uri("https://a.example/cb"),
        redirect_uri("https://b.example/cb"),
    );
    let approved = Application {
        created_at: LATER,
        ..production(&acme, "Approved")
    };
    let (copy, known) = (approved.clone(), [one.clone()]);
    write(&store, move |tx| {
        tx.insert_application(&copy, &known)?;
        tx.approve_application(&copy, &known)
    })
    .await
    .expect("approved");
    assert_eq!(ids(listed(9).await), requests);
    let renamed = Application {
        name: "Another".to_owned(),
        ..approved.clone()
    };
    let rescoped = Application {
        scopes: scopes("send"),
        ..approved.clone()
    };
    for (changed, uris, waits) in [
        (renamed, vec![one.clone()], true),
        (rescoped, vec![one.clone()], true),
        (approved.clone(), vec![one.clone(), two], true),
        (approved.clone(), vec![], false),
        (approved.clone(), vec![one], false),
    ] {
        let case = format!("{} {} {uris:?}", changed.name, changed.scopes);
        write(&store, move |tx| {
            tx.change_application(&changed)?;
            tx.change_redirect_uris(&changed, &uris)
        })
        .await
        .expect("changed");
        assert_eq!(ids(listed(9).await).contains(&approved.id), waits, "{case}");
    }
}

async fn an_approved_version_stays_beside_the_current_one(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (one, two) = (
        redirect_uri("https://a.example/cb"),
        redirect_uri("https://b.example/cb"),
    );
    let seen = production(&acme, "CRM");
    let (id, organization) = (seen.id, acme.organization);
    let (copy, uris) = (seen.clone(), [one.clone(), two.clone()]);
    write(&store, move |tx| tx.insert_application(&copy, &uris))
        .await
        .expect("inserted");
    let before = store.changes().stamp();
    let (copy, uris) = (seen.clone(), [two.clone(), one.clone()]);
    write(&store, move |tx| tx.approve_application(&copy, &uris))
        .await
        .expect("approved");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::Organization(organization)])
    );
    let changed = Application {
        name: "CRM 2".to_owned(),
        scopes: scopes("send"),
        ..get(&store, id).await
    };
    let copy = changed.clone();
    write(&store, move |tx| {
        tx.change_application(&copy)?;
        tx.change_redirect_uris(&copy, &[])
    })
    .await
    .expect("changed");
    let found = get(&store, id).await;
    assert_eq!(
        (
            found.approval,
            found.name.as_str(),
            found.approved_name.as_deref()
        ),
        (Approval::Approved, "CRM 2", Some("CRM"))
    );
    assert_eq!(found.approved_scopes, Some(seen.scopes.clone()));
    assert_eq!(
        read(&store, move |c| c.list_approved_redirect_uris(id)).await,
        [one, two]
    );
    // what was read before the change is not what would be approved
    let stale = Application {
        name: "CRM".to_owned(),
        ..changed.clone()
    };
    let late = write(&store, move |tx| tx.approve_application(&stale, &[])).await;
    assert_eq!(late, Err(Error::NotFound));
    // and nothing is approved any more when the approval is taken back
    write(&store, move |tx| {
        tx.change_approval(&changed, Approval::Refused, Some("no"))
    })
    .await
    .expect("refused");
    let found = get(&store, id).await;
    assert_eq!((found.approved_name, found.approved_scopes), (None, None));
    assert_eq!(
        read(&store, move |c| c.list_approved_redirect_uris(id)).await,
        []
    );
}

/// The names found, in their order.
async fn found(store: &Store, filter: ApplicationFilter) -> Vec<String> {
    let found = read(store, move |c| c.list_production_applications(&filter, 10)).await;
    assert!(found.iter().all(|(_, organization)| organization == "Acme"));
    found
        .into_iter()
        .map(|(application, _)| application.name)
        .collect()
}

async fn production_applications_are_found_by_part_of_a_name_or_a_whole_id(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let crm = insert(
        &store,
        Application {
            id: ApplicationId::generate(EARLIER),
            ..production(&acme, "Northwind CRM")
        },
    )
    .await;
    insert(&store, production(&acme, "100%_\\ sure")).await;
    let sandbox = insert(&store, acme.application()).await;
    let search = |text: &str| {
        found(
            &store,
            ApplicationFilter {
                search: text.to_owned(),
                ..ApplicationFilter::default()
            },
        )
    };
    assert_eq!(search("").await, ["100%_\\ sure", "Northwind CRM"]);
    for part in ["wind", "NORTHWIND crm", crm.id.as_str()] {
        assert_eq!(search(part).await, ["Northwind CRM"], "{part}");
    }
    // what a pattern would mean stands for itself
    for part in ["%", "_", "\\", "0%_\\"] {
        assert_eq!(search(part).await, ["100%_\\ sure"], "{part}");
    }
    for all in ["acme", acme.organization.as_str()] {
        assert_eq!(search(all).await.len(), 2, "{all}");
    }
    for none in [
        "north%crm",
        "Northwind_CRM",
        "app_",
        "' OR 1=1 --",
        "\u{e4}",
    ] {
        assert_eq!(search(none).await, [""; 0], "{none}");
    }
    // by its id also one that is no Production application
    assert_eq!(search(sandbox.id.as_str()).await, ["CRM"]);
}

async fn production_applications_are_found_by_what_was_decided(db: TestDatabase) {
    use ApplicationStanding::{Approved, Refused, Requested, Stopped, Unverified, Verified};
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    for (name, approval) in [
        ("none", Approval::None),
        ("requested", Approval::Requested),
        ("approved", Approval::Approved),
        ("refused", Approval::Refused),
    ] {
        insert(
            &store,
            Application {
                approval,
                stopped_at: (name == "none").then_some(NOW),
                ..production(&acme, name)
            },
        )
        .await;
    }
    insert(
        &store,
        Application {
            verified_at: Some(NOW),
            ..production(&acme, "verified")
        },
    )
    .await;
    for (standing, name) in [
        (Requested, "requested"),
        (Approved, "approved"),
        (Refused, "refused"),
        (Verified, "verified"),
        (Stopped, "none"),
    ] {
        let filter = ApplicationFilter {
            standing: Some(standing),
            ..ApplicationFilter::default()
        };
        assert_eq!(found(&store, filter).await, [name], "{standing}");
    }
    let unverified = ApplicationFilter {
        standing: Some(Unverified),
        ..ApplicationFilter::default()
    };
    assert_eq!(found(&store, unverified).await.len(), 4);
}

async fn production_applications_come_in_pages(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    for (name, at) in [("second", NOW), ("third", EARLIER), ("first", LATER)] {
        insert(
            &store,
            Application {
                id: ApplicationId::generate(at),
                ..production(&acme, name)
            },
        )
        .await;
    }
    let mut after = None;
    for expected in ["first", "second", "third"] {
        let filter = ApplicationFilter {
            after,
            ..ApplicationFilter::default()
        };
        let page = read(&store, move |c| c.list_production_applications(&filter, 1)).await;
        assert_eq!(page[0].0.name, expected);
        after = Some(page[0].0.id);
    }
    assert_eq!(
        found(
            &store,
            ApplicationFilter {
                after,
                ..ApplicationFilter::default()
            }
        )
        .await,
        [""; 0]
    );
}

async fn what_may_change_of_an_application_is_written_whole(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, before) = (acme.organization, acme.application());
    let (id, copy) = (before.id, before.clone());
    write(&store, move |tx| {
        tx.insert_application(&copy, &[redirect_uri("https://crm.example/cb")])
    })
    .await
    .expect("inserted");
    let after = Application {
        name: "Shop".to_owned(),
        scopes: scopes("documents:read"),
        grants: "client_credentials".parse().expect("a grant"),
        refresh_rotation: false,
        refresh_idle_seconds: Some(60),
        refresh_absolute_seconds: None,
        service_account_id: None,
        verified_at: None,
        ..before
    };
    let (written, again) = (after.clone(), after.clone());
    write(&store, move |tx| tx.change_application(&written))
        .await
        .expect("changed");
    let found = read(&store, move |c| c.find_application(id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{after:?}"));
    // the operator's word is not its people's to give
    let verified = Application {
        verified_at: Some(NOW),
        ..after.clone()
    };
    write(&store, move |tx| tx.change_application(&verified))
        .await
        .expect("changed");
    assert_eq!(
        read(&store, move |c| c.find_application(id))
            .await
            .expect("found")
            .verified_at,
        None
    );
    let stamp = store.changes().stamp();
    let uris = [
        redirect_uri("https://crm.example/cb"),
        redirect_uri("https://crm.example/other"),
    ];
    let given = uris.clone();
    write(&store, move |tx| tx.change_redirect_uris(&again, &given))
        .await
        .expect("changed");
    assert!(
        !store
            .changes()
            .is_current(stamp, [Subject::Organization(organization)])
    );
    assert_eq!(read(&store, move |c| c.list_redirect_uris(id)).await, uris);
    write(&store, move |tx| tx.delete_application(organization, id))
        .await
        .expect("deleted");
    assert_eq!(
        write(&store, move |tx| tx.change_application(&after)).await,
        Err(Error::NotFound)
    );
}

async fn a_use_of_an_application_only_moves_forward_and_is_no_news(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, id) = (acme.organization, acme.insert_application(&store).await);
    let stamp = store.changes().stamp();
    for (at, kept) in [(NOW, NOW), (LATER, LATER), (EARLIER, LATER)] {
        write(&store, move |tx| tx.record_application_use(id, at))
            .await
            .expect("recorded, or known to be older");
        assert_eq!(
            read(&store, move |c| c.find_application(id))
                .await
                .expect("found")
                .last_used_at,
            Some(kept)
        );
    }
    assert!(
        store
            .changes()
            .is_current(stamp, [Subject::Organization(organization)])
    );
}

async fn an_application_becomes_first_party_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let id = acme.insert_application(&store).await;
    let row = read(&store, move |c| c.find_application(id))
        .await
        .expect("found");
    assert!(!row.first_party);
    let (set, again, back) = (row.clone(), row.clone(), row);
    let stamp = store.changes().stamp();
    write(&store, move |tx| tx.set_application_first_party(&set, true))
        .await
        .expect("set");
    assert!(
        !store
            .changes()
            .is_current(stamp, [Subject::Organization(acme.organization)])
    );
    assert!(
        read(&store, move |c| c.find_application(id))
            .await
            .expect("found")
            .first_party
    );
    assert_eq!(
        write(&store, move |tx| tx
            .set_application_first_party(&again, true))
        .await,
        Err(Error::NotFound)
    );
    write(&store, move |tx| {
        tx.set_application_first_party(&back, false)
    })
    .await
    .expect("set back");
}
