//! Whatever the journal's disk does, nobody but its thread waits for it, and the journal goes on by itself.

use std::sync::mpsc::{Receiver, Sender, channel};

use mosel_core::{Config, Scheduler};

use super::*;

fn header() -> Header {
    Header::of(&Scheduler::new(Config::default(), vec![]), PolicyRecord::default(), "0.1.0")
}

fn start(files: impl JournalFiles + 'static) -> (Arc<Journal>, Arc<Metrics>, Arc<Supervisor>) {
    let metrics = Arc::new(Metrics::default());
    let supervisor = Supervisor::new(metrics.clone());
    let journal = Journal::start(files, header(), &supervisor, metrics.clone()).expect("there are threads");
    (journal, metrics, supervisor)
}

fn step(journal: &Journal, at: u64) {
    journal.step(StepRecord { at: Time::from_micros(at), event: Event::WakeUp, actions: vec![], name: None, rows: 1 });
}

fn state(journal: &Journal) {
    journal.state(Scheduler::new(Config::default(), vec![]).checkpoint(), vec![], Config::default());
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "expected {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn counted(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("mosel_{name}_total ")));
    line.and_then(|value| value.parse().ok()).expect("it is counted")
}

/// A disk that takes what a test lets it take.
struct TestDisk {
    done: Sender<String>,
    /// It is frozen while nothing comes.
    go_on: Option<Receiver<()>>,
    begins: Vec<bool>,
    open: bool,
}

impl TestDisk {
    /// Begins of files succeed or fail in this order, and then always succeed.
    fn new(begins: &[bool]) -> (TestDisk, Receiver<String>) {
        let (done, wrote) = channel();
        let begins = begins.iter().rev().copied().collect();
        (TestDisk { done, go_on: None, begins, open: false }, wrote)
    }

    fn frozen() -> (TestDisk, Receiver<String>, Sender<()>) {
        let (thaw, frozen) = channel();
        let (disk, wrote) = TestDisk::new(&[]);
        (TestDisk { go_on: Some(frozen), ..disk }, wrote, thaw)
    }

    fn wait(&self) {
        // once the test lets go of it, it works
        let _ = self.go_on.as_ref().map(Receiver::recv);
    }
}

impl JournalFiles for TestDisk {
    fn begin(&mut self, header: &Header) -> std::io::Result<PathBuf> {
        self.wait();
        self.open = self.begins.pop().unwrap_or(true);
        let _ = self.done.send(format!("begin {} {}", self.open, header.policy.name));
        if self.open { Ok("file".into()) } else { Err(std::io::ErrorKind::StorageFull.into()) }
    }

    fn write(&mut self, line: String) -> std::io::Result<Written> {
        self.wait();
        let _ = self.done.send(line);
        Ok(Written::Line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn close(&mut self) {
        self.open = false;
    }
}

#[test]
fn a_frozen_disk_is_waited_for_by_nobody_and_the_journal_goes_on_after_the_gap() {
    let (disk, wrote, thaw) = TestDisk::frozen();
    let (journal, metrics, _supervisor) = start(disk);
    let most = MOST_ROWS as u64;
    (0..2 * most + 10).for_each(|at| step(&journal, at));
    journal.policy(Time::START, PolicyRecord { name: "later".into(), ..PolicyRecord::default() });
    let lost = counted(&metrics, "journal_lines_lost");
    assert!((10..=most + 10).contains(&lost), "{lost}");
    assert_eq!(counted(&metrics, "journal_gaps"), 1);
    drop(thaw);
    eventually("a state that is asked for", || journal.wants_state());
    let before: Vec<String> = wrote.try_iter().collect();
    assert_eq!(before[0], "begin true ");
    assert_eq!(before.len() as u64, 1 + 2 * most + 10 - lost, "what is before the gap is written");
    step(&journal, 1);
    state(&journal);
    step(&journal, 2);
    journal.close();
    let after: Vec<String> = wrote.try_iter().collect();
    assert_eq!(after[0], "begin true later", "a policy that came in the gap is known");
    assert_eq!(after.len(), 2, "{after:?}");
    assert_eq!(counted(&metrics, "journal_lines_lost"), lost + 1);
}

#[test]
fn a_server_that_stops_waits_for_a_frozen_disk_no_longer_than_it_may() {
    let (disk, wrote, thaw) = TestDisk::frozen();
    let (journal, ..) = start(disk);
    step(&journal, 1);
    journal.close_within(Duration::from_millis(20));
    assert_eq!(wrote.try_iter().count(), 0);
    drop(thaw);
}

#[test]
fn a_disk_that_takes_no_file_is_tried_again_and_what_is_lost_meanwhile_is_counted() {
    let (disk, wrote) = TestDisk::new(&[false, false]);
    let (journal, metrics, _supervisor) = start(disk);
    assert_eq!(wrote.recv().as_deref(), Ok("begin false "));
    step(&journal, 1);
    for expected in ["begin false ", "begin true "] {
        eventually("a state that is asked for", || journal.wants_state());
        state(&journal);
        assert_eq!(wrote.recv().as_deref(), Ok(expected));
    }
    step(&journal, 2);
    journal.close();
    assert!(wrote.try_iter().next().is_some_and(|line| line.starts_with("{\"t\":2")));
    assert_eq!(counted(&metrics, "journal_failures"), 2);
    assert_eq!(counted(&metrics, "journal_lines_lost"), 1);
}

#[test]
fn a_folder_that_is_removed_is_made_again_with_what_comes_next() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("journals");
    let (journal, metrics, _supervisor) = start(Folder::new(&path, 1 << 20, 8));
    eventually("a first file", || path.join("journal-000001.jsonl").exists());
    std::fs::remove_dir_all(&path).expect("it is there");
    eventually("a state that is asked for", || journal.wants_state());
    state(&journal);
    eventually("another file", || path.join("journal-000002.jsonl").exists());
    assert_eq!(counted(&metrics, "journal_failures"), 1);
    journal.close();
}

#[test]
fn a_journal_thread_that_panics_goes_on_in_another_file() {
    let (disk, wrote) = TestDisk::new(&[]);
    let (journal, metrics, supervisor) = start(disk);
    assert_eq!(wrote.recv().as_deref(), Ok("begin true "));
    supervisor.inject("journal-disk");
    step(&journal, 1);
    eventually("a state that is asked for", || journal.wants_state());
    state(&journal);
    assert_eq!(wrote.recv().as_deref(), Ok("begin true "));
    assert_eq!(counted(&metrics, "journal_gaps"), 1);
    journal.close();
}
