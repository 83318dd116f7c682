//! The pages about resource servers: the vendor's own APIs.

use askama::Template;

use crate::types::environment::Environment;
use crate::web::page::{FieldErrors, Shell};

#[derive(Template)]
#[template(path = "operator/resource_servers.html")]
pub struct ResourceServerListPage {
    pub shell: Shell,
    pub servers: Vec<ResourceServerRow>,
}

#[derive(Debug, Clone)]
pub struct ResourceServerRow {
    pub id: String,
    pub name: String,
    /// None: both.
    pub environment: Option<Environment>,
    pub resources: Vec<String>,
    pub default_audience: bool,
    pub created: String,
}

/// `POST /operator/resource-servers` with `csrf name environment=both|sandbox|production default_audience` and the fields of
/// [`ObligationsForm`].
#[derive(Template)]
#[template(path = "operator/resource_server_new.html")]
pub struct ResourceServerNewPage {
    pub shell: Shell,
    pub csrf: String,
    pub form: ResourceServerForm,
    pub errors: FieldErrors,
}

/// What was typed, whatever it was.
#[derive(Debug, Clone)]
pub struct ResourceServerForm {
    pub name: String,
    pub environment: String,
    pub obligations: ObligationsForm,
    pub default_audience: bool,
}

/// `obligation_document_name`, `obligation_watermark`, `obligation_recipients`, each `enforced` or `refused`; empty while
/// nothing is chosen.
#[derive(Debug, Clone, Default)]
pub struct ObligationsForm {
    pub document_name: String,
    pub watermark: String,
    pub recipients: String,
}

impl Default for ResourceServerForm {
    fn default() -> Self {
        let (name, environment) = (String::new(), "both".to_owned());
        Self {
            name,
            environment,
            obligations: ObligationsForm::default(),
            default_audience: true,
        }
    }
}

/// The only page that ever shows the secret, of a new server or one more of an old one.
#[derive(Template)]
#[template(path = "operator/resource_server_created.html")]
pub struct ResourceServerCreatedPage {
    pub shell: Shell,
    pub client_id: String,
    pub name: String,
    pub secret: String,
    pub is_new: bool,
}

/// `POST /operator/resource-servers/{id}` with `csrf change` and `uri`, `secret` or the fields of [`ObligationsForm`];
/// `POST …/{id}/secrets` with `csrf`.
#[derive(Template)]
#[template(path = "operator/resource_server.html")]
pub struct ResourceServerPage {
    pub shell: Shell,
    pub csrf: String,
    pub server: ResourceServerDetail,
    /// What `aud` holds without a resource.
    pub issuer: String,
    pub secrets: Vec<SecretRow>,
    pub can_add_secret: bool,
    /// What was typed, after a refusal.
    pub uri: String,
    pub errors: FieldErrors,
}

#[derive(Debug, Clone)]
pub struct ResourceServerDetail {
    pub row: ResourceServerRow,
    /// What is chosen now; none for a server of Production only, to which the policy does not apply.
    pub obligations: Option<ObligationsForm>,
    /// RFC 9728 §3.1.
    pub metadata_urls: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct SecretRow {
    pub id: String,
    /// How it starts.
    pub display: String,
    pub created: String,
    pub can_revoke: bool,
}

/// `POST /operator/resource-servers/{id}/delete` with `csrf`.
#[derive(Template)]
#[template(path = "operator/resource_server_delete.html")]
pub struct ResourceServerDeletePage {
    pub shell: Shell,
    pub csrf: String,
    pub server: ResourceServerRow,
}

#[cfg(test)]
mod samples {
    use super::*;
    use crate::web::page::samples::operator;

    impl ResourceServerRow {
        fn sample(name: &str) -> Self {
            Self {
                id: "rs_01JcQ7n5vW9xYzA2bC3dE4".into(),
                name: name.into(),
                environment: None,
                resources: vec![
                    "https://api.vendor.example/v1".into(),
                    "https://mcp.vendor.example".into(),
                ],
                default_audience: true,
                created: "3 Oct 2026".into(),
            }
        }

        fn sample_bare(name: &str) -> Self {
            let environment = Some(Environment::Sandbox);
            Self {
                environment,
                resources: Vec::new(),
                default_audience: false,
                ..Self::sample(name)
            }
        }
    }

    impl ResourceServerListPage {
        pub fn sample(name: &str) -> Self {
            let servers = vec![
                ResourceServerRow::sample(name),
                ResourceServerRow::sample_bare("Billing API"),
            ];
            Self {
                shell: operator("Resource servers"),
                servers,
            }
        }

        pub fn sample_none() -> Self {
            Self {
                servers: Vec::new(),
                ..Self::sample("")
            }
        }
    }

    impl ResourceServerNewPage {
        pub fn sample() -> Self {
            let (form, errors) = (ResourceServerForm::default(), FieldErrors::default());
            Self {
                shell: operator("New resource server"),
                csrf: "csrf-token".into(),
                form,
                errors,
            }
        }

        pub fn sample_refused(name: &str) -> Self {
            let mut errors = FieldErrors::default();
            let obligations = ["obligation_watermark", "obligation_recipients"];
            for field in ["name", "environment"].into_iter().chain(obligations) {
                errors.push(field, format!("Something is wrong here: {name}"));
            }
            let form = ResourceServerForm {
                name: name.into(),
                environment: name.into(),
                obligations: ObligationsForm {
                    document_name: "enforced".into(),
                    watermark: name.into(),
                    ..ObligationsForm::default()
                },
                ..ResourceServerForm::default()
            };
            Self {
                form,
                errors,
                ..Self::sample()
            }
        }
    }

    impl ResourceServerCreatedPage {
        pub fn sample(name: &str, is_new: bool) -> Self {
            Self {
                shell: operator("Secret created"),
                client_id: "rs_01JcQ7n5vW9xYzA2bC3dE4".into(),
                name: name.into(),
                secret: "cs_cs_AbC4xY9kLm2QzT7vWp1RsN5uJh8GdFe3BcXaYqZoMiKl".into(),
                is_new,
            }
        }
    }

    impl ResourceServerPage {
        pub fn sample(name: &str) -> Self {
            let secret = |display: &str, can_revoke| SecretRow {
                id: "sec_1".into(),
                display: display.into(),
                created: "3 Oct 2026".into(),
                can_revoke,
            };
            let row = ResourceServerRow::sample(name);
            Self {
                shell: operator("Resource server"),
                csrf: "csrf-token".into(),
                server: ResourceServerDetail {
                    metadata_urls: vec![
                        "https://api.vendor.example/.well-known/oauth-protected-resource/v1".into(),
                    ],
                    obligations: Some(ObligationsForm {
                        document_name: "enforced".into(),
                        watermark: "enforced".into(),
                        recipients: "refused".into(),
                    }),
                    row,
                },
                issuer: "https://id.vendor.example".into(),
                secrets: vec![secret("cs_cs_AbC4…", true), secret("cs_cs_9kLm…", true)],
                can_add_secret: false,
                uri: String::new(),
                errors: FieldErrors::default(),
            }
        }

        pub fn sample_bare(name: &str) -> Self {
            let mut errors = FieldErrors::default();
            errors.push(
                "uri",
                format!("This is what {name} is called: a URI names one resource server."),
            );
            errors.push("", name);
            let page = Self::sample(name);
            let server = ResourceServerDetail {
                row: ResourceServerRow::sample_bare(name),
                obligations: None,
                metadata_urls: Vec::new(),
            };
            let secrets = page
                .secrets
                .into_iter()
                .take(1)
                .map(|secret| SecretRow {
                    can_revoke: false,
                    ..secret
                })
                .collect();
            Self {
                server,
                secrets,
                can_add_secret: true,
                uri: name.into(),
                errors,
                ..Self::sample(name)
            }
        }
    }

    impl ResourceServerDeletePage {
        pub fn sample(name: &str) -> Self {
            Self {
                shell: operator("Delete resource server"),
                csrf: "csrf-token".into(),
                server: ResourceServerRow::sample(name),
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
    fn the_pages_keep_the_promises_whatever_the_names() {
        assert_kept(
            "operator-resource-servers-none",
            &ResourceServerListPage::sample_none(),
        );
        assert_kept(
            "operator-resource-server-new",
            &ResourceServerNewPage::sample(),
        );
        for (kind, name) in [
            ("", "Documents API".to_owned()),
            ("-script", SCRIPT.to_owned()),
            ("-long", long()),
            ("-rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            let name = name.as_str();
            let file = |page: &str| format!("operator-resource-server{page}{kind}");
            assert_kept(&file("s"), &ResourceServerListPage::sample(name));
            assert_kept(
                &file("-refused"),
                &ResourceServerNewPage::sample_refused(name),
            );
            assert_kept(
                &file("-created"),
                &ResourceServerCreatedPage::sample(name, true),
            );
            assert_kept(
                &file("-secret"),
                &ResourceServerCreatedPage::sample(name, false),
            );
            assert_kept(&file(""), &ResourceServerPage::sample(name));
            assert_kept(&file("-bare"), &ResourceServerPage::sample_bare(name));
            assert_kept(&file("-delete"), &ResourceServerDeletePage::sample(name));
        }
    }
}
