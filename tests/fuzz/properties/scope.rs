//! `types/scope.rs`. Lines: two lists of scopes.
//!
//! - Written and read again they are the same; sorted, each once, never longer than what was sent.
//! - Every token is one of RFC 6749 §3.3, so that a list can stand in a quoted header parameter.
//! - `is_subset_of` is that of sets.

use std::collections::BTreeSet;

use countersign::types::scope::{Scopes, is_scope_token};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    let (Some(one), Some(other)) = (accepted(one), accepted(other)) else {
        return;
    };
    let set = |scopes: &Scopes| scopes.iter().map(str::to_owned).collect::<BTreeSet<_>>();
    if one.as_str().len() * other.as_str().len() < 1_000_000 {
        assert_eq!(one.is_subset_of(&other), set(&one).is_subset(&set(&other)));
    }
    assert_eq!(one == other, set(&one) == set(&other));
}

fn accepted(text: &str) -> Option<Scopes> {
    let scopes: Scopes = text.parse().ok()?;
    assert_eq!(scopes.to_string().parse::<Scopes>().as_ref(), Ok(&scopes));
    assert!(scopes.as_str().len() <= text.len());
    let tokens: Vec<&str> = scopes.iter().collect();
    assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(tokens.iter().all(|token| {
        is_scope_token(token)
            && token
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    }));
    assert_eq!(tokens.is_empty(), scopes.is_empty());
    assert_eq!(scopes.as_str(), tokens.join(" "));
    Some(scopes)
}
