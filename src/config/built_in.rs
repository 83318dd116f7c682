//! What the management API itself asks for is there, whatever lists the configuration has: without it nobody could manage
//! anything.
//!
//! Invariant: a permission of the default profile that is marked `organization`, `management` or `operator` exists, with at
//! least those marks; so do the scopes that are made of such permissions only.

use super::{ADMIN_ROLE, Config, ConfigError, PermissionEntry, Profile, ScopeEntry};

#[derive(serde::Deserialize)]
struct Lists {
    permission: Vec<PermissionEntry>,
    scope: Vec<ScopeEntry>,
}

/// Adds what the lists leave out, and remembers its names. Refuses a list that takes a mark away.
pub(super) fn complete(config: &mut Config) -> Result<(), ConfigError> {
    let wrong = |error: toml::de::Error| {
        ConfigError::Toml("the default profile".to_owned(), error.message().to_owned())
    };
    let lists: Lists = Profile::Default
        .table()
        .and_then(toml::Table::try_into)
        .map_err(wrong)?;
    let own: Vec<PermissionEntry> = lists
        .permission
        .into_iter()
        .filter(|entry| entry.organization || entry.management || entry.operator)
        .collect();
    let is_own = |name: &String| own.iter().any(|entry| entry.name == *name);
    for scope in lists.scope {
        let missing = config.scope.iter().all(|known| known.name != scope.name);
        if missing && scope.permissions.iter().all(is_own) {
            config.built_in.push(scope.name.clone());
            config.scope.push(scope);
        }
    }
    for entry in own {
        match config
            .permission
            .iter()
            .find(|known| known.name == entry.name)
        {
            None => {
                config.built_in.push(entry.name.clone());
                config.permission.push(entry);
            }
            Some(known) => ensure_marked(known, &entry)?,
        }
    }
    Ok(())
}

/// A key must not come to hold `api_keys:manage` by a mark that was left out.
fn ensure_marked(known: &PermissionEntry, own: &PermissionEntry) -> Result<(), ConfigError> {
    let marks = [
        ("organization", own.organization, known.organization),
        ("management", own.management, known.management),
        ("operator", own.operator, known.operator),
    ];
    match marks
        .into_iter()
        .find(|(_, needed, there)| *needed && !there)
    {
        None => Ok(()),
        Some((mark, ..)) => Err(ConfigError::Value(
            format!("[[permission]] {:?}", known.name),
            format!("must have {mark} = true"),
        )),
    }
}

impl Config {
    /// The permissions of the management API that organization admins do not hold, because their role does not name them.
    pub fn unmanaged(&self) -> Vec<&str> {
        let admin = self.role.iter().find(|role| role.name == ADMIN_ROLE);
        let holds = |name: &str| {
            admin.is_some_and(|role| {
                role.permissions == ["*"] || role.permissions.iter().any(|own| own == name)
            })
        };
        let managed = self
            .permission
            .iter()
            .filter(|entry| (entry.management || entry.organization) && !entry.operator);
        managed
            .map(|entry| entry.name.as_str())
            .filter(|name| !holds(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "permission = [{ name = 'files:read', title = 'x', description = 'x', risk = 'low', access = 'read' }]
        scope = [{ name = 'files', title = 'x', description = 'x', permissions = ['files:read'], default = true }]
        role = [{ name = 'admin', permissions = ['*'] }]";

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse("test.toml", text, std::iter::empty())
    }

    #[test]
    fn a_list_of_ones_own_keeps_the_permissions_of_the_management_api() {
        let config = parse(OWN).expect("valid");
        let catalogue = config.catalogue().expect("compiles");
        for name in [
            "files:read",
            "api_keys:manage",
            "applications:read",
            "domains:manage",
            "workspaces:manage",
            "operator:approvals",
        ] {
            assert!(catalogue.permission(name).is_some(), "{name}");
        }
        assert!(
            catalogue.permission("documents:read").is_none(),
            "what is sold is the vendor's to say"
        );
        assert!(catalogue.scope("management:write").is_some() && catalogue.scope("read").is_none());
        assert!(
            config.built_in.iter().any(|name| name == "domains:read")
                && config.unmanaged().is_empty()
        );
        assert!(
            parse("").expect("valid").built_in.is_empty(),
            "the default profile leaves nothing out"
        );
    }

    #[test]
    fn a_mark_cannot_be_taken_away() {
        let weak = "permission = [{ name = 'api_keys:manage', title = 'x', description = 'x', risk = 'low', access = 'write' }]
            scope = []
            role = [{ name = 'admin', permissions = ['*'] }]";
        let message = parse(weak).expect_err("refused").to_string();
        assert_eq!(
            message,
            "[[permission]] \"api_keys:manage\": must have management = true"
        );
    }

    #[test]
    fn an_admin_role_that_names_its_permissions_is_told_what_it_lacks() {
        let config = parse(&OWN.replace("['*']", "['files:read', 'domains:read']")).expect("valid");
        let unmanaged = config.unmanaged();
        assert!(
            unmanaged.contains(&"domains:manage")
                && !unmanaged.contains(&"domains:read")
                && !unmanaged.contains(&"operator:read")
        );
    }
}
