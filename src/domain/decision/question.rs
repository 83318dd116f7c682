//! What a resource server asks about a credential.

use crate::types::environment::Environment;
use crate::types::id::WorkspaceId;
use crate::types::permission::Permission;

/// What is asked. Every part but the credential is optional.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// None asks for liveness.
    pub permission: Option<Permission>,
    /// None: it must hold in all of the credential's workspaces.
    pub workspace: Option<WorkspaceId>,
    /// None: the resource server's.
    pub environment: Option<Environment>,
    pub document_name: Option<String>,
    pub recipients: Option<Vec<String>>,
}
