//! Who asks: a person or service account, or an operator token, and how far the credential lets them through.
//!
//! Made once, at the door, for sessions, access tokens, API keys and operator tokens alike. It says who somebody is, never
//! what they hold: that is asked in the transaction that acts ([`super::rights::of`]).

use super::granted;
use crate::config::Catalogue;
use crate::store::{Error, Snapshot};
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::state::UserKind;
use crate::types::time::Timestamp;

/// Which workspaces the credential reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// As far as the asker.
    Whole,
    Workspaces {
        only: Vec<WorkspaceId>,
        /// And what is done to the organization itself, for a key that was made for it (row 25).
        organization: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// What the membership gives.
    Member,
    /// A person who operates the installation, on the operator's pages.
    Operator,
    /// An operator token with its own permissions.
    OperatorToken(PermissionSet),
}

/// Who asks, by which credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Whose name is in the audit events.
    pub user: UserId,
    authority: Authority,
    /// What the credential lets through at most.
    bound: PermissionSet,
    extent: Extent,
    /// The one organization that the credential was made for.
    home: Option<OrganizationId>,
}

impl Asker {
    /// A person with a session: nothing stands between them and their rights.
    pub fn person(user: UserId) -> Self {
        Self {
            user,
            authority: Authority::Member,
            bound: PermissionSet::ALL,
            extent: Extent::Whole,
            home: None,
        }
    }

    /// A person whose session may be confined to one organization: that of the provider they signed in at.
    pub fn session(user: UserId, confined_to: Option<OrganizationId>) -> Self {
        Self {
            home: confined_to,
            ..Self::person(user)
        }
    }

    /// A person who operates the installation.
    pub fn operator(user: UserId) -> Self {
        Self {
            authority: Authority::Operator,
            ..Self::person(user)
        }
    }

    pub fn operator_token(user: UserId, permissions: PermissionSet) -> Self {
        Self {
            authority: Authority::OperatorToken(permissions),
            ..Self::person(user)
        }
    }

    /// By an access token or an API key.
    pub fn credential(
        user: UserId,
        home: OrganizationId,
        bound: PermissionSet,
        extent: Extent,
    ) -> Self {
        Self {
            bound,
            extent,
            home: Some(home),
            ..Self::person(user)
        }
    }

    /// By a management token, which its maker made for one organization: at most what the maker holds at this moment.
    pub fn management_token(
        maker: UserId,
        home: OrganizationId,
        permissions: PermissionSet,
        extent: Extent,
    ) -> Self {
        Self::credential(maker, home, permissions, extent)
    }

    /// Whoever did something earlier, asked again: an operator token that has ended holds nothing any more, and who operates the
    /// installation no more is a person like others.
    pub fn of_earlier(
        snapshot: &mut Snapshot,
        catalogue: &Catalogue,
        user: UserId,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let account = snapshot.find_user(user)?.filter(|user| user.operator);
        Ok(match account.map(|account| account.kind) {
            None => Self::person(user),
            Some(UserKind::Person) => Self::operator(user),
            Some(UserKind::ServiceAccount) => {
                let permissions = granted::held_by(snapshot, catalogue, user, now)?;
                Self::operator_token(user, permissions)
            }
        })
    }

    /// The same, as if by no credential at all. What somebody may grant is measured by what they hold themselves: a token that
    /// manages members has no scope for what the roles of those members allow.
    pub fn themselves(&self) -> Self {
        Self {
            bound: PermissionSet::ALL,
            extent: Extent::Whole,
            ..self.clone()
        }
    }

    /// Whether the asker acts for the vendor, across organizations.
    pub fn is_operator(&self) -> bool {
        self.authority != Authority::Member
    }

    /// Whether a person asks who operates the installation, on the operator's pages.
    pub(super) fn operates_in_person(&self) -> bool {
        self.authority == Authority::Operator
    }

    /// Whether it is this very user, and not the vendor.
    pub fn is(&self, user: UserId) -> bool {
        !self.is_operator() && self.user == user
    }

    /// What the vendor's own hold in every organization; none for everybody else.
    pub(in crate::domain) fn operator_permissions(
        &self,
        catalogue: &Catalogue,
    ) -> Option<PermissionSet> {
        let everything = catalogue.all() | catalogue.operator();
        match self.authority {
            Authority::Member => None,
            Authority::Operator => Some(everything),
            Authority::OperatorToken(permissions) => Some(permissions & everything),
        }
    }

    pub(super) fn bound(&self) -> PermissionSet {
        self.bound
    }

    pub fn extent(&self) -> &Extent {
        &self.extent
    }

    pub(super) fn is_for(&self, organization: OrganizationId) -> bool {
        self.home.is_none_or(|home| home == organization)
    }
}
