//! Figures of anything: words of all scripts, values of all sizes, nothing at all.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::bars::{Bar, Group};
use crate::distributions::Distribution;
use crate::gantt::{Deadline, Plan};
use crate::lines::{Panel, Point, Position, Reference, Row, Series, Sharing, Spread};
use crate::{Axis, Bars, Distributions, Gantt, Lines, Numbers, Scale, bars, distributions, gantt};

/// A figure of one line; title, description and line are called the same.
pub(super) fn one_line(name: &str, points: &[(f64, f64)]) -> Lines {
    let points = points.iter().map(|&(x, y)| Point::new(x, y)).collect();
    let series = vec![Series { name: name.into(), points, dashed: false }];
    let rows = vec![Row { panels: vec![Panel { series, ..Panel::default() }], ..Row::default() }];
    Lines { title: name.into(), description: name.into(), rows, ..Lines::default() }
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z+ -]{0,16}", 1 => "[A-Za-z<&, ]{0,90}", 1 => any::<String>()]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.0,
        2 => -1e3..1e6,
        1 => prop::num::f64::ANY,
        1 => Just(1.0),
        1 => Just(f64::NAN),
        1 => (-300..300i32).prop_map(|power| 10f64.powi(power)),
    ]
}

fn interval() -> impl Strategy<Value = Option<(f64, f64)>> {
    option::of((value(), value()))
}

fn numbers() -> impl Strategy<Value = Numbers> {
    prop_oneof![Just(Numbers::Plain), Just(Numbers::Percent)]
}

fn axis() -> impl Strategy<Value = Axis> {
    let scale = prop_oneof![Just(Scale::Linear), Just(Scale::Log2), Just(Scale::Log10)];
    let axis = (words(), scale, numbers(), option::of((value(), value())));
    axis.prop_map(|(label, scale, numbers, reach)| Axis { label, scale, numbers, reach })
}

prop_compose! {
    fn series()(
        name in words(),
        points in vec((value(), value(), interval()), 0..40),
        dashed in any::<bool>(),
    ) -> Series {
        let points = points.into_iter().map(|(x, y, interval)| Point { x, y, interval }).collect();
        Series { name, points, dashed }
    }
}

prop_compose! {
    fn panel()(
        title in words(),
        series in vec(series(), 0..9),
        references in vec((words(), any::<bool>(), value()), 0..4),
    ) -> Panel {
        let reference = |(text, upright, at)| {
            Reference { text, at: if upright { Position::X(at) } else { Position::Y(at) } }
        };
        Panel { title, series, references: references.into_iter().map(reference).collect() }
    }
}

prop_compose! {
    pub(super) fn lines()(
        (title, description) in (words(), words()),
        x in axis(),
        rows in vec((axis(), vec(panel(), 0..4)), 0..3),
        sharing in prop_oneof![Just(Sharing::Figure), Just(Sharing::Row), Just(Sharing::Panel)],
        spread in prop_oneof![Just(Spread::Band), Just(Spread::Whiskers)],
    ) -> Lines {
        let rows = rows.into_iter().map(|(y, panels)| Row { y, panels }).collect();
        Lines { title, description, x, rows, sharing, spread }
    }
}

prop_compose! {
    fn group()(name in words(), bars in vec((words(), value(), interval()), 0..8)) -> Group {
        let bar = |(name, value, interval)| Bar { name, value, interval };
        Group { name, bars: bars.into_iter().map(bar).collect() }
    }
}

prop_compose! {
    pub(super) fn bars()(
        (title, description) in (words(), words()),
        columns in 0..5usize,
        panels in vec((words(), words(), numbers(), vec(group(), 0..4)), 0..5),
    ) -> Bars {
        let panel = |(title, label, numbers, groups)| bars::Panel { title, label, numbers, groups };
        Bars { title, description, columns, panels: panels.into_iter().map(panel).collect() }
    }
}

prop_compose! {
    fn distribution_panel()(
        title in words(),
        x in axis(),
        distributions in vec((words(), vec(value(), 0..60)), 0..5),
        references in vec((words(), value()), 0..4),
    ) -> distributions::Panel {
        let distribution = |(name, samples)| Distribution { name, samples };
        let reference = |(text, at)| distributions::Reference { text, at };
        distributions::Panel {
            title,
            x,
            distributions: distributions.into_iter().map(distribution).collect(),
            references: references.into_iter().map(reference).collect(),
        }
    }
}

prop_compose! {
    pub(super) fn distributions()(
        (title, description) in (words(), words()),
        columns in 0..4usize,
        panels in vec(distribution_panel(), 0..4),
    ) -> Distributions {
        Distributions { title, description, columns, panels }
    }
}

prop_compose! {
    fn gantt_row()(
        (name, note) in (words(), words()),
        bars in vec((value(), value(), words(), words()), 0..8),
        deadline in option::of(value()),
    ) -> gantt::Row {
        let bar = |(start, end, text, kind)| gantt::Bar { start, end, text, kind };
        gantt::Row { name, bars: bars.into_iter().map(bar).collect(), deadline, note }
    }
}

prop_compose! {
    fn plan()(
        (title, verdict) in (words(), words()),
        good in option::of(any::<bool>()),
        rows in vec(gantt_row(), 0..5),
        deadlines in vec((value(), words()), 0..5),
    ) -> Plan {
        let deadlines = deadlines.into_iter().map(|(at, text)| Deadline { at, text }).collect();
        Plan { title, verdict, good, rows, deadlines }
    }
}

prop_compose! {
    pub(super) fn gantt()(
        (title, description) in (words(), words()),
        x in axis(),
        plans in vec(plan(), 0..4),
    ) -> Gantt {
        Gantt { title, description, x, plans }
    }
}
