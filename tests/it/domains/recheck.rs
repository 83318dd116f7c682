//! What the scheduled look-ups do: keep, lose and regain a domain.

use countersign::jobs::domains::round;
use countersign::types::state::{DomainFinding, DomainState};
use hickory_proto::op::ResponseCode;

use super::name_server::Reply;
use super::{
    acme, add, check, get, may_send_to, other, proven, publish, start, start_with, unpublish,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_domain_is_lost_when_its_record_is_gone_for_three_days_and_regained_with_it,
    a_record_that_comes_back_in_time_costs_nothing,
    a_name_server_that_is_down_never_costs_a_domain,
    looking_by_hand_never_costs_a_domain_nor_puts_off_what_is_due,
    what_is_pending_is_looked_for_and_given_up,
    what_was_lost_is_looked_for_and_given_up,
    a_lost_domain_may_be_proven_by_another_organization,
    a_round_ends_when_nobody_answers,
);

const DAY: i64 = 24 * 60 * 60;

async fn a_domain_is_lost_when_its_record_is_gone_for_three_days_and_regained_with_it(
    db: TestDatabase,
) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "brand.example").await;
    assert_eq!(round(&server.app).await, Ok(0), "nothing is due");
    for state in [
        DomainState::Verified,
        DomainState::Verified,
        DomainState::Lost,
    ] {
        unpublish(&names, &domain);
        server.clock.step_seconds(DAY);
        assert!(may_send_to(&server, "ada@brand.example").await);
        assert_eq!(round(&server.app).await, Ok(1));
        assert_eq!(
            get(&server, party, domain.id).await.expect("there").state,
            state
        );
    }
    assert!(
        !may_send_to(&server, "ada@brand.example").await,
        "from the next decision on"
    );
    let lost = get(&server, party, domain.id).await.expect("there");
    assert_eq!(
        (lost.verified_at, lost.failed_checks, lost.last_finding),
        (None, 3, Some(DomainFinding::Absent))
    );
    assert_eq!(server.database.count_events("domain.lost"), 1);
    publish(&names, &domain);
    server.clock.step_seconds(DAY);
    assert_eq!(round(&server.app).await, Ok(1));
    let back = get(&server, party, domain.id).await.expect("there");
    assert_eq!(
        (back.state, back.failed_checks, back.lost_at),
        (DomainState::Verified, 0, None)
    );
    assert!(may_send_to(&server, "ada@brand.example").await);
}

async fn a_record_that_comes_back_in_time_costs_nothing(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "brand.example").await;
    for number in 0..8 {
        if number % 3 == 2 {
            publish(&names, &domain)
        } else {
            names.publish("_countersign.brand.example", "moved")
        }
        server.clock.step_seconds(DAY);
        assert_eq!(round(&server.app).await, Ok(1));
        let shown = get(&server, party, domain.id).await.expect("there");
        assert_eq!(
            (shown.state, shown.failed_checks),
            (DomainState::Verified, (number + 1) % 3)
        );
    }
}

async fn a_name_server_that_is_down_never_costs_a_domain(db: TestDatabase) {
    let (server, names) = start_with(db, |config| config.domains.timeout_seconds = 1).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "brand.example").await;
    // twice definitely gone, then no answer any more
    unpublish(&names, &domain);
    for _ in 0..2 {
        server.clock.step_seconds(DAY);
        assert_eq!(round(&server.app).await, Ok(1));
    }
    for reply in [ResponseCode::ServFail, ResponseCode::Refused]
        .map(Reply::Code)
        .into_iter()
        .cycle()
        .take(6)
        .chain([Reply::Silence, Reply::Referral])
    {
        names.say("_countersign.brand.example", reply);
        server.clock.step_seconds(DAY);
        assert_eq!(round(&server.app).await, Ok(1));
        let shown = get(&server, party, domain.id).await.expect("there");
        assert_eq!(
            (shown.state, shown.failed_checks),
            (DomainState::Verified, 2)
        );
        let soon = server.clock.now().plus_seconds(60 * 60);
        assert_eq!(
            (shown.last_finding, shown.next_check_at),
            (Some(DomainFinding::Unanswered), Some(soon))
        );
    }
}

async fn looking_by_hand_never_costs_a_domain_nor_puts_off_what_is_due(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "brand.example").await;
    unpublish(&names, &domain);
    for _ in 0..5 {
        let shown = check(&server, party, domain.id).await.expect("checked");
        assert_eq!(
            (shown.state, shown.failed_checks),
            (DomainState::Verified, 0)
        );
        assert_eq!(
            (shown.last_finding, shown.next_check_at),
            (Some(DomainFinding::Absent), domain.next_check_at)
        );
    }
    server.clock.step_seconds(DAY);
    assert_eq!(round(&server.app).await, Ok(1));
    assert_eq!(
        get(&server, party, domain.id)
            .await
            .expect("there")
            .failed_checks,
        1
    );
    publish(&names, &domain);
    assert_eq!(
        check(&server, party, domain.id)
            .await
            .expect("checked")
            .failed_checks,
        0
    );
}

async fn what_is_pending_is_looked_for_and_given_up(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = add(&server, party, "brand.example").await;
    let mut rounds = 0;
    while get(&server, party, domain.id)
        .await
        .expect("there")
        .next_check_at
        .is_some()
    {
        server.clock.step_seconds(12 * 60 * 60);
        assert_eq!(round(&server.app).await, Ok(1));
        rounds += 1;
    }
    assert_eq!(rounds, 14, "for a week");
    let second = add(&server, party, "second.example").await;
    publish(&names, &second);
    server.clock.step_seconds(60 * 60);
    assert_eq!(round(&server.app).await, Ok(1));
    assert_eq!(
        get(&server, party, second.id).await.expect("there").state,
        DomainState::Verified
    );
    // given up, but not by the person
    publish(&names, &domain);
    let shown = check(&server, party, domain.id).await.expect("checked");
    assert_eq!(shown.state, DomainState::Verified);
    assert!(shown.next_check_at.is_some());
}

async fn what_was_lost_is_looked_for_and_given_up(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "brand.example").await;
    unpublish(&names, &domain);
    let mut rounds = 0;
    while get(&server, party, domain.id)
        .await
        .expect("there")
        .next_check_at
        .is_some()
    {
        server.clock.step_seconds(DAY);
        assert_eq!(round(&server.app).await, Ok(1));
        rounds += 1;
    }
    assert_eq!(rounds, 33, "three days, and thirty more");
}

async fn a_lost_domain_may_be_proven_by_another_organization(db: TestDatabase) {
    let (server, names) = start(db).await;
    let (first, second) = (acme(&server).await, other(&server).await);
    let lost = proven(&server, &names, first, "brand.example").await;
    unpublish(&names, &lost);
    for _ in 0..3 {
        server.clock.step_seconds(DAY);
        assert_eq!(round(&server.app).await, Ok(1));
    }
    let won = proven(&server, &names, second, "brand.example").await;
    assert_eq!(won.state, DomainState::Verified);
    // the first cannot take it back while the second has it, even with its record
    let (one, two) = (
        lost.record.clone().expect("a record"),
        won.record.clone().expect("a record"),
    );
    names.say(
        &one.name,
        Reply::Texts(vec![vec![one.value], vec![two.value]]),
    );
    server.clock.step_seconds(DAY);
    assert_eq!(
        round(&server.app).await,
        Ok(1),
        "the second's, while the first's is refused"
    );
    let shown = get(&server, first, lost.id).await.expect("there");
    assert_eq!(
        (shown.state, shown.last_finding),
        (DomainState::Lost, Some(DomainFinding::Taken))
    );
    super::remove(&server, second, won.id)
        .await
        .expect("removed");
    assert_eq!(
        check(&server, first, lost.id).await.expect("checked").state,
        DomainState::Verified
    );
}

async fn a_round_ends_when_nobody_answers(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    for number in 0..5 {
        let domain = add(&server, party, &format!("brand{number}.example")).await;
        names.say(
            &domain.record.expect("a record").name,
            Reply::Code(ResponseCode::ServFail),
        );
    }
    server.clock.step_seconds(DAY);
    assert_eq!(round(&server.app).await, Ok(3));
    // the next one goes on with the others
    assert_eq!(round(&server.app).await, Ok(2));
    assert_eq!(round(&server.app).await, Ok(0));
}
