//! The program as its users meet it. What takes real time and a quiet machine is a test of its own, in agreement.rs.

mod bench_serve;
mod broken_pipe;
mod docs;
mod e2e;
mod libtorch;
mod outputs;
mod policy_cli;
mod reference;
mod simulate;
