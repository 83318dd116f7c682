//! Domains that an organization proves to be its own, by a TXT record with a random token.
//!
//! Invariants:
//!
//! - Who proves a domain first has it; nobody else does before it is removed there, or lost.
//! - It is the organization's own while its record is there (`domain_checks.rs`).
//! - A domain says nothing of those above it, and of those below only by its own switch.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::Config;
use crate::domain::domains::domain_checks;
use crate::domain::plans::open;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::domains::Domain;
use crate::store::organizations::Organization;
use crate::store::{self, Snapshot, Tx};
use crate::types::email::{self, Mailbox};
use crate::types::event::Event;
use crate::types::id::{DomainId, OrganizationId};
use crate::types::right::Right;
use crate::types::state::{DomainFinding, DomainState, OrganizationState};
use crate::types::text::random_base62;
use crate::types::time::Timestamp;

/// The label below which the record stands.
const LABEL: &str = "_countersign.";
/// What the record starts with, so that who finds it there knows what it is for.
const PREFIX: &str = "countersign-verification=";
const TOKEN_CHARACTERS: usize = 32;
/// RFC 1035 §2.3.4, less the length octets.
const MOST_NAME_BYTES: usize = 253;
/// What an admin asks for.
#[derive(Debug, Clone)]
pub struct NewDomain {
    /// As people write it.
    pub name: String,
    /// None: as the installation says.
    pub include_subdomains: Option<bool>,
}

/// A domain of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Domain")]
pub struct Shown {
    pub id: DomainId,
    /// ASCII, with `xn--` labels: no two names look alike.
    pub name: String,
    /// In its own letters; none when these are ASCII, or could be read as another name.
    pub unicode_name: Option<String>,
    pub state: DomainState,
    /// What to publish. None: who runs the server vouches for the domain.
    pub record: Option<Record>,
    /// What counts.
    pub include_subdomains: bool,
    /// Whether that is the domain's own choice, and not the installation's.
    pub include_subdomains_chosen: bool,
    pub verified_at: Option<Timestamp>,
    pub lost_at: Option<Timestamp>,
    pub last_checked_at: Option<Timestamp>,
    pub last_finding: Option<DomainFinding>,
    /// Scheduled look-ups in a row that did not find the record of a verified domain, and how many of them lose it.
    pub failed_checks: i64,
    pub lost_after_checks: i64,
    pub next_check_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// The DNS record that proves a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DomainRecord")]
pub struct Record {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: String,
    pub value: String,
}

const READ: Right = Right::DomainsRead;
const MANAGE: Right = Right::DomainsManage;

/// Who sees and changes domains: rights in the organization itself.
fn ensure_may(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    caller: &Caller,
    needed: Right,
) -> Result<(), Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    rights::ensure_organization(snapshot, &catalogue, organization, caller, needed)
}

/// The newest first, at most `most`, from behind `after` on.
pub fn list(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    after: Option<(Timestamp, DomainId)>,
    most: i64,
) -> Result<Vec<Shown>, Refusal> {
    ensure_may(snapshot, config, organization, &caller.into(), READ)?;
    Ok(snapshot
        .list_domains(organization, after, most)?
        .iter()
        .map(|domain| show(config, domain))
        .collect())
}

pub fn get(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: DomainId,
) -> Result<Shown, Refusal> {
    ensure_may(snapshot, config, organization, &caller.into(), READ)?;
    Ok(show(
        config,
        &snapshot
            .find_domain(organization, id)?
            .ok_or(Refusal::NotFound)?,
    ))
}

/// Claims a domain: it counts when its record is found. Runs behind the organization's lock: the cap is counted.
pub fn add(
    tx: &mut Tx,
    config: &Config,
    organization: &Organization,
    caller: impl Into<Caller>,
    new: &NewDomain,
) -> Result<Shown, Refusal> {
    let caller = caller.into();
    ensure_may(tx, config, organization.id, &caller, MANAGE)?;
    ensure(
        organization.state == OrganizationState::Active,
        Refusal::Blocked(open::SUSPENDED.to_owned()),
    )?;
    let name =
        parse_name(&new.name).map_err(|message| Refusal::Invalid(vec![("name", message)]))?;
    let known = Refusal::Invalid(vec![(
        "name",
        "This domain is on the organization's list already.".to_owned(),
    )]);
    ensure(
        tx.find_domain_by_name(organization.id, name.as_str())?
            .is_none(),
        known,
    )?;
    let most = config.domains.max_per_organization;
    let full = format!(
        "This organization has reached its limit of {most} domains. Remove one that is not needed any more."
    );
    ensure(
        tx.count_domains(organization.id)? < most,
        Refusal::Blocked(full),
    )?;
    let domain = Domain {
        id: DomainId::generate(tx.now),
        organization_id: organization.id,
        name: name.as_str().to_owned(),
        verified_at: None,
        created_at: tx.now,
        verification_token: Some(random_base62(TOKEN_CHARACTERS)),
        include_subdomains: new.include_subdomains,
        lost_at: None,
        checked_at: None,
        last_finding: None,
        failed_checks: 0,
        next_check_at: Some(tx.now.plus_seconds(domain_checks::soon(&config.domains))),
    };
    tx.insert_domain(&domain)?;
    tx.record(
        Some(organization.id),
        Some(caller.user),
        Event::DomainAdded,
        domain.id.as_str(),
        &domain.name,
    )?;
    Ok(show(config, &domain))
}

/// None: as the installation says.
pub fn choose_subdomains(
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: DomainId,
    include: Option<bool>,
) -> Result<Shown, Refusal> {
    let caller = caller.into();
    let domain = find(tx, config, organization, &caller, id)?;
    if domain.include_subdomains != include {
        tx.change_domain_subdomains(organization, id, include)?;
        let detail = match include {
            Some(true) => "included",
            Some(false) => "excluded",
            None => "as the installation says",
        };
        tx.record(
            Some(organization),
            Some(caller.user),
            Event::DomainSubdomainsChosen,
            id.as_str(),
            detail,
        )?;
    }
    Ok(show(
        config,
        &Domain {
            include_subdomains: include,
            ..domain
        },
    ))
}

/// The domain counts no more, from the next decision on. Runs behind the organization's lock.
pub fn remove(
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: DomainId,
) -> Result<(), Refusal> {
    let caller = caller.into();
    let domain = find(tx, config, organization, &caller, id)?;
    let needed = tx
        .find_identity_provider_of(organization)?
        .is_some_and(|provider| provider.enforced);
    let last = domain.verified_at.is_some() && tx.list_verified_domains(organization)?.len() == 1;
    // nobody new could come in
    let reason = "Single sign-on is required here, and recognizes people by this domain. Stop requiring it first.";
    ensure(!needed || !last, Refusal::Blocked(reason.to_owned()))?;
    tx.delete_domain(organization, id)?;
    Ok(tx.record(
        Some(organization),
        Some(caller.user),
        Event::DomainRemoved,
        id.as_str(),
        &domain.name,
    )?)
}

/// The organization to which people with this address belong, for joining: it has proven the domain, or one above that says so
/// itself (what the installation says of Sandbox recipients does not count here). The nearest proven domain decides.
pub fn find_verified_owner(
    snapshot: &mut Snapshot,
    address: &Mailbox,
) -> Result<Option<OrganizationId>, store::Error> {
    let domain = address.domain();
    if domain.is_free_mail() || domain.is_public_suffix() {
        return Ok(None);
    }
    let lineage: Vec<&str> = domain.lineage().collect();
    let verified = snapshot.find_verified_domains(&lineage)?;
    let nearest = verified.iter().max_by_key(|found| found.name.len());
    Ok(nearest
        .filter(|found| found.name == domain.as_str() || found.include_subdomains == Some(true))
        .map(|found| found.organization_id))
}

/// A name that an organization can prove; otherwise what is wrong with it, in a sentence that repeats nothing of it.
fn parse_name(text: &str) -> Result<email::Domain, String> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let name = email::Domain::parse(text).map_err(|error| sentence(&error.to_string()))?;
    let look_alike = "The domain mixes scripts, or looks like another name. If it is the one you mean, write it in its xn-- form.";
    ensure(text.is_ascii() || !name.is_look_alike(), look_alike)?;
    ensure(
        !name.is_free_mail(),
        "Anybody can have a mailbox there: no organization can prove this domain.",
    )?;
    ensure(
        !name.is_public_suffix(),
        "Anybody can register names below this domain (it is a public suffix): no organization can prove it.",
    )?;
    ensure(
        LABEL.len() + name.as_str().len() <= MOST_NAME_BYTES,
        "The domain is too long for a record below it.",
    )?;
    Ok(name)
}

fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_ascii_uppercase(), letters.as_str())
    })
}

/// One that the caller may change.
pub(in crate::domain) fn find(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    caller: &Caller,
    id: DomainId,
) -> Result<Domain, Refusal> {
    ensure_may(snapshot, config, organization, caller, MANAGE)?;
    snapshot
        .find_domain(organization, id)?
        .ok_or(Refusal::NotFound)
}

pub fn show(config: &Config, domain: &Domain) -> Shown {
    Shown {
        id: domain.id,
        name: domain.name.clone(),
        unicode_name: email::Domain::parse(&domain.name)
            .ok()
            .and_then(|name| name.unicode()),
        state: domain.state(),
        record: record(domain),
        include_subdomains: domain
            .include_subdomains
            .unwrap_or(config.sandbox.include_subdomains),
        include_subdomains_chosen: domain.include_subdomains.is_some(),
        verified_at: domain.verified_at,
        lost_at: domain.lost_at,
        last_checked_at: domain.checked_at,
        last_finding: domain.last_finding,
        failed_checks: domain.failed_checks,
        lost_after_checks: config.domains.lost_after_checks,
        next_check_at: domain.next_check_at,
        created_at: domain.created_at,
    }
}

pub(in crate::domain) fn record(domain: &Domain) -> Option<Record> {
    let token = domain.verification_token.as_ref()?;
    Some(Record {
        kind: "TXT",
        name: format!("{LABEL}{}", domain.name),
        value: format!("{PREFIX}{token}"),
    })
}
