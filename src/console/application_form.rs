//! What a person typed into "New application" or "Edit application": kept as text for the next page, and parsed for the rule.

use super::pages::applications::ApplicationForm;
use crate::config::Catalogue;
use crate::domain::Refusal;
use crate::domain::clients::applications::NewApplication;
use crate::domain::clients::settings::{ApplicationSettings, RefreshPolicy};
use crate::store::application_secrets::NewSecret;
use crate::types::environment::Environment;
use crate::types::grant_types::GrantTypes;
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::{AccessTokenFormat, ClientType};
use crate::web::form::Form;

/// Everything but `scope` and `grant` stands once.
pub const SINGLE_FIELDS: [&str; 9] = [
    "name",
    "environment",
    "client_type",
    "redirect_uris",
    "access_token_format",
    "role",
    "keep_refresh_token",
    "refresh_idle",
    "refresh_absolute",
];

/// Seconds by the name of their unit, the largest first; days are what is meant without one.
const UNITS: [(&str, i64); 4] = [
    ("day", 24 * 60 * 60),
    ("hour", 60 * 60),
    ("minute", 60),
    ("second", 1),
];

type Errors = Vec<(&'static str, String)>;

/// An application as it is asked for, before its secret is made.
#[derive(Debug, PartialEq, Eq)]
pub struct ApplicationDraft {
    environment: Environment,
    client_type: ClientType,
    access_token_format: AccessTokenFormat,
    settings: ApplicationSettings,
}

impl ApplicationDraft {
    pub fn with_secret(self, secret: NewSecret) -> NewApplication {
        let Self {
            environment,
            client_type,
            access_token_format,
            settings,
        } = self;
        let ApplicationSettings {
            name,
            redirect_uris,
            scopes,
            role,
            grants,
            refresh,
        } = settings;
        NewApplication {
            name,
            environment,
            client_type,
            access_token_format,
            redirect_uris,
            scopes,
            role,
            secret,
            grants,
            refresh,
        }
    }
}

/// The fields as they were typed.
pub fn typed(form: &Form) -> ApplicationForm {
    let text = |name| form.field(name).to_owned();
    ApplicationForm {
        name: text("name"),
        environment: text("environment"),
        client_type: text("client_type"),
        redirect_uris: text("redirect_uris"),
        access_token_format: text("access_token_format"),
        grants: form
            .all("grant")
            .filter_map(|grant| grant.parse().ok())
            .collect(),
        keep_refresh_token: form.contains("keep_refresh_token"),
        refresh_idle: text("refresh_idle"),
        refresh_absolute: text("refresh_absolute"),
    }
}

/// "New application".
pub fn parse(form: &Form, catalogue: &Catalogue) -> Result<ApplicationDraft, Refusal> {
    let mut errors = Errors::new();
    let environment = word(form, "environment", "Choose an environment.", &mut errors);
    let client_type = word(form, "client_type", "Choose a client type.", &mut errors);
    let settings = settings(form, catalogue, &mut errors);
    let format = word(form, "access_token_format", "Choose a format.", &mut errors);
    match (environment, client_type, format) {
        (Some(environment), Some(client_type), Some(access_token_format)) if errors.is_empty() => {
            Ok(ApplicationDraft {
                environment,
                client_type,
                access_token_format,
                settings,
            })
        }
        _ => Err(Refusal::Invalid(errors)),
    }
}

/// "Edit application": what may change.
pub fn parse_settings(form: &Form, catalogue: &Catalogue) -> Result<ApplicationSettings, Refusal> {
    let mut errors = Errors::new();
    let settings = settings(form, catalogue, &mut errors);
    if errors.is_empty() {
        Ok(settings)
    } else {
        Err(Refusal::Invalid(errors))
    }
}

fn settings(form: &Form, catalogue: &Catalogue, errors: &mut Errors) -> ApplicationSettings {
    ApplicationSettings {
        name: form.field("name").to_owned(),
        redirect_uris: redirect_uris(form.field("redirect_uris"), errors),
        scopes: scopes(form, catalogue, errors),
        grants: grants(form, errors),
        role: form.field("role").to_owned(),
        refresh: RefreshPolicy {
            rotation: !form.contains("keep_refresh_token"),
            idle_seconds: life(form, "refresh_idle", errors),
            absolute_seconds: life(form, "refresh_absolute", errors),
        },
    }
}

fn word<T: std::str::FromStr>(
    form: &Form,
    field: &'static str,
    message: &str,
    errors: &mut Errors,
) -> Option<T> {
    form.field(field)
        .parse()
        .map_err(|_| errors.push((field, message.to_owned())))
        .ok()
}

/// One a line, each once; errors name the line.
fn redirect_uris(text: &str, errors: &mut Errors) -> Vec<RedirectUri> {
    let mut uris: Vec<RedirectUri> = Vec::new();
    for (number, line) in (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
    {
        match line.trim().parse() {
            Ok(uri) if uris.contains(&uri) => {}
            Ok(uri) => uris.push(uri),
            Err(error) => errors.push((
                "redirect_uris",
                format!("Redirect URI in line {number} {error}."),
            )),
        }
    }
    uris
}

fn scopes(form: &Form, catalogue: &Catalogue, errors: &mut Errors) -> Scopes {
    if form
        .all("scope")
        .any(|name| catalogue.scope(name).is_none())
    {
        errors.push(("scope", "Choose from the scopes on this page.".to_owned()));
    }
    form.all("scope")
        .filter(|name| catalogue.scope(name).is_some())
        .collect()
}

fn grants(form: &Form, errors: &mut Errors) -> GrantTypes {
    let chosen: Result<GrantTypes, _> = form.all("grant").map(str::parse).collect();
    chosen.unwrap_or_else(|_| {
        errors.push(("grants", "Choose from the grants on this page.".to_owned()));
        GrantTypes::default()
    })
}

/// `30`, `30 days`, `12 hours`: the seconds; empty for what is configured.
fn life(form: &Form, field: &'static str, errors: &mut Errors) -> Option<i64> {
    let text = form.field(field).trim();
    if text.is_empty() {
        return None;
    }
    let read = read_life(text);
    if read.is_none() {
        errors.push((
            field,
            "Enter a number of days up to 3650, or a time such as 12 hours.".to_owned(),
        ));
    }
    read
}

fn read_life(text: &str) -> Option<i64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, "day"));
    let unit = unit.trim().trim_end_matches('s');
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
    number
        .checked_mul(*seconds)
        .filter(|seconds| *seconds <= 3650 * UNITS[0].1)
}

/// The same in words: what [`read_life`] reads back.
pub fn life_in_words(seconds: i64) -> String {
    let whole = |(_, unit): &&(&str, i64)| seconds % unit == 0;
    let (name, unit) = UNITS.iter().find(whole).copied().unwrap_or(("second", 1));
    let number = seconds / unit;
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse_text(text: &str) -> Result<ApplicationDraft, Vec<(&'static str, String)>> {
        let config = Config::load(None, std::iter::empty()).expect("the defaults");
        let form = Form::parse(text).expect("parses");
        parse(&form, &config.catalogue().expect("the defaults")).map_err(|refusal| match refusal {
            Refusal::Invalid(errors) => errors,
            other => unreachable!("{other:?}"),
        })
    }

    const BASE: &str = "name=CRM&environment=sandbox&client_type=public&access_token_format=jwt&role=viewer&grant=authorization_code";

    #[test]
    fn redirect_uris_stand_one_a_line_and_each_once() {
        let lines = "redirect_uris=https://a.example/cb%0D%0A%0D%0A++http://127.0.0.1/cb+%0D%0Ahttps://a.example/cb";
        let wanted = parse_text(&format!("{BASE}&{lines}&scope=read"))
            .expect("valid")
            .settings;
        assert_eq!(
            wanted
                .redirect_uris
                .iter()
                .map(RedirectUri::as_str)
                .collect::<Vec<_>>(),
            ["https://a.example/cb", "http://127.0.0.1/cb"]
        );
        assert_eq!(wanted.scopes.as_str(), "read");
    }

    #[test]
    fn an_error_names_its_line() {
        let errors = parse_text(&format!(
            "{BASE}&redirect_uris=https://a.example/cb%0D%0Ahttps://a.example/%23x"
        ))
        .expect_err("refused");
        assert_eq!(
            errors,
            [(
                "redirect_uris",
                "Redirect URI in line 2 must not have a fragment.".to_owned()
            )]
        );
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let errors = parse_text("name=CRM&scope=everything&grant=password&refresh_idle=soon")
            .expect_err("refused");
        let fields: Vec<_> = errors.iter().map(|(field, _)| *field).collect();
        assert_eq!(
            fields,
            [
                "environment",
                "client_type",
                "scope",
                "grants",
                "refresh_idle",
                "access_token_format"
            ]
        );
    }

    #[test]
    fn a_refresh_token_rotates_unless_it_is_said_otherwise() {
        assert!(parse_text(BASE).expect("valid").settings.refresh.rotation);
        assert!(
            !parse_text(&format!("{BASE}&keep_refresh_token=true"))
                .expect("valid")
                .settings
                .refresh
                .rotation
        );
    }

    #[test]
    fn a_life_is_days_or_names_its_unit_and_survives_its_words() {
        for (text, seconds) in [
            ("1", 86_400),
            ("30", 2_592_000),
            ("30 days", 2_592_000),
            ("12 hours", 43_200),
            ("1 minute", 60),
            ("90 seconds", 90),
        ] {
            assert_eq!(read_life(text), Some(seconds), "{text}");
            assert_eq!(read_life(&life_in_words(seconds)), Some(seconds), "{text}");
        }
        for text in [
            "0",
            "-1",
            "1.5",
            "soon",
            "30 d",
            "3651",
            "1000000000",
            "99999999999999999999",
            "9223372036854775807 days",
            "1 1",
            "day",
        ] {
            assert_eq!(read_life(text), None, "{text}");
        }
    }
}
