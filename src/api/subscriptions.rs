//! Which plan an organization is on: `/v1/organizations/{id}/subscription`, and by the billing system's own name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Change, Input, NoBody, NoQuery, present};
use super::organizations::{OrganizationPath, reached};
use super::upsert::{ExternalPath, Put, upsert};
use crate::config::Catalogue;
use crate::domain::Refusal;
use crate::domain::desk::{Desk, VendorDesk};
use crate::domain::lifecycle::provisioning::{self, WantedSubscription};
use crate::domain::people::organizations::{self, SubscriptionChange};
use crate::store::organizations::Organization;
use crate::store::subscriptions::Subscription;
use crate::types::id::OrganizationId;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// What an organization is subscribed to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Subscription")]
pub struct SubscriptionView {
    organization: OrganizationId,
    /// The billing system's own name for it.
    external_id: Option<String>,
    plan: String,
    /// Bought beside the plan; null: the plan's.
    full_seats: Option<i64>,
    read_only_seats: Option<i64>,
    /// Of the API trial, once per organization.
    trial_started_at: Option<Timestamp>,
    trial_ends_at: Option<Timestamp>,
}

/// The subscription as it is to be; what is left out stays.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SubscriptionChange")]
pub struct SubscriptionBody {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    plan: Option<String>,
    #[serde(default)]
    external_id: Change<String>,
    /// null: the plan's.
    #[serde(default)]
    full_seats: Change<i64>,
    /// null: the plan's.
    #[serde(default)]
    read_only_seats: Change<i64>,
}

impl SubscriptionBody {
    pub(super) fn wanted(self) -> SubscriptionChange {
        SubscriptionChange {
            external_id: self.external_id.into_option(),
            plan: self.plan,
            full_seats: self.full_seats.into_option(),
            read_only_seats: self.read_only_seats.into_option(),
        }
    }
}

/// A subscription by the billing system's own name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SubscriptionUpsert")]
pub struct SubscriptionUpsert {
    /// Needed for a new one: its id, or its external id.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "OrganizationId")]
    organization: Option<OrganizationId>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    organization_external_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    plan: Option<String>,
    #[serde(default)]
    full_seats: Change<i64>,
    #[serde(default)]
    read_only_seats: Change<i64>,
}

fn view(
    catalogue: &Catalogue,
    organization: &Organization,
    row: Option<Subscription>,
) -> SubscriptionView {
    let default = || {
        Subscription::new(
            organization.id,
            &catalogue.plan(None).entry.name,
            organization.created_at,
        )
    };
    let Subscription {
        external_id,
        plan,
        full_seats,
        read_only_seats,
        ..
    } = row.unwrap_or_else(default);
    let Organization {
        id,
        trial_started_at,
        trial_ends_at,
        ..
    } = *organization;
    SubscriptionView {
        organization: id,
        external_id,
        plan,
        full_seats,
        read_only_seats,
        trial_started_at,
        trial_ends_at,
    }
}

pub async fn get(
    call: Call,
    input: Input<OrganizationPath, NoQuery, NoBody>,
) -> Result<Answer<SubscriptionView>, Problem> {
    let found = call.ask(input.path.id, organizations::subscription).await?;
    let catalogue = &call.app.settings.catalogue;
    Ok(Answer::of(view(catalogue, &found.0, found.1)))
}

pub async fn put(
    call: Call,
    input: Input<OrganizationPath, NoQuery, SubscriptionBody>,
) -> Result<Answer<SubscriptionView>, Problem> {
    let (id, wanted) = (reached(&call, &input.path)?, input.body.wanted());
    let put = move |desk: &mut Desk| {
        let (subscription, _) = organizations::subscribe(desk, &wanted)?;
        let organization = desk.tx.find_organization(desk.organization)?;
        Ok((organization.ok_or(Refusal::NotFound)?, subscription))
    };
    let (organization, subscription) = call.change(id, put).await?;
    let catalogue = &call.app.settings.catalogue;
    Ok(Answer::of(view(
        catalogue,
        &organization,
        Some(subscription),
    )))
}

pub async fn put_by_external_id(
    call: Call,
    input: Input<ExternalPath, NoQuery, SubscriptionUpsert>,
) -> Result<Answer<Put<SubscriptionView>>, Problem> {
    let (external_id, body) = (input.path.external_id, input.body);
    let wanted = WantedSubscription {
        organization: body.organization,
        organization_external_id: body.organization_external_id,
        change: SubscriptionChange {
            external_id: None,
            plan: body.plan,
            full_seats: body.full_seats.into_option(),
            read_only_seats: body.read_only_seats.into_option(),
        },
    };
    let put =
        move |desk: &mut VendorDesk| provisioning::put_subscription(desk, &external_id, &wanted);
    let (organization, subscription, effect) = upsert(&call, put).await?;
    let catalogue = &call.app.settings.catalogue;
    Ok(Answer::of(Put::of(
        effect,
        view(catalogue, &organization, Some(subscription)),
    )))
}
