//! The pages of management tokens.

use askama::Template;

use crate::config::Risk;
use crate::domain::people::management_tokens::{DEFAULT_DAYS, MOST_DAYS};
use crate::web::page::{Choice, FieldErrors, OrganizationLink, Shell};

/// `POST …/management-tokens` with `csrf name permission… reach workspace… days`.
#[derive(Template)]
#[template(path = "console/management_tokens.html")]
pub struct ManagementTokensPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub tokens: Vec<ManagementTokenRow>,
    /// In place of the form: where the person proves first who they are.
    pub confirm_href: Option<String>,
    pub form: ManagementTokenForm,
    pub permissions: Vec<PermissionRow>,
    pub workspaces: Vec<Choice>,
    pub errors: FieldErrors,
}

#[derive(Debug, Clone)]
pub struct ManagementTokenRow {
    pub name: String,
    /// How it starts.
    pub hint: String,
    /// Who made it, and as whom it acts.
    pub maker: String,
    pub permissions: Vec<String>,
    /// By name; none: the whole organization.
    pub workspaces: Option<Vec<String>>,
    pub created: String,
    /// A date, or "Expired".
    pub expires: String,
    pub last_used: String,
    /// Where to post to revoke it: `csrf`.
    pub revoke_action: String,
}

#[derive(Debug, Clone)]
pub struct PermissionRow {
    pub name: String,
    pub title: String,
    pub description: String,
    pub risk: Risk,
    pub selected: bool,
}

/// The text of each field, whatever it was.
#[derive(Debug, Clone)]
pub struct ManagementTokenForm {
    pub name: String,
    /// `organization` or `workspaces`.
    pub reach: String,
    pub days: String,
}

impl Default for ManagementTokenForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            reach: "organization".to_owned(),
            days: DEFAULT_DAYS.to_string(),
        }
    }
}

impl ManagementTokensPage {
    fn most_days(&self) -> i64 {
        MOST_DAYS
    }
}

/// The only page that ever shows the token. Answer it with `Cache-Control: no-store`.
#[derive(Template)]
#[template(path = "console/management_token_created.html")]
pub struct ManagementTokenCreatedPage {
    pub shell: Shell,
    pub organization: OrganizationLink,
    pub name: String,
    pub secret: String,
    pub expires: String,
}

#[cfg(test)]
mod tests {
    use super::super::samples::named;
    use super::*;
    use crate::web::page::Section;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, choice, long, signed_in};

    fn page(name: &str) -> ManagementTokensPage {
        let row = ManagementTokenRow {
            name: name.into(),
            hint: "cs_mt_ab12…".into(),
            maker: name.into(),
            permissions: vec!["members:read".into(), "members:manage".into()],
            workspaces: Some(vec![name.into()]),
            created: "3 Oct 2026".into(),
            expires: "2 Nov 2026".into(),
            last_used: "Never".into(),
            revoke_action: "/dev-centre/org_1Acme/management-tokens/mgt_1/revoke".into(),
        };
        let everywhere = ManagementTokenRow {
            workspaces: None,
            ..row.clone()
        };
        ManagementTokensPage {
            shell: signed_in("Management tokens", Some(Section::ManagementTokens)),
            csrf: "csrf-token".into(),
            organization: named(name),
            tokens: vec![row, everywhere],
            confirm_href: None,
            form: ManagementTokenForm {
                name: name.into(),
                ..ManagementTokenForm::default()
            },
            permissions: vec![PermissionRow {
                name: "members:manage".into(),
                title: "Manage members".into(),
                description: "Invite and remove people, and change their roles.".into(),
                risk: Risk::High,
                selected: true,
            }],
            workspaces: vec![choice("ws_1", name, true)],
            errors: FieldErrors::default(),
        }
    }

    fn refused(name: &str) -> ManagementTokensPage {
        let mut errors = FieldErrors::default();
        for field in ["name", "permission", "reach", "workspace", "days"] {
            errors.push(field, format!("Something is wrong here: {name}"));
        }
        ManagementTokensPage {
            errors,
            ..page(name)
        }
    }

    fn created(name: &str) -> ManagementTokenCreatedPage {
        ManagementTokenCreatedPage {
            shell: signed_in("Token created", Some(Section::ManagementTokens)),
            organization: named(name),
            name: name.into(),
            secret: "cs_mt_AbC4xY9kLm2QzT7vWp1RsN5uJh8GdFe3BcXaYqZoMiKlPw".into(),
            expires: "2 Nov 2026".into(),
        }
    }

    #[test]
    fn management_token_pages_keep_the_promises() {
        assert_kept("management-tokens", &page("Directory sync"));
        assert_kept(
            "management-tokens-none",
            &ManagementTokensPage {
                tokens: Vec::new(),
                workspaces: Vec::new(),
                confirm_href: Some("/account/confirm?return_to=%2F".into()),
                ..page("Acme")
            },
        );
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(&format!("management-tokens-{kind}"), &refused(&name));
            assert_kept(&format!("management-token-created-{kind}"), &created(&name));
        }
    }
}
