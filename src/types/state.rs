//! What a noun can be: roles, licences, kinds and states, each a closed vocabulary stored as its text.

use serde::{Deserialize, Serialize};

/// A word that is not in the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} {word:?}")]
pub struct UnknownWord {
    pub kind: &'static str,
    pub word: String,
}

/// Closed enums with one text each, for the database, JSON and forms alike.
macro_rules! vocabulary {
    ($($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant),* }

        impl $name {
            pub fn as_str(&self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::types::state::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($text => Ok(Self::$variant),)*
                    _ => Err($crate::types::state::UnknownWord { kind: stringify!($name), word: word.to_owned() }),
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "enum": [$($text),*]})
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
pub(crate) use vocabulary;

vocabulary! {
    /// A role in the organization; the order is that of power.
    #[derive(PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum OrganizationRole { Member = "member", Admin = "admin", Owner = "owner" }

    /// What the organization's licence lets a member do at most.
    #[derive(Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Licence { Full = "full", ReadOnly = "read_only" }

    /// A key's level of access.
    #[derive(Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum PermissionLevel { Full = "full", ReadOnly = "read_only" }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum UserKind { Person = "person", ServiceAccount = "service_account" }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum UserState { Active = "active", Suspended = "suspended" }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum OrganizationState { Active = "active", Suspended = "suspended" }

    /// Whether the organization may hold live production credentials. Only `Approved` opens Production.
    #[derive(Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum ProductionAccess { None = "none", Requested = "requested", Approved = "approved", Refused = "refused", Withdrawn = "withdrawn" }

    /// What is done about access to Production: an organization requests and cancels, the operator does the rest.
    #[derive(Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum ProductionStep { Request = "request", Cancel = "cancel", Approve = "approve", Refuse = "refuse", Withdraw = "withdraw" }

    /// `Pending` waits to be collected and has no secret yet. `Paused` is reversible. `Deactivated`: the owner was removed, or
    /// lost every workspace of it; coming back does not revive it. `Revoked` is final.
    #[derive(Hash)]
    pub enum ApiKeyState { Pending = "pending", Active = "active", Paused = "paused", Deactivated = "deactivated", Revoked = "revoked" }

    /// `Pending` until its first use, which makes it `Active` and the older one `Retiring` for the grace.
    #[derive(Hash)]
    pub enum ApiKeySecretState { Pending = "pending", Active = "active", Retiring = "retiring", Revoked = "revoked" }

    /// What a Sandbox key answers for some minutes, so that clients can test it.
    #[derive(Hash)]
    pub enum Simulation { Revoked = "revoked", Expired = "expired", RateLimited = "rate_limited", Forbidden = "forbidden" }

    /// `Approved` waits to be collected by the requester.
    #[derive(Hash)]
    pub enum KeyRequestState { Open = "open", Approved = "approved", Collected = "collected", Refused = "refused", Withdrawn = "withdrawn" }

    #[derive(Hash)]
    pub enum HandOverState { Open = "open", Used = "used", Revoked = "revoked" }

    #[derive(Hash)]
    pub enum TransferState { Open = "open", Accepted = "accepted", Declined = "declined", Withdrawn = "withdrawn" }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum InvitationState { Pending = "pending", Accepted = "accepted", Declined = "declined", Revoked = "revoked" }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum JoinRequestState { Pending = "pending", Approved = "approved", Refused = "refused", Withdrawn = "withdrawn" }

    #[derive(Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum MemberState { Active = "active", Suspended = "suspended" }

    /// Who or what is suspended.
    pub enum Suspension {
        Organization = "organization_suspended",
        User = "user_suspended",
        Member = "member_suspended",
        /// The key is paused.
        Key = "key_paused",
    }

    /// Which workspaces a key or an authorization reaches. An empty list never means the organization.
    pub enum ReachKind { Organization = "organization", Workspaces = "workspaces" }

    /// RFC 6749 §2.1.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum ClientType { Confidential = "confidential", Public = "public" }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum AccessTokenFormat { Jwt = "jwt", Opaque = "opaque" }

    pub enum ApplicationState { Active = "active", Deleted = "deleted" }

    pub enum SecretState { Active = "active", Revoked = "revoked" }

    /// What is good until somebody revokes it, and is paused when a backup is restored.
    pub enum StandingSecret {
        ApiKey = "api_key",
        ApplicationSecret = "application_secret",
        RegistrationAccessToken = "registration_access_token",
        ResourceServerSecret = "resource_server_secret",
        OperatorToken = "operator_token",
        ManagementToken = "management_token",
        RegistrationToken = "registration_token",
    }

    /// How an authorization came about.
    pub enum GrantKind { AuthorizationCode = "authorization_code", ClientCredentials = "client_credentials" }

    /// `Pending`: the code waits to be redeemed. `Active`: tokens live. `Revoked` is final.
    pub enum AuthorizationState { Pending = "pending", Active = "active", Revoked = "revoked" }

    /// What a person decided about an authorization request.
    pub enum RequestAnswer { Allowed = "allowed", Denied = "denied" }

    pub enum ConsentState { Active = "active", Revoked = "revoked" }

    /// `Replaced`: the answer that carried it was lost, and another one stands in its place.
    pub enum RefreshTokenState { Active = "active", Consumed = "consumed", Replaced = "replaced" }

    /// Whether the operator lets people of other organizations authorize a Production application.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Approval { None = "none", Requested = "requested", Approved = "approved", Refused = "refused" }

    /// By which an operator looks for applications.
    pub enum ApplicationStanding {
        Requested = "requested",
        Approved = "approved",
        Refused = "refused",
        Verified = "verified",
        Unverified = "unverified",
        Stopped = "stopped",
    }

    pub enum RegistrationTokenState { Active = "active", Revoked = "revoked" }

    /// Whether a domain is the organization's own. `Lost`: it was, and its record has gone.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum DomainState { Pending = "pending", Verified = "verified", Lost = "lost" }

    /// What the last look-up of a domain's record found. `Absent` and `Different` are definite: the name server has said so.
    /// `Taken`: the record is there, and another organization has proven the domain before.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum DomainFinding { Found = "found", Absent = "absent", Different = "different", Unanswered = "unanswered", Taken = "taken" }

    pub enum SigningAlgorithm { Es256 = "ES256", EdDsa = "EdDSA" }
}

impl ProductionAccess {
    /// Where a step leads; none where it makes no sense. The vendor may open and shut without being asked.
    pub fn after(self, step: ProductionStep) -> Option<Self> {
        match (self, step) {
            (Self::None | Self::Refused | Self::Withdrawn, ProductionStep::Request) => {
                Some(Self::Requested)
            }
            (Self::Requested, ProductionStep::Cancel) => Some(Self::None),
            (
                Self::None | Self::Requested | Self::Refused | Self::Withdrawn,
                ProductionStep::Approve,
            ) => Some(Self::Approved),
            (Self::Requested, ProductionStep::Refuse) => Some(Self::Refused),
            (Self::None | Self::Approved, ProductionStep::Withdraw) => Some(Self::Withdrawn),
            _ => None,
        }
    }
}

impl OrganizationRole {
    pub fn is_admin(self) -> bool {
        self >= Self::Admin
    }
}

vocabulary! {
    /// What a resource server declares that it enforces.
    #[derive(Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum ObligationKind {
        /// `document_name` or `document_name_prefix`.
        DocumentName = "document_name",
        Watermark = "watermark",
        Recipients = "recipients",
    }
}

impl ObligationKind {
    pub const ALL: [Self; 3] = [Self::DocumentName, Self::Watermark, Self::Recipients];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_their_text_and_strangers_are_refused() {
        assert_eq!("read_only".parse(), Ok(Licence::ReadOnly));
        assert!("READ_ONLY".parse::<Licence>().is_err());
        let steps = ["request", "cancel", "approve", "refuse", "withdraw"]
            .map(|step| step.parse().expect("a step"));
        for (from, to) in [
            ("none", ["requested", "-", "approved", "-", "withdrawn"]),
            ("requested", ["-", "none", "approved", "refused", "-"]),
            ("approved", ["-", "-", "-", "-", "withdrawn"]),
            ("refused", ["requested", "-", "approved", "-", "-"]),
            ("withdrawn", ["requested", "-", "approved", "-", "-"]),
        ] {
            let from: ProductionAccess = from.parse().expect("a state");
            assert_eq!(
                steps.map(|step| from.after(step).map_or("-".to_owned(), |to| to.to_string())),
                to,
                "{from}"
            );
        }
        assert!(OrganizationRole::Owner.is_admin() && !OrganizationRole::Member.is_admin());
    }
}
