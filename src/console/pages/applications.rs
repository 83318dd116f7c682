//! The pages of OAuth applications.

use askama::Template;

use crate::types::environment::Environment;
use crate::types::grant_types::{GrantType, GrantTypes};
use crate::types::state::{AccessTokenFormat, Approval, ClientType};
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
    /// A date, or "Never".
    pub last_used: String,
    /// The operator has stopped it.
    pub stopped: bool,
    /// By itself (RFC 7591); nobody created it here.
    pub registered: bool,
}

/// `POST …/applications` with `csrf name environment client_type redirect_uris access_token_format scope… grant… role
/// keep_refresh_token refresh_idle refresh_absolute`.
#[derive(Template)]
#[template(path = "console/application_new.html")]
pub struct ApplicationNewPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub form: ApplicationForm,
    pub offer: ApplicationOffer,
    pub errors: FieldErrors,
    pub production_locked: Option<String>,
    pub production_unlock: Option<Link>,
}

/// What may be chosen, now and later.
#[derive(Debug, Clone)]
pub struct ApplicationOffer {
    pub scopes: Vec<ScopeChoice>,
    /// Roles for the application's own service account, up to the user's own.
    pub roles: Vec<Choice>,
    /// What a refresh token lives unused, and a person's decision lasts, where nothing else is said; in words.
    pub default_idle: String,
    pub default_absolute: String,
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
    pub grants: GrantTypes,
    pub keep_refresh_token: bool,
    /// Days, or a time in words; empty for what is configured.
    pub refresh_idle: String,
    pub refresh_absolute: String,
}

impl Default for ApplicationForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            environment: "sandbox".to_owned(),
            client_type: "confidential".to_owned(),
            redirect_uris: String::new(),
            access_token_format: "jwt".to_owned(),
            // a public application is given the first two of them
            grants: GrantTypes::ALL,
            keep_refresh_token: false,
            refresh_idle: String::new(),
            refresh_absolute: String::new(),
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
    /// It is one more secret of an old application.
    pub is_second: bool,
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
    /// Where to post for one more secret: `csrf`. None while there are as many as can be.
    pub new_secret_action: Option<String>,
    /// Only for Production.
    pub approval: Option<ApprovalFacts>,
    /// Why the operator has stopped it.
    pub stopped: Option<String>,
    /// The configuration lets it connect without PKCE.
    pub weak: bool,
    pub edit_href: Option<String>,
    /// The confirmation page, for who may.
    pub delete_href: Option<String>,
}

/// What the operator says of a Production application.
#[derive(Debug, Clone)]
pub struct ApprovalFacts {
    pub state: Approval,
    /// Of a refusal.
    pub reason: Option<String>,
    /// Of an approved one, what waits for the operator, a sentence each.
    pub waiting: Vec<String>,
    pub verified: bool,
    /// Where to post to ask for it: `csrf`. None while nothing is to be asked.
    pub request_action: Option<String>,
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
    /// In words.
    pub grants: Vec<&'static str>,
    /// Where refresh tokens are among them.
    pub refresh: Option<RefreshFacts>,
    /// The role of its own service account, while it may act as itself.
    pub role: Option<String>,
    pub created: String,
    pub created_by: String,
    pub last_used: String,
    /// How many people have connected it, in words.
    pub connected: Option<String>,
}

/// How its refresh tokens live, in words.
#[derive(Debug, Clone)]
pub struct RefreshFacts {
    pub rotates: bool,
    pub idle: String,
    pub absolute: String,
}

#[derive(Debug, Clone)]
pub struct SecretRow {
    /// How it starts, or what else tells it from the other one.
    pub display: String,
    pub created: String,
    pub last_used: String,
    /// The confirmation page. None for the last one.
    pub revoke_href: Option<String>,
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
    pub connected: Option<String>,
}

#[cfg(test)]
pub(super) mod samples {
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
                last_used: "20 Nov 2026".into(),
                stopped: false,
                registered: false,
            }
        }
    }

    impl ApplicationOffer {
        pub fn sample() -> Self {
            Self {
                scopes: scopes()
                    .into_iter()
                    .map(|scope| ScopeChoice {
                        selected: scope.risk == Risk::Low,
                        scope,
                    })
                    .collect(),
                roles: vec![
                    choice("viewer", "Viewer", true),
                    choice("manager", "Manager", false),
                ],
                default_idle: "30 days".into(),
                default_absolute: "365 days".into(),
            }
        }

        pub fn sample_hostile(name: &str) -> Self {
            Self {
                scopes: vec![ScopeChoice {
                    scope: scope(name, name, name, Risk::High),
                    selected: true,
                }],
                roles: vec![choice(name, name, true)],
                ..Self::sample()
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
                    ApplicationRow {
                        client_type: ClientType::Public,
                        registered: true,
                        ..ApplicationRow::sample("Phone app")
                    },
                ],
                production: vec![ApplicationRow {
                    stopped: true,
                    ..ApplicationRow::sample("Northwind CRM")
                }],
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

    impl ApplicationForm {
        pub fn sample_hostile(name: &str) -> Self {
            let text = || name.to_owned();
            Self {
                name: text(),
                redirect_uris: format!("{name}\n{name}"),
                refresh_idle: text(),
                refresh_absolute: text(),
                ..Self::default()
            }
        }
    }

    /// At every field of the form.
    pub fn every_error(name: &str) -> FieldErrors {
        let own = [
            "name",
            "environment",
            "client_type",
            "redirect_uris",
            "access_token_format",
            "scope",
            "grants",
            "role",
        ];
        let mut errors = FieldErrors::default();
        for field in own
            .into_iter()
            .chain(["refresh", "refresh_idle", "refresh_absolute"])
        {
            errors.push(field, format!("Something is wrong here: {name}"));
        }
        errors
    }

    impl ApplicationNewPage {
        pub fn sample() -> Self {
            Self {
                shell: signed_in("New application", Some(Section::Applications)),
                csrf: "csrf-token".into(),
                organization: organization(),
                form: ApplicationForm::default(),
                offer: ApplicationOffer::sample(),
                errors: FieldErrors::default(),
                production_locked: None,
                production_unlock: None,
            }
        }

        pub fn sample_refused(name: &str) -> Self {
            Self {
                form: ApplicationForm::sample_hostile(name),
                offer: ApplicationOffer::sample_hostile(name),
                errors: every_error(name),
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
                client_secret: Some(
                    "cs_cs_AbC4xY9kLm2QzT7vWp1RsN5uJh8GdFe3BcXaYqZoMiKlPw6V0tEr2S".into(),
                ),
                is_second: false,
            }
        }

        pub fn sample_public(name: &str) -> Self {
            Self {
                client_secret: None,
                ..Self::sample(name)
            }
        }

        pub fn sample_second(name: &str) -> Self {
            Self {
                is_second: true,
                ..Self::sample(name)
            }
        }
    }

    impl ApplicationPage {
        pub fn sample(name: &str) -> Self {
            let secret = |display: &str, last_used: &str| SecretRow {
                display: display.into(),
                created: "3 Oct 2026".into(),
                last_used: last_used.into(),
                revoke_href: Some(
                    "/dev-centre/org_1Acme/applications/app_1Abc/secrets/sec_1/revoke".into(),
                ),
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
                    redirect_uris: vec![
                        "https://crm.northwind.example/oauth/callback".into(),
                        name.into(),
                    ],
                    scopes: scopes(),
                    grants: vec!["Authorization code", "Refresh tokens", "Client credentials"],
                    refresh: Some(RefreshFacts {
                        rotates: true,
                        idle: "30 days".into(),
                        absolute: "365 days".into(),
                    }),
                    last_used: "20 Nov 2026, 11:58 UTC".into(),
                    role: Some("Viewer".into()),
                    created: "3 Oct 2026".into(),
                    created_by: name.into(),
                    connected: Some("14 people".into()),
                },
                secrets: vec![
                    secret("cs_cs_AbC4…", "20 Nov 2026, 11:58 UTC (2 minutes ago)"),
                    secret("cs_cs_x9Lm…", "Never"),
                ],
                authorization_endpoint: "https://api.acme.example/oauth2/authorize".into(),
                token_endpoint: "https://api.acme.example/oauth2/token".into(),
                new_secret_action: None,
                approval: Some(ApprovalFacts {
                    state: Approval::None,
                    reason: None,
                    waiting: Vec::new(),
                    verified: false,
                    request_action: Some(
                        "/dev-centre/org_1Acme/applications/app_1Abc/request-approval".into(),
                    ),
                }),
                stopped: None,
                weak: true,
                edit_href: Some("/dev-centre/org_1Acme/applications/app_1Abc/edit".into()),
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
                grants: vec!["Authorization code"],
                refresh: None,
                role: None,
                connected: None,
                environment: Environment::Sandbox,
                ..page.application
            };
            Self {
                application: bare,
                secrets: Vec::new(),
                new_secret_action: None,
                approval: None,
                weak: false,
                delete_href: None,
                ..page
            }
        }

        pub fn sample_approval(name: &str, state: Approval) -> Self {
            let page = Self::sample(name);
            let stopped = (state == Approval::Refused).then(|| name.to_owned());
            let approval = ApprovalFacts {
                state,
                reason: stopped.clone(),
                waiting: if state == Approval::Approved {
                    vec![format!("Its name was CRM and is {name}.")]
                } else {
                    Vec::new()
                },
                verified: state == Approval::Approved,
                request_action: None,
            };
            let one = page
                .secrets
                .iter()
                .take(1)
                .map(|secret| SecretRow {
                    revoke_href: None,
                    ..secret.clone()
                })
                .collect();
            let new_secret_action =
                Some("/dev-centre/org_1Acme/applications/app_1Abc/secrets".into());
            Self {
                approval: Some(approval),
                stopped,
                secrets: one,
                new_secret_action,
                weak: false,
                ..page
            }
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
        assert_kept(
            "applications",
            &ApplicationListPage::sample("Northwind CRM"),
        );
        assert_kept("applications-locked", &ApplicationListPage::sample_locked());
        assert_kept("application-new", &ApplicationNewPage::sample());
        assert_kept(
            "application-created",
            &ApplicationCreatedPage::sample("Northwind CRM"),
        );
        assert_kept(
            "application-created-public",
            &ApplicationCreatedPage::sample_public("Phone app"),
        );
        assert_kept("application", &ApplicationPage::sample("Northwind CRM"));
        for state in [Approval::Requested, Approval::Approved, Approval::Refused] {
            assert_kept(
                &format!("application-{state}"),
                &ApplicationPage::sample_approval("Northwind CRM", state),
            );
        }
        assert_kept(
            "application-secret-created",
            &ApplicationCreatedPage::sample_second("Northwind CRM"),
        );
        assert_kept(
            "application-public",
            &ApplicationPage::sample_public("Phone app"),
        );
        assert_kept(
            "application-delete",
            &ApplicationDeletePage::sample("Northwind CRM"),
        );
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
            assert_kept(&file("applications"), &ApplicationListPage::sample(name));
            assert_kept(
                &file("application-new"),
                &ApplicationNewPage::sample_refused(name),
            );
            assert_kept(
                &file("application-created"),
                &ApplicationCreatedPage::sample(name),
            );
            assert_kept(&file("application"), &ApplicationPage::sample(name));
            assert_kept(
                &file("application-refused"),
                &ApplicationPage::sample_approval(name, Approval::Refused),
            );
            assert_kept(
                &file("application-delete"),
                &ApplicationDeletePage::sample(name),
            );
        }
    }
}
