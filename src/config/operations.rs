//! `[operations]`: who may see metrics, and the operator's pages.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operations {
    /// Networks that may read `/metrics`, and from which operators reach `/operator`; elsewhere that is not found.
    pub allowed_networks: Vec<IpNet>,
}

impl Operations {
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allowed_networks
            .iter()
            .any(|network| network.contains(&address))
    }
}

impl Default for Operations {
    fn default() -> Self {
        let loopback = [[127, 0, 0, 0].into(), std::net::Ipv6Addr::LOCALHOST.into()];
        let networks = loopback
            .into_iter()
            .zip([8, 128])
            .filter_map(|(address, length)| IpNet::new(address, length).ok());
        Self {
            allowed_networks: networks.collect(),
        }
    }
}
