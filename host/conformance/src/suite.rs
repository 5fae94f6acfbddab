//! The checks in their order.

use mosel_sandbox::LoadedPolicy;

use crate::check_run::CheckRun;
use crate::report::{Outcome, Report};
use crate::{Check, Options, answers, claims, housekeeping, settings};

pub(crate) fn run(loaded: &LoadedPolicy, settings: &str, options: &Options) -> Report {
    let mut run = CheckRun::new(loaded, settings, options);
    run.say(Check::Loads, Outcome::Pass, "it is a policy for this contract");
    settings::description(&mut run);
    if settings::given(&mut run) {
        settings::others(&mut run);
        answers::simple(&mut run);
        answers::random(&mut run);
        answers::long(&mut run);
        answers::endurance(&mut run);
        housekeeping::catalog(&mut run);
        housekeeping::feedback(&mut run);
        housekeeping::state(&mut run);
        claims::claims(&mut run);
        answers::budget(&mut run);
    }
    run.report()
}
