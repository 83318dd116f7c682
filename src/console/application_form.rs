//! What a person typed into "New application": kept as text for the next page, and parsed for the rule.

use super::pages::applications::ApplicationForm;
use crate::config::Catalogue;
use crate::crypto::digest::Digest;
use crate::domain::Refusal;
use crate::domain::applications::{NewApplication, RefreshPolicy};
use crate::types::environment::Environment;
use crate::types::grant_types::GrantTypes;
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::{AccessTokenFormat, ClientType};
use crate::web::form::Form;

/// Everything but `scope` stands once.
pub const SINGLE_FIELDS: [&str; 6] = ["name", "environment", "client_type", "redirect_uris", "access_token_format", "role"];

type Errors = Vec<(&'static str, String)>;

/// An application as it is asked for, before its secret is made.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    name: String,
    environment: Environment,
    client_type: ClientType,
    access_token_format: AccessTokenFormat,
    redirect_uris: Vec<RedirectUri>,
    scopes: Scopes,
    role: String,
}

impl Wanted {
    pub fn with_secret(self, secret: Digest) -> NewApplication {
        let Self { name, environment, client_type, access_token_format, redirect_uris, scopes, role } = self;
        NewApplication {
            name,
            environment,
            client_type,
            access_token_format,
            redirect_uris,
            scopes,
            role,
            secret,
            grants: GrantTypes::ALL,
            refresh: RefreshPolicy::default(),
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
    }
}

pub fn parse(form: &Form, catalogue: &Catalogue) -> Result<Wanted, Refusal> {
    let mut errors = Errors::new();
    let environment = word(form, "environment", "Choose an environment.", &mut errors);
    let client_type = word(form, "client_type", "Choose a client type.", &mut errors);
    let redirect_uris = redirect_uris(form.field("redirect_uris"), &mut errors);
    let scopes = scopes(form, catalogue, &mut errors);
    let format = word(form, "access_token_format", "Choose a format.", &mut errors);
    match (environment, client_type, format) {
        (Some(environment), Some(client_type), Some(access_token_format)) if errors.is_empty() => {
            let (name, role) = (form.field("name").to_owned(), form.field("role").to_owned());
            Ok(Wanted { name, environment, client_type, access_token_format, redirect_uris, scopes, role })
        }
        _ => Err(Refusal::Invalid(errors)),
    }
}

fn word<T: std::str::FromStr>(form: &Form, field: &'static str, message: &str, errors: &mut Errors) -> Option<T> {
    form.field(field).parse().map_err(|_| errors.push((field, message.to_owned()))).ok()
}

/// One a line, each once; errors name the line.
fn redirect_uris(text: &str, errors: &mut Errors) -> Vec<RedirectUri> {
    let mut uris: Vec<RedirectUri> = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match line.trim().parse() {
            Ok(uri) if uris.contains(&uri) => {}
            Ok(uri) => uris.push(uri),
            Err(error) => errors.push(("redirect_uris", format!("Redirect URI in line {number} {error}."))),
        }
    }
    uris
}

fn scopes(form: &Form, catalogue: &Catalogue, errors: &mut Errors) -> Scopes {
    if form.all("scope").any(|name| catalogue.scope(name).is_none()) {
        errors.push(("scope", "Choose from the scopes on this page.".to_owned()));
    }
    form.all("scope").filter(|name| catalogue.scope(name).is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse_text(text: &str) -> Result<Wanted, Vec<(&'static str, String)>> {
        let config = Config::load(None, std::iter::empty()).expect("the defaults");
        let form = Form::parse(text).expect("parses");
        parse(&form, &config.catalogue().expect("the defaults")).map_err(|refusal| match refusal {
            Refusal::Invalid(errors) => errors,
            other => unreachable!("{other:?}"),
        })
    }

    const BASE: &str = "name=CRM&environment=sandbox&client_type=public&access_token_format=jwt&role=viewer";

    #[test]
    fn redirect_uris_stand_one_a_line_and_each_once() {
        let lines = "redirect_uris=https://a.example/cb%0D%0A%0D%0A++http://127.0.0.1/cb+%0D%0Ahttps://a.example/cb";
        let wanted = parse_text(&format!("{BASE}&{lines}&scope=read")).expect("valid");
        assert_eq!(wanted.redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(), ["https://a.example/cb", "http://127.0.0.1/cb"]);
        assert_eq!(wanted.scopes.as_str(), "read");
    }

    #[test]
    fn an_error_names_its_line() {
        let errors = parse_text(&format!("{BASE}&redirect_uris=https://a.example/cb%0D%0Ahttps://a.example/%23x")).expect_err("refused");
        assert_eq!(errors, [("redirect_uris", "Redirect URI in line 2 must not have a fragment.".to_owned())]);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let errors = parse_text("name=CRM&scope=everything").expect_err("refused");
        let fields: Vec<_> = errors.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, ["environment", "client_type", "scope", "access_token_format"]);
    }
}
