//! What every forward pass holds while it computes: nothing is kept for gradients.

use super::accelerator::InferenceMode;
use mosel_models::ModelError;

/// Held by a forward pass: libtorch's inference mode, which does less for every tensor than switching gradients off.
///
/// What is made meanwhile, a network in another precision for example, can be used by forward passes alone: training
/// holds no guard and makes its own tensors.
#[derive(Debug)]
pub(super) struct Forward {
    _mode: InferenceMode,
}

impl Forward {
    /// Begins; the calling thread's, until it is dropped.
    pub(super) fn begin() -> Result<Forward, ModelError> {
        Ok(Forward { _mode: InferenceMode::begin()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    #[test]
    fn a_tensor_made_in_a_forward_pass_is_used_and_changed_by_the_next() {
        let weight = Tensor::ones([2], tch::kind::FLOAT_CPU);
        let made = {
            let _forward = Forward::begin().unwrap();
            weight.f_to_kind(tch::Kind::BFloat16).unwrap()
        };
        let _forward = Forward::begin().unwrap();
        let mut sum = made.f_add(&made).unwrap();
        sum = sum.f_add_(&made).unwrap();
        assert_eq!(sum.double_value(&[0]), 3.0);
    }
}
