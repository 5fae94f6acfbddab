//! Files of simulation cases: the case, a line `---`, and the log that is expected. A file is named after its claim.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use mosel_sim::SimCase;

/// Where the files are: `tests/cases` of the repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases")
}

/// Runs every case of this folder of [`folder`]: it does the same twice, breaks no invariant, and its log is the one that
/// the file has. With `UPDATE_EXPECT=1` the files get the logs that there are. Returns how many cases there were.
///
/// # Panics
/// If a case does not read, breaks an invariant, or has another log.
pub fn check(name: &str) -> usize {
    let paths = paths(&folder().join(name));
    for path in &paths {
        let text = fs::read_to_string(path).expect("a case is text");
        let case = SimCase::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Err(broken) = case.check_deterministic() {
            panic!("{}: {broken}\n{}", path.display(), broken.log.text);
        }
        let log = || case.action_log().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let first = log();
        assert_eq!(first, log(), "{}: the same case twice", path.display());
        let case_text = text.split("---\n").next().unwrap_or_default();
        expect_file![path].assert_eq(&format!("{}\n---\n{first}", case_text.trim_end()));
    }
    paths.len()
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("the folder can be read").path()).collect();
    paths.sort();
    paths
}
