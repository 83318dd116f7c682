//! Proof of domains, and the checks that repeat it.

pub mod domain_checks;
pub mod domains;
