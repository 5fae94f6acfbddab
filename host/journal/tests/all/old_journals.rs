//! Journals that an earlier build wrote are read: those of today's rules replay without a difference, those of older rules are
//! believed, and told as they were decided.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use mosel_core::{Action, JobId};
use mosel_journal::{JobHistories, Naming, Reader, ReplayEvent, VERSION, explain, replay};

/// Written by `mosel simulate --model watch --load 1.8 --seconds 0.015 --failures 0.1` with a policy that misbehaves: refused
/// decisions, failed batches, the fallback.
fn journals(version: u32) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/old/{version}"));
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn journals_of_older_rules_are_read_whole_and_not_compared() {
    let journals = journals(1);
    assert!(journals.len() >= 2, "{journals:?}");
    for path in journals {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["\"squeeze\"", "\"refuse_plan\"", "\"planned\"", "\"failed\""] {
            assert!(text.contains(word), "{} has a step of every kind that was renamed: {word}", path.display());
        }
        let (header, mut reader) = Reader::new(BufReader::new(File::open(&path).unwrap())).unwrap();
        assert!(header.version == 1 && !header.has_todays_rules());
        let (mut ended, mut histories) = (Vec::new(), JobHistories::resume(&header, usize::MAX));
        let replayed = replay(&header, &mut reader, |seen| {
            let ReplayEvent::Step { at, event, actions, .. } = seen else { return };
            histories.handle(at, event, actions);
            let end = |action: &Action| if let Action::Finish(outcome) = action { Some(outcome.job) } else { None };
            ended.extend(actions.iter().filter_map(end));
        });
        let replayed = replayed.unwrap();
        assert!(!replayed.compared && replayed.difference.is_none(), "{}: {:?}", path.display(), replayed.difference);
        assert_eq!(replayed.steps + 1, text.lines().count(), "{}", path.display());
        assert_eq!(ended.len(), text.matches("{\"finish\"").count(), "{}", path.display());
        let naming = Naming::new("j-", histories.models());
        for job in ended {
            assert!(is_told_whole(&histories, &naming, job), "{job} of {}", path.display());
        }
    }
}

fn is_told_whole(histories: &JobHistories, naming: &Naming, job: JobId) -> bool {
    histories.history(job).is_some_and(|history| history.has_ended() && explain(history, naming).len() >= 3)
}

#[test]
fn a_journal_of_a_version_to_come_is_refused() {
    let path = &journals(1)[0];
    let text = std::fs::read_to_string(path).unwrap().replacen("\"version\":1", "\"version\":99", 1);
    let error = Reader::new(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(&format!("the journal is of version 99, this program reads 1 to {VERSION}")), "{error}");
}
