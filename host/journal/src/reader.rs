//! Reads a journal, line by line.

use std::io::{BufRead, Read};

use mosel_core::Time;

use crate::chain::{ChainBreak, ChainCheck, LastLine, Link};
use crate::{Header, Line};

/// The longest line that is read: a header of thousands of waiting jobs is a few megabytes.
const MOST_LINE_BYTES: u64 = 256 << 20;

/// A journal that is being read.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    /// Lines read so far.
    number: usize,
    /// Time of the line before.
    last: Time,
    /// The last line has no end: whoever wrote it was interrupted.
    torn: bool,
    chain: ChainCheck,
}

/// Why a journal cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read at all.
    #[error("reading line {line}: {source}")]
    Read {
        /// Counted from 1.
        line: usize,
        /// What the file system said.
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("line {line}: {expected}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What was expected.
        expected: String,
    },
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub fn new(source: R) -> Result<(Header, Reader<R>), JournalError> {
        let mut reader = Reader { source, number: 0, last: Time::START, torn: false, chain: ChainCheck::default() };
        let line = reader.line()?.ok_or_else(|| reader.wrong("expected a journal, the file is empty".into()))?;
        let header = Header::parse(&line).map_err(|expected| reader.wrong(expected))?;
        Ok((header, reader))
    }

    /// The number of the line that was read last, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The journal ended within a line, which was left out: its writer was interrupted.
    pub fn torn(&self) -> bool {
        self.torn
    }

    /// Where the chain through the lines that were read is broken, and how many breaks more there are. A journal of an earlier
    /// version has none.
    pub fn breaks(&self) -> (&[ChainBreak], usize) {
        self.chain.breaks()
    }

    /// The last line that was read, if it has a place in the chain.
    pub fn last_link(&self) -> Option<&Link> {
        self.chain.last()
    }

    /// What the file says that it follows.
    pub fn after(&self) -> Option<&LastLine> {
        self.chain.after()
    }

    /// Reads on to the end for the chain alone, as far as there are lines.
    pub fn follow_chain(&mut self) {
        while let Ok(Some(_)) = self.line() {}
    }

    fn next_line(&mut self) -> Result<Option<Line>, JournalError> {
        let Some(text) = self.line()? else { return Ok(None) };
        let line = Line::parse(&text).map_err(|expected| self.wrong(expected))?;
        if line.at() < self.last {
            return Err(self.wrong(format!("expected a time from {} on, got {}", self.last, line.at())));
        }
        self.last = line.at();
        Ok(Some(line))
    }

    /// The next line without its end; `None` at the end of the file, or before a line that was torn off.
    fn line(&mut self) -> Result<Option<String>, JournalError> {
        let mut bytes = Vec::new();
        let read = self.source.by_ref().take(MOST_LINE_BYTES).read_until(b'\n', &mut bytes);
        read.map_err(|source| JournalError::Read { line: self.number + 1, source })?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if bytes.pop_if(|last| *last == b'\n').is_none() {
            if bytes.len() as u64 == MOST_LINE_BYTES || self.number == 1 {
                return Err(self.wrong(format!("expected a line of at most {MOST_LINE_BYTES} bytes with an end")));
            }
            self.torn = true;
            return Ok(None);
        }
        let text = String::from_utf8(bytes).map_err(|_| self.wrong("expected UTF-8 text".into()))?;
        self.chain.see(&text);
        Ok(Some(text))
    }

    fn wrong(&self, expected: String) -> JournalError {
        JournalError::Line { line: self.number.max(1), expected }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Line, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}
