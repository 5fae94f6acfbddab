//! Windows of sensors' numbers, which need no decoding.

use std::sync::Arc;

use mosel_core::ModalitySet;
use tch::{TchError, Tensor};

use super::batch::rows;
use super::model::Selected;
use mosel_models::prepare::samples_of;
use mosel_models::{Example, InputError, Spec};

/// The window of every sensor of a request; `None` for those that are not selected.
pub(super) type Windows = Vec<Option<Arc<[f32]>>>;

/// Takes the selected windows of a request.
pub(super) fn decode(selected: &Selected<'_>) -> Result<Windows, InputError> {
    (0..selected.spec.modalities.len()).map(|sensor| selected.decoded(sensor, samples_of)).collect()
}

/// All windows of training examples.
pub(super) fn of_examples(spec: &Spec, examples: &[Example]) -> Result<Vec<Windows>, InputError> {
    let modalities = ModalitySet::all(spec.modalities.len());
    examples.iter().map(|example| decode(&Selected { spec, request: &example.request, modalities })).collect()
}

/// The windows of one sensor as `[n, ..]` with rows of this shape; `None` if the requests are not served on it.
pub(super) fn batch(requests: &[&Windows], sensor: usize, shape: &[i64]) -> Result<Option<Tensor>, TchError> {
    rows(requests.iter().filter_map(|request| request[sensor].as_deref()), shape)
}

/// Some rows of the selected sensors' windows.
pub(super) fn select(
    windows: &[Option<Tensor>],
    rows: &Tensor,
    selection: ModalitySet,
) -> Result<Vec<Option<Tensor>>, TchError> {
    let of = |(sensor, windows): (usize, &Option<Tensor>)| {
        let windows = windows.as_ref().filter(|_| selection.contains(sensor));
        windows.map(|windows| windows.f_index_select(0, rows)).transpose()
    };
    windows.iter().enumerate().map(of).collect()
}
