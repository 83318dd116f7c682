//! Domains of organizations.

use countersign::store::domains::{Checked, Domain};
use countersign::store::{Error, Subject, Tx};
use countersign::types::id::{DomainId, OrganizationId};
use countersign::types::state::{DomainFinding, DomainState};
use countersign::types::time::Timestamp;

use super::{
    Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, read, write,
    write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_domain_is_found_as_it_was_written_and_by_its_organization_only,
    only_verified_domains_are_listed_as_own,
    a_domain_stands_once_in_an_organization_and_is_verified_in_one,
    the_newest_are_listed_page_by_page,
    a_look_up_begins_once_in_a_while,
    what_a_look_up_found_is_kept_and_no_news,
    a_domain_is_verified_lost_and_verified_again,
    those_due_are_listed_the_longest_overdue_first,
    the_switch_changes_and_a_domain_is_deleted,
    what_was_verified_twice_stays_with_the_first,
);

fn domain(organization: OrganizationId, name: &str, verified: bool) -> Domain {
    Domain {
        id: DomainId::generate(NOW),
        organization_id: organization,
        name: name.to_owned(),
        verified_at: verified.then_some(NOW),
        created_at: NOW,
        verification_token: Some("token".to_owned()),
        include_subdomains: None,
        lost_at: None,
        checked_at: None,
        last_finding: None,
        failed_checks: 0,
        next_check_at: None,
    }
}

async fn a_domain_is_found_as_it_was_written_and_by_its_organization_only(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    let written = Domain {
        include_subdomains: Some(true),
        lost_at: Some(EARLIER),
        checked_at: Some(NOW),
        last_finding: Some(DomainFinding::Different),
        failed_checks: 2,
        next_check_at: Some(LATER),
        ..domain(acme, "a.example", true)
    };
    let (copy, id) = (written.clone(), written.id);
    write(&store, move |tx| tx.insert_domain(&copy))
        .await
        .expect("inserted");
    let found = read(&store, move |c| c.find_domain(acme, id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert_eq!(
        read(&store, move |c| c.find_domain_by_name(acme, "a.example"))
            .await
            .expect("found")
            .id,
        id
    );
    assert!(
        read(&store, move |c| c.find_domain(other, id))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.find_domain_by_name(other, "a.example"))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.find_domain_by_name(acme, "A.example"))
            .await
            .is_none()
    );
}

async fn only_verified_domains_are_listed_as_own(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    write(&store, move |tx| {
        tx.insert_domain(&domain(acme, "b.example", true))?;
        tx.insert_domain(&Domain {
            include_subdomains: Some(true),
            ..domain(acme, "a.example", true)
        })?;
        tx.insert_domain(&domain(acme, "claimed.example", false))?;
        tx.insert_domain(&domain(other, "other.example", true))
    })
    .await
    .expect("domains");
    assert_eq!(
        read(&store, move |c| c.list_verified_domains(acme)).await,
        ["a.example", "b.example"]
    );
    let own = read(&store, move |c| c.list_own_domains(acme)).await;
    assert_eq!(
        own,
        [
            ("a.example".to_owned(), Some(true)),
            ("b.example".to_owned(), None)
        ]
    );
    assert_eq!(read(&store, move |c| c.count_domains(acme)).await, 3);
    let names = [
        "a.example",
        "claimed.example",
        "other.example",
        "nobodys.example",
    ];
    let mut verified: Vec<String> = read(&store, move |c| c.find_verified_domains(&names))
        .await
        .into_iter()
        .map(|found| found.name)
        .collect();
    verified.sort();
    assert_eq!(verified, ["a.example", "other.example"]);
    assert!(
        read(&store, |c| c.find_verified_domains(&[]))
            .await
            .is_empty()
    );
}

async fn a_domain_stands_once_in_an_organization_and_is_verified_in_one(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    ends_what_is_remembered_of(&store, Subject::Organization(acme), move |tx| {
        tx.insert_domain(&domain(acme, "a.example", true))
    })
    .await;
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_domain(&domain(
            acme,
            "a.example",
            false
        )))
        .await
    ));
    let claim = domain(other, "a.example", false);
    let id = claim.id;
    write(&store, move |tx| tx.insert_domain(&claim))
        .await
        .expect("another organization may claim it");
    assert!(is_constraint(
        &write(&store, move |tx| tx.verify_domain(other, id)).await
    ));
    assert_eq!(
        read(&store, move |c| c.find_domain(other, id))
            .await
            .expect("there")
            .state(),
        DomainState::Pending
    );
    let nobody = OrganizationId::generate(NOW);
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_domain(&domain(
            nobody,
            "b.example",
            true
        )))
        .await
    ));
}

async fn the_newest_are_listed_page_by_page(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    write(&store, move |tx| {
        tx.insert_domain(&domain(other, "other.example", false))?;
        ["a", "b", "c", "d", "e"]
            .iter()
            .zip([EARLIER, NOW, NOW, NOW, LATER])
            .try_for_each(|(name, at)| {
                tx.insert_domain(&Domain {
                    created_at: at,
                    id: DomainId::generate(at),
                    ..domain(acme, &format!("{name}.example"), false)
                })
            })
    })
    .await
    .expect("domains");
    let all = read(&store, move |c| c.list_domains(acme, None, 9)).await;
    let keys = |domains: &[Domain]| {
        domains
            .iter()
            .map(|found| (found.created_at, found.id))
            .collect::<Vec<_>>()
    };
    let mut expected = keys(&all);
    expected.sort();
    expected.reverse();
    assert_eq!((keys(&all), all.len()), (expected, 5));
    let mut walked = Vec::new();
    while walked.len() < 5 {
        let after = walked.last().copied();
        let page = read(&store, move |c| c.list_domains(acme, after, 2)).await;
        assert!((1..=2).contains(&page.len()));
        walked.extend(keys(&page));
    }
    assert_eq!(walked, keys(&all));
}

async fn a_look_up_begins_once_in_a_while(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    let claim = domain(acme, "a.example", false);
    let id = claim.id;
    write(&store, move |tx| tx.insert_domain(&claim))
        .await
        .expect("inserted");
    let begin = |organization, seconds: i64| {
        let now = NOW.plus_seconds(seconds);
        write_at(&store, now, move |tx| {
            tx.begin_domain_check(organization, id, tx.now.plus_seconds(-10))
        })
    };
    assert_eq!(begin(other, 0).await, Ok(false));
    assert_eq!(begin(acme, 0).await, Ok(true));
    assert_eq!(
        (
            begin(acme, 0).await,
            begin(acme, 9).await,
            begin(acme, 10).await
        ),
        (Ok(false), Ok(false), Ok(true))
    );
    assert_eq!(
        read(&store, move |c| c.find_domain(acme, id))
            .await
            .expect("there")
            .checked_at,
        Some(NOW.plus_seconds(10))
    );
    assert_eq!(begin(acme, -60).await, Ok(true), "the clock was set back");
}

async fn what_a_look_up_found_is_kept_and_no_news(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    let claim = domain(acme, "a.example", true);
    let id = claim.id;
    write(&store, move |tx| tx.insert_domain(&claim))
        .await
        .expect("inserted");
    let checked = Checked {
        finding: DomainFinding::Unanswered,
        failed_checks: 2,
        next_check_at: Some(LATER),
    };
    assert_eq!(
        write(&store, move |tx| tx.record_domain_check(other, id, checked)).await,
        Err(Error::NotFound)
    );
    let before = store.changes().stamp();
    write(&store, move |tx| tx.record_domain_check(acme, id, checked))
        .await
        .expect("recorded");
    assert!(
        store
            .changes()
            .is_current(before, [Subject::Organization(acme)])
    );
    let found = read(&store, move |c| c.find_domain(acme, id))
        .await
        .expect("there");
    assert_eq!(
        (found.last_finding, found.failed_checks, found.next_check_at),
        (Some(DomainFinding::Unanswered), 2, Some(LATER))
    );
    assert_eq!(found.state(), DomainState::Verified);
}

async fn a_domain_is_verified_lost_and_verified_again(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    let claim = domain(acme, "a.example", false);
    let id = claim.id;
    write(&store, move |tx| tx.insert_domain(&claim))
        .await
        .expect("inserted");
    let facts = || async {
        let found = read(&store, move |c| c.find_domain(acme, id))
            .await
            .expect("there");
        (found.state(), found.verified_at, found.lost_at)
    };
    assert_eq!(facts().await, (DomainState::Pending, None, None));
    assert_eq!(
        write(&store, move |tx| tx.lose_domain(acme, id)).await,
        Err(Error::NotFound)
    );
    assert_eq!(
        write(&store, move |tx| tx.verify_domain(other, id)).await,
        Err(Error::NotFound)
    );
    let verify = move |tx: &mut Tx| tx.verify_domain(acme, id);
    ends_what_is_remembered_of(&store, Subject::Organization(acme), verify).await;
    assert_eq!(facts().await, (DomainState::Verified, Some(NOW), None));
    assert_eq!(write(&store, verify).await, Err(Error::NotFound));
    assert_eq!(
        write(&store, move |tx| tx.lose_domain(other, id)).await,
        Err(Error::NotFound)
    );
    ends_what_is_remembered_of(&store, Subject::Organization(acme), move |tx| {
        tx.lose_domain(acme, id)
    })
    .await;
    assert_eq!(facts().await, (DomainState::Lost, None, Some(NOW)));
    write_at(&store, LATER, verify).await.expect("again");
    assert_eq!(facts().await, (DomainState::Verified, Some(LATER), None));
}

async fn those_due_are_listed_the_longest_overdue_first(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    write(&store, move |tx| {
        for (organization, name, at) in [
            (acme, "now", Some(NOW)),
            (acme, "never", None),
            (other, "long", Some(EARLIER)),
            (acme, "later", Some(NOW.plus_seconds(1))),
        ] {
            tx.insert_domain(&Domain {
                next_check_at: at,
                ..domain(organization, &format!("{name}.example"), false)
            })?;
        }
        Ok(())
    })
    .await
    .expect("domains");
    let due = |now: Timestamp, most| read(&store, move |c| c.list_due_domains(now, most));
    let names = |domains: Vec<Domain>| {
        domains
            .into_iter()
            .map(|found| found.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(due(NOW, 9).await), ["long.example", "now.example"]);
    assert_eq!(names(due(NOW, 1).await), ["long.example"]);
}

async fn the_switch_changes_and_a_domain_is_deleted(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    let (first, second) = (
        domain(acme, "a.example", true),
        domain(acme, "b.example", true),
    );
    let (id, kept) = (first.id, second.id);
    write(&store, move |tx| {
        tx.insert_domain(&first)
            .and_then(|()| tx.insert_domain(&second))
    })
    .await
    .expect("inserted");
    assert_eq!(
        write(&store, move |tx| tx.change_domain_subdomains(
            other,
            id,
            Some(true)
        ))
        .await,
        Err(Error::NotFound)
    );
    for to in [Some(true), Some(false), None] {
        ends_what_is_remembered_of(&store, Subject::Organization(acme), move |tx| {
            tx.change_domain_subdomains(acme, id, to)
        })
        .await;
        assert_eq!(
            read(&store, move |c| c.find_domain(acme, id))
                .await
                .expect("there")
                .include_subdomains,
            to
        );
    }
    assert_eq!(
        write(&store, move |tx| tx.delete_domain(other, id)).await,
        Err(Error::NotFound)
    );
    ends_what_is_remembered_of(&store, Subject::Organization(acme), move |tx| {
        tx.delete_domain(acme, id)
    })
    .await;
    assert!(
        read(&store, move |c| c.find_domain(acme, id))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.find_domain(acme, kept))
            .await
            .is_some()
    );
}

/// The first statement of the migration, over rows from before it.
async fn what_was_verified_twice_stays_with_the_first(db: TestDatabase) {
    let store = open(&db);
    let organizations = [
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    ];
    db.execute("DROP INDEX domains_verified");
    write(&store, move |tx| {
        for (organization, at) in organizations.into_iter().zip([LATER, EARLIER, NOW]) {
            tx.insert_domain(&Domain {
                verified_at: Some(at),
                ..domain(organization, "a.example", true)
            })?;
            tx.insert_domain(&domain(organization, "claimed.example", false))?;
        }
        tx.insert_domain(&domain(organizations[0], "b.example", true))
    })
    .await
    .expect("domains");
    let migration = include_str!("../../../migrations/2026-11-21-060000_domains/up.sql");
    let (delete, rest) = migration.split_once("ALTER TABLE").expect("the statements");
    let index = rest
        .find("CREATE UNIQUE INDEX")
        .map(|at| rest[at..].split(';').next().unwrap_or_default())
        .expect("the index");
    db.execute(&format!("{delete}; {index}"));
    let verified = |organization| read(&store, move |c| c.list_verified_domains(organization));
    assert_eq!(verified(organizations[0]).await, ["b.example"]);
    assert_eq!(verified(organizations[1]).await, ["a.example"]);
    assert!(verified(organizations[2]).await.is_empty());
    assert_eq!(
        read(&store, move |c| c.count_domains(organizations[2])).await,
        1,
        "what is only claimed stays"
    );
}
