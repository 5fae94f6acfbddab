//! Any bytes as a journal of any version: read, refused in words, or found to differ.
#![no_main]

use mosel_journal::{Reader, replay};

libfuzzer_sys::fuzz_target!(|journal: &[u8]| {
    let Ok((header, mut reader)) = Reader::new(journal) else { return };
    let _ = replay(&header, &mut reader, |_| {});
    reader.follow_chain();
    assert!(reader.breaks().0.len() <= 100);
});
