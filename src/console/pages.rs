//! The Dev Centre's pages, all under `/dev-centre/{organization}`: API keys and applications.

use askama::Template;

use crate::types::environment::Environment;
use crate::types::state::{AccessTokenFormat, ClientType, PermissionLevel};
use crate::web::page::{Choice, FieldErrors, Link, OrganizationLink, ScopeRow, Shell};

/// The user belongs to several organizations: which one?
#[derive(Template)]
#[template(path = "console/organizations.html")]
pub struct OrganizationsPage {
    pub shell: Shell,
    pub organizations: Vec<OrganizationRow>,
}

#[derive(Debug, Clone)]
pub struct OrganizationRow {
    pub id: String,
    pub name: String,
    /// The user's, in words.
    pub role: String,
}

// -- API keys

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
}

impl ApiKeyStatus {
    pub const ALL: [Self; 4] = [Self::Active, Self::Expired, Self::Revoked, Self::Deactivated];

    /// In the list's query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Deactivated => "deactivated",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
            Self::Deactivated => "Deactivated",
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

// -- Applications

#[derive(Template)]
#[template(path = "console/applications.html")]
pub struct ApplicationListPage {
    pub shell: Shell,
    pub organization: OrganizationLink,
    pub sandbox: Vec<ApplicationRow>,
    pub production: Vec<ApplicationRow>,
    pub production_locked: Option<String>,
    pub production_unlock: Option<Link>,
    pub can_create: bool,
    pub next_href: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ApplicationRow {
    pub id: String,
    pub name: String,
    pub client_id: String,
    pub client_type: ClientType,
    pub created: String,
    pub last_used: String,
}

/// `POST …/applications` with `csrf name environment client_type redirect_uris access_token_format scope… role`.
#[derive(Template)]
#[template(path = "console/application_new.html")]
pub struct ApplicationNewPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub form: ApplicationForm,
    pub scopes: Vec<ScopeChoice>,
    /// Roles for the application's own service account, up to the user's own.
    pub roles: Vec<Choice>,
    pub errors: FieldErrors,
    pub production_locked: Option<String>,
    pub production_unlock: Option<Link>,
}

/// The text of each field, whatever it was.
#[derive(Debug, Clone)]
pub struct ApplicationForm {
    pub name: String,
    /// `sandbox` or `production`.
    pub environment: String,
    /// `confidential` or `public`.
    pub client_type: String,
    /// One a line.
    pub redirect_uris: String,
    /// `jwt` or `opaque`.
    pub access_token_format: String,
}

impl Default for ApplicationForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            environment: "sandbox".to_owned(),
            client_type: "confidential".to_owned(),
            redirect_uris: String::new(),
            access_token_format: "jwt".to_owned(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct ScopeChoice {
    pub scope: ScopeRow,
    pub selected: bool,
}

/// The only page that ever shows the secret, of a new application or one more of an old one. Answer it with
/// `Cache-Control: no-store`.
#[derive(Template)]
#[template(path = "console/application_created.html")]
pub struct ApplicationCreatedPage {
    pub shell: Shell,
    pub organization: OrganizationLink,
    pub application_id: String,
    pub name: String,
    pub environment: Environment,
    pub client_id: String,
    /// A public client has none.
    pub client_secret: Option<String>,
}

#[derive(Template)]
#[template(path = "console/application.html")]
pub struct ApplicationPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub application: ApplicationDetail,
    /// Empty for a public client.
    pub secrets: Vec<SecretRow>,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    /// Where to post for one more secret, for who may: `csrf`.
    pub new_secret_action: Option<String>,
    /// The confirmation page, for who may.
    pub delete_href: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ApplicationDetail {
    pub id: String,
    pub name: String,
    pub client_id: String,
    pub environment: Environment,
    pub client_type: ClientType,
    pub access_token_format: AccessTokenFormat,
    pub redirect_uris: Vec<String>,
    pub scopes: Vec<ScopeRow>,
    /// The role of its own service account.
    pub role: String,
    pub created: String,
    pub created_by: String,
    /// How many people have connected it, in words.
    pub connected: String,
}

#[derive(Debug, Clone)]
pub struct SecretRow {
    /// The secret up to its public id.
    pub display: String,
    pub created: String,
    pub last_used: String,
    /// Where to post to revoke it: `csrf`. None for the last one.
    pub revoke_action: Option<String>,
}

/// `POST …/applications/{id}/delete` with `csrf`.
#[derive(Template)]
#[template(path = "console/application_delete.html")]
pub struct ApplicationDeletePage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub application: ApplicationRow,
    pub environment: Environment,
    /// How many people have connected it, in words.
    pub connected: String,
}

#[cfg(test)]
mod samples {
    use super::*;
    use crate::config::Risk;
    use crate::web::page::Section;
    use crate::web::page::samples::{choice, organization, scope, scopes, signed_in};

    const LOCKED: &str = "It needs a plan with API access and an approval. Ask your account manager to activate both.";

    fn keys() -> Shell {
        signed_in("API keys", Some(Section::ApiKeys))
    }

    fn applications() -> Shell {
        signed_in("Applications", Some(Section::Applications))
    }

    fn unlock() -> Link {
        Link { href: "/dev-centre/org_1Acme/production".into(), label: "Request production access".into() }
    }

    fn named(name: &str) -> OrganizationLink {
        OrganizationLink { name: name.into(), ..organization() }
    }

    impl OrganizationsPage {
        pub fn sample(name: &str) -> Self {
            let row = |id: &str, name: &str| OrganizationRow { id: id.into(), name: name.into(), role: "Owner".into() };
            Self { shell: signed_in("Organizations", None), organizations: vec![row("org_1Acme", "Acme Contracts"), row("org_2", name)] }
        }

        pub fn sample_none() -> Self {
            Self { organizations: Vec::new(), ..Self::sample("") }
        }
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
                revoke_href: (status == ApiKeyStatus::Active).then(|| "/dev-centre/org_1Acme/api-keys/key_1Abc/revoke".into()),
            }
        }

        pub fn sample_full(name: &str) -> Self {
            let row = Self::sample(name, Environment::Sandbox, ApiKeyStatus::Active);
            let scope = "Organization".into();
            Self { permission_level: PermissionLevel::Full, scope, expires: "Never".into(), last_used: "Never".into(), ..row }
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
                    ApiKeyRow::sample("GitHub Actions", Environment::Sandbox, ApiKeyStatus::Expired),
                    ApiKeyRow::sample("Old dashboard", Environment::Sandbox, ApiKeyStatus::Deactivated),
                ],
                production: vec![
                    ApiKeyRow::sample("CRM integration", Environment::Production, ApiKeyStatus::Active),
                    ApiKeyRow::sample("Migration 2025", Environment::Production, ApiKeyStatus::Revoked),
                ],
                production_locked: None,
                production_unlock: None,
                can_create: true,
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
                filter: ApiKeyFilter { environment: Some(Environment::Sandbox), status: Some(ApiKeyStatus::Active) },
                sandbox: vec![ApiKeyRow { scope: name.into(), owner: name.into(), ..row }],
                production: Vec::new(),
                can_create: false,
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
                workspaces: vec![choice("ws_1", "Sales", true), choice("ws_2", "Human resources", false)],
                errors: FieldErrors::default(),
                production_locked: Some(LOCKED.into()),
                production_unlock: Some(unlock()),
                organization_scope_possible: true,
                organization_operations_possible: true,
                earliest_expires_on: "2026-11-21".into(),
            }
        }

        pub fn sample_refused(name: &str) -> Self {
            let fields = ["", "name", "description", "environment", "scope", "workspace", "permission_level"];
            let mut errors = FieldErrors::default();
            for field in fields.into_iter().chain(["expiry", "expires_on", "organization_operations"]) {
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
            Self { form, workspaces, errors, production_locked: None, production_unlock: None, ..Self::sample() }
        }

        pub fn sample_two_errors() -> Self {
            let mut errors = FieldErrors::default();
            errors.push("name", "Enter a name for the key");
            errors.push("expires_on", "Choose a day in the future");
            let form = ApiKeyForm { expiry: "date".into(), ..ApiKeyForm::default() };
            Self { form, errors, ..Self::sample() }
        }

        pub fn sample_limited() -> Self {
            let form = ApiKeyForm { scope: String::new(), ..ApiKeyForm::default() };
            Self { form, workspaces: Vec::new(), organization_scope_possible: false, ..Self::sample() }
        }
    }

    impl ApiKeyCreatedPage {
        pub fn sample(name: &str, environment: Environment) -> Self {
            Self {
                shell: signed_in("API key created", Some(Section::ApiKeys)),
                organization: organization(),
                name: name.into(),
                environment,
                secret: format!("cs_{environment}_AbC4xY9kLm2QzT7vWp1RsN5uJh8GdFe3BcXaYqZoMiKlPw6V0tEr2S"),
                expires: "18 Feb 2027".into(),
                try_url: "https://api.acme.example/v1/whoami".into(),
            }
        }
    }

    impl ApiKeyRevokePage {
        pub fn sample(name: &str) -> Self {
            Self {
                shell: signed_in("Revoke API key", Some(Section::ApiKeys)),
                csrf: "csrf-token".into(),
                organization: organization(),
                key: ApiKeyRow { owner: name.into(), ..ApiKeyRow::sample(name, Environment::Production, ApiKeyStatus::Active) },
            }
        }
    }

    impl ApplicationRow {
        pub fn sample(name: &str) -> Self {
            Self {
                id: "app_1Abc".into(),
                name: name.into(),
                client_id: "app_01JcQ7n5vW9xYzA2bC3dE4".into(),
                client_type: ClientType::Confidential,
                created: "3 Oct 2026".into(),
                last_used: "Yesterday".into(),
            }
        }
    }

    impl ApplicationListPage {
        pub fn sample(name: &str) -> Self {
            Self {
                shell: applications(),
                organization: named(name),
                sandbox: vec![
                    ApplicationRow::sample(name),
                    ApplicationRow { client_type: ClientType::Public, ..ApplicationRow::sample("Phone app") },
                ],
                production: vec![ApplicationRow::sample("Northwind CRM")],
                production_locked: None,
                production_unlock: None,
                can_create: true,
                next_href: None,
            }
        }

        pub fn sample_locked() -> Self {
            Self {
                sandbox: Vec::new(),
                production: Vec::new(),
                production_locked: Some(LOCKED.into()),
                production_unlock: Some(unlock()),
                can_create: false,
                next_href: Some("/dev-centre/org_1Acme/applications?after=app_1".into()),
                ..Self::sample("Acme Contracts")
            }
        }
    }

    impl ApplicationNewPage {
        pub fn sample() -> Self {
            Self {
                shell: signed_in("New application", Some(Section::Applications)),
                csrf: "csrf-token".into(),
                organization: organization(),
                form: ApplicationForm::default(),
                scopes: scopes().into_iter().map(|scope| ScopeChoice { selected: scope.risk == Risk::Low, scope }).collect(),
                roles: vec![choice("viewer", "Viewer", true), choice("manager", "Manager", false)],
                errors: FieldErrors::default(),
                production_locked: None,
                production_unlock: None,
            }
        }

        pub fn sample_refused(name: &str) -> Self {
            let mut errors = FieldErrors::default();
            for field in ["name", "environment", "client_type", "redirect_uris", "access_token_format", "scope", "role"] {
                errors.push(field, format!("Something is wrong here: {name}"));
            }
            Self {
                form: ApplicationForm { name: name.into(), redirect_uris: format!("{name}\n{name}"), ..ApplicationForm::default() },
                scopes: vec![ScopeChoice { scope: scope(name, name, name, Risk::High), selected: true }],
                roles: vec![choice(name, name, true)],
                errors,
                production_locked: Some(LOCKED.into()),
                ..Self::sample()
            }
        }
    }

    impl ApplicationCreatedPage {
        pub fn sample(name: &str) -> Self {
            Self {
                shell: signed_in("Application created", Some(Section::Applications)),
                organization: organization(),
                application_id: "app_1Abc".into(),
                name: name.into(),
                environment: Environment::Sandbox,
                client_id: "app_01JcQ7n5vW9xYzA2bC3dE4".into(),
                client_secret: Some("cs_cs_AbC4xY9kLm2QzT7vWp1RsN5uJh8GdFe3BcXaYqZoMiKlPw6V0tEr2S".into()),
            }
        }

        pub fn sample_public(name: &str) -> Self {
            Self { client_secret: None, ..Self::sample(name) }
        }
    }

    impl ApplicationPage {
        pub fn sample(name: &str) -> Self {
            let secret = |display: &str, revoke: Option<&str>| SecretRow {
                display: display.into(),
                created: "3 Oct 2026".into(),
                last_used: "Today".into(),
                revoke_action: revoke.map(Into::into),
            };
            Self {
                shell: signed_in("Application", Some(Section::Applications)),
                csrf: "csrf-token".into(),
                organization: organization(),
                application: ApplicationDetail {
                    id: "app_1Abc".into(),
                    name: name.into(),
                    client_id: "app_01JcQ7n5vW9xYzA2bC3dE4".into(),
                    environment: Environment::Production,
                    client_type: ClientType::Confidential,
                    access_token_format: AccessTokenFormat::Jwt,
                    redirect_uris: vec!["https://crm.northwind.example/oauth/callback".into(), name.into()],
                    scopes: scopes(),
                    role: "Viewer".into(),
                    created: "3 Oct 2026".into(),
                    created_by: name.into(),
                    connected: "14 people".into(),
                },
                secrets: vec![secret("cs_cs_AbC4xY9kLm2Q…", Some("/dev-centre/org_1Acme/applications/app_1Abc/secrets/1/revoke"))],
                authorization_endpoint: "https://api.acme.example/oauth2/authorize".into(),
                token_endpoint: "https://api.acme.example/oauth2/token".into(),
                new_secret_action: Some("/dev-centre/org_1Acme/applications/app_1Abc/secrets".into()),
                delete_href: Some("/dev-centre/org_1Acme/applications/app_1Abc/delete".into()),
            }
        }

        pub fn sample_public(name: &str) -> Self {
            let page = Self::sample(name);
            let bare = ApplicationDetail {
                client_type: ClientType::Public,
                access_token_format: AccessTokenFormat::Opaque,
                redirect_uris: Vec::new(),
                scopes: Vec::new(),
                ..page.application
            };
            Self { application: bare, secrets: Vec::new(), new_secret_action: None, delete_href: None, ..page }
        }
    }

    impl ApplicationDeletePage {
        pub fn sample(name: &str) -> Self {
            Self {
                shell: signed_in("Delete application", Some(Section::Applications)),
                csrf: "csrf-token".into(),
                organization: organization(),
                application: ApplicationRow::sample(name),
                environment: Environment::Production,
                connected: "14 people".into(),
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
        assert_kept("organizations-none", &OrganizationsPage::sample_none());
        assert_kept("keys", &ApiKeyListPage::sample());
        assert_kept("keys-locked", &ApiKeyListPage::sample_locked());
        assert_kept("key-new", &ApiKeyNewPage::sample());
        assert_kept("key-new-errors", &ApiKeyNewPage::sample_two_errors());
        assert_kept("key-new-limited", &ApiKeyNewPage::sample_limited());
        assert_kept("key-created", &ApiKeyCreatedPage::sample("CRM integration", Environment::Sandbox));
        assert_kept("key-created-production", &ApiKeyCreatedPage::sample("CRM integration", Environment::Production));
        assert_kept("key-revoke", &ApiKeyRevokePage::sample("CRM integration"));
    }

    #[test]
    fn application_pages_keep_the_promises() {
        assert_kept("applications", &ApplicationListPage::sample("Northwind CRM"));
        assert_kept("applications-locked", &ApplicationListPage::sample_locked());
        assert_kept("application-new", &ApplicationNewPage::sample());
        assert_kept("application-created", &ApplicationCreatedPage::sample("Northwind CRM"));
        assert_kept("application-created-public", &ApplicationCreatedPage::sample_public("Phone app"));
        assert_kept("application", &ApplicationPage::sample("Northwind CRM"));
        assert_kept("application-public", &ApplicationPage::sample_public("Phone app"));
        assert_kept("application-delete", &ApplicationDeletePage::sample("Northwind CRM"));
    }

    #[test]
    fn hostile_names_keep_the_promises() {
        for (kind, name) in [("script", SCRIPT.to_owned()), ("long", long()), ("rtl", RIGHT_TO_LEFT.to_owned())] {
            let name = name.as_str();
            let file = |page: &str| format!("{page}-{kind}");
            assert_kept(&file("organizations"), &OrganizationsPage::sample(name));
            assert_kept(&file("keys"), &ApiKeyListPage::sample_filtered(name));
            assert_kept(&file("key-new"), &ApiKeyNewPage::sample_refused(name));
            assert_kept(&file("key-created"), &ApiKeyCreatedPage::sample(name, Environment::Sandbox));
            assert_kept(&file("key-revoke"), &ApiKeyRevokePage::sample(name));
            assert_kept(&file("applications"), &ApplicationListPage::sample(name));
            assert_kept(&file("application-new"), &ApplicationNewPage::sample_refused(name));
            assert_kept(&file("application-created"), &ApplicationCreatedPage::sample(name));
            assert_kept(&file("application"), &ApplicationPage::sample(name));
            assert_kept(&file("application-delete"), &ApplicationDeletePage::sample(name));
        }
    }

    #[test]
    fn a_filtered_list_shows_one_environment() {
        let html = ApiKeyListPage::sample_filtered("CRM").render().expect("renders");
        assert!(html.contains(r#"id="sandbox""#) && !html.contains(r#"id="production""#));
        assert!(html.contains(r#"<option value="active" selected>"#));
    }

    #[test]
    fn a_locked_production_cannot_be_chosen() {
        let html = ApiKeyNewPage::sample().render().expect("renders");
        assert!(html.contains(r#"name="environment" value="production" disabled"#));
    }
}
