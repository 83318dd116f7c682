//! Two judges for every grant: our own ladder and oxide-auth (`oxide.rs`). A grant needs both. Where their verdicts differ it is
//! refused, logged and counted ([`note_difference`]).

use std::fmt::Display;

use chrono::{DateTime, Utc};

use super::error::{Code, Difference, Error};
use super::oxide;
use crate::domain::clients::clients::Client;
use crate::store::authorizations::Authorization;
use crate::telemetry::metrics::{GrantLabels, Metrics};
use crate::types::id::{ApplicationId, AuthorizationId, RequestId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::time::Timestamp;

/// By how much an expiry is moved away from the present before oxide-auth sees it.
const APART_SECONDS: i64 = 60;

/// The grant that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'r> {
    pub authorization: &'r Authorization,
    /// Of the code or refresh token.
    pub expires_at: Option<Timestamp>,
    pub now: Timestamp,
}

impl Stored<'_> {
    /// By our clock.
    pub fn is_in_time(&self) -> bool {
        self.expires_at.is_some_and(|end| end > self.now)
    }

    /// The expiry on oxide-auth's clock, which cannot be set: the time left by our clock, added to theirs. Theirs runs on while
    /// it judges, so the expiry is moved away from the present, to the side where it lies. The very instant counts as past.
    fn until(&self) -> DateTime<Utc> {
        let Some(end) = self.expires_at else {
            return DateTime::<Utc>::MIN_UTC;
        };
        let apart = if end <= self.now {
            -APART_SECONDS
        } else {
            APART_SECONDS
        };
        end.plus_seconds(apart).on_the_system_clock(self.now)
    }
}

/// RFC 6749 §4.1.3: the code was issued to this client, for this redirect URI, and has not expired.
pub fn authorization_code(
    client: &Client,
    redirect_uri: Option<&str>,
    stored: &Stored<'_>,
    ours: Result<(), Error>,
) -> Result<(), Error> {
    let ours = ours.map(|()| stored.authorization.scopes.clone());
    let theirs =
        oxide::authorization_code(client, redirect_uri, stored.authorization, stored.until());
    let case = Case::about("authorization_code", client).with(stored);
    case.compare(ours, theirs).map(|_| ())
}

/// RFC 6749 §6: the refresh token was issued to this client and has not expired; the new access token's scopes are never wider.
pub fn refresh_token(
    client: &Client,
    asked: Option<&str>,
    stored: &Stored<'_>,
    ours: Result<Scopes, Error>,
) -> Result<Scopes, Error> {
    let theirs = oxide::refresh_token(client, asked, stored.authorization, stored.until());
    let case = Case::about("refresh_token", client).with(stored);
    case.compare(ours, theirs)
}

/// RFC 6749 §4.4.2: the scopes that the client gets for itself.
pub fn client_credentials(
    client: &Client,
    asked: Option<&str>,
    ours: Result<Scopes, Error>,
) -> Result<Scopes, Error> {
    let theirs = oxide::client_credentials(client, asked, ours.as_ref().ok());
    Case::about("client_credentials", client).compare(ours, theirs)
}

/// RFC 6749 §3.1.2.3: where the client may be answered.
pub fn redirect_uri(
    client: &Client,
    sent: Option<&str>,
    ours: Result<RedirectUri, Error>,
) -> Result<RedirectUri, Error> {
    let stored = ours.as_ref().ok().map(RedirectUri::as_str);
    let theirs = sent
        .or(stored)
        .ok_or(Code::InvalidRequest)
        .and_then(|uri| oxide::redirect_uri(client, uri));
    Case::about("authorization_request", client).compare(ours, theirs)
}

/// RFC 6749 §4.1.1: the response type, and the scopes that the request is about.
pub fn authorization_request(
    client: &Client,
    redirect_uri: &RedirectUri,
    response_type: Option<&str>,
    asked: Option<&str>,
    ours: Result<Scopes, Error>,
) -> Result<Scopes, Error> {
    let theirs = oxide::authorization_request(
        client,
        redirect_uri.as_str(),
        response_type,
        asked,
        ours.as_ref().ok(),
    );
    Case::about("authorization_request", client).compare(ours, theirs)
}

/// At the door, so that a difference is logged and counted once, however often its transaction ran.
pub fn note_difference(metrics: &Metrics, request: RequestId, error: &Error) {
    let Some(difference) = &error.difference else {
        return;
    };
    let Difference {
        grant,
        client,
        authorization,
        ours,
        theirs,
    } = difference.as_ref();
    metrics
        .oauth_verdicts_differ
        .get_or_create(&GrantLabels { grant })
        .inc();
    let authorization = authorization.as_ref().map(AuthorizationId::as_str);
    tracing::error!(
        request.id = %request, client.id = %client, authorization.id = authorization,
        "Refused {grant}: this server and oxide-auth differ (ours: {ours}; oxide-auth: {theirs})"
    );
}

/// One request before two judges.
struct Case {
    grant: &'static str,
    client: ApplicationId,
    authorization: Option<AuthorizationId>,
}

impl Case {
    fn about(grant: &'static str, client: &Client) -> Self {
        Self {
            grant,
            client: client.application.id,
            authorization: None,
        }
    }

    fn with(self, stored: &Stored<'_>) -> Self {
        Self {
            authorization: Some(stored.authorization.id),
            ..self
        }
    }

    /// Both must allow, and the same. Where both refuse, the error is ours; where they differ, it is the one of who refuses.
    fn compare<T: PartialEq + Display>(
        self,
        ours: Result<T, Error>,
        theirs: Result<T, Code>,
    ) -> Result<T, Error> {
        let refusal = match (&ours, &theirs) {
            (Ok(own), Ok(other)) if own == other => return ours,
            (Err(_), Err(_)) => return ours,
            (Err(error), Ok(_)) => error.clone(),
            (Ok(_), Err(code)) => code.because(DIFFERS),
            (Ok(_), Ok(_)) => Code::InvalidScope.because(DIFFERS),
        };
        Err(refusal.with_difference(Difference {
            grant: self.grant,
            client: self.client,
            authorization: self.authorization,
            ours: verdict(&ours),
            theirs: verdict(&theirs),
        }))
    }
}

const DIFFERS: &str =
    "A second check of the request came to another result. Tell the operator of this service.";

fn verdict(judged: &Result<impl Display, impl Display>) -> String {
    match judged {
        Ok(what) => format!("allowed {what}"),
        Err(error) => format!("refused {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::config::{Catalogue, Config};
    use crate::domain::ensure;
    use crate::oauth::grants::authorization_code::ensure_issued_for;
    use crate::oauth::scope;
    use crate::store::applications::Application;
    use crate::types::environment::Environment;
    use crate::types::grant_types::GrantTypes;
    use crate::types::id::{OrganizationId, UserId};
    use crate::types::resource::Resources;
    use crate::types::state::{
        AccessTokenFormat, ApplicationState, Approval, AuthorizationState, ClientType, GrantKind,
        ReachKind,
    };

    /// Far from the system's clock: only the time left may count.
    const NOW: Timestamp = Timestamp::from_seconds(1_000_000_000);
    const SCOPES: &str = "read write send webhooks";
    const URIS: [&str; 12] = [
        "https://app.example/cb",
        "https://app.example:443/cb",
        "HTTPS://app.example/cb",
        "https://app.example/x/../cb",
        "https://app.example/CB",
        "https://app.example/cb?x=1",
        "https://evil.example/cb",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:5000/cb",
        "http://[::1]:7/cb",
        "com.example.app:/cb",
        "not a URI",
    ];

    fn scopes(text: &str) -> Scopes {
        text.parse().expect("scopes")
    }

    fn client(redirect_uris: &[&str], allowed: &str) -> Client {
        let organization_id = OrganizationId::generate(NOW);
        Client {
            application: Application {
                id: ApplicationId::generate(NOW),
                organization_id,
                environment: Environment::Sandbox,
                name: "An application".to_owned(),
                client_type: ClientType::Public,
                access_token_format: AccessTokenFormat::Jwt,
                scopes: scopes(allowed),
                service_account_id: None,
                state: ApplicationState::Active,
                created_by: UserId::generate(NOW),
                created_at: NOW,
                deleted_at: None,
                grants: GrantTypes::ALL,
                refresh_rotation: true,
                refresh_idle_seconds: None,
                refresh_absolute_seconds: None,
                approval: Approval::None,
                approval_reason: None,
                verified_at: None,
                stopped_at: None,
                stopped_because: None,
                last_used_at: None,
                first_party: false,
                approved_name: None,
                approved_scopes: None,
            },
            organization_name: "Acme".to_owned(),
            redirect_uris: redirect_uris
                .iter()
                .map(|uri| uri.parse().expect("a redirect URI"))
                .collect(),
            approved_redirect_uris: Vec::new(),
            secrets: Vec::new(),
            own_authorization: None,
            registration_used_at: None,
            vouched_for: true,
        }
    }

    fn authorization(client: &Client, redirect_uri: Option<&str>, granted: &str) -> Authorization {
        Authorization {
            id: AuthorizationId::generate(NOW),
            kind: GrantKind::AuthorizationCode,
            application_id: client.application.id,
            organization_id: client.application.organization_id,
            user_id: UserId::generate(NOW),
            environment: Environment::Sandbox,
            scopes: scopes(granted),
            reach: ReachKind::Organization,
            state: AuthorizationState::Pending,
            redirect_uri: redirect_uri.map(|uri| uri.parse().expect("a redirect URI")),
            code_challenge: None,
            code_digest: None,
            code_expires_at: None,
            wrong_verifiers: 0,
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
            revoked_because: None,
            consent_id: None,
            session_id: None,
            resources: Resources::default(),
            last_used_at: None,
            row_expires_at: None,
            marked_at: None,
        }
    }

    /// What the ladder of the code grant judges, rung by rung.
    fn code_by_us(
        client: &Client,
        redirect_uri: Option<&str>,
        stored: &Stored<'_>,
    ) -> Result<(), Error> {
        ensure_issued_for(stored.authorization, client, redirect_uri)?;
        ensure(stored.is_in_time(), Code::InvalidGrant.into())
    }

    fn refresh_by_us(
        client: &Client,
        asked: Option<&str>,
        stored: &Stored<'_>,
    ) -> Result<Scopes, Error> {
        ensure_issued_for(stored.authorization, client, None)?;
        ensure(stored.is_in_time(), Code::InvalidGrant)?;
        scope::narrow(&stored.authorization.scopes, asked)
    }

    fn redirect_uri_by_us(client: &Client, sent: Option<&str>) -> Result<RedirectUri, Error> {
        let sent = sent
            .map(str::parse::<RedirectUri>)
            .transpose()
            .map_err(|_| Code::InvalidRequest)?;
        Ok(client
            .redirect_uri(sent.as_ref())
            .ok_or(Code::InvalidRequest)?)
    }

    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        let config = Config::load(None, std::iter::empty()).expect("the defaults");
        config.catalogue().expect("the defaults")
    });

    fn is_difference<T>(judged: &Result<T, Error>) -> bool {
        matches!(judged, Err(error) if error.difference.is_some())
    }

    /// Around the instant by milliseconds, far from it, or none.
    fn expiry() -> impl Strategy<Value = Option<Timestamp>> {
        let left = prop_oneof![
            4 => -5_i64..=5,
            1 => -100_000_i64..=100_000,
            1 => Just(i64::MIN / 2),
            1 => Just(i64::MAX / 2),
        ];
        let end = left.prop_map(|left| Timestamp::from_millis(NOW.millis().saturating_add(left)));
        prop_oneof![20 => end.prop_map(Some), 1 => Just(None)]
    }

    fn uri() -> impl Strategy<Value = Option<&'static str>> {
        prop::option::weighted(0.8, prop::sample::select(URIS.as_slice()))
    }

    fn registered_uri() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "https://app.example/cb",
            "https://app.example/cb?x=1",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:5000/cb",
            "com.example.app:/cb",
        ])
    }

    /// Some scopes of the catalogue, in any order, repeated, unknown, malformed, blank, or left out.
    fn asked() -> impl Strategy<Value = Option<String>> {
        let known = prop::collection::vec(
            prop::sample::select(SCOPES.split(' ').collect::<Vec<_>>()),
            0..4,
        )
        .prop_map(|words| words.join(" "));
        let odd = prop::sample::select(vec![
            "",
            " ",
            "  read ",
            "unknown",
            "read unknown",
            "Read",
            "re\"ad",
            "read\twrite",
            "re\\ad",
            "lesen\u{e4}",
            "read\u{a0}write",
        ])
        .prop_map(str::to_owned);
        prop::option::weighted(0.85, prop_oneof![3 => known, 1 => odd])
    }

    fn granted() -> impl Strategy<Value = String> {
        prop::sample::subsequence(SCOPES.split(' ').collect::<Vec<_>>(), 0..=4)
            .prop_map(|words| words.join(" "))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_code_is_judged_alike(own in any::<bool>(), sent in uri(), stored in registered_uri(), expires_at in expiry()) {
            let (client, other) = (client(&[stored], SCOPES), client(&[stored], SCOPES));
            let authorization = authorization(if own { &client } else { &other }, Some(stored), "read");
            let stored = Stored { authorization: &authorization, expires_at, now: NOW };
            let ours = code_by_us(&client, sent, &stored);
            // compared by the byte, and first
            let issued_for = authorization.redirect_uri.as_ref().map(RedirectUri::as_str);
            let same_url = sent.is_some_and(|sent| sent != issued_for.unwrap_or_default()
                && url::Url::parse(sent).ok() == issued_for.and_then(|uri| url::Url::parse(uri).ok()));
            let allowed = own && stored.is_in_time() && (sent.is_none() || sent == issued_for);
            prop_assert_eq!(ours.is_ok(), allowed);
            if same_url {
                prop_assert!(ours.is_err());
            } else {
                prop_assert_eq!(authorization_code(&client, sent, &stored, ours.clone()), ours);
            }
            // a rung that is missing in ours
            let without = authorization_code(&client, sent, &stored, Ok(()));
            prop_assert!(allowed || same_url || is_difference(&without));
        }

        #[test]
        fn a_refresh_token_is_judged_alike(own in any::<bool>(), granted in granted(), asked in asked(), expires_at in expiry()) {
            let (client, other) = (client(&[], SCOPES), client(&[], SCOPES));
            let authorization = authorization(if own { &client } else { &other }, None, &granted);
            let stored = Stored { authorization: &authorization, expires_at, now: NOW };
            let ours = refresh_by_us(&client, asked.as_deref(), &stored);
            prop_assert_eq!(refresh_token(&client, asked.as_deref(), &stored, ours.clone()), ours.clone());
            let mistaken = refresh_token(&client, asked.as_deref(), &stored, Ok(scopes(SCOPES)));
            prop_assert_eq!(is_difference(&mistaken), ours != Ok(scopes(SCOPES)));
        }

        #[test]
        fn scopes_are_judged_alike(allowed in granted(), asked in asked(), response_type in prop::sample::select(vec![Some("code"), Some("token"), None])) {
            let client = client(&["https://app.example/cb"], &allowed);
            let ours = scope::negotiate(&CATALOGUE, &client.application.scopes, asked.as_deref());
            prop_assert_eq!(client_credentials(&client, asked.as_deref(), ours.clone()), ours.clone());
            let ours = ensure(response_type == Some("code"), Code::UnsupportedResponseType).map_err(Error::from).and(ours);
            let uri = &client.redirect_uris[0];
            let judged = authorization_request(&client, uri, response_type, asked.as_deref(), ours.clone());
            prop_assert_eq!(judged, ours.clone());
            // one scope too many
            let wide = scopes("read write send webhooks more");
            prop_assert!(is_difference(&client_credentials(&client, asked.as_deref(), Ok(wide.clone()))));
            prop_assert!(is_difference(&authorization_request(&client, uri, response_type, asked.as_deref(), Ok(wide))));
        }

        #[test]
        fn redirect_uris_are_judged_alike(registered in prop::collection::vec(registered_uri(), 0..3), sent in uri()) {
            let client = client(&registered, SCOPES);
            let ours = redirect_uri_by_us(&client, sent);
            prop_assert_eq!(redirect_uri(&client, sent, ours.clone()), ours.clone());
            let evil: RedirectUri = "https://evil.example/cb".parse().expect("a redirect URI");
            prop_assert!(is_difference(&redirect_uri(&client, sent, Ok(evil.clone()))));
            let asked = authorization_request(&client, &evil, Some("code"), None, Ok(scopes("read")));
            prop_assert!(is_difference(&asked));
        }
    }

    #[test]
    fn a_difference_refuses_and_is_counted_with_ids_and_both_verdicts() {
        let (client, other) = (client(&[], SCOPES), client(&[], SCOPES));
        let authorization = authorization(&other, None, "read");
        let stored = Stored {
            authorization: &authorization,
            expires_at: Some(NOW.plus_seconds(60)),
            now: NOW,
        };
        let error = refresh_token(&client, None, &stored, Ok(scopes("read"))).expect_err("refused");
        assert_eq!(error.code, Code::InvalidGrant);
        assert_eq!(
            error.difference.as_deref(),
            Some(&Difference {
                grant: "refresh_token",
                client: client.application.id,
                authorization: Some(authorization.id),
                ours: "allowed read".to_owned(),
                theirs: "refused invalid_grant".to_owned(),
            })
        );
        let metrics = Metrics::default();
        note_difference(&metrics, RequestId::generate(NOW), &error);
        note_difference(
            &metrics,
            RequestId::generate(NOW),
            &Code::InvalidGrant.into(),
        );
        let text = metrics.text().expect("text");
        let line = r#"countersign_oauth_verdicts_differ_total{grant="refresh_token"} 1"#;
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn what_we_refuse_stays_refused_whatever_oxide_auth_says() {
        let client = client(&[], SCOPES);
        let refused = Code::InvalidScope.because("scope is malformed.");
        let judged = client_credentials(&client, Some("read"), Err(refused.clone()));
        let error = judged.expect_err("refused");
        assert_eq!(
            (error.code, &error.description),
            (refused.code, &refused.description)
        );
        assert!(error.difference.is_some());
    }

    #[test]
    fn wider_scopes_than_oxide_auth_allows_are_no_scopes() {
        let client = client(&[], SCOPES);
        let judged = client_credentials(&client, Some("read"), Ok(scopes("read write")));
        let error = judged.expect_err("refused");
        assert_eq!(error.code, Code::InvalidScope);
        assert!(error.difference.is_some());
    }
}
