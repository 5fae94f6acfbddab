//! Text to token numbers.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use tokenizers::{PostProcessor, TruncationParams};

use super::contained;
use crate::{Input, InputFault, InputKind};

/// The text that came for a modality of kind [`InputKind::Text`].
pub fn text_of<'i>(input: &'i Input, kind: &InputKind) -> Result<&'i str, InputFault> {
    input.check(kind)?;
    match input {
        Input::Text(text) => {
            std::str::from_utf8(text).map_err(|error| InputFault::NotUtf8 { position: error.valid_up_to() })
        }
        _ => Err(InputFault::WrongKind { expected: kind.describe(), got: "something that is not text" }),
    }
}

/// Cuts text into tokens, as a `tokenizer.json` of Hugging Face's `tokenizers` says.
pub struct Tokenizer {
    tokenizer: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Reads a tokenizer that keeps `max_tokens` of a text, those that mark its ends included, and never pads.
    ///
    /// What the file itself says about length and padding does not count.
    pub fn read(path: &Path, max_tokens: usize) -> Result<Tokenizer> {
        let failed = |error| anyhow!("reading {}: {error}", path.display());
        let mut tokenizer = tokenizers::Tokenizer::from_file(path).map_err(failed)?;
        let ends = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        ensure!(
            max_tokens > ends,
            "{} marks the ends of a text with {ends} tokens: expected more of them to be kept, got {max_tokens}",
            path.display()
        );
        let cut = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        tokenizer.with_padding(None).with_truncation(Some(cut)).map_err(failed)?;
        Ok(Tokenizer { tokenizer })
    }

    /// The largest number that any text can be given: a network needs a place for it.
    pub fn largest(&self) -> i64 {
        self.tokenizer.get_vocab(true).into_values().max().map_or(0, i64::from)
    }

    /// The token numbers of a text, those that mark its ends included.
    pub fn tokenize(&self, text: &str) -> Result<Vec<i64>, InputFault> {
        let encode = || self.tokenizer.encode_fast(text, true).map_err(|error| error.to_string());
        let encoding = contained(encode).map_err(|reason| InputFault::Untokenizable { reason })?;
        Ok(encoding.get_ids().iter().map(|&id| i64::from(id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::Assets;

    #[test]
    fn a_text_keeps_as_many_tokens_as_were_asked_for() {
        let path = Assets::standard().path("towers/minilm-tokenizer.json").expect("run `make setup` first");
        let of = |max_tokens, text| Tokenizer::read(&path, max_tokens).unwrap().tokenize(text).unwrap();
        assert_eq!(of(12, "Hello WORLD"), [101, 7592, 2088, 102]);
        assert_eq!(Tokenizer::read(&path, 4).unwrap().largest(), 30_521);
        assert_eq!(of(4, "hello world and all who live there"), [101, 7592, 2088, 102]);
        assert_eq!(of(3, "hello world"), [101, 7592, 102]);
        for too_few in [0, 2] {
            let refusal = Tokenizer::read(&path, too_few).err().expect("refused").to_string();
            assert!(refusal.ends_with(&format!("expected more of them to be kept, got {too_few}")), "{refusal}");
        }
    }

    #[test]
    fn a_tokenizer_that_is_none_says_which_file() {
        let path = std::env::temp_dir().join(format!("mosel-tokenizer-{}.json", std::process::id()));
        std::fs::write(&path, "{}").unwrap();
        let refusal = Tokenizer::read(&path, 4).err().expect("refused").to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(refusal.starts_with(&format!("reading {}: ", path.display())), "{refusal}");
    }

    #[test]
    fn only_text_is_text() {
        let kind = InputKind::Text { max_bytes: 5 };
        assert_eq!(text_of(&Input::Text("abc".into()), &kind), Ok("abc"));
        assert_eq!(text_of(&Input::Sound("abc".into()), &kind).unwrap_err().code(), "input_kind");
        assert_eq!(text_of(&Input::Text("abcdef".into()), &kind).unwrap_err().code(), "input_text_length");
    }
}
