//! A reader that leaves early: `mosel policy list | head -1` ends quietly.
//!
//! `println!` panics when nobody reads any more. The panic is left to unwind, so that servers of one's own are stopped and
//! files cleaned up, but it is not shown. The signal SIGPIPE would end the program without either, and at a socket too.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};

use anyhow::Result;

/// Does what is asked for; that nobody reads its output to the end is no failure.
pub(crate) fn tolerate<T: Default>(command: impl FnOnce() -> Result<T>) -> Result<T> {
    let show = take_hook();
    set_hook(Box::new(move |panic| {
        if !is_broken_pipe(panic.payload()) {
            show(panic);
        }
    }));
    catch_unwind(AssertUnwindSafe(command))
        .unwrap_or_else(|panic| if is_broken_pipe(panic.as_ref()) { Ok(T::default()) } else { resume_unwind(panic) })
}

/// What `println!` panics with; the words of the system are those of every Unix.
fn is_broken_pipe(panic: &(dyn Any + Send)) -> bool {
    let message = panic.downcast_ref::<String>().map_or("", String::as_str);
    message.starts_with("failed printing to stdout") && message.contains("Broken pipe")
}
