//! The chain through the lines of journals: every line ends with its number and a hash over itself and all before it,
//! from file to file, so that a reader finds what was removed, changed or moved.
//!
//! The hash is the first eight bytes of a SHA-256: cheap beside the line's JSON, and nobody finds another line with the
//! same one. It holds no secret: whoever writes all lines anew that follow a change is not found, nor is the removal of
//! the last lines of the newest file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A line's place in the chain: its number in its file, from 1, and its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The line's number.
    #[serde(rename = "n")]
    pub line: u64,
    /// The hash over it and all before it, as hexadecimal text.
    #[serde(rename = "h")]
    pub hash: String,
}

/// The last line of the file before, as a journal's first line names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLine {
    /// The file's name, without its folder.
    pub file: String,
    /// Its last line.
    #[serde(flatten)]
    pub link: Link,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    /// Lines are not there.
    #[error("{} missing", lines(*.first, *.last))]
    Missing {
        /// The number of the first, as it was written.
        first: u64,
        /// And of the last.
        last: u64,
    },
    /// A line's hash is not that of its text and what was before it.
    #[error("line {line} is not as it was written")]
    Changed {
        /// Where it is, from 1.
        line: u64,
    },
    /// A line stands where another was, or there are two of it.
    #[error("line {line} was written as line {number}: it was moved, or is there twice")]
    Moved {
        /// Where it is, from 1.
        line: u64,
        /// Where it was written.
        number: u64,
    },
    /// A line without a place in the chain.
    #[error("line {line} has no place in the chain: it was added or changed")]
    Added {
        /// Where it is, from 1.
        line: u64,
    },
    /// The file that this one follows is not there.
    #[error("the file before is missing: it follows {expected}, and not {got}")]
    FileMissing {
        /// The file that it says it follows.
        expected: String,
        /// The one that is before it.
        got: String,
    },
    /// It does not say what it follows, though there is a file before.
    #[error("it does not follow {before}: its first line was changed, or files before it are somebody else's")]
    FollowsNothing {
        /// The file before.
        before: String,
    },
    /// The file before has lost lines at its end.
    #[error("{} missing at the end of {file}", lines(*.first, *.last))]
    EndMissing {
        /// The file before.
        file: String,
        /// The number of the first that is missing.
        first: u64,
        /// And of the last.
        last: u64,
    },
    /// The end of the file before is not what this one follows.
    #[error("the end of {file} is not as it was when this file was begun")]
    EndChanged {
        /// The file before.
        file: String,
    },
}

fn lines(first: u64, last: u64) -> String {
    if first == last { format!("line {first} is") } else { format!("lines {first} to {last} are") }
}

/// What stands for the hash before the first line of all.
const NOTHING_BEFORE: &str = "0000000000000000";
const HASH_BYTES: usize = 8;
/// Breaks that a reader keeps; more are only counted.
const MOST_BREAKS: usize = 100;

/// Adds every line that is written to the chain.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    last: Link,
}

impl Chain {
    /// Adds the first line of a file, which follows this one.
    pub(crate) fn begin(after: Option<&LastLine>, line: &mut String) -> Chain {
        let before = after.map_or(NOTHING_BEFORE, |after| &after.link.hash);
        let mut chain = Chain { last: Link { line: 0, hash: before.into() } };
        if let Some(after) = after {
            let after = serde_json::to_string(after).expect("every field has a JSON form");
            open(line);
            line.push_str(",\"after\":");
            line.push_str(&after);
            line.push_str("}\n");
        }
        chain.add(line);
        chain
    }

    /// Adds a line, which is a JSON object with its end.
    pub(crate) fn add(&mut self, line: &mut String) {
        let number = self.last.line + 1;
        open(line);
        line.push_str(&format!(",\"n\":{number},\"h\":\""));
        let hash = hash(&self.last.hash, line);
        line.push_str(&hash);
        line.push_str("\"}\n");
        self.last = Link { line: number, hash };
    }

    /// The line that was added last.
    pub(crate) fn last(&self) -> &Link {
        &self.last
    }
}

/// Takes the end of an object off.
fn open(line: &mut String) {
    let end = line.strip_suffix("}\n").expect("a line is a JSON object").len();
    line.truncate(end);
}

fn hash(before: &str, line: &str) -> String {
    let digest = Sha256::new().chain_update(before).chain_update(line).finalize();
    hex::encode(&digest[..HASH_BYTES])
}

/// A line's place as it stands in its text.
struct Written<'a> {
    /// What the hash is over.
    text: &'a str,
    number: u64,
    hash: &'a str,
}

impl<'a> Written<'a> {
    fn read(line: &'a str) -> Option<Written<'a>> {
        let line = line.strip_suffix("\"}")?;
        let (text, hash) = line.split_at_checked(line.len().checked_sub(2 * HASH_BYTES)?)?;
        let sound = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let before = text.strip_suffix(",\"h\":\"").filter(|_| sound)?;
        let digits = before.len() - before.bytes().rev().take_while(u8::is_ascii_digit).count();
        let number = before[digits..].parse().ok()?;
        before[..digits].ends_with(",\"n\":").then_some(Written { text, number, hash })
    }

    fn link(&self) -> Link {
        Link { line: self.number, hash: self.hash.into() }
    }
}

/// Follows the chain while a journal is read.
#[derive(Debug, Default)]
pub(crate) struct ChainCheck {
    /// Lines that were seen.
    seen: u64,
    /// The line of the highest number; `None` for a journal without a chain.
    last: Option<Link>,
    /// Lines without a place since then.
    added: u64,
    after: Option<LastLine>,
    breaks: Vec<ChainBreak>,
    uncounted: usize,
}

/// Just what a first line follows.
#[derive(Deserialize)]
struct FirstLine {
    after: Option<LastLine>,
}

impl ChainCheck {
    /// The next line, without its end.
    pub(crate) fn see(&mut self, line: &str) {
        self.seen += 1;
        match (Written::read(line), self.last.take()) {
            (Some(written), None) if self.seen == 1 => self.first(line, &written),
            (written, Some(last)) => self.next(written.as_ref(), last),
            // it began without a chain
            (_, None) => {}
        }
    }

    /// What was found, and how much more there was.
    pub(crate) fn breaks(&self) -> (&[ChainBreak], usize) {
        (&self.breaks, self.uncounted)
    }

    /// The last line.
    pub(crate) fn last(&self) -> Option<&Link> {
        self.last.as_ref()
    }

    /// What the file says that it follows.
    pub(crate) fn after(&self) -> Option<&LastLine> {
        self.after.as_ref()
    }

    fn first(&mut self, line: &str, written: &Written<'_>) {
        self.after = serde_json::from_str(line).ok().and_then(|first: FirstLine| first.after);
        let before = self.after.as_ref().map_or(NOTHING_BEFORE, |after| &after.link.hash);
        if written.number != 1 || hash(before, written.text) != written.hash {
            self.found(ChainBreak::Changed { line: 1 });
        }
        self.last = Some(Link { line: 1, ..written.link() });
    }

    fn next(&mut self, written: Option<&Written<'_>>, last: Link) {
        let line = self.seen;
        let Some(written) = written else {
            self.added += 1;
            self.last = Some(last);
            return self.found(ChainBreak::Added { line });
        };
        if written.number <= last.line {
            self.last = Some(last);
            return self.found(ChainBreak::Moved { line, number: written.number });
        }
        let follows = written.number == last.line + 1;
        let missing = last.line + 1 + std::mem::take(&mut self.added);
        if follows && hash(&last.hash, written.text) != written.hash {
            self.found(ChainBreak::Changed { line });
        } else if !follows && missing < written.number {
            self.found(ChainBreak::Missing { first: missing, last: written.number - 1 });
        }
        self.last = Some(written.link());
    }

    fn found(&mut self, found: ChainBreak) {
        if self.breaks.len() < MOST_BREAKS {
            self.breaks.push(found);
        } else {
            self.uncounted += 1;
        }
    }
}

/// Whether a file follows the one before it, whose name and last line these are: `after` is what it says itself.
pub fn file_follows(before: (&str, &Link), after: Option<&LastLine>) -> Result<(), ChainBreak> {
    let (file, last) = (before.0.to_owned(), before.1);
    let Some(LastLine { file: expected, link }) = after else {
        return Err(ChainBreak::FollowsNothing { before: file });
    };
    if *expected != file {
        return Err(ChainBreak::FileMissing { expected: expected.clone(), got: file });
    }
    if last.line < link.line {
        return Err(ChainBreak::EndMissing { file, first: last.line + 1, last: link.line });
    }
    if last != link { Err(ChainBreak::EndChanged { file }) } else { Ok(()) }
}

/// The last whole line of a file, if that has a place in the chain.
pub(crate) fn last_line(path: &Path) -> io::Result<Option<Link>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut block = FIRST_BLOCK;
    loop {
        let start = length.saturating_sub(block);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.by_ref().take(length - start).read_to_end(&mut tail)?;
        let end = tail.iter().rposition(|byte| *byte == b'\n');
        let before = end.and_then(|end| tail[..end].iter().rposition(|byte| *byte == b'\n'));
        match (end, before) {
            (Some(end), Some(before)) => return Ok(link_of(&tail[before + 1..end])),
            (Some(end), None) if start == 0 => return Ok(link_of(&tail[..end])),
            _ if start == 0 || block >= MOST_BLOCK => return Ok(None),
            _ => block *= 16,
        }
    }
}

/// The end of a file that is looked at first, and at most: a line is seldom longer than the first, and never than the last.
const FIRST_BLOCK: u64 = 64 << 10;
const MOST_BLOCK: u64 = 256 << 20;

fn link_of(line: &[u8]) -> Option<Link> {
    Some(Written::read(std::str::from_utf8(line).ok()?)?.link())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(count: u64) -> Vec<String> {
        let mut first = "{\"mosel\":\"journal\"}\n".to_owned();
        let mut chain = Chain::begin(None, &mut first);
        let mut lines = vec![first];
        for t in 2..=count {
            let mut line = format!("{{\"t\":{t}}}\n");
            chain.add(&mut line);
            lines.push(line);
        }
        assert_eq!(chain.last().line, count);
        lines
    }

    fn breaks(lines: &[String]) -> Vec<String> {
        let mut check = ChainCheck::default();
        lines.iter().for_each(|line| check.see(line.trim_end()));
        assert_eq!(check.breaks().1, 0);
        check.breaks().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_whole_chain_has_no_break() {
        let lines = sealed(20);
        assert_eq!(breaks(&lines), [""; 0]);
    }

    #[test]
    fn removed_lines_are_named() {
        let mut lines = sealed(9);
        lines.remove(7);
        lines.drain(2..4);
        assert_eq!(breaks(&lines), ["lines 3 to 4 are missing", "line 8 is missing"]);
    }

    #[test]
    fn a_changed_line_is_named_the_last_one_too() {
        let mut lines = sealed(5);
        lines[2] = lines[2].replace("\"t\":3", "\"t\":4");
        lines[4] = lines[4].replace("\"t\":5", "\"t\":6");
        assert_eq!(breaks(&lines), ["line 3 is not as it was written", "line 5 is not as it was written"]);
        let mut lines = sealed(2);
        lines[0] = lines[0].replace("journal", "Journal");
        assert_eq!(breaks(&lines), ["line 1 is not as it was written"]);
    }

    #[test]
    fn moved_doubled_and_added_lines_are_named() {
        let mut lines = sealed(5);
        lines.swap(2, 3);
        let moved = "line 4 was written as line 3: it was moved, or is there twice";
        assert_eq!(breaks(&lines), ["line 3 is missing", moved]);
        let mut lines = sealed(3);
        lines.insert(2, lines[1].clone());
        assert_eq!(breaks(&lines), ["line 3 was written as line 2: it was moved, or is there twice"]);
        let mut lines = sealed(4);
        lines.insert(2, "{\"t\":9}\n".into());
        assert_eq!(breaks(&lines), ["line 3 has no place in the chain: it was added or changed"]);
        let mut lines = sealed(4);
        lines[2] = "{\"t\":9}\n".into();
        assert_eq!(breaks(&lines), ["line 3 has no place in the chain: it was added or changed"]);
    }

    #[test]
    fn a_journal_without_a_chain_has_no_break() {
        let lines: Vec<String> = (0..5).map(|t| format!("{{\"t\":{t}}}\n")).collect();
        assert_eq!(breaks(&lines), [""; 0]);
    }

    #[test]
    fn breaks_that_are_kept_are_bounded() {
        let mut check = ChainCheck::default();
        check.see(sealed(1)[0].trim_end());
        (0..MOST_BREAKS + 7).for_each(|_| check.see("{}"));
        assert_eq!((check.breaks().0.len(), check.breaks().1), (MOST_BREAKS, 7));
    }

    #[test]
    fn a_file_follows_the_end_of_the_one_before_and_nothing_else() {
        let link = |line, hash: &str| Link { line, hash: hash.into() };
        let after = |line, hash: &str| LastLine { file: "a".into(), link: link(line, hash) };
        let found = |last: &Link, after: &LastLine| file_follows(("a", last), Some(after)).unwrap_err().to_string();
        assert_eq!(file_follows(("a", &link(5, "x")), Some(&after(5, "x"))), Ok(()));
        assert_eq!(found(&link(3, "x"), &after(5, "y")), "lines 4 to 5 are missing at the end of a");
        assert_eq!(found(&link(5, "x"), &after(5, "y")), "the end of a is not as it was when this file was begun");
        assert_eq!(found(&link(6, "x"), &after(5, "y")), "the end of a is not as it was when this file was begun");
        let missing = file_follows(("b", &link(5, "x")), Some(&after(5, "x"))).unwrap_err().to_string();
        assert_eq!(missing, "the file before is missing: it follows a, and not b");
        assert!(file_follows(("a", &link(5, "x")), None).is_err());
    }

    #[test]
    fn the_last_whole_line_is_found_in_files_of_any_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let found = |text: &str| {
            std::fs::write(&path, text).unwrap();
            last_line(&path).unwrap().map(|link| link.line)
        };
        let lines = sealed(5000);
        assert_eq!(found(&lines.concat()), Some(5000));
        assert_eq!(found(&format!("{}{}", lines.concat(), "{\"torn")), Some(5000));
        assert_eq!(found(&lines[0]), Some(1));
        assert_eq!(found(lines[0].trim_end()), None);
        assert_eq!(found(""), None);
        let mut long = format!("{{\"t\":\"{}\"}}\n", "x".repeat(1 << 20));
        Chain { last: Link { line: 7, hash: String::new() } }.add(&mut long);
        assert_eq!(found(&format!("{}{long}", lines[0])), Some(8));
    }
}
