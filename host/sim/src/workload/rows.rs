//! Rows of a trace: single arrivals with their own gaps, copied or thinned to fit a rate.

use super::error::MOST_JOBS;
use super::stream::Stream;

/// Arrivals as they were recorded, again and again.
#[derive(Debug, PartialEq)]
pub(super) struct Rows {
    /// Seconds since the first, ascending; the first is 0.
    offsets: Vec<f64>,
    /// When the first comes again: a mean gap after the last.
    cycle_s: f64,
    /// Half of the gaps are shorter.
    median_gap_s: f64,
}

impl Rows {
    /// Rows at these seconds, of which the first is 0; or what is wrong with them.
    pub(super) fn new(offsets: Vec<f64>) -> Result<Rows, String> {
        let mut gaps: Vec<f64> = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if let Some(index) = gaps.iter().position(|&gap| gap < 0.0) {
            // the header is line 1, and a gap lies between two rows
            return Err(format!(
                "expected rows in the order of their times, line {} is before the one above",
                index + 3
            ));
        }
        let length_s = offsets.last().copied().unwrap_or(0.0);
        if length_s <= 0.0 {
            return Err(format!("expected rows at two or more different times, found {} at one", offsets.len()));
        }
        let cycle_s = length_s + length_s / gaps.len() as f64;
        let middle = gaps.len() / 2;
        let (_, &mut median_gap_s, _) = gaps.select_nth_unstable_by(middle, f64::total_cmp);
        Ok(Rows { offsets, cycle_s, median_gap_s })
    }

    /// Seconds at which jobs arrive up to `duration_s`, ascending, so that about `expected` come; or why not.
    ///
    /// `keep` says how many copies there are of each row, `spread` how long after it the second and later ones come.
    pub(super) fn times(
        &self,
        expected: f64,
        duration_s: f64,
        mut keep: Stream,
        mut spread: Stream,
    ) -> Result<Vec<f64>, String> {
        let count = self.count(duration_s)?;
        let each = expected / count as f64;
        let mut times = Vec::new();
        for index in 0..count {
            let (at, next) = (self.at(index), self.at(index + 1));
            let copies = each.floor() as usize + usize::from(keep.unit() < each.fract());
            let within = self.median_gap_s.min(next - at);
            times.extend((0..copies).map(|copy| if copy == 0 { at } else { at + within * spread.unit() }));
        }
        times.retain(|&at| at <= duration_s);
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    /// Rows before `duration_s`.
    fn count(&self, duration_s: f64) -> Result<usize, String> {
        let cycles = (duration_s / self.cycle_s).floor();
        if cycles * self.offsets.len() as f64 > MOST_JOBS as f64 {
            return Err(format!("expected at most {MOST_JOBS} rows in {duration_s} s, found more"));
        }
        let left_s = duration_s - cycles * self.cycle_s;
        Ok(cycles as usize * self.offsets.len() + self.offsets.partition_point(|&at| at < left_s))
    }

    /// When a row comes, counted over all cycles.
    fn at(&self, index: usize) -> f64 {
        let (cycle, row) = (index / self.offsets.len(), index % self.offsets.len());
        cycle as f64 * self.cycle_s + self.offsets[row]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A burst of four, silence, a burst of two; a cycle is 24 s, the median gap 1 s.
    fn bursts() -> Rows {
        Rows::new(vec![0.0, 1.0, 1.5, 2.5, 19.0, 20.0]).unwrap()
    }

    fn times(rows: &Rows, expected: f64, duration_s: f64) -> Vec<f64> {
        rows.times(expected, duration_s, Stream::new(6, "keep"), Stream::new(6, "spread")).unwrap()
    }

    #[test]
    fn one_copy_of_each_row_is_the_trace() {
        assert_eq!(times(&bursts(), 6.0, 24.0), [0.0, 1.0, 1.5, 2.5, 19.0, 20.0]);
    }

    #[test]
    fn rows_are_cut_at_the_duration() {
        assert_eq!(times(&bursts(), 3.0, 2.0), [0.0, 1.0, 1.5]);
    }

    #[test]
    fn used_up_rows_come_again_a_mean_gap_after_the_last() {
        assert_eq!(times(&bursts(), 10.0, 43.0), [0.0, 1.0, 1.5, 2.5, 19.0, 20.0, 24.0, 25.0, 25.5, 26.5]);
    }

    #[test]
    fn copies_come_between_their_row_and_the_next_and_no_later_than_a_median_gap() {
        // exactly three copies of each
        let found = times(&bursts(), 18.0, 24.0);
        assert_eq!(found.len(), 18);
        for (row, latest) in [(0.0, 1.0), (1.0, 1.5), (1.5, 2.5), (2.5, 3.5), (19.0, 20.0), (20.0, 21.0)] {
            let copies: Vec<f64> = found.iter().copied().filter(|at| (row..latest).contains(at)).collect();
            assert_eq!((copies.len(), copies[0]), (3, row), "{copies:?}");
            assert!(copies[1] > row, "{copies:?}");
        }
    }

    #[test]
    fn rows_are_kept_or_copied_with_the_same_expected_number_each() {
        let rows = Rows::new((0..1000).map(|row| f64::from(row) / 100.0).collect()).unwrap();
        for each in [0.25, 1.5, 3.75] {
            let expected = each * 100_000.0;
            let found = times(&rows, expected, 1000.0);
            assert!((found.len() as f64 / expected - 1.0).abs() < 0.02, "{each}: {}", found.len());
            let first_half = found.iter().filter(|&&at| at < 500.0).count() as f64;
            assert!((first_half / expected - 0.5).abs() < 0.02, "{each}: {first_half}");
            assert!(found.is_sorted());
        }
    }

    #[test]
    fn rows_that_make_no_gaps_are_refused() {
        let refusal = |offsets| Rows::new(offsets).unwrap_err();
        assert!(refusal(vec![0.0]).contains("found 1 at one"));
        assert!(refusal(vec![0.0, 0.0, 0.0]).contains("found 3 at one"));
        assert!(refusal(vec![0.0, 2.0, 1.0]).contains("line 4 is before the one above"));
    }

    #[test]
    fn a_trace_that_comes_again_too_often_is_refused() {
        let rows = Rows::new(vec![0.0, 1e-6]).unwrap();
        let refused = rows.times(10.0, 100.0, Stream::new(6, "keep"), Stream::new(6, "spread"));
        assert!(refused.unwrap_err().contains("expected at most 5000000 rows"));
    }
}
