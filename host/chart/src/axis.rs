//! What a caller says about an axis.

use crate::Numbers;

/// What runs along one side of a panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What is shown, with its unit: "offered load (multiple of capacity)".
    pub label: String,
    /// How values are laid out.
    pub scale: Scale,
    /// How values are written.
    pub numbers: Numbers,
    /// Values that the axis reaches at least, whatever the points are: (0, 1) for shares. Nothing is ever cut off.
    pub reach: Option<(f64, f64)>,
}

/// How values are laid out along an axis. On logarithmic ones there is no place for 0 and less: such points are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally long.
    #[default]
    Linear,
    /// Equal ratios are equally long; ticks at powers of two.
    Log2,
    /// Equal ratios are equally long; ticks at powers of ten, and between them where there is room.
    Log10,
}

impl Scale {
    /// The base of a logarithmic scale.
    pub(crate) fn base(self) -> Option<f64> {
        match self {
            Scale::Linear => None,
            Scale::Log2 => Some(2.0),
            Scale::Log10 => Some(10.0),
        }
    }
}
