//! How wide the bars of a panel are, and whether there is room to write across or only along them.

use super::chart::{Bar, Group, Panel};
use crate::text::{PLAIN, SMALL};

/// The places of a panel's bars and texts.
#[derive(Debug)]
pub(super) struct Layout {
    /// Pixels from one bar of a group to the next.
    pub(super) slot: f64,
    /// From the panel's left to where the first group begins, with what is left free before its bars.
    pub(super) start: f64,
    /// Whether values are written upwards.
    pub(super) values_turned: bool,
    /// Whether names are written upwards.
    pub(super) names_turned: bool,
    /// What values take above the highest bar.
    pub(super) head: f64,
    /// What the names of bars take.
    pub(super) names: f64,
    /// What names of bars and groups take.
    pub(super) foot: f64,
}

/// How high a panel is, in pixels.
pub(super) const HEIGHT: f64 = 190.0;
/// Slots left free between groups.
pub(super) const BETWEEN: f64 = 0.7;
/// The least and the largest slot, in pixels.
const NARROWEST: f64 = 17.0;
const WIDEST: f64 = 96.0;
/// Pixels between two texts side by side, and between a bar and its texts.
const GAP: f64 = 5.0;
pub(super) const CLEAR: f64 = 5.0;
/// Names of bars: lines if written across, pixels if written upwards, at most.
const NAME_LINES: usize = 3;
const NAME_LENGTH: f64 = 120.0;
const GROUP_LINES: usize = 2;

/// What a panel's bars need at least.
pub(super) fn least_width(panel: &Panel) -> f64 {
    slots(panel) * NARROWEST
}

impl Layout {
    pub(super) fn of(panel: &Panel, width: f64) -> Layout {
        let slot = (width / slots(panel)).min(WIDEST);
        let bars = || panel.groups.iter().flat_map(|group| &group.bars);
        let values = bars().map(|bar| SMALL.width(&panel.numbers.show(bar.value))).fold(0.0, f64::max);
        let values_turned = values + GAP > slot;
        let names_turned = bars().any(|bar| !fits_across(bar, slot));
        let name = |bar: &Bar| match names_turned {
            true => SMALL.width(&turned_name(bar)),
            false => across_name(bar, slot).len() as f64 * SMALL.line(),
        };
        let names = CLEAR + bars().map(name).fold(0.0, f64::max);
        let lines = panel.groups.iter().map(|group| group_name(group, slot).len()).max().unwrap_or(0);
        let foot = names + if lines == 0 { 0.0 } else { 2.0 * CLEAR + lines as f64 * PLAIN.line() };
        Layout {
            slot,
            start: (width - slots(panel) * slot) / 2.0,
            values_turned,
            names_turned,
            head: CLEAR + if values_turned { values } else { SMALL.line() },
            names,
            foot,
        }
    }
}

/// Slots that a panel's groups take, with what is left free round each of them.
fn slots(panel: &Panel) -> f64 {
    panel.groups.iter().map(|group| bar_slots(group) + BETWEEN).sum::<f64>().max(1.0)
}

/// Slots that a group's bars take; a group without bars has room for its name all the same.
pub(super) fn bar_slots(group: &Group) -> f64 {
    group.bars.len().max(1) as f64
}

/// The lines of a bar's name if it is written across.
pub(super) fn across_name(bar: &Bar, slot: f64) -> Vec<String> {
    SMALL.wrap(&bar.name, slot - GAP, NAME_LINES)
}

/// A bar's name if it is written upwards.
pub(super) fn turned_name(bar: &Bar) -> String {
    SMALL.fit(&bar.name, NAME_LENGTH)
}

/// The lines of a group's name below its bars.
pub(super) fn group_name(group: &Group, slot: f64) -> Vec<String> {
    PLAIN.wrap(&group.name, (bar_slots(group) + BETWEEN) * slot - GAP, GROUP_LINES)
}

/// Whether nothing of the name is cut off when it is written across.
fn fits_across(bar: &Bar, slot: f64) -> bool {
    let letters = |text: &str| text.split_whitespace().collect::<String>();
    letters(&across_name(bar, slot).concat()) == letters(&bar.name)
}
