//! The cookies of this server: their names, their attributes, and the one reader of all of them.
//!
//! Invariants:
//! - A cookie of ours is the one whose name is ours byte for byte (RFC 6265 §5.4; RFC 6265bis §4.1.3.2): nothing is
//!   percent-decoded, because `%5F_Host-…` is a name that any host of the same parent domain may set.
//! - A cookie of somebody else is passed over, however it looks: bytes that are no UTF-8, no `=`, quotes, thousands of bytes.
//! - Of two cookies with a name of ours none counts: their order would let another host choose.
//!
//! `clippy.toml` forbids the readers of actix-web everywhere.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{COOKIE, HeaderMap};

use crate::types::text::random_base62;

/// 43 base62 characters hold 256 random bits.
const TOKEN_CHARACTERS: usize = 43;

const SESSION: &str = "countersign_session";
const STRANGER: &str = "countersign_visitor";
/// What a browser takes along to a provider and brings back, sealed.
const SIGN_IN: &str = "countersign_sign_in";
/// By which a browser is known to accounts, sealed for each.
const DEVICES: &str = "countersign_devices";

/// The tokens in a browser's cookies: each has the shape of one of ours, and is not yet known to be one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presented {
    pub session: Option<String>,
    pub stranger: Option<String>,
}

impl Presented {
    pub fn of(headers: &HeaderMap, secure: bool) -> Self {
        let token = |name| {
            find(headers, &full_name(name, secure))
                .filter(|value| is_token(value))
                .map(str::to_owned)
        };
        Self {
            session: token(SESSION),
            stranger: token(STRANGER),
        }
    }
}

/// A new session's secret, for the cookie; its digest is stored.
pub fn mint_session_token() -> String {
    random_base62(TOKEN_CHARACTERS)
}

pub fn session(secure: bool, token: String) -> Cookie<'static> {
    cookie(SESSION, secure, token)
}

pub fn stranger(secure: bool, token: String) -> Cookie<'static> {
    cookie(STRANGER, secure, token)
}

/// Takes the session's and the stranger's cookie away, on both kinds of issuer.
pub fn removals(secure: bool) -> [Cookie<'static>; 2] {
    [SESSION, STRANGER].map(|name| removal(name, secure))
}

/// For a sign-in at a provider: it ends by itself.
pub fn sign_in(secure: bool, sealed: String, seconds: i64) -> Cookie<'static> {
    let mut cookie = cookie(SIGN_IN, secure, sealed);
    cookie.set_max_age(Duration::seconds(seconds));
    cookie
}

pub fn sign_in_removal(secure: bool) -> Cookie<'static> {
    removal(SIGN_IN, secure)
}

pub fn read_sign_in(headers: &HeaderMap, secure: bool) -> Option<&str> {
    find(headers, &full_name(SIGN_IN, secure))
}

/// For known devices.
pub fn devices(secure: bool, sealed: String, seconds: i64) -> Cookie<'static> {
    let mut cookie = cookie(DEVICES, secure, sealed);
    cookie.set_max_age(Duration::seconds(seconds));
    cookie
}

pub fn read_devices(headers: &HeaderMap, secure: bool) -> Option<&str> {
    find(headers, &full_name(DEVICES, secure))
}

/// The value of the one cookie of this name.
fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers
        .get_all(COOKIE)
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        (pair[..at].trim_ascii() == name.as_bytes()).then(|| pair[at + 1..].trim_ascii())
    });
    let (only, second) = (values.next()?, values.next());
    second
        .is_none()
        .then(|| std::str::from_utf8(only).ok())
        .flatten()
}

/// `__Host-` and Secure for an https issuer; a plain name only for http on a loopback address.
fn cookie(name: &str, secure: bool, value: String) -> Cookie<'static> {
    Cookie::build(full_name(name, secure), value)
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Lax)
        .finish()
}

fn removal(name: &str, secure: bool) -> Cookie<'static> {
    let mut removal = cookie(name, secure, String::new());
    removal.make_removal();
    removal
}

fn full_name(name: &str, secure: bool) -> String {
    if secure {
        format!("__Host-{name}")
    } else {
        name.to_owned()
    }
}

fn is_token(text: &str) -> bool {
    text.len() == TOKEN_CHARACTERS && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    /// What all readers take out of these Cookie headers: session, stranger, sign-in, devices.
    fn read(cookies: &[&[u8]], secure: bool) -> [Option<String>; 4] {
        let mut headers = HeaderMap::new();
        for value in cookies {
            headers.append(COOKIE, HeaderValue::from_bytes(value).expect("a header"));
        }
        let presented = Presented::of(&headers, secure);
        let sign_in = read_sign_in(&headers, secure).map(str::to_owned);
        let devices = read_devices(&headers, secure).map(str::to_owned);
        [presented.session, presented.stranger, sign_in, devices]
    }

    #[test]
    fn only_the_name_as_it_is_written_counts_at_every_reader() {
        let (own, planted) = ("a".repeat(TOKEN_CHARACTERS), "b".repeat(TOKEN_CHARACTERS));
        for (at, name) in [SESSION, STRANGER, SIGN_IN, DEVICES]
            .into_iter()
            .enumerate()
        {
            let guarded = format!("__Host-{name}={own}");
            let mut expected = [None, None, None, None];
            expected[at] = Some(own.clone());
            assert_eq!(read(&[guarded.as_bytes()], true), expected);
            // RFC 6265bis §4.1.3.2: browsers guard the prefix as it is written, and no other spelling of it
            let spellings = [
                format!("%5F%5FHost-{name}"),
                format!("%5f_Host-{name}"),
                name.to_owned(),
                format!("__host-{name}"),
                format!("__Host-{}", name.replace('_', "%5F")),
                format!("\u{feff}__Host-{name}"),
                format!("\u{a0}__Host-{name}"),
            ];
            for spelling in &spellings {
                let alone = format!("{spelling}={planted}");
                assert_eq!(read(&[alone.as_bytes()], true), [None, None, None, None]);
                for both in [format!("{alone}; {guarded}"), format!("{guarded};{alone}")] {
                    assert_eq!(read(&[both.as_bytes()], true), expected, "{both}");
                }
                assert_eq!(
                    read(&[alone.as_bytes(), guarded.as_bytes()], true),
                    expected
                );
            }
            let twice = format!("{name}={planted}; {name}={own}");
            assert_eq!(read(&[twice.as_bytes()], false), [None, None, None, None]);
            let (one, other) = (format!("{name}={planted}"), format!("{name}={own}"));
            assert_eq!(
                read(&[one.as_bytes(), other.as_bytes()], false),
                [None, None, None, None]
            );
        }
        let decoded = format!("countersign_session=%61{}", &own[1..]);
        assert_eq!(read(&[decoded.as_bytes()], false)[0], None);
    }

    #[test]
    fn a_strange_cookie_of_others_hides_none_of_ours() {
        let own = "a".repeat(TOKEN_CHARACTERS);
        let long = [b"l=".as_slice(), &[b'x'; 3500]].concat();
        let strange: [&[u8]; 9] = [
            b"junk",
            b"=x",
            b"=",
            b"prefs={\"a\":\"b, c\"}",
            b"q=\"a b",
            "name=J\u{f6}rg".as_bytes(),
            b"name=J\xf6rg",
            b"p=%zz%ff",
            &long,
        ];
        for name in [SESSION, STRANGER, SIGN_IN] {
            let ours = format!("{name}={own}");
            for other in strange {
                for pair in [[other, ours.as_bytes()], [ours.as_bytes(), other]] {
                    let joined = pair.join(b"; ".as_slice());
                    for headers in [vec![joined.as_slice()], pair.to_vec()] {
                        let found = read(&headers, false).into_iter().flatten();
                        assert!(found.eq([own.as_str()]));
                    }
                }
            }
        }
        // a value of ours that is no text is none
        assert_eq!(
            read(&[b"countersign_sign_in=\xf6"], false),
            [None, None, None, None]
        );
    }
}
