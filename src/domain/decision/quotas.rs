//! Which limits a request falls under: the owner's in its environment, and every `[[quota]]` that matches, together.

use crate::config::{Limits, Per, PermissionEntry, QuotaEntry, Rate};
use crate::domain::decision::access::Access;
use crate::domain::decision::limiter::{Policy, Quota};
use crate::types::environment::Environment;
use crate::types::id::{OrganizationId, UserId};

/// A request, by what the limits ask of it.
#[derive(Debug, Clone, Copy)]
pub struct LimitedRequest<'a> {
    pub organization: OrganizationId,
    pub owner: UserId,
    /// The key; for a token its application: a refreshed token is no new credential.
    pub credential: &'a str,
    pub environment: Environment,
    /// Of the organization whose data is touched.
    pub plan: Option<&'a str>,
    /// Of the permission that is asked for; empty for none.
    pub class: &'a str,
    pub cost: u64,
}

impl<'a> LimitedRequest<'a> {
    pub fn of(access: &'a Access, permission: Option<&'a PermissionEntry>) -> Self {
        Self {
            organization: access.organization,
            owner: access.actor.id,
            credential: access
                .credential
                .token
                .as_ref()
                .map_or(&access.credential.id, |token| token.application.as_str()),
            environment: access.environment,
            plan: Some(&access.plan),
            class: permission.map_or("", |entry| &entry.class),
            cost: permission.map_or(1, |entry| entry.cost),
        }
    }
}

/// The configured limits of requests.
#[derive(Debug, Clone)]
pub struct Quotas {
    sandbox: Rate,
    production: Rate,
    configured: Vec<Configured>,
}

#[derive(Debug, Clone)]
struct Configured {
    policy: Policy,
    /// The limits of different plans on the same requests over the same time have one window: who changes the plan takes
    /// along what they have used.
    pool: Policy,
    entry: QuotaEntry,
}

impl Quotas {
    pub fn new(limits: &Limits, entries: &[QuotaEntry]) -> Self {
        let mut configured: Vec<Configured> = Vec::with_capacity(entries.len());
        for entry in entries {
            let policy = Policy::Configured(entry.name.as_str().into());
            let pool = pool_of(&configured, entry).unwrap_or_else(|| policy.clone());
            configured.push(Configured {
                policy,
                pool,
                entry: entry.clone(),
            });
        }
        Self {
            sandbox: limits.sandbox,
            production: limits.production,
            configured,
        }
    }

    /// Those of one request. The organization is the first word of every subject: it is the owner whose lock guards them.
    pub fn of(&self, request: &LimitedRequest) -> Vec<Quota> {
        let rate = match request.environment {
            Environment::Sandbox => self.sandbox,
            Environment::Production => self.production,
        };
        let subject = [
            request.organization.as_str(),
            request.owner.as_str(),
            request.environment.as_str(),
        ]
        .join(" ");
        let mut quotas = Vec::with_capacity(1 + self.configured.len());
        quotas.push(Quota {
            cost: request.cost,
            lasting: true,
            ..Quota::new("owner", subject, rate)
        });
        for Configured {
            policy,
            pool,
            entry,
        } in self
            .configured
            .iter()
            .filter(|configured| matches(&configured.entry, request))
        {
            let quota = Quota::new(policy.clone(), subject_of(entry.per, request), entry.rate);
            quotas.push(Quota {
                cost: request.cost,
                lasting: true,
                pool: Some(pool.clone()),
                ..quota
            });
        }
        quotas
    }
}

/// The first pool of the same kind that no request would take from twice.
fn pool_of(earlier: &[Configured], entry: &QuotaEntry) -> Option<Policy> {
    let kind = |entry: &QuotaEntry| {
        (
            entry.per,
            entry.environments.clone(),
            entry.class.clone(),
            entry.rate.window_seconds,
        )
    };
    let meets = |other: &QuotaEntry| {
        other.plans.is_empty() || entry.plans.iter().any(|plan| other.plans.contains(plan))
    };
    if entry.plans.is_empty() {
        return None;
    }
    let alike = || {
        earlier
            .iter()
            .filter(|other| kind(&other.entry) == kind(entry))
    };
    let is_free = |pool: &Policy| !alike().any(|other| other.pool == *pool && meets(&other.entry));
    alike()
        .map(|other| &other.pool)
        .find(|pool| is_free(pool))
        .cloned()
}

fn matches(entry: &QuotaEntry, request: &LimitedRequest) -> bool {
    (entry.environments.is_empty() || entry.environments.contains(&request.environment))
        && (entry.plans.is_empty()
            || request
                .plan
                .is_some_and(|plan| entry.plans.iter().any(|name| name == plan)))
        && (entry.class.is_empty() || entry.class == request.class)
}

fn subject_of(per: Per, request: &LimitedRequest) -> String {
    let (organization, owner) = (request.organization.as_str(), request.owner.as_str());
    match per {
        Per::Owner => [organization, owner].join(" "),
        Per::Key => [organization, owner, request.credential].join(" "),
        Per::Organization => organization.to_owned(),
        Per::Environment => [organization, request.environment.as_str()].join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::Timestamp;

    fn quotas(text: &str) -> Quotas {
        #[derive(serde::Deserialize)]
        struct File {
            #[serde(default)]
            quota: Vec<QuotaEntry>,
        }
        let file: File = toml::from_str(text).expect("TOML");
        Quotas::new(&Limits::default(), &file.quota)
    }

    fn request(environment: Environment) -> LimitedRequest<'static> {
        let now = Timestamp::from_millis(0);
        let (organization, owner) = (OrganizationId::generate(now), UserId::generate(now));
        LimitedRequest {
            organization,
            owner,
            credential: "key_1",
            environment,
            plan: None,
            class: "",
            cost: 1,
        }
    }

    fn names(quotas: &Quotas, request: &LimitedRequest) -> Vec<String> {
        quotas
            .of(request)
            .iter()
            .map(|quota| quota.policy.to_string())
            .collect()
    }

    #[test]
    fn without_quotas_there_is_the_owners_pool_in_each_environment() {
        // rows 45, 47
        let (quotas, sandbox) = (quotas(""), request(Environment::Sandbox));
        let production = LimitedRequest {
            environment: Environment::Production,
            ..sandbox
        };
        let (one, other) = (
            quotas.of(&sandbox).remove(0),
            quotas.of(&production).remove(0),
        );
        assert_eq!(
            (one.rate, other.rate),
            (Limits::default().sandbox, Limits::default().production)
        );
        assert!(one.policy == other.policy && one.subject != other.subject && one.lasting);
        assert_eq!(
            quotas.of(&LimitedRequest {
                credential: "key_2",
                ..sandbox
            })[0]
                .subject,
            one.subject,
            "over all keys of one owner"
        );
    }

    #[test]
    fn a_request_falls_under_all_quotas_that_match() {
        // conflict C11
        let quotas = quotas(
            "quota = [
                { name = 'everybody', per = 'organization', rate = '9/1m' },
                { name = 'tier', per = 'organization', plans = ['starter', 'business'], rate = '9/1m' },
                { name = 'live', per = 'key', environments = ['production'], rate = '9/1m' },
                { name = 'downloads', per = 'owner', class = 'downloads', rate = '9/1m' },
            ]",
        );
        let sandbox = request(Environment::Sandbox);
        assert_eq!(
            names(&quotas, &sandbox),
            ["owner", "everybody"],
            "an organization without a plan is under no plan's quota"
        );
        // row 44
        assert_eq!(
            names(
                &quotas,
                &LimitedRequest {
                    plan: Some("business"),
                    ..sandbox
                }
            ),
            ["owner", "everybody", "tier"]
        );
        assert_eq!(
            names(
                &quotas,
                &LimitedRequest {
                    plan: Some("enterprise"),
                    ..sandbox
                }
            ),
            ["owner", "everybody"]
        );
        assert_eq!(
            names(
                &quotas,
                &LimitedRequest {
                    environment: Environment::Production,
                    ..sandbox
                }
            ),
            ["owner", "everybody", "live"]
        );
        assert_eq!(
            names(
                &quotas,
                &LimitedRequest {
                    class: "downloads",
                    ..sandbox
                }
            ),
            ["owner", "everybody", "downloads"]
        );
        assert!(
            quotas
                .of(&LimitedRequest { cost: 7, ..sandbox })
                .iter()
                .all(|quota| quota.cost == 7)
        );
    }

    #[test]
    fn who_changes_the_plan_takes_along_what_they_have_used() {
        let quotas = quotas(
            "quota = [
                { name = 'all', per = 'organization', rate = '9/15m' },
                { name = 'starter', per = 'organization', plans = ['starter'], rate = '2/15m' },
                { name = 'burst', per = 'organization', plans = ['starter'], rate = '1/15m' },
                { name = 'business', per = 'organization', plans = ['business'], rate = '9/15m' },
                { name = 'paid', per = 'organization', plans = ['business', 'enterprise'], rate = '8/15m' },
                { name = 'daily', per = 'organization', plans = ['enterprise'], rate = '9/1d' },
            ]",
        );
        let pools = |plan| {
            let request = LimitedRequest {
                plan: Some(plan),
                ..request(Environment::Sandbox)
            };
            quotas
                .of(&request)
                .iter()
                .skip(1)
                .map(|quota| {
                    format!(
                        "{} in {}",
                        quota.policy,
                        quota.pool.as_ref().expect("a pool")
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            pools("starter"),
            ["all in all", "starter in starter", "burst in burst"]
        );
        assert_eq!(
            pools("business"),
            ["all in all", "business in starter", "paid in burst"]
        );
        assert_eq!(
            pools("enterprise"),
            ["all in all", "paid in burst", "daily in daily"]
        );
    }

    #[test]
    fn who_shares_a_quota_is_said_by_per() {
        // rows 45, 46
        let one = request(Environment::Sandbox);
        let key = LimitedRequest {
            credential: "key_2",
            ..one
        };
        let live = LimitedRequest {
            environment: Environment::Production,
            ..one
        };
        let colleague = LimitedRequest {
            owner: UserId::generate(Timestamp::from_millis(1)),
            ..one
        };
        let stranger = LimitedRequest {
            organization: OrganizationId::generate(Timestamp::from_millis(1)),
            ..one
        };
        for (per, shared) in [
            (Per::Owner, [true, true, false, false]),
            (Per::Key, [false, true, false, false]),
            (Per::Organization, [true, true, true, false]),
            (Per::Environment, [true, false, true, false]),
        ] {
            let same = [key, live, colleague, stranger]
                .map(|other| subject_of(per, &other) == subject_of(per, &one));
            assert_eq!(
                same, shared,
                "{per:?}: other key, Production, colleague, stranger"
            );
            assert!(subject_of(per, &one).starts_with(one.organization.as_str()));
        }
    }
}
