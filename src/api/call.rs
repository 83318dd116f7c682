//! Who calls the management API, by which credential, for which organization. Cookies are never read.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use serde_json::json;

use crate::app::{App, ManagementLookup, OperatorLookup};
use crate::domain::Refusal;
use crate::domain::decision::access::Access;
use crate::domain::decision::limiter::{Quota, Standing, Taken};
use crate::domain::decision::usage::Used;
use crate::domain::desk::{Desk, VendorDesk, VendorView, View};
use crate::domain::operations::idempotency::{Once, once};
use crate::domain::rights::asker::Asker;
use crate::domain::rights::granted;
use crate::store::{Snapshot, Tx, Verdict};
use crate::types::id::{ApiKeyId, ApiKeySecretId, OrganizationId};
use crate::types::permission::PermissionSet;
use crate::types::right::Right;
use crate::web::credential::credential;
use crate::web::facts::Facts;
use crate::web::holder;
use crate::web::problem::{Problem, unknown_credential};

use super::idempotency::{self, Repeatable};
use super::rule::{Or, Rule};

/// One authenticated request.
pub struct Call {
    pub app: web::Data<App>,
    pub facts: Facts,
    pub asker: Asker,
    /// The credential's own; an operator token's is named by the query.
    pub organization: Option<OrganizationId>,
    /// Of an access token or a key; none for an operator token and a management token.
    pub access: Option<Arc<Access>>,
    /// What an operator token may do, or a management token at most.
    granted: PermissionSet,
    /// Names the caller for limits and idempotency keys: the same for every token of an application and a person.
    pub(super) name: String,
    /// The key, the authorization, the operator token or the management token, for the audit log.
    credential: String,
    pub(super) repeatable: Option<Repeatable>,
}

/// Proves the credential. Unknown, mistyped and revoked ones read the same.
pub async fn authenticate(
    app: web::Data<App>,
    facts: Facts,
    request: &HttpRequest,
) -> Result<Call, Problem> {
    let presented = credential(request, &app.config.keys.header_scheme)?;
    if app.is_operator_token(&presented) {
        return of_operator(app, facts, &presented).await;
    }
    if app.is_management_token(&presented) {
        return of_management_token(app, facts, &presented).await;
    }
    let access = holder::authenticate(&app, &facts, &presented).await?;
    let credential = access.credential.id.clone();
    let name = match &access.credential.token {
        Some(token) => format!(
            "{} {} {}",
            token.application, access.actor.id, access.organization
        ),
        None => access.credential.id.clone(),
    };
    Ok(Call {
        asker: access.asker(),
        app,
        facts,
        organization: Some(access.organization),
        access: Some(access),
        granted: PermissionSet::NONE,
        name,
        credential,
        repeatable: None,
    })
}

async fn of_operator(app: web::Data<App>, facts: Facts, presented: &str) -> Result<Call, Problem> {
    let token = match app
        .operator_token(presented, facts.address, facts.now)
        .await?
    {
        OperatorLookup::Found(token) => token,
        OperatorLookup::Unknown => return Err(unknown_credential()),
        OperatorLookup::Throttled {
            retry_after_seconds,
        } => return Err(Problem::rate_limited(retry_after_seconds)),
    };
    if token.expires_at.is_some_and(|end| end <= facts.now) {
        return Err(holder::expired());
    }
    app.usage.note(Used::OperatorToken(token.id), facts.now);
    let granted = granted::permissions(&app.settings.catalogue, &token);
    Ok(Call {
        asker: Asker::operator_token(token.user_id, granted),
        app,
        facts,
        organization: None,
        access: None,
        granted,
        name: token.id.to_string(),
        credential: token.id.to_string(),
        repeatable: None,
    })
}

async fn of_management_token(
    app: web::Data<App>,
    facts: Facts,
    presented: &str,
) -> Result<Call, Problem> {
    let found = match app
        .management_token(presented, facts.address, facts.now)
        .await?
    {
        ManagementLookup::Found(found) => found,
        ManagementLookup::Unknown => return Err(unknown_credential()),
        ManagementLookup::Throttled {
            retry_after_seconds,
        } => return Err(Problem::rate_limited(retry_after_seconds)),
    };
    if found.token.expires_at <= facts.now {
        return Err(holder::expired());
    }
    if found.is_suspended {
        return Err(holder::suspended());
    }
    let id = found.token.id;
    app.usage.note(Used::ManagementToken(id), facts.now);
    Ok(Call {
        asker: found.asker(&app.settings.catalogue),
        granted: found.permissions(&app.settings.catalogue),
        organization: Some(found.token.organization_id),
        app,
        facts,
        access: None,
        name: id.to_string(),
        credential: id.to_string(),
        repeatable: None,
    })
}

impl Call {
    /// The organization that the call is about. An operator token has to name it.
    pub fn organization(&self) -> Result<OrganizationId, Problem> {
        let detail =
            "An operator token reaches every organization: name one with ?organization=org_….";
        self.organization
            .ok_or_else(|| Problem::bad_request("organization_required", detail))
    }

    /// Whether the credential holds the right anywhere.
    fn allows(&self, right: Right) -> bool {
        let access = self.access.as_ref();
        let held = access.map_or(self.granted, |access| access.permissions_anywhere());
        self.app.settings.catalogue.right(right).is_held_in(held)
    }

    /// A person's token that manages, as far as that person may: of a first-party application, with a scope for it.
    fn is_for_management(&self) -> bool {
        let persons = self.access.as_ref().filter(|access| {
            access
                .credential
                .token
                .as_ref()
                .is_some_and(|token| !token.is_own)
        });
        persons.is_some_and(|access| {
            !(access.factors.scopes
                & access.factors.kind
                & self.app.settings.catalogue.management())
            .is_empty()
        })
    }

    /// Which secret of this very key is the credential. Any other key manages none (row 24).
    pub fn own_key(&self, id: ApiKeyId) -> Result<Option<ApiKeySecretId>, Problem> {
        match self
            .access
            .as_ref()
            .and_then(|access| access.credential.key.as_ref())
        {
            None => Ok(None),
            Some(key) if key.id == id => Ok(Some(key.secret)),
            Some(_) => Err(Refusal::NotFound.into()),
        }
    }

    /// Refuses a credential that holds nothing of what the rule needs, anywhere.
    pub(super) fn ensure_any(&self, rule: Rule) -> Result<(), Problem> {
        let itself = rule.or == Some(Or::Itself)
            && self
                .access
                .as_ref()
                .is_some_and(|access| access.credential.key.is_some());
        let member = rule.or == Some(Or::Member) && self.is_for_management();
        if itself || member || rule.needs.iter().any(|right| self.allows(*right)) {
            Ok(())
        } else {
            Err(insufficient(rule))
        }
    }

    /// Takes one request from the caller's own limit.
    pub(super) fn take(&self) -> Result<Vec<Standing>, Problem> {
        let quota = Quota {
            lasting: true,
            ..Quota::new(
                "management",
                self.name.as_str(),
                self.app.config.limits.management,
            )
        };
        match self.app.limiter.take(&self.name, &[quota], self.facts.now) {
            Taken::All(standings) => Ok(standings),
            Taken::None {
                violated,
                retry_after_seconds,
                ..
            } => Err(Problem::rate_limited(retry_after_seconds.unwrap_or(1))
                .with("violated_policies", json!(violated))),
        }
    }

    /// A question about the organization, in one snapshot.
    pub async fn ask<T: Send + 'static>(
        &self,
        organization: OrganizationId,
        question: impl FnOnce(&mut View<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        let (settings, asker) = (Arc::clone(&self.app.settings), self.asker.clone());
        let now = self.facts.now;
        let read = move |snapshot: &mut Snapshot| {
            question(&mut View {
                snapshot,
                settings: &settings,
                organization,
                asker: &asker,
                now,
            })
        };
        Ok(self.app.store.read(read).await?)
    }

    /// A change, behind the organization's lock. The closure may run twice: it borrows what it captured.
    pub async fn change<T: Send + 'static>(
        &self,
        organization: OrganizationId,
        mut change: impl FnMut(&mut Desk<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        let (settings, asker) = (Arc::clone(&self.app.settings), self.asker.clone());
        let credential = self.credential.clone();
        let write = move |tx: &mut Tx| {
            tx.act_by(&credential);
            let mut desk = Desk {
                tx,
                settings: &settings,
                organization,
                asker: &asker,
            };
            change(&mut desk).map(Verdict::Done)
        };
        Ok(self
            .app
            .store
            .write_organization(organization, self.facts.now, write)
            .await?)
    }

    /// A question about no organization, or about all of them.
    pub async fn ask_vendor<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut VendorView<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        let (settings, asker) = (Arc::clone(&self.app.settings), self.asker.clone());
        let read = move |snapshot: &mut Snapshot| {
            question(&mut VendorView {
                snapshot,
                settings: &settings,
                asker: &asker,
            })
        };
        Ok(self.app.store.read(read).await?)
    }

    /// A change about no organization, or one that the rule finds and locks. The closure may run twice: it borrows what it
    /// captured.
    pub async fn change_vendor<T: Send + 'static>(
        &self,
        mut change: impl FnMut(&mut VendorDesk<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (settings, asker) = (Arc::clone(&self.app.settings), self.asker.clone());
        let credential = self.credential.clone();
        let write = move |tx: &mut Tx| {
            tx.act_by(&credential);
            let mut desk = VendorDesk {
                tx,
                settings: &settings,
                asker: &asker,
            };
            change(&mut desk).map(Verdict::Done)
        };
        self.app.store.write(self.facts.now, write).await
    }

    /// As [`Call::make`], of what belongs to no organization, or is one.
    pub async fn make_vendor<T: Send + 'static>(
        &self,
        mut make: impl FnMut(&mut VendorDesk<'_, '_>) -> Result<(String, T), Refusal> + Send + 'static,
        mut again: impl FnMut(&mut VendorDesk<'_, '_>, &str) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Made<T>, Problem> {
        let ticket = self
            .repeatable
            .as_ref()
            .map(|repeatable| repeatable.ticket.clone());
        let made = self.change_vendor(move |desk| {
            let (settings, asker) = (desk.settings, desk.asker);
            let make = |tx: &mut Tx| {
                make(&mut VendorDesk {
                    tx,
                    settings,
                    asker,
                })
            };
            Ok(match once(desk.tx, ticket.as_ref(), make)? {
                Once::Created(value) => Some(Made {
                    value,
                    replayed: false,
                }),
                Once::Replayed(id) => Some(Made {
                    value: again(desk, &id)?,
                    replayed: true,
                }),
                Once::Reused => None,
            })
        });
        made.await?.ok_or_else(idempotency::reused)
    }

    /// A create that may be repeated with its `Idempotency-Key`, behind the organization's lock. `make` also returns the new id;
    /// `again` finds what an earlier twin made, in the same transaction.
    pub async fn make<T: Send + 'static>(
        &self,
        organization: OrganizationId,
        mut make: impl FnMut(&mut Desk<'_, '_>) -> Result<(String, T), Refusal> + Send + 'static,
        mut again: impl FnMut(&mut Desk<'_, '_>, &str) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Made<T>, Problem> {
        let ticket = self
            .repeatable
            .as_ref()
            .map(|repeatable| repeatable.ticket.clone());
        let made = self.change(organization, move |desk| {
            let (settings, asker) = (desk.settings, desk.asker);
            let make = |tx: &mut Tx| {
                make(&mut Desk {
                    tx,
                    settings,
                    organization,
                    asker,
                })
            };
            Ok(match once(desk.tx, ticket.as_ref(), make)? {
                Once::Created(value) => Some(Made {
                    value,
                    replayed: false,
                }),
                Once::Replayed(id) => Some(Made {
                    value: again(desk, &id)?,
                    replayed: true,
                }),
                Once::Reused => None,
            })
        });
        made.await?.ok_or_else(idempotency::reused)
    }
}

/// What a create gave.
#[derive(Debug, Clone)]
pub struct Made<T> {
    pub value: T,
    /// An earlier twin created it: its secret, if it has one, is not shown again.
    pub replayed: bool,
}

/// RFC 6750 §3.1: the credential is good, and not for this.
fn insufficient(rule: Rule) -> Problem {
    let names: Vec<&str> = rule.needs.iter().map(|right| right.name()).collect();
    let detail = format!("The credential does not hold {}.", rule.needed());
    Problem::new(StatusCode::FORBIDDEN, "insufficient_permission", detail)
        .with("permissions", json!(names))
}
