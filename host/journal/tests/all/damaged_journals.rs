//! Whatever becomes of a journal's bytes: it is read, refused in words or found to differ, and never a panic.

use mosel_core::{Config, Event, JobId, Scheduler, Time};
use mosel_journal::{PolicyRecord, Reader, Recorder, replay};
use proptest::prelude::*;

fn samples() -> Vec<Vec<u8>> {
    let mut samples = Vec::new();
    for folder in ["old/1", "chained"] {
        let folder = format!("{}/tests/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        samples.extend(paths.into_iter().map(|path| head(&std::fs::read(path).unwrap())));
    }
    let mut scheduler = Scheduler::new(Config::default(), vec![]);
    let mut journal = Recorder::begin(Vec::new(), &scheduler, PolicyRecord::default(), "0.1.0").unwrap();
    for at in 0..40 {
        let (now, event) = (Time::from_millis(at), Event::Cancel(JobId(at)));
        let actions = scheduler.step(now, event.clone());
        journal.record(now, &event, &actions).unwrap();
    }
    samples.push(journal.finish().unwrap());
    samples
}

/// A few lines are enough, and quicker.
fn head(journal: &[u8]) -> Vec<u8> {
    journal.split_inclusive(|byte| *byte == b'\n').take(60).collect::<Vec<_>>().concat()
}

fn read(journal: &[u8]) -> bool {
    let Ok((header, mut reader)) = Reader::new(journal) else { return false };
    let replayed = replay(&header, &mut reader, |_| {});
    let (breaks, more) = reader.breaks();
    assert!(breaks.len() <= 100 && (more == 0 || breaks.len() == 100));
    replayed.is_ok_and(|replayed| replayed.difference.is_none())
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Cut(usize, usize),
    Double(usize, usize),
    Digits(usize, u64),
    End(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<usize>();
    prop_oneof![
        (place, 1u8..=255).prop_map(|(at, by)| Damage::Flip(at, by)),
        (place, 1usize..400).prop_map(|(at, count)| Damage::Cut(at, count)),
        (place, 1usize..400).prop_map(|(at, count)| Damage::Double(at, count)),
        (place, any::<u64>()).prop_map(|(at, number)| Damage::Digits(at, number)),
        place.prop_map(Damage::End),
    ]
}

fn damaged(mut journal: Vec<u8>, damage: &Damage) -> Vec<u8> {
    let within = |at: usize| at % journal.len().max(1);
    match *damage {
        _ if journal.is_empty() => {}
        Damage::Flip(at, by) => {
            let at = within(at);
            journal[at] ^= by;
        }
        Damage::Cut(at, count) => {
            let at = within(at);
            let end = (at + count).min(journal.len());
            journal.drain(at..end);
        }
        Damage::Double(at, count) => {
            let at = within(at);
            let piece = journal[at..(at + count).min(journal.len())].to_vec();
            journal.splice(at..at, piece);
        }
        Damage::Digits(at, number) => {
            let from = within(at);
            if let Some(digit) = journal[from..].iter().position(u8::is_ascii_digit) {
                journal.splice(from + digit..=from + digit, number.to_string().into_bytes());
            }
        }
        Damage::End(at) => journal.truncate(within(at)),
    }
    journal
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_journal_is_no_panic(sample in 0usize..5, damages in prop::collection::vec(damage(), 1..4)) {
        let samples = samples();
        let journal = samples[sample % samples.len()].clone();
        read(&damages.iter().fold(journal, damaged));
    }
}

#[test]
fn samples_are_sound() {
    let samples = samples();
    assert_eq!(samples.len(), 5);
    assert!(samples.iter().all(|journal| Reader::new(&journal[..]).is_ok()));
}
