//! `[plans]` and `[[plan]]`: what the vendor sells, as data.

use serde::{Deserialize, Serialize};

use crate::types::environment::Environment;
use crate::types::permission::PermissionSet;

/// Whether the Dev Centre comes with the plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevCentre {
    /// Keys and applications are there at once.
    #[default]
    Included,
    /// An organization admin switches it on first.
    Switch,
    /// Not on this plan.
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanEntry {
    pub name: String,
    /// For people: `Enterprise`.
    pub title: String,
    #[serde(default)]
    pub dev_centre: DevCentre,
    /// Where credentials work on this plan.
    pub environments: Vec<Environment>,
    /// Production needs the vendor's approval, too.
    #[serde(default = "yes")]
    pub production_approval: bool,
    /// What credentials and people may do on this plan; `["*"]` is everything.
    #[serde(default = "everything")]
    pub permissions: Vec<String>,
    /// How long Sandbox is open from the first key on; 0 for as long as the plan lasts. Once per organization, ever.
    #[serde(default)]
    pub trial_seconds: i64,
    /// Members with a full licence; none for no bound.
    #[serde(default)]
    pub full_seats: Option<i64>,
    /// Members with a read-only licence; none for no bound.
    #[serde(default)]
    pub read_only_seats: Option<i64>,
    /// Keys that are neither revoked nor expired; none for `keys.max_active_per_organization`.
    #[serde(default)]
    pub max_active_keys: Option<i64>,
    #[serde(default)]
    pub max_workspaces: Option<i64>,
}

fn yes() -> bool {
    true
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plans {
    /// The plan of an organization without a subscription.
    pub default: String,
    /// What unlocks more, in words for the person who meets the lock.
    pub contact: String,
}

impl Default for Plans {
    fn default() -> Self {
        Self {
            default: "enterprise".to_owned(),
            contact: "Contact sales.".to_owned(),
        }
    }
}

/// A plan, ready for intersecting.
#[derive(Debug, Clone)]
pub struct Plan {
    pub entry: PlanEntry,
    pub permissions: PermissionSet,
}

impl Plan {
    /// The plan that is not configured any more: it allows nothing.
    pub(super) fn unknown() -> Self {
        let entry = PlanEntry {
            name: String::new(),
            title: "Unknown".to_owned(),
            dev_centre: DevCentre::None,
            environments: Vec::new(),
            production_approval: true,
            permissions: Vec::new(),
            trial_seconds: 0,
            full_seats: Some(0),
            read_only_seats: Some(0),
            max_active_keys: Some(0),
            max_workspaces: Some(0),
        };
        Self {
            entry,
            permissions: PermissionSet::NONE,
        }
    }

    pub fn has(&self, environment: Environment) -> bool {
        self.entry.environments.contains(&environment)
    }
}
