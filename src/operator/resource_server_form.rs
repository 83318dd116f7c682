//! What an operator typed into "New resource server": kept as text for the next page, and parsed for the rule.

use super::pages::resource_servers::{ObligationsForm, ResourceServerForm};
use crate::domain::Refusal;
use crate::domain::operations::resource_servers::NewResourceServer;
use crate::store::application_secrets::NewSecret;
use crate::types::environment::Environment;
use crate::types::state::ObligationKind;
use crate::web::form::Form;

/// Everything but `obligation` stands once.
pub const SINGLE_FIELDS: [&str; 6] = [
    "name",
    "environment",
    "default_audience",
    DOCUMENT_NAME,
    WATERMARK,
    RECIPIENTS,
];
const DOCUMENT_NAME: &str = "obligation_document_name";
const WATERMARK: &str = "obligation_watermark";
const RECIPIENTS: &str = "obligation_recipients";
const KINDS: [(ObligationKind, &str); 3] = [
    (ObligationKind::DocumentName, DOCUMENT_NAME),
    (ObligationKind::Watermark, WATERMARK),
    (ObligationKind::Recipients, RECIPIENTS),
];
const ENFORCED: &str = "enforced";
const REFUSED: &str = "refused";
/// Sandbox and Production.
const BOTH: &str = "both";

/// The fields as they were typed.
pub fn typed(form: &Form) -> ResourceServerForm {
    ResourceServerForm {
        name: form.field("name").to_owned(),
        environment: form.field("environment").to_owned(),
        obligations: typed_obligations(form),
        default_audience: form.field("default_audience") == "true",
    }
}

fn typed_obligations(form: &Form) -> ObligationsForm {
    let chosen = |kind, name| choice(form, kind, name).to_owned();
    ObligationsForm {
        document_name: chosen(ObligationKind::DocumentName, DOCUMENT_NAME),
        watermark: chosen(ObligationKind::Watermark, WATERMARK),
        recipients: chosen(ObligationKind::Recipients, RECIPIENTS),
    }
}

/// What the form of a registered server begins with.
pub fn chosen(enforced: &[ObligationKind]) -> ObligationsForm {
    let chosen = |kind| match enforced.contains(&kind) {
        true => ENFORCED.to_owned(),
        false => REFUSED.to_owned(),
    };
    ObligationsForm {
        document_name: chosen(ObligationKind::DocumentName),
        watermark: chosen(ObligationKind::Watermark),
        recipients: chosen(ObligationKind::Recipients),
    }
}

/// `obligation=watermark` says the same as `obligation_watermark=enforced`, for programs that send a list.
fn choice<'f>(form: &'f Form, kind: ObligationKind, name: &str) -> &'f str {
    match form.field(name) {
        "" if form.all("obligation").any(|own| own == kind.as_str()) => ENFORCED,
        typed => typed,
    }
}

/// What it enforces. Each has to be chosen: whoever overlooks one would only learn of it by refusals.
pub fn parse_obligations(form: &Form) -> Result<Vec<ObligationKind>, Refusal> {
    let mut errors = Vec::new();
    if form
        .all("obligation")
        .any(|word| word.parse::<ObligationKind>().is_err())
    {
        errors.push(("", "There is no such obligation.".to_owned()));
    }
    let mut enforced = Vec::new();
    for (kind, name) in KINDS {
        match choice(form, kind, name) {
            ENFORCED => enforced.push(kind),
            REFUSED => {}
            _ => errors.push((name, "Choose whether your API does this.".to_owned())),
        }
    }
    match errors.is_empty() {
        true => Ok(enforced),
        false => Err(Refusal::Invalid(errors)),
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
    // Production knows no obligations
    let obligations = match environment {
        Some(Some(Environment::Production)) => Vec::new(),
        _ => parse_obligations(form).unwrap_or_else(|refusal| {
            if let Refusal::Invalid(found) = refusal {
                errors.extend(found);
            }
            Vec::new()
        }),
    };
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

    const ALL: &str = "obligation_document_name=enforced&obligation_watermark=refused&obligation_recipients=enforced";

    #[test]
    fn both_environments_are_one_word() {
        let environment = |word: &str| {
            parse_text(&format!("name=A&environment={word}&{ALL}")).map(|wanted| wanted.environment)
        };
        assert_eq!(environment("both"), Ok(None));
        assert_eq!(environment("sandbox"), Ok(Some(Environment::Sandbox)));
        for word in ["", "Both", "live"] {
            assert_eq!(environment(word), Err(vec!["environment"]), "{word}");
        }
    }

    #[test]
    fn what_is_not_chosen_is_asked_for() {
        let obligations = |text: &str| {
            parse_text(&format!("environment=both&{text}")).map(|wanted| wanted.obligations)
        };
        let chosen = [ObligationKind::DocumentName, ObligationKind::Recipients];
        assert_eq!(obligations(ALL), Ok(chosen.to_vec()));
        assert_eq!(
            obligations("obligation=watermark&obligation=watermark&obligation=recipients"),
            Err(vec![DOCUMENT_NAME])
        );
        assert_eq!(
            obligations(&format!("{ALL}&obligation=everything")),
            Err(vec![""])
        );
        assert_eq!(
            parse_text("environment=production").map(|wanted| wanted.obligations),
            Ok(Vec::new())
        );
    }
}
