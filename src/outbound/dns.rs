//! TXT look-ups: what a name server says of a name, or that it said nothing.
//!
//! Invariant: [`Answer::Absent`] and [`Answer::Texts`] are what a server definitely said (RFC 1035 §4.1.1: no error, or "the
//! name does not exist"). Everything else (no answer in time, SERVFAIL, REFUSED, a referral) is [`Unanswered`], and proves nothing.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::config;

/// Records that are looked at: a name that exists for one purpose has few.
const MOST_TEXTS: usize = 100;
/// Longer texts are left out: they are somebody else's.
const MOST_TEXT_BYTES: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The texts at the name, each put together from its strings (RFC 7208 §3.3). Never more than [`MOST_TEXTS`].
    Texts(Vec<String>),
    /// The name does not exist, or has no text.
    Absent,
}

/// No server has said what is there. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name server did not answer: {0}")]
pub struct Unanswered(String);

pub struct Dns {
    nameservers: Vec<SocketAddr>,
    timeout: Duration,
}

impl Dns {
    pub fn new(config: &config::Domains) -> Self {
        Self {
            nameservers: config.nameservers.clone(),
            timeout: Duration::from_secs(config.timeout_seconds),
        }
    }

    /// What stands at `name`, which is absolute, now: nothing is remembered. Follows aliases; takes at most the time-out.
    pub async fn look_up_txt(&self, name: &str) -> Result<Answer, Unanswered> {
        let mut name = Name::from_ascii(name).map_err(|error| Unanswered(error.to_string()))?;
        // else the system's search list would look for it in other places
        name.set_fqdn(true);
        let resolver = self
            .resolver()
            .map_err(|error| Unanswered(error.to_string()))?;
        match tokio::time::timeout(self.timeout, resolver.lookup(name, RecordType::TXT)).await {
            Err(_) => Err(Unanswered("time is up".to_owned())),
            Ok(Err(error)) => judge(&error),
            Ok(Ok(found)) => {
                let texts = found
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::TXT(txt) => text(txt),
                        _ => None,
                    });
                Ok(Answer::Texts(texts.take(MOST_TEXTS).collect()))
            }
        }
    }

    /// A new one each time: its connections belong to the worker thread that opened them, and the system's settings may have
    /// changed. Its cache would answer "check now" with what was there before.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = if self.nameservers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = self
                .nameservers
                .iter()
                .map(|address| server(*address))
                .collect();
            TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(servers),
                TokioRuntimeProvider::default(),
            )
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        // two tries of one server, or one of two, fit into the time
        options.timeout = self.timeout / 2;
        options.attempts = 1;
        builder.build()
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(
        address.ip(),
        true,
        vec![
            at_port(ConnectionConfig::udp()),
            at_port(ConnectionConfig::tcp()),
        ],
    )
}

/// Whether the error is an answer.
fn judge(error: &NetError) -> Result<Answer, Unanswered> {
    match error {
        // name servers instead of records: this one does not look further (RFC 1034 §4.3.1)
        NetError::Dns(DnsError::NoRecordsFound(none))
            if none.ns.is_some() && none.soa.is_none() =>
        {
            Err(Unanswered("it refers to other name servers".to_owned()))
        }
        NetError::Dns(DnsError::NoRecordsFound(_)) => Ok(Answer::Absent),
        other => Err(Unanswered(other.to_string())),
    }
}

fn text(txt: &TXT) -> Option<String> {
    let length: usize = txt.txt_data.iter().map(|part| part.len()).sum();
    (length <= MOST_TEXT_BYTES).then(|| String::from_utf8(txt.txt_data.concat()).ok())?
}
