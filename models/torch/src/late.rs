//! Late fusion: every modality becomes one vector, the vectors side by side are read by two layers.
//!
//! A modality is absent when a learned vector stands in its place: nothing is computed for it.

use anyhow::Result;
use tch::{TchError, Tensor};

use super::layers::{Linear, SMALL, Source};

/// The size of a late fusion.
pub(super) struct Shape<'a> {
    /// Names of the modalities, in the model's order.
    pub(super) streams: &'a [&'a str],
    /// Width of every modality's vector.
    pub(super) width: i64,
    /// Numbers between the two layers.
    pub(super) hidden: i64,
    /// Labels to tell apart.
    pub(super) labels: i64,
}

/// The network behind the streams. Trained and served by the same code; only training drops anything out.
pub(super) struct Late {
    absent: Vec<Tensor>,
    hidden: Linear,
    head: Linear,
}

const DROPOUT: f64 = 0.3;

impl Late {
    /// The network with weights from `source`.
    pub(super) fn new(source: &Source<'_>, shape: &Shape<'_>) -> Result<Late> {
        let absent = |stream: &&str| source.tensor(&format!("{stream}.absent"), &[1, shape.width], SMALL);
        Ok(Late {
            absent: shape.streams.iter().map(absent).collect::<Result<_>>()?,
            hidden: Linear::new(source, "hidden", shape.width * shape.streams.len() as i64, shape.hidden)?,
            head: Linear::new(source, "head", shape.hidden, shape.labels)?,
        })
    }

    /// Logits `[n, labels]` from the vectors `[n, width]` of the modalities that are there: at least one is.
    pub(super) fn logits(&self, vectors: &[Option<Tensor>], train: bool) -> Result<Tensor, TchError> {
        let count = vectors.iter().flatten().next().map_or(0, |vectors| vectors.size()[0]);
        let or_absent = |(vectors, absent): (&Option<Tensor>, &Tensor)| match vectors {
            Some(vectors) => Ok(vectors.shallow_clone()),
            None => absent.f_expand([count, -1], false),
        };
        let side_by_side: Vec<Tensor> =
            vectors.iter().zip(&self.absent).map(or_absent).collect::<Result<_, TchError>>()?;
        let vectors = Tensor::f_cat(&side_by_side, 1)?.f_dropout(DROPOUT, train)?;
        let hidden = self.hidden.forward(&vectors)?.f_gelu("none")?.f_dropout(DROPOUT, train)?;
        self.head.forward(&hidden)
    }
}
