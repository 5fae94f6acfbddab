//! Journals of version 1 that an earlier build wrote are read, and replay without a difference.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use mosel_journal::{Reader, replay};

/// Written by `mosel simulate --model watch --load 1.8 --seconds 0.015 --failures 0.1` with a policy that misbehaves: refused
/// decisions, failed batches, the fallback.
fn journals() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old");
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn journals_of_an_earlier_build_replay_without_a_difference() {
    let journals = journals();
    assert!(journals.len() >= 2, "{journals:?}");
    for path in journals {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["\"squeeze\"", "\"refuse_plan\"", "\"planned\"", "\"failed\""] {
            assert!(text.contains(word), "{} has a step of every kind that was renamed: {word}", path.display());
        }
        let (header, mut reader) = Reader::new(BufReader::new(File::open(&path).unwrap())).unwrap();
        let replayed = replay(&header, &mut reader, |_| {}).unwrap();
        assert!(replayed.difference.is_none(), "{}: {:?}", path.display(), replayed.difference);
        assert_eq!(replayed.steps + 1, text.lines().count(), "{}", path.display());
    }
}
