//! Why this process is to get no requests now: one reason for each part that is not well, told by `/readyz`. And what an
//! operator should look at although requests are welcome: warnings.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What can be unwell by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It does not answer, or its lock is lost.
    Database,
    /// It answers, and takes no writes.
    Writes,
    /// The clock has leapt. A warning: nodes that were paused together leap together, and mostly to the right time.
    Clock,
}

type Told = Mutex<BTreeMap<Part, String>>;

#[derive(Debug, Default)]
pub struct Readiness {
    reasons: Told,
    warnings: Told,
}

impl Readiness {
    /// What is wrong with the part, in words for an operator; `None`: it is well. Says whether that is news.
    pub fn set(&self, part: Part, reason: Option<String>) -> bool {
        note(&self.reasons, part, reason)
    }

    /// The same for what does not keep requests away.
    pub fn warn(&self, part: Part, warning: Option<String>) -> bool {
        note(&self.warnings, part, warning)
    }

    /// Empty: requests are welcome.
    pub fn reasons(&self) -> Vec<String> {
        list(&self.reasons)
    }

    pub fn warnings(&self) -> Vec<String> {
        list(&self.warnings)
    }
}

fn note(told: &Told, part: Part, words: Option<String>) -> bool {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let was_well = !told.contains_key(&part);
    let is_well = words.is_none();
    match words {
        Some(words) => drop(told.insert(part, words)),
        None => drop(told.remove(&part)),
    }
    was_well != is_well
}

fn list(told: &Told) -> Vec<String> {
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.values().cloned().collect()
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
        assert!(readiness.warn(Part::Clock, reason("ahead")));
        assert_eq!(
            (readiness.reasons(), readiness.warnings()),
            (vec!["leapt".to_owned()], vec!["ahead".to_owned()])
        );
    }
}
