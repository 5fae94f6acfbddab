//! The toy model: audio takes 4 ms a request and is right in 0.685 of the cases, video and audio together take 10 ms and
//! are right in 0.785.

use std::sync::Arc;

use mosel_core::{Config, ModelId, Profile, Scheduler, StrategyMatrix};
use mosel_sim::SimCase;

/// It, in the case language.
pub const TOY: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure video+audio 1 10ms 157/200
";

/// Its profile.
pub fn profile() -> Profile {
    SimCase::parse(TOY).expect("the toy model reads").profile
}

/// Its strategies, for jobs of at most so many requests.
pub fn matrix(max_requests: u32) -> Arc<StrategyMatrix> {
    let matrix = StrategyMatrix::new(ModelId(0), Arc::new(profile()), max_requests);
    Arc::new(matrix.expect("the toy model's profile is sound"))
}

/// A scheduler that has it and nothing else, for jobs of at most 16 requests.
pub fn scheduler(config: Config) -> Scheduler {
    Scheduler::new(config, vec![matrix(16)])
}
