//! What the server counts of its policy's answers, read from `GET /metrics`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use mosel_sim::Tally;

use mosel_client::connection::Connection;

/// Counters, as they stand or as they moved.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ServerMetrics {
    asked: u64,
    adopted: u64,
    fallbacks: u64,
    /// Answers that were not used, by the reason.
    refused: BTreeMap<String, u64>,
    /// Jobs that wait, now.
    pub(super) waiting: u64,
}

/// The reasons there are, as a tally knows them.
const REASONS: [&str; 16] = [
    "below_floor",
    "bound_below_objective",
    "declined",
    "duplicate_job",
    "late",
    "makes_late",
    "malformed",
    "no_such_strategy",
    "not_finite",
    "order_incomplete",
    "out_of_fuel",
    "out_of_memory",
    "timed_out",
    "trapped",
    "unavailable",
    "unknown_job",
];

impl ServerMetrics {
    /// Reads the counters as they are now.
    pub(super) async fn read(connection: &Connection) -> Result<ServerMetrics> {
        let text = connection.get("/metrics").await?.success()?;
        Ok(ServerMetrics::parse(text.as_str().context("expected metrics as text")?))
    }

    fn parse(text: &str) -> ServerMetrics {
        let mut metrics = ServerMetrics::default();
        for (series, value) in text.lines().filter_map(series) {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            match name {
                "mosel_policy_calls_total" => metrics.asked += value,
                "mosel_policy_adopted_total" => metrics.adopted += value,
                "mosel_policy_fallbacks_total" => metrics.fallbacks += value,
                "mosel_jobs_waiting" => metrics.waiting += value,
                "mosel_policy_refused_total" => *metrics.refused.entry(reason(labels)).or_insert(0) += value,
                _ => {}
            }
        }
        metrics
    }

    /// How they moved since they stood so.
    pub(super) fn since(&self, before: &ServerMetrics) -> ServerMetrics {
        let earlier = |reason: &String| before.refused.get(reason).copied().unwrap_or(0);
        let refused =
            self.refused.iter().map(|(reason, count)| (reason.clone(), count.saturating_sub(earlier(reason))));
        ServerMetrics {
            asked: self.asked.saturating_sub(before.asked),
            adopted: self.adopted.saturating_sub(before.adopted),
            fallbacks: self.fallbacks.saturating_sub(before.fallbacks),
            refused: refused.filter(|(_, count)| *count > 0).collect(),
            waiting: self.waiting,
        }
    }

    /// Puts them where the simulator counts the same.
    pub(super) fn enter(&self, tally: &mut Tally) {
        tally.asked = self.asked;
        tally.adopted = self.adopted;
        tally.fallbacks = self.fallbacks;
        for (reason, count) in &self.refused {
            let known = REASONS.into_iter().find(|known| known == reason).unwrap_or("other");
            *tally.plans_refused.entry(known).or_insert(0) += count;
        }
    }
}

/// A line that is neither a comment nor of a value that is no whole number.
fn series(line: &str) -> Option<(&str, u64)> {
    let (series, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    Some((series, value.parse().ok()?))
}

fn reason(labels: &str) -> String {
    let reason = labels.split_once("reason=\"").and_then(|(_, rest)| rest.split_once('"'));
    reason.map_or_else(String::new, |(reason, _)| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP mosel_policy_calls Questions that a policy was asked.
# TYPE mosel_policy_calls counter
mosel_policy_calls_total{policy="exact"} 9
mosel_policy_calls_total{policy="greedy"} 2
mosel_policy_refused_total{policy="exact",reason="late"} 3
mosel_policy_refused_total{policy="exact",reason="bored"} 1
mosel_policy_fallbacks_total 4
mosel_policy_adopted_total 7
mosel_policy_decision_seconds_sum 0.25
mosel_jobs_waiting{lane="0"} 5
mosel_jobs_waiting{lane="1"} 6
# EOF
"#;

    #[test]
    fn series_of_several_policies_and_lanes_are_added_up() {
        let metrics = ServerMetrics::parse(TEXT);
        assert_eq!((metrics.asked, metrics.adopted, metrics.fallbacks, metrics.waiting), (11, 7, 4, 11));
        assert_eq!(metrics.refused, BTreeMap::from([("bored".to_owned(), 1), ("late".to_owned(), 3)]));
    }

    #[test]
    fn only_what_moved_is_entered_and_strange_reasons_are_others() {
        let now = ServerMetrics::parse(&TEXT.replace("reason=\"late\"} 3", "reason=\"late\"} 5"));
        let mut before = ServerMetrics::parse(TEXT);
        before.refused.remove("bored");
        let mut tally = Tally::default();
        now.since(&before).enter(&mut tally);
        assert_eq!((tally.asked, tally.adopted, tally.fallbacks), (0, 0, 0));
        assert_eq!(tally.plans_refused, BTreeMap::from([("late", 2), ("other", 1)]));
    }
}
