//! Domains: proven by a TXT record at a name server in the test's hand, looked up again, lost, regained, removed.

mod lookup;
pub mod name_server;
mod names;
mod ownership;
mod prove;
mod recheck;

use countersign::config::Config;
use countersign::domain::Refusal;
use countersign::domain::desk::{Desk, View};
use countersign::domain::domains::domains::{self, DomainView, NewDomain};
use countersign::domain::rights::asker::Asker;
use countersign::store;
use countersign::types::id::{DomainId, OrganizationId, UserId};
use serde_json::{Value, json};

use crate::databases::TestDatabase;
use crate::people;
use crate::server::Server;
use name_server::NameServer;

/// A server that looks domains up at the returned name server.
async fn start(db: TestDatabase) -> (Server, NameServer) {
    start_with(db, |_| {}).await
}

async fn start_with(db: TestDatabase, change: impl FnOnce(&mut Config)) -> (Server, NameServer) {
    let names = NameServer::start();
    let address = names.address;
    let server = Server::start_with(db, move |config| {
        config.domains.nameservers = vec![address];
        change(config);
    })
    .await;
    (server, names)
}

/// An organization and one of its admins.
#[derive(Clone, Copy)]
struct Party {
    organization: OrganizationId,
    admin: UserId,
}

impl Party {
    fn asker(self) -> Asker {
        Asker::person(self.admin)
    }
}

async fn acme(server: &Server) -> Party {
    Party {
        organization: server.planted.organization,
        admin: people::admin(server).await.id,
    }
}

async fn other(server: &Server) -> Party {
    let (organization, admin, _) = crate::tenants::organization(server, "zoe@other.example").await;
    Party {
        organization,
        admin,
    }
}

async fn try_add(
    server: &Server,
    party: Party,
    name: &str,
    include_subdomains: Option<bool>,
) -> Result<DomainView, Refusal> {
    let new = NewDomain {
        name: name.to_owned(),
        include_subdomains,
        verification_token: domains::mint_verification_token(),
    };
    let rule = move |desk: &mut Desk| domains::add(desk, &new);
    people::at_desk(server, party.organization, party.asker(), rule).await
}

async fn add(server: &Server, party: Party, name: &str) -> DomainView {
    try_add(server, party, name, None).await.expect(name)
}

async fn get(server: &Server, party: Party, id: DomainId) -> Result<DomainView, Refusal> {
    let rule = move |view: &mut View| domains::get(view, id);
    people::at_view(server, party.organization, party.asker(), rule).await
}

async fn check(server: &Server, party: Party, id: DomainId) -> Result<DomainView, Refusal> {
    server.clock.step_seconds(10);
    check_now(server, party, id).await
}

async fn check_now(server: &Server, party: Party, id: DomainId) -> Result<DomainView, Refusal> {
    server
        .app
        .check_domain(party.organization, &party.asker(), id)
        .await
}

async fn remove(server: &Server, party: Party, id: DomainId) -> Result<(), Refusal> {
    let rule = move |desk: &mut Desk| domains::remove(desk, id);
    people::at_desk(server, party.organization, party.asker(), rule).await
}

async fn choose_subdomains(
    server: &Server,
    party: Party,
    id: DomainId,
    include: Option<bool>,
) -> Result<DomainView, Refusal> {
    let rule = move |desk: &mut Desk| domains::choose_subdomains(desk, id, include);
    people::at_desk(server, party.organization, party.asker(), rule).await
}

fn publish(names: &NameServer, domain: &DomainView) {
    let record = domain.record.as_ref().expect("a record");
    names.publish(&record.name, &record.value);
}

fn unpublish(names: &NameServer, domain: &DomainView) {
    names.forget(&domain.record.as_ref().expect("a record").name);
}

/// A domain that the party has proven.
async fn proven(server: &Server, names: &NameServer, party: Party, name: &str) -> DomainView {
    let domain = add(server, party, name).await;
    publish(names, &domain);
    check(server, party, domain.id)
        .await
        .expect("the record is there")
}

/// The decision about sending to this address with the planted Sandbox key.
async fn send_to(server: &Server, address: &str) -> Value {
    // the Sandbox allows ten a minute
    server.clock.step_seconds(60);
    server.verify(json!({"credential": server.secrets.sandbox_key, "permission": "documents:send", "recipients": [address]})).await
}

async fn may_send_to(server: &Server, address: &str) -> bool {
    send_to(server, address).await["code"] == "valid"
}

async fn verified_domains(server: &Server, party: Party) -> Vec<String> {
    let listed: Result<_, store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.list_verified_domains(party.organization))
        .await;
    listed.expect("a list")
}
