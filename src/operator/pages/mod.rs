//! The operator's pages, all under `/operator`.

pub mod applications;
pub mod organizations;
pub mod people;
pub mod resource_servers;
pub mod tokens;

use askama::Template;

use crate::web::page::Shell;

/// What waits, and the ways on.
#[derive(Template)]
#[template(path = "operator/home.html")]
pub struct HomePage {
    pub shell: Shell,
    /// Requests for approval.
    pub waiting: usize,
    /// Requests for Production.
    pub production: usize,
    pub resource_servers: usize,
}

/// The only page that ever shows `secret`. Answer it with `Cache-Control: no-store`.
#[derive(Template)]
#[template(path = "operator/shown_once.html")]
pub struct ShownOncePage {
    pub shell: Shell,
    pub heading: String,
    /// Whose it is.
    pub about: String,
    /// What `secret` is.
    pub kind: String,
    pub secret: String,
    pub advice: String,
    /// Where to go on.
    pub back: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{SCRIPT, long, operator};

    #[test]
    fn what_is_shown_once_keeps_the_promises() {
        for (kind, name) in [("script", SCRIPT.to_owned()), ("long", long())] {
            assert_kept(
                &format!("operator-shown-once-{kind}"),
                &ShownOncePage {
                    shell: operator("Token created"),
                    heading: "The token is ready".into(),
                    about: name.clone(),
                    kind: "Operator token".into(),
                    secret: "cs_ot_AbC4xY9kLm2QzT7vWp1RsN5uJh8GdFe3BcXaYqZoMiKlPw".into(),
                    advice: "Your program sends it.".into(),
                    back: "/operator/tokens".into(),
                },
            );
        }
    }

    #[test]
    fn the_home_page_keeps_the_promises() {
        for waiting in [0, 1, 14] {
            assert_kept(
                "operator-home",
                &HomePage {
                    shell: operator("Operator"),
                    waiting,
                    production: waiting,
                    resource_servers: waiting,
                },
            );
        }
    }
}
