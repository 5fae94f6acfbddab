//! Text: how wide it will be, at most; how it is cut and wrapped to fit; how it is escaped.

/// A size of the page's one typeface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Face {
    /// Pixels.
    pub(crate) size: f64,
    pub(crate) bold: bool,
}

/// Numbers along axes, labels at lines, notes.
pub(crate) const SMALL: Face = Face { size: 11.0, bold: false };
/// Names of axes, legends.
pub(crate) const PLAIN: Face = Face { size: 12.0, bold: false };
/// Titles of panels.
pub(crate) const TITLE: Face = Face { size: 13.0, bold: true };

/// Advance widths of U+0020 to U+007E in hundredths of the size, as in DejaVu Sans, the widest of the usual ones.
const WIDTHS: [u8; 95] = [
    32, 41, 46, 84, 64, 96, 78, 28, 40, 40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84,
    84, 84, 54, 100, 69, 69, 70, 77, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75, 79, 61, 79, 70, 64, 62, 74, 69, 99, 69,
    62, 69, 40, 34, 40, 84, 50, 50, 62, 64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 28, 98, 64, 62, 64, 64, 42, 53, 40, 64,
    60, 82, 60, 60, 53, 64, 34, 64, 84,
];
/// Pixels that are too few to matter.
const SLACK: f64 = 0.01;
/// How much wider bold letters are, all in all.
const BOLD: f64 = 1.16;

impl Face {
    /// Pixels that these words take; in most typefaces somewhat less.
    pub(crate) fn width(self, words: &str) -> f64 {
        let hundredths: u32 = words.chars().map(advance).sum();
        f64::from(hundredths) / 100.0 * self.size * if self.bold { BOLD } else { 1.0 }
    }

    /// The widest of these, 0 if there are none.
    pub(crate) fn widest<'a>(self, words: impl IntoIterator<Item = &'a str>) -> f64 {
        words.into_iter().map(|words| self.width(words)).fold(0.0, f64::max)
    }

    /// From one line of text to the next, in pixels.
    pub(crate) fn line(self) -> f64 {
        (self.size * 1.27).round()
    }

    /// From the middle of a line of text down to its baseline, in pixels.
    pub(crate) fn drop(self) -> f64 {
        self.size * 0.36
    }

    /// The words, cut with an ellipsis if they would be wider than this.
    pub(crate) fn fit(self, words: &str, width: f64) -> String {
        // what was given just its own width may have lost a little of it in sums
        if self.width(words) <= width + SLACK {
            return words.to_owned();
        }
        let mut kept = String::new();
        let mut taken = self.width("…");
        for letter in words.chars() {
            taken += self.width(letter.encode_utf8(&mut [0; 4]));
            if taken > width {
                break;
            }
            kept.push(letter);
        }
        kept.truncate(kept.trim_end().len());
        kept + "…"
    }

    /// The words on this many lines at most, none of them wider than this; what does not fit is cut.
    pub(crate) fn wrap(self, words: &str, width: f64, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = words.trim();
        while !rest.is_empty() {
            let is_last = lines.len() + 1 == most;
            let (line, after) = rest.split_at(if is_last { rest.len() } else { self.line_end(rest, width) });
            lines.push(self.fit(line.trim_end(), width));
            rest = after;
        }
        lines
    }

    /// Where the first line of the text ends: behind as many pieces as fit, one at least.
    fn line_end(self, text: &str, width: f64) -> usize {
        let mut end = breakable(text);
        loop {
            let next = end + breakable(&text[end..]);
            if next == end || self.width(text[..next].trim_end()) > width + SLACK {
                return end;
            }
            end = next;
        }
    }
}

/// Where the first piece ends after which a line may be broken: behind a space, `+` or `/`.
fn breakable(text: &str) -> usize {
    let mut letters = text.char_indices().peekable();
    while let Some((_, letter)) = letters.next() {
        let next = letters.peek();
        let breaks = matches!(letter, ' ' | '+' | '/');
        // a row of spaces is broken at its end
        if let Some(&(at, next)) = next
            && breaks
            && next != ' '
        {
            return at;
        }
    }
    text.len()
}

fn advance(letter: char) -> u32 {
    match letter {
        ' '..='~' => u32::from(WIDTHS[letter as usize - 0x20]),
        '\u{a0}' => 32,
        '⁰'..='⁹' | '¹' | '²' | '³' => 41,
        ..'\u{300}' => 75,
        ..'\u{1100}' => 90,
        _ => 100,
    }
}

/// The text as XML and HTML have it, between tags and between quotes. What neither may hold becomes U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_left_alone_and_what_does_not_is_cut_to_fit() {
        let words = "highest-accuracy";
        assert_eq!(SMALL.fit(words, 200.0), words);
        let cut = SMALL.fit(words, 60.0);
        assert!(cut.ends_with('…') && words.starts_with(cut.trim_end_matches('…')), "{cut}");
        assert!(SMALL.width(&cut) <= 60.0);
    }

    #[test]
    fn no_line_is_wider_than_it_may_be_and_no_word_is_lost() {
        let words = "image+text+audio, served on one device, at 1.2 times what it can do";
        let lines = PLAIN.wrap(words, 120.0, 9);
        assert!(lines.len() > 2 && lines.iter().all(|line| PLAIN.width(line) <= 120.0), "{lines:?}");
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(letters(&lines.concat()), letters(words));
    }

    #[test]
    fn what_has_no_room_ends_in_an_ellipsis() {
        let lines = PLAIN.wrap("one two three four five six seven", 60.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…') && PLAIN.width(&lines[1]) <= 60.0, "{lines:?}");
    }

    #[test]
    fn nothing_is_no_line() {
        assert!(PLAIN.wrap("  ", 60.0, 2).is_empty());
    }

    #[test]
    fn what_xml_may_not_hold_is_replaced() {
        assert_eq!(escape("a<b & \"c\">'\0\u{1b}"), "a&lt;b &amp; &quot;c&quot;&gt;&#39;\u{fffd}\u{fffd}");
    }
}
