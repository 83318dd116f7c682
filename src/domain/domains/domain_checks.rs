//! Looking for the records of domains: what an answer of the name server changes.
//!
//! Invariant: only a definite answer changes anything. A verified domain is lost when `[domains] lost_after_checks` *scheduled*
//! look-ups in a row definitely did not find its record; one without an answer, or by hand, never counts against it.

use crate::config;
use crate::domain::desk::Desk;
use crate::domain::domains::domains;
use crate::domain::{Refusal, ensure};
use crate::outbound::dns::{Answer, Unanswered};
use crate::store::domains::{Checked, Domain};
use crate::store::{self, Tx, Verdict};
use crate::types::event::Event;
use crate::types::id::{DomainId, OrganizationId, UserId};
use crate::types::state::{DomainFinding, DomainState};
use crate::types::time::Timestamp;

/// A domain is looked up at most once in so many seconds, whoever asks.
const THROTTLE_SECONDS: i64 = 10;
/// For how long is looked for what was never proven, and for what was lost. Afterwards only when somebody asks.
const PENDING_SECONDS: i64 = 7 * 24 * 60 * 60;
const LOST_SECONDS: i64 = 30 * 24 * 60 * 60;

const TAKEN: &str = "The record is there, but another organization has proven this domain before. It can be yours when it is removed \
                     there, or when that organization's own record has been gone for some days.";

/// A look-up that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainCheck {
    pub organization: OrganizationId,
    pub domain: DomainId,
    pub record_name: String,
    value: String,
    begun_at: Timestamp,
    /// None: it was due.
    asked_by: Option<UserId>,
}

/// Somebody wants to know now.
pub fn begin_check(desk: &mut Desk, id: DomainId) -> Result<DomainCheck, Refusal> {
    let domain = domains::find_to_manage(desk, id)?;
    let vouched =
        "Whoever runs this service vouches for this domain: there is no record to look for.";
    ensure(
        domain.verification_token.is_some(),
        Refusal::Blocked(vouched.to_owned()),
    )?;
    let early =
        format!("This domain was looked up a moment ago. Ask again in {THROTTLE_SECONDS} seconds.");
    begin(desk.tx, domain, Some(desk.asker.user))?.ok_or(Refusal::Blocked(early))
}

/// The look-up was due. None: it is not there any more, or was looked up a moment ago.
pub fn begin_recheck(
    tx: &mut Tx,
    organization: OrganizationId,
    id: DomainId,
) -> Result<Option<DomainCheck>, Refusal> {
    match tx.find_domain(organization, id)? {
        Some(domain) if domain.next_check_at.is_some_and(|at| at <= tx.now) => {
            Ok(begin(tx, domain, None)?)
        }
        _ => Ok(None),
    }
}

fn begin(
    tx: &mut Tx,
    domain: Domain,
    asked_by: Option<UserId>,
) -> Result<Option<DomainCheck>, store::Error> {
    let (organization, Some(record)) = (domain.organization_id, domains::record(&domain)) else {
        return Ok(None);
    };
    let begun = tx.begin_domain_check(
        organization,
        domain.id,
        tx.now.plus_seconds(-THROTTLE_SECONDS),
    )?;
    let check = DomainCheck {
        organization,
        domain: domain.id,
        record_name: record.name,
        value: record.value,
        begun_at: tx.now,
        asked_by,
    };
    Ok(begun.then_some(check))
}

/// What follows from the answer. Runs behind the organization's lock. `Constraint`: another organization has proven the domain
/// in the same moment; asked again, it is seen.
pub fn conclude(
    tx: &mut Tx,
    config: &config::Domains,
    check: &DomainCheck,
    answer: &Result<Answer, Unanswered>,
) -> Result<Verdict<Domain, Refusal>, Refusal> {
    let (organization, id) = (check.organization, check.domain);
    let domain = tx.find_domain(organization, id)?.ok_or(Refusal::NotFound)?;
    if domain.checked_at != Some(check.begun_at) {
        return Ok(Verdict::Done(domain)); // a later look-up has begun: its answer counts
    }
    let mut finding = read(answer, &check.value);
    let is_verified = domain.verified_at.is_some();
    if finding == DomainFinding::Found && !is_verified {
        finding = prove(tx, &domain, check.asked_by)?;
    }
    let failed_checks = match finding {
        DomainFinding::Found => 0,
        DomainFinding::Absent | DomainFinding::Different
            if is_verified && check.asked_by.is_none() =>
        {
            domain.failed_checks.saturating_add(1)
        }
        _ => domain.failed_checks,
    };
    let is_lost =
        is_verified && finding != DomainFinding::Found && failed_checks >= config.lost_after_checks;
    if is_lost {
        tx.lose_domain(organization, id)?;
        tx.record(
            Some(organization),
            None,
            Event::DomainLost,
            id.as_str(),
            &domain.name,
        )?;
    }
    if let (Some(user), false) = (
        check.asked_by,
        finding == DomainFinding::Found && !is_verified,
    ) {
        tx.record(
            Some(organization),
            Some(user),
            Event::DomainChecked,
            id.as_str(),
            finding.as_str(),
        )?;
    }
    let after = tx.find_domain(organization, id)?.ok_or(Refusal::NotFound)?;
    // who asks by hand and finds nothing does not put off what is due
    let next_check_at = match check.asked_by {
        Some(_) if finding != DomainFinding::Found => after.next_check_at,
        _ => next_check(config, &after, finding, tx.now),
    };
    tx.record_domain_check(
        organization,
        id,
        Checked {
            finding,
            failed_checks,
            next_check_at,
        },
    )?;
    let after = Domain {
        last_finding: Some(finding),
        failed_checks,
        next_check_at,
        ..after
    };
    Ok(if finding == DomainFinding::Taken {
        Verdict::Refused(Refusal::Blocked(TAKEN.to_owned()))
    } else {
        Verdict::Done(after)
    })
}

/// The record is there: the domain is the organization's, unless another one was first.
fn prove(
    tx: &mut Tx,
    domain: &Domain,
    asked_by: Option<UserId>,
) -> Result<DomainFinding, store::Error> {
    if !tx.find_verified_domains(&[&domain.name])?.is_empty() {
        return Ok(DomainFinding::Taken);
    }
    tx.verify_domain(domain.organization_id, domain.id)?;
    tx.record(
        Some(domain.organization_id),
        asked_by,
        Event::DomainVerified,
        domain.id.as_str(),
        &domain.name,
    )?;
    Ok(DomainFinding::Found)
}

/// Forms at name servers put quotes and blanks around what people paste: these count for nothing.
fn read(answer: &Result<Answer, Unanswered>, value: &str) -> DomainFinding {
    let is_value =
        |text: &String| text.trim_matches(|c: char| c == '"' || c.is_ascii_whitespace()) == value;
    match answer {
        Err(_) => DomainFinding::Unanswered,
        Ok(Answer::Absent) => DomainFinding::Absent,
        Ok(Answer::Texts(texts)) if texts.iter().any(is_value) => DomainFinding::Found,
        Ok(Answer::Texts(_)) => DomainFinding::Different,
    }
}

fn next_check(
    config: &config::Domains,
    domain: &Domain,
    finding: DomainFinding,
    now: Timestamp,
) -> Option<Timestamp> {
    let is_unanswered = finding == DomainFinding::Unanswered;
    let in_seconds = match (domain.state(), domain.lost_at) {
        (DomainState::Verified, _) if !is_unanswered => config.recheck_seconds,
        (DomainState::Verified, _) => domains::soon(config),
        (DomainState::Lost, Some(at)) if now < at.plus_seconds(LOST_SECONDS) => {
            config.recheck_seconds
        }
        (DomainState::Pending, _) if now < domain.created_at.plus_seconds(PENDING_SECONDS) => {
            domains::soon(config)
        }
        _ => return None,
    };
    Some(now.plus_seconds(in_seconds))
}
