//! Places for labels: as near as can be to what they name, clear of each other, in the same order.

/// Centres for labels along a line, given where each would like to be, ascending, and how much room each takes.
///
/// No two overlap and the order stays; the sum of squared ways is the least there is. All lie within `low` and `high`
/// unless the labels together are longer than that: then they start at `low`.
pub(crate) fn apart(wanted: &[f64], sizes: &[f64], low: f64, high: f64) -> Vec<f64> {
    let offsets = offsets(sizes);
    let free: Vec<f64> = wanted.iter().zip(&offsets).map(|(wanted, offset)| wanted - offset).collect();
    let last = (high - sizes.iter().sum::<f64>()).max(low);
    let placed = ascending(&free).into_iter().map(|free| free.clamp(low, last));
    placed.zip(offsets).map(|(placed, offset)| placed + offset).collect()
}

/// Where each center is when labels stand side by side from 0.
fn offsets(sizes: &[f64]) -> Vec<f64> {
    let mut start = 0.0;
    let mut offset = |size: &f64| {
        start += size;
        start - size / 2.0
    };
    sizes.iter().map(&mut offset).collect()
}

/// The ascending sequence nearest to this one: neighbors in the wrong order are pooled at their mean.
fn ascending(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        let mut pool = (value, 1);
        while let Some(&(sum, count)) = pools.last()
            && sum / count as f64 > pool.0 / pool.1 as f64
        {
            pools.pop();
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count)).collect()
}

/// Where a label in a strip of rows stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spot {
    /// Its middle.
    pub(crate) x: f64,
    /// From the bottom, 0 first.
    pub(crate) row: usize,
}

/// Rows for labels that must not be moved far from where they belong: each goes to the lowest row where it has room.
///
/// Labels are (middle, width), ascending by middle; they are kept within `low` and `high` if they are no wider.
pub(crate) fn in_rows(labels: &[(f64, f64)], low: f64, high: f64, gap: f64) -> Vec<Spot> {
    let mut ends: Vec<f64> = Vec::new();
    let mut spots = Vec::with_capacity(labels.len());
    for &(middle, width) in labels {
        let x = middle.min(high - width / 2.0).max(low + width / 2.0);
        let left = x - width / 2.0;
        let row = ends.iter().position(|end| end + gap <= left).unwrap_or(ends.len());
        if row == ends.len() {
            ends.push(0.0);
        }
        ends[row] = x + width / 2.0;
        spots.push(Spot { x, row });
    }
    spots
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_that_are_clear_of_each_other_stay_where_they_are() {
        assert_eq!(apart(&[10.0, 40.0, 90.0], &[12.0; 3], 0.0, 100.0), [10.0, 40.0, 90.0]);
    }

    #[test]
    fn labels_at_one_place_stand_evenly_round_it() {
        assert_eq!(apart(&[50.0; 5], &[10.0; 5], 0.0, 100.0), [30.0, 40.0, 50.0, 60.0, 70.0]);
        assert_eq!(apart(&[0.0; 3], &[10.0; 3], 0.0, 100.0), [5.0, 15.0, 25.0]);
        assert_eq!(apart(&[100.0; 3], &[10.0; 3], 0.0, 100.0), [75.0, 85.0, 95.0]);
    }

    proptest! {
        #[test]
        fn labels_keep_clear_keep_order_and_stay_inside(
            mut labels in prop::collection::vec((-50.0..250.0, 1.0..20.0), 0..10),
        ) {
            labels.sort_by(|one: &(f64, f64), other| one.0.total_cmp(&other.0));
            let (wanted, sizes): (Vec<f64>, Vec<f64>) = labels.into_iter().unzip();
            let placed = apart(&wanted, &sizes, 0.0, 200.0);
            let ends = || placed.iter().zip(&sizes).map(|(x, size)| (x - size / 2.0, x + size / 2.0));
            for (one, next) in ends().zip(ends().skip(1)) {
                prop_assert!(one.1 <= next.0 + 1e-9);
            }
            prop_assert!(ends().all(|(start, end)| start >= -1e-9 && end <= 200.0 + 1e-9));
        }

        #[test]
        fn labels_in_one_row_keep_clear(mut labels in prop::collection::vec((0.0..200.0, 1.0..90.0), 0..20)) {
            labels.sort_by(|one: &(f64, f64), other| one.0.total_cmp(&other.0));
            let spots = in_rows(&labels, 0.0, 200.0, 4.0);
            for (at, (spot, (_, width))) in spots.iter().zip(&labels).enumerate() {
                prop_assert!(spot.x - width / 2.0 >= -1e-9 && spot.x + width / 2.0 <= 200.0 + 1e-9);
                for (other, (_, other_width)) in spots[..at].iter().zip(&labels) {
                    let clear = (spot.x - other.x).abs() >= (width + other_width) / 2.0 + 4.0 - 1e-9;
                    prop_assert!(spot.row != other.row || clear);
                }
            }
        }
    }
}
