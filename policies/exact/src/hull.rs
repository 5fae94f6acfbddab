//! The upper concave hull of a menu, for every floor at once (Sinha and Zoltners 1979).
//!
//! On a hull each step up gains less accuracy a microsecond than the one before it, so that a relaxation that may
//! split requests between two strategies takes steps in order of their slopes.

/// For every strategy the next one on the hull of the menu from that strategy on; the last one is its own.
///
/// `slopes[s]` becomes the accuracy gained a microsecond on the way from `s` to `next[s]`, 0 for the last strategy.
/// Along a hull slopes strictly decrease.
pub(crate) fn of_every_suffix(latencies: &[f64], accuracies: &[f64], next: &mut [u32], slopes: &mut [f64]) {
    let last = latencies.len() - 1;
    next[last] = last as u32;
    slopes[last] = 0.0;
    for from in (0..last).rev() {
        let slope_to = |to: usize| (accuracies[to] - accuracies[from]) / (latencies[to] - latencies[from]);
        let (to, slope) = tangent(from + 1, next, slopes, slope_to);
        next[from] = to as u32;
        slopes[from] = slope;
    }
}

/// Where a hull that begins with a new point goes on along the hull from `first`: there, and how steeply.
pub(crate) fn tangent(first: usize, next: &[u32], slopes: &[f64], slope_to: impl Fn(usize) -> f64) -> (usize, f64) {
    let mut to = first;
    let mut slope = slope_to(to);
    while next[to] as usize != to && slope <= slopes[to] {
        to = next[to] as usize;
        slope = slope_to(to);
    }
    (to, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hull(menu: &[(f64, f64)], from: usize) -> Vec<usize> {
        let (latencies, accuracies): (Vec<f64>, Vec<f64>) = menu.iter().copied().unzip();
        let (mut next, mut slopes) = (vec![0; menu.len()], vec![0.0; menu.len()]);
        of_every_suffix(&latencies, &accuracies, &mut next, &mut slopes);
        let step = |at: &usize| Some(next[*at] as usize).filter(|to| to != at);
        let hull: Vec<usize> = std::iter::successors(Some(from), step).collect();
        assert!(hull.windows(2).all(|pair| slopes[pair[0]] > slopes[pair[1]]));
        hull
    }

    #[test]
    fn points_under_a_chord_are_skipped() {
        let menu = [(0.0, 0.1), (1.0, 0.2), (2.0, 0.6), (3.0, 0.65), (4.0, 0.8)];
        assert_eq!(hull(&menu, 0), [0, 2, 4]);
        assert_eq!(hull(&menu, 1), [1, 2, 4]);
        assert_eq!(hull(&menu, 3), [3, 4]);
        assert_eq!(hull(&menu, 4), [4]);
    }

    #[test]
    fn points_on_a_chord_are_skipped_too() {
        assert_eq!(hull(&[(0.0, 0.25), (1.0, 0.5), (2.0, 0.75)], 0), [0, 2]);
    }
}
