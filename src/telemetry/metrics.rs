//! Metrics in the text format that Prometheus reads.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::database::DatabaseMetrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route's pattern, never a path from outside.
    pub route: String,
    pub method: &'static str,
    pub status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DecisionLabels {
    pub door: &'static str,
    pub code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MemoryLabels {
    pub result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GrantLabels {
    /// One of [`REFEREED`].
    pub grant: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClosedLabels {
    /// One of [`CLOSED`].
    pub reason: &'static str,
}

/// Why a connection is closed before its client ends it, or refused.
pub const CLOSED: [&str; 5] = ["slow_head", "idle", "not_read", "made_room", "refused"];

/// What oxide-auth judges beside us.
pub const REFEREED: [&str; 4] = [
    "authorization_request",
    "authorization_code",
    "refresh_token",
    "client_credentials",
];

/// All metrics of one process.
pub struct Metrics {
    registry: Registry,
    pub requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    pub request_seconds: Histogram,
    pub connections: Gauge,
    pub connections_closed: Family<ClosedLabels, Counter<u64, AtomicU64>>,
    pub decisions: Family<DecisionLabels, Counter<u64, AtomicU64>>,
    pub access_memory: Family<MemoryLabels, Counter<u64, AtomicU64>>,
    pub oauth_verdicts_differ: Family<GrantLabels, Counter<u64, AtomicU64>>,
    pub sweep_backlog: Gauge,
    pub swept_rows: Counter<u64, AtomicU64>,
    pub clock_leap_seconds: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&DatabaseMetrics::default())
    }
}

impl Metrics {
    /// With what the store counts.
    pub fn new(database: &DatabaseMetrics) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("countersign"),
            requests: Family::default(),
            request_seconds: Histogram::new(exponential_buckets(0.0001, 4.0, 9)),
            connections: Gauge::default(),
            connections_closed: Family::default(),
            decisions: Family::default(),
            access_memory: Family::default(),
            oauth_verdicts_differ: Family::default(),
            sweep_backlog: Gauge::default(),
            swept_rows: Counter::default(),
            clock_leap_seconds: Gauge::default(),
        };
        database.register(&mut metrics.registry);
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        self.registry.register(
            "http_requests",
            "Requests by route, method and status",
            self.requests.clone(),
        );
        self.registry.register(
            "http_request_seconds",
            "How long requests took",
            self.request_seconds.clone(),
        );
        self.registry.register(
            "connections",
            "Open connections of clients",
            self.connections.clone(),
        );
        self.registry.register(
            "connections_closed",
            "Connections closed because their client let us wait, or another one needed the place, or refused",
            self.connections_closed.clone(),
        );
        for reason in CLOSED {
            self.connections_closed
                .get_or_create(&ClosedLabels { reason })
                .inc_by(0);
        }
        self.registry.register(
            "decisions",
            "Answers about credentials by door and code",
            self.decisions.clone(),
        );
        self.registry.register(
            "access_memory",
            "Look-ups of credentials answered from memory or not",
            self.access_memory.clone(),
        );
        self.registry.register(
            "oauth_verdicts_differ",
            "Grants refused because oxide-auth judged otherwise than this server",
            self.oauth_verdicts_differ.clone(),
        );
        // an alert sees a step from 0 to 1, not a series that begins with 1
        for grant in REFEREED {
            self.oauth_verdicts_differ
                .get_or_create(&GrantLabels { grant })
                .inc_by(0);
        }
        self.registry.register(
            "sweep_backlog_rows",
            "Expired rows that wait for the sweep",
            self.sweep_backlog.clone(),
        );
        self.registry.register(
            "swept_rows",
            "Expired rows that were removed",
            self.swept_rows.clone(),
        );
        self.registry.register(
            "clock_leap_seconds",
            "By how much the clock has leapt (negative: back); 0 while it is trusted",
            self.clock_leap_seconds.clone(),
        );
        self
    }

    /// What `/metrics` answers.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_request_is_found_in_the_text() {
        let metrics = Metrics::default();
        metrics
            .requests
            .get_or_create(&RequestLabels {
                route: "/healthz".to_owned(),
                method: "GET",
                status: 200,
            })
            .inc();
        let text = metrics.text().expect("text");
        assert!(
            text.contains(
                r#"countersign_http_requests_total{route="/healthz",method="GET",status="200"} 1"#
            ),
            "{text}"
        );
    }

    #[test]
    fn differing_verdicts_are_counted_from_zero() {
        let text = Metrics::default().text().expect("text");
        for grant in REFEREED {
            let line = format!(r#"countersign_oauth_verdicts_differ_total{{grant="{grant}"}} 0"#);
            assert!(text.contains(&line), "{text}");
        }
    }
}
