//! A folder of journals: one is written at a time, the oldest go when there are too many.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::Header;

/// Journals `journal-000001.jsonl`, `journal-000002.jsonl`, ... in one folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// A file that is larger than that is followed by another.
    most_bytes: u64,
    /// Files that are kept, the one being written included.
    most_files: usize,
    file: Option<Open>,
}

#[derive(Debug)]
struct Open {
    writer: BufWriter<File>,
    bytes: u64,
}

/// What writing a line did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is in the journal.
    Line,
    /// It is, and the file is full: begin another with the state as it is now.
    Full,
}

impl Folder {
    /// The folder of journals here, which is made if it is not there. At least one file is kept, the one being written.
    pub fn open(path: &Path, most_bytes: u64, most_files: usize) -> io::Result<Folder> {
        fs::create_dir_all(path)?;
        Ok(Folder { path: path.into(), most_bytes, most_files: most_files.max(1), file: None })
    }

    /// Begins another file, and removes the oldest beyond the most that are kept. Returns where it is.
    pub fn begin(&mut self, header: &Header) -> io::Result<PathBuf> {
        // whatever becomes of its end: nothing more may be written behind a gap
        drop(self.file.take().map(|mut open| open.writer.flush()));
        let numbers = self.numbers()?;
        let next = numbers.last().map_or(1, |last| last + 1);
        let spare = (numbers.len() + 1).saturating_sub(self.most_files);
        for number in numbers.into_iter().take(spare) {
            match fs::remove_file(self.name(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let name = self.name(next);
        let file = OpenOptions::new().write(true).create_new(true).open(&name)?;
        let mut open = Open { writer: BufWriter::new(file), bytes: 0 };
        open.write(&header.to_line())?;
        open.writer.flush()?;
        self.file = Some(open);
        Ok(name)
    }

    /// Writes a line; nothing, if no file was begun or writing failed before.
    pub fn write(&mut self, line: &str) -> io::Result<Written> {
        let Some(open) = &mut self.file else { return Ok(Written::Line) };
        if let Err(error) = open.write(line) {
            // what comes after a line that is not there cannot be replayed
            self.file = None;
            return Err(error);
        }
        Ok(if open.bytes > self.most_bytes { Written::Full } else { Written::Line })
    }

    /// Hands what is buffered to the system: it survives the end of this process.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |open| open.writer.flush())
    }

    /// A file is being written.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    fn name(&self, number: u64) -> PathBuf {
        self.path.join(format!("journal-{number:06}.jsonl"))
    }

    /// The numbers of the journals that are there, ascending.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".jsonl"));
            let number = number.and_then(|digits| digits.parse::<u64>().ok());
            // files of other names are somebody else's
            numbers.extend(number.filter(|number| Some(name.as_os_str()) == self.name(*number).file_name()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl Open {
    fn write(&mut self, line: &str) -> io::Result<()> {
        self.writer.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}
