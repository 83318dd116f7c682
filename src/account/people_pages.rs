//! The pages by which people come to organizations and leave them.

use askama::Template;

use crate::web::page::{FieldErrors, Shell};

/// An invitation as the invited person reads it.
#[derive(Debug, Clone)]
pub struct OfferView {
    /// `inv_…`, for the form on the page of organizations.
    pub id: String,
    pub email: String,
    pub organization: String,
    pub invited_by: String,
    pub role: String,
    pub licence: String,
    /// When the membership ends by itself.
    pub ends: Option<String>,
    /// The names of workspaces, with the role in each.
    pub workspaces: Vec<(String, String)>,
    /// Until when it can be accepted.
    pub expires: String,
}

/// `POST {path}/accept` and `…/decline` with `csrf`; for who has no account `POST {path}/account` with `csrf name password`.
#[derive(Template)]
#[template(path = "account/invitation.html")]
pub struct InvitationPage {
    pub shell: Shell,
    pub csrf: String,
    /// `/invitations/{token}`.
    pub path: String,
    pub offer: OfferView,
    pub who: Visitors,
    /// To the sign-in page, and back here.
    pub sign_in_href: String,
    /// Whether accounts are made here.
    pub can_sign_up: bool,
    /// What was typed, after a refusal.
    pub name: String,
    pub errors: FieldErrors,
}

/// Who looks at an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visitors {
    Nobody,
    /// The person with the invited address.
    Invited,
    Somebody,
}

/// `POST /account/organizations` with `csrf name`, and what the rows offer.
#[derive(Template)]
#[template(path = "account/organizations.html")]
pub struct OrganizationsPage {
    pub shell: Shell,
    pub csrf: String,
    pub organizations: Vec<OrganizationRow>,
    /// `POST …/accept` and `…/decline` with `invitation`.
    pub offers: Vec<OfferView>,
    /// `POST …/ask` with `organization message`: ids and names.
    pub joinable: Vec<(String, String)>,
    /// `POST …/withdraw` with `request`: ids and names of organizations.
    pub asked: Vec<(String, String)>,
    pub can_create: bool,
    /// Why nothing can be changed with this session.
    pub locked: Option<String>,
    /// The name that was typed, after a refusal.
    pub name: String,
    pub errors: FieldErrors,
}

#[derive(Debug, Clone)]
pub struct OrganizationRow {
    pub name: String,
    pub role: String,
    /// When the membership ends by itself.
    pub ends: Option<String>,
    pub leave_href: String,
}

/// `POST {leave_href}` with `csrf`.
#[derive(Template)]
#[template(path = "account/organization_leave.html")]
pub struct LeavePage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationRow,
    /// In words: `3 live production keys`.
    pub stops: Vec<String>,
    pub errors: FieldErrors,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, signed_in, signed_out};

    fn offer(name: &str) -> OfferView {
        OfferView {
            id: "inv_1".into(),
            email: "guest@elsewhere.example".into(),
            organization: name.into(),
            invited_by: name.into(),
            role: "Member".into(),
            licence: "Read-only".into(),
            ends: Some("31 Jan 2027".into()),
            workspaces: vec![(name.into(), "viewer".into())],
            expires: "5 Dec 2026".into(),
        }
    }

    fn errors(field: &str) -> FieldErrors {
        let mut errors = FieldErrors::default();
        errors.push(field, "That did not work.");
        errors
    }

    fn invitation(name: &str, who: Visitors, errors: FieldErrors) -> InvitationPage {
        InvitationPage {
            shell: if who == Visitors::Nobody {
                signed_out("Invitation")
            } else {
                signed_in("Invitation", None)
            },
            csrf: "csrf-token".into(),
            path: "/invitations/cs_iv_1".into(),
            offer: offer(name),
            who,
            sign_in_href: "/login?return_to=%2Finvitations%2Fcs_iv_1".into(),
            can_sign_up: true,
            name: name.into(),
            errors,
        }
    }

    fn row(name: &str) -> OrganizationRow {
        OrganizationRow {
            name: name.into(),
            role: "Owner".into(),
            ends: Some("31 Jan 2027".into()),
            leave_href: "/account/organizations/org_1/leave".into(),
        }
    }

    fn organizations(name: &str) -> OrganizationsPage {
        OrganizationsPage {
            shell: signed_in("Organizations", None),
            csrf: "csrf-token".into(),
            organizations: vec![row(name)],
            offers: vec![offer(name)],
            joinable: vec![("org_2".into(), name.into())],
            asked: vec![("jrq_1".into(), name.into())],
            can_create: true,
            locked: None,
            name: name.into(),
            errors: errors("name"),
        }
    }

    #[test]
    fn pages_about_organizations_keep_the_promises() {
        for (kind, name) in [
            ("plain", "Northwind".to_owned()),
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            for (state, who, errors) in [
                ("stranger", Visitors::Nobody, FieldErrors::default()),
                ("refused", Visitors::Nobody, errors("password")),
                ("invited", Visitors::Invited, FieldErrors::default()),
                ("other", Visitors::Somebody, errors("")),
            ] {
                assert_kept(
                    &format!("invitation-{state}-{kind}"),
                    &invitation(&name, who, errors),
                );
            }
            assert_kept(&format!("organizations-{kind}"), &organizations(&name));
            let stops = vec!["3 live production keys".into()];
            let leave = |errors| LeavePage {
                shell: signed_in("Leave", None),
                csrf: "csrf-token".into(),
                organization: row(&name),
                stops: stops.clone(),
                errors,
            };
            assert_kept(
                &format!("organization-leave-{kind}"),
                &leave(FieldErrors::default()),
            );
            assert_kept(
                &format!("organization-leave-refused-{kind}"),
                &leave(errors("")),
            );
        }
        let bare = OrganizationsPage {
            organizations: Vec::new(),
            offers: Vec::new(),
            joinable: Vec::new(),
            asked: Vec::new(),
            can_create: false,
            locked: Some("Not with this session.".into()),
            errors: FieldErrors::default(),
            ..organizations("")
        };
        assert_kept("organizations-none", &bare);
    }
}
