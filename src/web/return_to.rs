//! Where a person goes after signing in: a path of this server, never another place (open redirect).

/// An authorization request with the longest `state` fits, each of its characters percent-encoded.
const MOST_BYTES: usize = 24 * 1024;

/// The path, if it is one of ours; `/` otherwise.
pub fn local_path(text: &str) -> &str {
    let plain = text.len() <= MOST_BYTES
        && text
            .bytes()
            .all(|byte| matches!(byte, 0x21..=0x7E) && byte != b'\\');
    if plain && text.starts_with('/') && !text.starts_with("//") {
        text
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server() {
        for path in [
            "/",
            "/oauth2/authorize?client_id=x&redirect_uri=https%3A%2F%2Fa.example",
        ] {
            assert_eq!(local_path(path), path);
        }
        for elsewhere in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\tx",
            "",
            "javascript:alert(1)",
        ] {
            assert_eq!(local_path(elsewhere), "/", "{elsewhere}");
        }
    }
}
