//! What the configuration alone tells: the issuer, the proxies in front, what is weak.

use std::net::SocketAddr;

use super::Finding;
use crate::config::{Config, Issuer, is_everybody};

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(
        "profile",
        format!(
            "{} is what the settings start from",
            config.profile.as_str()
        ),
    )];
    findings.push(management(config));
    match config.server.issuer() {
        Ok(issuer) => {
            findings.push(issuer_finding(&issuer));
            findings.push(hosts(config, &issuer));
            findings.push(proxies(config, &issuer));
            findings.push(operator_pages(config, &issuer));
        }
        Err(error) => findings.push(Finding::problem(
            "issuer",
            error.to_string(),
            "Name the https address of this server in [server] issuer.",
        )),
    }
    findings
}

/// A list of one's own leaves out what the management API asks for.
fn management(config: &Config) -> Finding {
    let (added, unmanaged) = (config.built_in.len(), config.unmanaged());
    match (unmanaged.is_empty(), added) {
        (true, 0) => Finding::ok(
            "management",
            "organization admins hold every permission of the management API",
        ),
        (true, _) => Finding::ok(
            "management",
            format!(
                "{added} permissions and scopes were added, because the configured lists do not name them"
            ),
        ),
        (false, _) => {
            let message = format!(
                "organization admins hold none of these: {}",
                unmanaged.join(", ")
            );
            Finding::warning(
                "management",
                message,
                "Name them in the [[role]] \"admin\", or give it \"*\", unless only operators shall manage.",
            )
        }
    }
}

fn issuer_finding(issuer: &Issuer) -> Finding {
    if issuer.is_secure() {
        return Finding::ok("issuer", issuer.as_str());
    }
    let message = format!(
        "{} is for development only: no other machine reaches it, and cookies travel in the clear",
        issuer.as_str()
    );
    Finding::warning(
        "issuer",
        message,
        "Put a proxy with TLS in front, and name its https address in [server] issuer.",
    )
}

/// A `Host` is a name, perhaps with a port; anything else never matches.
fn hosts(config: &Config, issuer: &Issuer) -> Finding {
    let fits = |host: &&String| {
        url::Url::parse(&format!("http://{host}/"))
            .is_ok_and(|url| url.path() == "/" && url.username().is_empty() && !host.contains('/'))
    };
    match config.server.hosts.iter().find(|host| !fits(host)) {
        Some(wrong) => Finding::problem(
            "hosts",
            format!("[server] hosts has {wrong:?}, which no request carries"),
            "Write a name, with a port if it is not the usual one.",
        ),
        None => {
            let others = config.server.hosts.iter().map(String::as_str);
            Finding::ok(
                "hosts",
                format!(
                    "answers as {}",
                    std::iter::once(issuer.host())
                        .chain(others)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            )
        }
    }
}

fn proxies(config: &Config, issuer: &Issuer) -> Finding {
    let proxies = &config.server.trusted_proxies;
    if let Some(everybody) = proxies.iter().find(|network| is_everybody(network)) {
        let message = format!(
            "[server] trusted_proxies holds {everybody}: everybody may claim any address, and so escape every limit"
        );
        return Finding::problem(
            "proxy headers",
            message,
            "Name the networks of your proxies only.",
        );
    }
    let listens_here = config
        .server
        .listen
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.ip().is_loopback());
    match (issuer.is_secure(), proxies.is_empty()) {
        // this server speaks no TLS itself
        (true, true) => Finding::warning(
            "proxy headers",
            "the issuer is https, so a proxy stands in front, but X-Forwarded-For counts from nobody: all visitors share the proxy's address and its limits",
            if listens_here {
                "Set [server] trusted_proxies to [\"127.0.0.0/8\"]."
            } else {
                "Name the proxy's network in [server] trusted_proxies."
            },
        ),
        (_, true) => Finding::ok("proxy headers", "X-Forwarded-For counts from nobody"),
        (_, false) => {
            let names: Vec<String> = proxies.iter().map(ToString::to_string).collect();
            Finding::ok(
                "proxy headers",
                format!("X-Forwarded-For counts from {}", names.join(", ")),
            )
        }
    }
}

/// From where operators reach `/operator`. Behind a proxy that is trusted nobody comes from a loopback address; behind one that
/// is not, everybody comes from the proxy's.
fn operator_pages(config: &Config, issuer: &Issuer) -> Finding {
    const CHECK: &str = "operator pages";
    let networks = &config.operations.allowed_networks;
    let names = || {
        let names: Vec<String> = networks.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    if networks.is_empty() {
        return Finding::warning(
            CHECK,
            "[operations] allowed_networks is empty: nobody reaches /operator and /metrics",
            "Name the networks that operators come from.",
        );
    }
    let only_loopback = networks.iter().all(|network| network.addr().is_loopback());
    if !issuer.is_secure() || !only_loopback {
        return Finding::ok(CHECK, format!("/operator opens from {}", names()));
    }
    let listens_here = config
        .server
        .listen
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.ip().is_loopback());
    if config.server.trusted_proxies.is_empty() && listens_here {
        return Finding::warning(
            CHECK,
            "a proxy stands in front, on this machine, and X-Forwarded-For counts from nobody: whoever the proxy lets through reaches the sign-in of /operator",
            "Set [server] trusted_proxies, and name the networks that operators come from in [operations] allowed_networks.",
        );
    }
    Finding::warning(
        CHECK,
        format!(
            "the issuer is https, so a proxy stands in front, and /operator opens from {} only: behind the proxy nobody reaches it",
            names()
        ),
        "Name the networks that operators come from in [operations] allowed_networks.",
    )
}

/// One line a setting.
pub(super) fn weak(config: &Config) -> Vec<Finding> {
    let weak = config.weaknesses().map(|weak| {
        let default = format!("The default is in docs/configuration.md; take {} out of the configuration if nothing needs it.", weak.name);
        Finding::warning("weak setting", format!("{}: {}", weak.name, weak.why), default)
    });
    let weak: Vec<Finding> = weak.collect();
    if weak.is_empty() {
        vec![Finding::ok("settings", "none is weak")]
    } else {
        weak
    }
}
