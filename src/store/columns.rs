//! How the vocabulary is stored: ids, words, scopes and digests as TEXT, instants as BIGINT unix milliseconds.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{BigInt, Text};

use crate::crypto::digest::Digest;
use crate::types::environment::Environment;
use crate::types::grant_types::GrantTypes;
use crate::types::id::{
    AccessTokenId, ApiKeyId, ApiKeyRequestId, ApiKeySecretId, ApiKeyTransferId, ApplicationId,
    AuditEventId, AuthorizationId, AuthorizationRequestId, ClientSecretId, ConsentId, DomainId,
    HandOverId, IdentityProviderId, InvitationId, JoinRequestId, ManagementTokenId,
    OperatorTokenId, OrganizationId, RefreshTokenId, RegistrationTokenId, ResourceServerId, RoleId,
    SessionId, UserId, WorkspaceId,
};
use crate::types::redirect_uri::RedirectUri;
use crate::types::resource::{ResourceUri, Resources};
use crate::types::scope::Scopes;
use crate::types::state::{
    AccessTokenFormat, ApiKeySecretState, ApiKeyState, ApplicationState, Approval,
    AuthorizationState, ClientType, ConsentState, DomainFinding, GrantKind, HandOverState,
    InvitationState, JoinRequestState, KeyRequestState, Licence, MemberState, OrganizationRole,
    OrganizationState, PermissionLevel, ProductionAccess, ReachKind, RefreshTokenState,
    RegistrationTokenState, RequestAnswer, SecretState, SigningAlgorithm, Simulation,
    TransferState, UserKind, UserState,
};
use crate::types::time::Timestamp;

macro_rules! text_columns {
    ($($proxy:ident: $type:ty;)*) => {$(
        #[derive(FromSqlRow, AsExpression)]
        #[diesel(foreign_derive)]
        #[diesel(sql_type = Text)]
        #[expect(dead_code, reason = "the derive reads the field's type, nobody its value")]
        struct $proxy($type);

        impl<DB: Backend> FromSql<Text, DB> for $type
        where
            String: FromSql<Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
                Ok(String::from_sql(bytes)?.parse()?)
            }
        }

        impl<DB: Backend> ToSql<Text, DB> for $type
        where
            str: ToSql<Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                self.as_str().to_sql(out)
            }
        }
    )*};
}

text_columns! {
    C01: OrganizationId; C02: WorkspaceId; C03: UserId; C04: ApiKeyId; C05: ApplicationId; C06: ClientSecretId; C07: AuthorizationId;
    C08: AuthorizationRequestId; C09: AccessTokenId; C10: RefreshTokenId; C11: SessionId; C12: ResourceServerId; C13: DomainId; C14: AuditEventId;
    C15: ConsentId; C16: IdentityProviderId; C17: RegistrationTokenId;
    C18: ApiKeySecretId; C19: RoleId; C51: OperatorTokenId; C66: ManagementTokenId;
    C52: ApiKeyRequestId; C53: HandOverId; C54: ApiKeyTransferId; C55: KeyRequestState; C56: HandOverState; C57: TransferState;
    C20: Environment; C21: OrganizationRole; C22: Licence; C23: PermissionLevel; C24: UserKind; C25: UserState; C26: OrganizationState;
    C27: ProductionAccess; C28: ApiKeyState; C29: ReachKind; C30: ClientType; C31: AccessTokenFormat; C32: ApplicationState; C33: SecretState;
    C34: GrantKind; C35: AuthorizationState; C36: RefreshTokenState; C37: SigningAlgorithm;
    C38: ConsentState; C39: Approval; C46: RegistrationTokenState; C47: ApiKeySecretState; C48: Simulation; C49: MemberState;
    C60: DomainFinding; C65: RequestAnswer;
    C61: InvitationId; C62: JoinRequestId; C63: InvitationState; C64: JoinRequestState;
    C40: Scopes; C41: RedirectUri; C42: Digest; C43: GrantTypes; C44: ResourceUri; C45: Resources;
}

impl std::str::FromStr for Digest {
    type Err = std::convert::Infallible;

    fn from_str(stored: &str) -> Result<Self, Self::Err> {
        Ok(Self(stored.to_owned()))
    }
}

#[derive(FromSqlRow, AsExpression)]
#[diesel(foreign_derive)]
#[diesel(sql_type = BigInt)]
#[expect(
    dead_code,
    reason = "the derive reads the field's type, nobody its value"
)]
struct C50(Timestamp);

impl<DB: Backend> FromSql<BigInt, DB> for Timestamp
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::from_millis(i64::from_sql(bytes)?))
    }
}

impl<DB: Backend> ToSql<BigInt, DB> for Timestamp
where
    i64: ToSql<BigInt, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}
