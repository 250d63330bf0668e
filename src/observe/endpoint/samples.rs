//! Reads our own metrics back: the dashboard shows the very numbers that Prometheus scrapes.

use std::collections::BTreeMap;

/// One line of the exposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Full name, suffix included.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

impl Sample {
    /// The value of a label; empty if it is not there.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Every sample of an OpenMetrics text. Comments and lines that are none are left out.
pub fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ')?;
        return Some(Sample { name: name.to_owned(), labels: BTreeMap::new(), value: number(value)? });
    };
    let (labels, value) = labels(rest)?;
    Some(Sample { name: name.to_owned(), labels, value: number(value)? })
}

fn number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        found.insert(name.to_owned(), value);
        rest = after;
    }
}

/// A value up to its closing quote, unescaped, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return text.get(at + 1..).map(|rest| (value, rest)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;
    use crate::observe::metrics::{ApiLabel, RestartLabel};

    #[test]
    fn what_was_counted_is_read_back() {
        let metrics = Metrics::new();
        metrics.api_requests.get_or_create(&ApiLabel::new("spotify", "429")).inc_by(3);
        metrics.actor_restarts.get_or_create(&RestartLabel::new("a \"quoted\" \\ name", "panic")).inc();
        let read = samples(&metrics.encode().expect("encodes"));
        let of = |name: &str| read.iter().find(|sample| sample.name == name).cloned().expect("present");
        let requests = of("reprise_api_requests_total");
        assert_eq!((requests.label("api"), requests.label("status"), requests.value), ("spotify", "429", 3.0));
        assert_eq!(of("reprise_actor_restarts_total").label("actor"), "a \"quoted\" \\ name");
    }

    #[test]
    fn broken_lines_are_left_out() {
        assert!(samples("# HELP x\nx\nx{a=\"b\nx{a=\"b\"} many\n\n").is_empty());
    }
}
