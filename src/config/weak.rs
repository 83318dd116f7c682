//! Settings that are weaker than they should be, by name. Each is allowed, and none is silent: `config check` and `doctor`
//! print them. Adding one is adding a line.

use ipnet::IpNet;

use super::{Config, Limits, OAuth, Rate, Sessions};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

pub struct Weak {
    /// As the file names it: `oauth.code_seconds`.
    pub name: &'static str,
    pub is_weak: fn(&Config) -> bool,
    pub why: &'static str,
}

const fn weak(name: &'static str, is_weak: fn(&Config) -> bool, why: &'static str) -> Weak {
    Weak { name, is_weak, why }
}

#[rustfmt::skip]
pub const WEAK: &[Weak] = &[
    weak("server.trusted_proxies", |c| c.server.trusted_proxies.iter().any(is_everybody), "everybody may claim any address in X-Forwarded-For: name the proxies"),
    weak("server.max_body_bytes", |c| c.server.max_body_bytes > 1024 * 1024, "strangers may fill the memory: 65536 is enough for every form"),
    weak("database.url", |c| is_in_the_clear(&c.database.url), "the connection to another machine may be in the clear: add sslmode=verify-full"),
    weak("sessions.idle_seconds", |c| c.sessions.idle_seconds > DAY, "a browser left open stays signed in for more than a day"),
    weak("sessions.absolute_seconds", |c| c.sessions.absolute_seconds > 30 * DAY, "a stolen session works for more than 30 days"),
    weak("sessions.failures_per_address", |c| is_looser(c.sessions.failures_per_address, Sessions::default().failures_per_address), "one address may guess passwords ten times faster than by default"),
    weak("sessions.failures_per_account", |c| is_looser(c.sessions.failures_per_account, Sessions::default().failures_per_account), "passwords of one account may be guessed ten times faster than by default"),
    weak("oauth.code_seconds", |c| c.oauth.code_seconds > 60, "a stolen code can be redeemed for more than a minute (RFC 9700 §2.1.1)"),
    weak("oauth.request_seconds", |c| c.oauth.request_seconds > HOUR, "a consent page left open can be answered after more than an hour"),
    weak("oauth.access_token_seconds", |c| c.oauth.access_token_seconds > HOUR, "resource servers that check tokens alone see a revocation after more than an hour"),
    weak("oauth.refresh_token_seconds", |c| c.oauth.refresh_token_seconds > 180 * DAY, "a forgotten refresh token works for more than half a year (RFC 9700 §4.14.2)"),
    weak("oauth.authorization_seconds", |c| c.oauth.authorization_seconds > 2 * 365 * DAY, "people are asked again after more than two years only"),
    weak("oauth.signing_key_seconds", |c| c.oauth.signing_key_seconds == 0 || c.oauth.signing_key_seconds > 366 * DAY, "signing keys are not replaced within a year"),
    weak("oauth.signing_key_publish_seconds", |c| c.oauth.signing_key_publish_seconds < OAuth::default().signing_key_publish_seconds / 24, "resource servers that keep the key set for an hour refuse the first tokens of a new key"),
    weak("identity.allow_private_providers", |c| c.identity.allow_private_providers, "organizations may make this server ask addresses of your own network"),
    weak("registration.open_organization", |c| c.registration.is_open(), "anybody may register applications under any name"),
    weak("oauth.pkce_optional_for", |c| !c.oauth.pkce_optional_for.is_empty(), "codes of these applications can be redeemed by whoever injects them (RFC 9700 §2.1.1)"),
    weak("oauth.refresh_replay_seconds", |c| c.oauth.refresh_replay_seconds < HOUR, "a stolen refresh token that comes back after an hour is not noticed as a theft"),
    weak("oauth.refresh_grace_seconds", |c| c.oauth.refresh_grace_seconds > 5 * MINUTE, "a stolen refresh token of a public client that comes back within more than five minutes ends nothing"),
    weak("oauth.refresh_grace_authenticated_seconds", |c| c.oauth.refresh_grace_authenticated_seconds > 30 * MINUTE, "a stolen refresh token that comes back within more than half an hour ends nothing"),
    weak("sandbox.name_prefix", |c| c.sandbox.name_prefix.trim().is_empty(), "Sandbox documents cannot be told from others by their name"),
    weak("sandbox.include_subdomains", |c| c.sandbox.include_subdomains, "Sandbox documents reach every sub-domain of an own domain, whoever runs it"),
    weak("limits.sandbox", |c| is_looser(c.limits.sandbox, Limits::default().sandbox), "the Sandbox can carry production traffic"),
    weak("limits.production", |c| is_looser(c.limits.production, Limits::default().production), "one customer can use up what all share"),
    weak("limits.whoami", |c| is_looser(c.limits.whoami, Limits::default().whoami), "one credential can keep the server busy"),
    weak("limits.unknown_credentials", |c| is_looser(c.limits.unknown_credentials, Limits::default().unknown_credentials), "strangers may keep the database busy with credentials that do not exist"),
    weak("limits.client_failures", |c| is_looser(c.limits.client_failures, Limits::default().client_failures), "client secrets may be guessed ten times faster than by default"),
    weak("sweep.enabled", |c| !c.sweep.enabled, "what has expired stays: the tables grow for ever"),
    weak("operations.allowed_networks", |c| c.operations.allowed_networks.iter().any(is_wide), "everybody may read /metrics: name the networks of your monitoring"),
    weak("logs.level", |c| c.logs.level.contains("trace"), "traces of libraries hold what people send"),
];

impl Config {
    /// Those that are weak here.
    pub fn weaknesses(&self) -> impl Iterator<Item = &'static Weak> {
        WEAK.iter().filter(|weak| (weak.is_weak)(self))
    }
}

/// `0.0.0.0/0` and `::/0`.
pub fn is_everybody(network: &IpNet) -> bool {
    network.prefix_len() == 0
}

/// Wider than the widest private network.
fn is_wide(network: &IpNet) -> bool {
    network.prefix_len()
        < if matches!(network, IpNet::V4(_)) {
            8
        } else {
            7
        }
}

/// Admits ten times as much a second.
fn is_looser(rate: Rate, default: Rate) -> bool {
    let quota = |rate: Rate, other: Rate| {
        u128::from(rate.quota) * u128::from(other.window_seconds.unsigned_abs())
    };
    rate.is_none() || quota(rate, default) > 10 * quota(default, rate)
}

fn is_in_the_clear(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else {
        return false;
    };
    let is_here = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        None => true,
    };
    let demanded = url.query_pairs().any(|(name, value)| {
        name == "sslmode" && ["require", "verify-ca", "verify-full"].contains(&value.as_ref())
    });
    url.scheme().starts_with("postgres") && !is_here && !demanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&'static str> {
        let config: Config = toml::from_str(text).expect("a configuration");
        config.weaknesses().map(|weak| weak.name).collect()
    }

    #[test]
    fn no_default_is_weak() {
        assert_eq!(names(""), Vec::<&str>::new());
        assert_eq!(
            names("[database]\nurl = 'postgres://u:p@127.0.0.1/x'"),
            Vec::<&str>::new()
        );
        assert_eq!(
            names("[database]\nurl = 'postgres://u:p@db.example/x?sslmode=verify-full'"),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn every_line_of_the_table_names_a_setting_and_finds_it_weak() {
        let text = "
            server = { trusted_proxies = ['0.0.0.0/0'], max_body_bytes = 2000000 }
            database = { url = 'postgres://u:p@db.example/x' }
            sessions = { idle_seconds = 90000, absolute_seconds = 9000000, failures_per_address = 'none', failures_per_account = '51/15m' }
            sandbox = { name_prefix = ' ', include_subdomains = true }
            limits = { sandbox = '101/1m', production = 'none', whoami = 'none', unknown_credentials = '4000/1m', client_failures = '10/1s' }
            sweep = { enabled = false }
            identity = { allow_private_providers = true }
            registration = { open_organization = 'org_0000000000000000000001' }
            operations = { allowed_networks = ['0.0.0.0/1'] }
            logs = { level = 'info,countersign=trace' }
            [oauth]
            code_seconds = 61
            request_seconds = 3601
            access_token_seconds = 3601
            refresh_token_seconds = 99999999
            authorization_seconds = 99999999
            signing_key_seconds = 0
            signing_key_publish_seconds = 60
            pkce_optional_for = ['app_0000000000000000000001']
            refresh_replay_seconds = 60
            refresh_grace_seconds = 301
            refresh_grace_authenticated_seconds = 1801
        ";
        assert_eq!(
            names(text),
            WEAK.iter().map(|weak| weak.name).collect::<Vec<_>>()
        );
        let defaults = toml::Table::try_from(Config::default()).expect("TOML");
        for weak in WEAK {
            let (section, field) = weak.name.split_once('.').expect("a section");
            assert!(defaults[section].get(field).is_some(), "{}", weak.name);
        }
    }
}
