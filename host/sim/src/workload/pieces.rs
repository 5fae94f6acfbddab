//! A rate over time, in pieces: what bursts, waves, steps and counted traces have in common.

use super::stream::Stream;

/// A rate that is constant piece by piece, from the start on.
pub(super) struct Pieces(Vec<Piece>);

/// Until then, this rate.
pub(super) struct Piece {
    /// Seconds from the start; not less than that of the piece before.
    pub(super) until_s: f64,
    /// Arrivals a second, or anything proportional to it as long as it is not scaled. Not negative.
    pub(super) rate: f64,
}

impl Pieces {
    /// These pieces, each of which begins where the one before ends.
    pub(super) fn new(pieces: Vec<Piece>) -> Pieces {
        Pieces(pieces)
    }

    /// One rate all the time.
    pub(super) fn steady(duration_s: f64) -> Pieces {
        Pieces(vec![Piece { until_s: duration_s, rate: 1.0 }])
    }

    /// The same shape with so many arrivals expected over all pieces, of which some piece has a rate.
    pub(super) fn scaled(mut self, arrivals: f64) -> Pieces {
        let scale = arrivals / self.expected();
        self.0.iter_mut().for_each(|piece| piece.rate *= scale);
        self
    }

    /// Times of arrival in seconds, ascending: a Poisson process with this rate.
    pub(super) fn arrivals(&self, mut gaps: Stream) -> Vec<f64> {
        let (mut arrivals, mut at) = (Vec::new(), 0.0);
        // How many more arrivals are expected until there is one; a rate says how fast that number is worked off.
        let mut left = gaps.exponential();
        for &Piece { until_s, rate } in &self.0 {
            while rate > 0.0 && left <= rate * (until_s - at) {
                at = (at + left / rate).min(until_s);
                arrivals.push(at);
                left = gaps.exponential();
            }
            left -= rate * (until_s - at);
            at = until_s;
        }
        arrivals
    }

    /// The pieces in their order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.0.iter()
    }

    fn expected(&self) -> f64 {
        let mut from = 0.0;
        let arrivals = |piece: &Piece| piece.rate * (piece.until_s - std::mem::replace(&mut from, piece.until_s));
        self.0.iter().map(arrivals).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pieces: &[(f64, f64)]) -> Pieces {
        Pieces::new(pieces.iter().map(|&(until_s, rate)| Piece { until_s, rate }).collect())
    }

    #[test]
    fn every_piece_has_its_rate() {
        let arrivals = pieces(&[(100.0, 1.0), (150.0, 0.0), (200.0, 6.0)]).scaled(40_000.0);
        let arrivals = arrivals.arrivals(Stream::new(5, "test"));
        let within = |from: f64, to: f64| arrivals.iter().filter(|&&at| (from..to).contains(&at)).count() as f64;
        assert!((within(0.0, 100.0) / 10_000.0 - 1.0).abs() < 0.03, "{}", within(0.0, 100.0));
        assert!((within(150.0, 200.0) / 30_000.0 - 1.0).abs() < 0.03, "{}", within(150.0, 200.0));
        // one at the very end of the first piece would do no harm
        assert!(within(100.0 + 1e-9, 150.0) == 0.0);
        assert!(arrivals.is_sorted());
    }
}
