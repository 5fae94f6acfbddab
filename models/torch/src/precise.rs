//! A network at every precision that is asked for, each made once from the same weights.

use std::collections::BTreeMap;

use anyhow::Result;
use mosel_core::Precision;
use tch::Kind;

use super::failure::failure;
use mosel_models::ModelError;

/// The same network with numbers of several kinds.
///
/// One that nobody asks for is never made. The first batch of a precision pays for it, so who serves warms up first.
pub(super) struct Precise<N> {
    make: Box<dyn Fn(Kind) -> Result<N> + Send>,
    made: BTreeMap<Precision, N>,
}

impl<N> Precise<N> {
    /// Makes the network in full precision at once: weights that do not fit show at load, not at the first batch.
    pub(super) fn new(make: impl Fn(Kind) -> Result<N> + Send + 'static) -> Result<Precise<N>> {
        let made = BTreeMap::from([(Precision::Fp32, make(Kind::Float)?)]);
        Ok(Precise { make: Box::new(make), made })
    }

    /// The network that computes with this precision.
    pub(super) fn at(&mut self, precision: Precision) -> Result<&N, ModelError> {
        if !self.made.contains_key(&precision) {
            let network = (self.make)(kind(precision));
            let network = network.map_err(|error| failure(&format!("at {precision}: {error:#}")))?;
            self.made.insert(precision, network);
        }
        Ok(&self.made[&precision])
    }
}

/// libtorch's name of a precision.
pub(super) fn kind(precision: Precision) -> Kind {
    match precision {
        Precision::Fp32 => Kind::Float,
        Precision::Bf16 => Kind::BFloat16,
        Precision::Fp16 => Kind::Half,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_network_is_made_once_for_every_precision_that_is_used() {
        let made = Arc::new(AtomicU32::new(0));
        let count = made.clone();
        let mut precise = Precise::new(move |kind| {
            count.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(kind != Kind::Half, "no half");
            Ok(kind)
        })
        .unwrap();
        assert_eq!(precise.at(Precision::Fp32), Ok(&Kind::Float));
        assert_eq!(precise.at(Precision::Bf16), Ok(&Kind::BFloat16));
        assert_eq!(precise.at(Precision::Bf16), Ok(&Kind::BFloat16));
        assert_eq!(made.load(Ordering::Relaxed), 2);
        assert_eq!(precise.at(Precision::Fp16), Err(ModelError::Backend("at fp16: no half".into())));
    }
}
