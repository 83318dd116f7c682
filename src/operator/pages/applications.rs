//! The pages about applications of every organization.

use askama::Template;

use crate::types::environment::Environment;
use crate::types::state::{ApplicationStanding, Approval, ClientType};
use crate::web::page::{FieldErrors, ScopeRow, Shell};

/// `GET /operator/applications?search=&standing=&after=`.
#[derive(Template)]
#[template(path = "operator/applications.html")]
pub struct ApplicationsPage {
    pub shell: Shell,
    /// Who has waited longest first.
    pub waiting: Vec<ApplicationRow>,
    pub found: Vec<ApplicationRow>,
    pub search: String,
    pub standing: Option<ApplicationStanding>,
    pub next_href: Option<String>,
}

impl ApplicationsPage {
    fn stands(&self, standing: ApplicationStanding) -> bool {
        self.standing == Some(standing)
    }

    fn is_filtered(&self) -> bool {
        !self.search.is_empty() || self.standing.is_some()
    }
}

#[derive(Debug, Clone)]
pub struct ApplicationRow {
    pub id: String,
    pub name: String,
    pub organization: String,
    pub created: String,
    pub last_used: String,
    pub status: Status,
}

/// What the operator has decided, as badges.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    pub sandbox: bool,
    pub approval: Approval,
    /// Approved, and changed since: that waits.
    pub changed: bool,
    pub verified: bool,
    pub stopped: bool,
}

/// `POST /operator/applications/{id}` with `csrf decision=approve|refuse|verify|unverify|resume reason`; `approve` with
/// `version`, the one that is shown.
#[derive(Template)]
#[template(path = "operator/application.html")]
pub struct ApplicationPage {
    pub shell: Shell,
    pub csrf: String,
    pub application: ApplicationDetail,
    pub can_approve: bool,
    pub can_refuse: bool,
    /// What was typed, after a refusal.
    pub reason: String,
    pub errors: FieldErrors,
}

#[derive(Debug, Clone)]
pub struct ApplicationDetail {
    pub id: String,
    pub name: String,
    pub status: Status,
    pub environment: Environment,
    pub client_type: ClientType,
    pub organization: String,
    pub organization_id: String,
    pub redirect_uris: Vec<String>,
    pub scopes: Vec<ScopeRow>,
    /// What is approved by the form: name, redirect URIs and scopes in one text.
    pub version: String,
    /// What is different since it was approved, a sentence each.
    pub changes: Vec<String>,
    pub created: String,
    pub created_by: String,
    pub created_by_email: String,
    pub last_used: String,
    /// In words.
    pub connected: String,
    /// Why it was refused.
    pub approval_reason: Option<String>,
    /// When.
    pub verified: Option<String>,
    pub first_party: bool,
    /// When.
    pub stopped: Option<String>,
    pub stopped_because: String,
}

/// `POST /operator/applications/{id}/stop` with `csrf reason`.
#[derive(Template)]
#[template(path = "operator/application_stop.html")]
pub struct ApplicationStopPage {
    pub shell: Shell,
    pub csrf: String,
    pub application: ApplicationDetail,
    pub reason: String,
    pub errors: FieldErrors,
}

#[cfg(test)]
mod samples {
    use super::*;
    use crate::web::page::samples::{operator, scopes};

    const APPROVED: Status = Status {
        sandbox: false,
        approval: Approval::Approved,
        changed: false,
        verified: true,
        stopped: false,
    };
    const WAITING: Status = Status {
        sandbox: false,
        approval: Approval::Requested,
        changed: false,
        verified: false,
        stopped: false,
    };
    const STOPPED: Status = Status {
        sandbox: false,
        approval: Approval::Refused,
        changed: false,
        verified: false,
        stopped: true,
    };
    const OWN: Status = Status {
        sandbox: false,
        approval: Approval::None,
        changed: false,
        verified: false,
        stopped: false,
    };

    fn row(name: &str, status: Status) -> ApplicationRow {
        ApplicationRow {
            id: "app_01JcQ7n5vW9xYzA2bC3dE4".into(),
            name: name.into(),
            organization: name.into(),
            created: "3 Oct 2026".into(),
            last_used: "20 Nov 2026".into(),
            status,
        }
    }

    impl ApplicationsPage {
        pub fn sample(name: &str) -> Self {
            Self {
                shell: operator("Applications"),
                waiting: vec![row(name, WAITING)],
                found: vec![
                    row(name, WAITING),
                    row("Northwind CRM", APPROVED),
                    row("Phone app", STOPPED),
                    row("Intranet", OWN),
                ],
                search: String::new(),
                standing: None,
                next_href: Some("/operator/applications?search=&after=app_1".into()),
            }
        }

        pub fn sample_nothing_found(search: &str) -> Self {
            let standing = Some(ApplicationStanding::Stopped);
            Self {
                waiting: Vec::new(),
                found: Vec::new(),
                search: search.into(),
                standing,
                next_href: None,
                ..Self::sample("")
            }
        }
    }

    fn detail(name: &str, status: Status) -> ApplicationDetail {
        ApplicationDetail {
            id: "app_01JcQ7n5vW9xYzA2bC3dE4".into(),
            name: name.into(),
            status,
            environment: Environment::Production,
            client_type: ClientType::Confidential,
            organization: name.into(),
            organization_id: "org_01JcQ7n5vW9xYzA2bC3dE4".into(),
            redirect_uris: vec![
                "https://crm.northwind.example/oauth/callback".into(),
                name.into(),
            ],
            scopes: scopes(),
            version: format!(r#"{{"name": "{name}"}}"#),
            changes: if status.changed {
                vec![
                    format!("Its name was Northwind and is {name}."),
                    "New scope: send.".into(),
                ]
            } else {
                Vec::new()
            },
            created: "3 Oct 2026".into(),
            created_by: name.into(),
            created_by_email: "nora@northwind.example".into(),
            last_used: "20 Nov 2026".into(),
            connected: "14 consents".into(),
            approval_reason: (status.approval == Approval::Refused).then(|| name.to_owned()),
            first_party: status.verified,
            verified: status.verified.then(|| "4 Oct 2026".to_owned()),
            stopped: status.stopped.then(|| "19 Nov 2026".to_owned()),
            stopped_because: name.into(),
        }
    }

    impl ApplicationPage {
        fn of(name: &str, status: Status) -> Self {
            let (can_approve, can_refuse) = (
                status.approval != Approval::Approved,
                status.approval != Approval::Refused,
            );
            Self {
                shell: operator("Application"),
                csrf: "csrf-token".into(),
                application: detail(name, status),
                can_approve,
                can_refuse,
                reason: String::new(),
                errors: FieldErrors::default(),
            }
        }

        pub fn sample_waiting(name: &str) -> Self {
            Self::of(name, WAITING)
        }

        pub fn sample_approved(name: &str) -> Self {
            Self::of(name, APPROVED)
        }

        pub fn sample_changed(name: &str) -> Self {
            let changed = Status {
                changed: true,
                ..APPROVED
            };
            Self {
                can_approve: true,
                ..Self::of(name, changed)
            }
        }

        pub fn sample_stopped(name: &str) -> Self {
            Self::of(name, STOPPED)
        }

        pub fn sample_refused(name: &str) -> Self {
            let mut errors = FieldErrors::default();
            errors.push("reason", format!("Something is wrong here: {name}"));
            errors.push("", "Somebody else has just decided about it. Look again.");
            Self {
                reason: name.into(),
                errors,
                ..Self::of(name, WAITING)
            }
        }

        pub fn sample_sandbox() -> Self {
            let mut page = Self::of(
                "Test",
                Status {
                    sandbox: true,
                    ..OWN
                },
            );
            (page.can_approve, page.can_refuse) = (false, false);
            page.application.environment = Environment::Sandbox;
            page.application.redirect_uris = Vec::new();
            page.application.scopes = Vec::new();
            page
        }
    }

    impl ApplicationStopPage {
        pub fn sample(name: &str) -> Self {
            Self {
                shell: operator("Stop application"),
                csrf: "csrf-token".into(),
                application: detail(name, APPROVED),
                reason: String::new(),
                errors: FieldErrors::default(),
            }
        }

        pub fn sample_refused(name: &str) -> Self {
            let mut errors = FieldErrors::default();
            errors.push("reason", "Reason must not be empty.");
            Self {
                reason: name.into(),
                errors,
                ..Self::sample(name)
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
    fn the_pages_keep_the_promises_whatever_the_names() {
        assert_kept(
            "operator-application-sandbox",
            &ApplicationPage::sample_sandbox(),
        );
        for (kind, name) in [
            ("", "Northwind CRM".to_owned()),
            ("-script", SCRIPT.to_owned()),
            ("-long", long()),
            ("-rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            let name = name.as_str();
            let file = |page: &str| format!("operator-{page}{kind}");
            assert_kept(&file("applications"), &ApplicationsPage::sample(name));
            assert_kept(
                &file("applications-none"),
                &ApplicationsPage::sample_nothing_found(name),
            );
            assert_kept(
                &file("application-waiting"),
                &ApplicationPage::sample_waiting(name),
            );
            assert_kept(
                &file("application-approved"),
                &ApplicationPage::sample_approved(name),
            );
            assert_kept(
                &file("application-changed"),
                &ApplicationPage::sample_changed(name),
            );
            assert_kept(
                &file("application-stopped"),
                &ApplicationPage::sample_stopped(name),
            );
            assert_kept(
                &file("application-refused"),
                &ApplicationPage::sample_refused(name),
            );
            assert_kept(
                &file("application-stop"),
                &ApplicationStopPage::sample(name),
            );
            assert_kept(
                &file("application-stop-refused"),
                &ApplicationStopPage::sample_refused(name),
            );
        }
    }
}
