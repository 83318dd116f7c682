//! Looks up whether a domain's record is there: the question and the conclusion are transactions, the network is in between.

use std::sync::Arc;

use super::App;
use crate::domain::Refusal;
use crate::domain::domains::domain_checks::{self, Question};
use crate::domain::domains::domains::{self, Shown};
use crate::domain::rights::caller::Caller;
use crate::store::domains::Domain;
use crate::store::{self, Verdict};
use crate::types::id::{DomainId, OrganizationId};

impl App {
    /// Somebody asks whether the record is there by now.
    pub async fn check_domain(
        &self,
        organization: OrganizationId,
        caller: impl Into<Caller>,
        id: DomainId,
    ) -> Result<Shown, Refusal> {
        let (config, caller) = (Arc::clone(&self.config), caller.into());
        let begin = move |tx: &mut store::Tx| {
            domain_checks::begin_check(tx, &config, organization, caller, id).map(Verdict::Done)
        };
        let question = self
            .store
            .write_organization(organization, self.clock.now(), begin)
            .await?;
        let domain = self.look_up_domain(&question).await?;
        Ok(domains::show(&self.config, &domain))
    }

    /// A look-up is due. None: it is not, any more.
    pub async fn recheck_domain(&self, due: &Domain) -> Result<Option<Domain>, Refusal> {
        let (organization, id) = (due.organization_id, due.id);
        let begin = move |tx: &mut store::Tx| {
            domain_checks::begin_recheck(tx, organization, id).map(Verdict::Done)
        };
        match self
            .store
            .write_organization(organization, self.clock.now(), begin)
            .await?
        {
            Some(question) => self.look_up_domain(&question).await.map(Some),
            None => Ok(None),
        }
    }

    async fn look_up_domain(&self, question: &Question) -> Result<Domain, Refusal> {
        let answer = self.dns.look_up_txt(&question.record_name).await;
        if let Err(unanswered) = &answer {
            tracing::warn!(domain.id = %question.domain, "A domain could not be looked up: {unanswered}");
        }
        let organization = question.organization;
        let conclude = || {
            let (config, question, answer) =
                (Arc::clone(&self.config), question.clone(), answer.clone());
            let rule = move |tx: &mut store::Tx| {
                domain_checks::conclude(tx, &config.domains, &question, &answer)
            };
            self.store
                .write_organization(organization, self.clock.now(), rule)
        };
        match conclude().await {
            // another organization proved it in the same moment: this time it is seen
            Err(Refusal::Store(store::Error::Constraint(_))) => conclude().await,
            concluded => concluded,
        }
    }
}
