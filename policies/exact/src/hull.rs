//! The upper concave hull of a menu, for every floor at once (Sinha and Zoltners 1979).
//!
//! On a hull each step up gains less accuracy a microsecond than the one before it, so that a relaxation that may
//! split requests between two strategies takes steps in order of their slopes.

use crate::menu::Point;

/// Sets for every strategy the next one on the hull of the menu from that strategy on, and the slope of the way there.
///
/// The last strategy is its own, with slope 0. Along a hull slopes strictly decrease.
pub(crate) fn of_every_suffix(menu: &mut [Point]) {
    let last = menu.len() - 1;
    (menu[last].next, menu[last].slope) = (last as u32, 0.0);
    for from in (0..last).rev() {
        let (next, slope) = tangent(menu, from, from + 1);
        (menu[from].next, menu[from].slope) = (next as u32, slope);
    }
}

/// Where a hull that begins with `from` goes on along the hull from `first`: there, and how steeply.
pub(crate) fn tangent(menu: &[Point], from: usize, first: usize) -> (usize, f64) {
    let from = menu[from];
    let slope_to = |to: usize| (menu[to].accuracy - from.accuracy) / (menu[to].latency - from.latency);
    let mut to = first;
    let mut slope = slope_to(to);
    while menu[to].next as usize != to && slope <= menu[to].slope {
        to = menu[to].next as usize;
        slope = slope_to(to);
    }
    (to, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hull(menu: &[(f64, f64)], from: usize) -> Vec<usize> {
        let mut menu: Vec<Point> = menu.iter().map(|&(latency, accuracy)| Point::new(latency, accuracy)).collect();
        of_every_suffix(&mut menu);
        let step = |at: &usize| Some(menu[*at].next as usize).filter(|to| to != at);
        let hull: Vec<usize> = std::iter::successors(Some(from), step).collect();
        assert!(hull.windows(2).all(|pair| menu[pair[0]].slope > menu[pair[1]].slope));
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
