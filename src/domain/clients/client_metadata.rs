//! Client metadata (RFC 7591 §2): what an application says of itself, checked, with the defaults filled in.
//!
//! Unknown members are ignored, and what is not supported is left out where RFC 7591 §3.2.1 lets the server replace it: the
//! echo tells what was registered. What would leave the client broken is refused. Nothing is ever fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::domain::clients::settings::MOST_REDIRECT_URIS;
use crate::domain::ensure;
use crate::types::grant_types::{GrantType, GrantTypes};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::{Scopes, is_scope_token};
use crate::types::state::{ClientType, vocabulary};
use crate::types::text::parse_text;

/// A registration is a page of text, not a file.
pub const MOST_BYTES: usize = 16 * 1024;
const MOST_NAME: usize = 100;
const MOST_TEXT: usize = 200;
const MOST_URI: usize = 2000;
const MOST_CONTACTS: usize = 10;
const MOST_LANGUAGE_TAG: usize = 35;
/// What an application is called that does not say.
const UNNAMED: &str = "Unnamed application";

/// RFC 7591 §2.2: these may stand once in every language.
const IN_LANGUAGES: [&str; 5] = [
    "client_name",
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
];
const URIS: [&str; 5] = [
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "jwks_uri",
];
const KNOWN: [&str; 18] = [
    "redirect_uris",
    "token_endpoint_auth_method",
    "token_endpoint_auth_methods_supported",
    "grant_types",
    "response_types",
    "application_type",
    "scope",
    "contacts",
    "client_name",
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "jwks",
    "jwks_uri",
    "software_id",
    "software_version",
    "client_id",
];
/// RFC 7592 §2.2: what only the server says, and what proves the client.
const OF_AN_UPDATE: [&str; 5] = [
    "client_secret",
    "client_secret_expires_at",
    "client_id_issued_at",
    "registration_access_token",
    "registration_client_uri",
];

/// RFC 7591 §3.2.2. The text is for the developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("{0}")]
    RedirectUri(String),
    #[error("{0}")]
    Metadata(String),
}

vocabulary! {
    /// How the client authenticates at the token endpoint.
    pub enum AuthMethod { ClientSecretBasic = "client_secret_basic", ClientSecretPost = "client_secret_post", None = "none" }

    /// OpenID Connect Registration §2.
    pub enum ApplicationType { Web = "web", Native = "native" }
}

impl AuthMethod {
    pub fn client_type(self) -> ClientType {
        if self == Self::None {
            ClientType::Public
        } else {
            ClientType::Confidential
        }
    }
}

/// What a server lets this registrant have.
#[derive(Debug, Clone)]
pub struct Offer {
    pub scopes: Scopes,
    /// Whether it may act as itself.
    pub client_credentials: bool,
}

/// What is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMetadata {
    /// What people see.
    pub name: String,
    pub redirect_uris: Vec<RedirectUri>,
    pub auth_method: AuthMethod,
    pub application_type: ApplicationType,
    pub grants: GrantTypes,
    pub scopes: Scopes,
    /// `client_name`, the URIs and the software's name, by member; in several languages `client_name#de`.
    texts: BTreeMap<String, String>,
    contacts: Vec<String>,
}

/// The members of a request that mean something here. The others are not kept.
#[derive(Debug)]
pub struct Members(BTreeMap<String, Value>);

impl Members {
    /// `InvalidMetadata` for what is no JSON object of these: other texts, members that stand twice.
    pub fn parse(body: &[u8]) -> Result<Self, MetadataError> {
        serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            invalid(match error.classify() {
                serde_json::error::Category::Data if error.to_string().starts_with(TWICE) => {
                    format!("A member stands twice in the object: {place}.")
                }
                _ => format!("The body is not a JSON object: {place}."),
            })
        })
    }

    /// The text of a member; null and absent are the same (RFC 7592 §2.2).
    pub fn text(&self, name: &str) -> Result<Option<&str>, MetadataError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(format!("{name} must be a string."))),
        }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    fn list(&self, name: &str) -> Result<Option<Vec<&str>>, MetadataError> {
        let wrong = || invalid(format!("{name} must be an array of strings."));
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().ok_or_else(wrong))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(wrong()),
        }
    }
}

const TWICE: &str = "twice";

/// Of a member with a language tag, the member; of others themselves.
fn known_member(name: &str) -> bool {
    match name.split_once('#') {
        None => KNOWN.contains(&name) || OF_AN_UPDATE.contains(&name),
        Some((member, tag)) => {
            let plain = (1..=MOST_LANGUAGE_TAG).contains(&tag.len())
                && tag
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain && IN_LANGUAGES.contains(&member)
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut seen, mut known) = (BTreeSet::new(), BTreeMap::new());
                while let Some(name) = map.next_key::<String>()? {
                    // two parsers that each take another one of the two would see two clients
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(TWICE));
                    }
                    if known_member(&name) {
                        known.insert(name, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Members(known))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn invalid(text: impl Into<String>) -> MetadataError {
    MetadataError::Metadata(text.into())
}

impl ClientMetadata {
    /// Checks the members against what is offered, and fills in the defaults of RFC 7591 §2.
    pub fn new(members: &Members, offer: &Offer) -> Result<Self, MetadataError> {
        let auth_method = auth_method(members)?;
        let grants = grants(members, offer, auth_method.client_type())?;
        check_response_types(members, grants)?;
        let redirect_uris = redirect_uris(members, grants)?;
        let application_type = application_type(members, &redirect_uris)?;
        ensure(
            !(members.contains("jwks") && members.contains("jwks_uri")),
            invalid("Send jwks or jwks_uri, not both."),
        )?;
        let texts = texts(members)?;
        let name = texts.get("client_name").or_else(|| {
            texts
                .iter()
                .find(|(member, _)| member.starts_with("client_name#"))
                .map(|(_, name)| name)
        });
        Ok(Self {
            name: name.cloned().unwrap_or_else(|| UNNAMED.to_owned()),
            redirect_uris,
            auth_method,
            application_type,
            grants,
            scopes: scopes(members, offer)?,
            contacts: contacts(members)?,
            texts,
        })
    }

    /// What is stored and echoed (RFC 7591 §3.2.1: all of it).
    pub fn to_json(&self) -> Map<String, Value> {
        let mut json: Map<String, Value> = self
            .texts
            .iter()
            .map(|(name, text)| (name.clone(), text.as_str().into()))
            .collect();
        json.insert(
            "redirect_uris".into(),
            self.redirect_uris.iter().map(RedirectUri::as_str).collect(),
        );
        json.insert(
            "token_endpoint_auth_method".into(),
            self.auth_method.as_str().into(),
        );
        json.insert(
            "application_type".into(),
            self.application_type.as_str().into(),
        );
        json.insert(
            "grant_types".into(),
            self.grants.iter().map(|grant| grant.as_str()).collect(),
        );
        json.insert(
            "response_types".into(),
            self.response_types().iter().copied().collect(),
        );
        json.insert("scope".into(), self.scopes.as_str().into());
        if !self.contacts.is_empty() {
            json.insert(
                "contacts".into(),
                self.contacts.iter().map(String::as_str).collect(),
            );
        }
        json
    }

    /// The same text for two registrations that mean the same: whatever the order, the port of a loopback address, and what
    /// was left to the defaults.
    pub fn canonical(&self) -> String {
        let mut uris: Vec<String> = self
            .redirect_uris
            .iter()
            .map(RedirectUri::without_loopback_port)
            .collect();
        uris.sort_unstable();
        uris.dedup();
        let mut contacts = self.contacts.clone();
        contacts.sort_unstable();
        let mut members: BTreeMap<String, Value> = Self {
            contacts,
            ..self.clone()
        }
        .to_json()
        .into_iter()
        .collect();
        members.insert("redirect_uris".into(), uris.into_iter().collect());
        members
            .into_iter()
            .map(|(name, value)| format!("{}:{value}\n", Value::from(name)))
            .collect()
    }

    fn response_types(&self) -> &'static [&'static str] {
        if self.grants.contains(GrantType::AuthorizationCode) {
            &["code"]
        } else {
            &[]
        }
    }
}

/// The default is `client_secret_basic`. A list of what the client can do (OpenID Connect RP Metadata Choices) is in its
/// order of preference, as ChatGPT sends it.
fn auth_method(members: &Members) -> Result<AuthMethod, MetadataError> {
    const SUPPORTED: &str = "must be client_secret_basic, client_secret_post or none.";
    if let Some(method) = members.text("token_endpoint_auth_method")? {
        return method
            .parse()
            .map_err(|_| invalid(format!("token_endpoint_auth_method {SUPPORTED}")));
    }
    match members.list("token_endpoint_auth_methods_supported")? {
        None => Ok(AuthMethod::ClientSecretBasic),
        Some(methods) => {
            let supported = methods.iter().find_map(|method| method.parse().ok());
            supported.ok_or_else(|| {
                invalid(format!(
                    "One of token_endpoint_auth_methods_supported {SUPPORTED}"
                ))
            })
        }
    }
}

/// Unlisted ones are ignored, not fatal: Claude lists jwt-bearer, VS Code device_code.
fn grants(
    members: &Members,
    offer: &Offer,
    client_type: ClientType,
) -> Result<GrantTypes, MetadataError> {
    let asked = members
        .list("grant_types")?
        .unwrap_or_else(|| vec!["authorization_code"]);
    let acts_as_itself = offer.client_credentials && client_type == ClientType::Confidential;
    let offered = |grant: &GrantType| *grant != GrantType::ClientCredentials || acts_as_itself;
    let grants: GrantTypes = asked
        .iter()
        .filter_map(|grant| grant.parse().ok())
        .filter(offered)
        .collect();
    // RFC 6749 §1.5: a refresh token comes with a code
    let grants = if grants.contains(GrantType::AuthorizationCode) {
        grants
    } else {
        grants.without(GrantType::RefreshToken)
    };
    let left = "grant_types must hold authorization_code, or client_credentials for a confidential client with an initial access token.";
    ensure(!grants.is_empty(), invalid(left))?;
    Ok(grants)
}

/// RFC 7591 §2.1: a client must not register itself into an inconsistent state.
fn check_response_types(members: &Members, grants: GrantTypes) -> Result<(), MetadataError> {
    let Some(asked) = members.list("response_types")? else {
        return Ok(());
    };
    let (code, by_code) = (
        asked.contains(&"code"),
        grants.contains(GrantType::AuthorizationCode),
    );
    ensure(
        code || !by_code,
        invalid("response_types must hold code, because grant_types holds authorization_code."),
    )?;
    ensure(
        by_code || !code,
        invalid("grant_types must hold authorization_code, because response_types holds code."),
    )
}

fn redirect_uris(members: &Members, grants: GrantTypes) -> Result<Vec<RedirectUri>, MetadataError> {
    let wrong = |text: String| MetadataError::RedirectUri(text);
    let asked = members
        .list("redirect_uris")
        .map_err(|error| wrong(error.to_string()))?
        .unwrap_or_default();
    let needs_one = grants.contains(GrantType::AuthorizationCode);
    ensure(!asked.is_empty() || !needs_one, wrong("redirect_uris must hold at least one URI, because grant_types holds authorization_code.".into()))?;
    ensure(
        asked.len() <= MOST_REDIRECT_URIS,
        wrong(format!(
            "redirect_uris must hold at most {MOST_REDIRECT_URIS} URIs."
        )),
    )?;
    let mut uris: Vec<RedirectUri> = Vec::new();
    for (number, text) in (1..).zip(asked) {
        let uri = text
            .parse()
            .map_err(|error| wrong(format!("Redirect URI {number} {error}.")))?;
        if !uris.contains(&uri) {
            uris.push(uri);
        }
    }
    Ok(uris)
}

/// OpenID Connect Registration §2 makes `web` the default and forbids it loopback addresses and private-use schemes. Clients
/// that use them seldom say `native`: the type is refused only where it was said.
fn application_type(
    members: &Members,
    uris: &[RedirectUri],
) -> Result<ApplicationType, MetadataError> {
    let all_on_the_web = uris.iter().all(RedirectUri::proves_its_host);
    let Some(asked) = members.text("application_type")? else {
        return Ok(if all_on_the_web {
            ApplicationType::Web
        } else {
            ApplicationType::Native
        });
    };
    let asked = asked
        .parse()
        .map_err(|_| invalid("application_type must be web or native."))?;
    let fits = asked == ApplicationType::Native || all_on_the_web;
    let text = "Every redirect URI of an application_type web must be https and on another machine; register native for others.";
    ensure(fits, MetadataError::RedirectUri(text.to_owned()))?;
    Ok(asked)
}

/// Scopes that are not offered are left out, as `offline_access` is; a client that asks for none gets the choice of all.
fn scopes(members: &Members, offer: &Offer) -> Result<Scopes, MetadataError> {
    let text = members.text("scope")?.unwrap_or_default();
    let words = || text.split(' ').filter(|word| !word.is_empty());
    ensure(
        words().all(is_scope_token),
        invalid("scope must be a list of scope names with a space between them."),
    )?;
    let offered: Scopes = words().filter(|word| offer.scopes.contains(word)).collect();
    Ok(if offered.is_empty() {
        offer.scopes.clone()
    } else {
        offered
    })
}

fn texts(members: &Members) -> Result<BTreeMap<String, String>, MetadataError> {
    let is_text = |name: &&String| {
        let member = name.split('#').next().unwrap_or_default();
        member == "client_name" || member.starts_with("software_") || URIS.contains(&member)
    };
    let mut texts = BTreeMap::new();
    for name in members.0.keys().filter(is_text) {
        let Some(text) = members.text(name)?.filter(|text| !text.is_empty()) else {
            continue;
        };
        let text = if URIS.iter().any(|uri| name.starts_with(uri)) {
            https(name, text)?
        } else {
            plain(name, text)?
        };
        texts.insert(name.clone(), text);
    }
    Ok(texts)
}

fn plain(name: &str, text: &str) -> Result<String, MetadataError> {
    let most = if name.starts_with("client_name") {
        MOST_NAME
    } else {
        MOST_TEXT
    };
    parse_text(text, most).map_err(|error| invalid(format!("{name} {error}.")))
}

/// A page for people: nothing here loads it, and a browser that does must not run it.
fn https(name: &str, text: &str) -> Result<String, MetadataError> {
    let plain = text.len() <= MOST_URI
        && text
            .bytes()
            .all(|byte| matches!(byte, 0x21..=0x7E) && !b"\\\"<>^`{|}".contains(&byte));
    let parsed = url::Url::parse(text)
        .ok()
        .filter(|_| plain && text.starts_with("https://"));
    let good = parsed
        .is_some_and(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
    if good {
        Ok(text.to_owned())
    } else {
        Err(invalid(format!(
            "{name} must be an https URI of at most {MOST_URI} characters."
        )))
    }
}

fn contacts(members: &Members) -> Result<Vec<String>, MetadataError> {
    let asked = members.list("contacts")?.unwrap_or_default();
    ensure(
        asked.len() <= MOST_CONTACTS,
        invalid(format!(
            "contacts must hold at most {MOST_CONTACTS} addresses."
        )),
    )?;
    asked
        .into_iter()
        .map(|contact| plain("contacts", contact))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<ClientMetadata, MetadataError> {
        let offer = Offer {
            scopes: ["read", "write"].into_iter().collect(),
            client_credentials: true,
        };
        Members::parse(json.as_bytes()).and_then(|members| ClientMetadata::new(&members, &offer))
    }

    #[test]
    fn what_means_the_same_reads_the_same() {
        let canonical = |json: &str| read(json).expect("valid").canonical();
        let first = canonical(
            r#"{"redirect_uris": ["http://127.0.0.1:1/cb", "https://a.example/cb"], "scope": "write read"}"#,
        );
        let second = r#"{"scope": "read write", "redirect_uris": ["https://a.example/cb", "http://127.0.0.1:2/cb", "http://127.0.0.1/cb"],
            "response_types": ["code"], "grant_types": ["authorization_code", "urn:other"], "token_endpoint_auth_method": "client_secret_basic"}"#;
        assert_eq!(first, canonical(second));
        assert_ne!(
            first,
            canonical(r#"{"redirect_uris": ["http://[::1]:1/cb", "https://a.example/cb"]}"#)
        );
    }

    #[test]
    fn a_value_cannot_pretend_to_be_a_member() {
        let canonical = |json: &str| read(json).expect("valid").canonical();
        let uris = r#""redirect_uris": ["https://a.example/cb"]"#;
        let one = canonical(&format!(r#"{{{uris}, "client_name": "a\" \"b"}}"#));
        assert!(one.contains(r#""client_name":"a\" \"b""#), "{one}");
    }

    #[test]
    fn what_was_stored_is_what_was_said() {
        let metadata = read(r#"{"redirect_uris": ["https://a.example/cb"], "client_name#de": "Angebote", "contacts": ["b", "a"]}"#).expect("valid");
        let again = read(&Value::Object(metadata.to_json()).to_string()).expect("valid");
        assert_eq!(again, metadata);
        assert_eq!(metadata.name, "Angebote");
    }

    proptest! {
        #[test]
        fn no_body_upsets_the_parser(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Members::parse(&body);
        }

        #[test]
        fn no_value_upsets_the_parser(member in prop::sample::select(KNOWN.to_vec()), text in "\\PC{0,100}") {
            for value in [Value::from(text.as_str()), Value::from(vec![text.as_str()])] {
                let mut members: Map<String, Value> = Map::new();
                members.insert("redirect_uris".into(), vec!["https://a.example/cb"].into());
                members.insert(member.to_owned(), value);
                if let Err(error) = read(&Value::Object(members).to_string()) {
                    // RFC 6749 §5.2: nothing of what was sent is in the text
                    let fits = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
                    prop_assert!(error.to_string().bytes().all(fits), "{error}");
                }
            }
        }
    }
}
