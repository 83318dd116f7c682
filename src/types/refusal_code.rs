//! Words by which programs tell refusals apart: the `code` of a problem (RFC 9457) that a rule answers.

/// Whether a role, a person or a plan is refused, or the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 403.
    Forbidden,
    /// 409.
    Conflict,
}

/// Columns: the code, its word, its kind.
macro_rules! refusal_codes {
    ($($code:ident = $word:literal, $kind:ident;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RefusalCode { $($code),* }

        impl RefusalCode {
            pub const ALL: &[Self] = &[$(Self::$code),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $word),* }
            }

            fn kind(self) -> Kind {
                match self { $(Self::$code => Kind::$kind),* }
            }
        }
    };
}

impl RefusalCode {
    /// A role, a person or a plan is refused: 403. Everything else is a matter of the moment: 409.
    pub fn is_forbidden(self) -> bool {
        self.kind() == Kind::Forbidden
    }
}

refusal_codes! {
    AdminOnly = "admin_only", Forbidden;
    AlreadyAsked = "already_asked", Conflict;
    AlreadyInvited = "already_invited", Conflict;
    AlreadyMember = "already_member", Conflict;
    AlreadyOpen = "already_open", Conflict;
    AnotherAddress = "another_address", Conflict;
    BuiltIn = "built_in", Conflict;
    Confined = "confined", Conflict;
    ConfirmationRequired = "confirmation_required", Conflict;
    DevCentreIncluded = "dev_centre_included", Conflict;
    EmailTaken = "email_taken", Conflict;
    ExternalIdTaken = "external_id_taken", Conflict;
    HandOverClosed = "hand_over_closed", Conflict;
    InsufficientPermission = "insufficient_permission", Forbidden;
    InvitationLimitReached = "invitation_limit_reached", Conflict;
    InvitationOutdated = "invitation_outdated", Conflict;
    JoinRequestLimitReached = "join_request_limit_reached", Conflict;
    JoinRequestOutdated = "join_request_outdated", Conflict;
    KeyLimitReached = "key_limit_reached", Conflict;
    KeyRevoked = "key_revoked", Conflict;
    LastOwner = "last_owner", Conflict;
    LastSecret = "last_secret", Conflict;
    NotPending = "not_pending", Conflict;
    NotTheSecretInUse = "not_the_secret_in_use", Conflict;
    NotTransferable = "not_transferable", Conflict;
    OnlyNarrows = "only_narrows", Conflict;
    OrganizationLimitReached = "organization_limit_reached", Conflict;
    PlanFeature = "plan_feature", Forbidden;
    RequestClosed = "request_closed", Conflict;
    RequestLimitReached = "request_limit_reached", Conflict;
    RequestOutdated = "request_outdated", Conflict;
    RoleInUse = "role_in_use", Conflict;
    RoleLimitReached = "role_limit_reached", Conflict;
    SandboxOnly = "sandbox_only", Conflict;
    SeatsExhausted = "seats_exhausted", Conflict;
    SelfRotationOff = "self_rotation_off", Conflict;
    ServiceAccountLimitReached = "service_account_limit_reached", Conflict;
    TransferClosed = "transfer_closed", Conflict;
    TransferOpen = "transfer_open", Conflict;
    TransferOutdated = "transfer_outdated", Conflict;
    UnknownWorkspace = "unknown_workspace", Conflict;
    WorkspaceKeyLimitReached = "workspace_key_limit_reached", Conflict;
    WorkspaceLimitReached = "workspace_limit_reached", Conflict;
    WrongState = "wrong_state", Conflict;
}
