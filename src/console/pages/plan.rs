//! The page about the organization's plan.

use askama::Template;

use crate::types::state::ProductionAccess;
use crate::web::page::{FieldErrors, OrganizationLink, Shell};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevCentreState {
    Included,
    On,
    Off,
    NotOnThisPlan,
}

/// `POST /dev-centre/{organization}/plan` with `csrf action=enable|disable|request|cancel use_case confirm`.
#[derive(Template)]
#[template(path = "console/plan.html")]
pub struct PlanPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub plan: String,
    pub trial_end: Option<String>,
    pub trial_over: bool,
    /// Whom to ask for another plan.
    pub contact: String,
    pub dev_centre: DevCentreState,
    /// What switching off would suspend; none: nothing works.
    pub stops: Option<String>,
    pub production: ProductionAccess,
    /// Whether live credentials work.
    pub open: bool,
    /// What keeps Production shut.
    pub locked: Option<String>,
    pub can_request: bool,
    pub can_cancel: bool,
    pub requested: Option<String>,
    /// Of a refusal or a withdrawal.
    pub reason: String,
    /// As it was asked for, or typed just now.
    pub use_case: String,
    pub errors: FieldErrors,
}

#[cfg(test)]
mod samples {
    use super::super::samples::{LOCKED, named};
    use super::*;
    use crate::web::page::Section;
    use crate::web::page::samples::signed_in;

    impl PlanPage {
        pub fn sample(
            name: &str,
            dev_centre: DevCentreState,
            production: ProductionAccess,
        ) -> Self {
            let mut errors = FieldErrors::default();
            if production == ProductionAccess::Refused {
                errors.push("use_case", format!("Something is wrong here: {name}"));
            }
            Self {
                shell: signed_in("Plan", Some(Section::Plan)),
                csrf: "csrf-token".into(),
                organization: named(name),
                plan: name.into(),
                trial_end: (production != ProductionAccess::Approved).then(|| "12 Nov 2026".into()),
                trial_over: production == ProductionAccess::None,
                contact: "Contact sales.".into(),
                dev_centre,
                stops: Some("This suspends 3 Production API keys until the Dev Centre is switched on again. Confirm it.".into()),
                production,
                open: production == ProductionAccess::Approved,
                locked: (production == ProductionAccess::None).then(|| LOCKED.to_owned()),
                can_request: matches!(production, ProductionAccess::Refused | ProductionAccess::Withdrawn),
                can_cancel: production == ProductionAccess::Requested,
                requested: Some("4 Oct 2026".into()),
                reason: name.into(),
                use_case: name.into(),
                errors,
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
    fn the_page_keeps_the_promises_whatever_the_names() {
        let switches = [
            DevCentreState::Included,
            DevCentreState::On,
            DevCentreState::Off,
            DevCentreState::NotOnThisPlan,
            DevCentreState::On,
        ];
        for (kind, name) in [
            ("", "Northwind".to_owned()),
            ("-script", SCRIPT.to_owned()),
            ("-long", long()),
            ("-rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            for (state, switch) in ["none", "requested", "approved", "refused", "withdrawn"]
                .into_iter()
                .zip(switches)
            {
                assert_kept(
                    &format!("plan-{state}{kind}"),
                    &PlanPage::sample(&name, switch, state.parse().expect("a state")),
                );
            }
        }
    }
}
