//! Reads the Prometheus text format 0.0.4, and refuses what is not of it.

use std::collections::BTreeMap;

use sekisho::http::Monitor;

/// What a page of metrics says.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By name and labels, as written.
    pub samples: BTreeMap<String, f64>,
    /// By name.
    pub kinds: BTreeMap<String, String>,
}

impl Metrics {
    pub fn of(monitor: &Monitor) -> Self {
        Self::read(&monitor.metrics(&[]))
    }

    pub fn read(text: &str) -> Self {
        let mut metrics = Self::default();
        let (mut helped, mut family) = (String::new(), String::new());
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, sentence) = help.split_once(' ').expect(line);
                assert!(is_name(name) && sentence.ends_with('.'), "{line}");
                helped = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect(line);
                assert_eq!(name, helped, "{line}");
                assert!(["counter", "gauge"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let twice = metrics.kinds.insert(name.to_owned(), kind.to_owned());
                assert!(twice.is_none(), "{name} stands in two places");
                family = name.to_owned();
            } else {
                let (sample, value) = line.rsplit_once(' ').expect(line);
                let name = sample.split('{').next().unwrap();
                assert_eq!(name, family, "{line}");
                check_labels(&sample[name.len()..]);
                let value: f64 = value.parse().expect(line);
                assert!(metrics.samples.insert(sample.to_owned(), value).is_none(), "twice: {line}");
            }
        }
        metrics
    }

    pub fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples))
    }

    /// Of all samples of a name.
    pub fn sum(&self, name: &str) -> f64 {
        assert!(self.kinds.contains_key(name), "no {name}");
        let of_name = |sample: &str| sample.split('{').next() == Some(name);
        self.samples.iter().filter(|(sample, _)| of_name(sample)).map(|(_, value)| value).sum()
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Nothing, or `{name="text",…}`; none of ours needs an escape.
fn check_labels(labels: &str) {
    if labels.is_empty() {
        return;
    }
    let inner = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect(labels);
    for label in inner.split(',') {
        let (name, text) = label.split_once('=').expect(labels);
        assert!(is_name(name), "{labels}");
        let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect(labels);
        assert!(!text.contains(['"', '\\', '\n']), "{labels}");
    }
}
