//! The page about operator tokens.

use askama::Template;

use crate::web::page::{FieldErrors, Shell};

/// `POST /operator/tokens` with `csrf name permission… expiry`.
#[derive(Template)]
#[template(path = "operator/tokens.html")]
pub struct TokensPage {
    pub shell: Shell,
    pub csrf: String,
    pub tokens: Vec<TokenRow>,
    /// In place of the form: where the operator proves first who they are.
    pub confirm_href: Option<String>,
    pub permissions: Vec<PermissionTick>,
    pub form: TokenForm,
    pub errors: FieldErrors,
}

#[derive(Debug, Clone)]
pub struct TokenRow {
    pub name: String,
    /// How it starts.
    pub hint: String,
    pub permissions: Vec<String>,
    pub created: String,
    /// A date, "Never", or "Expired".
    pub expires: String,
    pub last_used: String,
    /// Where to post to revoke it: `csrf`.
    pub revoke_action: String,
}

#[derive(Debug, Clone)]
pub struct PermissionTick {
    pub name: String,
    pub title: String,
    pub selected: bool,
}

/// The text of each field, whatever it was.
#[derive(Debug, Clone)]
pub struct TokenForm {
    pub name: String,
    /// `30`, `90`, `365` days, or `never`.
    pub expiry: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, operator};

    fn page(name: &str) -> TokensPage {
        let mut errors = FieldErrors::default();
        for field in ["name", "permissions", "expiry"] {
            errors.push(field, format!("Something is wrong here: {name}"));
        }
        TokensPage {
            shell: operator("Operator tokens"),
            csrf: "csrf-token".into(),
            tokens: vec![TokenRow {
                name: name.into(),
                hint: "cs_ot_ab12…".into(),
                permissions: vec!["*".into()],
                created: "3 Oct 2026".into(),
                expires: "Never".into(),
                last_used: "Never".into(),
                revoke_action: "/operator/tokens/opt_1/revoke".into(),
            }],
            confirm_href: None,
            permissions: vec![PermissionTick {
                name: "operator:read".into(),
                title: name.into(),
                selected: true,
            }],
            form: TokenForm {
                name: name.into(),
                expiry: "90".into(),
            },
            errors,
        }
    }

    #[test]
    fn the_page_of_operator_tokens_keeps_the_promises() {
        assert_kept(
            "operator-tokens-none",
            &TokensPage {
                tokens: Vec::new(),
                errors: FieldErrors::default(),
                confirm_href: Some("/account/confirm?return_to=%2F".into()),
                ..page("Billing")
            },
        );
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(&format!("operator-tokens-{kind}"), &page(&name));
        }
    }
}
