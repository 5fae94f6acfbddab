//! Who changed what: a line for every act of an admin, in the log and in a file beside the journals.
//!
//! Writing never keeps anybody waiting: what there is no room for is counted, and said in the next line.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::Serialize;

/// What an admin did, or was not allowed to do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AdminAct {
    /// The name of the token.
    pub(crate) who: String,
    /// The address that it came from.
    pub(crate) from: String,
    /// The method and the path.
    pub(crate) what: String,
    /// The status that it was answered with.
    pub(crate) status: u16,
}

#[derive(Serialize)]
struct AuditLine<'a> {
    at: String,
    #[serde(flatten)]
    act: &'a AdminAct,
    /// Acts before this one that there was no room for.
    #[serde(skip_serializing_if = "is_zero")]
    missed: u64,
}

/// Takes what admins do.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    queue: Option<SyncSender<AdminAct>>,
    missed: std::sync::Arc<AtomicU64>,
}

/// Acts that may wait to be written.
const MOST_WAITING: usize = 256;
/// Bytes after which a file is followed by another; the one before the last goes.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// The file's name in the folder of journals.
const FILE: &str = "audit.log";

impl Audit {
    /// Writes into this folder, if it names one.
    pub(super) fn new(folder: &Path) -> std::io::Result<Audit> {
        if folder.as_os_str().is_empty() {
            return Ok(Audit::default());
        }
        let (queue, acts) = sync_channel(MOST_WAITING);
        let missed = std::sync::Arc::new(AtomicU64::new(0));
        let writer = Writer { folder: folder.into(), missed: missed.clone(), failed: false };
        std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&acts))?;
        Ok(Audit { queue: Some(queue), missed })
    }

    /// An admin did this.
    pub(crate) fn record(&self, act: AdminAct) {
        let AdminAct { who, from, what, status } = &act;
        tracing::info!(target: "audit", who, from, what, status, "an admin's act");
        if self.queue.as_ref().is_some_and(|queue| queue.try_send(act).is_err()) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Writer {
    folder: PathBuf,
    missed: std::sync::Arc<AtomicU64>,
    failed: bool,
}

impl Writer {
    fn run(mut self, acts: &Receiver<AdminAct>) {
        while let Ok(act) = acts.recv() {
            let missed = self.missed.swap(0, Ordering::Relaxed);
            let written = self.write(&AuditLine { at: now(), act: &act, missed });
            if let Err(error) = &written {
                self.missed.fetch_add(missed + 1, Ordering::Relaxed);
                if !self.failed {
                    tracing::error!("acts of admins cannot be written to {}: {error}", self.folder.display());
                }
            }
            self.failed = written.is_err();
        }
    }

    /// Opened anew every time: acts are rare, and the folder may have been removed.
    fn write(&self, line: &AuditLine) -> std::io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(FILE);
        if fs::metadata(&path).is_ok_and(|file| file.len() + text.len() as u64 > MAX_FILE_BYTES) {
            fs::rename(&path, self.folder.join("audit.old.log"))?;
        }
        open(&path)?.write_all(text.as_bytes())
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Millisecond).map_or_else(|_| String::new(), |now| now.to_string())
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(what: &str) -> AdminAct {
        AdminAct { who: "ops".into(), from: "127.0.0.1".into(), what: what.into(), status: 200 }
    }

    #[test]
    fn a_line_an_act_and_two_files_at_most() {
        let folder = std::env::temp_dir().join(format!("mosel-audit-{}", std::process::id()));
        let writer = Writer { folder: folder.clone(), missed: Default::default(), failed: false };
        let write =
            |what: &str, missed| writer.write(&AuditLine { at: "now".into(), act: &act(what), missed }).unwrap();
        write("PUT /v1/policy", 0);
        write("DELETE \"odd\n\"", 3);
        let text = fs::read_to_string(folder.join(FILE)).unwrap();
        let first = r#"{"at":"now","who":"ops","from":"127.0.0.1","what":"PUT /v1/policy","status":200}"#;
        assert_eq!(text.lines().next(), Some(first));
        assert!(text.lines().nth(1).unwrap().ends_with(r#""missed":3}"#) && text.lines().count() == 2, "{text}");
        for _ in 0..3 {
            File::options().write(true).open(folder.join(FILE)).unwrap().set_len(MAX_FILE_BYTES).unwrap();
            write("POST /v1/policy/rollback", 0);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
        write("PUT /v1/policy", 0);
        assert!(folder.join(FILE).exists(), "a folder that was removed is made again");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn nobody_waits_for_a_queue_that_is_full() {
        let (queue, _acts) = sync_channel(1);
        let audit = Audit { queue: Some(queue), missed: Default::default() };
        (0..3).for_each(|_| audit.record(act("PUT /v1/policy")));
        assert_eq!(audit.missed.load(Ordering::Relaxed), 2);
    }
}
