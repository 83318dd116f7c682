//! OAuth clients as the doors know them: the application, its redirect URIs and its live secrets.

use crate::config::Catalogue;
use crate::domain::decision::access::{self, Prospect};
use crate::domain::decision::memory::Depends;
use crate::store::application_secrets::ApplicationSecret;
use crate::store::applications::Application;
use crate::store::authorizations::Authorization;
use crate::store::{Error, Snapshot, Subject, Tx};
use crate::types::id::{ApplicationId, OrganizationId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::state::{ApplicationState, ClientType, OrganizationState};
use crate::types::time::Timestamp;

/// A use of a registration is written down at most this often.
pub const NOTED_SECONDS: i64 = 24 * 60 * 60;

#[derive(Debug, Clone)]
pub struct Client {
    pub application: Application,
    pub organization_name: String,
    pub redirect_uris: Vec<RedirectUri>,
    /// Of the version that the operator approved (`versions.rs`).
    pub approved_redirect_uris: Vec<RedirectUri>,
    pub secrets: Vec<ApplicationSecret>,
    /// By which it acts as itself; none for a public one, and for one whose service account or organization has lost access.
    pub own_authorization: Option<(Authorization, Prospect)>,
    /// When one that registered by itself was last used, to the day; none for one that a person created.
    pub registration_used_at: Option<Timestamp>,
    /// By a person of its organization, or by their initial access token. False: anybody registered it.
    pub vouched_for: bool,
}

impl Client {
    /// By which it acts as itself at `now`: what is remembered of a client knows of no end that comes by itself.
    pub fn own_authorization(&self, now: Timestamp) -> Option<(Authorization, Prospect)> {
        let (authorization, prospect) = self.own_authorization.as_ref()?;
        let stands = prospect.ends_at.is_none_or(|end| end > now);
        stands.then(|| (authorization.clone(), *prospect))
    }

    pub fn is_confidential(&self) -> bool {
        self.application.client_type == ClientType::Confidential
    }

    /// Whether these people's own organization made it. Where it belongs says nothing when anybody could register it there.
    pub fn is_made_by(&self, organization: OrganizationId) -> bool {
        self.vouched_for && self.application.organization_id == organization
    }

    /// Whether its use is to be written down again: once a day, for one that registered by itself.
    pub fn is_use_due(&self, now: Timestamp) -> bool {
        self.registration_used_at
            .is_some_and(|at| at.plus_seconds(NOTED_SECONDS) <= now)
    }

    /// The registered redirect URI that `asked` matches; a single registered one may be left out (RFC 6749 §3.1.2.3).
    pub fn redirect_uri(&self, asked: Option<&RedirectUri>) -> Option<RedirectUri> {
        match asked {
            Some(asked) => self
                .redirect_uris
                .iter()
                .any(|own| own.matches(asked))
                .then(|| asked.clone()),
            None if self.redirect_uris.len() == 1 => self.redirect_uris.first().cloned(),
            None => None,
        }
    }

    /// Whether people of this organization may be answered there: those of others than its own only at an approved host.
    pub fn answers_at(&self, organization: OrganizationId, uri: &RedirectUri) -> bool {
        let own = self.application.organization_id == organization;
        self.redirect_uri(Some(uri)).is_some()
            && (own || uri.is_at_host_of(&self.approved_redirect_uris))
    }
}

impl Depends for Client {
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        let account = self.application.service_account_id.map(Subject::User);
        std::iter::once(Subject::Organization(self.application.organization_id)).chain(account)
    }
}

/// Who made the application, for people. Anybody could register one under any name where `vouched_for` is false.
pub fn made_by(application: &Application, organization_name: &str, vouched_for: bool) -> String {
    let known = vouched_for || application.verified_at.is_some();
    if known {
        organization_name.to_owned()
    } else {
        "Nobody known: it registered by itself".to_owned()
    }
}

/// Writes down that an application which registered by itself is used: what nobody uses ends.
pub fn note_use(tx: &mut Tx, organization: OrganizationId, id: ApplicationId) -> Result<(), Error> {
    match tx.record_registration_use(organization, id) {
        // it has ended meanwhile: whoever asks next finds out
        Err(Error::NotFound) => Ok(()),
        noted => noted,
    }
}

/// Whether a person of its organization created it, or their initial access token registered it.
pub fn is_vouched_for(snapshot: &mut Snapshot, id: ApplicationId) -> Result<bool, Error> {
    Ok(snapshot
        .find_registration(id)?
        .is_none_or(|registration| registration.registration_token_id.is_some()))
}

/// The client, if it is not deleted and its organization is not suspended. One that the operator has stopped too: people are
/// told, and nothing else is done for it.
pub fn find(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    id: ApplicationId,
    now: Timestamp,
) -> Result<Option<Client>, Error> {
    let Some(mut application) = snapshot
        .find_application(id)?
        .filter(|application| application.state == ApplicationState::Active)
    else {
        return Ok(None);
    };
    application.scopes = catalogue.open_to(&application.scopes, application.first_party);
    let organization = snapshot.find_organization(application.organization_id)?;
    let Some(organization) =
        organization.filter(|organization| organization.state == OrganizationState::Active)
    else {
        return Ok(None);
    };
    let redirect_uris = snapshot.list_redirect_uris(id)?;
    let approved_redirect_uris = match application.approved_name {
        Some(_) => snapshot.list_approved_redirect_uris(id)?,
        None => Vec::new(),
    };
    let secrets = snapshot.list_application_secrets(id)?;
    let own_authorization = match snapshot.find_client_credentials_authorization(id)? {
        Some(own) => {
            let prospect = access::prospect(snapshot, catalogue, &own, now)?;
            prospect.map(|prospect| (own, prospect))
        }
        None => None,
    };
    let registration = snapshot.find_registration(id)?;
    Ok(Some(Client {
        application,
        organization_name: organization.name,
        redirect_uris,
        approved_redirect_uris,
        secrets,
        own_authorization,
        vouched_for: registration
            .as_ref()
            .is_none_or(|registration| registration.registration_token_id.is_some()),
        registration_used_at: registration.map(|registration| registration.last_used_at),
    }))
}
