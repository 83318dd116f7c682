//! Why this process is to get no requests now: one reason for each part that is not well, told by `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What can be unwell by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It does not answer, or its lock is lost.
    Database,
    /// It answers, and takes no writes.
    Writes,
    /// The clock has leapt.
    Clock,
}

#[derive(Debug, Default)]
pub struct Readiness {
    reasons: Mutex<BTreeMap<Part, String>>,
}

impl Readiness {
    /// What is wrong with the part, in words for an operator; `None`: it is well. Says whether that is news.
    pub fn set(&self, part: Part, reason: Option<String>) -> bool {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let was_well = !reasons.contains_key(&part);
        let is_well = reason.is_none();
        match reason {
            Some(reason) => drop(reasons.insert(part, reason)),
            None => drop(reasons.remove(&part)),
        }
        was_well != is_well
    }

    /// Empty: requests are welcome.
    pub fn reasons(&self) -> Vec<String> {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_own_reason_until_it_is_well() {
        let readiness = Readiness::default();
        let reason = |text: &str| Some(text.to_owned());
        assert!(readiness.set(Part::Clock, reason("leapt")));
        assert!(readiness.set(Part::Database, reason("away")));
        assert!(
            !readiness.set(Part::Database, reason("still away")),
            "no news"
        );
        assert_eq!(readiness.reasons(), ["still away", "leapt"]);
        assert!(readiness.set(Part::Database, None));
        assert_eq!(readiness.reasons(), ["leapt"]);
    }
}
