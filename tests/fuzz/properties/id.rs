//! `types/id.rs`. A text is an identifier of one kind at most, survives its text, and is plain enough for a URL and a header.

use countersign::types::id::{
    AccessTokenId, ApiKeyId, ApplicationId, AuditEventId, AuthorizationId, AuthorizationRequestId,
    ClientSecretId, DomainId, OrganizationId, RefreshTokenId, RequestId, ResourceServerId,
    SessionId, UserId, WorkspaceId,
};

macro_rules! kinds {
    ($text:expr; $($kind:ident)*) => {
        [$($text.parse::<$kind>().ok().map(|id| {
            assert_eq!((id.as_str(), id.to_string().as_str()), ($text, $text));
            let json = serde_json::to_string(&id).expect("JSON");
            assert_eq!(serde_json::from_str::<$kind>(&json).ok(), Some(id));
            $kind::KIND
        })),*]
    };
}

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let kinds: Vec<&str> = kinds!(text; AccessTokenId ApiKeyId ApplicationId AuditEventId AuthorizationId AuthorizationRequestId ClientSecretId
        DomainId OrganizationId RefreshTokenId RequestId ResourceServerId SessionId UserId WorkspaceId)
    .into_iter()
    .flatten()
    .collect();
    assert!(kinds.len() <= 1, "{text} is {kinds:?}");
    if let [kind] = kinds.as_slice() {
        assert_eq!(text.len(), kind.len() + 23);
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        );
    }
}
