//! What is particular to lines: names at their ends, gaps, axes.

use super::any::one_line;
use super::drawing::Drawing;
use crate::lines::{Panel, Point, Position, Reference, Row, Series, Sharing};
use crate::{Axis, Lines, Numbers};

const NAMES: [&str; 7] = ["exact", "ilp", "greedy", "squeeze", "fair-share", "earliest-deadline", "highest-accuracy"];

/// Seven lines that end at these values.
fn ending_at(ends: [f64; 7]) -> Lines {
    let series = NAMES.iter().zip(ends).map(|(name, end)| Series {
        name: (*name).into(),
        points: vec![Point::new(1.0, 0.5), Point::new(2.0, end)],
        dashed: false,
    });
    let panel = Panel { series: series.collect(), ..Panel::default() };
    let y = Axis { numbers: Numbers::Percent, reach: Some((0.0, 1.0)), ..Axis::default() };
    Lines { rows: vec![Row { y, panels: vec![panel] }], ..Lines::default() }
}

fn middles(svg: &str) -> [f64; 7] {
    let drawing = Drawing::read(svg);
    drawing.check();
    NAMES.map(|name| {
        let area = drawing.text(name).area;
        area.top + area.height / 2.0
    })
}

#[test]
fn five_lines_that_end_together_have_their_names_one_below_the_other() {
    let middles = middles(&ending_at([0.9, 0.9, 0.9, 0.9, 0.9, 0.4, 0.1]).svg());
    assert!(middles.windows(2).all(|pair| pair[1] - pair[0] >= 11.0), "{middles:?}");
}

#[test]
fn names_stand_in_the_order_in_which_lines_end() {
    let ends = [0.2, 0.91, 0.905, 0.9, 0.3, 0.902, 0.0];
    let middles = middles(&ending_at(ends).svg());
    for (one, above) in ends.iter().zip(middles) {
        for (other, below) in ends.iter().zip(middles) {
            assert!(one <= other || above < below, "{one} ends above {other}: {middles:?}");
        }
    }
}

#[test]
fn a_name_with_room_stands_where_its_line_ends() {
    let svg = ending_at([0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95]).svg();
    let drawing = Drawing::read(&svg);
    for (line, middle) in drawing.polylines.iter().zip(middles(&svg)) {
        let end = line.last().expect("a line has points").1;
        assert!((end - middle).abs() < 1.0, "{end} and {middle}");
    }
}

#[test]
fn what_is_not_a_number_leaves_a_gap() {
    let nan = f64::NAN;
    let svg =
        one_line("a", &[(0.0, 1.0), (1.0, 2.0), (2.0, nan), (3.0, 1.0), (nan, 2.0), (5.0, 1.0), (6.0, 1.0)]).svg();
    let lengths: Vec<usize> = Drawing::read(&svg).polylines.iter().map(Vec::len).collect();
    // the point between the two gaps is a mark alone
    assert_eq!(lengths, [2, 2]);
}

#[test]
fn there_is_a_legend_where_there_are_several_panels_and_only_there() {
    let mut lines = one_line("greedy", &[(0.0, 1.0), (1.0, 2.0)]);
    let count = |lines: &Lines| Drawing::read(&lines.svg()).texts.iter().filter(|text| text.words == "greedy").count();
    assert_eq!(count(&lines), 1);
    let panel = lines.rows[0].panels[0].clone();
    lines.rows[0].panels.push(panel);
    assert_eq!(count(&lines), 3);
}

#[test]
fn panels_that_share_an_axis_have_its_numbers_once() {
    let mut lines = one_line("a", &[(0.0, 0.0), (1.0, 40.0)]);
    let panel = lines.rows[0].panels[0].clone();
    lines.rows[0].panels.push(panel);
    let count = |lines: &Lines| Drawing::read(&lines.svg()).texts.iter().filter(|text| text.words == "40").count();
    assert_eq!(count(&lines), 1);
    lines.sharing = Sharing::Panel;
    assert_eq!(count(&lines), 2);
}

#[test]
fn a_reference_is_on_the_axis_and_has_its_text() {
    let mut lines = one_line("a", &[(0.0, 10.0), (1.0, 12.0)]);
    lines.rows[0].panels[0].references = vec![
        Reference { text: "capacity".into(), at: Position::X(5.0) },
        Reference { text: "floor".into(), at: Position::Y(40.0) },
    ];
    let svg = lines.svg();
    let drawing = Drawing::read(&svg);
    drawing.check();
    assert!(drawing.text("capacity").area.bottom() < drawing.text("floor").area.top);
    assert!(drawing.text("floor").area.top < drawing.text("a").area.top);
}
