//! What holds for every drawing, whatever is drawn.

mod any;
mod drawing;
mod lines;
mod page;

use proptest::prelude::*;

use self::any::{bars, distributions, gantt, lines};
use self::drawing::Drawing;
use crate::bars::{Bar, Group};
use crate::distributions::Distribution;
use crate::gantt::{Plan, Row};
use crate::{Bars, Distributions, Gantt, Lines};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_are_well_formed_and_clear_of_each_other(figure in lines()) {
        Drawing::read(&figure.svg()).check();
    }

    #[test]
    fn bars_are_well_formed_and_clear_of_each_other(figure in bars()) {
        Drawing::read(&figure.svg()).check();
    }

    #[test]
    fn distributions_are_well_formed_and_clear_of_each_other(figure in distributions()) {
        Drawing::read(&figure.svg()).check();
    }

    #[test]
    fn plans_are_well_formed_and_clear_of_each_other(figure in gantt()) {
        Drawing::read(&figure.svg()).check();
    }

    #[test]
    fn the_same_figure_has_the_same_bytes(
        (lines, bars, distributions, gantt) in (lines(), bars(), distributions(), gantt())
    ) {
        prop_assert_eq!(lines.clone().svg(), lines.svg());
        prop_assert_eq!(bars.clone().svg(), bars.svg());
        prop_assert_eq!(distributions.clone().svg(), distributions.svg());
        prop_assert_eq!(gantt.clone().svg(), gantt.svg());
    }
}

#[test]
fn nothing_at_all_is_a_figure_too() {
    let panels = vec![crate::bars::Panel { groups: vec![Group::default()], ..Default::default() }];
    let empty = [
        Lines::default().svg(),
        Lines { rows: vec![crate::lines::Row::default()], ..Lines::default() }.svg(),
        Bars::default().svg(),
        Bars { panels, ..Bars::default() }.svg(),
        Distributions::default().svg(),
        Distributions { panels: vec![Default::default()], ..Distributions::default() }.svg(),
        Gantt::default().svg(),
        Gantt { plans: vec![Plan { rows: vec![Row::default()], ..Plan::default() }], ..Gantt::default() }.svg(),
    ];
    empty.iter().for_each(|svg| Drawing::read(svg).check());
}

const NASTY: &str = "<a & b> \"c\" 'd'";

#[test]
fn titles_and_names_are_escaped_in_every_kind() {
    let (title, description, name) = (NASTY.to_owned(), NASTY.to_owned(), NASTY.to_owned());
    let lines = any::one_line(NASTY, &[(0.0, 1.0), (1.0, 2.0)]);
    let bar = Bar { name: name.clone(), value: 1.0, interval: None };
    let panel =
        crate::bars::Panel { groups: vec![Group { name: String::new(), bars: vec![bar] }], ..Default::default() };
    let bars = Bars { title: title.clone(), description: description.clone(), panels: vec![panel], columns: 1 };
    let distribution = Distribution { name: name.clone(), samples: vec![1.0] };
    let panel = crate::distributions::Panel { distributions: vec![distribution], ..Default::default() };
    let (panels, columns) = (vec![panel], 1);
    let distributions = Distributions { title: title.clone(), description: description.clone(), columns, panels };
    let bar = crate::gantt::Bar { start: 0.0, end: 9.0, text: NASTY.to_owned(), kind: String::new() };
    let row = Row { name, bars: vec![bar], ..Row::default() };
    let plans = vec![Plan { rows: vec![row], ..Plan::default() }];
    let gantt = Gantt { title, description, plans, ..Gantt::default() };
    for svg in [lines.svg(), bars.svg(), distributions.svg(), gantt.svg()] {
        let drawing = Drawing::read(&svg);
        assert_eq!((drawing.title.as_str(), drawing.description.as_str()), (NASTY, NASTY));
        assert!(drawing.texts.iter().any(|text| text.words == NASTY), "{svg}");
    }
}

#[test]
fn every_bar_has_its_value_above_it() {
    let values = [("text", 0.7), ("image", 0.85), ("text+image", 0.9342)];
    let bars = values.map(|(name, value)| Bar { name: name.into(), value, interval: None }).to_vec();
    let numbers = crate::Numbers::Percent;
    let panel =
        crate::bars::Panel { groups: vec![Group { name: "emoji".into(), bars }], numbers, ..Default::default() };
    let svg = Bars { panels: vec![panel], ..Bars::default() }.svg();
    let drawing = Drawing::read(&svg);
    let bottoms = ["70.0 %", "85.0 %", "93.4 %"].map(|value| drawing.text(&value.replace(' ', "\u{a0}")).area.bottom());
    assert!(bottoms.is_sorted_by(|one, next| one > next), "higher bars have higher values: {bottoms:?}");
}

#[test]
fn jobs_behind_their_deadline_are_said_to_be_late_and_others_are_not() {
    let figure = |end| {
        let bar = crate::gantt::Bar { end, text: "job".into(), ..Default::default() };
        let row = Row { bars: vec![bar], deadline: Some(10.0), ..Row::default() };
        Gantt { plans: vec![Plan { rows: vec![row], ..Plan::default() }], ..Gantt::default() }.svg()
    };
    let is_late = |svg: &str| Drawing::read(svg).texts.iter().any(|text| text.words == "late");
    assert_eq!([is_late(&figure(10.0)), is_late(&figure(11.0))], [false, true]);
}

#[test]
fn what_runs_at_the_same_time_is_drawn_one_below_the_other() {
    let bar = |start, end, text: &str| crate::gantt::Bar { start, end, text: text.into(), kind: String::new() };
    let bars = vec![bar(0.0, 10.0, "one"), bar(5.0, 15.0, "two"), bar(10.0, 20.0, "three")];
    let plans = vec![Plan { rows: vec![Row { bars, ..Row::default() }], ..Plan::default() }];
    let svg = Gantt { plans, ..Gantt::default() }.svg();
    let drawing = Drawing::read(&svg);
    let [one, two, three] = ["one", "two", "three"].map(|words| drawing.text(words).area.top);
    assert!(one < two && one == three, "{one}, {two}, {three}");
}
