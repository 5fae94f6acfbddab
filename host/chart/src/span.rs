//! The values that an axis runs over, where each of them is along it, and which get a tick.

use crate::text::SMALL;
use crate::{Axis, Numbers, Scale};

/// From which value to which an axis runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    scale: Scale,
    numbers: Numbers,
    /// On logarithmic scales the logarithm, as everything here.
    low: f64,
    high: f64,
}

/// A value with a line across the panel, and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Along the axis, from 0 to 1.
    pub(crate) share: f64,
    pub(crate) label: String,
}

impl Tick {
    fn is_on_axis(&self) -> bool {
        (-NARROWEST..=1.0 + NARROWEST).contains(&self.share)
    }
}

/// Larger values, and smaller ones than its counterpart, are beyond what differences can be taken of.
const LARGEST: f64 = 1e300;
/// A span narrower than this, relative to its values, shows noise of the arithmetic.
const NARROWEST: f64 = 1e-9;
/// Pixels between the numbers of two ticks.
const GAP: f64 = 10.0;
/// Numbers along a horizontal axis, at most.
const MOST_TICKS: usize = 9;

impl Span {
    /// From the least to the largest of these values and of what the axis reaches anyway.
    pub(crate) fn of(axis: &Axis, values: impl IntoIterator<Item = f64>) -> Span {
        let reach = axis.reach.into_iter().flat_map(|(low, high)| [low, high]);
        let drawn = values.into_iter().chain(reach).filter_map(|value| drawable(axis.scale, value));
        let bounds = drawn.fold(None, |bounds: Option<(f64, f64)>, value| {
            let (low, high) = bounds.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = widened(axis, bounds.unwrap_or((0.0, 0.0)));
        Span { scale: axis.scale, numbers: axis.numbers, low, high }
    }

    /// Out to the next values that get a tick, if there are to be about this many.
    pub(crate) fn snapped(self, most: usize) -> Span {
        let step = match self.scale {
            Scale::Linear => step(self.high - self.low, most),
            // a whole decade more would leave most of the panel empty
            Scale::Log2 | Scale::Log10 if self.high - self.low < 1.0 => return self,
            Scale::Log2 | Scale::Log10 => 1.0,
        };
        let low = (self.low / step + NARROWEST).floor() * step;
        let high = (self.high / step - NARROWEST).ceil() * step;
        Span { low, high, ..self }
    }

    /// Where a value is along the axis, from 0 to 1; `None` if it is no number or has no place there.
    pub(crate) fn share(&self, value: f64) -> Option<f64> {
        Some((drawable(self.scale, value)? - self.low) / (self.high - self.low))
    }

    /// The value as it is written beside what is drawn.
    pub(crate) fn show(&self, value: f64) -> String {
        self.numbers.show(value)
    }

    /// Ticks, about this many at most.
    pub(crate) fn ticks(&self, most: usize) -> Vec<Tick> {
        let most = most.max(1);
        let ticks = match self.scale {
            Scale::Linear => self.even(most),
            Scale::Log2 => self.powers(most, &[1.0]),
            // between the powers as well, where these alone would be few
            Scale::Log10 if (self.high - self.low) * 3.0 <= most as f64 => self.powers(most, &[1.0, 2.0, 5.0]),
            Scale::Log10 => self.powers(most, &[1.0]),
        };
        if ticks.len() < 2 && self.scale != Scale::Linear { self.between_powers(most) } else { ticks }
    }

    /// As many ticks as have room for their numbers side by side on this many pixels.
    pub(crate) fn ticks_across(&self, width: f64) -> Vec<Tick> {
        let fits = |ticks: &Vec<Tick>| {
            ticks.windows(2).all(|pair| {
                let half = |tick: &Tick| SMALL.width(&tick.label) / 2.0;
                (pair[1].share - pair[0].share) * width >= half(&pair[0]) + half(&pair[1]) + GAP
            })
        };
        let tries = (2..=MOST_TICKS).rev().map(|most| self.ticks(most));
        tries.into_iter().find(fits).unwrap_or_else(|| self.ticks(1).into_iter().take(1).collect())
    }

    /// How far a number at either end of a horizontal axis may reach beyond it, in pixels.
    pub(crate) fn overhang(&self) -> f64 {
        let ticks = (1..=MOST_TICKS).flat_map(|most| self.ticks(most));
        ticks.map(|tick| SMALL.width(&tick.label) / 2.0).fold(0.0, f64::max)
    }

    fn even(&self, most: usize) -> Vec<Tick> {
        let step = step(self.high - self.low, most);
        let first = (self.low / step - NARROWEST).ceil() as i64;
        let last = (self.high / step + NARROWEST).floor() as i64;
        let largest = self.low.abs().max(self.high.abs());
        let tick = |number: i64| {
            let value = number as f64 * step;
            Tick { share: self.along(value), label: self.numbers.tick(value, step, largest) }
        };
        (first..=last).map(tick).collect()
    }

    /// Multiples of powers of the base; with a stride if all were too many.
    fn powers(&self, most: usize, multiples: &[f64]) -> Vec<Tick> {
        let base = self.scale.base().unwrap_or(10.0);
        let stride = ((self.high - self.low) / most as f64).ceil().max(1.0) as i32;
        let (first, last) = ((self.low - NARROWEST).floor() as i32, (self.high + NARROWEST).floor() as i32);
        let powers = (first..=last).filter(|power| power.rem_euclid(stride) == 0);
        let values = powers.flat_map(|power| multiples.iter().map(move |multiple| multiple * base.powi(power)));
        let ticks = values.map(|value| Tick { share: self.along(value.log(base)), label: self.alone(value) });
        ticks.filter(Tick::is_on_axis).collect()
    }

    /// For logarithmic axes so short that there are not two powers on them: even steps of the value.
    fn between_powers(&self, most: usize) -> Vec<Tick> {
        let base = self.scale.base().unwrap_or(10.0);
        let (low, high) = (base.powf(self.low), base.powf(self.high));
        let values = Span { scale: Scale::Linear, low, high, ..*self };
        let tick = |tick: Tick| {
            let value = low + tick.share * (high - low);
            Tick { share: self.along(value.log(base)), label: tick.label }
        };
        // a tick at 0 has no place
        values.even(most).into_iter().map(tick).filter(Tick::is_on_axis).collect()
    }

    /// The number at a power of the base, which has its own digits.
    fn alone(&self, value: f64) -> String {
        // four digits are enough to tell 0.0625 from its neighbors
        let step = 10f64.powf(value.abs().log10().floor());
        let exact = (0..4).map(|finer| step / 10f64.powi(finer));
        let whole = |step: &f64| ((value / step).round() - value / step).abs() < 1e-9;
        self.numbers.tick(value, exact.clone().find(whole).unwrap_or(step / 1e3), value)
    }

    fn along(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// The value as scales add it up; `None` if it has no place on this one.
fn drawable(scale: Scale, value: f64) -> Option<f64> {
    let size = value.abs();
    match scale.base() {
        _ if !value.is_finite() || size > LARGEST => None,
        None => Some(if size < 1.0 / LARGEST { 0.0 } else { value }),
        Some(base) => (value >= 1.0 / LARGEST).then(|| value.log(base)),
    }
}

/// Bounds that are apart: one value alone is put in the middle of some room, or on the axis if that is where it is.
fn widened(axis: &Axis, (low, high): (f64, f64)) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    if high - low > NARROWEST * size {
        return (low, high);
    }
    match (axis.scale, axis.numbers) {
        (Scale::Log2 | Scale::Log10, _) => (low - 1.0, high + 1.0),
        (Scale::Linear, Numbers::Percent) if (0.0..=1.0).contains(&low) => (0.0, 1.0),
        (Scale::Linear, _) if size == 0.0 => (0.0, 1.0),
        (Scale::Linear, _) => (low - size / 2.0, high + size / 2.0),
    }
}

/// The least of 1, 2 and 5 times powers of ten that divides a length into this many parts at most.
fn step(length: f64, most: usize) -> f64 {
    let least = length / most.max(1) as f64;
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|multiple| multiple * power);
    steps.into_iter().find(|step| *step >= least * (1.0 - NARROWEST)).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axis(scale: Scale) -> Axis {
        Axis { scale, ..Axis::default() }
    }

    fn labels(scale: Scale, low: f64, high: f64, most: usize) -> Vec<String> {
        let span = Span::of(&axis(scale), [low, high]);
        span.ticks(most).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(Scale::Linear, 0.0, 1.0, 5), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Scale::Log2, 0.25, 4.0, 8), ["0.25", "0.5", "1", "2", "4"]);
        assert_eq!(labels(Scale::Log10, 1.0, 10_000.0, 5), ["1", "10", "100", "1,000", "10,000"]);
        assert_eq!(labels(Scale::Log10, 1.0, 100.0, 8), ["1", "2", "5", "10", "20", "50", "100"]);
        assert_eq!(labels(Scale::Log10, 1.0, 1e9, 4), ["1", "1,000", "1×10⁶", "1×10⁹"]);
    }

    #[test]
    fn a_logarithmic_axis_without_powers_has_ticks_all_the_same() {
        assert_eq!(labels(Scale::Log2, 1.1, 1.5, 4), ["1.1", "1.2", "1.3", "1.4", "1.5"]);
    }

    #[test]
    fn zero_and_less_have_no_place_on_a_logarithmic_axis() {
        let span = Span::of(&axis(Scale::Log10), [0.0, -3.0, 1.0, 100.0]);
        assert_eq!([0.0, -3.0, f64::NAN].map(|value| span.share(value)), [None; 3]);
        assert_eq!([1.0, 10.0, 100.0].map(|value| span.share(value)), [0.0, 0.5, 1.0].map(Some));
    }

    #[test]
    fn an_axis_reaches_what_it_was_told_to() {
        let percent = Axis { numbers: Numbers::Percent, reach: Some((0.0, 1.0)), ..Axis::default() };
        let span = Span::of(&percent, [0.93, 0.97]).snapped(5);
        assert_eq!((span.share(0.0), span.share(1.0)), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn a_tick_that_would_be_at_zero_has_no_place_on_a_logarithmic_axis() {
        let span = Span::of(&axis(Scale::Log2), [1e-10, 0.99]);
        assert!((1..9).flat_map(|most| span.ticks(most)).all(|tick| (0.0..=1.0).contains(&tick.share)));
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![-1e3..1e3, prop::num::f64::ANY, Just(0.0), Just(7.0), (-300..300i32).prop_map(|e| 10f64.powi(e))]
    }

    proptest! {
        #[test]
        fn every_span_has_some_ticks_all_of_them_on_it(
            values in prop::collection::vec(value(), 0..6),
            scale in prop_oneof![Just(Scale::Linear), Just(Scale::Log2), Just(Scale::Log10)],
            numbers in prop_oneof![Just(Numbers::Plain), Just(Numbers::Percent)],
            snapped in any::<bool>(),
        ) {
            let axis = Axis { numbers, ..axis(scale) };
            let span = Span::of(&axis, values.iter().copied());
            let span = if snapped { span.snapped(6) } else { span };
            let ticks = span.ticks(6);
            prop_assert!((1..=20).contains(&ticks.len()), "{:?} on {:?}", ticks, span);
            for tick in ticks {
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&tick.share), "{:?} on {:?}", tick, span);
            }
            for share in values.into_iter().filter_map(|value| span.share(value)) {
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&share), "{} on {:?}", share, span);
            }
        }
    }
}
