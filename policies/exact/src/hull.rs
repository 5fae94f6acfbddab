//! The upper concave hull of a table, for every floor at once (Sinha and Zoltners 1979).
//!
//! On a hull each step up gains less accuracy a microsecond than the one before it, so that a relaxation that may
//! split requests between two strategies takes steps in order of their slopes.

use crate::point::Point;

/// Sets for every strategy the next one on the hull of the table from that strategy on, and the slope of the way there.
///
/// The last strategy is its own, with slope 0. Along a hull slopes strictly decrease.
pub(crate) fn of_every_suffix(table: &mut [Point]) {
    let last = table.len() - 1;
    (table[last].next, table[last].slope) = (last as u32, 0.0);
    for from in (0..last).rev() {
        let (next, slope) = tangent(table, from, from + 1);
        (table[from].next, table[from].slope) = (next as u32, slope);
    }
}

/// Where a hull that begins with `from` goes on along the hull from `first`: there, and how steeply.
pub(crate) fn tangent(table: &[Point], from: usize, first: usize) -> (usize, f64) {
    let from = table[from];
    let slope_to = |to: usize| (table[to].accuracy - from.accuracy) / (table[to].latency - from.latency);
    let mut to = first;
    let mut slope = slope_to(to);
    while table[to].next as usize != to && slope <= table[to].slope {
        to = table[to].next as usize;
        slope = slope_to(to);
    }
    (to, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hull(table: &[(f64, f64)], from: usize) -> Vec<usize> {
        let mut table: Vec<Point> = table.iter().map(|&(latency, accuracy)| Point::new(latency, accuracy)).collect();
        of_every_suffix(&mut table);
        let step = |at: &usize| Some(table[*at].next as usize).filter(|to| to != at);
        let hull: Vec<usize> = std::iter::successors(Some(from), step).collect();
        assert!(hull.windows(2).all(|pair| table[pair[0]].slope > table[pair[1]].slope));
        hull
    }

    #[test]
    fn points_under_a_chord_are_skipped() {
        let table = [(0.0, 0.1), (1.0, 0.2), (2.0, 0.6), (3.0, 0.65), (4.0, 0.8)];
        assert_eq!(hull(&table, 0), [0, 2, 4]);
        assert_eq!(hull(&table, 1), [1, 2, 4]);
        assert_eq!(hull(&table, 3), [3, 4]);
        assert_eq!(hull(&table, 4), [4]);
    }

    #[test]
    fn points_on_a_chord_are_skipped_too() {
        assert_eq!(hull(&[(0.0, 0.25), (1.0, 0.5), (2.0, 0.75)], 0), [0, 2]);
    }
}
