//! What it takes to have a model: read when nobody has it, and beside a lane that has it already.
//!
//! `cargo bench -p mosel-torch`
#![allow(missing_docs)]

use divan::Bencher;
use mosel_models::zoo::{self, Task};
use mosel_models::{DeviceChoice, Model, backend};

fn main() {
    mosel_torch::install();
    divan::main();
}

#[divan::bench(args = zoo::ALL, sample_count = 20, sample_size = 1)]
fn alone(bencher: Bencher<'_, '_>, task: Task) {
    bencher.bench_local(|| load(task));
}

#[divan::bench(args = zoo::ALL, sample_count = 20, sample_size = 1)]
fn beside_another_lane(bencher: Bencher<'_, '_>, task: Task) {
    let _lane = load(task);
    bencher.bench_local(|| load(task));
}

fn load(task: Task) -> Box<dyn Model> {
    backend::load_zoo(task, DeviceChoice::Cpu).expect("run `make setup` first")
}
