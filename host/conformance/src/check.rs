//! What is asked of a policy, each in a sentence.

use std::fmt;

/// One thing that is asked of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// See [`Check::meaning`], as for all others.
    Loads,
    /// Says who it is.
    Description,
    /// Starts with the settings it was given.
    Settings,
    /// Starts without settings, and with the defaults its schema states.
    Defaults,
    /// Refuses settings it does not know.
    UnknownSettings,
    /// Refuses settings that are no JSON.
    BrokenSettings,
    /// Is asked about nothing.
    EmptyQueue,
    /// Is asked about one job.
    OneJob,
    /// Answers every question.
    Answers,
    /// Names jobs and strategies that are there, above their floors.
    Legal,
    /// Makes no job late.
    Promises,
    /// Answers the same way twice.
    Repeatable,
    /// Is asked about a thousand jobs.
    LongQueues,
    /// Is asked a thousand times.
    Endurance,
    /// Saves jobs.
    Saves,
    /// Takes in a changed catalog.
    CatalogUpdates,
    /// Is told outcomes.
    Feedback,
    /// Hands its state on.
    State,
    /// Is right about its own answers.
    Claims,
    /// Stays well within its limits.
    Budget,
}

impl Check {
    /// A short name, the same in every report.
    pub fn name(self) -> &'static str {
        match self {
            Check::Loads => "loads",
            Check::Description => "description",
            Check::Settings => "settings",
            Check::Defaults => "defaults",
            Check::UnknownSettings => "unknown-settings",
            Check::BrokenSettings => "broken-settings",
            Check::EmptyQueue => "empty-queue",
            Check::OneJob => "one-job",
            Check::Answers => "answers",
            Check::Legal => "legal",
            Check::Promises => "promises",
            Check::Repeatable => "repeatable",
            Check::LongQueues => "long-queues",
            Check::Endurance => "endurance",
            Check::Saves => "saves",
            Check::CatalogUpdates => "catalog-updates",
            Check::Feedback => "feedback",
            Check::State => "state",
            Check::Claims => "claims",
            Check::Budget => "budget",
        }
    }

    /// What it is, and why it matters.
    pub fn meaning(self) -> &'static str {
        match self {
            Check::Loads => {
                "It is a component built for this contract, not too large, and reaches for nothing but the host."
            }
            Check::Description => "It says its name and version, and its settings' schema, if it has one, is JSON.",
            Check::Settings => "It starts with the settings it was given.",
            Check::Defaults => "It starts without any settings, and with the defaults that its schema states.",
            Check::UnknownSettings => "It refuses a setting it does not know: ignoring it would hide a typing error.",
            Check::BrokenSettings => "It refuses settings that are no JSON, instead of guessing or crashing.",
            Check::EmptyQueue => "It has an answer when no job waits.",
            Check::OneJob => {
                "It has a legal answer when one job waits: early, tight, hopeless, or with nothing to choose."
            }
            Check::Answers => "It answers every question within its limits and never crashes.",
            Check::Legal => {
                "It names jobs and strategies that are there, each once, none below its job's accuracy floor."
            }
            Check::Promises => "It makes no job late that is on time: the server would refuse the whole answer.",
            Check::Repeatable => {
                "The same questions get the same answers at the same cost: else no day can be replayed."
            }
            Check::LongQueues => "It has a legal answer, within its limits, when a thousand jobs wait.",
            Check::Endurance => {
                "It answers the thousandth question like the first: no leak, no counter that overflows."
            }
            Check::Saves => "How many jobs that could be saved it saves, and at what accuracy. A matter of quality.",
            Check::CatalogUpdates => "It keeps up when models and strategy tables are added or changed.",
            Check::Feedback => "It is told what became of jobs, as it asked for, and works on.",
            Check::State => "What it saved a successor can restore, and garbage is refused instead of crashing it.",
            Check::Claims => "What it says of its own answers, proven optimal or within a bound, is so.",
            Check::Budget => {
                "It stays well within its limits of fuel and time, so that a slower machine does not cut it off."
            }
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
