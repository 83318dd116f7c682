//! What an operator typed into "New resource server": kept as text for the next page, and parsed for the rule.

use super::pages::resource_servers::ResourceServerForm;
use crate::domain::Refusal;
use crate::domain::operations::resource_servers::NewResourceServer;
use crate::store::application_secrets::NewSecret;
use crate::types::state::ObligationKind;
use crate::web::form::Form;

/// Everything but `obligation` stands once.
pub const SINGLE_FIELDS: [&str; 3] = ["name", "environment", "default_audience"];
/// Sandbox and Production.
const BOTH: &str = "both";

/// The fields as they were typed.
pub fn typed(form: &Form) -> ResourceServerForm {
    let has = |word: &str| form.all("obligation").any(|own| own == word);
    ResourceServerForm {
        name: form.field("name").to_owned(),
        environment: form.field("environment").to_owned(),
        document_name: has(ObligationKind::DocumentName.as_str()),
        watermark: has(ObligationKind::Watermark.as_str()),
        recipients: has(ObligationKind::Recipients.as_str()),
        default_audience: form.field("default_audience") == "true",
    }
}

/// The resource server that is asked for, and the secret that was made for it.
pub fn parse(form: &Form, secret: NewSecret) -> Result<NewResourceServer, Refusal> {
    let mut errors = Vec::new();
    let environment = match form.field("environment") {
        BOTH => Some(None),
        word => word
            .parse()
            .map_err(|_| errors.push(("environment", "Choose what it serves.".to_owned())))
            .ok()
            .map(Some),
    };
    let mut obligations: Vec<ObligationKind> = Vec::new();
    for word in form.all("obligation") {
        match word.parse() {
            Ok(kind) if obligations.contains(&kind) => {}
            Ok(kind) => obligations.push(kind),
            Err(_) => errors.push(("obligation", "Choose from the list.".to_owned())),
        }
    }
    match environment {
        Some(environment) if errors.is_empty() => {
            let (name, default_audience) = (
                form.field("name").to_owned(),
                form.field("default_audience") == "true",
            );
            Ok(NewResourceServer {
                name,
                environment,
                obligations,
                default_audience,
                secret,
            })
        }
        _ => Err(Refusal::Invalid(errors)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::Digest;
    use crate::types::environment::Environment;

    fn parse_text(text: &str) -> Result<NewResourceServer, Vec<&'static str>> {
        let secret = NewSecret {
            digest: Digest(String::new()),
            hint: String::new(),
        };
        parse(&Form::parse(text).expect("parses"), secret).map_err(|refusal| match refusal {
            Refusal::Invalid(errors) => errors.into_iter().map(|(field, _)| field).collect(),
            other => unreachable!("{other:?}"),
        })
    }

    #[test]
    fn both_environments_are_one_word() {
        assert_eq!(
            parse_text("name=A&environment=both").map(|wanted| wanted.environment),
            Ok(None)
        );
        assert_eq!(
            parse_text("name=A&environment=sandbox").map(|wanted| wanted.environment),
            Ok(Some(Environment::Sandbox))
        );
        for word in ["", "Both", "live"] {
            assert_eq!(
                parse_text(&format!("name=A&environment={word}")),
                Err(vec!["environment"]),
                "{word}"
            );
        }
    }

    #[test]
    fn an_obligation_that_there_is_not_is_refused() {
        let wanted = parse_text(
            "environment=both&obligation=watermark&obligation=watermark&obligation=recipients",
        )
        .expect("valid");
        assert_eq!(
            wanted.obligations,
            [ObligationKind::Watermark, ObligationKind::Recipients]
        );
        assert_eq!(
            parse_text("environment=both&obligation=everything"),
            Err(vec!["obligation"])
        );
    }
}
