//! Tables on a terminal, in one style.

use comfy_table::{Table, presets};

/// An empty table with lines between its rows.
pub(crate) fn ruled() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table
}
