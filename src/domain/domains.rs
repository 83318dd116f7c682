//! Domains that an organization proves to be its own, by a TXT record with a random token.
//!
//! Invariants:
//!
//! - Who proves a domain first has it; nobody else does before it is removed there, or lost.
//! - Only a definite answer changes anything. A verified domain is lost when `[domains] lost_after_checks` *scheduled* look-ups
//!   in a row definitely did not find its record; a look-up without an answer, or one by hand, never counts against it.
//! - A domain says nothing of those above it, and of those below only by its own switch.

use serde::Serialize;

use crate::config::{self, Config};
use crate::domain::{Refusal, ensure};
use crate::outbound::dns::{Answer, Unanswered};
use crate::store::domains::{Checked, Domain};
use crate::store::organizations::Organization;
use crate::store::{self, Snapshot, Tx, Verdict};
use crate::types::email::{self, Mailbox};
use crate::types::id::{DomainId, OrganizationId, UserId};
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
/// A domain is looked up at most once in so many seconds, whoever asks.
const THROTTLE_SECONDS: i64 = 10;
/// How soon is looked again for what is not proven yet, and when nobody answered.
const SOON_SECONDS: i64 = 60 * 60;
/// For how long is looked for what was never proven, and for what was lost. Afterwards only when somebody asks.
const PENDING_SECONDS: i64 = 7 * 24 * 60 * 60;
const LOST_SECONDS: i64 = 30 * 24 * 60 * 60;

const TAKEN: &str = "The record is there, but another organization has proven this domain before. It can be yours when it is removed \
                     there, or when that organization's own record has been gone for some days.";

/// What an admin asks for.
#[derive(Debug, Clone)]
pub struct NewDomain {
    /// As people write it.
    pub name: String,
    /// None: as the installation says.
    pub include_subdomains: Option<bool>,
}

/// A domain as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: String,
    pub value: String,
}

/// A look-up that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub organization: OrganizationId,
    pub domain: DomainId,
    pub record_name: String,
    value: String,
    begun_at: Timestamp,
    /// None: it was due.
    asked_by: Option<UserId>,
}

/// Who sees and changes domains: for now the organization's admins.
fn ensure_may(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId) -> Result<(), Refusal> {
    let member = snapshot.find_member(organization, user)?.ok_or(Refusal::NotFound)?;
    ensure(member.role.is_admin(), Refusal::Forbidden("Only owners and admins of the organization can see and manage its domains."))
}

/// The newest first, at most `most`, from behind `after` on.
pub fn list(
    snapshot: &mut Snapshot, config: &Config, organization: OrganizationId, user: UserId, after: Option<(Timestamp, DomainId)>, most: i64,
) -> Result<Vec<Shown>, Refusal> {
    ensure_may(snapshot, organization, user)?;
    Ok(snapshot.list_domains(organization, after, most)?.iter().map(|domain| show(config, domain)).collect())
}

pub fn get(snapshot: &mut Snapshot, config: &Config, organization: OrganizationId, user: UserId, id: DomainId) -> Result<Shown, Refusal> {
    Ok(show(config, &find(snapshot, organization, user, id)?))
}

/// Claims a domain: it counts when its record is found. Runs behind the organization's lock: the cap is counted.
pub fn add(tx: &mut Tx, config: &Config, organization: &Organization, user: UserId, new: &NewDomain) -> Result<Shown, Refusal> {
    ensure_may(tx, organization.id, user)?;
    ensure(organization.state == OrganizationState::Active, Refusal::Blocked(super::plans::SUSPENDED.to_owned()))?;
    let name = parse_name(&new.name).map_err(|message| Refusal::Invalid(vec![("name", message)]))?;
    let known = Refusal::Invalid(vec![("name", "This domain is on the organization's list already.".to_owned())]);
    ensure(tx.find_domain_by_name(organization.id, name.as_str())?.is_none(), known)?;
    let most = config.domains.max_per_organization;
    let full = format!("This organization has reached its limit of {most} domains. Remove one that is not needed any more.");
    ensure(tx.count_domains(organization.id)? < most, Refusal::Blocked(full))?;
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
        next_check_at: Some(tx.now.plus_seconds(soon(&config.domains))),
    };
    tx.insert_domain(&domain)?;
    tx.record(Some(organization.id), Some(user), "domain.added", domain.id.as_str(), &domain.name)?;
    Ok(show(config, &domain))
}

/// None: as the installation says.
pub fn choose_subdomains(
    tx: &mut Tx, config: &Config, organization: OrganizationId, user: UserId, id: DomainId, include: Option<bool>,
) -> Result<Shown, Refusal> {
    let domain = find(tx, organization, user, id)?;
    if domain.include_subdomains != include {
        tx.change_domain_subdomains(organization, id, include)?;
        let detail = match include {
            Some(true) => "included",
            Some(false) => "excluded",
            None => "as the installation says",
        };
        tx.record(Some(organization), Some(user), "domain.subdomains_chosen", id.as_str(), detail)?;
    }
    Ok(show(config, &Domain { include_subdomains: include, ..domain }))
}

/// The domain counts no more, from the next decision on. Runs behind the organization's lock.
pub fn remove(tx: &mut Tx, organization: OrganizationId, user: UserId, id: DomainId) -> Result<(), Refusal> {
    let domain = find(tx, organization, user, id)?;
    let needed = tx.find_identity_provider_of(organization)?.is_some_and(|provider| provider.enforced);
    let last = domain.verified_at.is_some() && tx.list_verified_domains(organization)?.len() == 1;
    // nobody new could come in
    let reason = "Single sign-on is required here, and recognizes people by this domain. Stop requiring it first.";
    ensure(!needed || !last, Refusal::Blocked(reason.to_owned()))?;
    tx.delete_domain(organization, id)?;
    Ok(tx.record(Some(organization), Some(user), "domain.removed", id.as_str(), &domain.name)?)
}

/// Somebody wants to know now.
pub fn begin_check(tx: &mut Tx, organization: OrganizationId, user: UserId, id: DomainId) -> Result<Question, Refusal> {
    let domain = find(tx, organization, user, id)?;
    let vouched = "Whoever runs this service vouches for this domain: there is no record to look for.";
    ensure(domain.verification_token.is_some(), Refusal::Blocked(vouched.to_owned()))?;
    let early = format!("This domain was looked up a moment ago. Ask again in {THROTTLE_SECONDS} seconds.");
    begin(tx, domain, Some(user))?.ok_or(Refusal::Blocked(early))
}

/// The look-up was due. None: it is not there any more, or was looked up a moment ago.
pub fn begin_recheck(tx: &mut Tx, organization: OrganizationId, id: DomainId) -> Result<Option<Question>, Refusal> {
    match tx.find_domain(organization, id)? {
        Some(domain) if domain.next_check_at.is_some_and(|at| at <= tx.now) => Ok(begin(tx, domain, None)?),
        _ => Ok(None),
    }
}

fn begin(tx: &mut Tx, domain: Domain, asked_by: Option<UserId>) -> Result<Option<Question>, store::Error> {
    let (organization, Some(record)) = (domain.organization_id, record(&domain)) else { return Ok(None) };
    let begun = tx.begin_domain_check(organization, domain.id, tx.now.plus_seconds(-THROTTLE_SECONDS))?;
    let question = Question { organization, domain: domain.id, record_name: record.name, value: record.value, begun_at: tx.now, asked_by };
    Ok(begun.then_some(question))
}

/// What follows from the answer. Runs behind the organization's lock. `Constraint`: another organization has proven the domain
/// in the same moment; asked again, it is seen.
pub fn conclude(
    tx: &mut Tx, config: &config::Domains, question: &Question, answer: &Result<Answer, Unanswered>,
) -> Result<Verdict<Domain, Refusal>, Refusal> {
    let (organization, id) = (question.organization, question.domain);
    let domain = tx.find_domain(organization, id)?.ok_or(Refusal::NotFound)?;
    if domain.checked_at != Some(question.begun_at) {
        return Ok(Verdict::Done(domain)); // a later look-up has begun: its answer counts
    }
    let mut finding = read(answer, &question.value);
    let is_verified = domain.verified_at.is_some();
    if finding == DomainFinding::Found && !is_verified {
        finding = prove(tx, &domain, question.asked_by)?;
    }
    let failed_checks = match finding {
        DomainFinding::Found => 0,
        DomainFinding::Absent | DomainFinding::Different if is_verified && question.asked_by.is_none() => domain.failed_checks.saturating_add(1),
        _ => domain.failed_checks,
    };
    let is_lost = is_verified && finding != DomainFinding::Found && failed_checks >= config.lost_after_checks;
    if is_lost {
        tx.lose_domain(organization, id)?;
        tx.record(Some(organization), None, "domain.lost", id.as_str(), &domain.name)?;
    }
    if let (Some(user), false) = (question.asked_by, finding == DomainFinding::Found && !is_verified) {
        tx.record(Some(organization), Some(user), "domain.checked", id.as_str(), finding.as_str())?;
    }
    let after = tx.find_domain(organization, id)?.ok_or(Refusal::NotFound)?;
    // who asks by hand and finds nothing does not put off what is due
    let next_check_at = match question.asked_by {
        Some(_) if finding != DomainFinding::Found => after.next_check_at,
        _ => next_check(config, &after, finding, tx.now),
    };
    tx.record_domain_check(organization, id, Checked { finding, failed_checks, next_check_at })?;
    let after = Domain { last_finding: Some(finding), failed_checks, next_check_at, ..after };
    Ok(if finding == DomainFinding::Taken { Verdict::Refused(Refusal::Blocked(TAKEN.to_owned())) } else { Verdict::Done(after) })
}

/// The record is there: the domain is the organization's, unless another one was first.
fn prove(tx: &mut Tx, domain: &Domain, asked_by: Option<UserId>) -> Result<DomainFinding, store::Error> {
    if !tx.find_verified_domains(&[&domain.name])?.is_empty() {
        return Ok(DomainFinding::Taken);
    }
    tx.verify_domain(domain.organization_id, domain.id)?;
    tx.record(Some(domain.organization_id), asked_by, "domain.verified", domain.id.as_str(), &domain.name)?;
    Ok(DomainFinding::Found)
}

/// Forms at name servers put quotes and blanks around what people paste: these count for nothing.
fn read(answer: &Result<Answer, Unanswered>, value: &str) -> DomainFinding {
    let is_value = |text: &String| text.trim_matches(|c: char| c == '"' || c.is_ascii_whitespace()) == value;
    match answer {
        Err(_) => DomainFinding::Unanswered,
        Ok(Answer::Absent) => DomainFinding::Absent,
        Ok(Answer::Texts(texts)) if texts.iter().any(is_value) => DomainFinding::Found,
        Ok(Answer::Texts(_)) => DomainFinding::Different,
    }
}

fn next_check(config: &config::Domains, domain: &Domain, finding: DomainFinding, now: Timestamp) -> Option<Timestamp> {
    let is_unanswered = finding == DomainFinding::Unanswered;
    let in_seconds = match (domain.state(), domain.lost_at) {
        (DomainState::Verified, _) if !is_unanswered => config.recheck_seconds,
        (DomainState::Verified, _) => soon(config),
        (DomainState::Lost, Some(at)) if now < at.plus_seconds(LOST_SECONDS) => config.recheck_seconds,
        (DomainState::Pending, _) if now < domain.created_at.plus_seconds(PENDING_SECONDS) => soon(config),
        _ => return None,
    };
    Some(now.plus_seconds(in_seconds))
}

fn soon(config: &config::Domains) -> i64 {
    config.recheck_seconds.min(SOON_SECONDS)
}

/// The organization to which people with this address belong, for joining: it has proven the domain, or one above that says so
/// itself (what the installation says of Sandbox recipients does not count here). The nearest proven domain decides.
pub fn find_verified_owner(snapshot: &mut Snapshot, address: &Mailbox) -> Result<Option<OrganizationId>, store::Error> {
    let domain = address.domain();
    if domain.is_free_mail() || domain.is_public_suffix() {
        return Ok(None);
    }
    let lineage: Vec<&str> = domain.lineage().collect();
    let verified = snapshot.find_verified_domains(&lineage)?;
    let nearest = verified.iter().max_by_key(|found| found.name.len());
    Ok(nearest.filter(|found| found.name == domain.as_str() || found.include_subdomains == Some(true)).map(|found| found.organization_id))
}

/// A name that an organization can prove; otherwise what is wrong with it, in a sentence that repeats nothing of it.
fn parse_name(text: &str) -> Result<email::Domain, String> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let name = email::Domain::parse(text).map_err(|error| sentence(&error.to_string()))?;
    let look_alike = "The domain mixes scripts, or looks like another name. If it is the one you mean, write it in its xn-- form.";
    ensure(text.is_ascii() || !name.is_look_alike(), look_alike)?;
    ensure(!name.is_free_mail(), "Anybody can have a mailbox there: no organization can prove this domain.")?;
    ensure(!name.is_public_suffix(), "Anybody can register names below this domain (it is a public suffix): no organization can prove it.")?;
    ensure(LABEL.len() + name.as_str().len() <= MOST_NAME_BYTES, "The domain is too long for a record below it.")?;
    Ok(name)
}

fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_ascii_uppercase(), letters.as_str()))
}

fn find(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId, id: DomainId) -> Result<Domain, Refusal> {
    ensure_may(snapshot, organization, user)?;
    snapshot.find_domain(organization, id)?.ok_or(Refusal::NotFound)
}

pub fn show(config: &Config, domain: &Domain) -> Shown {
    Shown {
        id: domain.id,
        name: domain.name.clone(),
        unicode_name: email::Domain::parse(&domain.name).ok().and_then(|name| name.unicode()),
        state: domain.state(),
        record: record(domain),
        include_subdomains: domain.include_subdomains.unwrap_or(config.sandbox.include_subdomains),
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

fn record(domain: &Domain) -> Option<Record> {
    let token = domain.verification_token.as_ref()?;
    Some(Record { kind: "TXT", name: format!("{LABEL}{}", domain.name), value: format!("{PREFIX}{token}") })
}
