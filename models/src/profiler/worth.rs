//! Whether a selection in a reduced precision is worth a profile on this device.

use anyhow::Result;
use mosel_core::{Mode, Precision};

use super::Settings;
use super::answers::Answers;
use crate::{Example, Model};

/// A batch size up to which a short trial on a CPU tells how a precision does at every size.
const TRIED: u32 = 8;

/// Why the mode is left out: it is slower than full precision at every size that is tried. Networks differ: one with
/// convolutions may lose where a transformer gains.
///
/// Tried are the smallest batch size and the largest up to 8. On a GPU the largest of all as well: small batches wait for
/// the host there, whatever they compute with.
pub(super) fn left_out(
    model: &mut dyn Model,
    examples: &[Example],
    mode: Mode,
    batch_sizes: &[u32],
) -> Result<Option<String>> {
    let label = mode.label(&model.spec().modality_names());
    let mut found = Vec::new();
    for size in tried(batch_sizes, model.device().gpu().is_some()) {
        let mut median = |precision| -> Result<Option<u64>> {
            let mode = Mode { precision, ..mode };
            let record = Answers::new(examples, mode).measure(model, size, &Settings::quick())?;
            Ok(record.map(|record| record.latency_us.median))
        };
        match (median(Precision::Fp32)?, median(mode.precision)?) {
            (Some(full), Some(reduced)) if reduced > full => {
                found.push(format!("{} ms against {} at batch size {size}", reduced as f64 / 1e3, full as f64 / 1e3));
            }
            // as fast, or of another size of memory: to be measured
            _ => return Ok(None),
        }
    }
    Ok(Some(format!("{label} is left out: it is slower than fp32, {}", found.join(", "))))
}

fn tried(batch_sizes: &[u32], gpu: bool) -> Vec<u32> {
    let smallest = batch_sizes.iter().min();
    let small = batch_sizes.iter().filter(|&&size| size <= TRIED).max();
    let largest = batch_sizes.iter().max().filter(|_| gpu);
    let mut sizes: Vec<u32> = [smallest, small, largest].into_iter().flatten().copied().collect();
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeModel;

    fn trial(micros: fn(Precision) -> u64) -> Option<String> {
        let mut model = FakeModel { micros, ..FakeModel::new() };
        let mode = Mode { modalities: mosel_core::ModalitySet::all(1), precision: Precision::Fp16 };
        left_out(&mut model, &FakeModel::examples(10), mode, &[1, 4, 32]).unwrap()
    }

    #[test]
    fn a_slower_precision_is_left_out_with_its_times() {
        let note = trial(|precision| if precision == Precision::Fp32 { 200 } else { 1000 });
        let note = note.expect("five times as slow");
        assert!(note.starts_with("text@fp16 is left out: it is slower than fp32, 1"), "{note}");
        assert!(note.contains(" ms against 0.") && note.contains(" at batch size 1, "), "{note}");
        assert!(note.ends_with(" at batch size 4"), "{note}");
    }

    #[test]
    fn a_faster_precision_is_kept() {
        let note = trial(|precision| if precision == Precision::Fp32 { 1000 } else { 200 });
        assert_eq!(note, None);
    }

    #[test]
    fn the_smallest_and_a_larger_size_are_tried() {
        assert_eq!(tried(&[1, 2, 4, 8, 16, 32], false), [1, 8]);
        assert_eq!(tried(&[1, 2, 4, 8, 16, 32], true), [1, 8, 32]);
        assert_eq!(tried(&[16, 32], false), [16]);
        assert_eq!(tried(&[1], true), [1]);
    }
}
