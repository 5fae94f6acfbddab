//! Cuts that depend on names and a seed only: no random generator whose next version draws otherwise.

use sha2::{Digest, Sha256};

use super::Part;

/// The share of groups that is held out.
const HELD_OUT: f64 = 0.3;

/// The part of an example: by its group whether it is held out, by its own name in which half.
pub(super) fn part(seed: u64, group: &str, name: &str) -> Part {
    if draw(seed, "group", group) >= HELD_OUT { Part::Train } else { half(seed, name) }
}

/// The half of the held-out part that an example is in.
pub(super) fn half(seed: u64, name: &str) -> Part {
    if draw(seed, "half", name) < 0.5 { Part::Profile } else { Part::Served }
}

/// A number in 0..1 that looks random and is the same for the same arguments, for ever.
pub(super) fn draw(seed: u64, purpose: &str, name: &str) -> f64 {
    let hash = Sha256::digest(format!("mosel {seed} {purpose} {name}"));
    let bytes: [u8; 8] = hash[..8].try_into().expect("a SHA-256 has 32 bytes");
    // 53 bits: what an f64 in 0..1 holds exactly
    (u64::from_be_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_in_training_or_held_out_never_both() {
        for group in 0..50 {
            let held_out = |name: u32| part(7, &group.to_string(), &name.to_string()) != Part::Train;
            assert!((0..20).all(|name| held_out(name) == held_out(0)), "group {group} is cut in two");
        }
    }

    #[test]
    fn shares_are_near_what_was_asked_and_another_seed_cuts_otherwise() {
        let parts = |seed| (0..2000).map(|i| part(seed, &i.to_string(), &i.to_string())).collect::<Vec<_>>();
        let share = |parts: &[Part], part| parts.iter().filter(|&&other| other == part).count() as f64 / 2000.0;
        let first = parts(1);
        assert!((share(&first, Part::Train) - 0.7).abs() < 0.05);
        assert!((share(&first, Part::Profile) - 0.15).abs() < 0.05);
        assert_ne!(first, parts(2));
    }
}
