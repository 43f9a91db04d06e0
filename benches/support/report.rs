//! Rows of a bench: a table for people, JSON for programs.
#![allow(dead_code, reason = "shared by benches, none of which uses all of it")]

use std::path::Path;

use super::machine;

/// One figure.
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// The physical limit it is compared with.
    pub limit: Option<&'static str>,
    /// Value divided by the limit, measured in the same run.
    pub ratio: Option<f64>,
    /// Rows to be looked at together.
    pub group: Option<&'static str>,
    /// Further figures, by name.
    pub more: Vec<(&'static str, f64)>,
}

impl Row {
    /// A figure without a limit.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, limit: None, ratio: None, group: None, more: Vec::new() }
    }

    /// Beside a limit of the same run, in the same unit.
    pub fn against(self, limit: &'static str, value: f64) -> Self {
        Self { limit: Some(limit), ratio: Some(self.value / value), ..self }
    }

    fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({ "name": self.name, "value": self.value, "unit": self.unit });
        json["limit"] = self.limit.into();
        json["ratio"] = self.ratio.into();
        if let Some(group) = self.group {
            json["group"] = group.into();
        }
        for (name, value) in &self.more {
            json[*name] = (*value).into();
        }
        json
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<34} {:>12.3} {:<6}", self.name, self.value, self.unit)?;
        match (self.limit, self.ratio) {
            (Some(limit), Some(ratio)) => write!(f, " {ratio:>8.2} x {limit}"),
            _ => Ok(()),
        }
    }
}

/// Writes a list of rows.
pub fn write_json(path: &Path, rows: &[Row]) {
    write_rows(path, to_json(rows));
}

/// Rows as they stand in the JSON file.
pub fn to_json(rows: &[Row]) -> Vec<serde_json::Value> {
    stamped(rows.iter().map(Row::to_json).collect())
}

/// Writes rows that are JSON already.
pub fn write_rows(path: &Path, rows: Vec<serde_json::Value>) {
    let text = serde_json::to_string_pretty(&stamped(rows)).expect("numbers and names");
    std::fs::write(path, text + "\n").expect("the JSON file can be written");
}

/// Each with the machine and the date, so that rows of several runs can be put together.
fn stamped(mut rows: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
    let (machine, date) = (machine::description(), machine::date());
    for row in &mut rows {
        row["machine"] = machine.clone().into();
        row["date"] = date.clone().into();
    }
    rows
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
