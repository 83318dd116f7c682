//! The process as the system sees it: metrics under the names that Prometheus' own client libraries give them, and its limits
//! in the log. What cannot be read, as on another system than Linux, is left out.

use std::fmt::Error;
use std::fs::{read_dir, read_to_string};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::process::{Resource, getrlimit};

/// Reads `/proc` at each scrape.
#[derive(Debug)]
pub struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let stat = read_to_string("/proc/self/stat").unwrap_or_default();
        let (bytes, seconds) = (Some(Unit::Bytes), Some(Unit::Seconds));
        let gauges = [
            (
                "process_resident_memory",
                "Memory that is in RAM.",
                bytes.clone(),
                kilobytes(&status, "VmRSS:"),
            ),
            (
                "process_virtual_memory",
                "Memory that is mapped.",
                bytes,
                kilobytes(&status, "VmSize:"),
            ),
            (
                "process_open_fds",
                "Open file descriptors.",
                None,
                open_descriptors(),
            ),
            (
                "process_max_fds",
                "File descriptors that may be open.",
                None,
                getrlimit(Resource::Nofile).current.map(to_float),
            ),
            (
                "process_threads",
                "Threads.",
                None,
                number(&status, "Threads:"),
            ),
            (
                "process_start_time",
                "When the process started, since the Unix epoch.",
                seconds.clone(),
                started_at(&stat),
            ),
        ];
        for (name, help, unit, value) in gauges {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(
                    name,
                    help,
                    unit.as_ref(),
                    gauge.metric_type(),
                )?)?;
            }
        }
        if let Some(value) = cpu_seconds(&stat) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                "process_cpu",
                "Processor time, of the process and of the system for it.",
                seconds.as_ref(),
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

/// One line of the log: what this process may have of the system.
pub fn log_limits() {
    let limit = |resource| {
        let current = getrlimit(resource).current;
        current.map_or_else(|| "unlimited".to_owned(), |most| most.to_string())
    };
    let (open_files, threads) = (limit(Resource::Nofile), limit(Resource::Nproc));
    let (memory_bytes, file_bytes) = (limit(Resource::As), limit(Resource::Fsize));
    tracing::info!(
        open_files,
        threads,
        memory_bytes,
        file_bytes,
        "Limits of this process"
    );
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a float, exact up to 2^53"
)]
fn to_float(value: u64) -> f64 {
    value as f64
}

/// `VmRSS:     1234 kB`.
fn kilobytes(status: &str, name: &str) -> Option<f64> {
    Some(number(status, name)? * 1024.0)
}

fn number(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// But the one by which they are counted.
fn open_descriptors() -> Option<f64> {
    let count = read_dir("/proc/self/fd").ok()?.count().checked_sub(1)?;
    Some(to_float(count as u64))
}

/// Fields of proc_pid_stat(5) in clock ticks, by its numbers. The second is the name, in parentheses, and may hold anything.
fn ticks(stat: &str, field: usize) -> Option<f64> {
    let behind_name = stat.rsplit_once(')')?.1;
    let ticks = behind_name.split_whitespace().nth(field - 3)?;
    let ticks: u64 = ticks.parse().ok()?;
    Some(to_float(ticks) / to_float(rustix::param::clock_ticks_per_second()))
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some(ticks(stat, 14)? + ticks(stat, 15)?)
}

fn started_at(stat: &str) -> Option<f64> {
    let system = read_to_string("/proc/stat").ok()?;
    Some(number(&system, "btime")? + ticks(stat, 22)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_a_name_that_may_hold_anything() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194304 97 0 0 0 250 150 0 0 20 0 1 0 300 0 0";
        let second = to_float(rustix::param::clock_ticks_per_second());
        assert_eq!(cpu_seconds(stat), Some(400.0 / second));
        assert_eq!(ticks(stat, 22), Some(300.0 / second));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn sizes_are_read_in_bytes() {
        let status = "VmSize:\t    20 kB\nVmRSS:\t    8 kB\nThreads:\t3\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(8192.0));
        assert_eq!(number(status, "Threads:"), Some(3.0));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }
}
