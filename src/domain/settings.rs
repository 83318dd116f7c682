//! What rules read of the configuration: its sections, and the catalogue that is compiled from them. Built once.

use std::sync::Arc;

use crate::config::{
    Accounts, Catalogue, CatalogueError, Config, Domains, Identity, Invitations, Keys, OAuth,
    Registration, RoleEntry, Sandbox, ScopeEntry, Sessions, Sweep,
};

#[derive(Debug, Clone)]
pub struct Settings {
    pub catalogue: Arc<Catalogue>,
    pub accounts: Accounts,
    pub domains: Domains,
    pub identity: Identity,
    pub invitations: Invitations,
    pub keys: Keys,
    pub oauth: OAuth,
    pub registration: Registration,
    pub role: Vec<RoleEntry>,
    pub sandbox: Sandbox,
    pub scope: Vec<ScopeEntry>,
    pub sessions: Sessions,
    pub sweep: Sweep,
}

impl Settings {
    pub fn new(config: &Config) -> Result<Self, CatalogueError> {
        Ok(Self {
            catalogue: Arc::new(config.catalogue()?),
            accounts: config.accounts.clone(),
            domains: config.domains.clone(),
            identity: config.identity.clone(),
            invitations: config.invitations.clone(),
            keys: config.keys.clone(),
            oauth: config.oauth.clone(),
            registration: config.registration.clone(),
            role: config.role.clone(),
            sandbox: config.sandbox.clone(),
            scope: config.scope.clone(),
            sessions: config.sessions.clone(),
            sweep: config.sweep.clone(),
        })
    }
}
