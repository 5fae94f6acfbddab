//! The first batches of a model, which cost more than any later one: run before anybody waits for them.

use anyhow::{Context, Result};
use bytes::Bytes;
use mosel_core::Mode;

use crate::{Input, InputKind, Model, Request, Spec, Unanswered};

/// Runs the request once in every mode, so that networks are made, kernels loaded and memory is taken.
///
/// Call it before the model is said to be ready, in the thread that will own it if there is a choice. The request may be [`blank_request`] where
/// there is no real one. Fails if any of the runs does: such a model would not serve either.
pub fn warm_up(model: &mut dyn Model, request: &Request, modes: &[Mode]) -> Result<()> {
    for &mode in modes {
        run(model, request, mode).with_context(|| {
            let spec = model.spec();
            format!("warming up {} on {}", spec.name, mode.label(&spec.modality_names()))
        })?;
    }
    Ok(())
}

fn run(model: &mut dyn Model, request: &Request, mode: Mode) -> Result<()> {
    for answer in model.forward(&[request], mode.modalities, mode.precision)?.answers {
        // numbers that are no answer are made as well as others
        if let Err(error @ (Unanswered::Input(_) | Unanswered::Failed(_))) = answer {
            return Err(error.into());
        }
    }
    Ok(())
}

/// A request that this model takes and that says nothing: black, silent, zero, the letter a.
pub fn blank_request(spec: &Spec) -> Request {
    Request::new(spec.modalities.iter().map(|modality| blank(&modality.kind)).collect())
}

fn blank(kind: &InputKind) -> Input {
    let zeros = |shape: &[usize]| Input::Samples(vec![0.0; shape.iter().product()].into());
    match kind {
        InputKind::Picture { raw, .. } if raw.is_empty() => Input::Picture(Bytes::from_static(DOT)),
        InputKind::Video { raw, frames, .. } if raw.is_empty() => {
            Input::Frames(vec![Bytes::from_static(DOT); *frames].into())
        }
        InputKind::Picture { raw, .. } | InputKind::Video { raw, .. } => zeros(raw),
        InputKind::Sound { samples, .. } => zeros(&[*samples]),
        InputKind::Text { .. } => Input::Text(Bytes::from_static(b"a")),
        InputKind::Samples { shape } => zeros(shape),
    }
}

/// A PNG file of one black pixel.
const DOT: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\
    \x00\x00\x00\x0cIDATx\xdac```\x00\x00\x00\x04\x00\x01\xc8\xea\xeb\xf9\x00\x00\x00\x00IEND\xaeB`\x82";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeModel;
    use crate::zoo;
    use mosel_core::{ModalitySet, Precision};

    const FULL: Mode = Mode::full(ModalitySet::single(0));

    #[test]
    fn a_blank_request_is_what_every_model_expects() {
        let kinds = vec![
            InputKind::Picture { max_side: 1, raw: Vec::new() },
            InputKind::Picture { max_side: 4, raw: vec![2, 2, 3] },
            InputKind::Video { frames: 3, max_side: 1, raw: Vec::new() },
            InputKind::Video { frames: 2, max_side: 4, raw: vec![2, 2, 2, 3] },
            InputKind::Sound { hertz: 8000, samples: 5 },
            InputKind::Text { max_bytes: 1 },
            InputKind::Samples { shape: vec![2, 3] },
        ];
        let of_zoo = zoo::ALL.into_iter().flat_map(|task| task.spec_with("").modalities);
        for kind in kinds.into_iter().chain(of_zoo.map(|modality| modality.kind)) {
            assert_eq!(blank(&kind).check(&kind), Ok(()), "{kind:?}");
        }
    }

    #[test]
    fn every_mode_is_run_once() {
        let mut model = FakeModel::new();
        let blank = blank_request(model.spec());
        let reduced = Mode { precision: Precision::Bf16, ..FULL };
        warm_up(&mut model, &blank, &[FULL, reduced]).unwrap();
        assert_eq!(model.tried, [(1, Precision::Fp32), (1, Precision::Bf16)]);
    }

    #[test]
    fn a_model_that_cannot_be_warmed_says_where() {
        let mut model = FakeModel { fits: 0, ..FakeModel::new() };
        let blank = blank_request(model.spec());
        let refused = format!("{:#}", warm_up(&mut model, &blank, &[FULL]).unwrap_err());
        assert_eq!(refused, "warming up fake on text: out of memory: 1 requests, 0 fit");
    }
}
