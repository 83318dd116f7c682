//! `web/return_to.rs`: where a person goes after signing in.
//!
//! - Resolved as a browser resolves a Location, it is on this server, whatever was asked for.
//! - It is a header value. What was accepted is accepted again.

use actix_web::http::header::HeaderValue;
use countersign::web::return_to::local_path;
use url::Url;

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let path = local_path(&text);
    assert!(path == text || path == "/");
    assert!(path.starts_with('/') && HeaderValue::from_str(path).is_ok());
    assert_eq!(local_path(path), path);
    for base in [
        "https://id.example/login?return_to=x",
        "http://127.0.0.1:8080/login",
    ] {
        let base = Url::parse(base).expect("a URL");
        let target = base.join(path).expect("a path joins");
        assert_eq!(target.origin(), base.origin(), "{path}");
        assert!(target.username().is_empty() && target.password().is_none());
    }
}
