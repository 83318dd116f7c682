//! Whose a domain is, and what that opens: one organization's, its sub-domains by its own switch, joining, single sign-on.

use countersign::domain::Refusal;
use countersign::domain::desk::Desk;
use countersign::domain::domains::domains::find_verified_owner;
use countersign::domain::people::identities::{self, ProviderSettings};
use countersign::domain::rights::asker::Asker;
use countersign::store;
use countersign::types::email::Mailbox;
use countersign::types::id::OrganizationId;
use countersign::types::state::{DomainFinding, DomainState};
use serde_json::json;

use super::{
    acme, add, check, check_now, choose_subdomains, get, may_send_to, other, proven, publish,
    remove, send_to, start, start_with, verified_domains,
};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::Server;

both_databases!(
    who_proves_a_domain_first_has_it_and_the_second_is_told,
    of_two_organizations_that_prove_at_once_one_has_it,
    sub_domains_count_by_the_domains_own_switch_and_never_upward,
    the_installations_switch_counts_where_the_domain_says_nothing,
    an_address_belongs_to_the_organization_that_has_proven_its_domain,
    the_last_domain_of_required_single_sign_on_stays,
);

async fn who_proves_a_domain_first_has_it_and_the_second_is_told(db: TestDatabase) {
    let (server, names) = start(db).await;
    let (first, second) = (acme(&server).await, other(&server).await);
    let domain = proven(&server, &names, first, "brand.example").await;
    // adding tells nothing about others
    let claim = add(&server, second, "brand.example").await;
    assert_eq!(
        check(&server, second, claim.id)
            .await
            .expect("checked")
            .last_finding,
        Some(DomainFinding::Different)
    );
    publish(&names, &claim);
    assert!(
        matches!(check(&server, second, claim.id).await, Err(Refusal::Blocked(text)) if text.contains("another organization has proven"))
    );
    let shown = get(&server, second, claim.id).await.expect("there");
    assert_eq!(
        (shown.state, shown.last_finding),
        (DomainState::Pending, Some(DomainFinding::Taken))
    );
    assert!(verified_domains(&server, second).await.is_empty());
    remove(&server, first, domain.id).await.expect("removed");
    assert_eq!(
        check(&server, second, claim.id)
            .await
            .expect("checked")
            .state,
        DomainState::Verified
    );
}

async fn of_two_organizations_that_prove_at_once_one_has_it(db: TestDatabase) {
    let (server, names) = start(db).await;
    let (first, second) = (acme(&server).await, other(&server).await);
    for number in 0..5 {
        let name = format!("brand{number}.example");
        let (one, two) = (
            add(&server, first, &name).await,
            add(&server, second, &name).await,
        );
        let values =
            [&one, &two].map(|domain| vec![domain.record.clone().expect("a record").value]);
        names.say(
            &one.record.clone().expect("a record").name,
            super::name_server::Reply::Texts(values.to_vec()),
        );
        let (a, b) = tokio::join!(
            check_now(&server, first, one.id),
            check_now(&server, second, two.id)
        );
        let refused = [a, b]
            .into_iter()
            .filter_map(Result::err)
            .collect::<Vec<_>>();
        assert!(
            matches!(&refused[..], [Refusal::Blocked(text)] if text.contains("another organization")),
            "{refused:?}"
        );
        let (has, has_too) = (
            verified_domains(&server, first).await.contains(&name),
            verified_domains(&server, second).await.contains(&name),
        );
        assert!(has != has_too);
    }
}

async fn sub_domains_count_by_the_domains_own_switch_and_never_upward(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "mail.brand.example").await;
    assert!(!may_send_to(&server, "ada@x.mail.brand.example").await);
    let shown = choose_subdomains(&server, party, domain.id, Some(true))
        .await
        .expect("chosen");
    assert!(shown.include_subdomains && shown.include_subdomains_chosen);
    let allowed = send_to(&server, "ada@y.x.mail.brand.example").await;
    assert_eq!(
        allowed["obligations"]["recipients"],
        json!({"domains": ["acme.example", "mail.brand.example"], "include_subdomains": false, "subdomains_of": ["mail.brand.example"]})
    );
    for address in [
        "ada@brand.example",
        "ada@www.brand.example",
        "ada@evilmail.brand.example",
        "ada@x.acme.example",
    ] {
        assert!(!may_send_to(&server, address).await, "{address}");
    }
    choose_subdomains(&server, party, domain.id, Some(false))
        .await
        .expect("chosen");
    choose_subdomains(&server, party, domain.id, Some(false))
        .await
        .expect("again");
    assert!(!may_send_to(&server, "ada@x.mail.brand.example").await);
    assert_eq!(server.database.count_events("domain.subdomains_chosen"), 2);
}

async fn the_installations_switch_counts_where_the_domain_says_nothing(db: TestDatabase) {
    let (server, names) = start_with(db, |config| config.sandbox.include_subdomains = true).await;
    let party = acme(&server).await;
    let domain = proven(&server, &names, party, "brand.example").await;
    assert!(domain.include_subdomains && !domain.include_subdomains_chosen);
    let allowed = send_to(&server, "ada@x.brand.example").await;
    assert_eq!(
        allowed["obligations"]["recipients"],
        json!({"domains": ["acme.example", "brand.example"], "include_subdomains": true})
    );
    choose_subdomains(&server, party, domain.id, Some(false))
        .await
        .expect("chosen");
    assert!(
        !may_send_to(&server, "ada@x.brand.example").await
            && may_send_to(&server, "ada@x.acme.example").await
    );
}

async fn owner(server: &Server, address: &str) -> Option<OrganizationId> {
    let address = Mailbox::parse(address).expect("an address");
    let found: Result<_, store::Error> = server
        .app
        .store
        .read(move |snapshot| find_verified_owner(snapshot, &address))
        .await;
    found.expect("an answer")
}

async fn an_address_belongs_to_the_organization_that_has_proven_its_domain(db: TestDatabase) {
    // whatever Sandbox recipients may be, joining needs the domain's own word
    let (server, names) = start_with(db, |config| config.sandbox.include_subdomains = true).await;
    let (first, second) = (acme(&server).await, other(&server).await);
    let domain = proven(&server, &names, first, "brand.example").await;
    add(&server, first, "claimed.example").await;
    assert_eq!(
        owner(&server, "Ada@BRAND.example").await,
        Some(first.organization)
    );
    for address in [
        "ada@x.brand.example",
        "ada@claimed.example",
        "ada@example.com",
        "ada@gmail.com",
        "ada@evilbrand.example",
    ] {
        assert_eq!(owner(&server, address).await, None, "{address}");
    }
    choose_subdomains(&server, first, domain.id, Some(true))
        .await
        .expect("chosen");
    assert_eq!(
        owner(&server, "ada@y.x.brand.example").await,
        Some(first.organization)
    );
    // the nearest proven domain decides
    proven(&server, &names, second, "x.brand.example").await;
    assert_eq!(
        owner(&server, "ada@x.brand.example").await,
        Some(second.organization)
    );
    assert_eq!(owner(&server, "ada@y.x.brand.example").await, None);
    assert_eq!(
        owner(&server, "ada@z.brand.example").await,
        Some(first.organization)
    );
    remove(&server, first, domain.id).await.expect("removed");
    assert_eq!(owner(&server, "ada@brand.example").await, None);
}

async fn the_last_domain_of_required_single_sign_on_stays(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let (organization, admin) = (party.organization, party.admin);
    let configure = async |enforced| {
        let settings = ProviderSettings {
            issuer: "https://id.example".to_owned(),
            client_id: "client".to_owned(),
            client_secret: Some("secret".to_owned()),
            name: "Acme ID".to_owned(),
            enforced,
        };
        let sealer = std::sync::Arc::clone(&server.app.sealer);
        let configure = move |desk: &mut Desk| identities::configure(desk, &sealer, &settings);
        people::at_desk(&server, organization, Asker::person(admin), configure)
            .await
            .expect("configured")
    };
    configure(true).await;
    let found = server
        .app
        .store
        .read(move |snapshot| {
            Ok::<_, Refusal>(snapshot.find_domain_by_name(organization, "acme.example")?)
        })
        .await;
    let planted = found.expect("an answer").expect("planted").id;
    let second = proven(&server, &names, party, "brand.example").await;
    remove(&server, party, planted)
        .await
        .expect("another one is left");
    assert!(
        matches!(remove(&server, party, second.id).await, Err(Refusal::Blocked(text)) if text.contains("Stop requiring it first"))
    );
    let pending = add(&server, party, "pending.example").await;
    remove(&server, party, pending.id)
        .await
        .expect("it recognizes nobody");
    configure(false).await;
    remove(&server, party, second.id)
        .await
        .expect("nobody needs it");
}
