//! The permissions that the product itself asks for. The configured catalogue always has them (`config/built_in.rs`); what the
//! vendor's API asks for is the vendor's to name.

macro_rules! rights {
    ($($right:ident = $name:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Right { $($right),* }

        impl Right {
            pub const ALL: &[Self] = &[$(Self::$right),*];

            /// The name in `[[permission]]`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$right => $name),* }
            }
        }
    };
}

rights! {
    ApiKeysManage = "api_keys:manage";
    ApiKeysRead = "api_keys:read";
    ApplicationsManage = "applications:manage";
    ApplicationsRead = "applications:read";
    DomainsManage = "domains:manage";
    DomainsRead = "domains:read";
    MembersManage = "members:manage";
    MembersRead = "members:read";
    OperatorApprovals = "operator:approvals";
    OperatorOperators = "operator:operators";
    OperatorOrganizations = "operator:organizations";
    OperatorRead = "operator:read";
    OperatorResourceServers = "operator:resource_servers";
    OperatorSigningKeys = "operator:signing_keys";
    OperatorSubscriptions = "operator:subscriptions";
    OrganizationManage = "organization:manage";
    OrganizationRead = "organization:read";
    RolesManage = "roles:manage";
    UsersManage = "users:manage";
    WorkspacesManage = "workspaces:manage";
}
