//! Sets of modalities: what a request is run on.

use std::fmt;

/// A set of modalities of one model; bit `i` stands for the model's `i`-th modality.
///
/// A *modality selection* is a non-empty set. At most 32 modalities.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ModalitySet(u32);

impl ModalitySet {
    /// No modality at all; not a valid selection.
    pub const EMPTY: ModalitySet = ModalitySet(0);

    /// The set with these bits.
    pub const fn from_bits(bits: u32) -> ModalitySet {
        ModalitySet(bits)
    }

    /// The set of the `index`-th modality alone; `index` is below 32.
    pub const fn single(index: usize) -> ModalitySet {
        ModalitySet(1 << index)
    }

    /// All of a model's `count` modalities; `count` is at most 32.
    pub const fn all(count: usize) -> ModalitySet {
        ModalitySet(if count >= 32 { u32::MAX } else { (1 << count) - 1 })
    }

    /// Every non-empty selection of `count` modalities, in the order of their bits; `count` is at most 16.
    pub fn selections(count: usize) -> impl Iterator<Item = ModalitySet> {
        (1..1u32 << count.min(16)).map(ModalitySet)
    }

    /// Bit `i` is set when the `i`-th modality is in the set.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The `index`-th modality is in the set.
    pub const fn contains(self, index: usize) -> bool {
        index < 32 && self.0 & (1 << index) != 0
    }

    /// Every modality of this set is in `other`.
    pub const fn is_subset_of(self, other: ModalitySet) -> bool {
        self.0 & !other.0 == 0
    }

    /// Nothing is selected.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many modalities are selected.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The indices of the selected modalities, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..32).filter(move |&index| self.contains(index))
    }

    /// The set as text, with the model's names: `image+text`.
    pub fn label<S: AsRef<str>>(self, names: &[S]) -> String {
        let mut label = String::new();
        for index in self.iter() {
            if !label.is_empty() {
                label.push('+');
            }
            match names.get(index) {
                Some(name) => label.push_str(name.as_ref()),
                None => label.push_str(&format!("#{index}")),
            }
        }
        label
    }

    /// The set that a label such as `image+text` names, or the first name that is not among `names`.
    pub fn parse<'a, S: AsRef<str>>(label: &'a str, names: &[S]) -> Result<ModalitySet, &'a str> {
        let mut bits = 0;
        for part in label.split('+') {
            let index = names.iter().position(|name| name.as_ref() == part).ok_or(part)?;
            bits |= 1 << index;
        }
        Ok(ModalitySet(bits))
    }
}

impl fmt::Display for ModalitySet {
    /// Without names: the bits, as `{0,2}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indices: Vec<String> = self.iter().map(|index| index.to_string()).collect();
        write!(f, "{{{}}}", indices.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_modalities_have_seven_selections() {
        let selections: Vec<u32> = ModalitySet::selections(3).map(ModalitySet::bits).collect();
        assert_eq!(selections, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn labels_read_back() {
        let names = ["video", "audio"];
        for set in ModalitySet::selections(2) {
            assert_eq!(ModalitySet::parse(&set.label(&names), &names), Ok(set));
        }
        assert_eq!(ModalitySet::parse("video+smell", &names), Err("smell"));
    }

    #[test]
    fn all_holds_every_single_one() {
        assert!((0..32).all(|index| ModalitySet::all(32).contains(index)));
        assert!(ModalitySet::single(1).is_subset_of(ModalitySet::all(2)));
        assert!(!ModalitySet::single(2).is_subset_of(ModalitySet::all(2)));
    }
}
