//! A folder of journals: one is written at a time, the oldest go when there are too many.
//!
//! A file gets its name once its first line is written, and only then do older ones go: a disk that is full takes
//! nothing away. Nothing is kept open but the file that is written, so a folder that was removed is made again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::Header;
use crate::chain::{Chain, LastLine, last_line};

/// Journals `journal-000001.jsonl`, `journal-000002.jsonl`, ... in one folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    most: Bounds,
    file: Option<Open>,
    /// The last line of the file that was written before, if all that is known of it is true.
    before: Option<LastFile>,
}

/// What the folder may hold.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// A file that is larger than that is followed by another, once it has as many bytes of steps as of its first line.
    file_bytes: u64,
    /// Files that are kept, the one being written included.
    files: usize,
}

impl Bounds {
    fn bytes(&self) -> u64 {
        self.file_bytes.saturating_mul(self.files as u64)
    }
}

/// The file that is written.
#[derive(Debug)]
struct Open {
    file: File,
    number: u64,
    /// Bytes on the disk.
    written: u64,
    buffer: Vec<u8>,
    chain: Chain,
    /// A larger file is followed by another.
    most_bytes: u64,
    first_line: u64,
    /// Numbers and bytes of the other files, the oldest first.
    older: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct LastFile {
    number: u64,
    last: LastLine,
}

/// What writing a line did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is in the journal.
    Line,
    /// It is, and the file is full: begin another with the state as it is now.
    Full,
    /// It is not, since the folder has no room for it: begin another file.
    NoRoom,
}

/// What is buffered before it is handed to the system.
const BUFFER_BYTES: usize = 64 << 10;
/// The ending of a file whose first line is being written, with the process that writes it.
const PARTIAL: &str = ".partial-";
/// Such a file was left by a process that died.
const LEFT_AFTER: Duration = Duration::from_secs(60);

impl Folder {
    /// The folder of journals here, which is made with the first one. Holds at most `most_files` files of `most_bytes` each,
    /// in all so many times as many bytes; at least one file is kept, the one being written.
    pub fn new(path: &Path, most_bytes: u64, most_files: usize) -> Folder {
        let most = Bounds { file_bytes: most_bytes, files: most_files.max(1) };
        Folder { path: path.into(), most, file: None, before: None }
    }

    /// Begins another file, and removes the oldest beyond the most that are kept once it stands. Returns where it is.
    pub fn begin(&mut self, header: &Header) -> io::Result<PathBuf> {
        // whatever becomes of its end: nothing more may be written behind a gap
        let _ = self.flush();
        self.close();
        fs::create_dir_all(&self.path)?;
        self.remove_partial();
        let older = self.files()?;
        let newest = older.last().map_or(0, |(number, _)| *number);
        let number = newest.max(self.before.as_ref().map_or(0, |before| before.number)) + 1;
        let mut text = header.to_line();
        let chain = Chain::begin(self.last_line(newest).as_ref(), &mut text);
        self.check_room(text.len() as u64)?;
        let file = self.write_first(number, text.as_bytes())?;
        let first_line = text.len() as u64;
        let most_bytes = self.most.file_bytes.max(2 * first_line).min(self.most.bytes());
        let mut open =
            Open { file, number, written: first_line, buffer: Vec::new(), chain, most_bytes, first_line, older };
        let name = self.name(number);
        if let Err(error) = self.make_room(&mut open, 0) {
            // else one would be added at every attempt
            let _ = fs::remove_file(&name);
            return Err(error);
        }
        self.file = Some(open);
        Ok(name)
    }

    /// Writes a line; nothing, if no file was begun or writing failed before.
    pub fn write(&mut self, mut line: String) -> io::Result<Written> {
        let Some(open) = &mut self.file else { return Ok(Written::Line) };
        if open.bytes() + line.len() as u64 + SEAL_BYTES > self.most.bytes() {
            self.flush()?;
            self.close();
            return Ok(Written::NoRoom);
        }
        open.chain.add(&mut line);
        open.buffer.extend_from_slice(line.as_bytes());
        let full = open.bytes() > open.most_bytes;
        if open.buffer.len() > BUFFER_BYTES {
            self.flush()?;
        }
        Ok(if full { Written::Full } else { Written::Line })
    }

    /// Hands what is buffered to the system: it survives the end of this process. After an error no file is open any more:
    /// what comes after a line that is not there cannot be replayed.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(mut open) = self.file.take() else { return Ok(()) };
        if open.buffer.is_empty() {
            self.file = Some(open);
            return Ok(());
        }
        let bytes = open.buffer.len() as u64;
        let room = self.make_room(&mut open, bytes);
        if let Err(error) = room.and_then(|()| open.file.write_all(&open.buffer)) {
            // so that no half line is left, where that is possible
            let _ = open.file.set_len(open.written);
            self.before = None;
            return Err(error);
        }
        open.written += bytes;
        open.buffer.clear();
        self.file = Some(open);
        Ok(())
    }

    /// A file is being written.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// The file that is being written is no longer the one that readers find under its name: it was removed, or its folder.
    pub fn is_lost(&self) -> bool {
        let Some(open) = &self.file else { return false };
        let there = fs::metadata(self.name(open.number)).map(|there| (there.dev(), there.ino()));
        let ours = open.file.metadata().map(|ours| (ours.dev(), ours.ino()));
        !matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
    }

    /// Writes no more to the file that is open: another has to be begun.
    pub fn close(&mut self) {
        let Some(open) = self.file.take() else { return };
        let last = LastLine { file: file_name(open.number), link: open.chain.last().clone() };
        // what is still buffered was not written
        self.before = open.buffer.is_empty().then_some(LastFile { number: open.number, last });
    }

    fn name(&self, number: u64) -> PathBuf {
        self.path.join(file_name(number))
    }

    /// The last line before a file that is begun now, if it has a place in the chain.
    fn last_line(&self, newest: u64) -> Option<LastLine> {
        match &self.before {
            Some(before) if before.number >= newest => Some(before.last.clone()),
            _ => {
                let link = last_line(&self.name(newest)).ok().flatten()?;
                Some(LastLine { file: file_name(newest), link })
            }
        }
    }

    /// A file has room for a first line like this, and for as much after it.
    fn check_room(&self, first_line: u64) -> io::Result<()> {
        let most = self.most.bytes();
        if 2 * first_line <= most {
            return Ok(());
        }
        let words = format!(
            "the scheduler's state takes {first_line} bytes, expected at most half of the {most} bytes that the folder may hold"
        );
        Err(io::Error::new(io::ErrorKind::FileTooLarge, words))
    }

    /// Writes the first line of a file, which then gets its name.
    fn write_first(&self, number: u64, line: &[u8]) -> io::Result<File> {
        let name = self.name(number);
        let partial = self.path.join(format!("{}{PARTIAL}{}", file_name(number), std::process::id()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial)?;
            file.write_all(line)?;
            // another process writes here too
            if name.exists() {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            fs::rename(&partial, &name)?;
            Ok(file)
        };
        write().inspect_err(|_| drop(fs::remove_file(&partial)))
    }

    /// Removes the oldest files until there is room for so many bytes more, and then for another first line.
    fn make_room(&self, open: &mut Open, bytes: u64) -> io::Result<()> {
        let room = open.written + bytes + open.first_line;
        let mut sum = open.older.iter().map(|(_, bytes)| bytes).sum::<u64>();
        while let Some(&(number, bytes)) = open.older.first()
            && (open.older.len() >= self.most.files || sum + room > self.most.bytes())
        {
            match fs::remove_file(self.name(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => drop(open.older.remove(0)),
            }
            sum -= bytes;
        }
        Ok(())
    }

    /// Numbers and bytes of the journals that are there, the oldest first.
    fn files(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".jsonl"));
            let number = number.and_then(|digits| digits.parse::<u64>().ok());
            // files of other names are somebody else's
            let Some(number) = number.filter(|number| name.to_str() == Some(&file_name(*number))) else { continue };
            // one that is gone meanwhile was removed by somebody
            if let Ok(metadata) = entry.metadata() {
                files.push((number, metadata.len()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Removes what processes have left that died while they began a file.
    fn remove_partial(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let partial = name.to_str().is_some_and(|name| name.starts_with("journal-") && name.contains(PARTIAL));
            let changed = || entry.metadata().and_then(|metadata| metadata.modified());
            let old = |changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age > LEFT_AFTER);
            if partial && changed().is_ok_and(old) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// What a line's place in the chain takes, at most.
const SEAL_BYTES: u64 = 64;

fn file_name(number: u64) -> String {
    format!("journal-{number:06}.jsonl")
}

impl Open {
    fn bytes(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}
