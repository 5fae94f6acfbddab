//! What the parts of a network hand to each other, and how answers are made of its last numbers.

use tch::{Kind, TchError, Tensor};

use super::failure::failed;
use mosel_models::{InputError, ModelError, Output, Spec, Unanswered};

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
///
/// A row that holds NaN or infinity is no answer; minus infinity beside finite numbers rules a label out.
pub(super) fn answers<T>(
    spec: &Spec,
    inputs: Vec<Result<T, InputError>>,
    logits: impl FnOnce(&[&T]) -> Result<Tensor, TchError>,
) -> Result<Vec<Result<Output, Unanswered>>, ModelError> {
    let sound: Vec<&T> = inputs.iter().flatten().collect();
    let mut rows = match sound.len() {
        0 => Vec::new(),
        count => labeled(&logits(&sound).map_err(failed)?, [count as i64, spec.labels.len() as i64])?,
    }
    .into_iter();
    let mut answer = |_| {
        let (label, probability) = rows.next().expect("a row of logits for every sound request");
        Ok(spec.output(label as usize, probability)?)
    };
    Ok(inputs.into_iter().map(|input| input.map_err(Unanswered::from).and_then(&mut answer)).collect())
}

/// The most probable label of every row, and its probability.
fn labeled(logits: &Tensor, expected: [i64; 2]) -> Result<Vec<(i64, f32)>, ModelError> {
    if logits.size() != expected {
        return Err(ModelError::AnswerShape { expected, got: logits.size() });
    }
    let most = || {
        let (probabilities, labels) = logits.f_softmax(-1, Kind::Float)?.f_max_dim(-1, false)?;
        Ok((Vec::<f32>::try_from(&probabilities)?, Vec::<i64>::try_from(&labels)?))
    };
    let (probabilities, labels) = most().map_err(failed)?;
    Ok(labels.into_iter().zip(probabilities).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        let labels: Vec<String> = vec!["a".into(), "b".into()];
        Spec { name: "toy".into(), modalities: Vec::new(), labels: labels.into(), weights_sha256: String::new() }
    }

    fn answered(logits: &[f32], shape: [i64; 2]) -> Result<Vec<String>, ModelError> {
        let inputs = vec![Ok(()); 3];
        let answers = answers(&spec(), inputs, |_| Tensor::f_from_slice(logits)?.f_view(shape))?;
        Ok(answers.into_iter().map(|it| it.map_or_else(|error| error.code().into(), |it| it.name)).collect())
    }

    #[test]
    fn numbers_that_are_none_fail_their_own_request() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        assert_eq!(answered(&[0.0, 1.0, nan, 0.0, 3.0, 2.0], [3, 2]).unwrap(), ["b", "output_not_finite", "a"]);
        assert_eq!(answered(&[0.0, inf, inf, inf, 3.0, 2.0], [3, 2]).unwrap()[..2], ["output_not_finite"; 2]);
        assert_eq!(answered(&[-inf, -inf, -inf, 0.0, 3.0, 2.0], [3, 2]).unwrap(), ["output_not_finite", "b", "a"]);
    }

    #[test]
    fn an_answer_of_another_shape_fails_the_batch_with_words() {
        let said = |shape, numbers: usize| answered(&vec![0.0; numbers], shape).unwrap_err().to_string();
        assert_eq!(
            said([3, 4], 12),
            "expected an answer of [3, 2] (a row a request, a column a label), the model gave [3, 4]"
        );
        assert!(said([2, 2], 4).ends_with("the model gave [2, 2]"));
    }
}
