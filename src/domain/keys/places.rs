//! Who reaches which key: by the rights that roles give now (rows 2, 3, 18; C2).

use crate::domain::desk::View;
use crate::domain::rights::key_rights;
use crate::domain::rights::rights::Places;
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::ApiKey;
use crate::store::workspaces::Workspace;
use crate::store::{Error, Snapshot};
use crate::types::id::{ApiKeyId, WorkspaceId};
use crate::types::right::Right;

const CLOSED: &str = "Only owners and admins can open the Dev Centre.";

/// Where an asker holds one right over keys: [`key_rights::reaches`] tells which keys that reaches.
#[derive(Debug, Clone)]
pub struct KeyPlaces(Places);

impl KeyPlaces {
    /// Of a member, who may hold the right nowhere. `NotFound` for strangers.
    pub fn of(view: &mut View, right: Right) -> Result<Self, Refusal> {
        Ok(Self(view.places_of(right)?))
    }

    /// The same; refuses a member who holds the right nowhere.
    pub fn some(view: &mut View, right: Right) -> Result<Self, Refusal> {
        let places = Self::of(view, right)?;
        ensure(!places.is_nowhere(), Refusal::admin_only(CLOSED))?;
        Ok(places)
    }

    pub fn is_nowhere(&self) -> bool {
        self.0.is_nowhere()
    }

    /// Held in the organization itself.
    pub fn is_everywhere(&self) -> bool {
        self.0.organization
    }

    /// What lists show: none is everything.
    pub fn only(&self) -> Option<Vec<WorkspaceId>> {
        self.0.clone().only()
    }

    /// Whether the right is held in every one of these workspaces of the organization.
    pub fn covers(&self, workspaces: &[WorkspaceId]) -> bool {
        key_rights::covers(&self.0, workspaces)
    }

    /// `named`: the workspaces that the key names.
    pub fn reaches(&self, key: &ApiKey, named: &[WorkspaceId]) -> bool {
        key_rights::reaches(&self.0, key, named)
    }

    /// The workspaces of the organization in which the right is held.
    pub fn workspaces(&self, view: &mut View) -> Result<Vec<Workspace>, Error> {
        let mut held = view.snapshot.list_workspaces(view.organization)?;
        held.retain(|workspace| self.holds_in(workspace.id));
        Ok(held)
    }

    fn holds_in(&self, workspace: WorkspaceId) -> bool {
        self.is_everywhere() || self.0.workspaces.contains(&workspace)
    }
}

/// Whether the asker manages the key now; a stranger does not.
pub fn manages(view: &mut View, key: &ApiKey) -> Result<bool, Refusal> {
    let named = named(view.snapshot, key.id)?;
    match KeyPlaces::of(view, Right::ApiKeysManage) {
        Ok(places) => Ok(places.reaches(key, &named)),
        Err(Refusal::NotFound) => Ok(false),
        Err(other) => Err(other),
    }
}

/// The workspaces that a key names; none for a key of the organization.
pub fn named(snapshot: &mut Snapshot, id: ApiKeyId) -> Result<Vec<WorkspaceId>, Error> {
    let workspaces = snapshot.list_api_key_workspaces(id)?;
    Ok(workspaces.into_iter().map(|(id, _)| id).collect())
}
