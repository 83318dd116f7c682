//! One HTTP request, one answer of bounded size and time, no redirects.
//!
//! Invariant: what a stranger named is dialled over https and at public addresses only. Addresses are checked where they are
//! resolved to be dialled, so that a name cannot resolve to one address for the check and to another for the connection.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use openidconnect::http::Response;
use openidconnect::{HttpRequest, HttpResponse};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use url::{Host, Url};

use super::addresses::is_public;
use crate::config::is_secure_or_loopback;

const CONNECT_SECONDS: u64 = 5;
const TOTAL_SECONDS: u64 = 10;
/// Metadata, key sets and tokens are far smaller.
const MOST_BYTES: usize = 256 * 1024;

/// Who named the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NamedBy {
    Operator,
    /// An organization's admin: anybody.
    Stranger,
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0} is not an address that may be asked")]
    Forbidden(String),
    #[error("the answer is longer than {MOST_BYTES} bytes")]
    TooLarge,
    #[error("the request failed: {0}")]
    Failed(String),
}

/// Both clients are made when they are first needed: a server that asks nobody needs no certificates.
pub struct Http {
    private_allowed: bool,
    open: OnceLock<Client>,
    guarded: OnceLock<Client>,
}

impl Http {
    /// `private_allowed`: strangers may name what the operator may.
    pub fn new(private_allowed: bool) -> Self {
        Self {
            private_allowed,
            open: OnceLock::new(),
            guarded: OnceLock::new(),
        }
    }

    /// Whether this may be asked, or a browser sent there, as far as the URL itself tells.
    pub fn permits(&self, url: &Url, named_by: NamedBy) -> bool {
        if self.is_trusted(named_by) {
            return is_secure_or_loopback(url);
        }
        let public = match url.host() {
            Some(Host::Ipv4(address)) => is_public(address.into()),
            Some(Host::Ipv6(address)) => is_public(address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        url.scheme() == "https" && public
    }

    pub async fn fetch(
        &self,
        named_by: NamedBy,
        request: HttpRequest,
    ) -> Result<HttpResponse, FetchError> {
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        if !self.permits(request.url(), named_by) {
            return Err(FetchError::Forbidden(
                request.url().origin().ascii_serialization(),
            ));
        }
        let mut answer = self
            .client(named_by)?
            .execute(request)
            .await
            .map_err(failed)?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if body.len() + part.len() > MOST_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        response
            .body(body)
            .map_err(|error| FetchError::Failed(error.to_string()))
    }

    fn is_trusted(&self, named_by: NamedBy) -> bool {
        named_by == NamedBy::Operator || self.private_allowed
    }

    fn client(&self, named_by: NamedBy) -> Result<&Client, FetchError> {
        let (place, builder) = if self.is_trusted(named_by) {
            (&self.open, builder())
        } else {
            // a proxy would resolve and dial on our behalf, unchecked
            (
                &self.guarded,
                builder()
                    .no_proxy()
                    .https_only(true)
                    .dns_resolver(Arc::new(PublicOnly)),
            )
        };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let built = builder.build().map_err(failed)?;
        Ok(place.get_or_init(|| built))
    }
}

fn builder() -> ClientBuilder {
    // no connection is kept: each belongs to the worker thread that opened it
    let client = Client::builder()
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        .referer(false)
        .user_agent("countersign");
    client
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
        .timeout(Duration::from_secs(TOTAL_SECONDS))
}

/// With its causes: reqwest's own text names none of them, and the URL is said elsewhere.
fn failed(error: reqwest::Error) -> FetchError {
    FetchError::Failed(with_causes(&error.without_url()))
}

/// An error and what caused it, for the log.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Resolves to public addresses, or not at all.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("it has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(http: &Http, url: &str, named_by: NamedBy) -> bool {
        http.permits(&Url::parse(url).expect("a URL"), named_by)
    }

    #[test]
    fn strangers_name_public_https_only() {
        let http = Http::new(false);
        assert!(permits(
            &http,
            "https://id.example/token",
            NamedBy::Stranger
        ));
        for url in [
            "http://id.example",
            "https://127.0.0.1",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://169.254.169.254/latest",
            "https://10.0.0.1:8443",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "ftp://id.example",
        ] {
            assert!(!permits(&http, url, NamedBy::Stranger), "{url}");
        }
    }

    #[test]
    fn the_operator_names_https_and_loopback() {
        let http = Http::new(false);
        for url in [
            "https://10.0.0.1",
            "http://127.0.0.1:9000/x",
            "https://id.example",
        ] {
            assert!(permits(&http, url, NamedBy::Operator), "{url}");
        }
        for url in [
            "http://id.example",
            "http://10.0.0.1",
            "javascript:alert(1)",
        ] {
            assert!(!permits(&http, url, NamedBy::Operator), "{url}");
        }
        assert!(
            permits(&Http::new(true), "http://127.0.0.1:9000", NamedBy::Stranger),
            "when the operator says so"
        );
    }

    #[test]
    fn a_name_of_a_private_address_is_not_dialled() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let request = openidconnect::http::Request::builder()
            .uri("https://localhost:1/")
            .body(Vec::new())
            .expect("a request");
        let error = runtime
            .block_on(Http::new(false).fetch(NamedBy::Stranger, request))
            .expect_err("refused")
            .to_string();
        assert!(error.contains("no public address"), "{error}");
    }
}
