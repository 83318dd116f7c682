//! Versions of an application: what people are shown of it and what it may get, that is its name, its redirect URIs and its
//! scopes.
//!
//! Invariants: the operator approves a version, the one that they were shown. People of other organizations get the approved
//! version (its name, its hosts, its scopes), people of its own organization the current one; what its makers take away is
//! gone for everybody at once. Another name, another host or more scopes wait for the operator. A new redirect URI at an
//! approved host does not: whoever has the host can send people on from there anyway, and each person is asked about it.

use serde_json::{Value, json};

use crate::domain::clients::settings;
use crate::store::applications::Application;
use crate::store::{Error, Snapshot};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    name: String,
    /// Sorted.
    redirect_uris: Vec<RedirectUri>,
    scopes: Scopes,
}

impl Version {
    pub fn new(name: String, mut redirect_uris: Vec<RedirectUri>, scopes: Scopes) -> Self {
        redirect_uris.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        Self {
            name,
            redirect_uris,
            scopes,
        }
    }

    /// As its makers have it.
    pub fn current(snapshot: &mut Snapshot, application: &Application) -> Result<Self, Error> {
        Ok(Self::new(
            application.name.clone(),
            snapshot.list_redirect_uris(application.id)?,
            application.scopes.clone(),
        ))
    }

    /// As the operator approved it last. None while it is not approved.
    pub fn approved(
        snapshot: &mut Snapshot,
        application: &Application,
    ) -> Result<Option<Self>, Error> {
        let (Some(name), Some(scopes)) = (&application.approved_name, &application.approved_scopes)
        else {
            return Ok(None);
        };
        Ok(Some(Self::new(
            name.clone(),
            snapshot.list_approved_redirect_uris(application.id)?,
            scopes.clone(),
        )))
    }

    /// One text of it, for a form that carries what its page shows.
    pub fn to_text(&self) -> String {
        let uris = self.redirect_uris.iter().map(RedirectUri::as_str);
        json!({
            "name": self.name,
            "redirect_uris": uris.collect::<Vec<_>>(),
            "scopes": self.scopes.as_str(),
        })
        .to_string()
    }

    /// None when it is no such text.
    pub fn of_text(text: &str) -> Option<Self> {
        let shown: Value = serde_json::from_str(text).ok()?;
        let uris = shown["redirect_uris"].as_array()?.iter();
        let uris = uris.map(|uri| uri.as_str()?.parse().ok());
        Some(Self::new(
            shown["name"].as_str()?.to_owned(),
            uris.collect::<Option<_>>()?,
            shown["scopes"].as_str()?.parse().ok()?,
        ))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn redirect_uris(&self) -> &[RedirectUri] {
        &self.redirect_uris
    }

    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Whether it has the name of the other, and no host that the other has not.
    fn keeps_name_and_hosts_of(&self, other: &Self) -> bool {
        settings::is_still_checked(
            &other.name,
            &other.redirect_uris,
            &self.name,
            &self.redirect_uris,
        )
    }

    /// Whether people of other organizations get all of it where the other is approved.
    pub fn is_within(&self, approved: &Self) -> bool {
        self.keeps_name_and_hosts_of(approved) && self.scopes.is_subset_of(&approved.scopes)
    }

    /// What is different since the other version, a sentence each.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.name != before.name {
            changes.push(format!(
                "Its name was {} and is {}.",
                before.name, self.name
            ));
        }
        let only = |one: &Self, other: &Self, what: &str| {
            let uris = one.redirect_uris.iter();
            uris.filter(|uri| !other.redirect_uris.contains(uri))
                .map(|uri| format!("{what} redirect URI: {uri}."))
                .collect::<Vec<_>>()
        };
        changes.extend(only(self, before, "New"));
        changes.extend(only(before, self, "Removed"));
        let scopes = |one: &Self, other: &Self, what: &str| {
            let scopes = one.scopes.iter();
            scopes
                .filter(|scope| !other.scopes.contains(scope))
                .map(|scope| format!("{what} scope: {scope}."))
                .collect::<Vec<_>>()
        };
        changes.extend(scopes(self, before, "New"));
        changes.extend(scopes(before, self, "Removed"));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, uris: &[&str], scopes: &str) -> Version {
        Version::new(
            name.to_owned(),
            uris.iter()
                .map(|uri| uri.parse().expect("a redirect URI"))
                .collect(),
            scopes.parse().expect("scopes"),
        )
    }

    #[test]
    fn another_name_another_host_and_more_scopes_wait_for_the_operator() {
        let (one, two) = ("https://a.example/cb", "http://127.0.0.1:5000/cb");
        let approved = version("CRM", &[one, two], "read write");
        for (name, uris, scopes, within) in [
            ("CRM", &[one, two][..], "read write", true),
            ("CRM", &[two, one], "write read", true),
            ("CRM", &[one], "read", true),
            ("CRM", &["https://a.example/other"], "read", true),
            ("CRM", &["http://127.0.0.1:6000/cb"], "read", true),
            ("CRM", &["https://a.example:8443/cb"], "read", false),
            ("CRM", &["https://b.example/cb"], "read", false),
            ("CRM", &["http://[::1]/cb"], "read", false),
            ("CRM", &["com.example.app:/cb"], "read", false),
            ("CRM 2", &[one], "read", false),
            ("CRM", &[one], "read send", false),
        ] {
            let current = version(name, uris, scopes);
            assert_eq!(current.is_within(&approved), within, "{current:?}");
        }
    }

    #[test]
    fn what_is_different_is_told() {
        let before = version("CRM", &["https://a.example/cb"], "read write");
        let after = version("CRM 2", &["https://b.example/cb"], "read send");
        assert_eq!(
            after.changes_since(&before),
            [
                "Its name was CRM and is CRM 2.",
                "New redirect URI: https://b.example/cb.",
                "Removed redirect URI: https://a.example/cb.",
                "New scope: send.",
                "Removed scope: write.",
            ]
        );
        assert!(after.changes_since(&after.clone()).is_empty());
    }

    #[test]
    fn a_version_survives_its_text() {
        let version = version(
            "\u{1F511} \"CRM\" & <b>",
            &["https://b.example/cb?x=1", "com.example.app:/cb"],
            "read write",
        );
        assert_eq!(Version::of_text(&version.to_text()), Some(version));
        for text in [
            "",
            "{}",
            "[]",
            r#"{"name": "CRM", "redirect_uris": ["x"], "scopes": ""}"#,
        ] {
            assert_eq!(Version::of_text(text), None, "{text}");
        }
    }
}
