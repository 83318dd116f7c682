//! What the audit log can tell: every event once, with the kind of its subject and who may see it.

/// What an event happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind {
    AccessToken,
    ApiKey,
    ApiKeyRequest,
    Application,
    ApplicationSecret,
    Authorization,
    Clock,
    Consent,
    Database,
    Domain,
    Identity,
    IdentityProvider,
    Invitation,
    JoinRequest,
    ManagementToken,
    OperatorToken,
    Organization,
    RefreshToken,
    RegistrationToken,
    ResourceServer,
    Role,
    Session,
    SigningKey,
    User,
    Workspace,
}

/// Who may see an event. The operator sees all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The admins of the organization that it happened in.
    Organization,
    /// The person whose account it is about.
    Person,
    /// Nobody else.
    Operator,
}

/// Columns: the event, its name in the log, the kind of its subject, who may see it.
macro_rules! events {
    ($($event:ident = $name:literal, $subject:ident, $audience:ident;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event { $($event),* }

        impl Event {
            pub const ALL: &[Self] = &[$(Self::$event),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$event => $name),* }
            }

            /// What the subject's id names.
            pub fn subject(self) -> SubjectKind {
                match self { $(Self::$event => SubjectKind::$subject),* }
            }

            pub fn audience(self) -> Audience {
                match self { $(Self::$event => Audience::$audience),* }
            }
        }
    };
}

events! {
    AccessTokenRevoked = "access_token.revoked", AccessToken, Organization;
    ApiKeyChanged = "api_key.changed", ApiKey, Organization;
    ApiKeyCollected = "api_key.collected", ApiKey, Organization;
    ApiKeyCreated = "api_key.created", ApiKey, Organization;
    ApiKeyDeactivated = "api_key.deactivated", ApiKey, Organization;
    ApiKeyHandOverCreated = "api_key.hand_over_created", ApiKey, Organization;
    ApiKeyHandOverRevoked = "api_key.hand_over_revoked", ApiKey, Organization;
    ApiKeyHandOverWrongAddress = "api_key.hand_over_wrong_address", ApiKey, Organization;
    ApiKeyHandedOver = "api_key.handed_over", ApiKey, Organization;
    ApiKeyPaused = "api_key.paused", ApiKey, Organization;
    ApiKeyResumed = "api_key.resumed", ApiKey, Organization;
    ApiKeyRevoked = "api_key.revoked", ApiKey, Organization;
    ApiKeyRotated = "api_key.rotated", ApiKey, Organization;
    ApiKeyRotatedItself = "api_key.rotated_itself", ApiKey, Organization;
    ApiKeyRotationCompleted = "api_key.rotation_completed", ApiKey, Organization;
    ApiKeySecretRevoked = "api_key.secret_revoked", ApiKey, Organization;
    ApiKeySimulationEnded = "api_key.simulation_ended", ApiKey, Organization;
    ApiKeySimulationStarted = "api_key.simulation_started", ApiKey, Organization;
    ApiKeyTransferDeclined = "api_key.transfer_declined", ApiKey, Organization;
    ApiKeyTransferOffered = "api_key.transfer_offered", ApiKey, Organization;
    ApiKeyTransferWithdrawn = "api_key.transfer_withdrawn", ApiKey, Organization;
    ApiKeyTransferred = "api_key.transferred", ApiKey, Organization;
    ApiKeyWorkspaceLost = "api_key.workspace_lost", ApiKey, Organization;
    ApiKeyRequestApproved = "api_key_request.approved", ApiKeyRequest, Organization;
    ApiKeyRequestCreated = "api_key_request.created", ApiKeyRequest, Organization;
    ApiKeyRequestRefused = "api_key_request.refused", ApiKeyRequest, Organization;
    ApiKeyRequestWithdrawn = "api_key_request.withdrawn", ApiKeyRequest, Organization;
    ApiKeysBulkRevoked = "api_keys.bulk_revoked", Organization, Organization;
    ApplicationApprovalRequested = "application.approval_requested", Application, Organization;
    ApplicationApproved = "application.approved", Application, Organization;
    ApplicationChanged = "application.changed", Application, Organization;
    ApplicationCreated = "application.created", Application, Organization;
    ApplicationDeleted = "application.deleted", Application, Organization;
    ApplicationFirstParty = "application.first_party", Application, Organization;
    ApplicationRefused = "application.refused", Application, Organization;
    ApplicationRegistered = "application.registered", Application, Organization;
    ApplicationResumed = "application.resumed", Application, Organization;
    ApplicationStopped = "application.stopped", Application, Organization;
    ApplicationThirdParty = "application.third_party", Application, Organization;
    ApplicationUnverified = "application.unverified", Application, Organization;
    ApplicationVerified = "application.verified", Application, Organization;
    ApplicationSecretCreated = "application_secret.created", ApplicationSecret, Organization;
    ApplicationSecretRevoked = "application_secret.revoked", ApplicationSecret, Organization;
    AuthorizationAllowed = "authorization.allowed", Authorization, Organization;
    AuthorizationDenied = "authorization.denied", Application, Person;
    AuthorizationMarked = "authorization.marked", Authorization, Organization;
    AuthorizationRevoked = "authorization.revoked", Authorization, Organization;
    ClockAccepted = "clock.accepted", Clock, Operator;
    ConsentGiven = "consent.given", Consent, Organization;
    ConsentRevoked = "consent.revoked", Consent, Organization;
    DatabaseRestored = "database.restored", Database, Operator;
    DatabaseSecretsResumed = "database.secrets_resumed", Database, Operator;
    DevCentreDisabled = "dev_centre.disabled", Organization, Organization;
    DevCentreEnabled = "dev_centre.enabled", Organization, Organization;
    DomainAdded = "domain.added", Domain, Organization;
    DomainChecked = "domain.checked", Domain, Organization;
    DomainLost = "domain.lost", Domain, Organization;
    DomainRemoved = "domain.removed", Domain, Organization;
    DomainSubdomainsChosen = "domain.subdomains_chosen", Domain, Organization;
    DomainVerified = "domain.verified", Domain, Organization;
    IdentityLinked = "identity.linked", Identity, Person;
    IdentityUnlinked = "identity.unlinked", Identity, Person;
    InvitationAccepted = "invitation.accepted", Invitation, Organization;
    InvitationCreated = "invitation.created", Invitation, Organization;
    InvitationDeclined = "invitation.declined", Invitation, Organization;
    InvitationResent = "invitation.resent", Invitation, Organization;
    InvitationRevoked = "invitation.revoked", Invitation, Organization;
    JoinRequestApproved = "join_request.approved", JoinRequest, Organization;
    JoinRequestCreated = "join_request.created", JoinRequest, Organization;
    JoinRequestRefused = "join_request.refused", JoinRequest, Organization;
    JoinRequestWithdrawn = "join_request.withdrawn", JoinRequest, Organization;
    ManagementTokenCreated = "management_token.created", ManagementToken, Organization;
    ManagementTokenRevoked = "management_token.revoked", ManagementToken, Organization;
    MemberAddressLost = "member.address_lost", User, Organization;
    MemberAdded = "member.added", User, Organization;
    MemberChanged = "member.changed", User, Organization;
    MemberLicenceChanged = "member.licence_changed", User, Organization;
    MemberRemoved = "member.removed", User, Organization;
    MemberRoleChanged = "member.role_changed", User, Organization;
    OperatorTokenCreated = "operator_token.created", OperatorToken, Operator;
    OperatorTokenRevoked = "operator_token.revoked", OperatorToken, Operator;
    OrganizationChanged = "organization.changed", Organization, Organization;
    OrganizationCreated = "organization.created", Organization, Organization;
    OrganizationFounded = "organization.founded", Organization, Organization;
    OrganizationResumed = "organization.resumed", Organization, Organization;
    OrganizationSuspended = "organization.suspended", Organization, Organization;
    ProductionAccessApproved = "production_access.approved", Organization, Organization;
    ProductionAccessCancelled = "production_access.cancelled", Organization, Organization;
    ProductionAccessRefused = "production_access.refused", Organization, Organization;
    ProductionAccessRequested = "production_access.requested", Organization, Organization;
    ProductionAccessWithdrawn = "production_access.withdrawn", Organization, Organization;
    RefreshTokenReplaced = "refresh_token.replaced", RefreshToken, Organization;
    RefreshTokenReused = "refresh_token.reused", RefreshToken, Organization;
    RegistrationTokenCreated = "registration_token.created", RegistrationToken, Organization;
    RegistrationTokenRevoked = "registration_token.revoked", RegistrationToken, Organization;
    ResourceServerCreated = "resource_server.created", ResourceServer, Operator;
    ResourceServerDefaultAudienceJoined = "resource_server.default_audience_joined", ResourceServer, Operator;
    ResourceServerObligationsChanged = "resource_server.obligations_changed", ResourceServer, Operator;
    ResourceServerDefaultAudienceLeft = "resource_server.default_audience_left", ResourceServer, Operator;
    ResourceServerDeleted = "resource_server.deleted", ResourceServer, Operator;
    ResourceServerResourceAdded = "resource_server.resource_added", ResourceServer, Operator;
    ResourceServerResourceRemoved = "resource_server.resource_removed", ResourceServer, Operator;
    ResourceServerSecretCreated = "resource_server.secret_created", ResourceServer, Operator;
    ResourceServerSecretRevoked = "resource_server.secret_revoked", ResourceServer, Operator;
    RoleChanged = "role.changed", Role, Organization;
    RoleCreated = "role.created", Role, Organization;
    RoleDeleted = "role.deleted", Role, Organization;
    ServiceAccountCreated = "service_account.created", User, Organization;
    ServiceAccountRenamed = "service_account.renamed", User, Organization;
    SessionEnded = "session.ended", Session, Person;
    SessionStarted = "session.started", Session, Person;
    SigningKeyCreated = "signing_key.created", SigningKey, Operator;
    SigningKeyDiscarded = "signing_key.discarded", SigningKey, Operator;
    SigningKeyRemoved = "signing_key.removed", SigningKey, Operator;
    SigningKeyRetired = "signing_key.retired", SigningKey, Operator;
    SingleSignOnConfigured = "single_sign_on.configured", IdentityProvider, Organization;
    SingleSignOnRemoved = "single_sign_on.removed", IdentityProvider, Organization;
    SubscriptionChanged = "subscription.changed", Organization, Organization;
    SubscriptionCreated = "subscription.created", Organization, Organization;
    TokensBulkRevoked = "tokens.bulk_revoked", Application, Organization;
    TrialStarted = "trial.started", Organization, Organization;
    UserAddressLost = "user.address_lost", User, Operator;
    UserAddressProven = "user.address_proven", User, Operator;
    UserChanged = "user.changed", User, Operator;
    UserCreated = "user.created", User, Operator;
    UserPasswordChanged = "user.password_changed", User, Person;
    UserPasswordLocked = "user.password_locked", User, Operator;
    UserResumed = "user.resumed", User, Operator;
    UserSignedOut = "user.signed_out", User, Person;
    UserSuspended = "user.suspended", User, Operator;
    WorkspaceChanged = "workspace.changed", Workspace, Organization;
    WorkspaceCreated = "workspace.created", Workspace, Organization;
    WorkspaceDeleted = "workspace.deleted", Workspace, Organization;
    WorkspaceMemberAdded = "workspace_member.added", User, Organization;
    WorkspaceMemberChanged = "workspace_member.changed", User, Organization;
    WorkspaceMemberRemoved = "workspace_member.removed", User, Organization;
    WorkspaceMemberRoleChanged = "workspace_member.role_changed", User, Organization;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_event() {
        for event in Event::ALL {
            let same = Event::ALL
                .iter()
                .filter(|other| other.as_str() == event.as_str());
            assert_eq!(same.count(), 1, "{event:?}");
        }
    }
}
