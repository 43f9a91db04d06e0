//! Numbers and spans of time for people.

use std::time::Duration;

use super::read::Number;
use crate::der::UnixTime;

/// `1,234,567`.
pub(super) fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `31 h`: in the largest unit of which there are two.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "days"), (3600, "h"), (60, "min")];
    match units.into_iter().find(|(unit, _)| seconds >= 2 * unit) {
        Some((unit, name)) => format!("{} {name}", grouped(seconds / unit)),
        None => format!("{seconds} s"),
    }
}

/// `A -> B (24 h later)`.
pub(super) fn moved(from: UnixTime, to: UnixTime) -> String {
    let how = if to > from {
        format!("{} later", span(to.since(from)))
    } else if to < from {
        format!("{} earlier", span(from.since(to)))
    } else {
        return format!("{to}, in both");
    };
    format!("{from} -> {to} ({how})")
}

/// The number, and what it says when it was made here.
pub(super) fn number(number: &Number) -> String {
    match ours(number) {
        Some((epoch, position)) => format!("{} (epoch {epoch}, position {position})", number.value),
        None => number.value.to_string(),
    }
}

/// Epoch and position of a number that may have been made here: the first epoch is 1.
pub(super) fn ours(number: &Number) -> Option<(u32, u64)> {
    number.parts.map(|(epoch, position)| (epoch.0, position.0)).filter(|(epoch, _)| *epoch > 0)
}

/// `1 entry`, `2 entries`.
pub(super) fn entries(count: impl TryInto<u64>) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => "1 entry".to_owned(),
        count => format!("{} entries", grouped(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_read_well() {
        assert_eq!(["1", "123", "1234", "1234567"].map(grouped), ["1", "123", "1,234", "1,234,567"]);
        let spans = [1, 119, 120, 7199, 7200, 172_799, 172_800].map(|s| span(Duration::from_secs(s)));
        assert_eq!(spans, ["1 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }
}
