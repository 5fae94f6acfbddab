//! all-MiniLM-L6-v2, a small BERT (Devlin and others, 2018; Wang and others, 2020), as a tower: text to token states.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tch::{Device, TchError, Tensor};

use super::batch::Tokens;
use super::layers::{Linear, Norm, Source, attention};
use super::shared::Shared;
use super::weights::Weights;
use mosel_models::prepare::Tokenizer;

/// Where its weights lie among the assets.
pub(super) const FILE: &str = "towers/minilm.safetensors";
/// Where the words it knows do.
pub(super) const TOKENIZER: &str = "towers/minilm-tokenizer.json";
/// Width of a token.
pub(super) const WIDTH: i64 = 384;
/// Tokens kept of a text, the two that mark its ends included.
pub(super) const MAX_TOKENS: usize = 12;

const LAYERS: usize = 6;
const HEADS: i64 = 12;
const HIDDEN: i64 = 1536;
const WORDS: i64 = 30522;
const POSITIONS: i64 = 512;
const EPSILON: f64 = 1e-12;

/// The network.
pub(super) struct MiniLm {
    words: Tensor,
    /// Of the positions in use, with the type of a lone sentence added.
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Query, key and value in one product.
    qkv: Linear,
    attended: Linear,
    attention_norm: Norm,
    widen: Linear,
    narrow: Linear,
    output_norm: Norm,
}

impl MiniLm {
    /// Reads the network from its authors' names.
    pub(super) fn new(weights: &Weights) -> Result<MiniLm> {
        let source = Source::Stored(weights);
        let words = weights.get("embeddings.word_embeddings.weight", &[WORDS, WIDTH])?;
        let positions = weights.get("embeddings.position_embeddings.weight", &[POSITIONS, WIDTH])?;
        let types = weights.get("embeddings.token_type_embeddings.weight", &[2, WIDTH])?;
        Ok(MiniLm {
            words,
            positions: positions.f_narrow(0, 0, MAX_TOKENS as i64)?.f_add(&types.f_get(0)?)?,
            norm: Norm::new(&source, "embeddings.LayerNorm", WIDTH, EPSILON)?,
            layers: (0..LAYERS).map(|layer| Layer::new(&source, layer)).collect::<Result<_>>()?,
        })
    }

    /// Token states `[n, longest, 384]` of texts, each of 1 to [`MAX_TOKENS`] token numbers.
    pub(super) fn tokens(&self, texts: &[&[i64]], device: Device) -> Result<Tokens, TchError> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let mut numbers = vec![0i64; texts.len() * longest];
        let mut present = vec![false; numbers.len()];
        for (row, text) in texts.iter().enumerate() {
            let start = row * longest;
            numbers[start..start + text.len()].copy_from_slice(text);
            present[start..start + text.len()].fill(true);
        }
        let shape = [texts.len() as i64, longest as i64];
        let numbers = Tensor::f_from_slice(&numbers)?.f_view(shape)?.f_to_device(device)?;
        let padded = present.contains(&false);
        let present = Tensor::f_from_slice(&present)?.f_view(shape)?.f_to_device(device)?;
        let present = padded.then_some(present);
        Ok(Tokens { states: self.states(&numbers, present.as_ref())?, present })
    }

    fn states(&self, numbers: &Tensor, present: Option<&Tensor>) -> Result<Tensor, TchError> {
        let longest = numbers.size2()?.1;
        let words = Tensor::f_embedding(&self.words, numbers, -1, false, false)?;
        let mut states = self.norm.forward(&words.f_add(&self.positions.f_narrow(0, 0, longest)?)?)?;
        // to be broadcast over heads and queries
        let mask = present.map(|present| present.f_unsqueeze(1)?.f_unsqueeze(1)).transpose()?;
        for layer in &self.layers {
            states = layer.forward(&states, mask.as_ref())?;
        }
        Ok(states)
    }
}

impl Layer {
    fn new(source: &Source<'_>, number: usize) -> Result<Layer> {
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let square = |part: &str| Linear::new(source, &name(part), WIDTH, WIDTH);
        let norm = |part: &str| Norm::new(source, &name(part), WIDTH, EPSILON);
        let (query, key, value) =
            (square("attention.self.query")?, square("attention.self.key")?, square("attention.self.value")?);
        Ok(Layer {
            qkv: Linear::side_by_side(&[query, key, value])?,
            attended: square("attention.output.dense")?,
            attention_norm: norm("attention.output.LayerNorm")?,
            widen: Linear::new(source, &name("intermediate.dense"), WIDTH, HIDDEN)?,
            narrow: Linear::new(source, &name("output.dense"), HIDDEN, WIDTH)?,
            output_norm: norm("output.LayerNorm")?,
        })
    }

    fn forward(&self, states: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, TchError> {
        let attended = attention(&self.qkv.forward(states)?, HEADS, mask)?;
        let states = self.attention_norm.forward(&self.attended.forward(&attended)?.f_add(states)?)?;
        let wide = self.widen.forward(&states)?.f_gelu("none")?;
        self.output_norm.forward(&self.narrow.forward(&wide)?.f_add(&states)?)
    }
}

/// The tokenizer, which cuts after [`MAX_TOKENS`]. There is one for all lanes: reading it takes as long as making the
/// network.
pub(super) fn tokenizer(path: &Path) -> Result<Arc<Tokenizer>> {
    static TOKENIZERS: Shared<Tokenizer> = Shared::new();
    // its file asks for 128 tokens, padded
    TOKENIZERS.get(path, Device::Cpu, || {
        let tokenizer = Tokenizer::read(path, MAX_TOKENS)?;
        let largest = tokenizer.largest();
        ensure!(largest < WORDS, "expected a tokenizer of at most {WORDS} tokens, got one with number {largest}");
        Ok(tokenizer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_models::assets::Assets;
    use tch::Kind;

    fn minilm() -> MiniLm {
        tch::set_num_threads(1);
        let assets = Assets::standard();
        let weights = assets.path(FILE).expect("run `make setup` first");
        let weights = Weights::read(&weights, Device::Cpu).unwrap();
        MiniLm::new(&weights).unwrap()
    }

    fn tokenize(text: &str) -> Vec<i64> {
        let path = Assets::standard().path(TOKENIZER).unwrap();
        tokenizer(&path).unwrap().tokenize(text).unwrap()
    }

    /// The mean of the token states, which is how its authors compare sentences.
    fn sentence(minilm: &MiniLm, text: &str) -> Tensor {
        let numbers = tokenize(text);
        let tokens = minilm.tokens(&[&numbers], Device::Cpu).unwrap();
        tokens.states.get(0).mean_dim(0i64, false, Kind::Float)
    }

    #[test]
    fn texts_of_like_meaning_are_near_each_other() {
        let minilm = minilm();
        let near = |a: &str, b: &str| {
            let (a, b) = (sentence(&minilm, a), sentence(&minilm, b));
            Tensor::cosine_similarity(&a, &b, 0, 1e-8).double_value(&[])
        };
        let (kitten, airplane) = (near("cat", "kitten"), near("cat", "airplane"));
        assert!(kitten > 0.7 && airplane < 0.5, "kitten {kitten}, airplane {airplane}");
        assert!(near("red fruit", "strawberry") > near("red fruit", "police car"));
    }

    #[test]
    fn tokens_are_those_of_bert() {
        assert_eq!(tokenize("Hello WORLD"), [101, 7592, 2088, 102]);
        let long = tokenize(&"word ".repeat(100));
        assert_eq!((long.len(), long.last()), (MAX_TOKENS, Some(&102)));
    }

    #[test]
    fn a_longer_neighbour_changes_no_state() {
        let minilm = minilm();
        let (short, long) = (tokenize("sun"), tokenize("a very long name of a thing"));
        let alone = minilm.tokens(&[&short], Device::Cpu).unwrap();
        let together = minilm.tokens(&[&short, &long], Device::Cpu).unwrap();
        assert!(alone.present.is_none() && together.present.is_some());
        let states = together.states.get(0).narrow(0, 0, short.len() as i64);
        let difference = (states - alone.states.get(0)).abs().max().double_value(&[]);
        assert!(difference < 1e-4, "{difference}");
    }
}
