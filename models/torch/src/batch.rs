//! What the parts of a network hand to each other, and how answers are made of its last numbers.

use tch::{Kind, TchError, Tensor};

use mosel_models::{InputError, Output, Spec};

/// One modality of a batch as tokens.
pub(super) struct Tokens {
    /// `[n, length, width]`.
    pub(super) states: Tensor,
    /// `[n, length]`, false where a row is padded; `None` if no row is.
    pub(super) present: Option<Tensor>,
}

impl Tokens {
    /// Which tokens of all these parts, one behind the other, may be looked at: `[n, 1, 1, length]`; `None` if all may.
    pub(super) fn mask(parts: &[Tokens]) -> Result<Option<Tensor>, TchError> {
        if parts.iter().all(|tokens| tokens.present.is_none()) {
            return Ok(None);
        }
        let present = parts.iter().map(|tokens| match &tokens.present {
            Some(present) => Ok(present.shallow_clone()),
            None => {
                let (count, length, _) = tokens.states.size3()?;
                Tensor::f_ones([count, length], (Kind::Bool, tokens.states.device()))
            }
        });
        let present = Tensor::f_cat(&present.collect::<Result<Vec<_>, _>>()?, 1)?;
        Ok(Some(present.f_unsqueeze(1)?.f_unsqueeze(1)?))
    }
}

/// Numbers of one modality, request by request, as `[n, ..]` with rows of this shape; `None` if no request has them.
pub(super) fn rows<'a>(requests: impl Iterator<Item = &'a [f32]>, shape: &[i64]) -> Result<Option<Tensor>, TchError> {
    let numbers: Vec<&[f32]> = requests.collect();
    if numbers.is_empty() {
        return Ok(None);
    }
    let shape = [&[numbers.len() as i64], shape].concat();
    Ok(Some(Tensor::f_from_slice(&numbers.concat())?.f_view(shape.as_slice())?))
}

/// The answers to a batch: `logits` is given the inputs that are sound, if there are any, and has a row for each.
pub(super) fn answers<T>(
    spec: &Spec,
    inputs: Vec<Result<T, InputError>>,
    logits: impl FnOnce(&[&T]) -> Result<Tensor, TchError>,
) -> Result<Vec<Result<Output, InputError>>, TchError> {
    let sound: Vec<&T> = inputs.iter().flatten().collect();
    if sound.is_empty() {
        return Ok(inputs.into_iter().filter_map(Result::err).map(Err).collect());
    }
    let logits = logits(&sound)?;
    let (probabilities, labels) = logits.f_softmax(-1, Kind::Float)?.f_max_dim(-1, false)?;
    let probabilities = Vec::<f32>::try_from(&probabilities)?;
    let labels = Vec::<i64>::try_from(&labels)?;
    let mut rows = labels.into_iter().zip(probabilities);
    let mut answer = |_| {
        let (label, probability) = rows.next().expect("a row of logits for every sound request");
        spec.output(label as usize, probability)
    };
    Ok(inputs.into_iter().map(|input| input.map(&mut answer)).collect())
}
