//! How values are written.

/// How values are written along an axis and beside what is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// As they are, with three digits that matter: 0.0123, 12.3, 1,234, 1.23×10⁷.
    #[default]
    Plain,
    /// Shares of one as percent: 0.934 is written 93.4 %.
    Percent,
}

/// From here on, and below its counterpart, numbers are written with a power of ten.
const HUGE: f64 = 1e6;
const TINY: f64 = 1e-3;
/// More digits behind a point are never written.
const MOST_DIGITS: usize = 12;

impl Numbers {
    /// One value by itself; "–" if it is not a number, or too large for one.
    pub fn show(self, value: f64) -> String {
        match self {
            // a hundred times as much is to be finite too
            _ if !(value * 100.0).is_finite() => "–".to_owned(),
            Numbers::Plain => significant(value),
            Numbers::Percent => percent(value * 100.0),
        }
    }

    /// A value on an axis whose ticks are `step` apart and whose largest is `largest`: all of one axis look alike.
    pub(crate) fn tick(self, value: f64, step: f64, largest: f64) -> String {
        match self {
            Numbers::Plain => stepped(value, step, largest),
            Numbers::Percent => stepped(value * 100.0, step * 100.0, largest * 100.0) + "\u{a0}%",
        }
    }
}

/// A count, all of its digits.
pub(crate) fn whole(count: usize) -> String {
    separated(&count.to_string())
}

/// Three digits that matter, all of those before the point.
fn significant(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(TINY..HUGE).contains(&size) {
        return powered(value, 2);
    }
    // rounded first: 9.996 has two digits before the point
    let rounded: f64 = format!("{size:.2e}").parse().expect("a number as it was just written");
    grouped(value, (2 - magnitude(rounded)).max(0) as usize)
}

/// One digit behind the point, and two where that would hide the difference to 0 or 100.
fn percent(value: f64) -> String {
    let near_an_end = value.abs() < 1.0 || (99.0..100.0).contains(&value);
    let text = match value {
        0.0 | 100.0 => grouped(value, 0),
        value if value.abs() >= HUGE => powered(value, 2),
        value => grouped(value, if near_an_end { 2 } else { 1 }),
    };
    text + "\u{a0}%"
}

fn stepped(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if largest.abs() >= HUGE || largest.abs() < TINY {
        let digits = (magnitude(value) - magnitude(step)).clamp(0, MOST_DIGITS as i32) as usize;
        return powered(value, digits);
    }
    grouped(value, digits(step))
}

/// Digits behind the point that multiples of `step` have.
fn digits(step: f64) -> usize {
    let whole = |digits: &usize| {
        let scaled = step * 10f64.powi(*digits as i32);
        (scaled - scaled.round()).abs() <= 1e-6 * scaled.abs() && scaled.round() != 0.0
    };
    (0..MOST_DIGITS).find(whole).unwrap_or(MOST_DIGITS)
}

/// The power of ten below a value.
fn magnitude(value: f64) -> i32 {
    // the small allowance is for 1e3, whose logarithm may come out as 2.999…
    (value.abs().log10() + 1e-9).floor() as i32
}

/// So many digits behind the point, and commas between thousands.
fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if value < 0.0 && !zero { "−" } else { "" };
    format!("{sign}{}{fraction}", separated(whole))
}

/// Digits with commas between thousands.
fn separated(digits: &str) -> String {
    let mut separated = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            separated.push(',');
        }
        separated.push(digit);
    }
    separated
}

/// With a power of ten: 1.5×10⁶.
fn powered(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').expect("this is how it is written");
    let sign = if value < 0.0 { "−" } else { "" };
    let raised = exponent.chars().map(|letter| match letter {
        '-' => '⁻',
        digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit.to_digit(10).unwrap_or(0) as usize],
    });
    format!("{sign}{mantissa}×10{}", raised.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_matter() {
        let shown = [0.0, 0.012_345, 1.0, 9.996, 12.34, 99.96, 1234.5, 12_345_678.0, 1.234e-9, -5.0, f64::NAN];
        let expected = ["0", "0.0123", "1.00", "10.0", "12.3", "100", "1,234", "1.23×10⁷", "1.23×10⁻⁹", "−5.00", "–"];
        assert_eq!(shown.map(|value| Numbers::Plain.show(value)), expected);
    }

    #[test]
    fn percent_shows_how_far_from_none_and_all_it_is() {
        let shown = [0.0, 0.0004, 0.5, 0.9342, 0.9997, 1.0].map(|share| Numbers::Percent.show(share));
        assert_eq!(
            shown.map(|text| text.replace('\u{a0}', " ")),
            ["0 %", "0.04 %", "50.0 %", "93.4 %", "99.97 %", "100 %"]
        );
    }

    #[test]
    fn ticks_of_one_axis_have_the_same_digits() {
        let ticks = |step: f64| [0.0, 1.0, 2.0, 3.0].map(|count| Numbers::Plain.tick(count * step, step, 3.0 * step));
        assert_eq!(ticks(0.1), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(ticks(0.25), ["0", "0.25", "0.50", "0.75"]);
        assert_eq!(ticks(5000.0), ["0", "5,000", "10,000", "15,000"]);
        assert_eq!(ticks(5e8), ["0", "5×10⁸", "1.0×10⁹", "1.5×10⁹"]);
        assert_eq!(ticks(2e-8), ["0", "2×10⁻⁸", "4×10⁻⁸", "6×10⁻⁸"]);
    }
}
