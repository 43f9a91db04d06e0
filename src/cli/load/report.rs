//! A run as people and programs read it.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::super::args::{Load, Method};
use super::tally::Tally;

/// From this part of its time on, the generator was the limit.
const FULL: f64 = 0.9;
/// A generator that waits for a core this part of its time shares it with something, most likely
/// the server.
const CROWDED: f64 = 0.1;
/// Width of the longest bar.
const BAR_LEN: u64 = 40;

/// The figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    target: String,
    method: &'static str,
    connections: u16,
    threads: u8,
    pipeline: u8,
    nonce_percent: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    /// Certificates asked about.
    certificates: u64,
    seconds: f64,
    requests: u64,
    /// Questions that got a status, a second.
    answers_per_s: f64,
    good: u64,
    revoked: u64,
    unknown: u64,
    nonces_left_out: u64,
    /// Answers to something else, by what differs.
    wrong: BTreeMap<String, u64>,
    /// Questions without a status, by why.
    errors: BTreeMap<String, u64>,
    reconnects: u64,
    asked_again: u64,
    sent_bytes: u64,
    received_bytes: u64,
    latency: Option<Latency>,
    /// Of refusals: OCSP errors and HTTP statuses other than 200.
    refusal_latency: Option<Latency>,
    /// Parts of a thread's time; None where the system does not tell.
    cpu_share: Option<f64>,
    cpu_wait_share: Option<f64>,
    limited_by_generator: bool,
}

/// Microseconds.
#[derive(Debug, Serialize)]
struct Latency {
    mean_us: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    /// How many took at most so long and longer than the bar before.
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    to_us: f64,
    count: u64,
}

impl Report {
    pub(super) fn new(
        asked: &Load,
        target: &str,
        certificates: u64,
        lasted: Duration,
        tally: &Tally,
    ) -> Self {
        let seconds = lasted.as_secs_f64();
        let (cpu_share, cpu_wait_share) = tally.cpu.shares().unzip();
        let spent = cpu_share.zip(cpu_wait_share).map_or(0.0, |(busy, waited)| busy + waited);
        Self {
            target: target.to_owned(),
            method: if asked.method == Method::Get { "GET" } else { "POST" },
            connections: asked.connections,
            threads: asked.threads,
            pipeline: asked.pipeline,
            nonce_percent: asked.nonce,
            rate: asked.rate,
            certificates,
            seconds,
            requests: tally.requests,
            answers_per_s: float(tally.answered()) / seconds,
            good: tally.good,
            revoked: tally.revoked,
            unknown: tally.unknown,
            nonces_left_out: tally.nonces_left_out,
            wrong: tally.wrong.iter().map(|(what, count)| (what.to_string(), *count)).collect(),
            errors: tally.troubles.iter().map(|(what, count)| (what.to_string(), *count)).collect(),
            reconnects: tally.reconnects,
            asked_again: tally.asked_again,
            sent_bytes: tally.sent_bytes,
            received_bytes: tally.received_bytes,
            latency: Latency::of(&tally.answers),
            refusal_latency: Latency::of(&tally.refusals),
            cpu_share,
            cpu_wait_share,
            limited_by_generator: spent >= FULL,
        }
    }

    pub(super) fn in_words(&self) -> String {
        let mut lines = vec![self.headline(), String::new()];
        let mut line = |name: &str, text: String| lines.push(format!("{name:<14}{text}"));
        let requests = format!("{} in {:.1} s", self.requests, self.seconds);
        line("requests", requests);
        line("answers", format!("{:.0}/s", self.answers_per_s));
        line("statuses", format!("{} good, {} revoked, {} unknown", self.good, self.revoked, self.unknown));
        if self.nonces_left_out > 0 {
            line("nonces", format!("{} left out of the answer", self.nonces_left_out));
        }
        line("errors", counts(&self.errors));
        line("wrong", counts(&self.wrong));
        if self.reconnects > 0 {
            let again = self.asked_again;
            line("reconnects", format!("{} (questions asked again: {again})", self.reconnects));
        }
        let (sent, received) = (float(self.sent_bytes) / 1e6, float(self.received_bytes) / 1e6);
        line("octets", format!("{sent:.1} MB sent, {received:.1} MB received"));
        if let Some(latency) = &self.latency {
            line("latency", latency.in_words());
        }
        if let Some(latency) = &self.refusal_latency {
            line("of refusals", latency.in_words());
        }
        line("generator", self.generator());
        if let Some(latency) = &self.latency {
            lines.push(String::new());
            lines.extend(latency.chart());
        }
        lines.join("\n")
    }

    fn headline(&self) -> String {
        let plural = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let mut parts = vec![
            format!("{} {}", self.method, self.target),
            plural(self.certificates, "certificate"),
            plural(u64::from(self.connections), "connection"),
            plural(u64::from(self.threads), "thread"),
        ];
        if self.pipeline > 1 {
            parts.push(format!("{} questions under way on each", self.pipeline));
        }
        if let Some(rate) = self.rate {
            parts.push(format!("{rate} questions/s"));
        }
        if self.nonce_percent > 0 {
            parts.push(format!("{} % with a nonce", self.nonce_percent));
        }
        parts.join(", ")
    }

    /// The generator's own share, and whether the figures are its own rather than the server's.
    fn generator(&self) -> String {
        let Some((busy, waited)) = self.cpu_share.zip(self.cpu_wait_share) else {
            return "its share of the processor is not told by this system".to_owned();
        };
        let each = if self.threads == 1 { "" } else { " each" };
        let mut text =
            format!("{:.0} % of a core{each}, {:.0} % waiting for one", busy * 100.0, waited * 100.0);
        if self.limited_by_generator && waited < CROWDED {
            text.push_str("\n! the generator was the limit: the server can do more; raise --threads");
        } else if waited >= CROWDED {
            text.push_str("\n! the generator was short of cores: keep it off the server's (taskset)");
        }
        text
    }
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let at = |part: f64| float(histogram.value_at_quantile(part)) / 1e3;
        let bars = histogram.iter_log(FIRST_BAR_NS, BAR_STEP).map(|step| Bar {
            to_us: float(step.value_iterated_to() + 1) / 1e3,
            count: step.count_since_last_iteration(),
        });
        Some(Self {
            mean_us: histogram.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: float(histogram.max()) / 1e3,
            bars: bars.skip_while(|bar| bar.count == 0).collect(),
        })
    }

    fn in_words(&self) -> String {
        let Self { p50_us, p90_us, p99_us, p999_us, max_us, .. } = self;
        let [p50, p90, p99, p999, max] = [p50_us, p90_us, p99_us, p999_us, max_us].map(|us| time(*us));
        format!("p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}")
    }

    fn chart(&self) -> Vec<String> {
        let all: u64 = self.bars.iter().map(|bar| bar.count).sum();
        let most = self.bars.iter().map(|bar| bar.count).max().unwrap_or(1).max(1);
        let row = |Bar { to_us, count }: &Bar| {
            // A bar that stands for anything is seen.
            let len = (count * BAR_LEN).div_ceil(most);
            let bar = "█".repeat(usize::try_from(len).unwrap_or(0));
            let part = 100.0 * float(*count) / float(all);
            format!("  ≤ {:>8} {part:>6.2} % {bar}", time(*to_us)).trim_end().to_owned()
        };
        self.bars.iter().map(row).collect()
    }
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    match each.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        _ => format!("{}: {}", counts.values().sum::<u64>(), each.join(", ")),
    }
}

/// Microseconds with the unit that suits them.
fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e4 => format!("{:.2} ms", us / 1e3),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

/// Exact below 2⁵³.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "there is no other way to a float")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The first bar ends here, and each of the following twice as far.
const FIRST_BAR_NS: u64 = 16_000;
const BAR_STEP: f64 = 2.0;
