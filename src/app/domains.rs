//! Looks up whether a domain's record is there: the question and the conclusion are transactions, the network is in between.

use std::sync::Arc;

use super::App;
use crate::domain::Refusal;
use crate::domain::desk::Desk;
use crate::domain::domains::domain_checks::{self, DomainCheck};
use crate::domain::domains::domains::{self, DomainView};
use crate::domain::rights::asker::Asker;
use crate::store::domains::Domain;
use crate::store::{self, Tx, Verdict};
use crate::types::id::{DomainId, OrganizationId};

impl App {
    /// Somebody asks whether the record is there by now.
    pub async fn check_domain(
        &self,
        organization: OrganizationId,
        asker: &Asker,
        id: DomainId,
    ) -> Result<DomainView, Refusal> {
        let (settings, asker) = (Arc::clone(&self.settings), asker.clone());
        let begin = move |tx: &mut Tx| {
            let mut desk = Desk {
                tx,
                settings: &settings,
                organization,
                asker: &asker,
            };
            domain_checks::begin_check(&mut desk, id).map(Verdict::Done)
        };
        let check = self
            .store
            .write_organization(organization, self.clock.now(), begin)
            .await?;
        let domain = self.look_up_domain(&check).await?;
        Ok(domains::show(&self.settings, &domain))
    }

    /// A look-up is due. None: it is not, any more.
    pub async fn recheck_domain(&self, due: &Domain) -> Result<Option<Domain>, Refusal> {
        let (organization, id) = (due.organization_id, due.id);
        let begin = move |tx: &mut Tx| {
            domain_checks::begin_recheck(tx, organization, id).map(Verdict::Done)
        };
        match self
            .store
            .write_organization(organization, self.clock.now(), begin)
            .await?
        {
            Some(check) => self.look_up_domain(&check).await.map(Some),
            None => Ok(None),
        }
    }

    async fn look_up_domain(&self, check: &DomainCheck) -> Result<Domain, Refusal> {
        let answer = self.dns.look_up_txt(&check.record_name).await;
        if let Err(unanswered) = &answer {
            tracing::warn!(domain.id = %check.domain, "A domain could not be looked up: {unanswered}");
        }
        let organization = check.organization;
        let conclude = || {
            let (settings, check, answer) =
                (Arc::clone(&self.settings), check.clone(), answer.clone());
            let rule =
                move |tx: &mut Tx| domain_checks::conclude(tx, &settings.domains, &check, &answer);
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
