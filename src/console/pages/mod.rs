//! The Dev Centre's pages, all under `/dev-centre/{organization}`.

pub mod api_keys;
pub mod application_settings;
pub mod applications;
pub mod management_tokens;
pub mod plan;
pub mod registration;
pub mod single_sign_on;

use askama::Template;

use crate::web::page::{Link, Shell};

/// The user belongs to several organizations: which one?
#[derive(Template)]
#[template(path = "console/organizations.html")]
pub struct OrganizationsPage {
    pub shell: Shell,
    pub organizations: Vec<OrganizationRow>,
    /// Those that ask for another sign-in first.
    pub asking: Vec<Link>,
}

#[derive(Debug, Clone)]
pub struct OrganizationRow {
    pub id: String,
    pub name: String,
    /// The user's, in words.
    pub role: String,
}

#[cfg(test)]
mod samples {
    use super::*;
    use crate::web::page::OrganizationLink;
    use crate::web::page::samples::{organization, signed_in};

    pub const LOCKED: &str = "It needs a plan with API access and an approval. Ask your account manager to activate both.";

    pub fn unlock() -> Link {
        Link {
            href: "/dev-centre/org_1Acme/production".into(),
            label: "Request production access".into(),
        }
    }

    pub fn named(name: &str) -> OrganizationLink {
        OrganizationLink {
            name: name.into(),
            ..organization()
        }
    }

    impl OrganizationsPage {
        pub fn sample(name: &str) -> Self {
            let row = |id: &str, name: &str| OrganizationRow {
                id: id.into(),
                name: name.into(),
                role: "Owner".into(),
            };
            Self {
                shell: signed_in("Organizations", None),
                organizations: vec![row("org_1Acme", "Acme Contracts"), row("org_2", name)],
                asking: vec![Link {
                    href: "/login/oidc/idp_1".into(),
                    label: name.into(),
                }],
            }
        }

        pub fn sample_none() -> Self {
            Self {
                organizations: Vec::new(),
                asking: Vec::new(),
                ..Self::sample("")
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
    fn the_choice_of_an_organization_keeps_the_promises() {
        assert_kept("organizations-none", &OrganizationsPage::sample_none());
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(
                &format!("organizations-{kind}"),
                &OrganizationsPage::sample(&name),
            );
        }
    }
}
