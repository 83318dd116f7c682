//! Identifiers: a kind, `_`, and 22 base62 characters of a UUIDv7 (`org_…`, `key_…`). Each kind is its own type.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::{base62_fixed, is_base62};
use super::time::Timestamp;

/// Characters behind the kind: 62^22 > 2^128.
const ENCODED: usize = 22;
/// The longest kind is four letters.
const CAPACITY: usize = 4 + 1 + ENCODED;

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {0} identifier")]
pub struct WrongId(pub &'static str);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; CAPACITY]);

        impl $name {
            pub const KIND: &'static str = $kind;
            const LENGTH: usize = $kind.len() + 1 + ENCODED;

            /// A new identifier; later ones sort behind earlier ones, to the millisecond.
            pub fn generate(now: Timestamp) -> Self {
                Self::fill(&base62_fixed::<ENCODED>(uuid_v7(now)))
            }

            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0[..Self::LENGTH]).unwrap_or_default()
            }

            fn fill(encoded: &[u8; ENCODED]) -> Self {
                let mut bytes = [0; CAPACITY];
                bytes[..$kind.len()].copy_from_slice($kind.as_bytes());
                bytes[$kind.len()] = b'_';
                bytes[$kind.len() + 1..Self::LENGTH].copy_from_slice(encoded);
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = WrongId;

            fn from_str(text: &str) -> Result<Self, WrongId> {
                let encoded = text.strip_prefix($kind).and_then(|rest| rest.strip_prefix('_')).ok_or(WrongId($kind))?;
                let encoded: &[u8; ENCODED] = encoded.as_bytes().try_into().map_err(|_| WrongId($kind))?;
                if !encoded.iter().all(|byte| is_base62(*byte)) {
                    return Err(WrongId($kind));
                }
                Ok(Self::fill(encoded))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": concat!("^", $kind, "_[0-9A-Za-z]{22}$")})
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    OrganizationId = "org";
    WorkspaceId = "ws";
    /// A person or a service account.
    UserId = "usr";
    ApiKeyId = "key";
    /// One of a key's up to two live secrets.
    ApiKeySecretId = "ks";
    /// A member asks for a key.
    ApiKeyRequestId = "krq";
    /// A one-time link to a key's secret.
    HandOverId = "hov";
    /// A key is offered to another owner.
    ApiKeyTransferId = "ktr";
    /// A custom role.
    RoleId = "rol";
    InvitationId = "inv";
    JoinRequestId = "jrq";
    /// Also the OAuth `client_id`, so that it can never equal a user's id (RFC 9700 §4.15).
    ApplicationId = "app";
    /// One live secret of an application or a resource server.
    ClientSecretId = "sec";
    AuthorizationId = "az";
    AuthorizationRequestId = "ar";
    ConsentId = "con";
    AccessTokenId = "at";
    RefreshTokenId = "rt";
    SessionId = "ses";
    ResourceServerId = "rs";
    /// An initial access token (RFC 7591 §1.2).
    RegistrationTokenId = "rgt";
    DomainId = "dom";
    OperatorTokenId = "opt";
    /// An organization's own credential for the management API.
    ManagementTokenId = "mgt";
    /// An organization's own way to sign in.
    IdentityProviderId = "idp";
    AuditEventId = "evt";
    RequestId = "req";
}

/// RFC 9562 §5.7: 48 bits of unix milliseconds, then version, variant and 74 random bits.
fn uuid_v7(now: Timestamp) -> u128 {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random::<[u8; 10]>())
        .into_uuid()
        .as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_fits_no_other_kind() {
        let id = OrganizationId::generate(Timestamp::from_millis(1_700_000_000_000));
        assert_eq!(id.as_str().parse::<OrganizationId>(), Ok(id));
        assert_eq!(id.as_str().len(), 26);
        assert!(id.as_str().parse::<UserId>().is_err());
        assert!("org_".parse::<OrganizationId>().is_err());
        assert!(
            "org_0000000000000000000-_0"
                .parse::<OrganizationId>()
                .is_err()
        );
    }

    #[test]
    fn later_ids_sort_behind_earlier_ones() {
        let early = ApiKeyId::generate(Timestamp::from_millis(1_700_000_000_000));
        let late = ApiKeyId::generate(Timestamp::from_millis(1_700_000_000_001));
        assert!(early < late && early.as_str() < late.as_str());
    }
}
