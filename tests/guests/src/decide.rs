//! What goes wrong in `decide`.

use std::hint::black_box;

use mosel_sdk::{Assignment, Decision, Level, PolicyError, Quality, Snapshot, log, now, random, remaining};

use crate::settings::{Behaviour, Settings, spin};

pub(crate) fn decide(settings: Settings, calls: u64, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
    let Settings { behaviour, amount, .. } = settings;
    match behaviour {
        Behaviour::Work => work(amount),
        Behaviour::LoopInDecide => spin(),
        Behaviour::TakeMemory => take_memory(amount),
        Behaviour::Recurse => drop(black_box(recurse(amount))),
        Behaviour::Panic => panic!("I panic"),
        Behaviour::FloodAndPanic => flood_and_panic(),
        Behaviour::PanicLater => assert!(calls <= amount, "{calls} calls are too many"),
        Behaviour::Unreachable => unreachable_instruction(),
        Behaviour::ReadOutOfBounds => read_out_of_bounds(),
        Behaviour::BrokenText => return Err(PolicyError::Internal(broken_text())),
        Behaviour::LongText => return Err(PolicyError::Internal("x".repeat(amount as usize))),
        Behaviour::BadConfig => return Err(PolicyError::BadConfig("too late".into())),
        Behaviour::Unsupported => return Err(PolicyError::Unsupported("no such thing".into())),
        Behaviour::Internal => return Err(PolicyError::Internal("all is lost".into())),
        Behaviour::GiveUp => return Err(PolicyError::GaveUp("out of ideas".into())),
        Behaviour::FloodLog => (0..amount).for_each(|number| log(Level::Info, &number.to_string())),
        Behaviour::LongMessage => long_message(amount),
        Behaviour::Count => return Ok(Decision { objective: Some(calls as f64), ..Decision::keep() }),
        _ => {}
    }
    Ok(answer(behaviour, amount, snapshot))
}

fn answer(behaviour: Behaviour, amount: u64, snapshot: &Snapshot) -> Decision {
    let rows: Vec<u64> = snapshot.jobs.iter().map(|job| job.id).collect();
    let assign = |job, strategy| Assignment { job, strategy };
    let assigned = |assignments| Decision { assignments, ..Decision::keep() };
    let claimed = |objective, bound| Decision { quality: Quality::Optimal, objective, bound, ..Decision::keep() };
    let ordered = |order| Decision { order, ..Decision::keep() };
    match behaviour {
        Behaviour::Choose => assigned(rows.iter().map(|&job| assign(job, amount as u32)).collect()),
        Behaviour::UnknownJob => assigned(vec![assign(u64::MAX, 0)]),
        Behaviour::DuplicateJob => assigned(rows.iter().map(|_| assign(rows[0], 0)).collect()),
        Behaviour::ManyAssignments => assigned((0..amount).map(|job| assign(job, 0)).collect()),
        Behaviour::ReverseOrder => ordered(rows.into_iter().rev().collect()),
        Behaviour::IncompleteOrder => ordered(rows[..rows.len() - 1].to_vec()),
        Behaviour::LongOrder => ordered((0..amount).collect()),
        Behaviour::OrderOutOfBounds => ordered(out_of_bounds()),
        Behaviour::Echo => ordered((0..amount).map(|_| random()).chain([now(), remaining()]).collect()),
        Behaviour::NanObjective => claimed(Some(f64::NAN), Some(f64::INFINITY)),
        Behaviour::NanBound => claimed(Some(0.0), Some(f64::NAN)),
        Behaviour::InfiniteBound => claimed(Some(0.0), Some(f64::INFINITY)),
        Behaviour::BoundBelowObjective => claimed(Some(2.0), Some(1.0)),
        Behaviour::ClaimOptimal => claimed(Some(1.0), Some(1.0)),
        _ => Decision::keep(),
    }
}

fn work(rounds: u64) {
    for round in 0..rounds {
        black_box(round);
    }
}

pub(crate) fn take_memory(bytes: u64) {
    drop(black_box(vec![1u8; bytes as usize]));
}

fn recurse(depth: u64) -> u64 {
    if depth == 0 { 0 } else { black_box(recurse(depth - 1)) + 1 }
}

fn flood_and_panic() {
    (0..1000).for_each(|_| log(Level::Info, "flood"));
    panic!("heard all the same");
}

#[cfg(target_arch = "wasm32")]
fn unreachable_instruction() {
    core::arch::wasm32::unreachable();
}

#[cfg(not(target_arch = "wasm32"))]
fn unreachable_instruction() {
    std::process::abort();
}

fn read_out_of_bounds() {
    // SAFETY: none. In a sandbox this must trap, and nothing else.
    black_box(unsafe { std::ptr::read_volatile(0xFFFF_FF00 as *const u8) });
}

fn out_of_bounds() -> Vec<u64> {
    // SAFETY: none. The list begins in memory and ends far outside of it; the host must notice.
    unsafe { Vec::from_raw_parts(0x10000 as *mut u64, 0x0FFF_0000, 0x0FFF_0000) }
}

fn broken_text() -> String {
    // SAFETY: none. The host must not take these bytes for text.
    unsafe { String::from_utf8_unchecked(vec![0xFF, 0xFE]) }
}

fn long_message(bytes: u64) {
    let message = "x".repeat(bytes as usize);
    mosel_sdk::bindings::mosel::policy::host::log(Level::Info, &message);
}
