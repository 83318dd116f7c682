//! The pages about organizations.

use askama::Template;

use crate::domain::people::accounts::FIRST_WORKSPACE;
use crate::types::state::ProductionAccess;
use crate::web::page::{FieldErrors, Shell};

/// `GET /operator/organizations?search=&production=&after=`.
#[derive(Template)]
#[template(path = "operator/organizations.html")]
pub struct OrganizationsPage {
    pub shell: Shell,
    /// Those that ask for Production.
    pub waiting: Vec<OrganizationRow>,
    pub found: Vec<OrganizationRow>,
    pub search: String,
    pub production: Option<ProductionAccess>,
    pub next_href: Option<String>,
}

impl OrganizationsPage {
    fn stands(&self, access: ProductionAccess) -> bool {
        self.production == Some(access)
    }

    fn is_filtered(&self) -> bool {
        !self.search.is_empty() || self.production.is_some()
    }
}

#[derive(Debug, Clone)]
pub struct OrganizationRow {
    pub id: String,
    pub name: String,
    /// Empty for none.
    pub external_id: String,
    pub plan: String,
    pub created: String,
    pub production: ProductionAccess,
    pub suspended: bool,
}

/// `POST /operator/organizations/{id}` with `csrf decision=approve|refuse|withdraw|suspend|resume|subscribe reason plan`.
#[derive(Template)]
#[template(path = "operator/organization.html")]
pub struct OrganizationPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationDetail,
    pub plans: Vec<PlanChoice>,
    pub can_approve: bool,
    pub can_refuse: bool,
    pub can_withdraw: bool,
    /// What was typed, after a refusal.
    pub reason: String,
    pub errors: FieldErrors,
}

/// `POST /operator/organizations` with `csrf name workspace owner_email plan`.
#[derive(Template)]
#[template(path = "operator/customer_new.html")]
pub struct CustomerPage {
    pub shell: Shell,
    pub csrf: String,
    pub plans: Vec<PlanChoice>,
    pub form: CustomerForm,
    pub errors: FieldErrors,
}

/// The text of each field, whatever it was.
#[derive(Debug, Clone)]
pub struct CustomerForm {
    pub name: String,
    pub workspace: String,
    pub owner_email: String,
    /// Empty for the default one.
    pub plan: String,
}

impl Default for CustomerForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            workspace: FIRST_WORKSPACE.to_owned(),
            owner_email: String::new(),
            plan: String::new(),
        }
    }
}

/// The only page that ever shows the invitation's link. Answer it with `Cache-Control: no-store`.
#[derive(Template)]
#[template(path = "operator/customer_created.html")]
pub struct CustomerCreatedPage {
    pub shell: Shell,
    pub id: String,
    pub name: String,
    pub owner_email: String,
    pub expires: String,
    pub link: String,
}

#[derive(Debug, Clone)]
pub struct PlanChoice {
    pub name: String,
    pub title: String,
    pub chosen: bool,
}

#[derive(Debug, Clone)]
pub struct OrganizationDetail {
    pub id: String,
    pub name: String,
    /// Empty for none.
    pub external_id: String,
    pub created: String,
    pub suspended: bool,
    pub plan: String,
    /// In words.
    pub dev_centre: String,
    pub trial_end: Option<String>,
    /// That work now.
    pub api_keys: i64,
    pub applications: i64,
    pub production: ProductionAccess,
    pub use_case: String,
    pub requested: Option<String>,
    pub decided: Option<String>,
    /// Of a refusal or a withdrawal.
    pub reason: String,
    /// What keeps Production shut.
    pub locked: Option<String>,
}

#[cfg(test)]
mod samples {
    use super::*;
    use crate::web::page::samples::operator;

    fn row(name: &str, production: ProductionAccess) -> OrganizationRow {
        OrganizationRow {
            id: "org_01JcQ7n5vW9xYzA2bC3dE4".into(),
            name: name.into(),
            external_id: name.into(),
            plan: "Enterprise".into(),
            created: "3 Oct 2026".into(),
            production,
            suspended: production == ProductionAccess::Withdrawn,
        }
    }

    impl OrganizationsPage {
        pub fn sample(name: &str) -> Self {
            let states = [
                ProductionAccess::None,
                ProductionAccess::Requested,
                ProductionAccess::Approved,
                ProductionAccess::Refused,
            ];
            Self {
                shell: operator("Organizations"),
                waiting: vec![row(name, ProductionAccess::Requested)],
                found: states
                    .into_iter()
                    .chain([ProductionAccess::Withdrawn])
                    .map(|state| row(name, state))
                    .collect(),
                search: String::new(),
                production: None,
                next_href: Some("/operator/organizations?search=&production=&after=org_1".into()),
            }
        }

        pub fn sample_nothing_found(search: &str) -> Self {
            Self {
                waiting: Vec::new(),
                found: Vec::new(),
                search: search.into(),
                next_href: None,
                ..Self::sample("")
            }
        }
    }

    impl OrganizationPage {
        pub fn sample(name: &str, production: ProductionAccess) -> Self {
            let plan = |title: &str| PlanChoice {
                name: title.to_lowercase(),
                title: title.into(),
                chosen: title == "Enterprise",
            };
            let mut errors = FieldErrors::default();
            if production == ProductionAccess::Refused {
                errors.push("", format!("Something is wrong here: {name}"));
            }
            if production == ProductionAccess::Requested {
                errors.push("reason", "Reason must not be empty.");
            }
            Self {
                shell: operator("Organization"),
                csrf: "csrf-token".into(),
                organization: OrganizationDetail {
                    id: "org_01JcQ7n5vW9xYzA2bC3dE4".into(),
                    name: name.into(),
                    external_id: name.into(),
                    created: "3 Oct 2026".into(),
                    suspended: production == ProductionAccess::Withdrawn,
                    plan: "Enterprise".into(),
                    dev_centre: "Included".into(),
                    trial_end: Some("12 Nov 2026".into()),
                    api_keys: 3,
                    applications: 1,
                    production,
                    use_case: name.into(),
                    requested: Some("4 Oct 2026".into()),
                    decided: Some("5 Oct 2026".into()),
                    reason: name.into(),
                    locked: (production != ProductionAccess::Approved).then(|| name.to_owned()),
                },
                plans: vec![plan("Free"), plan("Enterprise")],
                can_approve: production != ProductionAccess::Approved,
                can_refuse: production == ProductionAccess::Requested,
                can_withdraw: production == ProductionAccess::Approved,
                reason: name.into(),
                errors,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, operator};

    #[test]
    fn the_form_of_a_new_customer_keeps_the_promises() {
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            let mut errors = FieldErrors::default();
            for field in ["name", "workspace", "owner_email", "plan"] {
                errors.push(field, format!("Something is wrong here: {name}"));
            }
            let form = CustomerForm {
                name: name.clone(),
                owner_email: name.clone(),
                ..CustomerForm::default()
            };
            let plan = PlanChoice {
                name: "free".into(),
                title: "Free".into(),
                chosen: true,
            };
            let page = CustomerPage {
                shell: operator("New customer"),
                csrf: "csrf-token".into(),
                plans: vec![plan],
                form,
                errors,
            };
            assert_kept(&format!("operator-customer-new-{kind}"), &page);
            let created = CustomerCreatedPage {
                shell: operator("Customer created"),
                id: "org_1Acme".into(),
                name: name.clone(),
                owner_email: name,
                expires: "3 Oct 2026".into(),
                link: "https://api.acme.example/invitations/cs_iv_AbC4xY9kLm2QzT7vWp1RsN5u".into(),
            };
            assert_kept(&format!("operator-customer-created-{kind}"), &created);
        }
    }

    #[test]
    fn the_pages_keep_the_promises_whatever_the_names() {
        for (kind, name) in [
            ("", "Northwind".to_owned()),
            ("-script", SCRIPT.to_owned()),
            ("-long", long()),
            ("-rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(
                &format!("operator-organizations{kind}"),
                &OrganizationsPage::sample(&name),
            );
            assert_kept(
                &format!("operator-organizations-none{kind}"),
                &OrganizationsPage::sample_nothing_found(&name),
            );
            for state in ["none", "requested", "approved", "refused", "withdrawn"] {
                let page = OrganizationPage::sample(&name, state.parse().expect("a state"));
                assert_kept(&format!("operator-organization-{state}{kind}"), &page);
            }
        }
    }
}
