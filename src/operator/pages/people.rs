//! The page about people.

use askama::Template;

use crate::web::page::{FieldErrors, Shell};

/// `POST /operator/people` with `csrf email name operator`.
#[derive(Template)]
#[template(path = "operator/people.html")]
pub struct PeoplePage {
    pub shell: Shell,
    pub csrf: String,
    pub operators: Vec<PersonRow>,
    /// The newest of all others.
    pub people: Vec<PersonRow>,
    /// In place of the form: where the operator proves first who they are.
    pub confirm_href: Option<String>,
    pub form: PersonForm,
    pub errors: FieldErrors,
}

#[derive(Debug, Clone)]
pub struct PersonRow {
    pub id: String,
    pub name: String,
    pub email: String,
    pub created: String,
    pub suspended: bool,
    /// Where to post that they operate no more: `csrf`.
    pub remove_action: String,
}

#[derive(Debug, Clone, Default)]
pub struct PersonForm {
    pub email: String,
    pub name: String,
    pub operator: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, operator};

    fn page(name: &str) -> PeoplePage {
        let row = |suspended| PersonRow {
            id: "usr_1".into(),
            name: name.into(),
            email: "olga@vendor.example".into(),
            created: "3 Oct 2026".into(),
            suspended,
            remove_action: "/operator/people/usr_1/remove-operator".into(),
        };
        let mut errors = FieldErrors::default();
        errors.push("", "This is the last operator.");
        errors.push("email", format!("Something is wrong here: {name}"));
        errors.push("name", format!("Something is wrong here: {name}"));
        PeoplePage {
            shell: operator("People"),
            csrf: "csrf-token".into(),
            operators: vec![row(false)],
            people: vec![row(true)],
            confirm_href: None,
            form: PersonForm {
                email: name.into(),
                name: name.into(),
                operator: true,
            },
            errors,
        }
    }

    #[test]
    fn the_page_of_people_keeps_the_promises() {
        assert_kept(
            "operator-people-none",
            &PeoplePage {
                people: Vec::new(),
                errors: FieldErrors::default(),
                confirm_href: Some("/account/confirm?return_to=%2F".into()),
                ..page("Olga")
            },
        );
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(&format!("operator-people-{kind}"), &page(&name));
        }
    }
}
