//! Rows of a bench: a table for people, JSON for programs.

use std::path::Path;

/// One figure.
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// The physical limit it is compared with.
    pub limit: Option<&'static str>,
    /// Value divided by the limit, measured in the same run.
    pub ratio: Option<f64>,
    /// Further figures, by name.
    pub more: Vec<(&'static str, f64)>,
}

impl Row {
    fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({ "name": self.name, "value": self.value, "unit": self.unit });
        json["limit"] = self.limit.into();
        json["ratio"] = self.ratio.into();
        for (name, value) in &self.more {
            json[*name] = (*value).into();
        }
        json
    }
}

pub fn write_json(path: &Path, rows: &[Row]) {
    let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
    let text = serde_json::to_string_pretty(&rows).expect("numbers and names");
    std::fs::write(path, text + "\n").expect("the JSON file can be written");
}

/// The middle of some values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}
