//! What a person typed into "New API key": kept as text for the next page, and parsed for the rule.

use super::pages::api_keys::ApiKeyForm;
use crate::crypto::digest::Digest;
use crate::domain::Refusal;
use crate::domain::api_keys::{NewApiKey, Reach};
use crate::types::environment::Environment;
use crate::types::id::WorkspaceId;
use crate::types::state::{PermissionLevel, ReachKind};
use crate::types::time::Timestamp;
use crate::web::form::Form;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Everything but `workspace` stands once.
pub const SINGLE_FIELDS: [&str; 8] =
    ["name", "description", "environment", "scope", "permission_level", "expiry", "expires_on", "organization_operations"];

type Errors = Vec<(&'static str, String)>;

/// A key as it is asked for, before its secret is made.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    name: String,
    description: String,
    pub environment: Environment,
    reach: Reach,
    permission_level: PermissionLevel,
    expires_at: Option<Timestamp>,
}

impl Wanted {
    pub fn with_secret(self, public_id: String, digest: Digest) -> NewApiKey {
        let Self { name, description, environment, reach, permission_level, expires_at } = self;
        NewApiKey { name, description, environment, reach, permission_level, expires_at, public_id, digest }
    }
}

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

pub fn parse(form: &Form, now: Timestamp) -> Result<Wanted, Refusal> {
    let typed = typed(form);
    let mut errors = Errors::new();
    let environment = note(typed.environment.parse().map_err(|_| ("environment", "Choose an environment.")), &mut errors);
    let reach = note(reach(form, &typed), &mut errors);
    let level = note(typed.permission_level.parse().map_err(|_| ("permission_level", "Choose a permission level.")), &mut errors);
    let expires_at = note(expiry(&typed.expiry, &typed.expires_on, now), &mut errors);
    match (environment, reach, level, expires_at) {
        (Some(environment), Some(reach), Some(permission_level), Some(expires_at)) => {
            Ok(Wanted { name: typed.name, description: typed.description, environment, reach, permission_level, expires_at })
        }
        _ => Err(Refusal::Invalid(errors)),
    }
}

fn note<T>(read: Result<T, (&'static str, &'static str)>, errors: &mut Errors) -> Option<T> {
    read.map_err(|(field, message)| errors.push((field, message.to_owned()))).ok()
}

/// What belongs to the other choice is not looked at.
fn reach(form: &Form, typed: &ApiKeyForm) -> Result<Reach, (&'static str, &'static str)> {
    match typed.scope.parse() {
        Ok(ReachKind::Organization) => Ok(Reach::Organization { operations: typed.organization_operations }),
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

/// The instant at which the key ends; none for never.
fn expiry(choice: &str, date: &str, now: Timestamp) -> Result<Option<Timestamp>, (&'static str, &'static str)> {
    match choice {
        "30" => Ok(Some(now.plus_seconds(30 * DAY_SECONDS))),
        "90" => Ok(Some(now.plus_seconds(90 * DAY_SECONDS))),
        "365" => Ok(Some(now.plus_seconds(365 * DAY_SECONDS))),
        "date" => {
            let end = Timestamp::end_of_day(date).filter(|end| *end > now);
            end.map(Some).ok_or(("expires_on", "Choose a day in the future."))
        }
        "never" => Ok(None),
        _ => Err(("expiry", "Choose when the key expires.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 November 2026, 12:00 UTC.
    const NOW: Timestamp = Timestamp::from_seconds(1_795_176_000);

    fn form(text: &str) -> Form {
        Form::parse(text).expect("parses")
    }

    fn fields(refusal: Refusal) -> Vec<&'static str> {
        let Refusal::Invalid(errors) = refusal else { unreachable!("a form error") };
        errors.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn presets_count_from_now_and_a_date_lasts_to_its_end() {
        let end = |choice, date| expiry(choice, date, NOW).expect("valid").map(Timestamp::rfc3339);
        assert_eq!(end("30", ""), Some("2026-12-20T12:00:00.000Z".to_owned()));
        assert_eq!(end("90", "2020-01-01"), Some("2027-02-18T12:00:00.000Z".to_owned()));
        assert_eq!(end("365", ""), Some("2027-11-20T12:00:00.000Z".to_owned()));
        assert_eq!(end("date", "2026-11-20"), Some("2026-11-20T23:59:59.999Z".to_owned()));
        assert_eq!(end("never", ""), None);
    }

    #[test]
    fn an_expiry_is_never_guessed() {
        for (choice, date) in [("", ""), ("0", ""), ("-30", ""), ("60", ""), ("date", ""), ("date", "2026-11-19"), ("date", "20.11.2026")] {
            assert!(expiry(choice, date, NOW).is_err(), "{choice} {date}");
        }
    }

    #[test]
    fn what_belongs_to_the_other_scope_is_not_looked_at() {
        let base = "name=CRM&environment=sandbox&permission_level=full&expiry=never&organization_operations=true";
        let organization = parse(&form(&format!("{base}&scope=organization&workspace=nonsense")), NOW).expect("valid");
        assert_eq!(organization.reach, Reach::Organization { operations: true });
        let workspaces = parse(&form(&format!("{base}&scope=workspaces")), NOW).expect("the rule refuses it");
        assert_eq!(workspaces.reach, Reach::Workspaces(Vec::new()));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let refused = |text| fields(parse(&form(text), NOW).expect_err("refused"));
        assert_eq!(refused("name=CRM"), ["environment", "scope", "permission_level", "expiry"]);
        assert_eq!(refused("environment=live&scope=workspaces&workspace=ws_1&permission_level=full&expiry=30"), ["environment", "workspace"]);
    }
}
