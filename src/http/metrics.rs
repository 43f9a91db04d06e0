//! What the cores counted, as Prometheus reads it (text format 0.0.4).

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::core::Core;
use super::counters::{Counter, Counters, Door};
use super::signing::Signing;
use super::site::Site;
use crate::signer::Load;

/// What a server counts.
pub struct Monitor {
    pub(super) cores: Vec<Arc<Core>>,
    pub(super) door: Arc<Door>,
    pub(super) open: Arc<AtomicUsize>,
    pub(super) connections_max: usize,
    pub(super) signing: Arc<Signing>,
    pub(super) site: Arc<Site>,
}

/// A number that somebody behind the listener knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    /// With its unit, as Prometheus wants it: `sekisho_crl_set_age_seconds`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What tells it from others of its name; they follow one another.
    pub labels: Vec<(&'static str, String)>,
    /// Its value now.
    pub value: f64,
}

/// Asks for such numbers.
pub type Gauges = Box<dyn Fn() -> Vec<Gauge> + Send + Sync>;

impl Monitor {
    /// Everything counted since the start, and `gauges`.
    #[must_use]
    pub fn metrics(&self, gauges: &[Gauge]) -> String {
        let mut text = Text::default();
        self.write_http(&mut text);
        self.write_connections(&mut text);
        self.write_ocsp(&mut text);
        self.write_signing(&mut text);
        text.family("sekisho_ready", "gauge", "1 while /readyz says so.");
        text.sample(&[], f64::from(u8::from((self.site.readiness)().is_ready())));
        let mut last = "";
        for Gauge { name, help, labels, value } in gauges {
            if *name != last {
                text.family(name, "gauge", help);
                last = name;
            }
            let labels: Vec<_> = labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
            text.sample(&labels, value);
        }
        text.0
    }

    fn write_http(&self, text: &mut Text) {
        text.family("sekisho_http_requests_total", "counter", "Requests on the public listener.");
        text.tally("method", &self.sum(|core| core.requests.read()));
        let help = "Responses by status code; a request whose client left has none.";
        text.family("sekisho_http_responses_total", "counter", help);
        text.tally("code", &self.sum(|core| core.responses.read()));
    }

    fn write_connections(&self, text: &mut Text) {
        text.family("sekisho_http_connections_accepted_total", "counter", "Connections served.");
        text.sample(&[], self.door.accepted.read());
        let help = "Connections closed at once: as many as may be were open.";
        text.family("sekisho_http_connections_refused_total", "counter", help);
        text.sample(&[], self.door.refused.read());
        text.family("sekisho_http_connections_closed_total", "counter", "Why connections ended.");
        text.tally("why", &self.sum(|core| core.endings.read()));
        text.family("sekisho_http_connections_open", "gauge", "Connections open.");
        text.sample(&[], self.open.load(Relaxed));
        text.family("sekisho_http_connections_max", "gauge", "Connections that may be open.");
        text.sample(&[], self.connections_max);
    }

    fn write_ocsp(&self, text: &mut Text) {
        let help = "OCSP answers by where their signature came from.";
        text.family("sekisho_ocsp_answers_total", "counter", help);
        text.tally("signature", &self.sum(|core| core.sources.read()));
        text.family("sekisho_ocsp_responses_total", "counter", "OCSP answers by OCSPResponseStatus.");
        text.tally("status", &self.sum(|core| core.outcomes.read()));
        let refreshed = &self.signing.desk.refreshed;
        let help = "Signatures made, or not, before those they follow were too old.";
        text.family("sekisho_ocsp_refreshes_total", "counter", help);
        let refreshes = [
            ("done", refreshed.done.read()),
            ("failed", refreshed.failed.read()),
            ("dropped", refreshed.dropped.read()),
        ];
        text.tally("outcome", &refreshes);
        text.family("sekisho_ocsp_kept_bytes", "gauge", "Memory of kept signatures.");
        text.sample(&[], self.site.responder.bytes_kept());
        let help = "Signatures under way that others who ask the same wait for.";
        text.family("sekisho_ocsp_flights", "gauge", help);
        text.sample(&[], self.signing.desk.flights.len());
    }

    fn write_signing(&self, text: &mut Text) {
        let meter = &self.signing.desk.meter;
        let on = |of: fn(&Counters) -> &Counter| -> u64 {
            self.cores.iter().map(|core| of(&core.counters).read()).sum()
        };
        text.family("sekisho_signatures_total", "counter", "OCSP signatures made.");
        text.tally("by", &[("core", on(|core| &core.meter.made)), ("pool", meter.made.read())]);
        text.family("sekisho_signature_failures_total", "counter", "OCSP signatures that failed.");
        text.tally("by", &[("core", on(|core| &core.meter.failed)), ("pool", meter.failed.read())]);
        text.family("sekisho_signature_seconds_total", "counter", "Time spent on OCSP signatures.");
        let seconds = |nanoseconds: u64| std::time::Duration::from_nanos(nanoseconds).as_secs_f64();
        text.sample(&[("by", "core")], seconds(on(|core| &core.meter.nanoseconds)));
        text.sample(&[("by", "pool")], seconds(meter.nanoseconds.read()));

        let loads = self.signing.pool.loads();
        let lanes = |of: fn(&Load) -> u64| loads.each_ref().map(|load| (load.lane.name(), of(load)));
        text.family("sekisho_signing_queue_length", "gauge", "What waits for a signing thread.");
        text.tally("lane", &lanes(|load| u64::try_from(load.waiting).unwrap_or(u64::MAX)));
        text.family("sekisho_signing_taken_total", "counter", "What signing threads have taken up.");
        text.tally("lane", &lanes(|load| load.taken));
        let help = "What was refused because its lane was full or, at a core, the nonces' time was up.";
        text.family("sekisho_signing_refused_total", "counter", help);
        text.tally("lane", &lanes(|load| load.refused));
        text.sample(&[("lane", "core_nonce")], on(|core| &core.surplus));
    }

    /// Each label with the sum over the cores.
    fn sum(&self, read: impl Fn(&Counters) -> Vec<(&'static str, u64)>) -> Vec<(&'static str, u64)> {
        let all = self.cores.iter().map(|core| read(&core.counters));
        all.reduce(|mut sums, counts| {
            sums.iter_mut().zip(counts).for_each(|((_, sum), (_, count))| *sum += count);
            sums
        })
        .unwrap_or_default()
    }
}

/// The text, and the family being written.
#[derive(Default)]
struct Text(String, &'static str);

impl Text {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.1 = name;
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "# HELP {name} {}", escaped(help, false));
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
    }

    fn tally(&mut self, label: &'static str, counts: &[(&'static str, u64)]) {
        for (value, count) in counts {
            self.sample(&[(label, value)], count);
        }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(self.1);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(text, true));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

/// As the format wants it: backslash and line feed, and in labels the quotation mark.
fn escaped(text: &str, in_label: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str(r"\\"),
            '\n' => escaped.push_str(r"\n"),
            '"' if in_label => escaped.push_str("\\\""),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_help_are_escaped() {
        let mut text = Text::default();
        text.family("a_total", "counter", "one \"line\"\\\nonly");
        text.sample(&[("name", "a\"b\\c\nd"), ("other", "日本")], 1);
        text.sample(&[], 2.5);
        let expected = "# HELP a_total one \"line\"\\\\\\nonly\n# TYPE a_total counter\n\
                        a_total{name=\"a\\\"b\\\\c\\nd\",other=\"日本\"} 1\na_total 2.5\n";
        assert_eq!(text.0, expected);
    }
}
