//! A drawing as it is read back: its words and where they are.

use roxmltree::{Document, Node};

use crate::canvas::{Anchor, Area, Label};
use crate::text::Face;

pub(super) struct Drawing {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) texts: Vec<Written>,
    /// The corners of every polyline that is as thick as a series.
    pub(super) polylines: Vec<Vec<(f64, f64)>>,
    size: (f64, f64),
    /// Attributes that should be numbers and are not.
    bad: Vec<String>,
}

/// A line of text.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) words: String,
    pub(super) area: Area,
    size: f64,
}

/// Positions are written with one decimal.
const SLACK: f64 = 0.3;

impl Drawing {
    /// Fails if it is not well-formed.
    pub(super) fn read(svg: &str) -> Drawing {
        let document = Document::parse(svg).unwrap_or_else(|error| panic!("not well-formed, {error}: {svg}"));
        let root = document.root_element();
        let child = |name| root.children().find(|child| child.has_tag_name(("http://www.w3.org/2000/svg", name)));
        let text_of = |name| child(name).and_then(|node| node.text()).unwrap_or_default().to_owned();
        let view: Vec<f64> = numbers(root.attribute("viewBox").expect("a figure says how large it is"));
        let elements = || root.descendants().filter(Node::is_element);
        let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
        let places = elements()
            .flat_map(|node| node.attributes())
            .filter(|attribute| matches!(attribute.name(), "x" | "y" | "x1" | "x2" | "y1" | "y2" | "width" | "height"));
        let bad = places.filter(|attribute| !is_number(attribute.value())).map(|attribute| format!("{attribute:?}"));
        let thick = |node: &Node| {
            node.has_tag_name(("http://www.w3.org/2000/svg", "polyline"))
                && node.attribute("stroke-width") == Some("1.8")
        };
        Drawing {
            title: text_of("title"),
            description: text_of("desc"),
            texts: elements().filter(|node| node.tag_name().name() == "text").map(written).collect(),
            polylines: elements().filter(thick).map(corners).collect(),
            size: (view[2], view[3]),
            bad: bad.collect(),
        }
    }

    /// What every figure promises.
    pub(super) fn check(&self) {
        assert!(self.bad.is_empty(), "not finite: {:?}", self.bad);
        let (width, height) = self.size;
        assert!((960.0..1e5).contains(&width) && (1.0..1e5).contains(&height), "{width} x {height}");
        for (number, text) in self.texts.iter().enumerate() {
            assert!(text.size >= 11.0, "{text:?} is too small");
            let Area { left, top, .. } = text.area;
            let inside = left >= -SLACK && top >= -SLACK;
            assert!(
                inside && text.area.right() <= width + SLACK && text.area.bottom() <= height + SLACK,
                "{text:?} is outside of {width} x {height}"
            );
            for other in &self.texts[..number] {
                assert!(!overlap(text.area, other.area), "{text:?} is over {other:?}");
            }
        }
    }

    /// The one line of text with these words.
    pub(super) fn text(&self, words: &str) -> &Written {
        let mut texts = self.texts.iter().filter(|text| text.words == words);
        let text = texts.next().unwrap_or_else(|| panic!("no {words:?} among {:?}", self.texts));
        assert!(texts.next().is_none(), "{words:?} is there twice");
        text
    }
}

fn overlap(one: Area, other: Area) -> bool {
    let beside = one.right() <= other.left + SLACK || other.right() <= one.left + SLACK;
    let above = one.bottom() <= other.top + SLACK || other.bottom() <= one.top + SLACK;
    !beside && !above
}

fn written(node: Node) -> Written {
    let number = |name| node.attribute(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let face = Face { size: number("font-size"), bold: node.attribute("font-weight") == Some("bold") };
    let turned = node.attribute("transform").is_some_and(|transform| transform.starts_with("rotate(-90"));
    let (x, y) = (number("x"), number("y"));
    let (x, y) = if turned { (x - face.drop(), y) } else { (x, y - face.drop()) };
    let anchor = match node.attribute("text-anchor") {
        None => Anchor::Start,
        Some("middle") => Anchor::Middle,
        Some(_) => Anchor::End,
    };
    let words = node.text().unwrap_or_default().to_owned();
    let label = Label { face, x, y, anchor, ink: "", turned };
    Written { area: label.area(&words), words, size: face.size }
}

fn corners(node: Node) -> Vec<(f64, f64)> {
    let numbers = numbers(node.attribute("points").unwrap_or_default());
    numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect()
}

fn numbers(text: &str) -> Vec<f64> {
    let numbers = text.split([' ', ',']).filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().expect("a number")).collect()
}
