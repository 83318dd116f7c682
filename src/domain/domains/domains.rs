//! Domains that an organization proves to be its own, by a TXT record with a random token.
//!
//! Invariants:
//!
//! - Who proves a domain first has it; nobody else does before it is removed there, or lost.
//! - It is the organization's own while its record is there (`domain_checks.rs`).
//! - A domain says nothing of those above it, and of those below only by its own switch.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::domain::desk::{Desk, View};
use crate::domain::plans::open;
use crate::domain::settings::Settings;
use crate::domain::{Refusal, ensure};
use crate::store::domains::Domain;
use crate::store::{self, Snapshot};
use crate::types::email::{self, Mailbox};
use crate::types::event::Event;
use crate::types::id::{DomainId, OrganizationId};
use crate::types::right::Right;
use crate::types::state::{DomainFinding, DomainState};
use crate::types::text::random_base62;
use crate::types::time::Timestamp;

/// How soon is looked again for what is not proven yet, and when nobody answered.
const SOON_SECONDS: i64 = 60 * 60;
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
    /// What its record will say ([`mint_verification_token`]).
    pub verification_token: String,
}

/// Minted before the transaction, which may run twice.
pub fn mint_verification_token() -> String {
    random_base62(TOKEN_CHARACTERS)
}

/// A domain of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Domain")]
pub struct DomainView {
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

/// The newest first, at most `most`, from behind `after` on.
pub fn list(
    view: &mut View,
    after: Option<(Timestamp, DomainId)>,
    most: i64,
) -> Result<Vec<DomainView>, Refusal> {
    view.ensure(READ)?;
    let domains = view.snapshot.list_domains(view.organization, after, most)?;
    let show = |domain| show(view.settings, domain);
    Ok(domains.iter().map(show).collect())
}

pub fn get(view: &mut View, id: DomainId) -> Result<DomainView, Refusal> {
    view.ensure(READ)?;
    let domain = view
        .snapshot
        .find_domain(view.organization, id)?
        .ok_or(Refusal::NotFound)?;
    Ok(show(view.settings, &domain))
}

/// Claims a domain: it counts when its record is found. Runs behind the organization's lock: the cap is counted.
pub fn add(desk: &mut Desk, new: &NewDomain) -> Result<DomainView, Refusal> {
    desk.ensure(MANAGE)?;
    open::ensure_not_suspended(desk.tx, desk.organization)?;
    let name =
        parse_name(&new.name).map_err(|message| Refusal::Invalid(vec![("name", message)]))?;
    let known = Refusal::Invalid(vec![(
        "name",
        "This domain is on the organization's list already.".to_owned(),
    )]);
    ensure(
        desk.tx
            .find_domain_by_name(desk.organization, name.as_str())?
            .is_none(),
        known,
    )?;
    let most = desk.settings.domains.max_per_organization;
    let full = format!(
        "This organization has reached its limit of {most} domains. Remove one that is not needed any more."
    );
    ensure(
        desk.tx.count_domains(desk.organization)? < most,
        Refusal::Blocked(full),
    )?;
    let first_check = soon(&desk.settings.domains);
    let domain = Domain {
        id: DomainId::generate(desk.now()),
        organization_id: desk.organization,
        name: name.as_str().to_owned(),
        verified_at: None,
        created_at: desk.now(),
        verification_token: Some(new.verification_token.clone()),
        include_subdomains: new.include_subdomains,
        lost_at: None,
        checked_at: None,
        last_finding: None,
        failed_checks: 0,
        next_check_at: Some(desk.now().plus_seconds(first_check)),
    };
    desk.tx.insert_domain(&domain)?;
    desk.record(Event::DomainAdded, domain.id.as_str(), &domain.name)?;
    Ok(show(desk.settings, &domain))
}

/// None: as the installation says.
pub fn choose_subdomains(
    desk: &mut Desk,
    id: DomainId,
    include: Option<bool>,
) -> Result<DomainView, Refusal> {
    let domain = find_to_manage(desk, id)?;
    if domain.include_subdomains != include {
        desk.tx
            .change_domain_subdomains(desk.organization, id, include)?;
        let detail = match include {
            Some(true) => "included",
            Some(false) => "excluded",
            None => "as the installation says",
        };
        desk.record(Event::DomainSubdomainsChosen, id.as_str(), detail)?;
    }
    Ok(show(
        desk.settings,
        &Domain {
            include_subdomains: include,
            ..domain
        },
    ))
}

/// The domain counts no more, from the next decision on. Runs behind the organization's lock.
pub fn remove(desk: &mut Desk, id: DomainId) -> Result<(), Refusal> {
    let domain = find_to_manage(desk, id)?;
    let needed = desk
        .tx
        .find_identity_provider_of(desk.organization)?
        .is_some_and(|provider| provider.enforced);
    let last = domain.verified_at.is_some()
        && desk.tx.list_verified_domains(desk.organization)?.len() == 1;
    // nobody new could come in
    let reason = "Single sign-on is required here, and recognizes people by this domain. Stop requiring it first.";
    ensure(!needed || !last, Refusal::Blocked(reason.to_owned()))?;
    desk.tx.delete_domain(desk.organization, id)?;
    Ok(desk.record(Event::DomainRemoved, id.as_str(), &domain.name)?)
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

/// One that the asker may change.
pub(super) fn find_to_manage(desk: &mut Desk, id: DomainId) -> Result<Domain, Refusal> {
    desk.ensure(MANAGE)?;
    desk.tx
        .find_domain(desk.organization, id)?
        .ok_or(Refusal::NotFound)
}

pub fn show(settings: &Settings, domain: &Domain) -> DomainView {
    DomainView {
        id: domain.id,
        name: domain.name.clone(),
        unicode_name: email::Domain::parse(&domain.name)
            .ok()
            .and_then(|name| name.unicode()),
        state: domain.state(),
        record: record(domain),
        include_subdomains: domain
            .include_subdomains
            .unwrap_or(settings.sandbox.include_subdomains),
        include_subdomains_chosen: domain.include_subdomains.is_some(),
        verified_at: domain.verified_at,
        lost_at: domain.lost_at,
        last_checked_at: domain.checked_at,
        last_finding: domain.last_finding,
        failed_checks: domain.failed_checks,
        lost_after_checks: settings.domains.lost_after_checks,
        next_check_at: domain.next_check_at,
        created_at: domain.created_at,
    }
}

pub(super) fn record(domain: &Domain) -> Option<Record> {
    let token = domain.verification_token.as_ref()?;
    Some(Record {
        kind: "TXT",
        name: format!("{LABEL}{}", domain.name),
        value: format!("{PREFIX}{token}"),
    })
}

/// The first look, and those after a miss: seconds.
pub(super) fn soon(config: &config::Domains) -> i64 {
    config.recheck_seconds.min(SOON_SECONDS)
}
