//! Pairs in files. Of a longer list serde takes what a pair needs, and toml leaves the rest unread; here it is refused.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Exactly two numbers, as `[4, 16]`.
pub(super) fn one<'de, D: Deserializer<'de>, N: Deserialize<'de>>(input: D) -> Result<[N; 2], D::Error> {
    let Pair(first, second) = Pair::deserialize(input)?;
    Ok([first, second])
}

/// Any number of pairs, as `[["alice", 3.0], ["bob", 1.0]]`.
pub(super) fn many<'de, D, A, B>(input: D) -> Result<Vec<(A, B)>, D::Error>
where
    D: Deserializer<'de>,
    A: Deserialize<'de>,
    B: Deserialize<'de>,
{
    let pairs: Vec<Pair<A, B>> = Vec::deserialize(input)?;
    Ok(pairs.into_iter().map(|Pair(first, second)| (first, second)).collect())
}

struct Pair<A, B>(A, B);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Deserialize<'de> for Pair<A, B> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Pair<A, B>, D::Error> {
        input.deserialize_seq(Two(PhantomData))
    }
}

struct Two<A, B>(PhantomData<(A, B)>);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Visitor<'de> for Two<A, B> {
    type Value = Pair<A, B>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of exactly two")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Pair<A, B>, S::Error> {
        let first = list.next_element()?.ok_or_else(|| S::Error::invalid_length(0, &self))?;
        let second = list.next_element()?.ok_or_else(|| S::Error::invalid_length(1, &self))?;
        match list.next_element::<IgnoredAny>()? {
            None => Ok(Pair(first, second)),
            Some(_) => Err(S::Error::invalid_length(3, &self)),
        }
    }
}
