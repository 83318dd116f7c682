//! Redirect URIs: what may be registered, and what counts as the same (RFC 9700 §2.1, §4.1; RFC 8252 §7.3).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

/// Longer ones are refused at registration and at request.
const MOST_BYTES: usize = 2000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    #[error("is not an absolute URI")]
    NotAbsolute,
    #[error("must not have a fragment")]
    Fragment,
    #[error("must not have a user name or password")]
    UserInfo,
    #[error(
        "must use https, http on a loopback address, or a private-use scheme such as com.example.app"
    )]
    Scheme,
    #[error("must be at most 2000 characters of plain ASCII without spaces")]
    Characters,
    #[error(
        "must name a host of letters, digits, hyphens and dots, or an IP address in its usual form"
    )]
    Host,
}

/// A registered redirect URI, kept as it was written: comparison is by the byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedirectUri(String);

impl RedirectUri {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request for `asked` may be answered at it: equal to the byte (9700-1), save the port of a
    /// loopback IP address or `localhost` (RFC 8252 §7.3, 9700-2).
    pub fn matches(&self, asked: &Self) -> bool {
        if self == asked {
            return true;
        }
        match (loopback_parts(&self.0), loopback_parts(&asked.0)) {
            (Some(own), Some(other)) => own == other,
            _ => false,
        }
    }

    /// Whether nobody but the owner of a host can receive what is sent here: https, and not this machine (OAuth 2.1 §7.3.1).
    pub fn proves_its_host(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| url.scheme() == "https" && !is_loopback(&url))
    }

    /// The same for every port of a loopback address (RFC 8252 §7.3): what tells two registrations apart.
    pub fn without_loopback_port(&self) -> String {
        loopback_parts(&self.0).map_or_else(
            || self.0.clone(),
            |(host, rest)| format!("http://{host}{rest}"),
        )
    }

    /// Whether one of the others is at the same host and port, whatever the path; on this machine, whatever the port.
    pub fn is_at_host_of(&self, others: &[Self]) -> bool {
        let host = |uri: &Self| {
            let without_port = Self(uri.without_loopback_port());
            without_port.origin()
        };
        others.iter().any(|other| host(other) == host(self))
    }

    /// What the consent page shows: `https://app.example`, or the scheme of a native application.
    pub fn origin(&self) -> String {
        match Url::parse(&self.0) {
            Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => {
                url.origin().ascii_serialization()
            }
            Ok(url) => format!("{}:", url.scheme()),
            Err(_) => String::new(),
        }
    }

    /// The URI with parameters added to its query; a registered query stays (RFC 6749 §3.1.2).
    pub fn with_parameters(&self, parameters: &[(&str, &str)]) -> String {
        let mut serializer = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters {
            serializer.append_pair(name, value);
        }
        let separator = match self.0.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{}{separator}{}", self.0, serializer.finish())
    }
}

impl FromStr for RedirectUri {
    type Err = RedirectUriError;

    fn from_str(text: &str) -> Result<Self, RedirectUriError> {
        use RedirectUriError::{
            Characters, Fragment, Host as HostName, NotAbsolute, Scheme, UserInfo,
        };
        // the URL parser drops tabs and turns backslashes: what it would change is refused before it sees it
        if text.len() > MOST_BYTES
            || !text
                .bytes()
                .all(|byte| matches!(byte, 0x21..=0x7E) && !b"\\\"<>^`{|}".contains(&byte))
        {
            return Err(Characters);
        }
        let url = Url::parse(text).map_err(|_| NotAbsolute)?;
        if text.contains('#') {
            return Err(Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(UserInfo);
        }
        // a person reads it on the consent page: no host has a `;`, `,` or `*` in its name
        if matches!(url.host(), Some(Host::Domain(name)) if !name.bytes().all(is_host_byte)) {
            return Err(HostName);
        }
        let allowed = match url.scheme() {
            "https" => url.has_host() && text.starts_with("https://"),
            "http" => text.starts_with("http://") && is_loopback(&url),
            scheme => scheme.contains('.') && !scheme.starts_with('.') && !scheme.ends_with('.'),
        };
        if !allowed {
            return Err(Scheme);
        }
        // `https:///a.example`, `http://0x7f.1` and `https://%61.example` go elsewhere in a browser than they read
        if matches!(url.scheme(), "http" | "https")
            && !url
                .host_str()
                .is_some_and(|host| host.eq_ignore_ascii_case(without_port(authority(text))))
        {
            return Err(HostName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn authority(text: &str) -> &str {
    let after = text.split_once("://").map_or("", |(_, rest)| rest);
    after.split(['/', '?', '#']).next().unwrap_or("")
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Host and the rest behind the port, as written, of an `http` loopback URI.
fn loopback_parts(text: &str) -> Option<(&str, &str)> {
    let url = Url::parse(text).ok()?;
    if url.scheme() != "http" || !is_loopback(&url) {
        return None;
    }
    let after = text.strip_prefix("http://")?;
    let end = after.find(['/', '?']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    Some((without_port(authority), rest))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn one_byte_off_is_another_uri() {
        // 9700-1
        let registered = uri("https://app.example/cb");
        for other in [
            "https://app.example/cb/",
            "https://app.example/CB",
            "https://app.example/cb?x=1",
            "https://app.example/c%62",
        ] {
            assert!(!registered.matches(&uri(other)), "{other}");
        }
        assert!(registered.matches(&uri("https://app.example/cb")));
    }

    #[test]
    fn a_loopback_address_matches_on_any_port_and_nothing_else_varies() {
        // 9700-2
        let registered = uri("http://127.0.0.1/cb");
        assert!(registered.matches(&uri("http://127.0.0.1:49152/cb")));
        assert!(uri("http://[::1]/cb").matches(&uri("http://[::1]:5000/cb")));
        assert!(uri("http://localhost:1/cb").matches(&uri("http://localhost:2/cb")));
        for other in [
            "http://127.0.0.1:80/cb2",
            "http://127.0.0.2:80/cb",
            "http://localhost:80/cb",
            "http://127.0.0.1:80/cb?x",
        ] {
            assert!(!registered.matches(&uri(other)), "{other}");
        }
        assert!(!uri("https://app.example:1/cb").matches(&uri("https://app.example:2/cb")));
    }

    #[test]
    fn dangerous_uris_cannot_be_registered() {
        // 9700-3, 9700-4
        use RedirectUriError::{Characters, Fragment, Host, NotAbsolute, Scheme, UserInfo};
        for (text, error) in [
            ("http://app.example/cb", Scheme),
            ("javascript:alert(1)", Scheme),
            ("data:text/html,x", Scheme),
            ("myapp:/cb", Scheme),
            ("https:/app.example/cb", Scheme),
            ("https://app.example/cb#x", Fragment),
            ("https://app.example/cb#", Fragment),
            ("http://x@127.0.0.1/cb", UserInfo),
            ("https://@app.example/cb", UserInfo),
            ("/cb", NotAbsolute),
            ("https://app.example/c b", Characters),
            ("https://app.example\\@evil.example/", Characters),
            ("http://127.0.0.1.evil.example/cb", Scheme),
            ("https://a;script-src/cb", Host),
            ("https://a,b.example/cb", Host),
            ("https://a%2Cb.example/cb", Host),
            ("https://*.example/cb", Host),
            ("com.example.app://a;b/cb", Host),
            ("https:///app.example/cb", Host),
            ("https:////@app.example/cb", Host),
            ("https://%61pp.example/cb", Host),
            ("http://0x7f.1/cb", Host),
            ("http://[0:0:0:0:0:0:0:1]/cb", Host),
        ] {
            assert_eq!(text.parse::<RedirectUri>(), Err(error), "{text}");
        }
        assert!("com.example.app:/cb".parse::<RedirectUri>().is_ok());
    }

    #[test]
    fn parameters_join_a_registered_query() {
        assert_eq!(
            uri("https://a.example/cb").with_parameters(&[("code", "a b")]),
            "https://a.example/cb?code=a+b"
        );
        assert_eq!(
            uri("https://a.example/cb?x=1").with_parameters(&[("code", "c")]),
            "https://a.example/cb?x=1&code=c"
        );
        assert_eq!(
            uri("https://a.example/cb?").with_parameters(&[("code", "c")]),
            "https://a.example/cb?code=c"
        );
        assert_eq!(
            uri("https://a.example/cb?x=1&").with_parameters(&[("code", "c")]),
            "https://a.example/cb?x=1&code=c"
        );
        // RFC 3986 §3.4: a query may hold question marks, and end with one
        assert_eq!(
            uri("https://a.example/cb?x?").with_parameters(&[("code", "c")]),
            "https://a.example/cb?x?&code=c"
        );
    }
}
