//! The pages of API keys.

use askama::Template;

use crate::types::environment::Environment;
use crate::types::state::PermissionLevel;
use crate::web::page::{Choice, FieldErrors, Link, OrganizationLink, Shell};

/// `GET …/api-keys?environment=&status=`.
#[derive(Template)]
#[template(path = "console/api_keys.html")]
pub struct ApiKeyListPage {
    pub shell: Shell,
    pub organization: OrganizationLink,
    pub filter: ApiKeyFilter,
    pub sandbox: Vec<ApiKeyRow>,
    pub production: Vec<ApiKeyRow>,
    /// Why, and what unlocks it.
    pub production_locked: Option<String>,
    pub production_unlock: Option<Link>,
    pub can_create: bool,
    pub sees_applications: bool,
    /// "12 of 200 active keys".
    pub allowance: Option<String>,
    /// The next page, when there is one.
    pub next_href: Option<String>,
}

/// What the list was asked to show; none shows all.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApiKeyFilter {
    pub environment: Option<Environment>,
    pub status: Option<ApiKeyStatus>,
}

#[derive(Debug, Clone)]
pub struct ApiKeyRow {
    pub id: String,
    pub name: String,
    /// The key up to its public id: `cs_sandbox_AbC…`.
    pub display: String,
    pub environment: Environment,
    pub permission_level: PermissionLevel,
    /// "Organization", or the workspaces' names.
    pub scope: String,
    pub owner: String,
    pub created: String,
    /// A date, or "Never".
    pub expires: String,
    pub last_used: String,
    pub status: ApiKeyStatus,
    /// The confirmation page, for who may revoke it.
    pub revoke_href: Option<String>,
}

/// A key's state as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeyStatus {
    Active,
    Expired,
    Revoked,
    /// Its owner has left, or lost every workspace it reached.
    Deactivated,
    Paused,
    /// Waits to be collected.
    Pending,
}

impl ApiKeyStatus {
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Expired,
        Self::Revoked,
        Self::Deactivated,
        Self::Paused,
        Self::Pending,
    ];

    /// In the list's query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Deactivated => "deactivated",
            Self::Paused => "paused",
            Self::Pending => "pending",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
            Self::Deactivated => "Deactivated",
            Self::Paused => "Paused",
            Self::Pending => "Pending",
        }
    }
}

/// `POST …/api-keys` with `csrf name description environment scope workspace… permission_level expiry expires_on
/// organization_operations`.
#[derive(Template)]
#[template(path = "console/api_key_new.html")]
pub struct ApiKeyNewPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    /// What was typed, after a refusal.
    pub form: ApiKeyForm,
    pub workspaces: Vec<Choice>,
    pub errors: FieldErrors,
    pub production_locked: Option<String>,
    pub production_unlock: Option<Link>,
    /// The user may make a key for the whole organization.
    pub organization_scope_possible: bool,
    /// Such a key may also create workspaces and users.
    pub organization_operations_possible: bool,
    /// For the date field, `2026-11-21`.
    pub earliest_expires_on: String,
}

/// The text of each field, whatever it was.
#[derive(Debug, Clone)]
pub struct ApiKeyForm {
    pub name: String,
    pub description: String,
    /// `sandbox` or `production`.
    pub environment: String,
    /// `organization` or `workspaces`.
    pub scope: String,
    /// `full` or `read_only`.
    pub permission_level: String,
    /// `30`, `90`, `365` days, `date` or `never`.
    pub expiry: String,
    /// `2027-01-31`.
    pub expires_on: String,
    pub organization_operations: bool,
}

impl Default for ApiKeyForm {
    /// The careful choice everywhere.
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            environment: "sandbox".to_owned(),
            scope: "workspaces".to_owned(),
            permission_level: "read_only".to_owned(),
            expiry: "90".to_owned(),
            expires_on: String::new(),
            organization_operations: false,
        }
    }
}

/// The only page that ever shows the key. Answer it with `Cache-Control: no-store`.
#[derive(Template)]
#[template(path = "console/api_key_created.html")]
pub struct ApiKeyCreatedPage {
    pub shell: Shell,
    pub organization: OrganizationLink,
    pub name: String,
    pub environment: Environment,
    pub secret: String,
    pub expires: String,
    /// An absolute URL that answers to the key, for the first try.
    pub try_url: String,
    /// The word before the key in the `Authorization` header.
    pub scheme: String,
}

/// `POST …/api-keys/{id}/revoke` with `csrf`.
#[derive(Template)]
#[template(path = "console/api_key_revoke.html")]
pub struct ApiKeyRevokePage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub key: ApiKeyRow,
}

#[cfg(test)]
mod samples {
    use super::super::samples::{LOCKED, named, unlock};
    use super::*;
    use crate::web::page::Section;
    use crate::web::page::samples::{choice, organization, signed_in};

    fn keys() -> Shell {
        signed_in("API keys", Some(Section::ApiKeys))
    }

    impl ApiKeyRow {
        pub fn sample(name: &str, environment: Environment, status: ApiKeyStatus) -> Self {
            Self {
                id: "key_1Abc".into(),
                name: name.into(),
                display: format!("cs_{environment}_AbC4xY9kLm2Q…"),
                environment,
                permission_level: PermissionLevel::ReadOnly,
                scope: "Sales, Human resources".into(),
                owner: "CRM robot".into(),
                created: "3 Oct 2026".into(),
                expires: "1 Jan 2027".into(),
                last_used: "2 hours ago".into(),
                status,
                revoke_href: (status == ApiKeyStatus::Active)
                    .then(|| "/dev-centre/org_1Acme/api-keys/key_1Abc/revoke".into()),
            }
        }

        pub fn sample_full(name: &str) -> Self {
            let row = Self::sample(name, Environment::Sandbox, ApiKeyStatus::Active);
            let scope = "Organization".into();
            Self {
                permission_level: PermissionLevel::Full,
                scope,
                expires: "Never".into(),
                last_used: "Never".into(),
                ..row
            }
        }
    }

    impl ApiKeyListPage {
        pub fn sample() -> Self {
            Self {
                shell: keys(),
                organization: organization(),
                filter: ApiKeyFilter::default(),
                sandbox: vec![
                    ApiKeyRow::sample_full("CRM integration – first steps"),
                    ApiKeyRow::sample(
                        "GitHub Actions",
                        Environment::Sandbox,
                        ApiKeyStatus::Expired,
                    ),
                    ApiKeyRow::sample(
                        "Old dashboard",
                        Environment::Sandbox,
                        ApiKeyStatus::Deactivated,
                    ),
                ],
                production: vec![
                    ApiKeyRow::sample(
                        "CRM integration",
                        Environment::Production,
                        ApiKeyStatus::Active,
                    ),
                    ApiKeyRow::sample(
                        "Migration 2025",
                        Environment::Production,
                        ApiKeyStatus::Revoked,
                    ),
                ],
                production_locked: None,
                production_unlock: None,
                can_create: true,
                sees_applications: true,
                allowance: Some("2 of 200 active keys".into()),
                next_href: None,
            }
        }

        pub fn sample_locked() -> Self {
            Self {
                sandbox: Vec::new(),
                production: Vec::new(),
                production_locked: Some(LOCKED.into()),
                production_unlock: Some(unlock()),
                allowance: None,
                ..Self::sample()
            }
        }

        pub fn sample_filtered(name: &str) -> Self {
            let row = ApiKeyRow::sample_full(name);
            Self {
                organization: named(name),
                filter: ApiKeyFilter {
                    environment: Some(Environment::Sandbox),
                    status: Some(ApiKeyStatus::Active),
                },
                sandbox: vec![ApiKeyRow {
                    scope: name.into(),
                    owner: name.into(),
                    ..row
                }],
                production: Vec::new(),
                can_create: false,
                sees_applications: false,
                next_href: Some("/dev-centre/org_1Acme/api-keys?after=key_1&status=active".into()),
                ..Self::sample()
            }
        }
    }

    impl ApiKeyNewPage {
        pub fn sample() -> Self {
            Self {
                shell: signed_in("New API key", Some(Section::ApiKeys)),
                csrf: "csrf-token".into(),
                organization: organization(),
                form: ApiKeyForm::default(),
                workspaces: vec![
                    choice("ws_1", "Sales", true),
                    choice("ws_2", "Human resources", false),
                ],
                errors: FieldErrors::default(),
                production_locked: Some(LOCKED.into()),
                production_unlock: Some(unlock()),
                organization_scope_possible: true,
                organization_operations_possible: true,
                earliest_expires_on: "2026-11-21".into(),
            }
        }

        pub fn sample_refused(name: &str) -> Self {
            let fields = [
                "",
                "name",
                "description",
                "environment",
                "scope",
                "workspace",
                "permission_level",
            ];
            let mut errors = FieldErrors::default();
            for field in
                fields
                    .into_iter()
                    .chain(["expiry", "expires_on", "organization_operations"])
            {
                errors.push(field, format!("Something is wrong here: {name}"));
            }
            let form = ApiKeyForm {
                name: name.into(),
                description: name.into(),
                environment: "production".into(),
                scope: "organization".into(),
                permission_level: "full".into(),
                expiry: "never".into(),
                expires_on: name.into(),
                organization_operations: true,
            };
            let workspaces = vec![choice(name, name, true)];
            Self {
                form,
                workspaces,
                errors,
                production_locked: None,
                production_unlock: None,
                ..Self::sample()
            }
        }

        pub fn sample_two_errors() -> Self {
            let mut errors = FieldErrors::default();
            errors.push("name", "Enter a name for the key");
            errors.push("expires_on", "Choose a day in the future");
            let form = ApiKeyForm {
                expiry: "date".into(),
                ..ApiKeyForm::default()
            };
            Self {
                form,
                errors,
                ..Self::sample()
            }
        }

        pub fn sample_limited() -> Self {
            let form = ApiKeyForm {
                scope: String::new(),
                ..ApiKeyForm::default()
            };
            Self {
                form,
                workspaces: Vec::new(),
                organization_scope_possible: false,
                ..Self::sample()
            }
        }
    }

    impl ApiKeyCreatedPage {
        pub fn sample(name: &str, environment: Environment) -> Self {
            Self {
                shell: signed_in("API key created", Some(Section::ApiKeys)),
                organization: organization(),
                name: name.into(),
                environment,
                secret: format!(
                    "cs_{environment}_AbC4xY9kLm2QzT7vWp1RsN5uJh8GdFe3BcXaYqZoMiKlPw6V0tEr2S"
                ),
                expires: "18 Feb 2027".into(),
                try_url: "https://api.acme.example/v1/whoami".into(),
                scheme: "API-Key".into(),
            }
        }
    }

    impl ApiKeyRevokePage {
        pub fn sample(name: &str) -> Self {
            Self {
                shell: signed_in("Revoke API key", Some(Section::ApiKeys)),
                csrf: "csrf-token".into(),
                organization: organization(),
                key: ApiKeyRow {
                    owner: name.into(),
                    ..ApiKeyRow::sample(name, Environment::Production, ApiKeyStatus::Active)
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long};

    #[test]
    fn key_pages_keep_the_promises() {
        assert_kept("keys", &ApiKeyListPage::sample());
        assert_kept("keys-locked", &ApiKeyListPage::sample_locked());
        assert_kept("key-new", &ApiKeyNewPage::sample());
        assert_kept("key-new-errors", &ApiKeyNewPage::sample_two_errors());
        assert_kept("key-new-limited", &ApiKeyNewPage::sample_limited());
        assert_kept(
            "key-created",
            &ApiKeyCreatedPage::sample("CRM integration", Environment::Sandbox),
        );
        assert_kept(
            "key-created-production",
            &ApiKeyCreatedPage::sample("CRM integration", Environment::Production),
        );
        assert_kept("key-revoke", &ApiKeyRevokePage::sample("CRM integration"));
    }

    #[test]
    fn hostile_names_keep_the_promises() {
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            let name = name.as_str();
            let file = |page: &str| format!("{page}-{kind}");
            assert_kept(&file("keys"), &ApiKeyListPage::sample_filtered(name));
            assert_kept(&file("key-new"), &ApiKeyNewPage::sample_refused(name));
            assert_kept(
                &file("key-created"),
                &ApiKeyCreatedPage::sample(name, Environment::Sandbox),
            );
            assert_kept(&file("key-revoke"), &ApiKeyRevokePage::sample(name));
        }
    }

    #[test]
    fn a_filtered_list_shows_one_environment() {
        let html = ApiKeyListPage::sample_filtered("CRM")
            .render()
            .expect("renders");
        assert!(html.contains(r#"id="sandbox""#) && !html.contains(r#"id="production""#));
        assert!(html.contains(r#"<option value="active" selected>"#));
    }

    #[test]
    fn a_locked_production_cannot_be_chosen() {
        let html = ApiKeyNewPage::sample().render().expect("renders");
        assert!(html.contains(r#"name="environment" value="production" disabled"#));
    }
}
