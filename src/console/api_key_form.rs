//! What a person typed into "New API key": kept as text for the next page, and parsed for the rule.

use super::pages::api_keys::ApiKeyForm;
use crate::domain::Refusal;
use crate::domain::keys::api_keys::{NewApiKey, Reach};
use crate::domain::keys::expiry::Expiry;
use crate::types::id::WorkspaceId;
use crate::types::state::ReachKind;
use crate::web::form::Form;

/// Everything but `workspace` stands once.
pub const SINGLE_FIELDS: [&str; 8] = [
    "name",
    "description",
    "environment",
    "scope",
    "permission_level",
    "expiry",
    "expires_on",
    "organization_operations",
];

type Errors = Vec<(&'static str, String)>;

/// The fields as they were typed.
pub fn typed(form: &Form) -> ApiKeyForm {
    let text = |name| form.field(name).to_owned();
    ApiKeyForm {
        name: text("name"),
        description: text("description"),
        environment: text("environment"),
        scope: text("scope"),
        permission_level: text("permission_level"),
        expiry: text("expiry"),
        expires_on: text("expires_on"),
        organization_operations: form.field("organization_operations") == "true",
    }
}

/// The key as it is asked for, before its secret is made.
pub fn parse(form: &Form) -> Result<NewApiKey, Refusal> {
    let typed = typed(form);
    let mut errors = Errors::new();
    let environment = note(
        typed
            .environment
            .parse()
            .map_err(|_| ("environment", "Choose an environment.")),
        &mut errors,
    );
    let reach = note(reach(form, &typed), &mut errors);
    let level = note(
        typed
            .permission_level
            .parse()
            .map_err(|_| ("permission_level", "Choose a permission level.")),
        &mut errors,
    );
    let expiry = note(expiry(&typed.expiry, &typed.expires_on), &mut errors);
    match (environment, reach, level, expiry) {
        (Some(environment), Some(reach), Some(permission_level), Some(expiry)) => Ok(NewApiKey {
            owner: None,
            name: typed.name,
            description: typed.description,
            environment,
            reach,
            permission_level,
            expiry,
            self_rotation: false,
            secret: None,
        }),
        _ => Err(Refusal::Invalid(errors)),
    }
}

fn note<T>(read: Result<T, (&'static str, &'static str)>, errors: &mut Errors) -> Option<T> {
    read.map_err(|(field, message)| errors.push((field, message.to_owned())))
        .ok()
}

/// What belongs to the other choice is not looked at.
fn reach(form: &Form, typed: &ApiKeyForm) -> Result<Reach, (&'static str, &'static str)> {
    match typed.scope.parse() {
        Ok(ReachKind::Organization) => Ok(Reach::Organization {
            operations: typed.organization_operations,
        }),
        Ok(ReachKind::Workspaces) => {
            let mut workspaces: Vec<WorkspaceId> = form
                .all("workspace")
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| ("workspace", "Choose workspaces of this organization."))?;
            workspaces.sort_unstable();
            workspaces.dedup();
            Ok(Reach::Workspaces(workspaces))
        }
        Err(_) => Err(("scope", "Choose what the key reaches.")),
    }
}

/// When the key is to end; the rule says whether that is possible.
fn expiry(choice: &str, date: &str) -> Result<Expiry, (&'static str, &'static str)> {
    match choice {
        "30" => Ok(Expiry::InDays(30)),
        "90" => Ok(Expiry::InDays(90)),
        "365" => Ok(Expiry::InDays(365)),
        "date" => Ok(Expiry::OnDate(date.to_owned())),
        "never" => Ok(Expiry::Never),
        _ => Err(("expiry", "Choose when the key expires.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text).expect("parses")
    }

    fn fields(refusal: Refusal) -> Vec<&'static str> {
        let Refusal::Invalid(errors) = refusal else {
            unreachable!("a form error")
        };
        errors.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn an_expiry_is_never_guessed() {
        for choice in ["", "0", "-30", "60"] {
            assert!(expiry(choice, "2027-01-01").is_err(), "{choice}");
        }
        assert_eq!(
            expiry("date", "2027-01-01"),
            Ok(Expiry::OnDate("2027-01-01".to_owned()))
        );
    }

    #[test]
    fn what_belongs_to_the_other_scope_is_not_looked_at() {
        let base = "name=CRM&environment=sandbox&permission_level=full&expiry=never&organization_operations=true";
        let organization = parse(&form(&format!(
            "{base}&scope=organization&workspace=nonsense"
        )))
        .expect("valid");
        assert_eq!(organization.reach, Reach::Organization { operations: true });
        let workspaces =
            parse(&form(&format!("{base}&scope=workspaces"))).expect("the rule refuses it");
        assert_eq!(workspaces.reach, Reach::Workspaces(Vec::new()));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let refused = |text| fields(parse(&form(text)).expect_err("refused"));
        assert_eq!(
            refused("name=CRM"),
            ["environment", "scope", "permission_level", "expiry"]
        );
        assert_eq!(
            refused(
                "environment=live&scope=workspaces&workspace=ws_1&permission_level=full&expiry=30"
            ),
            ["environment", "workspace"]
        );
    }
}
