//! What the provider counts, in the text format that Prometheus reads.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the duration histogram's buckets, in microseconds.
const BUCKETS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 30_000_000,
];

/// The methods that are told apart; a client's own invention counts as the last, so that it can't grow the metrics.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "other"];

/// Counters and a histogram; cheap to update from any thread.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By method, then by status class (1xx to 5xx).
    requests: [[AtomicU64; 5]; METHODS.len()],
    /// How many took no longer than each bound and longer than the one before; the last has no bound.
    durations: [AtomicU64; BUCKETS.len() + 1],
    duration_micros: AtomicU64,
    commits: AtomicU64,
    conflicts: AtomicU64,
    instances: AtomicU64,
    traps: AtomicU64,
    timeouts: AtomicU64,
    memory_exceeded: AtomicU64,
    deliveries_failed: AtomicU64,
}

impl Metrics {
    /// A request was answered.
    pub fn answered(&self, method: &str, status: u16, duration: Duration) {
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.requests[method][class].fetch_add(1, Relaxed);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        self.durations[bucket].fetch_add(1, Relaxed);
        self.duration_micros.fetch_add(micros, Relaxed);
    }

    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Relaxed);
    }

    pub(crate) fn conflicted(&self) {
        self.conflicts.fetch_add(1, Relaxed);
    }

    pub(crate) fn instantiated(&self) {
        self.instances.fetch_add(1, Relaxed);
    }

    pub(crate) fn trapped(&self) {
        self.traps.fetch_add(1, Relaxed);
    }

    pub(crate) fn timed_out(&self) {
        self.timeouts.fetch_add(1, Relaxed);
    }

    pub(crate) fn exceeded_memory(&self) {
        self.memory_exceeded.fetch_add(1, Relaxed);
    }

    pub(crate) fn delivery_failed(&self) {
        self.deliveries_failed.fetch_add(1, Relaxed);
    }

    /// Everything, in the Prometheus text exposition format.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(4096);
        head(&mut text, "scimwell_requests_total", "counter", "SCIM requests answered.");
        for (method, classes) in METHODS.iter().zip(&self.requests) {
            for (class, count) in (1..).zip(classes) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let _ =
                        writeln!(text, "scimwell_requests_total{{method=\"{method}\",status=\"{class}xx\"}} {count}");
                }
            }
        }
        self.render_durations(&mut text);
        for (name, count, help) in [
            ("scimwell_commits_total", &self.commits, "Transactions committed."),
            ("scimwell_conflicts_total", &self.conflicts, "Transactions that lost a race; the provider retries them."),
            ("scimwell_instances_total", &self.instances, "Instances of the component made; the others were kept."),
            ("scimwell_traps_total", &self.traps, "Requests on which the component failed."),
            ("scimwell_timeouts_total", &self.timeouts, "Requests stopped by the time-out."),
            ("scimwell_memory_exceeded_total", &self.memory_exceeded, "Requests stopped by the memory cap."),
            ("scimwell_deliveries_failed_total", &self.deliveries_failed, "Attempts to tell of changes that failed."),
        ] {
            head(&mut text, name, "counter", help);
            let _ = writeln!(text, "{name} {}", count.load(Relaxed));
        }
        text
    }

    fn render_durations(&self, text: &mut String) {
        const NAME: &str = "scimwell_request_duration_seconds";
        head(text, NAME, "histogram", "Time from a request's head to its response.");
        let mut total = 0;
        for (bound, count) in BUCKETS.iter().zip(&self.durations) {
            total += count.load(Relaxed);
            let _ = writeln!(text, "{NAME}_bucket{{le=\"{}\"}} {total}", seconds(*bound));
        }
        total += self.durations[BUCKETS.len()].load(Relaxed);
        let _ = writeln!(text, "{NAME}_bucket{{le=\"+Inf\"}} {total}");
        let _ = writeln!(text, "{NAME}_sum {}", seconds(self.duration_micros.load(Relaxed)));
        let _ = writeln!(text, "{NAME}_count {total}");
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answered: &[(&str, u16, u64)], expect: &[&str]) {
        let metrics = Metrics::default();
        for (method, status, millis) in answered {
            metrics.answered(method, *status, Duration::from_millis(*millis));
        }
        let text = metrics.render();
        for line in expect {
            assert!(text.lines().any(|found| found == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn counts_by_method_and_class() {
        check(
            &[("GET", 200, 1), ("GET", 204, 1), ("PATCH", 409, 1), ("BREW", 405, 1)],
            &[
                "scimwell_requests_total{method=\"GET\",status=\"2xx\"} 2",
                "scimwell_requests_total{method=\"PATCH\",status=\"4xx\"} 1",
                "scimwell_requests_total{method=\"other\",status=\"4xx\"} 1",
            ],
        );
    }

    #[test]
    fn buckets_are_cumulative() {
        check(
            &[("GET", 200, 1), ("GET", 200, 20), ("GET", 200, 60_000)],
            &[
                "scimwell_request_duration_seconds_bucket{le=\"0.0005\"} 0",
                "scimwell_request_duration_seconds_bucket{le=\"0.001\"} 1",
                "scimwell_request_duration_seconds_bucket{le=\"0.025\"} 2",
                "scimwell_request_duration_seconds_bucket{le=\"+Inf\"} 3",
                "scimwell_request_duration_seconds_sum 60.021",
                "scimwell_request_duration_seconds_count 3",
            ],
        );
    }

    #[test]
    fn nothing_yet() {
        check(&[], &["scimwell_traps_total 0", "scimwell_request_duration_seconds_count 0"]);
    }
}
