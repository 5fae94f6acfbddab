//! Colors, shapes and dashes: by any two of them series are told apart, with any color vision.

/// How a series looks, in every panel of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    /// Of lines and marks.
    pub(crate) color: &'static str,
    /// Of text: the same, dark enough to be read on white.
    pub(crate) ink: &'static str,
    /// Of areas that text stands on.
    pub(crate) tint: &'static str,
    /// Its mark as a path round (0, 0).
    pub(crate) mark: &'static str,
    /// A dash pattern; empty for a solid line.
    pub(crate) dash: &'static str,
}

/// Okabe and Ito (2008) without yellow, which is lost on white; with inks and tints of the same hues.
const COLORS: [[&str; 3]; 7] = [
    ["#0072b2", "#0072b2", "#b2d5e8"],
    ["#d55e00", "#be5400", "#f2cfb2"],
    ["#009e73", "#00835f", "#b2e2d5"],
    ["#cc79a7", "#9f5e82", "#f0d7e5"],
    ["#e69f00", "#986900", "#f8e2b2"],
    ["#56b4e9", "#3a7a9e", "#d6effb"],
    ["#000000", "#000000", "#d0d0d0"],
];
/// Circle, square, triangle, diamond, triangle downwards, cross, star of three strokes made of thin bars.
const MARKS: [&str; 7] = [
    "M-3.6 0A3.6 3.6 0 1 1 3.6 0A3.6 3.6 0 1 1-3.6 0Z",
    "M-3.2-3.2H3.2V3.2H-3.2Z",
    "M0-4.2L4.1 3.2H-4.1Z",
    "M0-4.6L4.6 0L0 4.6L-4.6 0Z",
    "M0 4.2L4.1-3.2H-4.1Z",
    "M-4.1-2.4L-2.4-4.1L0-1.7L2.4-4.1L4.1-2.4L1.7 0L4.1 2.4L2.4 4.1L0 1.7L-2.4 4.1L-4.1 2.4L-1.7 0Z",
    "M-1.2-4.4H1.2V-1.2H4.4V1.2H1.2V4.4H-1.2V1.2H-4.4V-1.2H-1.2Z",
];
const DASHES: [&str; 4] = ["", "6 3", "2 2.5", "9 3 2 3"];

impl Style {
    /// The style of the series with this number; after the colors are used up, dashes tell them apart.
    pub(crate) fn of(number: usize) -> Style {
        let round = number / COLORS.len();
        let [color, ink, tint] = COLORS[number % COLORS.len()];
        // a color that comes again gets another mark
        let mark = MARKS[(number + 3 * round) % MARKS.len()];
        Style { color, ink, tint, mark, dash: DASHES[round % DASHES.len()] }
    }

    /// The same with lines that are not solid.
    pub(crate) fn dashed(self) -> Style {
        Style { dash: if self.dash.is_empty() { DASHES[1] } else { self.dash }, ..self }
    }

    /// How its lines are drawn.
    pub(crate) fn stroke(self, width: f64) -> String {
        let dash = if self.dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", self.dash) };
        format!("stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dash}", self.color)
    }

    /// How its bars are drawn, text on them included.
    pub(crate) fn filled(self) -> String {
        format!("fill=\"{}\" stroke=\"{}\" stroke-width=\"1\"", self.tint, self.color)
    }

    /// How its marks are drawn.
    pub(crate) fn fill(self) -> String {
        format!("fill=\"{}\" stroke=\"#fff\" stroke-width=\"0.8\"", self.color)
    }
}

/// The names of a figure's series, in the order in which they come first: a name looks the same everywhere.
#[derive(Debug)]
pub(crate) struct Names<'a>(Vec<&'a str>);

impl<'a> Names<'a> {
    pub(crate) fn of(names: impl IntoIterator<Item = &'a str>) -> Names<'a> {
        let mut distinct = Vec::new();
        for name in names {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        Names(distinct)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().copied()
    }

    /// Where the name stands; 0 if it is none of them.
    pub(crate) fn number(&self, name: &str) -> usize {
        self.0.iter().position(|&known| known == name).unwrap_or(0)
    }

    pub(crate) fn style(&self, name: &str) -> Style {
        Style::of(self.number(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2: relative luminance.
    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| {
            let share = f64::from(u8::from_str_radix(&color[at..at + 2], 16).expect("two hexadecimal digits")) / 255.0;
            if share <= 0.03928 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn every_ink_can_be_read_on_white_and_dark_text_on_every_tint() {
        for [_, ink, tint] in COLORS {
            assert!(1.05 / (luminance(ink) + 0.05) >= 4.5, "{ink}");
            assert!((luminance(tint) + 0.05) / (luminance("#222222") + 0.05) >= 7.0, "{tint}");
        }
    }

    #[test]
    fn twenty_eight_series_all_look_different_and_those_of_one_color_differ_twice() {
        let styles: Vec<Style> = (0..28).map(Style::of).collect();
        for (number, one) in styles.iter().enumerate() {
            for other in &styles[..number] {
                let same_color = one.color == other.color;
                assert!(!same_color || one.dash != other.dash && one.mark != other.mark, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_name_has_one_style_wherever_it_comes() {
        let names = Names::of(["greedy", "exact", "greedy", "ilp"]);
        assert_eq!(names.iter().collect::<Vec<_>>(), ["greedy", "exact", "ilp"]);
        assert_eq!(names.style("ilp"), Style::of(2));
    }
}
