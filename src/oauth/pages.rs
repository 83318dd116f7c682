//! The consent page (RFC 6749 §3.1): who asks, where the browser goes next, and what is granted.

use askama::Template;

use crate::types::environment::Environment;
use crate::web::page::{Choice, ScopeRow, Shell};

/// `POST /oauth2/authorize` with `csrf request organization workspace… decision=allow|deny`; `workspace=all` stands for
/// the whole organization. Another organization is `GET /oauth2/authorize/consent?request=…&organization=…`.
#[derive(Template)]
#[template(path = "oauth/consent.html")]
pub struct ConsentPage {
    pub shell: Shell,
    pub csrf: String,
    /// Of the stored authorization request, and what the page shows of it.
    pub request_id: String,
    /// The same request from its beginning: the form goes there, so that one that comes too late leads back.
    pub authorize_path: String,
    pub application_name: String,
    pub application_organization: String,
    /// It belongs to the selected organization.
    pub own: bool,
    /// The operator has checked who is behind it.
    pub verified: bool,
    /// The person goes on to this machine or a native application: nobody can tell which program listens there.
    pub local: bool,
    /// The person has allowed it something in this organization: what is new is marked.
    pub connected_before: bool,
    /// What it was called when the person allowed it.
    pub former_name: Option<String>,
    /// It sends the person somewhere else than before.
    pub new_redirect: Option<NewRedirect>,
    /// The APIs it is for; empty for all.
    pub apis: Vec<String>,
    /// Host of the validated redirect URI, or its private-use scheme.
    pub redirect_host: String,
    pub environment: Environment,
    pub scopes: Vec<RequestedScope>,
    /// The user's organizations that may grant this; one is selected.
    pub organizations: Vec<Choice>,
    /// Of the selected organization.
    pub workspaces: Vec<WorkspaceChoice>,
    /// The user may grant the whole organization.
    pub all_workspaces_possible: bool,
    pub all_workspaces_selected: bool,
    pub user_email: String,
    pub error: Option<String>,
}

impl ConsentPage {
    /// Some of it was allowed before, and some was not.
    fn asks_for_more(&self) -> bool {
        self.connected_before && self.scopes.iter().any(|requested| requested.is_new)
    }
}

/// Redirect URIs, without the port of a loopback address.
#[derive(Debug, Clone)]
pub struct NewRedirect {
    pub now: String,
    pub before: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct RequestedScope {
    pub scope: ScopeRow,
    /// Not allowed before.
    pub is_new: bool,
}

#[derive(Debug, Clone)]
pub struct WorkspaceChoice {
    pub id: String,
    pub name: String,
    pub organization_id: String,
    pub organization_name: String,
    pub selected: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Risk;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{
        RIGHT_TO_LEFT, SCRIPT, choice, long, scope, scopes, signed_in,
    };

    fn workspace(id: &str, name: &str, selected: bool) -> WorkspaceChoice {
        WorkspaceChoice {
            id: id.into(),
            name: name.into(),
            organization_id: "org_1Acme".into(),
            organization_name: "Acme Contracts".into(),
            selected,
        }
    }

    impl ConsentPage {
        fn sample() -> Self {
            Self {
                shell: signed_in("Allow access?", None),
                csrf: "csrf-token".into(),
                request_id: "request-1".into(),
                authorize_path: "/oauth2/authorize?client_id=app_1&state=a%26b".into(),
                application_name: "Northwind CRM".into(),
                application_organization: "Northwind Traders".into(),
                own: true,
                verified: false,
                local: false,
                connected_before: false,
                former_name: None,
                new_redirect: None,
                apis: Vec::new(),
                redirect_host: "crm.northwind.example".into(),
                environment: Environment::Production,
                scopes: scopes()
                    .into_iter()
                    .map(|scope| RequestedScope {
                        scope,
                        is_new: false,
                    })
                    .collect(),
                organizations: vec![
                    choice("org_1Acme", "Acme Contracts", true),
                    choice("org_2Beta", "Beta Legal", false),
                ],
                workspaces: vec![
                    workspace("ws_1", "Sales", true),
                    workspace("ws_2", "Human resources", false),
                ],
                all_workspaces_possible: true,
                all_workspaces_selected: false,
                user_email: "ada@acme.example".into(),
                error: None,
            }
        }

        fn sample_sandbox_unverified() -> Self {
            Self {
                own: false,
                local: true,
                environment: Environment::Sandbox,
                organizations: vec![choice("org_1Acme", "Acme Contracts", true)],
                all_workspaces_possible: false,
                error: Some("Choose at least one workspace.".into()),
                ..Self::sample()
            }
        }

        fn sample_grown() -> Self {
            let scopes = scopes()
                .into_iter()
                .map(|scope| RequestedScope {
                    is_new: scope.risk != Risk::Low,
                    scope,
                })
                .collect();
            let (apis, all_workspaces_selected) =
                (vec!["Documents API".into(), "Archive API".into()], true);
            Self {
                own: false,
                verified: true,
                connected_before: true,
                former_name: Some("Northwind Exports".into()),
                new_redirect: Some(NewRedirect {
                    now: "https://crm.northwind.example/callback".into(),
                    before: vec!["https://northwind.example/cb".into()],
                }),
                scopes,
                apis,
                all_workspaces_selected,
                ..Self::sample()
            }
        }

        fn sample_hostile(name: &str) -> Self {
            Self {
                application_name: name.into(),
                application_organization: name.into(),
                redirect_host: name.into(),
                scopes: vec![RequestedScope {
                    scope: scope(name, name, name, Risk::High),
                    is_new: true,
                }],
                connected_before: true,
                former_name: Some(name.into()),
                new_redirect: Some(NewRedirect {
                    now: name.into(),
                    before: vec![name.into(), name.into()],
                }),
                apis: vec![name.into()],
                organizations: vec![
                    choice("org_1Acme", name, true),
                    choice("org_2Beta", name, false),
                ],
                workspaces: vec![workspace(name, name, true)],
                user_email: name.into(),
                error: Some(name.into()),
                ..Self::sample_sandbox_unverified()
            }
        }

        fn sample_without_workspaces() -> Self {
            Self {
                workspaces: Vec::new(),
                scopes: Vec::new(),
                ..Self::sample_sandbox_unverified()
            }
        }
    }

    #[test]
    fn the_consent_page_keeps_the_promises() {
        assert_kept("consent", &ConsentPage::sample());
        assert_kept("consent-grown", &ConsentPage::sample_grown());
        assert_kept("consent-sandbox", &ConsentPage::sample_sandbox_unverified());
        assert_kept("consent-nothing", &ConsentPage::sample_without_workspaces());
        for name in [SCRIPT, RIGHT_TO_LEFT, &long()] {
            assert_kept("consent-hostile", &ConsentPage::sample_hostile(name));
        }
    }

    #[test]
    fn return_and_enter_deny() {
        // the first submit button of a form is what the Enter key presses
        let html = ConsentPage::sample().render().expect("renders");
        let form = html
            .split(r#"action="/oauth2/authorize?"#)
            .nth(1)
            .expect("the decision form");
        let (deny, allow) = (form.find(r#"value="deny""#), form.find(r#"value="allow""#));
        assert!(deny.is_some() && deny < allow);
    }
}
