//! `[identity]`: how people sign in. Passwords of our own, the operator's OpenID Connect provider, or both; organizations
//! configure providers of their own in the Dev Centre.

use serde::{Deserialize, Serialize};
use url::Url;

use super::server::is_secure_or_loopback;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Whether people sign in with a password kept here. False: operators only, as the way back when the provider is down.
    pub local_accounts: bool,
    /// The issuer of the operator's provider, byte for byte as it writes it in its metadata. Empty: there is none.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
    /// What the button says after "Sign in with".
    pub name: String,
    pub scopes: Vec<String>,
    /// Whether a person whom the provider vouches for, with a verified address that nobody has here, is created.
    pub create_users: bool,
    /// Whether organizations may name providers on private, loopback and other special-use addresses (SSRF).
    pub allow_private_providers: bool,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            local_accounts: true,
            issuer: String::new(),
            client_id: String::new(),
            client_secret: String::new(),
            name: "single sign-on".to_owned(),
            scopes: ["openid", "email", "profile"].map(str::to_owned).into(),
            create_users: true,
            allow_private_providers: false,
        }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({:?})", self.issuer)
    }
}

impl Identity {
    /// The first rule that is broken: the field and what it must be.
    pub(super) fn check(&self) -> Option<(&'static str, &'static str)> {
        let off = self.issuer.is_empty();
        let rules = [
            (
                "identity.issuer",
                off || is_issuer(&self.issuer, true),
                "must be an https URL without query and fragment; http for a loopback address only",
            ),
            (
                "identity.client_id",
                off || !self.client_id.is_empty(),
                "must be set together with issuer",
            ),
            (
                "identity.issuer",
                !off || self.client_id.is_empty() && self.client_secret.is_empty(),
                "must be set together with client_id",
            ),
            (
                "identity.local_accounts",
                self.local_accounts || !off,
                "can be false with an issuer only: nobody could sign in",
            ),
            (
                "identity.scopes",
                self.scopes.iter().any(|scope| scope == "openid"),
                "must contain openid",
            ),
            (
                "identity.name",
                !self.name.trim().is_empty() && self.name.chars().count() <= 60,
                "must be 1 to 60 characters",
            ),
        ];
        rules
            .into_iter()
            .find(|(_, holds, _)| !holds)
            .map(|(key, _, rule)| (key, rule))
    }
}

/// Whether this can be an issuer (OpenID Connect Discovery §3): https, no query, no fragment, nobody's name in it.
pub fn is_issuer(text: &str, loopback_allowed: bool) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let bare = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    bare && url.has_host()
        && if loopback_allowed {
            is_secure_or_loopback(&url)
        } else {
            url.scheme() == "https"
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_https_url_and_nothing_behind_it() {
        for issuer in [
            "https://id.example",
            "https://id.example/",
            "https://id.example/realms/main",
            "http://127.0.0.1:9000",
        ] {
            assert!(is_issuer(issuer, true), "{issuer}");
        }
        for issuer in [
            "http://id.example",
            "https://u@id.example",
            "https://id.example?x",
            "https://id.example#x",
            "id.example",
            "file:///etc",
            "",
        ] {
            assert!(!is_issuer(issuer, true), "{issuer}");
        }
        assert!(!is_issuer("http://127.0.0.1:9000", false));
    }
}
