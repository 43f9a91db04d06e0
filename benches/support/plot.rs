//! Rows as a picture: a panel for each group, a bar for each row, limits in another colour.
//!
//! The picture is SVG with text in whatever sans-serif font there is. Its colours are chosen for
//! white and for dark pages alike; where the viewer knows what the page is, they follow it.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

const WIDTH: f64 = 760.0;
/// Where bars begin and may end: names stand on the left, figures on the right.
const BARS_FROM: f64 = 250.0;
const BARS_TO: f64 = 600.0;
const MARGIN: f64 = 16.0;
const TITLE_HEIGHT: f64 = 34.0;
const ROW_HEIGHT: f64 = 24.0;
const BAR_HEIGHT: f64 = 15.0;
const PANEL_GAP: f64 = 14.0;
const FOOT_HEIGHT: f64 = 40.0;

/// Servers that are not ours, by what is in their rows' names.
const OTHERS: [&str; 2] = ["nginx", "openssl"];

const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#6e7781}\
.title{font-weight:600}.value{font-variant-numeric:tabular-nums}.small{font-size:11px}\
.limit{fill:#8c959f}.bar{fill:#2f81f7}.other{fill:#b08800}.mark{stroke:#8c959f;stroke-width:1;stroke-dasharray:3 3}\
@media (prefers-color-scheme:light){text{fill:#424a53}.title{fill:#1f2328}.bar{fill:#0969da}}\
@media (prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#f0f6fc}.bar{fill:#4493f8}.limit{fill:#6e7681}}";

struct Panel<'a> {
    title: String,
    rows: Vec<&'a Value>,
}

/// Writes the picture of rows as they stand in a bench's JSON file.
pub fn write(path: &Path, rows: &[Value]) {
    std::fs::write(path, svg(rows)).expect("the picture can be written");
    println!("{}", path.display());
}

fn svg(rows: &[Value]) -> String {
    let panels = panels(rows);
    let panel_height = |panel: &Panel<'_>| TITLE_HEIGHT + ROW_HEIGHT * panel.rows.len() as f64 + PANEL_GAP;
    let height = MARGIN + panels.iter().map(panel_height).sum::<f64>() + FOOT_HEIGHT;
    let mut out = String::new();
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<style>{STYLE}</style>"
    )
    .unwrap();
    let mut top = MARGIN;
    for panel in &panels {
        draw(panel, top, &mut out);
        top += panel_height(panel);
    }
    let foot = rows.iter().find_map(|row| Some((row["machine"].as_str()?, row["date"].as_str()?)));
    let (machine, date) = foot.map_or((String::new(), ""), |(machine, date)| (escaped(machine), date));
    text(
        &mut out,
        MARGIN,
        top + 4.0,
        "small",
        "start",
        "grey: the limit, measured in the same run; ×: how far from it; yellow: servers of others",
    );
    text(&mut out, MARGIN, top + 20.0, "small", "start", format!("{machine} {date}").trim());
    out.push_str("</svg>\n");
    out
}

/// Rows of one group and unit, in the order of the first of each.
fn panels(rows: &[Value]) -> Vec<Panel<'_>> {
    let mut panels: Vec<Panel<'_>> = Vec::new();
    for row in rows {
        let room = row["name"].as_str().and_then(|name| name.split('/').next()).unwrap_or_default();
        let unit = match row["unit"].as_str().unwrap_or_default() {
            "us_cpu" => "CPU µs a request",
            "per_s" => "a second",
            unit => unit,
        };
        let title = format!("{}: {unit}", row["group"].as_str().unwrap_or(room));
        match panels.iter_mut().find(|panel| panel.title == title) {
            Some(panel) => panel.rows.push(row),
            None => panels.push(Panel { title, rows: vec![row] }),
        }
    }
    panels
}

fn draw(panel: &Panel<'_>, top: f64, out: &mut String) {
    let value = |row: &Value| row["value"].as_f64().unwrap_or(0.0);
    let most = panel.rows.iter().map(|row| value(row)).fold(f64::MIN_POSITIVE, f64::max);
    let compared = panel.rows.iter().any(|row| !row["ratio"].is_null());
    text(out, MARGIN, top + 16.0, "title", "start", &escaped(&panel.title));
    for (number, row) in panel.rows.iter().enumerate() {
        let middle = top + TITLE_HEIGHT + ROW_HEIGHT * (number as f64 + 0.5);
        let length = ((BARS_TO - BARS_FROM) * value(row) / most).max(1.0);
        let is_limit = compared && row["ratio"].is_null();
        let name = row["name"].as_str().unwrap_or_default();
        let class = if is_limit {
            "limit"
        } else if OTHERS.iter().any(|other| name.contains(other)) {
            "other"
        } else {
            "bar"
        };
        let name = name.split_once('/').map_or(name, |(_, name)| name);
        text(out, BARS_FROM - 10.0, middle + 4.5, "", "end", &escaped(name));
        let (y, end) = (middle - BAR_HEIGHT / 2.0, BARS_FROM + length);
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{BARS_FROM}\" y=\"{y:.1}\" width=\"{length:.1}\" \
             height=\"{BAR_HEIGHT}\" rx=\"2\"/>"
        )
        .unwrap();
        let ratio = row["ratio"].as_f64().map_or(String::new(), |ratio| format!("  × {ratio:.2}"));
        let value = row["value"].as_f64().map_or("–".to_owned(), figure);
        text(out, end + 8.0, middle + 4.5, "value", "start", &format!("{value}{ratio}"));
    }
    // The least of the limits, down the panel.
    let limits = panel.rows.iter().filter(|row| compared && row["ratio"].is_null()).map(|row| value(row));
    if let Some(least) = limits.reduce(f64::min) {
        let x = BARS_FROM + (BARS_TO - BARS_FROM) * least / most;
        let (from, to) =
            (top + TITLE_HEIGHT - 2.0, top + TITLE_HEIGHT + ROW_HEIGHT * panel.rows.len() as f64);
        writeln!(out, "<line class=\"mark\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\"/>")
            .unwrap();
    }
}

fn text(out: &mut String, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
    writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" \
         xml:space=\"preserve\">{text}</text>"
    )
    .unwrap();
}

/// Three significant digits.
fn figure(value: f64) -> String {
    match value {
        value if value >= 1e4 => format!("{:.0}k", value / 1e3),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
