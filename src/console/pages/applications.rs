//! The pages of OAuth applications.

use askama::Template;

use crate::types::environment::Environment;
use crate::types::state::{AccessTokenFormat, ClientType};
use crate::web::page::{Choice, FieldErrors, Link, OrganizationLink, ScopeRow, Shell};

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
    /// The role of its own service account; a public client has none.
    pub role: Option<String>,
    pub created: String,
    pub created_by: String,
    /// How many people have connected it, in words, where it is counted.
    pub connected: Option<String>,
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
    /// How many people have connected it, in words, where it is counted.
    pub connected: Option<String>,
}

#[cfg(test)]
mod samples {
    use super::super::samples::{LOCKED, named, unlock};
    use super::*;
    use crate::config::Risk;
    use crate::web::page::Section;
    use crate::web::page::samples::{choice, organization, scope, scopes, signed_in};

    fn applications() -> Shell {
        signed_in("Applications", Some(Section::Applications))
    }

    impl ApplicationRow {
        pub fn sample(name: &str) -> Self {
            Self {
                id: "app_1Abc".into(),
                name: name.into(),
                client_id: "app_01JcQ7n5vW9xYzA2bC3dE4".into(),
                client_type: ClientType::Confidential,
                created: "3 Oct 2026".into(),
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
                    role: Some("Viewer".into()),
                    created: "3 Oct 2026".into(),
                    created_by: name.into(),
                    connected: Some("14 people".into()),
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
                role: None,
                connected: None,
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
                connected: Some("14 people".into()),
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
            assert_kept(&file("applications"), &ApplicationListPage::sample(name));
            assert_kept(&file("application-new"), &ApplicationNewPage::sample_refused(name));
            assert_kept(&file("application-created"), &ApplicationCreatedPage::sample(name));
            assert_kept(&file("application"), &ApplicationPage::sample(name));
            assert_kept(&file("application-delete"), &ApplicationDeletePage::sample(name));
        }
    }
}
