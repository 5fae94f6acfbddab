//! File descriptors: as many as the process may have, some of them kept for the moment when there are none.

use std::fs::File;

/// How many this process may have, after asking for as many as it may ask for.
pub(crate) fn raise_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a `rlimit` that outlives them
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return LIKELY;
        }
        let wished = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        if limit.rlim_cur < limit.rlim_max && libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wished) == 0 {
            limit = wished;
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// How many connections fit beside everything else that this process opens, of a limit of so many.
pub(crate) fn room_for_connections(limit: usize) -> usize {
    // models, policies, journals and the sockets that are being closed
    let others = (limit / 4).clamp(16, 512);
    limit.saturating_sub(open_now() + others).max(LEAST)
}

/// Descriptors that are held so that they can be let go.
#[derive(Debug, Default)]
pub(crate) struct Spare(Vec<File>);

impl Spare {
    /// Holds so many, or as many as there are.
    pub(crate) fn hold(&mut self, count: usize) {
        while self.0.len() < count {
            let Ok(file) = File::open("/dev/null") else { return };
            self.0.push(file);
        }
    }

    /// Lets one go; false if there was none.
    pub(crate) fn let_go(&mut self) -> bool {
        self.0.pop().is_some()
    }
}

/// What a process has without asking for more.
const LIKELY: usize = 1024;
/// A server without connections is none.
const LEAST: usize = 4;

fn open_now() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(64, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(room_for_connections(0), LEAST);
        let many = room_for_connections(100_000);
        assert!((90_000..99_488).contains(&many), "{many}");
    }

    #[test]
    fn what_is_spare_can_be_let_go_once() {
        let mut spare = Spare::default();
        spare.hold(2);
        assert!(spare.let_go() && spare.let_go() && !spare.let_go());
    }
}
