//! Resource indicators (RFC 8707 §2): the absolute URIs by which resource servers are called in `resource` and `aud`.
//!
//! Invariant: a resource is kept and answered letter by letter as the operator registered it: a resource server compares
//! `aud`, a client the `resource` of RFC 9728 with what they know. How somebody else writes it is only compared ([`is_same`]).

use std::fmt;
use std::str::FromStr;

use url::Url;

const MOST_BYTES: usize = 500;
/// Resources in one request.
pub const MOST_RESOURCES: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    #[error("must be an absolute https URI, or http on a loopback address")]
    NotAbsolute,
    #[error("must not have a fragment, a user name or a password")]
    Extra,
    #[error("must be at most 500 characters of plain ASCII without spaces")]
    Characters,
    #[error("names more than 10 resources")]
    TooMany,
}

/// One resource, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceUri(String);

impl ResourceUri {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for two that name one resource: scheme and host in lower case, and a bare host without its slash.
    pub fn key(&self) -> String {
        let (origin, rest) = parts(&self.0);
        format!("{}{rest}", origin.to_ascii_lowercase())
    }

    /// RFC 9728 §3.1: where the metadata of this resource is: the well-known path goes between host and path, in the place
    /// of the slash of a bare host.
    pub fn metadata_url(&self) -> String {
        let (origin, rest) = parts(&self.0);
        format!("{origin}/.well-known/oauth-protected-resource{rest}")
    }
}

impl FromStr for ResourceUri {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        use ResourceError::{Characters, Extra, NotAbsolute};
        if text.len() > MOST_BYTES
            || !text
                .bytes()
                .all(|byte| matches!(byte, 0x21..=0x7E) && !b"\\\"<>^`{|}".contains(&byte))
        {
            return Err(Characters);
        }
        let url = Url::parse(text).map_err(|_| NotAbsolute)?;
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if !text.contains("://") {
            return Err(NotAbsolute);
        }
        if !(url.scheme() == "https" && url.has_host() || url.scheme() == "http" && loopback) {
            return Err(NotAbsolute);
        }
        // RFC 8707 §2: no fragment
        if text.contains('#')
            || !url.username().is_empty()
            || url.password().is_some()
            || text[..origin_bytes(text)].contains('@')
        {
            return Err(Extra);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether both name one resource: the case of scheme and host does not matter, nor whether a bare host has its slash (RFC
/// 3986 §6.2.2.1, §6.2.3: clients that parse a URL write it that way). Everything else is compared by the byte.
pub fn is_same(one: &str, other: &str) -> bool {
    let ((origin, rest), (other_origin, other_rest)) = (parts(one), parts(other));
    origin.eq_ignore_ascii_case(other_origin) && rest == other_rest
}

/// `scheme://authority`, and the rest that is compared.
fn parts(text: &str) -> (&str, &str) {
    let (origin, rest) = text.split_at(origin_bytes(text));
    (origin, if rest == "/" { "" } else { rest })
}

/// Bytes of `scheme://authority`.
fn origin_bytes(text: &str) -> usize {
    let start = text.find("://").map_or(0, |colon| colon + 3);
    text[start..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |end| start + end)
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The resources that a grant or token is for: sorted, each once, stored as one text. None: the default audience.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Resources(String);

impl Resources {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|uri| !uri.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is this resource, however it is written.
    pub fn contains(&self, uri: &str) -> bool {
        self.iter().any(|own| is_same(own, uri))
    }

    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().all(|uri| other.contains(uri))
    }

    /// Those that `asked` names, too, as they are written here.
    pub fn narrowed_to(&self, asked: &Self) -> Self {
        let named: Vec<&str> = self.iter().filter(|uri| asked.contains(uri)).collect();
        Self(named.join(" "))
    }
}

impl FromIterator<ResourceUri> for Resources {
    fn from_iter<I: IntoIterator<Item = ResourceUri>>(uris: I) -> Self {
        let mut uris: Vec<String> = uris.into_iter().map(|uri| uri.0).collect();
        uris.sort_unstable();
        uris.dedup_by(|one, other| is_same(one, other));
        Self(uris.join(" "))
    }
}

impl FromStr for Resources {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        text.split(' ')
            .filter(|uri| !uri.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<ResourceUri>, _>>()
            .map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> ResourceUri {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_is_one_resource_is_found_and_every_resource_stays_as_it_was_written() {
        // MCP-23; RFC 9068 §3, RFC 9728 §3.3
        for (one, other) in [
            ("HTTPS://API.example/v1", "https://api.example/v1"),
            ("https://api.example/", "https://api.example"),
        ] {
            assert!(is_same(one, other) && uri(one).key() == uri(other).key());
            assert_eq!(
                (uri(one).as_str(), uri(other).as_str()),
                (one, other),
                "letter by letter"
            );
        }
        for other in [
            "https://api.example/V1",
            "https://api.example/v1/",
            "https://api.example/v1?x",
            "https://api.example:8443/v1",
        ] {
            assert!(!is_same("https://api.example/v1", other), "{other}");
            assert_ne!(uri("https://api.example/v1").key(), uri(other).key());
        }
    }

    #[test]
    fn what_is_no_resource_is_refused() {
        // RFC 8707 §2
        use ResourceError::{Characters, Extra, NotAbsolute};
        for (text, error) in [
            ("api", NotAbsolute),
            ("/v1", NotAbsolute),
            ("http://api.example", NotAbsolute),
            ("urn:api", NotAbsolute),
            ("https://api.example#x", Extra),
            ("https://x@api.example", Extra),
            ("https://api.example/a b", Characters),
            ("", NotAbsolute),
        ] {
            assert_eq!(text.parse::<ResourceUri>(), Err(error), "{text}");
        }
        assert!("http://127.0.0.1:9000/mcp".parse::<ResourceUri>().is_ok());
    }

    #[test]
    fn the_metadata_stands_between_host_and_path() {
        // RFC 9728 §3.1
        assert_eq!(
            uri("https://api.example/mcp").metadata_url(),
            "https://api.example/.well-known/oauth-protected-resource/mcp"
        );
        for bare in ["https://api.example", "https://api.example/"] {
            assert_eq!(
                uri(bare).metadata_url(),
                "https://api.example/.well-known/oauth-protected-resource"
            );
        }
    }

    #[test]
    fn a_set_is_sorted_and_survives_its_text() {
        let set: Resources = "https://b.example https://a.example/x https://b.example/"
            .parse()
            .expect("resources");
        assert_eq!(set.as_str(), "https://a.example/x https://b.example");
        let one: Resources = "https://B.example/".parse().expect("resources");
        assert!(one.is_subset_of(&set));
        // as it was granted, not as it is asked for
        assert_eq!(set.narrowed_to(&one).as_str(), "https://b.example");
    }
}
