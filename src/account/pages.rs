//! The pages of a person's own account.

use askama::Template;

use crate::types::environment::Environment;
use crate::web::page::{FieldErrors, Link, ScopeRow, Shell};

/// `POST /login` with `csrf email password return_to`.
#[derive(Template)]
#[template(path = "account/sign_in.html")]
pub struct SignInPage {
    pub shell: Shell,
    pub csrf: String,
    /// What was typed, after a refusal.
    pub email: String,
    pub error: Option<String>,
    /// Where to go afterwards; a local path, already validated.
    pub return_to: String,
    /// The application that waits for the sign-in.
    pub on_behalf_of: Option<String>,
    /// Buttons to the providers that may vouch for the person.
    pub providers: Vec<Link>,
    pub with_password: bool,
    /// Where operators find the form that the others do not have.
    pub password_href: Option<String>,
    pub reset_href: Option<String>,
    pub sign_up_href: Option<String>,
}

/// `POST /login/oidc/claim` with `csrf claim answer password`.
#[derive(Template)]
#[template(path = "account/claim.html")]
pub struct ClaimPage {
    pub shell: Shell,
    pub csrf: String,
    /// The address that the person has proven, and another account has.
    pub email: String,
    /// What the provider has proven, sealed.
    pub claim: String,
}

/// `POST /account/confirm` with `csrf password return_to`.
#[derive(Template)]
#[template(path = "account/confirm.html")]
pub struct ConfirmPage {
    pub shell: Shell,
    pub csrf: String,
    /// Where to go afterwards; a local path, already validated.
    pub return_to: String,
    /// The button to the provider that may vouch for the person again.
    pub provider: Option<Link>,
    pub with_password: bool,
    pub error: Option<String>,
}

/// How the person signs in, and how that can be changed: `POST /account/identity/link` and `…/unlink` with `csrf`.
#[derive(Template)]
#[template(path = "account/identity.html")]
pub struct IdentityPage {
    pub shell: Shell,
    pub csrf: String,
    /// What the person types to sign in: the address, with four digits behind it when somebody else has proven it.
    pub sign_in_name: String,
    /// The operator's provider, by name.
    pub provider: Option<String>,
    /// Since when it is linked.
    pub linked: Option<String>,
    pub with_password: bool,
    /// Just now.
    pub password_changed: bool,
    /// Why neither can be changed with this session.
    pub locked: Option<String>,
}

/// `POST /account/password` with `csrf current password`.
#[derive(Template)]
#[template(path = "account/password.html")]
pub struct PasswordPage {
    pub shell: Shell,
    pub csrf: String,
    /// So that password managers know which one is meant.
    pub email: String,
    pub errors: FieldErrors,
}

/// `POST /hand-over/{token}` with `csrf email`.
#[derive(Template)]
#[template(path = "account/hand_over.html")]
pub struct HandOverPage {
    pub shell: Shell,
    pub csrf: String,
    pub token: String,
    pub organization: String,
    pub name: String,
    pub environment: Environment,
    pub error: Option<String>,
}

/// The secret, once.
#[derive(Template)]
#[template(path = "account/hand_over_done.html")]
pub struct HandOverDonePage {
    pub shell: Shell,
    pub name: String,
    pub environment: Environment,
    pub secret: String,
    pub try_url: String,
    /// The word before the key in the `Authorization` header.
    pub scheme: String,
}

#[derive(Template)]
#[template(path = "account/hand_over_closed.html")]
pub struct HandOverClosedPage {
    pub shell: Shell,
    pub title: String,
    pub text: String,
}

/// What acts for the person.
#[derive(Template)]
#[template(path = "account/connected_apps.html")]
pub struct ConnectedAppsPage {
    pub shell: Shell,
    /// Access has just been taken back.
    pub revoked: bool,
    pub applications: Vec<ConnectedApp>,
}

/// `POST {revoke_href}` with `csrf`.
#[derive(Template)]
#[template(path = "account/connected_app_revoke.html")]
pub struct ConnectedAppRevokePage {
    pub shell: Shell,
    pub csrf: String,
    pub application: ConnectedApp,
}

#[derive(Debug, Clone)]
pub struct ConnectedApp {
    pub name: String,
    /// The organization that made it.
    pub made_by: String,
    pub maker: Maker,
    pub environment: Environment,
    /// Whose data it opens.
    pub organization: String,
    /// By name; none: all of them.
    pub workspaces: Option<Vec<String>>,
    pub scopes: Vec<ScopeRow>,
    pub connected: String,
    /// When, and how long ago.
    pub last_used: Option<(String, String)>,
    /// The operator has stopped it.
    pub stopped: bool,
    /// A used token came back: when, and how long ago.
    pub marked: Option<(String, String)>,
    pub revoke_href: String,
}

/// What is known of who made an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// The organization whose data it opens.
    Own,
    /// The operator has checked who is behind it.
    Verified,
    Unverified,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::FieldError;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, scopes, signed_in, signed_out};

    impl ConnectedApp {
        fn sample(name: &str) -> Self {
            Self {
                name: name.into(),
                made_by: "Northwind Traders".into(),
                maker: Maker::Verified,
                environment: Environment::Production,
                organization: "Acme Contracts".into(),
                workspaces: Some(vec!["Sales".into(), "Human resources".into()]),
                scopes: scopes(),
                connected: "3 Oct 2026, 09:12 UTC".into(),
                last_used: Some(("20 Nov 2026, 11:58 UTC".into(), "2 minutes ago".into())),
                stopped: false,
                marked: None,
                revoke_href: "/account/applications/con_1/revoke".into(),
            }
        }

        fn sample_unused(name: &str) -> Self {
            let named = || Some(vec![name.to_owned()]);
            let (organization, made_by) = (name.to_owned(), name.to_owned());
            let (scopes, environment) =
                (scopes().into_iter().take(1).collect(), Environment::Sandbox);
            Self {
                organization,
                made_by,
                maker: Maker::Unverified,
                workspaces: named(),
                last_used: None,
                marked: Some(("20 Nov 2026, 11:59 UTC".into(), "1 minute ago".into())),
                scopes,
                environment,
                ..Self::sample(name)
            }
        }
    }

    impl ConnectedAppsPage {
        fn sample(name: &str) -> Self {
            let own = ConnectedApp {
                maker: Maker::Own,
                workspaces: None,
                stopped: true,
                scopes: Vec::new(),
                ..ConnectedApp::sample("Warehouse robot")
            };
            let applications = vec![
                ConnectedApp::sample("Northwind CRM"),
                ConnectedApp::sample_unused(name),
                own,
            ];
            Self {
                shell: signed_in("Connected applications", None),
                revoked: true,
                applications,
            }
        }

        fn sample_empty() -> Self {
            Self {
                revoked: false,
                applications: Vec::new(),
                ..Self::sample("")
            }
        }
    }

    impl ConnectedAppRevokePage {
        fn sample(name: &str) -> Self {
            Self {
                shell: signed_in("Take access back", None),
                csrf: "csrf-token".into(),
                application: ConnectedApp::sample(name),
            }
        }

        fn sample_unused(name: &str) -> Self {
            Self {
                application: ConnectedApp::sample_unused(name),
                ..Self::sample(name)
            }
        }
    }

    impl HandOverPage {
        fn sample(name: &str, error: Option<&str>) -> Self {
            Self {
                shell: signed_out("An API key for you"),
                csrf: "csrf-token".into(),
                token: "cs_ho_0123".into(),
                organization: name.into(),
                name: name.into(),
                environment: Environment::Production,
                error: error.map(str::to_owned),
            }
        }
    }

    impl HandOverDonePage {
        fn sample(name: &str) -> Self {
            Self {
                shell: signed_out("Your API key"),
                name: name.into(),
                environment: Environment::Sandbox,
                secret: "cs_sandbox_0123".into(),
                try_url: "https://api.acme.example/v1/whoami".into(),
                scheme: "API-Key".into(),
            }
        }
    }

    #[test]
    fn hand_over_pages_keep_the_promises() {
        for (kind, name) in [
            ("", "Acme".to_owned()),
            ("-script", SCRIPT.to_owned()),
            ("-long", long()),
            ("-rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(
                &format!("hand-over{kind}"),
                &HandOverPage::sample(&name, None),
            );
            assert_kept(
                &format!("hand-over-refused{kind}"),
                &HandOverPage::sample(&name, Some("The link is not for this address.")),
            );
            assert_kept(
                &format!("hand-over-done{kind}"),
                &HandOverDonePage::sample(&name),
            );
        }
        let (title, text) = (
            "This link has expired".to_owned(),
            "Ask for a new one.".to_owned(),
        );
        assert_kept(
            "hand-over-closed",
            &HandOverClosedPage {
                shell: signed_out("This link has expired"),
                title,
                text,
            },
        );
    }

    #[test]
    fn connected_applications_keep_the_promises() {
        assert_kept("connected-apps", &ConnectedAppsPage::sample("Phone app"));
        assert_kept("connected-apps-none", &ConnectedAppsPage::sample_empty());
        assert_kept(
            "connected-app-revoke",
            &ConnectedAppRevokePage::sample("Northwind CRM"),
        );
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(
                &format!("connected-apps-{kind}"),
                &ConnectedAppsPage::sample(&name),
            );
            assert_kept(
                &format!("connected-app-revoke-{kind}"),
                &ConnectedAppRevokePage::sample_unused(&name),
            );
        }
    }

    impl SignInPage {
        fn sample() -> Self {
            Self {
                shell: signed_out("Sign in"),
                csrf: "csrf-token".into(),
                email: String::new(),
                error: None,
                return_to: "/dev-centre".into(),
                on_behalf_of: None,
                providers: vec![Link {
                    href: "/login/oidc?return_to=%2F".into(),
                    label: "Sign in with Acme".into(),
                }],
                with_password: true,
                password_href: None,
                reset_href: Some("/account/reset".into()),
                sign_up_href: Some("/signup".into()),
            }
        }

        fn sample_refused(application: &str) -> Self {
            Self {
                email: SCRIPT.into(),
                error: Some("E-mail address or password is wrong.".into()),
                return_to: "/oauth2/authorize/consent?request=a&b=\"c\"".into(),
                on_behalf_of: Some(application.into()),
                providers: vec![Link {
                    href: "/login/oidc?return_to=%2F".into(),
                    label: application.into(),
                }],
                reset_href: None,
                sign_up_href: None,
                ..Self::sample()
            }
        }
    }

    impl IdentityPage {
        fn sample(provider: Option<&str>, linked: Option<&str>, locked: Option<&str>) -> Self {
            Self {
                shell: signed_in("How you sign in", None),
                csrf: "csrf-token".into(),
                sign_in_name: "ada@acme.example#0421".into(),
                provider: provider.map(Into::into),
                linked: linked.map(Into::into),
                with_password: linked.is_none(),
                password_changed: locked.is_none(),
                locked: locked.map(Into::into),
            }
        }
    }

    #[test]
    fn the_question_about_an_earlier_account_keeps_the_promises() {
        for email in ["ada@acme.example", SCRIPT, RIGHT_TO_LEFT, &long()] {
            let page = ClaimPage {
                shell: signed_out("Is this account yours?"),
                csrf: "csrf-token".into(),
                email: email.into(),
                claim: "k1:c2VhbGVk".into(),
            };
            assert_kept("claim", &page);
        }
    }

    #[test]
    fn the_page_about_signing_in_keeps_the_promises() {
        assert_kept("identity-none", &IdentityPage::sample(None, None, None));
        for name in [SCRIPT, RIGHT_TO_LEFT, &long()] {
            assert_kept(
                "identity-free",
                &IdentityPage::sample(Some(name), None, None),
            );
            assert_kept(
                "identity-linked",
                &IdentityPage::sample(Some(name), Some("31 Jan 2026"), None),
            );
            assert_kept(
                "identity-locked",
                &IdentityPage::sample(Some(name), None, Some("Not now.")),
            );
        }
        let without = SignInPage {
            with_password: false,
            password_href: Some("/login?with=password".into()),
            ..SignInPage::sample()
        };
        assert_kept("sign-in-without-password", &without);
    }

    #[test]
    fn the_page_that_changes_the_password_keeps_the_promises() {
        for errors in [&[][..], &["current"], &["password"]] {
            let page = PasswordPage {
                shell: signed_in("Change your password", None),
                csrf: "csrf-token".into(),
                email: SCRIPT.into(),
                errors: FieldErrors(
                    errors
                        .iter()
                        .map(|field| FieldError {
                            field: (*field).into(),
                            message: "is wrong".into(),
                        })
                        .collect(),
                ),
            };
            assert_kept("password", &page);
        }
    }

    #[test]
    fn the_page_of_a_fresh_proof_keeps_the_promises() {
        let page = |name: &str, with_password| ConfirmPage {
            shell: signed_in("Confirm who you are", None),
            csrf: "csrf-token".into(),
            return_to: "/dev-centre".into(),
            provider: Some(Link {
                href: "/login/oidc?return_to=%2F&again=true".into(),
                label: name.into(),
            }),
            with_password,
            error: with_password.then(|| name.to_owned()),
        };
        assert_kept("confirm-provider", &page("Confirm with Acme", false));
        assert_kept(
            "confirm-none",
            &ConfirmPage {
                provider: None,
                ..page("", false)
            },
        );
        for (kind, name) in [("script", SCRIPT.to_owned()), ("long", long())] {
            assert_kept(&format!("confirm-{kind}"), &page(&name, true));
        }
    }

    #[test]
    fn account_pages_keep_the_promises() {
        assert_kept("sign-in", &SignInPage::sample());
        assert_kept(
            "sign-in-refused",
            &SignInPage::sample_refused("Northwind CRM"),
        );
        for name in [SCRIPT, RIGHT_TO_LEFT, &long()] {
            assert_kept("sign-in-hostile", &SignInPage::sample_refused(name));
        }
    }
}
