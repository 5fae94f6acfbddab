//! Commands that compute with models need libtorch, which `mosel` does not load: it becomes `mosel-torch`.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mosel_models::backend;

/// The program that lies beside this one and has libtorch.
const PROGRAM: &str = "mosel-torch";

/// Returns in a program with libtorch. One without replaces itself by the one beside it: the same process, arguments and
/// environment, from the beginning. So call it before anything is done.
pub(crate) fn require() -> Result<()> {
    if backend::is_installed() {
        return Ok(());
    }
    let program = beside_this_one()?;
    ensure!(program.is_file(), "expected {} to compute with libtorch, there is no such program", program.display());
    Err(replace_by(&program))
}

/// Like [`require`], but goes on without libtorch where there is no program that has it.
pub(crate) fn prefer() -> Result<()> {
    if backend::is_installed() || !beside_this_one()?.is_file() { Ok(()) } else { require() }
}

fn beside_this_one() -> Result<PathBuf> {
    Ok(env::current_exe().context("finding this program")?.with_file_name(PROGRAM))
}

/// The error, if it comes back at all.
fn replace_by(program: &Path) -> anyhow::Error {
    let mut arguments = env::args_os();
    crate::log::flush();
    let name = arguments.next().unwrap_or_else(|| program.into());
    let error = Command::new(program).arg0(name).args(arguments).exec();
    anyhow::Error::new(error).context(format!("starting {}", program.display()))
}
