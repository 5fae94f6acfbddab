//! ViLT's tokenizer: BERT's, from the files that are published beside the weights.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use mosel_models::prepare::contained;

/// Texts to token numbers.
pub(super) struct Words {
    tokenizer: Tokenizer,
    /// The number of the token that the answer is read from.
    pub(super) class: i64,
}

impl Words {
    /// Reads tokenizer.json, or else vocab.txt, from a folder. A text is cut after `max_tokens`, its two ends included.
    pub(super) fn read(folder: &Path, max_tokens: usize, vocabulary: i64) -> Result<Words> {
        let (whole, words) = (folder.join("tokenizer.json"), folder.join("vocab.txt"));
        let failed = |path: &Path, error| anyhow!("reading {}: {error}", path.display());
        if whole.is_file() {
            let tokenizer = Tokenizer::from_file(&whole).map_err(|error| failed(&whole, error))?;
            return Words::new(tokenizer, max_tokens, vocabulary);
        }
        if !words.is_file() {
            bail!("expected tokenizer.json or vocab.txt in {}, there is neither", folder.display());
        }
        let model = WordPiece::from_file(&words.to_string_lossy()).unk_token("[UNK]".into()).build();
        Words::of_pieces(model.map_err(|error| failed(&words, error))?, max_tokens, vocabulary)
    }

    /// Every character is a token: for networks of random weights, whose words mean nothing.
    pub(super) fn of_characters(max_tokens: usize, vocabulary: i64) -> Result<Words> {
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
        let characters = (b'!'..=b'~').map(char::from).flat_map(|one| [one.to_string(), format!("##{one}")]);
        let tokens: BTreeMap<String, u32> = special.into_iter().chain(characters).zip(0..).collect();
        let model = serde_json::json!({
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": tokens,
        });
        Words::of_pieces(serde_json::from_str(&model.to_string())?, max_tokens, vocabulary)
    }

    fn of_pieces(model: WordPiece, max_tokens: usize, vocabulary: i64) -> Result<Words> {
        let mut tokenizer = Tokenizer::new(model);
        let token = |name: &str| {
            let number = tokenizer.token_to_id(name);
            Ok::<_, anyhow::Error>((name.to_owned(), number.with_context(|| format!("the vocabulary has no {name}"))?))
        };
        let ends = BertProcessing::new(token("[SEP]")?, token("[CLS]")?);
        tokenizer
            .with_normalizer(Some(BertNormalizer::default()))
            .with_pre_tokenizer(Some(BertPreTokenizer))
            .with_post_processor(Some(ends));
        Words::new(tokenizer, max_tokens, vocabulary)
    }

    fn new(mut tokenizer: Tokenizer, max_tokens: usize, vocabulary: i64) -> Result<Words> {
        let ends = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        ensure!(
            max_tokens > ends,
            "the tokenizer marks the ends of a text with {ends} tokens: expected more of them to be kept, got {max_tokens}"
        );
        let cut = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        tokenizer.with_padding(None).with_truncation(Some(cut)).map_err(|error| anyhow!("tokenizer: {error}"))?;
        let largest = tokenizer.get_vocab(true).into_values().max().map_or(0, i64::from);
        if largest >= vocabulary {
            bail!(
                "expected a tokenizer of at most {vocabulary} tokens, as config.json has it, got one with number {largest}"
            );
        }
        let class = tokenizer.token_to_id("[CLS]").context("the tokenizer has no [CLS]")?;
        Ok(Words { tokenizer, class: i64::from(class) })
    }

    /// The token numbers of a text: the class token's first.
    pub(super) fn tokenize(&self, text: &str) -> Result<Vec<i64>, String> {
        let encode = || self.tokenizer.encode_fast(text, true).map_err(|error| error.to_string());
        let encoding = contained(encode)?;
        let numbers: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        // a tokenizer.json could say otherwise
        if numbers.first() == Some(&self.class) { Ok(numbers) } else { Err("it does not begin with [CLS]".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/paper/vilt-tiny")
    }

    #[test]
    fn a_vocabulary_makes_berts_tokenizer() {
        let words = Words::read(&folder(), 6, 24).unwrap();
        assert_eq!(words.class, 2);
        assert_eq!(words.tokenize("Word7  word9, nothing").unwrap(), [2, 7, 9, 1, 1, 3]);
        assert_eq!(words.tokenize(&"word5 ".repeat(50)).unwrap(), [2, 5, 5, 5, 5, 3]);
    }

    #[test]
    fn a_vocabulary_larger_than_the_network_knows_is_refused() {
        let error = Words::read(&folder(), 6, 20).err().unwrap().to_string();
        assert_eq!(error, "expected a tokenizer of at most 20 tokens, as config.json has it, got one with number 23");
        let error = Words::read(Path::new("nowhere"), 6, 20).err().unwrap().to_string();
        assert_eq!(error, "expected tokenizer.json or vocab.txt in nowhere, there is neither");
    }

    #[test]
    fn no_room_beside_the_ends_of_a_text_is_refused() {
        let error = Words::of_characters(2, 30_522).err().unwrap().to_string();
        assert!(error.ends_with("expected more of them to be kept, got 2"), "{error}");
    }

    #[test]
    fn characters_are_tokens_where_words_mean_nothing() {
        let words = Words::of_characters(40, 30_522).unwrap();
        assert_eq!(words.tokenize("ab c").unwrap().len(), 5);
        assert_eq!(words.tokenize(&"what is on the table ".repeat(9)).unwrap().len(), 40);
    }
}
