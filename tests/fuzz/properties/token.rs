//! `crypto/signer.rs`: access tokens in JWT form. The input is a template: `{H} {B} {S}` are header, body and signature of a
//! token that an ES256 signer made, `{K}` its `kid`; `{h} {b} {s} {k}` the same by EdDSA; `[…]` is base64url of what it holds.
//!
//! - A signer accepts nothing but the header and the body that it signed, byte for byte, with the claims that it signed.
//!   (The signature itself may vary: of an ECDSA signature anybody can make a second one. It names the same `jti`.)
//! - A second signer of the same issuer and algorithm, with another key, accepts nothing of it.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::signer::{Audience, Claims, PrivateKey, Signer};
use countersign::types::id::{ApplicationId, AuthorizationId, OrganizationId};
use countersign::types::state::SigningAlgorithm;
use countersign::types::time::Timestamp;

const ISSUER: &str = "https://id.example";

struct Honest {
    signer: Signer,
    stranger: Signer,
    kid: String,
    claims: Claims,
    token: String,
}

static HONEST: LazyLock<[Honest; 2]> =
    LazyLock::new(|| [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa].map(honest));

pub fn check(input: &[u8]) {
    let Ok(template) = std::str::from_utf8(input) else {
        return;
    };
    let presented = expand(template);
    for honest in HONEST.iter() {
        assert!(honest.stranger.verify(&presented).is_err());
        let Ok(claims) = honest.signer.verify(&presented) else {
            assert_ne!(presented, honest.token);
            continue;
        };
        assert_eq!(claims, honest.claims);
        let (signed, _) = honest.token.rsplit_once('.').expect("three parts");
        assert_eq!(
            presented.rsplit_once('.').map(|(head, _)| head),
            Some(signed)
        );
    }
}

fn expand(template: &str) -> String {
    let mut text = template.to_owned();
    for (honest, names) in HONEST
        .iter()
        .zip([["{H}", "{B}", "{S}", "{K}"], ["{h}", "{b}", "{s}", "{k}"]])
    {
        let parts = honest.token.split('.').chain([honest.kid.as_str()]);
        text = names
            .iter()
            .zip(parts)
            .fold(text, |text, (name, part)| text.replace(name, part));
    }
    let mut expanded = String::new();
    let mut rest = text.as_str();
    while let Some((before, (inside, after))) = rest
        .split_once('[')
        .and_then(|(before, rest)| Some((before, rest.split_once(']')?)))
    {
        expanded.push_str(before);
        expanded.push_str(&URL_SAFE_NO_PAD.encode(inside));
        rest = after;
    }
    expanded + rest
}

fn honest(algorithm: SigningAlgorithm) -> Honest {
    let key = PrivateKey::generate(algorithm).expect("a key");
    let kid = key.kid.clone();
    // with the honest `kid`, so that nothing but the key itself tells the two apart
    let other = PrivateKey {
        kid: kid.clone(),
        ..PrivateKey::generate(algorithm).expect("a key")
    };
    let new = |key| Signer::new(ISSUER, &[(key, Timestamp::from_seconds(0))]).expect("a signer");
    let (signer, stranger) = (new(key), new(other));
    let claims = claims();
    let token = signer.sign(&claims).expect("signed");
    Honest {
        signer,
        stranger,
        kid,
        claims,
        token,
    }
}

fn claims() -> Claims {
    let now = Timestamp::from_seconds(1_795_176_000);
    Claims {
        iss: ISSUER.to_owned(),
        sub: "usr_x".to_owned(),
        aud: Audience::One(ISSUER.to_owned()),
        client_id: ApplicationId::generate(now),
        exp: now.seconds() + 900,
        iat: now.seconds(),
        jti: "at_x".to_owned(),
        scope: "read".to_owned(),
        authorization: AuthorizationId::generate(now),
        organization: OrganizationId::generate(now),
        environment: "sandbox".to_owned(),
        workspaces: Vec::new(),
    }
}
