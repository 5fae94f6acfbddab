//! A folder of journals keeps what it has, holds no more than it may, and every file follows the one before it.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use mosel_core::{Config, Event, Scheduler, Time};
use mosel_journal::{
    Folder, Header, LastLine, Link, PolicyRecord, Reader, Written, file_follows, policy_line, replay, step_line,
};
use tempfile::TempDir;

fn header() -> Header {
    Header::of(&Scheduler::new(Config::default(), vec![]), PolicyRecord::default(), "0.1.0")
}

/// A header whose line is as long as this, and a little longer.
fn header_of(bytes: usize) -> Header {
    Header { server: "x".repeat(bytes), ..header() }
}

fn step(at: u64) -> String {
    step_line(Time::from_micros(at), &Event::WakeUp, &[])
}

fn long_line(bytes: usize) -> String {
    policy_line(Time::START, &PolicyRecord { name: "x".repeat(bytes), ..PolicyRecord::default() })
}

fn files(folder: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<(String, u64)> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect();
    files.sort();
    files
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_iter().map(|(name, _)| name).collect()
}

fn bytes(folder: &Path) -> u64 {
    files(folder).iter().map(|(_, bytes)| bytes).sum()
}

/// What is wrong with the chain through the files of a folder.
fn breaks(folder: &Path) -> Vec<String> {
    let (mut found, mut before): (Vec<String>, Option<(String, Option<Link>)>) = (vec![], None);
    for name in names(folder) {
        let (header, mut reader) = Reader::new(BufReader::new(File::open(folder.join(&name)).unwrap())).unwrap();
        assert_eq!(replay(&header, &mut reader, |_| {}).unwrap().difference, None);
        let after: Option<&LastLine> = reader.after();
        if let Some((before, Some(last))) = &before {
            found.extend(file_follows((before, last), after).err().map(|found| format!("{name}: {found}")));
        }
        found.extend(reader.breaks().0.iter().map(|found| format!("{name}: {found}")));
        before = Some((name, reader.last_link().cloned()));
    }
    found
}

/// Written by a server that was stopped and one that was killed while it wrote; its rules may be older than today's.
#[test]
fn the_chain_of_an_earlier_build_is_whole_and_what_is_taken_from_it_is_missed() {
    let text = |file: u32| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chained");
        fs::read_to_string(format!("{folder}/journal-{file:06}.jsonl")).unwrap()
    };
    let read = |text: &str| {
        let (_, mut reader) = Reader::new(text.as_bytes()).unwrap();
        reader.follow_chain();
        let breaks: Vec<String> = reader.breaks().0.iter().map(ToString::to_string).collect();
        (breaks, reader.torn(), reader.last_link().cloned(), reader.after().cloned())
    };
    let (first, second) = (text(1), text(2));
    let (breaks, torn, last, _) = read(&first);
    assert_eq!((breaks.len(), torn), (0, false));
    let (breaks, torn, _, after) = read(&second);
    assert_eq!((breaks.len(), torn), (0, true), "a torn line is no break");
    assert_eq!(file_follows(("journal-000001.jsonl", &last.unwrap()), after.as_ref()), Ok(()));
    let lines: Vec<&str> = first.split_inclusive('\n').collect();
    let without = [&lines[..3], &lines[5..]].concat().concat();
    assert_eq!(read(&without).0, ["lines 4 to 5 are missing"]);
    let changed = first.replacen("\"t\":", "\"t\": ", 1);
    assert_eq!(read(&changed).0, ["line 2 is not as it was written"]);
}

/// Three files of a few lines each.
fn three_files() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::new(dir.path(), 1 << 20, 9);
    for file in 0..3 {
        folder.begin(&header()).unwrap();
        for at in 0..4 {
            assert_eq!(folder.write(step(file * 10 + at)).unwrap(), Written::Line);
        }
    }
    drop(folder);
    assert_eq!(breaks(dir.path()), [""; 0]);
    dir
}

#[test]
fn files_follow_one_another_also_after_a_restart() {
    let dir = three_files();
    let mut folder = Folder::new(dir.path(), 1 << 20, 9);
    folder.begin(&header()).unwrap();
    drop(folder);
    assert_eq!(names(dir.path()).len(), 4);
    assert_eq!(breaks(dir.path()), [""; 0]);
}

#[test]
fn a_file_that_was_removed_from_the_middle_is_missed() {
    let dir = three_files();
    fs::remove_file(dir.path().join("journal-000002.jsonl")).unwrap();
    let missing = "journal-000003.jsonl: the file before is missing: it follows journal-000002.jsonl, and not journal-000001.jsonl";
    assert_eq!(breaks(dir.path()), [missing]);
}

#[test]
fn lines_that_were_cut_off_a_file_are_missed_and_a_torn_one_is_not() {
    let dir = three_files();
    let path = dir.path().join("journal-000002.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let cut = text.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&path, &text[..cut]).unwrap();
    let missing = "journal-000003.jsonl: line 5 is missing at the end of journal-000002.jsonl";
    assert_eq!(breaks(dir.path()), [missing]);
    // killed while it wrote: what is whole is followed
    let dir = three_files();
    let last = dir.path().join("journal-000003.jsonl");
    let text = fs::read_to_string(&last).unwrap();
    fs::write(&last, &text[..text.len() - 9]).unwrap();
    Folder::new(dir.path(), 1 << 20, 9).begin(&header()).unwrap();
    assert_eq!(breaks(dir.path()), [""; 0]);
}

#[test]
fn files_kept_and_broken() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::new(dir.path(), 1 << 20, 3);
    let begun: Vec<PathBuf> = (0..5).map(|_| folder.begin(&header()).unwrap()).collect();
    assert!(begun[4].ends_with("journal-000005.jsonl"));
    assert_eq!(names(dir.path()), ["journal-000003.jsonl", "journal-000004.jsonl", "journal-000005.jsonl"]);
    fs::write(dir.path().join("journal-1.jsonl"), "not ours").unwrap();
    folder.begin(&header()).unwrap();
    assert_eq!(names(dir.path()).len(), 4, "files of other names are left alone");
}

/// Whatever lines and first lines come, small ones or such that are larger than a file may be.
#[test]
fn bytes_of_all_files_are_kept() {
    let most = 4 * 65_536;
    for (first, line) in [(10, 1000), (10, 30_000), (50_000, 100), (120_000, 5000), (30_000, 70_000), (300, 250_000)] {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(dir.path(), 65_536, 4);
        folder.begin(&header_of(first)).unwrap();
        let mut late = 0;
        for at in 0..200 {
            match folder.write(long_line(line)).unwrap() {
                Written::Line => {}
                // a state comes some lines later
                Written::Full if late < 3 => late += 1,
                Written::Full | Written::NoRoom => {
                    late = 0;
                    folder.begin(&header_of(first)).unwrap();
                }
            }
            folder.flush().unwrap();
            let bytes = bytes(dir.path());
            assert!(bytes <= most, "{bytes} bytes after line {at} with lines of {line} and first lines of {first}");
        }
        assert_eq!(breaks(dir.path()), [""; 0]);
    }
}

#[test]
fn a_first_line_that_is_longer_than_a_file_may_be_is_followed_by_as_many_bytes_of_lines() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::new(dir.path(), 65_536, 8);
    folder.begin(&header_of(100_000)).unwrap();
    let lines = (0..).take_while(|_| folder.write(long_line(1000)).unwrap() == Written::Line).count();
    assert!((90..110).contains(&lines), "{lines}");
}

#[test]
fn a_state_that_leaves_no_room_is_refused_in_words_and_nothing_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::new(dir.path(), 65_536, 2);
    folder.begin(&header()).unwrap();
    folder.begin(&header_of(60_000)).unwrap();
    let before = files(dir.path());
    let refused = folder.begin(&header_of(66_000)).unwrap_err().to_string();
    assert!(refused.contains("expected at most half of the 131072 bytes"), "{refused}");
    assert_eq!(files(dir.path()), before);
    assert!(!folder.is_open());
    assert_eq!(folder.write(step(1)).unwrap(), Written::Line, "nothing is written behind the gap");
    assert_eq!(files(dir.path()), before);
}

#[test]
fn a_folder_that_was_removed_is_noticed_and_made_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("journals");
    let mut folder = Folder::new(&path, 1 << 20, 3);
    folder.begin(&header()).unwrap();
    folder.write(step(1)).unwrap();
    folder.flush().unwrap();
    assert!(!folder.is_lost());
    fs::rename(&path, home.path().join("elsewhere")).unwrap();
    assert!(folder.is_lost());
    folder.begin(&header()).unwrap();
    assert!(!folder.is_lost());
    assert_eq!(names(&path), ["journal-000002.jsonl"], "numbers go on");
    fs::remove_dir_all(&path).unwrap();
    assert!(folder.is_lost());
    folder.write(step(2)).unwrap();
    folder.flush().unwrap();
    folder.begin(&header()).unwrap();
    fs::rename(home.path().join("elsewhere/journal-000001.jsonl"), path.join("journal-000001.jsonl")).unwrap();
    let missing = "journal-000003.jsonl: the file before is missing: it follows journal-000002.jsonl, and not journal-000001.jsonl";
    assert_eq!(breaks(&path), [missing]);
}

/// Not even root can make a folder there.
#[test]
fn a_folder_that_cannot_be_made_costs_the_journal_only() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut folder = Folder::new(&file.path().join("journals"), 1 << 20, 3);
    assert!(folder.begin(&header()).is_err());
    assert_eq!(folder.write(step(1)).unwrap(), Written::Line);
    folder.flush().unwrap();
    assert!(!folder.is_open() && !folder.is_lost());
}

#[test]
fn what_a_process_left_that_died_while_it_began_a_file_goes() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("journal-000001.jsonl.partial-99");
    fs::write(&left, "{\"mosel\":").unwrap();
    let mut folder = Folder::new(dir.path(), 1 << 20, 3);
    folder.begin(&header()).unwrap();
    assert!(left.exists(), "it may be another's that lives");
    File::open(&left).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    folder.begin(&header()).unwrap();
    assert_eq!(names(dir.path()), ["journal-000001.jsonl", "journal-000002.jsonl"]);
}

/// A small file system of its own; `None` where that is not allowed.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn of(bytes: usize) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "mosel-test"]).arg(dir.path()).output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(SmallDisk(dir));
        }
        println!("skipped: no file system can be mounted here");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_takes_nothing_that_was_there() {
    let Some(disk) = SmallDisk::of(1 << 20) else { return };
    let path = disk.0.path().join("journals");
    let mut folder = Folder::new(&path, 65_536, 8);
    for _ in 0..8 {
        folder.begin(&header_of(20_000)).unwrap();
        folder.write(step(1)).unwrap();
    }
    folder.flush().unwrap();
    let before = files(&path);
    assert_eq!(before.len(), 8);
    let filler = disk.0.path().join("filler");
    let mut full = File::create(&filler).unwrap();
    drop(std::io::copy(&mut std::io::repeat(0), &mut full));
    drop(full);
    // the last page of the file that is open takes a little still
    let failed = (2..20_000).any(|at| folder.write(step(at)).is_err() || folder.flush().is_err());
    assert!(failed && !folder.is_open());
    for _ in 0..10 {
        assert!(folder.begin(&header_of(20_000)).is_err());
    }
    assert_eq!(names(&path), before.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), "and no stubs");
    fs::remove_file(&filler).unwrap();
    folder.begin(&header_of(20_000)).unwrap();
    assert_eq!(names(&path).len(), 8);
    assert_eq!(breaks(&path), [""; 0]);
}
