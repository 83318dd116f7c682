//! `[access]`, `[[permission]] [[scope]] [[role]]` and the plans: the access model as data, compiled into sets.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::plans::Plan;
use super::{Config, OrganizationOperations};
use crate::types::permission::{MOST_PERMISSIONS, Permission, PermissionSet};
use crate::types::right::Right;
use crate::types::scope::{Scopes, is_scope_token};

/// How much harm a permission can do, for the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    Low,
    Medium,
    High,
}

impl Risk {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What "read-only" means: decided by this word, never by the HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessKind {
    Read,
    Write,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionEntry {
    /// `documents:send`.
    pub name: String,
    pub title: String,
    /// In plain words, for the consent page.
    pub description: String,
    pub risk: Risk,
    pub access: AccessKind,
    /// In Sandbox, the recipients must be told.
    #[serde(default)]
    pub sends: bool,
    /// Done to the organization itself.
    #[serde(default)]
    pub organization: bool,
    /// Never held by a key, and by a token only when its application is first-party.
    #[serde(default)]
    pub management: bool,
    /// Held by operator tokens only.
    #[serde(default)]
    pub operator: bool,
    /// The endpoint class that a `[[quota]]` may name; empty for none.
    #[serde(default)]
    pub class: String,
    /// How much a request takes of every quota it falls under.
    #[serde(default = "one")]
    pub cost: u64,
}

fn one() -> u64 {
    1
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeEntry {
    pub name: String,
    pub title: String,
    pub description: String,
    pub permissions: Vec<String>,
    /// Granted when a request names no scope.
    #[serde(default)]
    pub default: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleEntry {
    pub name: String,
    /// `["*"]` is all of them.
    pub permissions: Vec<String>,
}

/// Which roles organization owners and admins hold in workspaces (C3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminRoles {
    /// `admin` in every workspace, later ones included.
    #[default]
    AdminEverywhere,
    /// Their own, like everybody.
    OwnRoles,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// What organization owners and admins hold in workspaces: `admin_everywhere` or `own_roles`.
    pub organization_admins: AdminRoles,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    #[error("there are more than {MOST_PERMISSIONS} permissions")]
    TooMany,
    #[error("[[{0}]] {1:?} is there twice")]
    Twice(&'static str, String),
    #[error("[[{0}]] {1:?} names the unknown permission {2:?}")]
    UnknownPermission(&'static str, String, String),
    #[error("[[scope]] {0:?} is not a scope token")]
    WrongScope(String),
    #[error("there is no [[role]] \"admin\", which organization admins hold in every workspace")]
    NoAdminRole,
    #[error("[plans] default names the unknown [[plan]] {0:?}")]
    NoDefaultPlan(String),
}

/// Permissions, scopes and roles, ready for intersecting.
#[derive(Debug, Clone)]
pub struct Catalogue {
    permissions: Vec<PermissionEntry>,
    by_name: HashMap<String, Permission>,
    scopes: Vec<(ScopeEntry, PermissionSet)>,
    roles: HashMap<String, PermissionSet>,
    role_names: Vec<String>,
    read: PermissionSet,
    organization: PermissionSet,
    management: PermissionSet,
    operator: PermissionSet,
    sends: PermissionSet,
    plans: Vec<Plan>,
    default_plan: usize,
    no_plan: Plan,
    /// What unlocks more, in the vendor's words.
    pub contact: String,
    pub admin_roles: AdminRoles,
    pub operations: OrganizationOperations,
}

/// The role that organization owners and admins hold in every workspace.
pub const ADMIN_ROLE: &str = "admin";

impl Catalogue {
    pub(super) fn new(config: &Config) -> Result<Self, CatalogueError> {
        let (permissions, scopes, roles) = (&config.permission, &config.scope, &config.role);
        if permissions.len() > MOST_PERMISSIONS {
            return Err(CatalogueError::TooMany);
        }
        let mut by_name = HashMap::new();
        for (index, entry) in (0u8..).zip(permissions) {
            if by_name
                .insert(entry.name.clone(), Permission(index))
                .is_some()
            {
                return Err(CatalogueError::Twice("permission", entry.name.clone()));
            }
        }
        let having = |wanted: fn(&PermissionEntry) -> bool| -> PermissionSet {
            permissions
                .iter()
                .filter(|entry| wanted(entry))
                .map(|entry| by_name[&entry.name])
                .collect()
        };
        let (read, organization, sends) = (
            having(|entry| entry.access == AccessKind::Read),
            having(|entry| entry.organization),
            having(|entry| entry.sends),
        );
        let (management, operator) = (
            having(|entry| entry.management),
            having(|entry| entry.operator),
        );
        let all = having(|_| true) & !operator;
        let scopes = compile_scopes(scopes, &by_name, all & !management)?;
        let role_names = roles.iter().map(|role| role.name.clone()).collect();
        let roles = compile_roles(roles, &by_name, all)?;
        let plans = compile_plans(config, &by_name, all)?;
        let default = &config.plans.default;
        let default_plan = plans
            .iter()
            .position(|plan| plan.entry.name == *default)
            .ok_or_else(|| CatalogueError::NoDefaultPlan(default.clone()))?;
        Ok(Self {
            permissions: permissions.clone(),
            by_name,
            scopes,
            roles,
            role_names,
            read,
            organization,
            management,
            operator,
            sends,
            plans,
            default_plan,
            no_plan: Plan::unknown(),
            contact: config.plans.contact.clone(),
            admin_roles: config.access.organization_admins,
            operations: config.keys.organization_operations,
        })
    }

    pub fn permission(&self, name: &str) -> Option<Permission> {
        self.by_name.get(name).copied()
    }

    /// The permission that the product asks for; none, and so held by nobody, when it is not configured.
    pub fn right(&self, right: Right) -> PermissionSet {
        self.permission(right.name())
            .map_or(PermissionSet::NONE, PermissionSet::of)
    }

    pub fn entry(&self, permission: Permission) -> &PermissionEntry {
        &self.permissions[usize::from(permission.0)]
    }

    /// The names of a set, in the catalogue's order.
    pub fn names(&self, set: PermissionSet) -> Vec<&str> {
        set.iter()
            .take_while(|permission| usize::from(permission.0) < self.permissions.len())
            .map(|permission| self.entry(permission).name.as_str())
            .collect()
    }

    /// Every permission that a role may hold: all but the operator's.
    pub fn all(&self) -> PermissionSet {
        self.by_name.values().copied().collect::<PermissionSet>() & !self.operator
    }

    /// Those that a read-only licence or key holds at most.
    pub fn read_only(&self) -> PermissionSet {
        self.read
    }

    /// Those done to the organization itself.
    pub fn organization(&self) -> PermissionSet {
        self.organization
    }

    /// Those over settings, keys and people: no key holds them, and of tokens only a first-party application's.
    pub fn management(&self) -> PermissionSet {
        self.management
    }

    /// Those across organizations: only operator tokens hold them.
    pub fn operator(&self) -> PermissionSet {
        self.operator
    }

    /// Those that send something to recipients.
    pub fn sends(&self) -> PermissionSet {
        self.sends
    }

    /// A role that is not configured any more grants nothing.
    pub fn role(&self, name: &str) -> PermissionSet {
        self.roles.get(name).copied().unwrap_or(PermissionSet::NONE)
    }

    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.role_names.iter().map(String::as_str)
    }

    /// The plan with this name; without one, the default. A plan that is not configured any more allows nothing.
    pub fn plan(&self, name: Option<&str>) -> &Plan {
        match name {
            None => &self.plans[self.default_plan],
            Some(name) => self
                .plans
                .iter()
                .find(|plan| plan.entry.name == name)
                .unwrap_or(&self.no_plan),
        }
    }

    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter()
    }

    /// The permissions that a custom role names.
    pub fn of_names<'n>(&self, names: impl Iterator<Item = &'n str>) -> PermissionSet {
        names.filter_map(|name| self.permission(name)).collect()
    }

    /// The role with the fewest permissions: the careful choice.
    pub fn least_role(&self) -> &str {
        self.roles()
            .min_by_key(|role| self.names(self.role(role)).len())
            .unwrap_or_default()
    }

    /// A scope that is not configured any more grants nothing.
    pub fn granted_by(&self, scopes: &Scopes) -> PermissionSet {
        self.scopes
            .iter()
            .filter(|(entry, _)| scopes.contains(&entry.name))
            .fold(PermissionSet::NONE, |set, (_, granted)| set | *granted)
    }

    pub fn scopes(&self) -> impl Iterator<Item = &ScopeEntry> {
        self.scopes.iter().map(|(entry, _)| entry)
    }

    pub fn scope(&self, name: &str) -> Option<&ScopeEntry> {
        self.scopes().find(|entry| entry.name == name)
    }

    /// Whether only first-party applications may have this scope.
    pub fn is_management(&self, scope: &str) -> bool {
        let above = self.management | self.operator;
        self.scopes
            .iter()
            .any(|(entry, granted)| entry.name == scope && !(*granted & above).is_empty())
    }

    /// Those of `scopes` that an application may have.
    pub fn open_to(&self, scopes: &Scopes, first_party: bool) -> Scopes {
        scopes
            .iter()
            .filter(|name| first_party || !self.is_management(name))
            .collect()
    }

    /// The scopes that every application may ask for.
    pub fn public_scopes(&self) -> impl Iterator<Item = &ScopeEntry> {
        self.scopes()
            .filter(|scope| !self.is_management(&scope.name))
    }

    /// The harm a scope can do: that of its worst permission.
    pub fn risk(&self, scope: &ScopeEntry) -> Risk {
        let risks = scope
            .permissions
            .iter()
            .filter_map(|name| self.permission(name))
            .map(|permission| self.entry(permission).risk);
        risks.max().unwrap_or(Risk::Low)
    }
}

/// `all`: what `["*"]` means.
fn compile(
    kind: &'static str,
    owner: &str,
    names: &[String],
    by_name: &HashMap<String, Permission>,
    all: PermissionSet,
) -> Result<PermissionSet, CatalogueError> {
    if names == ["*"] {
        return Ok(all);
    }
    let unknown =
        |name: &String| CatalogueError::UnknownPermission(kind, owner.to_owned(), name.clone());
    names
        .iter()
        .map(|name| by_name.get(name).copied().ok_or_else(|| unknown(name)))
        .collect()
}

fn compile_scopes(
    scopes: &[ScopeEntry],
    by_name: &HashMap<String, Permission>,
    all: PermissionSet,
) -> Result<Vec<(ScopeEntry, PermissionSet)>, CatalogueError> {
    let mut compiled: Vec<(ScopeEntry, PermissionSet)> = Vec::new();
    for scope in scopes {
        if !is_scope_token(&scope.name) {
            return Err(CatalogueError::WrongScope(scope.name.clone()));
        }
        if compiled.iter().any(|(other, _)| other.name == scope.name) {
            return Err(CatalogueError::Twice("scope", scope.name.clone()));
        }
        compiled.push((
            scope.clone(),
            compile("scope", &scope.name, &scope.permissions, by_name, all)?,
        ));
    }
    Ok(compiled)
}

fn compile_plans(
    config: &Config,
    by_name: &HashMap<String, Permission>,
    all: PermissionSet,
) -> Result<Vec<Plan>, CatalogueError> {
    let mut compiled: Vec<Plan> = Vec::new();
    for entry in &config.plan {
        if compiled.iter().any(|other| other.entry.name == entry.name) {
            return Err(CatalogueError::Twice("plan", entry.name.clone()));
        }
        let permissions = compile("plan", &entry.name, &entry.permissions, by_name, all)? & all;
        compiled.push(Plan {
            entry: entry.clone(),
            permissions,
        });
    }
    Ok(compiled)
}

fn compile_roles(
    roles: &[RoleEntry],
    by_name: &HashMap<String, Permission>,
    all: PermissionSet,
) -> Result<HashMap<String, PermissionSet>, CatalogueError> {
    let mut compiled = HashMap::new();
    for role in roles {
        // whatever it names, a role is held in an organization
        let set = compile("role", &role.name, &role.permissions, by_name, all)? & all;
        if compiled.insert(role.name.clone(), set).is_some() {
            return Err(CatalogueError::Twice("role", role.name.clone()));
        }
    }
    if compiled.contains_key(ADMIN_ROLE) {
        Ok(compiled)
    } else {
        Err(CatalogueError::NoAdminRole)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn the_least_role_is_the_weakest() {
        let config = Config::load(None, std::iter::empty()).expect("the defaults");
        assert_eq!(
            config.catalogue().expect("the defaults").least_role(),
            "viewer"
        );
    }
}
