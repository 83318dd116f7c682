//! `types/redirect_uri.rs`. Lines: the registered URI, the one asked for, then names and values of parameters.
//!
//! - Text and value are each other's inverse, by the byte.
//! - The host that RFC 3986 reads is the host that a browser reads.
//! - What the consent page shows of it is `scheme:` or `scheme://host:port`, and nothing more.
//! - `matches` is symmetric, and lets nothing but a loopback port differ.
//! - `with_parameters` is a header value, goes to the same place, and carries the parameters as they were.

use actix_web::http::header::HeaderValue;
use countersign::types::redirect_uri::RedirectUri;
use url::{Host, Url};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut lines = text.split('\n');
    let (registered, asked) = (
        lines.next().and_then(accepted),
        lines.next().and_then(accepted),
    );
    let rest: Vec<&str> = lines.collect();
    let parameters: Vec<(&str, &str)> = rest
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    if let Some(registered) = &registered {
        carries(registered, &parameters);
        assert!(registered.matches(registered));
        if let Some(asked) = &asked {
            same_but_for_the_port(registered, asked);
        }
    }
}

fn accepted(text: &str) -> Option<RedirectUri> {
    let uri: RedirectUri = text.parse().ok()?;
    assert_eq!((uri.as_str(), uri.to_string().as_str()), (text, text));
    let url = Url::parse(text).expect("accepted is absolute");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    if matches!(url.scheme(), "http" | "https") {
        assert_eq!(
            written_host(text).to_ascii_lowercase(),
            url.host_str().expect("a host"),
            "{text}"
        );
    }
    assert!(url.scheme() != "http" || is_loopback(&url), "{text}");
    assert!(is_one_origin(&uri.origin()), "{}", uri.origin());
    assert!(uri.origin().starts_with(&format!("{}:", url.scheme())));
    Some(uri)
}

/// RFC 3986 §3.2: the authority ends at the next `/`, `?` or `#`.
fn written_host(text: &str) -> &str {
    let authority = text
        .split_once("://")
        .map_or("", |(_, rest)| rest)
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    authority
        .rsplit_once(':')
        .filter(|(_, port)| is_port(port))
        .map_or(authority, |(host, _)| host)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn is_one_origin(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once(':') else {
        return false;
    };
    let scheme_is_plain = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let rest_is_plain = match rest.strip_prefix("//") {
        Some(host) => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
        }
        None => rest.is_empty(),
    };
    scheme_is_plain && rest_is_plain
}

fn same_but_for_the_port(registered: &RedirectUri, asked: &RedirectUri) {
    assert_eq!(registered.matches(asked), asked.matches(registered));
    if !registered.matches(asked) || registered == asked {
        return;
    }
    let parse = |uri: &RedirectUri| Url::parse(uri.as_str()).expect("accepted is absolute");
    let (mut one, mut other) = (parse(registered), parse(asked));
    assert!(is_loopback(&one) && one.scheme() == "http");
    one.set_port(None)
        .and_then(|()| other.set_port(None))
        .expect("http has ports");
    assert_eq!(one, other);
}

fn carries(uri: &RedirectUri, parameters: &[(&str, &str)]) {
    let sent = uri.with_parameters(parameters);
    assert!(HeaderValue::from_str(&sent).is_ok(), "{sent}");
    let added: usize = parameters
        .iter()
        .map(|(name, value)| 3 * (name.len() + value.len()) + 2)
        .sum();
    assert!(sent.len() <= uri.as_str().len() + added + 1);
    let (before, after) = (
        Url::parse(uri.as_str()).expect("accepted"),
        Url::parse(&sent).expect("still a URI"),
    );
    assert_eq!(
        (before.scheme(), before.host(), before.port(), before.path()),
        (after.scheme(), after.host(), after.port(), after.path())
    );
    assert_eq!(after.fragment(), None);
    let own: Vec<_> = before.query_pairs().into_owned().collect();
    let expected: Vec<(String, String)> = own
        .into_iter()
        .chain(
            parameters
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        )
        .collect();
    assert_eq!(
        after.query_pairs().into_owned().collect::<Vec<_>>(),
        expected,
        "{sent}"
    );
}
