//! `[server]`: where it listens and what it is called.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The address people and applications use, without a path or a trailing slash. Every absolute URL is made from it.
    /// Empty: `http://` and the listening address, which must then be a loopback one.
    pub issuer: String,
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: String,
    /// Further `Host` names that requests may carry, such as the one by which the API's backend reaches this server.
    pub hosts: Vec<String>,
    /// Further paths of endpoints, for clients that know them from an earlier product: `/oauth/token=/oauth2/token`.
    pub aliases: Vec<Alias>,
    /// Threads that serve requests; 0: one per core.
    pub workers: usize,
    /// Networks of the proxies whose `X-Forwarded-For` counts. Empty: nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// The longest accepted body of a form or JSON request, in bytes.
    pub max_body_bytes: usize,
    /// Seconds that running requests get when the process is told to stop.
    pub shutdown_seconds: u64,
    /// Connections at once; 0: as many as the limit of file descriptors leaves room for, at most 4096.
    pub max_connections: usize,
    /// Seconds in which the head of a request must be complete, from its first byte, or from the connection's begin.
    pub head_seconds: u64,
    /// Seconds after which a client is closed that takes nothing of its answer.
    pub write_seconds: u64,
    /// Seconds after which a connection is closed that carries no request: more than those of the proxy in front.
    pub keep_alive_seconds: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            listen: "127.0.0.1:8080".to_owned(),
            hosts: Vec::new(),
            aliases: Vec::new(),
            workers: 0,
            trusted_proxies: Vec::new(),
            max_body_bytes: 64 * 1024,
            shutdown_seconds: 10,
            max_connections: 0,
            head_seconds: 10,
            write_seconds: 30,
            keep_alive_seconds: 75,
        }
    }
}

/// A second path of an endpoint, written `/new/path=/path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alias {
    pub path: String,
    /// The endpoint's own.
    pub of: String,
}

impl TryFrom<String> for Alias {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_path = |path: &str| {
            path.len() <= 200
                && path.starts_with('/')
                && path
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte))
        };
        let (path, of) = text
            .split_once('=')
            .map(|(path, of)| (path.trim(), of.trim()))
            .ok_or("an alias is written /new/path=/path")?;
        if !is_path(path) || !is_path(of) {
            return Err("an alias is two paths of letters, digits and - _ . /");
        }
        Ok(Self {
            path: path.to_owned(),
            of: of.to_owned(),
        })
    }
}

impl From<Alias> for String {
    fn from(Alias { path, of }: Alias) -> Self {
        format!("{path}={of}")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    #[error("[server] aliases: {0} has an endpoint already")]
    Taken(String),
    #[error("[server] aliases: there is no endpoint at {0}")]
    NoEndpoint(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    #[error("{0:?} is not a URL")]
    NotAUrl(String),
    #[error("{0:?} must not have a path, a query, a fragment or a user name")]
    Parts(String),
    #[error("{0:?} must be written as {1:?}")]
    NotCanonical(String, String),
    #[error("{0:?} must use https; http is accepted for a loopback address only")]
    Insecure(String),
}

/// The issuer, byte for byte as clients compare it (RFC 8414 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    url: String,
    /// The `Host` header that belongs to it.
    host: String,
    secure: bool,
}

/// https, or http for a loopback address.
pub fn is_secure_or_loopback(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    matches!((url.scheme(), loopback), ("https", _) | ("http", true))
}

impl Issuer {
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        let url = Url::parse(text).map_err(|_| IssuerError::NotAUrl(text.to_owned()))?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !bare || text.ends_with('/') {
            return Err(IssuerError::Parts(text.to_owned()));
        }
        if !is_secure_or_loopback(&url) {
            return Err(IssuerError::Insecure(text.to_owned()));
        }
        // browsers write it so in `Origin`, and clients compare it byte for byte
        let canonical = url.origin().ascii_serialization();
        if canonical != text {
            return Err(IssuerError::NotCanonical(text.to_owned(), canonical));
        }
        let host = url.host_str().unwrap_or_default();
        let host = url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self {
            url: text.to_owned(),
            host,
            secure: url.scheme() == "https",
        })
    }

    pub fn as_str(&self) -> &str {
        &self.url
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether cookies can carry `Secure` and `__Host-`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

impl Server {
    /// The issuer, made from the listening address when none is configured.
    pub fn issuer(&self) -> Result<Issuer, IssuerError> {
        if self.issuer.is_empty() {
            Issuer::parse(&format!("http://{}", self.listen))
        } else {
            Issuer::parse(&self.issuer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_a_loopback_address_can_be_the_issuer() {
        assert!(
            Issuer::parse("https://id.example")
                .is_ok_and(|issuer| issuer.is_secure() && issuer.host() == "id.example")
        );
        assert!(
            Issuer::parse("http://127.0.0.1:8080")
                .is_ok_and(|issuer| !issuer.is_secure() && issuer.host() == "127.0.0.1:8080")
        );
        assert!(Issuer::parse("http://[::1]").is_ok_and(|issuer| issuer.host() == "[::1]"));
        assert!(matches!(
            Issuer::parse("http://id.example"),
            Err(IssuerError::Insecure(_))
        ));
        assert!(matches!(
            Issuer::parse("http://0.0.0.0:8080"),
            Err(IssuerError::Insecure(_))
        ));
        for text in [
            "https://Id.example",
            "https://id.example:443",
            "http://127.0.0.1:80",
        ] {
            assert!(
                matches!(Issuer::parse(text), Err(IssuerError::NotCanonical(..))),
                "{text}"
            );
        }
        for text in [
            "https://id.example/",
            "https://id.example/t1",
            "https://u@id.example",
            "https://id.example?x",
        ] {
            assert!(
                matches!(Issuer::parse(text), Err(IssuerError::Parts(_))),
                "{text}"
            );
        }
    }
}
