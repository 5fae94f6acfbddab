//! An SVG document as it is written: elements in the order they are drawn, numbers with one decimal.

use crate::text::{Face, SMALL, escape};

/// A part of the figure, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    pub(crate) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// Which part of a text its position is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How and where a line of text stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label<'a> {
    pub(crate) face: Face,
    pub(crate) x: f64,
    /// Of the middle of the line, not of its baseline.
    pub(crate) y: f64,
    pub(crate) anchor: Anchor,
    pub(crate) ink: &'a str,
    /// Read from below to above.
    pub(crate) turned: bool,
}

impl Label<'static> {
    /// Small and dark, starting here.
    pub(crate) const fn at(x: f64, y: f64) -> Label<'static> {
        Label { face: SMALL, x, y, anchor: Anchor::Start, ink: INK, turned: false }
    }
}

impl Label<'_> {
    /// What the words will cover, at most.
    pub(crate) fn area(&self, words: &str) -> Area {
        let (length, thickness) = (self.face.width(words), self.face.size);
        let before = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => length / 2.0,
            Anchor::End => length,
        };
        match self.turned {
            false => Area { left: self.x - before, top: self.y - thickness / 2.0, width: length, height: thickness },
            true => {
                Area { left: self.x - thickness / 2.0, top: self.y + before - length, width: thickness, height: length }
            }
        }
    }
}

/// Text that says what is shown.
pub(crate) const INK: &str = "#222";
/// Text that only helps to read it.
pub(crate) const FAINT: &str = "#5c5c5c";

/// What was drawn so far.
#[derive(Default)]
pub(crate) struct Canvas(String);

impl Canvas {
    pub(crate) fn text(&mut self, label: &Label, words: &str) {
        if words.is_empty() {
            return;
        }
        let Label { face, x, y, anchor, ink, turned } = *label;
        let (size, drop) = (face.size, face.drop());
        let (x, y) = if turned { (px(x + drop), px(y)) } else { (px(x), px(y + drop)) };
        let turn = if turned { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if face.bold { " font-weight=\"bold\"" } else { "" };
        let words = escape(words);
        self.element(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{ink}\"{anchor}{weight}{turn}>{words}</text>"
        ));
    }

    /// Text that no line of a grid runs through.
    pub(crate) fn text_on_white(&mut self, label: &Label, words: &str) {
        self.rect(label.area(words), "fill=\"#fff\"", "");
        self.text(label, words);
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), paint: &str) {
        let (x1, y1, x2, y2) = (px(from.0), px(from.1), px(to.0), px(to.1));
        self.element(&format!("<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" {paint}/>"));
    }

    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], paint: &str) {
        self.element(&format!("<polyline points=\"{}\" fill=\"none\" {paint}/>", corners(points)));
    }

    pub(crate) fn polygon(&mut self, points: &[(f64, f64)], paint: &str) {
        self.element(&format!("<polygon points=\"{}\" {paint}/>", corners(points)));
    }

    /// A rectangle; `hint` is shown to whoever points at it, unless it is empty.
    pub(crate) fn rect(&mut self, area: Area, paint: &str, hint: &str) {
        let (x, y, width, height) = (px(area.left), px(area.top), px(area.width), px(area.height));
        let element = format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {paint}");
        self.hinted(&element, "rect", hint);
    }

    /// A path in its own small coordinates, moved to where it belongs; `hint` as in [`Canvas::rect`].
    pub(crate) fn mark(&mut self, path: &str, (x, y): (f64, f64), paint: &str, hint: &str) {
        let element = format!("<path d=\"{path}\" transform=\"translate({} {})\" {paint}", px(x), px(y));
        self.hinted(&element, "path", hint);
    }

    fn hinted(&mut self, open: &str, name: &str, hint: &str) {
        match hint {
            "" => self.element(&format!("{open}/>")),
            hint => self.element(&format!("{open}><title>{}</title></{name}>", escape(hint))),
        }
    }

    fn element(&mut self, element: &str) {
        self.0.push_str(element);
        self.0.push('\n');
    }

    /// The document; title and description are for screen readers and not drawn.
    pub(crate) fn finish(self, width: f64, height: f64, title: &str, description: &str) -> String {
        let (width, height) = (px(width.ceil()), px(height.ceil()));
        let (title, description) = (escape(title), escape(description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILY}\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{}</svg>\n",
            self.0
        )
    }
}

/// The reader's own sans-serif.
pub(crate) const FAMILY: &str = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif";

fn corners(points: &[(f64, f64)]) -> String {
    let corners: Vec<String> = points.iter().map(|&(x, y)| format!("{},{}", px(x), px(y))).collect();
    corners.join(" ")
}

/// A length with one decimal at most.
fn px(length: f64) -> String {
    let tenths = (length * 10.0).round();
    // so that -0.0 is not written
    format!("{}", if tenths == 0.0 { 0.0 } else { tenths / 10.0 })
}
