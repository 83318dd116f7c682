//! Adding a domain and proving it.

use countersign::domain::Refusal;
use countersign::domain::desk::{Desk, View};
use countersign::domain::domains::domains::{self, DomainView};
use countersign::types::state::{DomainFinding, DomainState, OrganizationRole};
use hickory_proto::op::ResponseCode;
use serde_json::json;

use super::name_server::Reply;
use super::{
    Party, acme, add, check, check_now, get, may_send_to, other, proven, publish, remove, send_to,
    start, start_with, try_add, verified_domains,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::{people, tenants};

both_databases!(
    a_domain_is_shown_with_the_record_to_publish,
    the_record_proves_the_domain_and_the_next_decision_knows,
    the_record_is_found_however_the_name_server_keeps_it,
    another_record_or_none_proves_nothing,
    no_answer_proves_nothing_and_says_so,
    a_removed_domain_is_foreign_at_the_next_decision,
    a_domain_added_again_needs_a_new_record,
    a_domain_is_looked_up_at_most_every_ten_seconds,
    a_removal_during_the_look_up_wins,
    what_the_operator_vouches_for_has_no_record,
    only_admins_see_and_change_domains_and_foreign_ones_are_not_found,
    an_organization_has_a_bounded_number_of_domains,
);

async fn a_domain_is_shown_with_the_record_to_publish(db: TestDatabase) {
    let (server, _names) = start(db).await;
    let party = acme(&server).await;
    let shown = add(&server, party, " BÜCHER.example. ").await;
    let value = serde_json::to_value(&shown).expect("JSON");
    let record = &value["record"];
    assert_eq!(
        (&value["name"], &value["unicode_name"]),
        (&json!("xn--bcher-kva.example"), &json!("bücher.example"))
    );
    assert_eq!(
        (
            &value["state"],
            &value["include_subdomains"],
            &value["verified_at"]
        ),
        (&json!("pending"), &json!(false), &json!(null))
    );
    assert_eq!(
        (&record["type"], &record["name"]),
        (&json!("TXT"), &json!("_countersign.xn--bcher-kva.example"))
    );
    let token = record["value"]
        .as_str()
        .and_then(|value| value.strip_prefix("countersign-verification="))
        .expect("a token");
    assert_eq!(token.len(), 32);
    let second = add(&server, party, "brand.example").await;
    assert!(!second.record.expect("a record").value.contains(token));
    assert_eq!(get(&server, party, shown.id).await, Ok(shown));
    assert_eq!(server.database.count_events("domain.added"), 2);
}

async fn the_record_proves_the_domain_and_the_next_decision_knows(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = add(&server, party, "brand.example").await;
    assert_eq!(
        send_to(&server, "ada@brand.example").await["refused_recipients"][0]["reason"],
        "not_own_domain"
    );
    publish(&names, &domain);
    assert!(
        !may_send_to(&server, "ada@brand.example").await,
        "nobody has looked yet"
    );
    let shown = check(&server, party, domain.id).await.expect("checked");
    assert_eq!(
        (shown.state, shown.last_finding, shown.failed_checks),
        (DomainState::Verified, Some(DomainFinding::Found), 0)
    );
    assert_eq!(shown.verified_at, Some(server.clock.now()));
    let allowed = send_to(&server, "ada@brand.example").await;
    assert_eq!(
        allowed["obligations"]["recipients"],
        json!({"domains": ["acme.example", "brand.example"], "include_subdomains": false})
    );
    assert!(
        !may_send_to(&server, "ada@mail.brand.example").await
            && !may_send_to(&server, "ada@example").await
    );
    assert_eq!(
        server.database.count_events("domain.verified"),
        2,
        "with the planted one"
    );
}

async fn the_record_is_found_however_the_name_server_keeps_it(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    for number in 0..6 {
        let domain = add(&server, party, &format!("brand{number}.example")).await;
        let record = domain.record.clone().expect("a record");
        let (value, strange) = (record.value.clone(), vec!["v=spf1 -all".to_owned()]);
        let halves = vec![value[..10].to_owned(), value[10..].to_owned()];
        let reply = match number {
            0 => Reply::Texts(vec![strange.clone(), vec![value], strange]),
            1 => Reply::Texts(vec![halves]),
            2 => Reply::Texts(vec![vec![format!(" \"{value}\" ")]]),
            // more than 512 bytes: over TCP
            3 => Reply::Texts(
                (0..9)
                    .map(|_| vec!["x".repeat(90)])
                    .chain([vec![value]])
                    .collect(),
            ),
            4 => Reply::Alias("proofs.example".to_owned()),
            _ => Reply::Texts(vec![
                vec!["countersign-verification=another".to_owned()],
                vec![value],
            ]),
        };
        names.publish("proofs.example", &record.value);
        names.say(&record.name, reply);
        assert_eq!(
            check(&server, party, domain.id)
                .await
                .expect("checked")
                .state,
            DomainState::Verified,
            "{number}"
        );
    }
}

async fn another_record_or_none_proves_nothing(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = add(&server, party, "brand.example").await;
    let record = domain.record.clone().expect("a record");
    let found = |text: &str| Reply::Texts(vec![vec![text.to_owned()]]);
    let token = record
        .value
        .strip_prefix("countersign-verification=")
        .expect("a token")
        .to_owned();
    for (reply, finding) in [
        (Reply::Code(ResponseCode::NXDomain), DomainFinding::Absent),
        (Reply::Nothing, DomainFinding::Absent),
        (found("countersign-verification="), DomainFinding::Different),
        (found(&token), DomainFinding::Different),
        (
            found(&record.value.to_lowercase()),
            DomainFinding::Different,
        ),
        (
            found(&format!("{}x", record.value)),
            DomainFinding::Different,
        ),
        (
            found(&record.value[..record.value.len() - 1]),
            DomainFinding::Different,
        ),
        // two records are not two strings of one
        (
            Reply::Texts(vec![
                vec![record.value[..9].to_owned()],
                vec![record.value[9..].to_owned()],
            ]),
            DomainFinding::Different,
        ),
        (
            Reply::Alias("nowhere.example".to_owned()),
            DomainFinding::Absent,
        ),
    ] {
        names.say(&record.name, reply);
        let shown = check(&server, party, domain.id).await.expect("checked");
        assert_eq!(
            (shown.state, shown.last_finding),
            (DomainState::Pending, Some(finding))
        );
    }
    // the record of another place
    names.forget(&record.name);
    for elsewhere in [
        "brand.example",
        "_countersign.mail.brand.example",
        "_countersign.example",
    ] {
        names.publish(elsewhere, &record.value);
    }
    assert_eq!(
        check(&server, party, domain.id)
            .await
            .expect("checked")
            .last_finding,
        Some(DomainFinding::Absent)
    );
    assert!(!may_send_to(&server, "ada@brand.example").await);
}

async fn no_answer_proves_nothing_and_says_so(db: TestDatabase) {
    let (server, names) = start_with(db, |config| config.domains.timeout_seconds = 1).await;
    let party = acme(&server).await;
    let domain = add(&server, party, "brand.example").await;
    let name = domain.record.clone().expect("a record").name;
    for reply in [
        Reply::Code(ResponseCode::ServFail),
        Reply::Code(ResponseCode::Refused),
        Reply::Referral,
        Reply::Silence,
    ] {
        names.say(&name, reply);
        let shown = check(&server, party, domain.id).await.expect("checked");
        assert_eq!(
            (shown.state, shown.last_finding),
            (DomainState::Pending, Some(DomainFinding::Unanswered))
        );
    }
}

async fn a_removed_domain_is_foreign_at_the_next_decision(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "brand.example").await;
    assert!(may_send_to(&server, "ada@brand.example").await);
    remove(&server, party, domain.id).await.expect("removed");
    assert!(!may_send_to(&server, "ada@brand.example").await);
    assert_eq!(get(&server, party, domain.id).await, Err(Refusal::NotFound));
    assert_eq!(
        remove(&server, party, domain.id).await,
        Err(Refusal::NotFound)
    );
    assert_eq!(
        check(&server, party, domain.id).await,
        Err(Refusal::NotFound)
    );
    assert_eq!(server.database.count_events("domain.removed"), 1);
}

async fn a_domain_added_again_needs_a_new_record(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "brand.example").await;
    remove(&server, party, domain.id).await.expect("removed");
    let again = add(&server, party, "brand.example").await;
    assert_ne!(again.record, domain.record);
    assert_eq!(
        check(&server, party, again.id)
            .await
            .expect("checked")
            .last_finding,
        Some(DomainFinding::Different)
    );
}

async fn a_domain_is_looked_up_at_most_every_ten_seconds(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = add(&server, party, "brand.example").await;
    let ask = || check_now(&server, party, domain.id);
    assert!(ask().await.is_ok());
    for seconds in [0, 1, 8] {
        server.clock.step_seconds(seconds);
        assert!(
            matches!(ask().await, Err(Refusal::Blocked(text)) if text.contains("a moment ago"))
        );
    }
    server.clock.step_seconds(1);
    names.take_asked();
    // of ten at once one asks
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    assert_eq!(
        [a, b, c, d].iter().filter(|answer| answer.is_ok()).count(),
        1
    );
    assert_eq!(names.take_asked().len(), 1);
}

async fn a_removal_during_the_look_up_wins(db: TestDatabase) {
    use countersign::domain::domains::domain_checks::{begin_check, conclude};
    use countersign::outbound::dns::Answer;
    use countersign::store::Tx;
    let (server, _names) = start(db).await;
    let party = acme(&server).await;
    let begin = async |id| {
        let rule = move |desk: &mut Desk| begin_check(desk, id);
        people::at_desk(&server, party.organization, party.asker(), rule)
            .await
            .expect("begun")
    };
    let domain = add(&server, party, "brand.example").await;
    let id = domain.id;
    let question = begin(id).await;
    remove(&server, party, id).await.expect("removed");
    let again = add(&server, party, "brand.example").await;
    let (config, value) = (
        server.app.config.domains.clone(),
        domain.record.expect("a record").value,
    );
    let late = move |tx: &mut Tx| {
        conclude(
            tx,
            &config,
            &question,
            &Ok(Answer::Texts(vec![value.clone()])),
        )
    };
    let concluded: Result<countersign::store::domains::Domain, Refusal> =
        server.app.store.write(server.clock.now(), late).await;
    assert!(matches!(concluded, Err(Refusal::NotFound)));
    assert_eq!(
        get(&server, party, again.id).await.expect("there").state,
        DomainState::Pending
    );
    // and a look-up that was overtaken by another says nothing any more
    let (config, next) = (server.app.config.domains.clone(), again.id);
    let slow = begin(next).await;
    assert_eq!(
        check(&server, party, next)
            .await
            .expect("checked")
            .last_finding,
        Some(DomainFinding::Absent)
    );
    let value = again.record.expect("a record").value;
    server
        .app
        .store
        .write(server.clock.now(), move |tx: &mut Tx| {
            conclude(tx, &config, &slow, &Ok(Answer::Texts(vec![value.clone()])))
        })
        .await
        .expect("without effect");
    assert_eq!(
        get(&server, party, next).await.expect("there").last_finding,
        Some(DomainFinding::Absent)
    );
}

async fn what_the_operator_vouches_for_has_no_record(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let (organization, name) = (party.organization, "acme.example");
    let found = server
        .app
        .store
        .read(move |snapshot| Ok::<_, Refusal>(snapshot.find_domain_by_name(organization, name)?))
        .await;
    let id = found.expect("an answer").expect("planted").id;
    let shown = get(&server, party, id).await.expect("shown");
    assert_eq!(
        (shown.state, shown.record, shown.next_check_at),
        (DomainState::Verified, None, None)
    );
    assert!(
        matches!(check(&server, party, id).await, Err(Refusal::Blocked(text)) if text.contains("no record to look for"))
    );
    assert!(names.take_asked().is_empty());
}

/// Two of a party's domains, from behind one of them on.
async fn list(
    server: &Server,
    party: Party,
    after: Option<&DomainView>,
) -> Result<Vec<DomainView>, Refusal> {
    let after = after.map(|shown| (shown.created_at, shown.id));
    let rule = move |view: &mut View| domains::list(view, after, 2);
    people::at_view(server, party.organization, party.asker(), rule).await
}

async fn only_admins_see_and_change_domains_and_foreign_ones_are_not_found(db: TestDatabase) {
    let (server, _names) = start(db).await;
    let (acme, other) = (acme(&server).await, other(&server).await);
    server.clock.step_seconds(1);
    let domain = add(&server, acme, "brand.example").await;
    let member = tenants::member(&server, "mia@acme.example", OrganizationRole::Member).await;
    let plain = Party {
        admin: member,
        ..acme
    };
    let stranger = Party {
        admin: other.admin,
        ..acme
    };
    let elsewhere = other;
    for (party, refused) in [
        (plain, Refusal::Forbidden("Your role does not allow this.")),
        (stranger, Refusal::NotFound),
        (elsewhere, Refusal::NotFound),
    ] {
        assert_eq!(get(&server, party, domain.id).await, Err(refused.clone()));
        assert_eq!(check(&server, party, domain.id).await, Err(refused.clone()));
        assert_eq!(
            remove(&server, party, domain.id).await,
            Err(refused.clone())
        );
        assert_eq!(
            super::choose_subdomains(&server, party, domain.id, Some(true)).await,
            Err(refused.clone())
        );
    }
    for party in [plain, stranger] {
        assert!(try_add(&server, party, "more.example", None).await.is_err());
        assert!(list(&server, party, None).await.is_err());
    }
    // the newest first, page by page
    server.clock.step_seconds(1);
    let newer = add(&server, acme, "newer.example").await;
    assert_eq!(
        list(&server, acme, None).await,
        Ok(vec![newer.clone(), domain.clone()])
    );
    let rest = list(&server, acme, Some(&domain)).await.expect("a page");
    assert_eq!(
        rest.iter()
            .map(|shown| shown.name.as_str())
            .collect::<Vec<_>>(),
        ["acme.example"]
    );
    assert_eq!(get(&server, acme, domain.id).await, Ok(domain));
    assert_eq!(verified_domains(&server, acme).await, ["acme.example"]);
}

async fn an_organization_has_a_bounded_number_of_domains(db: TestDatabase) {
    let (server, _names) = start_with(db, |config| config.domains.max_per_organization = 3).await;
    let party = acme(&server).await;
    add(&server, party, "one.example").await;
    // the planted one counts; of several at once one fits
    let (a, b, c) = tokio::join!(
        try_add(&server, party, "two.example", None),
        try_add(&server, party, "three.example", None),
        try_add(&server, party, "four.example", None)
    );
    assert_eq!(
        [&a, &b, &c].iter().filter(|answer| answer.is_ok()).count(),
        1
    );
    assert!(
        matches!(try_add(&server, party, "five.example", None).await, Err(Refusal::Blocked(text)) if text.contains("limit of 3 domains"))
    );
    let last = a.or(b).or(c).expect("one of them");
    remove(&server, party, last.id).await.expect("removed");
    add(&server, party, "five.example").await;
}
