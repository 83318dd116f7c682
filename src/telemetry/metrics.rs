//! Metrics in the text format that Prometheus reads (OpenMetrics 1.0).

use std::sync::atomic::AtomicU64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::database::DatabaseMetrics;
use super::logs;
use super::process::Process;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route's pattern, never a path from outside.
    pub route: String,
    pub method: &'static str,
    pub status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabels {
    /// One of a few, named by the route table.
    pub class: &'static str,
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

/// Upper ends in seconds: an answer from memory takes a fraction of a millisecond, a stamp several seconds.
const REQUEST_SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// All metrics of one process.
pub struct Metrics {
    registry: Registry,
    /// Names that are not ours, and carry no prefix.
    common: Registry,
    pub requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    pub request_seconds: Family<ClassLabels, Histogram, fn() -> Histogram>,
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
            common: Registry::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
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
        self.registry.register_with_unit(
            "http_request",
            "How long requests took, by class of route",
            Unit::Seconds,
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
        self.registry.register_collector(Box::new(DroppedLines));
        self.common.register_collector(Box::new(Process));
        self
    }

    /// What `/metrics` answers.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &self.common)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Counted where lines are dropped: the log is the process's, and older than these metrics.
#[derive(Debug)]
struct DroppedLines;

impl Collector for DroppedLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "log_lines_dropped",
            "Lines of the log that were dropped because it could not be written, or not fast enough, by level.",
            None,
            MetricType::Counter,
        )?;
        for (level, count) in logs::dropped() {
            ConstCounter::new(count).encode(family.encode_family(&[("level", level)])?)?;
        }
        Ok(())
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
