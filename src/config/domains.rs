//! `[domains]`: how organizations prove that a domain is their own.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domains {
    /// Recursive name servers with their ports. Empty: those of the system.
    pub nameservers: Vec<SocketAddr>,
    /// Seconds until a look-up counts as unanswered.
    pub timeout_seconds: u64,
    /// Seconds between two scheduled look-ups of a domain.
    pub recheck_seconds: i64,
    /// Scheduled look-ups in a row that definitely do not find the record, until the domain is lost.
    pub lost_after_checks: i64,
    /// Domains of one organization, verified or not.
    pub max_per_organization: i64,
}

impl Default for Domains {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            timeout_seconds: 5,
            recheck_seconds: 24 * 60 * 60,
            lost_after_checks: 3,
            max_per_organization: 50,
        }
    }
}

impl Domains {
    /// The first rule that is broken: the field and what it must be.
    pub(super) fn check(&self) -> Option<(&'static str, &'static str)> {
        let rules = [
            (
                "domains.nameservers",
                self.nameservers.len() <= 8,
                "must be at most 8",
            ),
            (
                "domains.timeout_seconds",
                (1..=30).contains(&self.timeout_seconds),
                "must be 1 to 30",
            ),
            (
                "domains.recheck_seconds",
                (60..=30 * 24 * 60 * 60).contains(&self.recheck_seconds),
                "must be 60 to 2592000 (30 days)",
            ),
            (
                "domains.lost_after_checks",
                (2..=100).contains(&self.lost_after_checks),
                "must be 2 to 100: one answer may be a mistake",
            ),
            (
                "domains.max_per_organization",
                (1..=1000).contains(&self.max_per_organization),
                "must be 1 to 1000",
            ),
        ];
        rules
            .into_iter()
            .find(|(_, holds, _)| !holds)
            .map(|(key, _, rule)| (key, rule))
    }
}
